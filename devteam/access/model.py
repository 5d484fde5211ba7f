"""Users and the actor on whose behalf something happens."""

from dataclasses import dataclass
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
