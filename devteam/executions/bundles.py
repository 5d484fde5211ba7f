"""Git bundles of attempts' work: the port that taking over needs."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID

BUNDLE_LIMIT = 32 * 1024 * 1024
"""Bytes of a bundle that is handed back; it holds only what the person changed."""
History = Literal["work", "whole"]


@dataclass(frozen=True)
class Handed:
    """What a bundle holds: its newest commit, and how many there are beyond the base."""

    commit: str
    commits: int


class Bundles(Protocol):
    """Git bundles of attempts' work, out of the projects' mirrors and into them."""

    def write(
        self, project_id: UUID, *, base: str, commit: str, branch: str, whole: bool
    ) -> AbstractContextManager[Path]:
        """A bundle whose branch ends at the commit: since the base, or with all that came before too.

        Raises Conflict where this machine has no mirror of the project, or the mirror lacks the commit.
        """
        ...

    def inspect(self, project_id: UUID, bundle: bytes, *, base: str) -> Handed:
        """Look at what somebody sent. Raises Invalid for what is no sound bundle of commits upon the base."""
        ...
