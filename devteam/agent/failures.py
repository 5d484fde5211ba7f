"""How a call to the model can fail, which failures are worth another try, and how long to wait before it."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

RETRIES = 4
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
_BODY_EXCERPT = 500
_EPOCH_FROM = 1_000_000_000  # a number this large is a moment, a smaller one a duration
_CONTEXT_WORDS = re.compile(
    r"context.{0,20}(length|window|limit|size)|too many tokens|prompt is too long", re.IGNORECASE
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Reason(StrEnum):
    """Why the model cannot be used; clients may act on it."""

    NOT_CONFIGURED = "not_configured"
    UNAUTHORIZED = "unauthorized"
    PAYMENT_REQUIRED = "payment_required"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    CONTEXT_TOO_LONG = "context_too_long"
    BAD_REQUEST = "bad_request"
    BAD_ANSWER = "bad_answer"


class ModelError(Exception):
    """The model cannot go on; `reset_at` is when it says it can again."""

    def __init__(
        self, reason: Reason, message: str, *, status: int | None = None, reset_at: datetime | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status
        self.reset_at = reset_at


class TransientError(Exception):
    """Worth another try; `wait` is how many seconds the server asked for."""

    def __init__(self, reason: Reason, message: str, *, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status
        self.wait = wait

    def final(self) -> ModelError:
        """The same, once nobody tries again."""
        reset = None if self.wait is None else datetime.fromtimestamp(time.time() + self.wait, UTC)
        return ModelError(self.reason, self.message, status=self.status, reset_at=reset)


def failure_of(status: int, headers: Mapping[str, str], body: str) -> ModelError | TransientError:
    """What an answer other than success means."""
    said = " ".join(body.split())[:_BODY_EXCERPT]
    message = f"the model answered {status}: {said or 'no reason given'}"
    match status:
        case 401:
            return ModelError(Reason.UNAUTHORIZED, f"the key was not accepted; {message}", status=status)
        case 402:
            return ModelError(Reason.PAYMENT_REQUIRED, f"there is no credit or budget left; {message}", status=status)
        case 403:
            return ModelError(Reason.FORBIDDEN, f"the key may not use this model; {message}", status=status)
        case 429:
            wait = wait_asked_for(headers, now=time.time())
            if "insufficient_quota" in body:  # an empty account, told as a rate limit
                return ModelError(Reason.PAYMENT_REQUIRED, f"there is no credit left; {message}", status=status)
            return TransientError(
                Reason.RATE_LIMITED, f"the rate limit is reached; {message}", status=status, wait=wait
            )
        case 413:
            return ModelError(Reason.CONTEXT_TOO_LONG, message, status=status)
        case 408 | 409 | 425:
            return TransientError(Reason.UNAVAILABLE, message, status=status)
        case _ if status >= 500:
            wait = wait_asked_for(headers, now=time.time())
            return TransientError(Reason.UNAVAILABLE, message, status=status, wait=wait)
        case _ if _CONTEXT_WORDS.search(body):
            return ModelError(Reason.CONTEXT_TOO_LONG, message, status=status)
        case _:
            return ModelError(Reason.BAD_REQUEST, message, status=status)


def wait_asked_for(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds until the server takes calls again, from any of the headers in use; None when it does not say.

    `headers` has lower-case names. A reset counts only when nothing is left of what it resets, or when it is the only
    thing said.
    """
    if value := headers.get("retry-after-ms"):
        return _seconds(value, now, unit=0.001)
    if value := headers.get("retry-after"):
        return _seconds(value, now)
    resets = {
        name: wait for name, value in headers.items() if _is_reset(name) and (wait := _seconds(value, now)) is not None
    }
    spent = [wait for name, wait in resets.items() if _remaining(headers, name) == "0"]
    known = spent or [wait for name, wait in resets.items() if _remaining(headers, name) is None]
    return max(known, default=None)


def _is_reset(name: str) -> bool:
    return "ratelimit" in name and "reset" in name


def _remaining(headers: Mapping[str, str], reset_name: str) -> str | None:
    return headers.get(reset_name.replace("reset", "remaining"))


def _seconds(value: str, now: float, *, unit: float = 1.0) -> float | None:
    """A number, a moment as number or text, or a duration such as `6m0s`."""
    value = value.strip()
    try:
        number = float(value)
    except ValueError:
        return _duration(value) if _DURATION.match(value) and not value[:4].isdigit() else _moment(value, now)
    if number > _EPOCH_FROM:
        seconds = number / 1000 if number > _EPOCH_FROM * 100 else number
        return max(0.0, seconds - now)
    return max(0.0, number * unit)


def _duration(value: str) -> float:
    return sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(value))


def _moment(value: str, now: float) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return max(0.0, parse(value).timestamp() - now)
        except ValueError:
            continue
    return None


@dataclass(frozen=True)
class Patience:
    """How long to keep trying: at most `total_seconds` of waiting for one call."""

    retries: int = RETRIES
    total_seconds: float = 120.0
    first_seconds: float = FIRST_WAIT_SECONDS


async def with_patience(
    call: Callable[[], Awaitable[T]],
    patience: Patience,
    on_wait: Callable[[TransientError, float], Awaitable[None]],
) -> T:
    """Try again after transient failures; raises `ModelError` at once when the wait asked for is too long."""
    left = patience.total_seconds
    for retry in range(patience.retries + 1):
        try:
            return await call()
        except TransientError as error:
            wait = error.wait
            if wait is None:
                backoff = min(patience.first_seconds * 2**retry, LONGEST_WAIT_SECONDS)
                wait = backoff * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
            if retry == patience.retries or wait > left:
                raise error.final() from error
            left -= wait
            await on_wait(error, wait)
            await asyncio.sleep(wait)
    raise AssertionError("the last try either answers or raises")
