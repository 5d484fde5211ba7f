"""Read files of a customer's repository without keeping a copy of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from devteam.adapters.git.command import GitError, run_git
from devteam.adapters.git.linking import probe_repository
from devteam.projects.ports import RepositoryFiles

FILE_LIMIT: Final = 200_000
"""Bytes of a file that is read; a server that can leaves larger ones out of what it sends."""
MAX_PATHS: Final = 50_000
FETCH_SECONDS: Final = 60.0


@contextmanager
def repository_files(repository: str, base_branch: str | None) -> Iterator[RepositoryFiles]:
    """The files at the head of a branch (None: the default one), fetched for as long as the block lasts.

    Raises Invalid on the field `repository` or `baseBranch`, and GitError when the fetch fails.
    """
    head = probe_repository(repository, base_branch)
    with tempfile.TemporaryDirectory(prefix="devteam-look-") as folder:
        git_dir = Path(folder)
        run_git(["init", "--quiet", "--bare", str(git_dir)])
        run_git(
            [
                *("fetch", "--quiet", "--depth=1", "--no-tags", f"--filter=blob:limit={FILE_LIMIT}"),
                *("--", head.repository, f"refs/heads/{head.base_branch}:refs/heads/look"),
            ],
            git_dir=git_dir,
            timeout=FETCH_SECONDS,
            remote=True,
        )
        listing = run_git(["ls-tree", "-r", "-z", "--name-only", "refs/heads/look"], git_dir=git_dir)
        paths = [path for path in listing.text.split("\0") if path][:MAX_PATHS]

        def read(path: str) -> str | None:
            if path not in known:
                return None
            try:
                blob = run_git(
                    ["cat-file", "blob", f"refs/heads/look:{path}"], git_dir=git_dir, env={"GIT_NO_LAZY_FETCH": "1"}
                )
            except GitError:
                return None  # left out for its size, or no file
            return blob.stdout[:FILE_LIMIT].decode("utf-8", errors="replace")

        known = frozenset(paths)
        yield RepositoryFiles(head=head, paths=paths, read=read)
