"""Every command that is a client of the engine: what it does, its JSON, and how it refuses bad input."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from devteam.access.model import Role
from devteam.access.service import AccessService
from devteam.entrypoints.web import create_app
from devteam.kit.db import Database, sql
from devteam.kit.settings import WebSettings
from tests.functional.cli_world import Cli
from tests.functional.conftest import fresh_database, serving
from tests.functional.world import World
from tests.integration.git_projects import commit_files, git


@dataclass(frozen=True)
class Running:
    """A served engine without a worker, its data folder, a repository, and the command line for it."""

    cli: Cli
    world: World
    data: Path
    repository: Path

    def customer(self) -> str:
        """The name of a new customer with one project."""
        name = f"Customer {uuid4().hex[:8]}"
        self.cli.ok("customer", "add", name)
        self.cli.ok("project", "add", name, "--repository", str(self.repository))
        return name


@pytest.fixture(scope="module")
def running(postgres_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("cli")
    repository = folder / "library"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch", "main")
    commit_files(repository, {"README": "Hello\n"})
    data = folder / "data"
    (data / "run").mkdir(parents=True)
    with fresh_database(postgres_url, migrated_template) as url:
        app = create_app(WebSettings(database_url=url, data_folder=data))
        provided = app.state.provided
        access: AccessService = provided[AccessService]
        with serving(app) as address, httpx.Client(base_url=address, timeout=30) as client:
            (data / "run" / "token").write_text(access.ensure_local_token())
            (data / "run" / "engine.json").write_text(json.dumps({"url": address, "pid": os.getpid()}))
            cli = Cli(folder, {"DEVTEAM_DATA": str(data)})
            yield Running(cli, World(app, client, address, provided[Database], access), data, repository)


def test_help_is_there_for_every_command_at_once(running: Running) -> None:
    began = time.monotonic()
    shown = running.cli.ok("--help")
    assert time.monotonic() - began < 5
    for command in ("up", "demo", "web", "worker", "migrate", "doctor", "status", "logs", "login-link", "task"):
        assert f"\n  {command} " in shown
    assert running.cli.ok() == shown
    assert "--repository" in running.cli.ok("project", "add", "--help")


def test_help_and_refusals_import_no_heavy_library(running: Running) -> None:
    script = (
        "import sys; sys.argv = ['devteam', 'task', '--help']\n"
        "from devteam.entrypoints.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('httpx', 'sqlalchemy', 'fastapi', 'rich.table', 'dbos') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=running.cli.variables(), capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


def test_version(running: Running) -> None:
    assert running.cli.ok("version").startswith("devteam ")


def test_customer_is_added_listed_and_given_another_priority(running: Running) -> None:
    card = running.cli.json("customer", "add", "Prior Ltd", "--priority", "low", "--time-zone", "Europe/Berlin")
    assert (card["priorityClass"], card["timeZone"]) == ("low_priority_customer", "Europe/Berlin")
    assert card["id"] in running.cli.ok("customer", "list")
    assert card["id"] in [listed["id"] for listed in running.cli.json("customer", "list")]
    changed = running.cli.json("customer", "priority", "Prior Ltd", "priority")
    assert changed["priorityClass"] == "priority_customer"
    assert "standard customer" in running.cli.ok("customer", "priority", card["id"], "standard_customer")


def test_new_ids_are_printed_whole(running: Running) -> None:
    name = f"Whole {uuid4().hex[:8]}"
    customer = running.cli.ok("customer", "add", name).split()[-1]
    assert [card["id"] for card in running.cli.json("customer", "list") if card["name"] == name] == [customer]


def test_things_are_named_by_id_by_either_end_of_it_and_by_name(running: Running) -> None:
    card = running.cli.json("customer", "add", f"Named {uuid4().hex[:8]}")
    whole = card["id"]
    for word in (whole, whole.upper(), whole.replace("-", "")[-8:], whole[:-4], card["name"], card["name"].upper()):
        assert running.cli.json("customer", "priority", word, "low")["id"] == whole


def test_unknown_and_ambiguous_names_are_refused(running: Running) -> None:
    first = running.cli.json("customer", "add", f"Twin {uuid4().hex}")
    second = running.cli.json("customer", "add", f"Twin {uuid4().hex}")
    assert "There is no customer 'Nobody at all'" in running.cli.refused("start", "Nobody at all")
    hint = running.cli.refused("start", first["name"][:-1])
    assert f"did you mean '{first['name']}'?" in hint
    assert first["id"][:4] == second["id"][:4]
    ambiguous = running.cli.refused("start", first["id"][:4])
    assert "could be any of these customers" in ambiguous
    customer = running.customer()
    for _ in range(2):
        running.cli.ok("task", "add", customer, "Same title", "--run", "true")
    same = [task["id"] for task in running.cli.json("task", "list", customer)]
    refusal = running.cli.refused("task", "cancel", "Same title", "--customer", customer)
    assert all(task_id in refusal for task_id in same)


def test_customer_with_bad_fields_is_refused(running: Running) -> None:
    running.cli.ok("customer", "add", "Taken Ltd")
    assert "Taken Ltd" in running.cli.refused("customer", "add", "Taken Ltd")
    assert "priority class" in running.cli.refused("customer", "add", "X", "--priority", "urgent")
    assert "Nowhere" in running.cli.refused("customer", "add", "X", "--time-zone", "Nowhere/Atlantis")
    assert running.cli.refused("customer", "add", "")
    assert "name" in running.cli.refused("customer", "add", "long " * 1000)
    assert "UTF-8" in running.cli.refused("customer", "add", b"\xff\xfe broken")


def test_project_is_added_with_gates_and_listed(running: Running) -> None:
    running.cli.ok("customer", "add", "Gated Ltd")
    project = running.cli.json(
        *("project", "add", "Gated Ltd", "--repository", "library", "--name", "Core", "--base-branch", "main"),
        *("--delivery-mode", "merge_commit", "--monitoring-window", "60"),
        *("--gate", "tests=pytest -q -k 'a=b'", "--gate", "lint=ruff check .", "--pre-gate", "ready=true"),
    )
    assert project["repository"] == str(running.repository)
    assert (project["name"], project["deliveryMode"], project["monitoringWindowSeconds"]) == (
        "Core",
        "merge_commit",
        60,
    )
    assert [(gate["name"], gate["stage"], gate["script"]) for gate in project["gates"]] == [
        ("ready", "pre_execution", "true"),
        ("tests", "post_task", "pytest -q -k 'a=b'"),
        ("lint", "post_task", "ruff check ."),
    ]
    assert project["id"] in running.cli.ok("project", "list", "Gated Ltd")
    assert [listed["id"] for listed in running.cli.json("project", "list", "Gated Ltd")] == [project["id"]]
    named = running.cli.ok("project", "add", "Gated Ltd", "--repository", f"file://{running.repository}")
    assert named.startswith("Project library added: ")


def test_project_and_task_are_edited(running: Running) -> None:
    customer = running.customer()
    project = running.cli.json(
        "project",
        "edit",
        customer,
        "--delivery-mode",
        "merge_commit",
        "--gate",
        "tests=true",
        "--monitoring-window",
        "5",
    )
    assert (project["deliveryMode"], project["monitoringWindowSeconds"]) == ("merge_commit", 5)
    assert [gate["name"] for gate in project["gates"]] == ["tests"]
    assert running.cli.json("project", "edit", customer, "--no-gates")["gates"] == []
    assert "what to change" in running.cli.refused("project", "edit", customer)
    assert "no delivery mode" in running.cli.refused("project", "edit", customer, "--delivery-mode", "pigeon")

    running.cli.ok("task", "add", customer, "Nothing to run")
    where = ("--customer", customer)
    task = running.cli.json("task", "edit", "Nothing to run", "--run", "true", "--time-limit", "9", *where)
    assert task["command"] == {"argv": None, "script": "true", "timeLimitSeconds": 9}
    assert running.cli.json("task", "edit", task["id"], "--title", "Something")["title"] == "Something"
    assert "what to change" in running.cli.refused("task", "edit", task["id"])


def test_project_with_bad_input_is_refused(running: Running, tmp_path: Path) -> None:
    customer, add = running.customer(), ("project", "add")
    bare = tmp_path / "empty"
    bare.mkdir()
    git(bare, "init", "--quiet")
    here = str(running.repository)
    for words, told in (
        (("--repository", "/nowhere/at/all"), "/nowhere/at/all"),
        (("--repository", str(tmp_path)), "not a git repository"),
        (("--repository", str(bare)), "no commits"),
        (("--repository", here, "--base-branch", "nope"), "nope"),
        (("--repository", here, "--delivery-mode", "email"), "delivery mode"),
        (("--repository", here, "--gate", "tests"), "NAME=COMMAND"),
        (("--repository", here, "--gate", "a=true", "--gate", "a=false"), "same name"),
        (("--repository", here, "--monitoring-window", "soon"), "valid number"),
        (("--repository", ""), "repository"),
        ((), "--repository"),
    ):
        assert told in running.cli.refused(*add, customer, *words)


def test_task_carries_everything_that_was_asked(running: Running, tmp_path: Path) -> None:
    customer = running.customer()
    first = running.cli.json("task", "add", customer, "First", "--run", "echo hello")
    criteria = tmp_path / "criteria.json"
    criteria.write_text(json.dumps([{"type": "file", "path": "README"}]))
    second = running.cli.json(
        *("task", "add", customer, "Second", "--project", "library", "--argv", "ruff", "--argv", "--fix"),
        *("--time-limit", "30", "--description", "Why and how", "--criteria", f"@{criteria}"),
        *("--depends-on", "First", "--estimate", "120"),
    )
    assert second["command"]["argv"] == ["ruff", "--fix"]
    assert second["command"]["timeLimitSeconds"] == 30
    assert (second["description"], second["estimateSeconds"]) == ("Why and how", 120)
    assert second["acceptanceCriteria"][0]["path"] == "README"
    assert second["dependsOn"] == [first["id"]]
    by_id = running.cli.json("task", "add", customer, "Third", "--run", "true", "--depends-on", first["id"])
    assert by_id["dependsOn"] == [first["id"]]
    manual = running.cli.json("task", "add", customer, "By hand", "--manual", "--head")
    assert manual["mode"] == "manual"
    queue = running.cli.json("task", "list", customer)
    assert [task["title"] for task in queue] == ["By hand", "First", "Second", "Third"]
    assert second["id"] in running.cli.ok("task", "list", customer)
    shown = running.cli.ok("task", "show", "Second", "--customer", customer)
    assert first["id"] in shown
    assert "Why and how" in shown
    assert running.cli.json("task", "show", second["id"])["description"] == "Why and how"
    assert [task["title"] for task in running.cli.json("task", "list", customer, "--status", "completed")] == []
    assert len(running.cli.json("task", "list", customer, "--project", "library", "--status", "pending")) == 4


def test_task_with_bad_input_is_refused(running: Running, tmp_path: Path) -> None:
    customer, other = running.customer(), running.customer()
    foreign = running.cli.json("task", "add", other, "Foreign", "--run", "true")
    garbage, binary, huge = tmp_path / "garbage", tmp_path / "binary", tmp_path / "huge"
    garbage.write_text("{not json")
    binary.write_bytes(b"\xff\xfe\x00")
    huge.write_text("x" * 10_000_000)
    add = ("task", "add", customer)
    for words, told in (
        (("T", "--run", "true", "--argv", "x"), "--run or --argv"),
        (("T", "--run", "true", "--depends-on", "T"), "There is no task 'T'"),
        (("T", "--run", "true", "--depends-on", foreign["id"]), "its own customer's"),
        (("T", "--run", "true", "--depends-on", str(uuid4())), "its own customer's"),
        (("T", "--run", "true", "--project", "other"), "There is no project 'other'"),
        (("T", "--run", "true", "--criteria", "{"), "no JSON"),
        (("T", "--run", "true", "--criteria", "[" * 100_000), "nested too deeply"),
        (("T", "--run", "true", "--criteria", '[{"type": "magic"}]'), "acceptanceCriteria"),
        (("T", "--run", "true", "--criteria", '[{"type": "file", "path": "/etc/passwd"}]'), "inside the repository"),
        (("T", "--run", "true", "--criteria", f"@{garbage}"), "no JSON"),
        (("T", "--run", "true", "--criteria", f"@{binary}"), "UTF-8"),
        (("T", "--run", "true", "--criteria", f"@{huge}"), "1 MB"),
        (("T", "--run", "true", "--description", "@/nowhere"), "/nowhere"),
        (("T", "--run", "true", "--time-limit", "-1"), "timeLimitSeconds"),
        (("T", "--time-limit", "5"), "--time-limit"),
        (("x" * 100_000, "--run", "true"), "title"),
        (("", "--run", "true"), "title"),
    ):
        assert told in running.cli.refused(*add, *words)
    assert "status" in running.cli.refused("task", "list", customer, "--status", "odd")
    assert running.cli.json("task", "list", customer) == []


def test_project_must_be_named_when_there_are_several_or_none(running: Running) -> None:
    customer = running.customer()
    running.cli.ok("project", "add", customer, "--repository", str(running.repository), "--name", "second")
    assert "library, second" in running.cli.refused("task", "add", customer, "T", "--run", "true")
    name = f"Bare {uuid4().hex[:8]}"
    running.cli.ok("customer", "add", name)
    assert "devteam project add" in running.cli.refused("task", "add", name, "T", "--run", "true")


def test_task_is_moved_cancelled_retried_and_completed(running: Running) -> None:
    customer = running.customer()
    for title in ("One", "Two", "Three"):
        running.cli.ok("task", "add", customer, title, "--run", "true")
    where = ("--customer", customer)

    def order() -> list[str]:
        return [task["title"] for task in running.cli.json("task", "list", customer)]

    assert running.cli.ok("task", "move", "Three", "--head", *where) == "Three moved.\n"
    assert order() == ["Three", "One", "Two"]
    running.cli.ok("task", "move", "Three", "--before", "Two", *where)
    assert order() == ["One", "Three", "Two"]
    running.cli.ok("task", "move", "One", "--tail", *where)
    assert order() == ["Three", "Two", "One"]
    assert "--before" in running.cli.refused("task", "move", "One", *where)
    assert "itself" in running.cli.refused("task", "move", "One", "--before", "One", *where)
    assert running.cli.json("task", "cancel", "One", "--reason", "no more", *where)["status"] == "cancelled"
    assert running.cli.ok("task", "cancel", "Two", *where) == "Two: cancelled\n"
    assert running.cli.json("task", "retry", "One", *where)["status"] == "pending"
    running.cli.ok("task", "add", customer, "By hand", "--manual")
    assert "completed" in running.cli.ok("task", "complete", "By hand", *where)
    assert running.cli.refused("task", "complete", "Three", *where)
    assert running.cli.refused("task", "show", str(uuid4()))


def test_execution_is_started_paused_resumed_and_aborted(running: Running) -> None:
    customer = running.customer()
    assert "no execution" in running.cli.refused("pause", customer)
    running.cli.ok("task", "add", customer, "Wait", "--run", "true")
    begun = running.cli.json("start", customer)
    assert running.cli.json("start", customer)["id"] == begun["id"]
    assert customer in running.cli.ok("start", customer)
    assert running.cli.json("pause", customer, "--after-current-task")["id"] == begun["id"]
    assert running.cli.ok("resume", customer).startswith(f"{customer}: ")
    assert running.cli.json("pause", customer)["id"] == begun["id"]
    assert "--reason" in running.cli.refused("abort", customer)
    aborted = running.cli.json("abort", customer, "--reason", "not needed")
    assert (aborted["status"], aborted["statusReason"]["text"]) == ("aborted", "not needed")
    assert running.cli.refused("resume", customer)


def test_emergency_stop_pauses_everything_and_resume_all_goes_on(running: Running) -> None:
    customer = running.customer()
    running.cli.ok("task", "add", customer, "Wait", "--run", "true")
    execution = running.cli.json("start", customer)["id"]
    assert execution in running.cli.json("emergency-stop", "--reason", "smoke")["executionIds"]
    assert "--reason" in running.cli.refused("emergency-stop")
    assert "--all" in running.cli.refused("resume")
    assert execution in running.cli.json("resume", "--all")["executionIds"]
    assert running.cli.ok("emergency-stop", "--reason", "smoke again").startswith("Stopped ")
    assert running.cli.ok("resume", "--all").startswith("Resumed ")
    running.cli.ok("abort", customer, "--reason", "done")


def test_status_prints_once_where_nobody_watches(running: Running) -> None:
    customer = running.customer()
    running.cli.ok("task", "add", customer, "Wait", "--run", "true")
    shown = running.cli.ok("status")
    assert customer in shown
    assert "slots used" in shown
    overview = running.cli.json("status")
    assert customer in [card["name"] for card in overview["customers"]]
    assert overview["system"]["kind"] == "system"


def test_status_on_a_terminal_is_live_until_ctrl_c(running: Running) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "devteam", "status"],
        env={**running.cli.variables(), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    name = f"Late {uuid4().hex[:8]}"
    try:
        seen = _read_until(ours, b"slots used")
        assert name.encode() not in seen
        running.cli.ok("customer", "add", name)
        _read_until(ours, name.encode())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        os.close(ours)
    assert (process.returncode, errors) == (130, b"")


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 20
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        seen += os.read(terminal, 65_536)
    return seen


def test_login_link_signs_in_once(running: Running) -> None:
    link = running.cli.ok("login-link").strip()
    token = link.partition("token=")[2]
    with httpx.Client(base_url=running.world.origin) as browser:
        assert browser.post("/api/devteam/session", json={"token": token}).status_code == 200
        assert browser.get("/api/devteam/session").json()["user"]["name"] == "admin"
        assert browser.post("/api/devteam/session", json={"token": token}).status_code >= 400
    assert running.cli.json("login-link", "admin")["loginUrl"] != link
    assert "There is no user 'nobody'" in running.cli.refused("login-link", "nobody")


def test_logs_print_the_output_of_the_last_attempt(running: Running) -> None:
    customer = running.customer()
    assert "no attempt yet" in running.cli.refused("logs", customer)
    task = running.cli.json("task", "add", customer, "Talk", "--run", "true")
    execution = running.cli.json("start", customer)
    attempt = running.world.attempt(task["customerId"], task["projectId"], task["id"], execution["id"])
    with running.world.database.transaction() as connection:
        connection.execute(
            sql(
                """INSERT INTO attempt_output (attempt_id, "offset", text, created_at) VALUES (:id, 0, :text, now())"""
            ),
            {"id": attempt, "text": "line one\n\x1b[31mred\x1b[0m [bold]\n"},
        )
    printed = "line one\n\x1b[31mred\x1b[0m [bold]\n"
    assert running.cli.ok("logs", customer) == printed
    assert running.cli.ok("logs", str(attempt)) == printed
    assert running.cli.ok("logs", "-f", str(attempt)) == printed
    running.cli.ok("abort", customer, "--reason", "done")
    followed = running.cli.inside("logs", "-f", customer)
    assert (followed.code, followed.out) == (0, printed)
    assert followed.err.count("---") == 2
    assert running.cli.refused("logs", "nobody")
    assert running.cli.refused("logs", str(uuid4()))
    assert "1" in running.cli.ok("task", "show", task["id"])


def test_no_engine_is_told_in_one_line(running: Running, tmp_path: Path) -> None:
    nowhere = Cli(tmp_path, {"DEVTEAM_DATA": str(tmp_path / "none")})
    told = nowhere.refused("status")
    assert told == f"No engine is running on {tmp_path / 'none'}; start one with `devteam up`."
    stale = tmp_path / "stale" / "run"
    stale.mkdir(parents=True)
    (stale / "token").write_text("x")
    for content in ("", "[]", "{}", '{"url": "http://127.0.0.1:9"}'):
        (stale / "engine.json").write_text(content)
        assert "No engine is running" in nowhere.refused("customer", "list", "--data", str(tmp_path / "stale"))
    (stale / "token").unlink()
    assert "No engine is running" in nowhere.refused("status", "--data", str(tmp_path / "stale"))
    assert "No engine is running" in nowhere.refused(
        "status", "--url", "http://127.0.0.1:9", env={"DEVTEAM_TOKEN": "x"}
    )


class _Fickle(BaseHTTPRequestHandler):
    """Answers the overview like an engine with one customer, and hangs up on everything else."""

    def do_GET(self) -> None:
        if self.path.endswith("/executions"):
            self._send(json.dumps({"customers": [{"id": str(uuid4()), "name": "Acme", "executionId": "x"}]}))
        else:
            self._send("<html>no engine</html>")

    def do_POST(self) -> None:
        self.close_connection = True

    def _send(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_connection_that_is_lost_in_the_middle_is_told_in_one_line(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Fickle) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        cli = Cli(tmp_path, {"DEVTEAM_URL": url, "DEVTEAM_TOKEN": "x"})
        try:
            for words in (("start", "Acme"), ("pause", "Acme"), ("abort", "Acme", "--reason", "x")):
                assert cli.refused(*words, code=1) == f"The connection to the engine on {url} was lost."
            assert cli.refused("project", "list", "Acme") == f"What answers on {url} is no DevTeam engine."
        finally:
            server.shutdown()
            thread.join()


def test_token_and_address_from_the_environment_win(running: Running, tmp_path: Path) -> None:
    elsewhere = Cli(tmp_path, {"DEVTEAM_DATA": str(tmp_path), "DEVTEAM_URL": running.world.origin})
    assert "DEVTEAM_TOKEN" in elsewhere.refused("status")
    assert "does not accept the token" in elsewhere.refused("status", env={"DEVTEAM_TOKEN": "wrong"})
    assert elsewhere.refused("status", env={"DEVTEAM_TOKEN": "t\u00f6ken"}) == "DEVTEAM_TOKEN is no API token."
    token = running.world.admin.token
    assert elsewhere.json("status", env={"DEVTEAM_TOKEN": token})["customers"]
    same = running.world.origin.replace("127.0.0.1", "localhost")
    assert running.cli.json("status", "--url", running.world.origin)
    assert running.cli.json("status", env={"DEVTEAM_TOKEN": token, "DEVTEAM_URL": same})


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://", "http://host:port", "http://[", ""])
def test_address_that_is_none_is_refused(running: Running, url: str) -> None:
    assert running.cli.refused("status", "--url", url, env={"DEVTEAM_TOKEN": "x"})


def test_viewer_may_look_and_not_touch(running: Running) -> None:
    viewer = {"DEVTEAM_TOKEN": running.world.caller(Role.VIEWER).token}
    customer = running.customer()
    assert running.cli.json("status", env=viewer)["customers"]
    assert running.cli.refused("start", customer, env=viewer)
    assert running.cli.refused("login-link", env=viewer)


def test_refusals_of_a_real_process_are_one_line_too(running: Running, tmp_path: Path) -> None:
    for words, told in (
        (("status", "--data", str(tmp_path)), "No engine is running"),
        (("start", "Nobody at all"), "There is no customer"),
        (("project", "add", "Nobody", "--repository", "x", "--gate", "y"), "NAME=COMMAND"),
        (("task", "add"), "--help"),
    ):
        answer = running.cli(*words)
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer
        assert told in answer.err


def test_command_line_that_makes_no_sense_is_refused(running: Running) -> None:
    for words in (
        ("fly",),
        ("task",),
        ("task", "add"),
        ("status", "--fast"),
        ("pause", "A", "B"),
        ("up", "--port", "x"),
    ):
        assert "--help" in running.cli.refused(*words)


def test_output_that_nobody_reads_is_no_error(running: Running) -> None:
    process = running.cli.start("task", "add", "--help")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(30) in (0, 1)
    assert process.stderr.read() == ""
    process.stderr.close()
