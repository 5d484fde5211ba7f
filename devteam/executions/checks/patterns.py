"""Patterns of paths: `*` and `?` stay inside a folder, `**` does not, a pattern that ends with `/` is a folder.

No pattern takes long on any path: of the choices that a star leaves, only the last star's are ever tried again.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

_ANY = None
"""Any number of folders."""


def matching(paths: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The paths that one of the patterns means, in their order."""
    return [path for path in paths if matches(path, patterns)]


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns means the path. A pattern without a folder means the top folder."""
    names = path.split("/")
    return any(_fits(names, _parts(pattern)) for pattern in patterns)


def _fits(names: Sequence[str], parts: Sequence[re.Pattern[str] | None]) -> bool:
    at = part = 0
    star = begin = -1
    while at < len(names):
        wanted = parts[part] if part < len(parts) else None
        if part < len(parts) and wanted is _ANY:
            star, begin = part, at
            part += 1
        elif wanted is not None and wanted.fullmatch(names[at]):
            at, part = at + 1, part + 1
        elif star >= 0:
            begin += 1
            at, part = begin, star + 1
        else:
            return False
    return all(rest is _ANY for rest in parts[part:])


@lru_cache(maxsize=2048)
def _parts(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    pattern = pattern.removeprefix("./").lstrip("/")
    if pattern.endswith("/"):
        pattern += "**"
    written = re.sub(r"(?:\*\*/)+", "**/", re.sub(r"\*{3,}", "**", pattern)).split("/")
    parts = [_ANY if part == "**" else _segment(part) for part in written]
    if written[-1] == "**":  # a folder's content, not the folder
        parts.append(re.compile(r"(?s:.+)"))
    return tuple(parts)


def _segment(part: str) -> re.Pattern[str]:
    first, *others = (_literal(piece) for piece in re.split(r"\*+", part))
    if not others:
        return re.compile(first)
    middle = "".join(f"(?>(?s:.)*?{piece})" for piece in others[:-1] if piece)
    return re.compile(f"{first}{middle}(?s:.)*{others[-1]}")


def _literal(text: str) -> str:
    return "(?s:.)".join(re.escape(piece) for piece in text.split("?"))
