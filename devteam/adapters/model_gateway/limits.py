"""When a provider that says "too many" may be asked again: read from its answer's headers."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_DEFAULT = timedelta(seconds=20)
_LONGEST = timedelta(hours=24)
_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


def free_again(headers: Mapping[str, str], now: datetime) -> tuple[datetime, bool]:
    """When the provider can be asked again, and whether it said so itself."""
    wait = _retry_after(headers, now)
    if wait is None:
        waits = [
            found
            for name, value in headers.items()
            if name.lower().startswith(("x-ratelimit-reset", "anthropic-ratelimit")) and "reset" in name.lower()
            if _is_exhausted(name, headers) and (found := _span(value, now)) is not None
        ]
        wait = max(waits, default=None)
    if wait is None:
        return now + _DEFAULT, False
    return now + min(max(wait, timedelta(0)), _LONGEST), True


def _is_exhausted(reset_name: str, headers: Mapping[str, str]) -> bool:
    """Only the limit that ran out counts: the one with nothing remaining, or one that does not say."""
    remaining = headers.get(reset_name.lower().replace("reset", "remaining"))
    return remaining is None or remaining.strip() in ("0", "0.0")


def _retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    exact = headers.get("retry-after-ms")
    if exact is not None and re.fullmatch(r"\d+(\.\d+)?", exact.strip()):
        return timedelta(milliseconds=float(exact))
    value = headers.get("retry-after")
    return None if value is None else _span(value, now)


def _span(value: str, now: datetime) -> timedelta | None:
    """Seconds, `1m30s`, an HTTP date or an ISO time, as a span from now."""
    value = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        number = float(value)
        return datetime.fromtimestamp(number, UTC) - now if number > 1e9 else timedelta(seconds=number)
    found = _SPAN.fullmatch(value)
    if found is not None and value:
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds, milliseconds=milliseconds)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = parse(value)
        except (ValueError, TypeError):
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return None
