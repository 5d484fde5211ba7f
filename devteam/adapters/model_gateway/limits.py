"""When a provider that says "too many" may be asked again: read from its answer."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

_DEFAULT = timedelta(seconds=20)
_LONGEST = timedelta(hours=24)
_NUMBER = re.compile(r"\d{1,18}(\.\d{1,18})?")
_PART = r"(?:(\d{1,9}(?:\.\d{1,9})?)%s)?"
_SPAN = re.compile("".join(_PART % unit for unit in ("d", "h", "m(?!s)", "s", "ms")))
_EPOCH_SECONDS, _EPOCH_MILLISECONDS = 1e9, 1e11
"""A number from here on is a moment, not a span."""


def free_again(headers: Mapping[str, str], now: datetime, content: bytes = b"") -> tuple[datetime, bool]:
    """When the provider can be asked again, and whether it said so itself, in headers or as Google does in the text."""
    told = {name.lower(): value for name, value in headers.items()}
    wait = _retry_after(told, now)
    if wait is None:
        wait = max((span for delay in _delays(content) if (span := _span(delay, now)) is not None), default=None)
    if wait is None:
        resets = {
            name: span
            for name, value in told.items()
            if "ratelimit" in name and "reset" in name and (span := _span(value, now)) is not None
        }
        # Only the limits that ran out count; those of which nothing is said, when none is said to have run out.
        left = {name: told.get(name.replace("reset", "remaining")) for name in resets}
        out = [span for name, span in resets.items() if (left[name] or "").strip() in ("0", "0.0")]
        wait = max(out or [span for name, span in resets.items() if left[name] is None], default=None)
    if wait is None:
        return now + _DEFAULT, False
    return now + min(max(wait, timedelta(0)), _LONGEST), True


def _delays(content: bytes) -> Iterator[str]:
    """The `retryDelay` of each of an error's details."""
    if b"retryDelay" not in content:
        return
    try:
        answer: Any = json.loads(content)
    except (ValueError, RecursionError):
        return
    for each in answer if isinstance(answer, list) else [answer]:
        error = each.get("error") if isinstance(each, dict) else None
        details = error.get("details") if isinstance(error, dict) else None
        for detail in details if isinstance(details, list) else []:
            if isinstance(detail, dict) and isinstance(detail.get("retryDelay"), str):
                yield detail["retryDelay"]


def _retry_after(told: Mapping[str, str], now: datetime) -> timedelta | None:
    exact = told.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(exact):
        return timedelta(milliseconds=float(exact))
    value = told.get("retry-after")
    return None if value is None else _span(value, now)


def _span(value: str, now: datetime) -> timedelta | None:
    """Seconds, `1m30s`, a moment as a number, an HTTP date or an ISO time, as a span from now."""
    value = value.strip()
    if _NUMBER.fullmatch(value):
        return _of_number(float(value), now)
    found = _SPAN.fullmatch(value)
    if found is not None and value:
        days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def _of_number(number: float, now: datetime) -> timedelta:
    if number < _EPOCH_SECONDS:
        return timedelta(seconds=number)
    seconds = number / 1000 if number >= _EPOCH_MILLISECONDS else number
    return (
        _LONGEST if seconds > now.timestamp() + _LONGEST.total_seconds() else datetime.fromtimestamp(seconds, UTC) - now
    )
