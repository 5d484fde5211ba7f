"""The web process: builds the objects, wires them to the HTTP edge, starts and stops what runs beside it."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

import devteam
from devteam.access.model import SESSION_COOKIE, Actor
from devteam.access.routes import router as access_routes
from devteam.access.service import AccessService
from devteam.adapters.git.bundles import GitBundles
from devteam.adapters.git.linking import probe_repository
from devteam.adapters.git.reading import repository_files
from devteam.adapters.secret_box import SecretBox
from devteam.approvals.routes import router as approval_routes
from devteam.approvals.service import ApprovalService
from devteam.customers.routes import router as customer_routes
from devteam.customers.service import CustomerService
from devteam.entrypoints.catalogue import executor_profiles
from devteam.executions.again import Again
from devteam.executions.again_routes import router as again_routes
from devteam.executions.agent_routes import router as agent_routes
from devteam.executions.agents import Agents
from devteam.executions.artifact_routes import router as artifact_routes
from devteam.executions.artifacts import Artifacts
from devteam.executions.bundles import BUNDLE_LIMIT
from devteam.executions.compare import Comparisons
from devteam.executions.reads import ExecutionReads, LivePosition
from devteam.executions.routes import router as execution_routes
from devteam.executions.service import ExecutionService
from devteam.executions.take_over import TakeOver
from devteam.incidents.routes import router as incident_routes
from devteam.incidents.service import IncidentService
from devteam.kit import openapi, problems
from devteam.kit.clock import Clock, utc_now
from devteam.kit.db import Database
from devteam.kit.idempotency import Commands
from devteam.kit.log import get_logger
from devteam.kit.pages import page_route
from devteam.kit.request_guard import RequestGuard
from devteam.kit.settings import WebSettings
from devteam.live.connect import Authenticate
from devteam.live.hub import LiveHub
from devteam.live.routes import router as live_routes
from devteam.migrations.run import HEAD, current_revision
from devteam.projects.ports import RepositoryProbe
from devteam.projects.proposals import GateProposer
from devteam.projects.routes import router as project_routes
from devteam.projects.service import ProjectService
from devteam.providers.routes import router as provider_routes
from devteam.providers.service import ProviderService
from devteam.tasks.routes import router as task_routes
from devteam.tasks.service import TaskService

log = get_logger(__name__)

TIDY_SECONDS = 3600.0
API_VERSION = "1.0"
_HAND_BACK = re.compile(r"/api/devteam/attempts/[^/]+/hand-back")
TAGS = [
    {"name": "access", "description": "Sign-in, sessions and users."},
    {"name": "customers", "description": "Customers, their pages and what happened to them."},
    {"name": "projects", "description": "Git repositories of customers, with gates and delivery mode."},
    {"name": "tasks", "description": "Customers' queues."},
    {"name": "executions", "description": "Working through queues: start, pause, resume, abort, emergency stop."},
    {"name": "attempts", "description": "Single runs at a task: phases, gates, output, diff, an agent's session."},
    {"name": "approvals", "description": "Questions of the engine and its agents that wait for a person."},
    {"name": "incidents", "description": "What went wrong and matters, until somebody settled it."},
    {"name": "providers", "description": "Model providers, their order and keys, and prices."},
    {"name": "system", "description": "Workers, executors and sums."},
]


def create_app(settings: WebSettings, *, clock: Clock = utc_now, probe: RepositoryProbe = probe_repository) -> FastAPI:
    """The HTTP application. Nothing is opened before it starts, and it starts without a database too."""
    database = Database(settings.database_url, pool_size=settings.database_pool_size, application_name="devteam-web")
    app = FastAPI(
        title="DevTeam",
        version=API_VERSION,
        description="Autonomous coding work over many customers' task queues.",
        openapi_tags=TAGS,
        openapi_url="/api/devteam/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
        separate_input_output_schemas=False,
        lifespan=_lifespan,
    )
    access = AccessService(database, clock)
    hub = LiveHub(database, clock, _authenticate(access), allowed_origins=settings.allowed_origins)
    app.state.live_hub = hub
    app.state.provided = _services(settings, database, clock, probe, access, hub)
    app.add_middleware(
        RequestGuard,
        max_body_bytes=settings.max_body_bytes,
        larger={_HAND_BACK: max(BUNDLE_LIMIT, settings.max_body_bytes)},
    )
    problems.install(app)
    for router in (
        access_routes,
        customer_routes,
        project_routes,
        task_routes,
        execution_routes,
        agent_routes,
        artifact_routes,
        again_routes,
        approval_routes,
        incident_routes,
        provider_routes,
        live_routes,
    ):
        app.include_router(router)
    _add_health(app, database)
    app.router.routes.append(page_route(settings.web_app or Path(devteam.__file__).parent / "web_app"))
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    return app


def _services(
    settings: WebSettings,
    database: Database,
    clock: Clock,
    probe: RepositoryProbe,
    access: AccessService,
    hub: LiveHub,
) -> dict[type, Any]:
    parts = (
        settings,
        database,
        access,
        Commands(database, clock),
        CustomerService(database, clock),
        ProjectService(database, clock, probe),
        GateProposer(repository_files),
        TaskService(database, clock),
        ExecutionService(database, clock),
        Agents(database, clock, executor_profiles()),
        Artifacts(database),
        Again(database, clock),
        Comparisons(database),
        TakeOver(database, clock, GitBundles(settings.data_folder / "mirrors")),
        ApprovalService(database, clock),
        IncidentService(database, clock),
        ProviderService(database, clock, SecretBox(settings.data_folder / "run" / "secret.key")),
        ExecutionReads(database, clock, LivePosition(hub.overview_position, lambda: hub.customer_epoch)),
    )
    return {type(part): part for part in parts}


def _authenticate(access: AccessService) -> Authenticate:
    """Who opens the socket: by session cookie, or by API token for clients that are no browser."""

    def authenticate(cookies: Mapping[str, str], headers: Mapping[str, str]) -> Actor | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return access.actor_for_api_token(token)
        cookie = cookies.get(SESSION_COOKIE)
        return access.actor_for_session(cookie) if cookie else None

    return authenticate


def _lifespan(app: FastAPI) -> AbstractAsyncContextManager[None]:
    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        provided: dict[type, Any] = app.state.provided
        hub: LiveHub = app.state.live_hub
        await hub.start()
        tidying = asyncio.create_task(_tidy(provided[Commands], provided[AccessService]))
        try:
            yield
        finally:
            await hub.stop()
            tidying.cancel()
            with suppress(asyncio.CancelledError):
                await tidying
            provided[Database].dispose()

    return run()


async def _tidy(commands: Commands, access: AccessService) -> None:
    """Once an hour, forget keys and credentials that have run out."""
    while True:
        for purge in (commands.purge, access.purge):
            try:
                await run_in_threadpool(purge)
            except SQLAlchemyError as error:  # the database is away; the next round will do
                log.warning("tidy_failed", error=type(error).__name__)
        await asyncio.sleep(TIDY_SECONDS)


def _add_health(app: FastAPI, database: Database) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False, response_model=None)
    def readyz() -> dict[str, str] | Response:
        revision = current_revision(database)
        if revision != HEAD:
            detail = f"The database is at revision {revision or 'none'}, this program needs {HEAD}."
            return problems.problem_response(503, "migrations_pending", detail)
        return {"status": "ready"}
