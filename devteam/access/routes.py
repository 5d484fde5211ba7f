"""HTTP of sessions and users."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Cookie, Request, Response

from devteam.access.model import SESSION_COOKIE, SESSION_VALID, Actor
from devteam.access.schemas import ApiToken, LoginLink, NewUser, Session, SignInInput, UserInput, UserList, UserView
from devteam.access.signed_in import AccessDep, ActorDep, CommandDep, SettingsDep, check_origin
from devteam.kit.http import API, COMMANDS, answer, entity_answer, problems
from devteam.kit.settings import WebSettings

router = APIRouter(prefix=API, tags=["access"])


@router.post("/session", response_model=Session, responses=problems(400, 403, 413))
def sign_in(wanted: SignInInput, request: Request, access: AccessDep, settings: SettingsDep) -> Response:
    """Trade the token of a one-time sign-in link for a session cookie."""
    origin = request.headers.get("origin")
    if origin is not None:
        check_origin(origin, request.headers.get("host"), settings.allowed_origins)
    token, actor = access.sign_in(wanted.token)
    return _session(request, settings, actor, token)


@router.get("/session", response_model=Session, responses=problems())
def get_session(
    request: Request,
    actor: ActorDep,
    settings: SettingsDep,
    devteam_session: Annotated[str | None, Cookie(include_in_schema=False)] = None,
) -> Response:
    """Who is signed in, and which customers are in scope. The cookie is prolonged."""
    by_cookie = devteam_session if "authorization" not in request.headers else None
    return _session(request, settings, actor, by_cookie)


@router.delete("/session", status_code=204, response_class=Response, responses=problems(403))
def sign_out(
    actor: ActorDep,
    access: AccessDep,
    devteam_session: Annotated[str | None, Cookie(include_in_schema=False)] = None,
) -> Response:
    """End the session."""
    if devteam_session:
        access.sign_out(devteam_session)
    response = Response(status_code=204)
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
    return response


@router.get("/users", response_model=UserList, responses=problems(403))
def list_users(actor: ActorDep, access: AccessDep) -> Response:
    """All users, by name."""
    return answer(UserList(users=[UserView.of(user) for user in access.users(actor)]))


@router.post("/users", status_code=201, response_model=NewUser, responses=COMMANDS)
def create_user(
    wanted: UserInput, request: Request, command: CommandDep, access: AccessDep, settings: SettingsDep
) -> Response:
    """Create a user; the answer holds the first sign-in link."""

    def act(actor: Actor) -> Response:
        customers = None if wanted.customer_ids is None else frozenset(wanted.customer_ids)
        user, token = access.create_user(actor, name=wanted.name, role=wanted.role, customers=customers)
        view = NewUser(user=UserView.of(user), login_url=_login_url(request, settings, token))
        return answer(view, status=201, version=user.version)

    return command.run(act, secrets=["loginUrl"])


@router.post("/users/{user_id}/login-link", status_code=201, response_model=LoginLink, responses=COMMANDS)
def create_login_link(
    user_id: UUID, request: Request, command: CommandDep, access: AccessDep, settings: SettingsDep
) -> Response:
    """Make a new sign-in link for a user."""

    def act(actor: Actor) -> Response:
        token = access.create_login_link(actor, user_id)
        return answer(LoginLink(login_url=_login_url(request, settings, token)), status=201)

    return command.run(act, secrets=["loginUrl"])


@router.post("/users/{user_id}/api-tokens", status_code=201, response_model=ApiToken, responses=COMMANDS)
def create_api_token(user_id: UUID, command: CommandDep, access: AccessDep) -> Response:
    """Make a token for programs that act as this user; it is shown this once."""

    def act(actor: Actor) -> Response:
        return answer(ApiToken(token=access.create_api_token(actor, user_id)), status=201)

    return command.run(act, secrets=["token"])


@router.post("/users/{user_id}/revoke-api-tokens", response_model=UserView, responses=COMMANDS)
def revoke_api_tokens(user_id: UUID, command: CommandDep, access: AccessDep) -> Response:
    """Make all of a user's API tokens worthless, at once."""

    def act(actor: Actor) -> Response:
        return entity_answer(UserView.of(access.revoke_api_tokens(actor, user_id)))

    return command.run(act)


@router.post("/users/{user_id}/disable", response_model=UserView, responses=COMMANDS)
def disable_user(user_id: UUID, command: CommandDep, access: AccessDep) -> Response:
    """Lock a user out at once; sessions, links and tokens become worthless."""

    def act(actor: Actor) -> Response:
        return entity_answer(UserView.of(access.disable_user(actor, user_id)))

    return command.run(act)


def _login_url(request: Request, settings: WebSettings, token: str) -> str:
    base = settings.public_url or str(request.base_url)
    return f"{base.rstrip('/')}/login?token={token}"


def _session(request: Request, settings: WebSettings, actor: Actor, token: str | None) -> Response:
    response = answer(Session.of(actor))
    if token is not None:
        address = settings.public_url or str(request.base_url)
        response.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=int(SESSION_VALID.total_seconds()),
            path="/",
            httponly=True,
            samesite="lax",
            secure=address.startswith("https:"),
        )
    return response
