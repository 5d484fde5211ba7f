"""The commands that are, or look at, the engine's own processes; and one task from the command line to a commit."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from devteam.cli.doctor import check_store
from devteam.kit.db import Database, psycopg_conninfo, sql
from devteam.kit.ids import new_id
from devteam.migrations.run import migrate
from tests.functional.cli_world import Cli
from tests.integration.git_projects import commit_files, git

SECONDS = 90.0


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


@contextmanager
def running(cli: Cli, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command beside the test, ended by SIGINT; it must end in order, by itself or by that."""
    process = cli.start(*words)
    try:
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@dataclass(frozen=True)
class Started:
    """`devteam up` on a data folder."""

    cli: Cli
    data: Path
    process: subprocess.Popen[str]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = Path(tempfile.mkdtemp(prefix="devteam-test-"))
    folder.chmod(0o711)
    data = folder / "data"
    cli = Cli(folder, {"DEVTEAM_DATA": str(data)})
    try:
        with running(cli, "up", "--no-browser", "--port", "0", "--slots", "2") as process:
            eventually(lambda: (data / "run" / "engine.json").exists() or process.poll() is not None, "the address")
            eventually(lambda: cli.inside("status").code == 0 or process.poll() is not None, "the engine")
            assert process.poll() is None, process.communicate()
            yield Started(cli, data, process)
        assert process.returncode == 0
        assert not (data / "run" / "engine.json").exists()
    finally:
        shutil.rmtree(folder)


def test_up_writes_its_address_and_a_private_token(up: Started) -> None:
    written = json.loads((up.data / "run" / "engine.json").read_text())
    assert written["pid"] == up.process.pid
    assert httpx.get(f"{written['url']}/readyz").status_code == 200
    assert stat.S_IMODE((up.data / "run" / "token").stat().st_mode) == 0o600


def test_task_goes_from_the_command_line_to_a_commit(up: Started) -> None:
    cli = up.cli
    origin = cli.cwd / "origin"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch", "main")
    commit_files(origin, {"README": "Hello\n"})
    cli.ok("customer", "add", "Acme")
    cli.ok("project", "add", "Acme", "--repository", "origin", "--gate", "greets=grep -q Hello README")
    cli.ok("task", "add", "Acme", "Say more", "--run", "echo working; echo more >> README")
    cli.ok("task", "add", "Acme", "Say most", "--run", "echo again; echo most >> README", "--depends-on", "Say more")
    cli.ok("start", "Acme")
    followed = cli("logs", "-f", "Acme")
    assert followed.code == 0, followed
    assert "again" in followed.out
    assert "Say most, attempt 1" in followed.err
    tasks = cli.json("task", "list", "Acme")
    assert [task["status"] for task in tasks] == ["completed", "completed"], tasks
    assert "✓ completed" in cli.ok("task", "list", "Acme")
    shown = cli.ok("task", "show", "Say more")
    assert "✓ succeeded" in shown
    branches = git(origin, "branch", "--list", "--all")
    assert branches.count("\n") >= 2, branches
    assert "Acme" in cli.ok("status")


def test_doctor_finds_a_running_engine_sound(up: Started) -> None:
    answer = up.cli("doctor", "--json")
    checks = {check["name"]: check for check in answer.json()["checks"]}
    assert answer.code == 0, checks
    for name in ("python", "git", "data folder", "postgres", "migrations", "workers", "workflows", "engine"):
        assert checks[name]["state"] == "ok", checks[name]
    assert "local administrator" in checks["engine"]["text"]
    assert "✓ ok  git: " in up.cli.ok("doctor")


def test_web_joins_the_store_of_a_running_engine(up: Started) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(up.cli, "web", "--port", str(port)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Serving on http://127.0.0.1:{port}\n"
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200, "the second web process")
    assert process.returncode == 130


def test_worker_joins_the_store_of_a_running_engine(up: Started) -> None:
    def slots() -> int:
        return int(up.cli.inside("status", "--json").json()["system"]["slots"])

    before = slots()
    with running(up.cli, "worker", "--slots", "3") as process:
        eventually(lambda: slots() == before + 3, "the second worker")
    assert process.returncode == 0
    eventually(lambda: slots() == before, "its goodbye")


def test_migrate_joins_the_store_of_a_running_engine(up: Started) -> None:
    assert up.cli.ok("migrate").startswith("Nothing to do")


def test_second_engine_on_the_same_folder_is_refused(up: Started) -> None:
    told = up.cli("up", "--no-browser", "--port", "0")
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1), told
    assert str(up.process.pid) in told.err


def test_migrate_creates_and_brings_up_a_database(database_url: str, open_folder: Path) -> None:
    cli = Cli(open_folder)
    assert cli.ok("migrate", env={"DATABASE_URL": database_url}).startswith("Migrated ")
    assert cli.ok("migrate", env={"DATABASE_URL": database_url}).startswith("Nothing to do")
    folder = str(open_folder / "fresh")
    assert cli.ok("migrate", "--data", folder).startswith("Migrated ")
    assert cli.ok("migrate", "--data", folder).startswith("Nothing to do")


def test_processes_without_a_database_are_refused(tmp_path: Path) -> None:
    cli = Cli(tmp_path, {"DEVTEAM_DATA": str(tmp_path / "none")})
    for command in ("web", "worker"):
        assert "DATABASE_URL" in cli.refused(command)
        assert "DATABASE_URL" in cli.refused(command, env={"DATABASE_URL": "nonsense"})
    assert "DATABASE_URL" in Cli(tmp_path).refused("migrate")
    assert "does not answer" in cli.refused("migrate", env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"})
    assert not (tmp_path / "none").exists()


def test_port_that_is_taken_is_refused(database_url: str, open_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        cli = Cli(open_folder, {"DATABASE_URL": database_url})
        assert f"Port {port}" in cli.refused("web", "--port", port)
        told = cli("up", "--no-browser", "--port", port, "--data", str(open_folder / "data"))
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1), told
        assert f"Port {port}" in told.err


@pytest.mark.parametrize("command", ["up", "migrate"])
def test_folder_that_cannot_be_one_is_refused(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = Cli(tmp_path)(command, "--data", "file")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer
    assert "not a folder" in answer.err


def test_demo_with_bad_input_is_refused(open_folder: Path) -> None:
    cli = Cli(open_folder)
    for words in (("--summary", "/nowhere/at/all.json"), ("--repository", "/nowhere/at/all")):
        answer = cli("demo", "--data", "data", "--no-browser", "--exit-when-done", *words)
        assert (answer.code, answer.err.count("\n")) == (2, 1), answer
        assert "/nowhere/at" in answer.err


def test_doctor_tells_what_fails_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cli = Cli(tmp_path)
    fresh = cli("doctor", "--data", "fresh", "--json")
    checks = {check["name"]: check for check in fresh.json()["checks"]}
    assert fresh.code == 0, checks
    assert checks["migrations"]["state"] == "skipped"
    assert checks["engine"]["state"] == "warn"
    assert "devteam up" in checks["engine"]["text"]
    assert not (tmp_path / "fresh").exists()
    bad = cli(
        *("doctor", "--data", "file/below"),
        env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "PATH": "/nonexistent"},
    )
    assert (bad.code, bad.err) == (1, "")
    for name in ("git", "data folder", "postgres"):
        assert f"✗ fail  {name}: " in bad.out


def test_doctor_tells_unfinished_workflows_that_nobody_holds(database_url: str) -> None:
    database = Database(database_url, pool_size=1)

    def states() -> dict[str, tuple[str, str]]:
        return {finding.name: (finding.state.value, finding.text) for finding in check_store(database_url)}

    assert states()["migrations"][0] == "warn"
    assert states()["workers"][0] == "skipped"
    migrate(database)
    assert states()["workers"] == ("warn", "none is alive")
    assert states()["workflows"] == ("ok", "none has ever run")
    customer, project, task, execution, attempt = (new_id() for _ in range(5))
    with psycopg.connect(psycopg_conninfo(database_url)) as connection:
        connection.execute("CREATE SCHEMA dbos")
        connection.execute(
            "CREATE TABLE dbos.workflow_status (workflow_uuid text, status text, executor_id text, created_at bigint)"
        )
        connection.execute(
            "INSERT INTO dbos.workflow_status VALUES ('attempt:gone:1', 'PENDING', 'dead', 1),"
            " (%s, 'PENDING', 'dead', 2), ('attempt:done:1', 'SUCCESS', 'dead', 3)",
            [f"attempt:{attempt}:1"],
        )
    assert states()["workflows"][0] == "ok"
    assert states()["workflows"][1].startswith("unfinished without a worker: 2 of earlier workers")
    with database.transaction() as db:
        db.execute(sql("SET LOCAL session_replication_role = replica"))  # only the attempt matters here
        db.execute(
            sql(
                """INSERT INTO attempts (id, customer_id, execution_id, task_id, project_id, number, executor, phase,
                       phase_started_at, started_at)
                   VALUES (:id, :customer, :execution, :task, :project, 1, 'command', 'execution', now(), now())"""
            ),
            {"id": attempt, "customer": customer, "execution": execution, "task": task, "project": project},
        )
    state, text = states()["workflows"]
    assert state == "warn"
    assert text.endswith(f"attempt:{attempt}:1")
    database.dispose()


def test_database_that_is_away_is_told_as_it_is(database_url: str) -> None:
    away = make_url(database_url).set(database="none").render_as_string(hide_password=False)
    assert [finding.state.value for finding in check_store(away)] == ["skipped"]
    assert os.environ.get("DATABASE_URL") is None
