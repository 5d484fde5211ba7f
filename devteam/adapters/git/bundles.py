"""Git bundles of attempts' work: made for people who take over, and looked at closely when they come back.

A bundle from outside is a file of unknown origin. It is unpacked into a repository of its own that only borrows the
mirror's objects, where git checks every object; no hook, no configuration and no working tree of it exists.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from devteam.adapters.git.command import GitError, GitErrorKind, check_branch, check_ref, check_sha, run_git
from devteam.adapters.git.store import Session, put_settings_back
from devteam.executions.bundles import Handed
from devteam.kit.errors import Conflict, Invalid

CHECK_TIMEOUT: Final = 120.0
CONTENT_LIMIT: Final = 512 * 1024 * 1024
"""Bytes of all files that a bundle brings, unpacked: a small bundle can hold a lot of nothing."""
COMMIT_LIMIT: Final = 1000
_HEADER_LIMIT: Final = 64 * 1024
_HEADER: Final = re.compile(rb"# v2 git bundle\n|# v3 git bundle\n@object-format=sha(?:1|256)\n")


@dataclass(frozen=True)
class Bundle:
    """A bundle taken apart: what its branches and HEAD point at, and the pack with the objects."""

    refs: dict[str, str]
    pack: bytes

    @property
    def commit(self) -> str:
        """What is handed over: HEAD, or the only branch. Raises Invalid when it is not clear."""
        branches = {name: sha for name, sha in self.refs.items() if name.startswith("refs/heads/")}
        found = {self.refs["HEAD"]} if "HEAD" in self.refs else set(branches.values())
        if len(found) != 1:
            raise _bad("It names no branch, or several; bundle exactly one.")
        return found.pop()


def parse_bundle(content: bytes) -> Bundle:
    """Take a bundle apart. Raises Invalid for what is none."""
    signature = _HEADER.match(content)
    end = content.find(b"\n\n", 0, _HEADER_LIMIT)
    if signature is None or end < 0 or content[end + 2 : end + 6] != b"PACK":
        raise _bad("It is no git bundle.")
    refs: dict[str, str] = {}
    for line in content[signature.end() : end].split(b"\n"):
        if line.startswith(b"-"):
            continue
        sha, _, name = line.decode("utf-8", errors="replace").partition(" ")
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", sha) or not name:
            raise _bad("Its head cannot be read.")
        refs[name] = sha
    return Bundle(refs, content[end + 2 :])


class GitBundles:
    """Bundles of projects whose mirrors lie in a folder of this machine."""

    def __init__(self, mirrors: Path) -> None:
        self._mirrors = mirrors

    @contextmanager
    def write(self, project_id: UUID, *, base: str, commit: str, branch: str, whole: bool) -> Iterator[Path]:
        """See `executions.bundles.Bundles`."""
        ref = f"refs/heads/{check_branch(branch)}"
        with self._borrowing(project_id) as scratch:
            _check_has(scratch, commit)
            run_git(["update-ref", ref, check_sha(commit)], git_dir=scratch)
            run_git(["symbolic-ref", "HEAD", ref], git_dir=scratch)
            file = scratch.parent / "work.bundle"
            since = [] if whole else [f"^{check_sha(base)}"]
            run_git(["bundle", "create", "--quiet", file, "HEAD", ref, *since], git_dir=scratch, timeout=CHECK_TIMEOUT)
            yield file

    def inspect(self, project_id: UUID, bundle: bytes, *, base: str) -> Handed:
        """See `executions.bundles.Bundles`."""
        parsed = parse_bundle(bundle)
        with self._borrowing(project_id) as scratch:
            _check_has(scratch, base)
            try:
                commit = unpack(scratch, parsed)
                ancestor = run_git(["merge-base", "--is-ancestor", base, commit], git_dir=scratch, ok=(0, 1))
                count = int(run_git(["rev-list", "--count", f"{base}..{commit}"], git_dir=scratch).text)
            except GitError as exc:
                if exc.kind in (GitErrorKind.DISK_FULL, GitErrorKind.TIMED_OUT):
                    raise
                raise _bad("Git finds it damaged, or it builds on commits that DevTeam does not have.") from exc
            if ancestor.code != 0:
                raise _bad(f"It does not build on {base[:12]}, where the attempt began.", code="wrong_base")
            if count == 0:
                raise _bad("It holds no commit beyond where the attempt began.")
            if count > COMMIT_LIMIT:
                raise _bad(f"It holds {count} commits; {COMMIT_LIMIT} are allowed.")
            _check_size(scratch, base, commit)
            return Handed(commit, count)

    @contextmanager
    def _borrowing(self, project_id: UUID) -> Iterator[Path]:
        """An empty repository that sees the objects of the project's mirror."""
        mirror = self._mirrors / f"{project_id}.git"
        if not (mirror / "objects").is_dir():
            raise Conflict(
                "The project's repository is not on this machine: its workers keep their data elsewhere.",
                code="mirror_elsewhere",
            )
        put_settings_back(mirror)
        with tempfile.TemporaryDirectory(prefix="devteam-bundle-") as folder:
            scratch = Path(folder) / "repository.git"
            run_git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", scratch])
            alternates = scratch / "objects" / "info" / "alternates"
            alternates.parent.mkdir(parents=True, exist_ok=True)
            alternates.write_text(f"{mirror.absolute() / 'objects'}\n", encoding="utf-8")
            yield scratch


def unpack(git_dir: Path, bundle: Bundle) -> str:
    """Put a bundle's objects into a repository, each one checked; the commit. Raises GitError, Invalid."""
    _index_pack(git_dir, bundle.pack)
    commit = bundle.commit
    kind = run_git(["cat-file", "-t", check_sha(commit)], git_dir=git_dir).text
    if kind != "commit":
        raise _bad("What it names is no commit.")
    return commit


def receive(session: Session, bundle: Bundle, ref: str) -> None:
    """Put a bundle that was found sound into the mirror, its commit under a ref. Harmless when it is there."""
    _index_pack(session.git_dir, bundle.pack)
    session.git("update-ref", check_ref(ref), check_sha(bundle.commit))


def _index_pack(git_dir: Path, pack: bytes) -> None:
    run_git(["index-pack", "--stdin", "--fix-thin", "--strict"], git_dir=git_dir, stdin=pack, timeout=CHECK_TIMEOUT)


def _check_has(git_dir: Path, commit: str) -> None:
    found = run_git(["cat-file", "-e", f"{check_sha(commit)}^{{commit}}"], git_dir=git_dir, ok=(0, 1, 128))
    if found.code != 0:
        raise Conflict("The attempt's work is not on this machine: another worker did it.", code="mirror_elsewhere")


def _check_size(git_dir: Path, base: str, commit: str) -> None:
    """Bound what the bundle's files come to when they are written out."""
    names = run_git(["rev-list", "--objects", "--no-object-names", f"{base}..{commit}"], git_dir=git_dir).stdout
    sizes = run_git(["cat-file", "--batch-check=%(objectsize)"], git_dir=git_dir, stdin=names).stdout
    if sum(int(size) for size in sizes.split() if size.isdigit()) > CONTENT_LIMIT:
        raise _bad(f"Its files come to more than {CONTENT_LIMIT // 2**20} MiB.")


def _bad(message: str, *, code: str = "bad_bundle") -> Invalid:
    return Invalid(f"The bundle is refused. {message}", code=code)
