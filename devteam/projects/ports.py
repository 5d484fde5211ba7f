"""What projects need from the outside."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class RepositoryHead:
    """A repository that exists, is readable and has commits."""

    repository: str
    base_branch: str
    commit: str


class RepositoryProbe(Protocol):
    """Looks at a repository before it is linked."""

    def __call__(self, repository: str, base_branch: str | None) -> RepositoryHead:
        """Raises Invalid on the field `repository` or `baseBranch` with a sentence that says what is wrong."""
        ...


@dataclass(frozen=True)
class RepositoryFiles:
    """What stands at the head of a branch: the paths of its files, and their texts (None: not to be had)."""

    head: RepositoryHead
    paths: Collection[str]
    read: Callable[[str], str | None]


class RepositoryReader(Protocol):
    """Reads a repository's files for as long as a block lasts."""

    def __call__(self, repository: str, base_branch: str | None) -> AbstractContextManager[RepositoryFiles]:
        """Raises Invalid on the field `repository` or `baseBranch` with a sentence that says what is wrong."""
        ...
