"""The errors that callers may see.

DevTeamError
├── Invalid         the input is wrong; `errors` names the fields
├── NotFound        no such thing, or not in the caller's scope
├── Refused         a policy said no
│   └── Forbidden   the caller's role does not allow it
├── Conflict        the thing's state does not allow it now
│   ├── IllegalMove a state machine has no such move
│   └── Stale       an edit was based on an older version
├── Unauthenticated nobody is signed in
└── Fenced          another run has taken this attempt over; the caller must stop
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of the input; `field` is its camelCase path, such as `gates.0.argv`."""

    field: str
    message: str


class DevTeamError(Exception):
    """An error with a sentence for a person. `code` is stable and machine-readable."""

    status: ClassVar[int] = 500
    code: str = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.errors = tuple(errors)
        self.extra = dict(extra or {})


class Invalid(DevTeamError):
    """The input is wrong."""

    status = 422
    code = "invalid"

    @classmethod
    def field(cls, field: str, message: str, *, code: str = "invalid") -> "Invalid":
        """One field is wrong."""
        return cls(message, code=code, errors=[FieldError(field, message)])


class NotFound(DevTeamError):
    """There is no such thing, or it is outside the caller's scope; the answer is the same on purpose."""

    status = 404
    code = "not_found"


class Refused(DevTeamError):
    """A policy said no."""

    status = 403
    code = "refused"


class Forbidden(Refused):
    """The caller's role does not allow it."""

    code = "forbidden"


class Unauthenticated(DevTeamError):
    """Nobody is signed in."""

    status = 401
    code = "unauthenticated"


class Conflict(DevTeamError):
    """The thing's present state does not allow it."""

    status = 409
    code = "conflict"


class IllegalMove(Conflict):
    """A state machine has no such move."""

    code = "illegal_move"


class Stale(DevTeamError):
    """An edit was based on an older version of the thing."""

    status = 412
    code = "stale"


class Fenced(DevTeamError):
    """Another run has taken this attempt over: whoever gets this must stop without a further effect."""

    code = "fenced"
