"""What a task changed, as checks read it: files, and the lines of a patch.

The patch is what git writes with `-p -U0 --text --no-renames`: a renamed file is one that went and one that came.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Side = Literal["+", "-"]

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}


@dataclass(frozen=True)
class Line:
    """A line that was added or removed; `number` counts in the file on its side."""

    side: Side
    number: int
    text: str


@dataclass(frozen=True)
class FileChange:
    """A file that came (A), changed (M, T) or went (D). `before` and `after` are whole texts where a check wants them.

    `added` and `deleted` count lines; None for what git takes for binary.
    """

    path: str
    status: str
    added: int | None = None
    deleted: int | None = None
    patch: bytes = b""
    before: str | None = None
    after: str | None = None

    def lines(self) -> Iterator[Line]:
        """The lines added and removed, as the patch has them; text is read as UTF-8, whatever it is."""
        for kind, number, raw in _lines(self.patch):
            yield Line(kind, number, raw.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Changes:
    """All that a task changed. `cut` says that the patch was longer than is read, so that some lines are missing."""

    files: Sequence[FileChange]
    cut: bool = False

    @cached_property
    def paths(self) -> list[str]:
        """Every path that came, changed or went."""
        return [file.path for file in self.files]


def split_patch(patch: bytes) -> Iterator[tuple[str, bytes]]:
    """The patch by file: its path, and its part. Lines that look like headers inside a file do not mislead it."""
    path, start, old, new = "", 0, 0, 0
    for at, line in _raw_lines(patch):
        if old > 0 or new > 0:
            old -= line.startswith((b"-", b" "))
            new -= line.startswith((b"+", b" "))
        elif line.startswith(b"diff --git "):
            if at > start:
                yield path, patch[start:at]
            path, start = "", at
        elif line.startswith((b"--- ", b"+++ ")):
            path = _path(line[4:]) or path
        elif hunk := _HUNK.match(line):
            old, new = _count(hunk[2]), _count(hunk[4])
    if len(patch) > start:
        yield path, patch[start:]


def _lines(part: bytes) -> Iterator[tuple[Side, int, bytes]]:
    old = new = old_number = new_number = 0
    for _, line in _raw_lines(part):
        if old > 0 or new > 0:
            if line.startswith(b"-"):
                yield "-", old_number, line[1:]
                old, old_number = old - 1, old_number + 1
            elif line.startswith(b"+"):
                yield "+", new_number, line[1:]
                new, new_number = new - 1, new_number + 1
        elif hunk := _HUNK.match(line):
            old, new = _count(hunk[2]), _count(hunk[4])
            old_number, new_number = int(hunk[1]), int(hunk[3])


def _raw_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield at, data[at:end]
        at = end + 1


def _count(text: bytes | None) -> int:
    return 1 if text is None else int(text)


def _path(written: bytes) -> str | None:
    """A path as git writes it in a header: quoted when it holds odd characters, with a tab after one with blanks."""
    text = written.removesuffix(b"\t").decode("utf-8", "surrogateescape")
    if text == "/dev/null":
        return None
    if text.startswith('"'):
        text = _unquoted(text[1:].removesuffix('"'))
    return text[2:]


def _unquoted(text: str) -> str:
    out = bytearray()
    at = 0
    while at < len(text):
        if text[at] != "\\" or at + 1 == len(text):
            out += text[at].encode("utf-8", "surrogateescape")
            at += 1
        elif octal := re.match(r"[0-3][0-7]{2}", text[at + 1 : at + 4]):
            out.append(int(octal[0], 8))
            at += 4
        else:
            out.append(_ESCAPES.get(text[at + 1], ord("?")))
            at += 2
    return out.decode("utf-8", "surrogateescape")
