"""What an incident keeps as evidence: short, few, and the latest beside what was seen before."""

from collections.abc import Callable, Mapping
from typing import Any

from devteam.incidents.model import INCIDENT_MOVES, IncidentStatus
from devteam.kit.errors import IllegalMove

TEXT_LIMIT = 500
LIST_LIMIT = 20
"""Values kept of one kind; the count goes on."""


def check_move(status: IncidentStatus, to: IncidentStatus) -> None:
    """Raise IllegalMove unless an incident may go from one state to the other."""
    if to not in INCIDENT_MOVES[status]:
        raise IllegalMove(f"An incident that is {status} cannot become {to}.")


def shortened(value: Any, hide: Callable[[str], str] = lambda text: text) -> Any:
    """JSON with secrets hidden, texts cut, and lists no longer than is kept."""
    if isinstance(value, str):
        text = hide(value.replace("\0", "\ufffd").encode("utf-8", "replace").decode())
        return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"
    if isinstance(value, Mapping):
        return {shortened(str(key), hide): shortened(inner, hide) for key, inner in list(value.items())[:LIST_LIMIT]}
    if isinstance(value, list | tuple | set | frozenset):
        return [shortened(inner, hide) for inner in list(value)[:LIST_LIMIT]]
    if value is None or isinstance(value, bool | int | float):
        return value
    return shortened(str(value), hide)


def merged(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence after the same thing happened again: lists grow by what is new, other values are the latest."""
    result = dict(before)
    for key, value in now.items():
        old = result.get(key)
        if isinstance(old, list) and isinstance(value, list):
            result[key] = [*old, *(item for item in value if item not in old)][:LIST_LIMIT]
        else:
            result[key] = value
    return result
