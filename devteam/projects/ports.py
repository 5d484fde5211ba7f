"""What projects need from the outside."""

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
