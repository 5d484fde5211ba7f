"""Use cases of users, sign-in links, sessions and API tokens."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from devteam.access import repository
from devteam.access.actor_cache import ActorCache
from devteam.access.model import (
    ENGINE,
    LINK_VALID,
    SESSION_RENEWED_AFTER,
    SESSION_VALID,
    Actor,
    CredentialKind,
    Role,
    User,
)
from devteam.access.rules import Permission, check
from devteam.events.model import SYSTEM_STREAM, Event
from devteam.events.repository import append, create_stream
from devteam.kit.clock import Clock
from devteam.kit.db import Connection, Database
from devteam.kit.errors import Conflict, Invalid, NotFound, Unauthenticated
from devteam.kit.ids import new_id

LOCAL_ADMINISTRATOR = "local administrator"
"""The user as whom the command line of the machine that runs the engine acts."""


class AccessService:
    """Who is calling, and who may call."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._actors = ActorCache()

    def actor_for_session(self, token: str) -> Actor:
        """The signed-in user of a session; a session that is used lives on. Raises Unauthenticated."""
        return self._actor(token, CredentialKind.SESSION)

    def actor_for_api_token(self, token: str) -> Actor:
        """The user of an API token. Raises Unauthenticated."""
        return self._actor(token, CredentialKind.API_TOKEN)

    def _actor(self, token: str, kind: CredentialKind) -> Actor:
        token_hash = _hash(token)
        cached = self._actors.get(token_hash, kind)
        if cached is not None:
            return cached
        seen_at = self._actors.generation
        now = self._clock()
        with self._database.transaction() as connection:
            row = repository.credential(connection, token_hash, kind)
            if row is None or (row.expires_at is not None and row.expires_at <= now):
                raise Unauthenticated("You are not signed in, or the session has expired.")
            if kind is CredentialKind.SESSION and row.expires_at < now + SESSION_VALID - SESSION_RENEWED_AFTER:
                repository.prolong(connection, token_hash, expires_at=now + SESSION_VALID)
            user = repository.user_by_id(connection, row.user_id)
        assert user is not None
        self._actors.put(token_hash, kind, user.actor, generation=seen_at)
        return user.actor

    def sign_in(self, link_token: str) -> tuple[str, Actor]:
        """Trade a sign-in link for a session: (session token, actor). Works once. Raises Unauthenticated."""
        token_hash, now, session = _hash(link_token), self._clock(), _new_token()
        with self._database.transaction() as connection:
            user_id = repository.use_link(connection, token_hash, now=now)
            if user_id is None:
                raise self._bad_link(connection, token_hash, now)
            self._issue(connection, session, user_id, CredentialKind.SESSION, valid=SESSION_VALID)
            user = repository.user_by_id(connection, user_id)
        assert user is not None
        return session, user.actor

    def _bad_link(self, connection: Connection, token_hash: bytes, now: datetime) -> Unauthenticated:
        row = repository.credential(connection, token_hash, CredentialKind.LOGIN_LINK)
        if row is not None and row.used_at is not None:
            return Unauthenticated("This sign-in link was used already; ask for a new one.", code="link_used")
        if row is not None and row.expires_at <= now:
            return Unauthenticated("This sign-in link has expired; ask for a new one.", code="link_expired")
        return Unauthenticated("This is no valid sign-in link.", code="link_invalid")

    def sign_out(self, session_token: str) -> None:
        """Revoke a session; harmless when there is none."""
        with self._database.transaction() as connection:
            repository.delete_credential(connection, _hash(session_token))
        self._actors.clear()

    def users(self, actor: Actor) -> list[User]:
        """Every user, by name."""
        check(actor, Permission.MANAGE_USERS)
        with self._database.transaction() as connection:
            return repository.all_users(connection)

    def create_user(
        self, actor: Actor, *, name: str, role: Role, customers: frozenset[UUID] | None
    ) -> tuple[User, str]:
        """A new user and the token of the first sign-in link. `customers` None grants all of them."""
        check(actor, Permission.MANAGE_USERS)
        cleaned = _clean_name(name)
        if role is Role.ADMIN and customers is not None:
            raise Invalid.field("customerIds", "An administrator has all customers.")
        try:
            with self._database.transaction() as connection:
                missing = repository.unknown_customers(connection, customers or ())
                if missing:
                    raise Invalid.field("customerIds", f"There is no customer {missing[0]}.")
                user = self._insert(connection, actor, cleaned, role, customers)
                return user, self._new_link(connection, actor, user)
        except IntegrityError as exc:
            raise Conflict(f"There is already a user called {cleaned}.", code="name_taken") from exc

    def create_login_link(self, actor: Actor, user_id: UUID) -> str:
        """A new sign-in link for a user; its token is shown this once."""
        check(actor, Permission.MANAGE_USERS)
        with self._database.transaction() as connection:
            user = self._found(connection, user_id)
            if user.disabled_at is not None:
                raise Conflict("This user is disabled.", code="user_disabled")
            return self._new_link(connection, actor, user)

    def disable_user(self, actor: Actor, user_id: UUID) -> User:
        """Lock a user out, at once and everywhere. One cannot lock oneself out, so one administrator remains."""
        check(actor, Permission.MANAGE_USERS)
        if user_id == actor.user_id:
            raise Conflict("You cannot disable yourself.", code="own_user")
        with self._database.transaction() as connection:
            user = self._found(connection, user_id)
            if user.disabled_at is None:
                repository.disable_user(connection, user_id, now=self._clock())
                self._note(connection, actor, Event("user_disabled", "user", user_id, data={"name": user.name}))
                user = self._found(connection, user_id)
        self._actors.clear()
        return user

    def create_api_token(self, actor: Actor, user_id: UUID) -> str:
        """A token for programs that act as this user; shown this once, valid until it is revoked."""
        check(actor, Permission.MANAGE_USERS)
        token = _new_token()
        with self._database.transaction() as connection:
            user = self._found(connection, user_id)
            if user.disabled_at is not None:
                raise Conflict("This user is disabled.", code="user_disabled")
            self._issue(connection, token, user_id, CredentialKind.API_TOKEN, valid=None)
            self._note(connection, actor, Event("api_token_created", "user", user_id, data={"name": user.name}))
        return token

    def revoke_api_tokens(self, actor: Actor, user_id: UUID) -> User:
        """Make all of a user's API tokens worthless."""
        check(actor, Permission.MANAGE_USERS)
        with self._database.transaction() as connection:
            user = self._found(connection, user_id)
            repository.delete_api_tokens(connection, user_id)
            self._note(connection, actor, Event("api_tokens_revoked", "user", user_id, data={"name": user.name}))
        self._actors.clear()
        return user

    def ensure_admin(self, name: str) -> str:
        """The token of a sign-in link for the administrator of that name, who is created when missing.

        For whoever starts the engine: that person owns its data anyway.
        """
        with self._database.transaction() as connection:
            return self._new_link(connection, ENGINE, self._admin(connection, name))

    def ensure_local_token(self) -> str:
        """A new API token of the local administrator; the one of the last start becomes worthless."""
        token = _new_token()
        with self._database.transaction() as connection:
            user = self._admin(connection, LOCAL_ADMINISTRATOR)
            repository.delete_api_tokens(connection, user.id)
            self._issue(connection, token, user.id, CredentialKind.API_TOKEN, valid=None)
        self._actors.clear()
        return token

    def purge(self) -> int:
        """Forget what expired more than a day ago; until then a stale link can still say why it does not work."""
        with self._database.transaction() as connection:
            return repository.delete_expired(connection, before=self._clock() - timedelta(days=1))

    def _admin(self, connection: Connection, name: str) -> User:
        user = repository.user_by_name(connection, name)
        if user is None:
            return self._insert(connection, ENGINE, _clean_name(name), Role.ADMIN, None)
        if user.disabled_at is not None or user.role is not Role.ADMIN:
            raise Conflict(f"The user {user.name} is no active administrator; choose another name.")
        return user

    def _insert(
        self, connection: Connection, actor: Actor, name: str, role: Role, customers: frozenset[UUID] | None
    ) -> User:
        user_id = new_id()
        repository.insert_user(connection, user_id, name=name, role=role, customers=customers, now=self._clock())
        self._note(connection, actor, Event("user_created", "user", user_id, data={"name": name, "role": role.value}))
        return self._found(connection, user_id)

    def _new_link(self, connection: Connection, actor: Actor, user: User) -> str:
        token = _new_token()
        self._issue(connection, token, user.id, CredentialKind.LOGIN_LINK, valid=LINK_VALID)
        self._note(connection, actor, Event("login_link_created", "user", user.id, data={"name": user.name}))
        return token

    def _issue(
        self, connection: Connection, token: str, user_id: UUID, kind: CredentialKind, *, valid: timedelta | None
    ) -> None:
        now = self._clock()
        expires_at = None if valid is None else now + valid
        repository.insert_credential(connection, _hash(token), user_id, kind, now=now, expires_at=expires_at)

    def _note(self, connection: Connection, actor: Actor, event: Event) -> None:
        create_stream(connection, SYSTEM_STREAM)
        append(connection, SYSTEM_STREAM, actor=actor.name, at=self._clock(), events=[event], changes=[])

    def _found(self, connection: Connection, user_id: UUID) -> User:
        user = repository.user_by_id(connection, user_id)
        if user is None:
            raise NotFound("There is no such user.")
        return user


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _clean_name(name: str) -> str:
    cleaned = " ".join(name.split())
    if not cleaned or not cleaned.isprintable():
        raise Invalid.field("name", "A name needs at least one visible character and no control characters.")
    return cleaned
