"""Who may open the socket: a signed-in user, from our own pages."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from devteam.access.model import Actor
from devteam.kit.errors import Unauthenticated
from devteam.live.wire import CloseCode

Authenticate = Callable[[Mapping[str, str], Mapping[str, str]], Actor | None]
"""The actor of these cookies and headers (lower-case names); None or Unauthenticated when nobody is signed in."""


def origin_allowed(headers: Mapping[str, str], allowed: frozenset[str]) -> bool:
    """Whether the page that opens the socket is ours, or of a host that was let in.

    Browsers always send an Origin, other programs need not; without one nothing but a bearer token counts, so that no
    browser can leave it out.
    """
    origin = headers.get("origin")
    if origin is None:
        return "authorization" in headers
    if origin in allowed:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc != "" and parts.netloc == headers.get("host")


def admit(
    authenticate: Authenticate,
    cookies: Mapping[str, str],
    headers: Mapping[str, str],
    allowed: frozenset[str],
) -> Actor | CloseCode:
    """The actor, or why there is none. Asks the database: it may block and raise what databases raise."""
    if not origin_allowed(headers, allowed):
        return CloseCode.WRONG_ORIGIN
    try:
        actor = authenticate(cookies, headers)
    except Unauthenticated:
        actor = None
    return CloseCode.NOT_SIGNED_IN if actor is None else actor
