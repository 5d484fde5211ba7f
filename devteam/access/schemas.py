"""Users and sessions as they are sent and shown."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from devteam.access.model import Actor, Role, User
from devteam.kit.wire import Input, UtcTime, View


class SignInInput(Input):
    """The token of a one-time sign-in link."""

    token: str = Field(min_length=1, max_length=200)


class UserInput(Input):
    """A new user; without `customerIds`, or with null, all customers are granted."""

    name: str = Field(min_length=1, max_length=120)
    role: Role
    customer_ids: list[UUID] | None = Field(default=None, max_length=10_000)


class SessionUser(View):
    """Who is signed in."""

    id: UUID
    name: str
    role: Role


class Session(View):
    """The caller: who it is and which customers are in scope."""

    user: SessionUser
    customers: Literal["all"] | list[UUID]

    @classmethod
    def of(cls, actor: Actor) -> "Session":
        """The session of a signed-in actor."""
        assert actor.user_id is not None
        return cls(
            user=SessionUser(id=actor.user_id, name=actor.name, role=actor.role),
            customers="all" if actor.customers is None else sorted(actor.customers),
        )


class UserView(View):
    """A user as shown; `customerIds` is null when all customers are granted."""

    kind: Literal["user"] = "user"
    id: UUID
    version: int
    name: str
    role: Role
    customer_ids: list[UUID] | None
    disabled: bool
    created_at: UtcTime

    @classmethod
    def of(cls, user: User) -> "UserView":
        """From a user."""
        return cls(
            id=user.id,
            version=user.version,
            name=user.name,
            role=user.role,
            customer_ids=None if user.customers is None else sorted(user.customers),
            disabled=user.disabled_at is not None,
            created_at=user.created_at,
        )


class UserList(View):
    """All users, by name."""

    users: list[UserView]


class NewUser(View):
    """A new user. `loginUrl` is shown once: null in an answer that is replayed."""

    user: UserView
    login_url: str | None


class LoginLink(View):
    """A one-time sign-in link, valid for 15 minutes. `loginUrl` is null in an answer that is replayed."""

    login_url: str | None


class ApiToken(View):
    """A token for programs that act as a user, valid until it is revoked. `token` is null in a replayed answer."""

    token: str | None
