"""May this person do that? Each question is asked and enforced by one table."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from devteam.access.model import Actor, Role
from devteam.kit.errors import Forbidden, NotFound


class Permission(StrEnum):
    """What can be allowed."""

    READ = "read"
    RETRY_TASK = "retry_task"
    GUIDE_ATTEMPT = "guide_attempt"
    ANSWER_APPROVAL = "answer_approval"
    TAKE_OVER = "take_over"
    COMMAND = "command"
    CREATE_CUSTOMER = "create_customer"
    MANAGE_USERS = "manage_users"
    MANAGE_PROVIDERS = "manage_providers"


ROLES: Mapping[Permission, frozenset[Role]] = {
    Permission.READ: frozenset(Role),
    Permission.RETRY_TASK: frozenset({Role.ADMIN, Role.PROJECT_MANAGER, Role.DEVELOPER}),
    Permission.GUIDE_ATTEMPT: frozenset({Role.ADMIN, Role.PROJECT_MANAGER, Role.DEVELOPER}),
    Permission.ANSWER_APPROVAL: frozenset({Role.ADMIN, Role.PROJECT_MANAGER}),
    Permission.TAKE_OVER: frozenset({Role.ADMIN, Role.PROJECT_MANAGER, Role.DEVELOPER}),
    Permission.COMMAND: frozenset({Role.ADMIN, Role.PROJECT_MANAGER}),
    Permission.CREATE_CUSTOMER: frozenset({Role.ADMIN, Role.PROJECT_MANAGER}),
    Permission.MANAGE_USERS: frozenset({Role.ADMIN}),
    Permission.MANAGE_PROVIDERS: frozenset({Role.ADMIN}),
}

_NAMES = {
    Permission.READ: "read this",
    Permission.RETRY_TASK: "retry tasks",
    Permission.GUIDE_ATTEMPT: "give guidance to agents",
    Permission.ANSWER_APPROVAL: "answer what waits for approval",
    Permission.TAKE_OVER: "take tasks over",
    Permission.COMMAND: "steer executions and queues",
    Permission.CREATE_CUSTOMER: "create customers",
    Permission.MANAGE_USERS: "manage users",
    Permission.MANAGE_PROVIDERS: "manage model providers",
}


def check(actor: Actor, permission: Permission, customer_id: UUID | None = None) -> None:
    """Raise unless the actor may do it; a customer out of scope looks like one that does not exist."""
    if customer_id is not None and not actor.sees(customer_id):
        raise NotFound("There is no such customer.")
    if actor.role not in ROLES[permission]:
        allowed = " or ".join(sorted(role.value for role in ROLES[permission]))
        raise Forbidden(f"Your role is {actor.role.value}; only {allowed} may {_NAMES[permission]}.")
