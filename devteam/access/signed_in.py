"""Who sends this request: the edge's dependencies for every route that needs a signed-in user."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from devteam.access.model import SESSION_COOKIE, Actor
from devteam.access.service import AccessService
from devteam.kit.errors import Refused, Unauthenticated
from devteam.kit.http import provided
from devteam.kit.idempotency import Command, Commands
from devteam.kit.settings import WebSettings

_COOKIE = APIKeyCookie(name=SESSION_COOKIE, scheme_name="session", auto_error=False)
_BEARER = HTTPBearer(scheme_name="apiToken", auto_error=False)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

AccessDep = Annotated[AccessService, Depends(provided(AccessService))]
SettingsDep = Annotated[WebSettings, Depends(provided(WebSettings))]


async def get_actor(
    request: Request,
    access: AccessDep,
    settings: SettingsDep,
    cookie: Annotated[str | None, Depends(_COOKIE)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Actor:
    """The signed-in user, by API token or session cookie. Raises Unauthenticated.

    Browsers send cookies along from foreign pages too, so with the cookie a command must name our own origin.
    """
    if bearer is not None:
        return await run_in_threadpool(access.actor_for_api_token, bearer.credentials)
    if not cookie:
        raise Unauthenticated("Sign in first.")
    if request.method not in _SAFE:
        check_origin(request.headers.get("origin"), request.headers.get("host"), settings.allowed_origins)
    return await run_in_threadpool(access.actor_for_session, cookie)


def check_origin(origin: str | None, host: str | None, allowed: Collection[str]) -> None:
    """Raise Refused unless the page that sends this is one of ours."""
    if origin in allowed:
        return
    # The scheme is not compared: a proxy in front of us may speak TLS where we do not.
    if origin is None or host is None or _host_of(origin) != host.lower():
        raise Refused("The request does not come from a page of this server.", code="foreign_origin")


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


ActorDep = Annotated[Actor, Depends(get_actor)]


@dataclass(frozen=True)
class CommandRun:
    """A command of the signed-in user, done once however often it is sent under its idempotency key."""

    actor: Actor
    command: Command
    commands: Commands

    def run(self, act: Callable[[Actor], Response], *, secrets: Collection[str] = ()) -> Response:
        """Do it in one transaction with its key, or replay its answer."""
        return self.commands.run(self.command, lambda: act(self.actor), secrets=secrets)

    def run_repeatable(self, act: Callable[[Actor], Response]) -> Response:
        """The same for an act that commits bit by bit and may run again without harm."""
        return self.commands.run_repeatable(self.command, lambda: act(self.actor))


async def get_command(
    request: Request,
    actor: ActorDep,
    commands: Annotated[Commands, Depends(provided(Commands))],
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Names this command; sent again within 24 hours, it is answered and not done again.",
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
        ),
    ] = None,
) -> CommandRun:
    """The command that this POST asks for."""
    assert actor.user_id is not None
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return CommandRun(actor, Command(actor.user_id, idempotency_key, digest.digest()), commands)


CommandDep = Annotated[CommandRun, Depends(get_command)]
