"""Everything DevTeam does with git: look at a repository, mirror it, give out worktrees, save work, deliver,
take back.
"""

from devteam.adapters.git.command import GitError, GitErrorKind
from devteam.adapters.git.delivery import (
    Conflict,
    commit_message,
    find_by_trailer,
    is_ancestor,
    make_delivery_commit,
    merge_commit,
    push_base,
    push_branch,
    rebase_onto,
    revert_commit,
)
from devteam.adapters.git.remote import RemoteHead, normalise_repository, probe, remote_head
from devteam.adapters.git.workspace import Diff, FileStat, Mirror

__all__ = [
    "Conflict",
    "Diff",
    "FileStat",
    "GitError",
    "GitErrorKind",
    "Mirror",
    "RemoteHead",
    "commit_message",
    "find_by_trailer",
    "is_ancestor",
    "make_delivery_commit",
    "merge_commit",
    "normalise_repository",
    "probe",
    "push_base",
    "push_branch",
    "rebase_onto",
    "remote_head",
    "revert_commit",
]
