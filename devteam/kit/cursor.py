"""Opaque cursors of paged lists: the sort key of the last entry that was shown."""

import base64
import binascii
import json
from typing import Any

from devteam.kit.errors import Invalid


def encode_cursor(*key: Any) -> str:
    """A cursor that stands after the entry with this sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The sort key. Raises Invalid for anything that we did not make."""
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as exc:
        raise bad_cursor() from exc
    if not isinstance(key, list):
        raise bad_cursor()
    return key


def bad_cursor() -> Invalid:
    """The error for a cursor of foreign make."""
    return Invalid.field("cursor", "This is no cursor of this list; start without one.")
