"""What changed between two commits, as checks want to know it: each line, whatever git's attributes say of a file."""

from collections.abc import Callable
from typing import Final, NamedTuple

from devteam.adapters.git.command import check_sha, read_git, run_git
from devteam.adapters.git.workspace import Mirror
from devteam.executions.checks.changes import Changes, FileChange, split_patch

PATCH_LIMIT: Final = 64_000_000
"""Bytes of a change that are looked through."""
TEXT_LIMIT: Final = 1_000_000
"""Bytes of a file that is read whole; a manifest that is larger is none."""
TEXTS_LIMIT: Final = 400
"""How many files are read whole."""

_OPTIONS: Final = (
    "-r", "--text", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short", "--full-index",
)  # fmt: skip


class _Entry(NamedTuple):
    path: str
    status: str
    before: str
    after: str


def inspect(mirror: Mirror, base: str, commit: str, wants_text: Callable[[str], bool]) -> Changes:
    """All that changed; `wants_text` chooses the files whose whole text is read on both sides."""
    ends = [check_sha(base), check_sha(commit), "--"]
    entries, counts = _listing(mirror.read("diff-tree", "--raw", "--numstat", "-z", *_OPTIONS, *ends).stdout)
    args = ["diff-tree", "-p", "-U0", "--src-prefix=a/", "--dst-prefix=b/", *_OPTIONS, *ends]
    patch, cut = read_git(args, git_dir=mirror.path, limit=PATCH_LIMIT)
    parts: dict[str, bytes] = {}
    for path, part in split_patch(patch):
        parts[path] = parts.get(path, b"") + part  # a file that became a link stands there twice
    wanted = {entry for entry in entries if wants_text(entry.path)}
    texts = _texts(mirror, {blob for entry in wanted for blob in (entry.before, entry.after)})
    return Changes([_change(entry, counts, parts, texts if entry in wanted else {}) for entry in entries], cut)


def inspect_history(mirror: Mirror, base: str, commit: str) -> Changes:
    """What each commit between the two changed by itself: also what a later one took back."""
    args = ["log", "-p", "-m", "-U0", "--format=", "--src-prefix=a/", "--dst-prefix=b/", *_OPTIONS]
    patch, cut = read_git(
        [*args, f"{check_sha(base)}..{check_sha(commit)}", "--"], git_dir=mirror.path, limit=PATCH_LIMIT
    )
    return Changes([FileChange(path, "M", patch=part) for path, part in split_patch(patch)], cut)


def _change(
    entry: _Entry, counts: dict[str, tuple[int | None, int | None]], parts: dict[str, bytes], texts: dict[str, str]
) -> FileChange:
    added, deleted = counts.get(entry.path, (None, None))
    return FileChange(
        path=entry.path,
        status=entry.status,
        added=added,
        deleted=deleted,
        patch=parts.get(entry.path, b""),
        before=texts.get(entry.before),
        after=texts.get(entry.after),
    )


def _listing(output: bytes) -> tuple[list[_Entry], dict[str, tuple[int | None, int | None]]]:
    """The entries of `--raw --numstat -z`, and the lines added and deleted by path."""
    entries: list[_Entry] = []
    counts: dict[str, tuple[int | None, int | None]] = {}
    fields = iter(output.split(b"\0"))
    for field in fields:
        if field.startswith(b":"):
            _, _, before, after, status = field[1:].split(b" ")
            entries.append(_Entry(_name(next(fields)), status[:1].decode(), before.decode(), after.decode()))
        elif field:
            added, deleted, path = field.split(b"\t", 2)
            counts[_name(path)] = (_count(added), _count(deleted))
    return entries, counts


def _name(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _count(field: bytes) -> int | None:
    return None if field == b"-" else int(field)


def _texts(mirror: Mirror, blobs: set[str]) -> dict[str, str]:
    """The contents of the blobs, but of those that are too large."""
    names = sorted(blob for blob in blobs if blob.strip("0"))
    if not names:
        return {}
    listing = run_git(["cat-file", "--batch-check"], git_dir=mirror.path, stdin=_lines(names)).text
    facts = [line.split() for line in listing.splitlines() if line.count(" ") == 2]
    small = [name for name, kind, size in facts if kind == "blob" and int(size) <= TEXT_LIMIT][:TEXTS_LIMIT]
    if not small:
        return {}
    output = run_git(["cat-file", "--batch"], git_dir=mirror.path, stdin=_lines(small)).stdout
    texts: dict[str, str] = {}
    at = 0
    for name in small:
        begins = output.index(b"\n", at) + 1
        ends = begins + int(output[at:begins].split()[2])
        texts[name] = output[begins:ends].decode("utf-8", "replace")
        at = ends + 1
    return texts


def _lines(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()
