"""Time as a port: engine code asks the clock that it was given, so that tests can move it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds for measuring durations; never goes back."""
    return time.monotonic()


def isoformat(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and a `Z`, the one way times leave the process."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
