"""Patterns of paths: `*` and `?` stay inside a folder, `**` does not, a pattern that ends with `/` is a folder."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache


def matching(paths: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The paths that one of the patterns means, in their order."""
    return [path for path in paths if matches(path, patterns)]


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns means the path. A pattern without a folder means the top folder."""
    return any(_compiled(pattern).fullmatch(path) is not None for pattern in patterns)


@lru_cache(maxsize=2048)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Built from pieces that cannot match the same text in two ways, so that no path is searched for long."""
    pattern = pattern.removeprefix("./").lstrip("/")
    if pattern.endswith("/"):
        pattern += "**"
    parts = re.sub(r"(\*\*/)+", "**/", re.sub(r"\*{3,}", "**", pattern)).split("/")
    out = ""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            out += "(?s:.+)" if last else "(?:[^/]+/)*"
        else:
            out += _segment(part) + ("" if last else "/")
    return re.compile(out)


def _segment(part: str) -> str:
    pieces = re.split(r"(\*+|\?)", part)
    return "".join(
        "[^/]*" if piece.startswith("*") else "[^/]" if piece == "?" else re.escape(piece) for piece in pieces
    )
