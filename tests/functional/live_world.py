"""The live socket on a real database behind a real server, as tests see it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from fastapi import FastAPI

from devteam.access.model import ENGINE, Actor, Role
from devteam.access.service import AccessService
from devteam.customers.schemas import CustomerInput
from devteam.customers.service import CustomerService
from devteam.executions.lifecycle import Lifecycle, RunRef, assign
from devteam.executions.queries import customer_snapshot, system_totals
from devteam.executions.service import ExecutionService
from devteam.kit.clock import utc_now
from devteam.kit.db import Database, sql
from devteam.live.hub import LiveHub, LiveSettings
from devteam.live.routes import router
from devteam.projects.ports import RepositoryHead
from devteam.projects.schemas import ProjectInput
from devteam.projects.service import ProjectService
from devteam.tasks.schemas import TaskInput
from devteam.tasks.service import TaskService
from devteam.workers.repository import join
from tests.live import Entities, LiveClient

QUICK = LiveSettings(heartbeat_seconds=0.5, sums_seconds=0.1, recheck_seconds=0.2, slow_seconds=2.0)


def live_app(database: Database, access: AccessService, settings: LiveSettings = QUICK) -> FastAPI:
    """An application with nothing but the live socket."""

    def authenticate(cookies: Mapping[str, str], headers: Mapping[str, str]) -> Actor | None:
        token = cookies.get("devteam_session")
        return None if token is None else access.actor_for_session(token)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.live_hub = LiveHub(database, utc_now, authenticate, settings=settings)
        await app.state.live_hub.start()
        yield
        await app.state.live_hub.stop()

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app


@dataclass
class LiveWorld:
    """A served hub, the services whose changes it shows, and shortcuts."""

    address: str
    database: Database
    access: AccessService
    connections: Callable[[], int] = lambda: 0

    def __post_init__(self) -> None:
        self.customers = CustomerService(self.database, utc_now)
        self.projects = ProjectService(self.database, utc_now, _probe)
        self.tasks = TaskService(self.database, utc_now)
        self.executions = ExecutionService(self.database, utc_now)
        self.attempts = Lifecycle(self.database, utc_now)

    def session(self, customers: set[UUID] | None = None, role: Role = Role.VIEWER) -> str:
        """The session of a new user who sees these customers, or all."""
        granted = None if customers is None else frozenset(customers)
        _, link = self.access.create_user(ENGINE, name=f"user {uuid4().hex[:8]}", role=role, customers=granted)
        return self.access.sign_in(link)[0]

    def client(self, session: str | None = None) -> LiveClient:
        """A connection that has said hello, of a user who sees everything unless a session is given."""
        client = LiveClient(self.address, session or self.session())
        client.hello()
        return client

    def customer(self) -> UUID:
        return self.customers.create(ENGINE, CustomerInput(name=f"Customer {uuid4().hex[:8]}")).id

    def project(self, customer_id: UUID) -> UUID:
        wanted = ProjectInput(name=f"Project {uuid4().hex[:8]}", repository="/srv/repository.git")
        return self.projects.create(ENGINE, customer_id, wanted).id

    def task(self, customer_id: UUID, project_id: UUID, title: str = "Tidy up", **fields: object) -> UUID:
        wanted = TaskInput.model_validate({"projectId": str(project_id), "title": title, **fields})
        return self.tasks.add(ENGINE, customer_id, wanted).id

    def worker(self, slots: int = 4) -> UUID:
        worker_id = uuid4()
        with self.database.transaction() as connection:
            join(
                connection,
                worker_id=worker_id,
                host="here",
                pid=1,
                process_started="now",
                slots=slots,
                isolation="none",
                lease=60.0,
                now=utc_now(),
            )
        return worker_id

    def assigned(self, customer_id: UUID, task_id: UUID, worker_id: UUID) -> RunRef:
        with self.database.transaction() as connection:
            ref = assign(connection, customer_id, worker_id, lease=60.0, now=utc_now())
        assert ref is not None
        return ref

    def version(self, customer_id: UUID) -> int:
        with self.database.transaction() as connection:
            return int(
                connection.execute(
                    sql("SELECT version FROM stream_heads WHERE stream = :id"), {"id": customer_id}
                ).scalar_one()
            )

    def fresh_customer(self, customer_id: UUID) -> Entities:
        """The customer's entities, read anew."""
        with self.database.snapshot() as connection:
            read = customer_snapshot(connection, customer_id)
        views = [read.customer, *read.projects, *read.tasks, *read.attempts, *read.approvals, *read.incidents]
        wires = [view.wire() for view in views] + ([read.execution.wire()] if read.execution else [])
        return {(wire["kind"], wire["id"]): wire for wire in wires}

    def fresh_overview(self, customers: frozenset[UUID] | None = None) -> Entities:
        """The overview's entities, read anew; the sums without their version, which is the relay's own."""
        today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
        with self.database.snapshot() as connection:
            cards = connection.execute(
                sql(
                    """SELECT k.view FROM customer_cards k JOIN customers c ON c.id = k.customer_id
                       WHERE c.archived_at IS NULL"""
                )
            ).scalars()
            seen = [card for card in cards if customers is None or UUID(card["id"]) in customers]
            totals = system_totals(connection, customers, today=today).wire()
        return without_sums_version({("customer", card["id"]): card for card in seen} | {("system", "system"): totals})


def without_sums_version(entities: Entities) -> Entities:
    """The same entities; the version of the sums is each relay's own."""
    return {
        key: {name: value for name, value in entity.items() if key[0] != "system" or name != "version"}
        for key, entity in entities.items()
    }


def settled(client: LiveClient, topic: str, fresh: Callable[[], Entities]) -> None:
    """Take frames until the page shows what a fresh read gives."""
    state = client.topic(topic)
    client.until(lambda: without_sums_version(state.entities) == without_sums_version(fresh()), f"{topic} to settle")


def _probe(repository: str, base_branch: str | None) -> RepositoryHead:
    return RepositoryHead(repository=repository, base_branch=base_branch or "main", commit="0" * 40)
