"""What is kept of an agent's messages: JSON that the database can hold, however much an agent sends."""

import math
from typing import Any

from pydantic import BaseModel

TEXT_LIMIT = 20_000
"""Characters of one text."""
ENTRY_LIMIT = 200_000
"""Characters of all texts of one entry, roughly."""
_ITEMS = 500
_DEPTH = 20


def sound(text: str) -> str:
    """Without halves of characters, which nothing can store."""
    return text.encode("utf-8", errors="replace").decode()


def plain(message: BaseModel) -> dict[str, Any]:
    """A message as the protocol's own JSON, whole, with texts that are sound."""
    made = _plain(message.model_dump(by_alias=True, exclude_none=True))
    assert isinstance(made, dict)
    return made


def _plain(value: Any) -> Any:
    match value:
        case str():
            return sound(value)
        case dict():
            return {sound(str(key)): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int():
            return value
        case _:
            return sound(str(value))


def shortened(value: Any) -> Any:
    """JSON with long texts, long lists and deep nesting cut: the session is for reading, the workspace holds the
    whole.
    """
    return _Cut().of(value, 0)


class _Cut:
    """One entry on its way."""

    def __init__(self) -> None:
        self._left = ENTRY_LIMIT

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 10
        match value:
            case str():
                return self._text(value, TEXT_LIMIT)
            case dict() | list() if depth == _DEPTH or self._left <= 0:
                return "…"
            case dict():
                pairs = list(value.items())[:_ITEMS]
                return {self._text(str(key), 200): self.of(inner, depth + 1) for key, inner in pairs}
            case list():
                return [self.of(inner, depth + 1) for inner in value[:_ITEMS]]
            case _:
                return value

    def _text(self, text: str, limit: int) -> str:
        limit = max(0, min(limit, self._left))
        cut = f"{text[:limit]}\n… {len(text) - limit} more characters" if len(text) > limit else text
        self._left -= len(cut)
        return cut
