"""Users and the actor on whose behalf something happens."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    """What a person is to the system."""

    ADMIN = "admin"
    PROJECT_MANAGER = "project_manager"
    DEVELOPER = "developer"
    VIEWER = "viewer"


@dataclass(frozen=True)
class Actor:
    """Who acts: a signed-in user, or the engine itself.

    `customers` is None when every customer is in scope.
    """

    user_id: UUID | None
    name: str
    role: Role
    customers: frozenset[UUID] | None

    def sees(self, customer_id: UUID) -> bool:
        """Whether the customer is in scope."""
        return self.customers is None or customer_id in self.customers


ENGINE = Actor(user_id=None, name="engine", role=Role.ADMIN, customers=None)

SESSION_COOKIE = "devteam_session"
LINK_VALID = timedelta(minutes=15)
SESSION_VALID = timedelta(days=30)
SESSION_RENEWED_AFTER = timedelta(days=1)
"""A session that is used is prolonged at most this often."""


class CredentialKind(StrEnum):
    """What a secret token is for."""

    SESSION = "session"
    API_TOKEN = "api_token"  # noqa: S105 - the kind, not a token
    LOGIN_LINK = "login_link"


@dataclass(frozen=True)
class User:
    """A person with a role. `customers` is None when every customer is in scope."""

    id: UUID
    version: int
    name: str
    role: Role
    customers: frozenset[UUID] | None
    disabled_at: datetime | None
    created_at: datetime

    @property
    def actor(self) -> Actor:
        """The user as the one who acts."""
        return Actor(user_id=self.id, name=self.name, role=self.role, customers=self.customers)
