"""`devteam executors …`: what can do the work of tasks, and a check of one by a small real task."""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.attempts import used_line
from devteam.cli.client import Api, engine, is_local
from devteam.cli.failure import FAILED, CliError
from devteam.cli.options import Data, Json, Url
from devteam.kit.ids import new_id

executor_app = typer.Typer(help="Executors: what does the work of tasks.")

POLL_SECONDS = 0.3
_WORKER_SECONDS = 5.0
"""How long a worker may take to join: an engine that has just been started answers before its worker does."""
CHECK_CUSTOMER = "Executor check"
_TASK = {
    "title": "Write the answer",
    "taskKind": "executor-check",  # of which the engine makes no figures
    "description": "Create the file answer.txt. It holds the number 42 on a line, and nothing else.",
    "acceptanceCriteria": [{"type": "regex", "path": "answer.txt", "pattern": r"\A42\s*\Z", "present": True}],
}


@executor_app.command("list")
def list_executors(
    by_kind: Annotated[bool, typer.Option("--by-kind", help="What was measured for each kind of task.")] = False,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """List the executors: what is installed where the engine runs, and what was measured of each."""
    with engine(url, data) as api:
        executors = api.get("/executors")["executors"]
    if as_json:
        render.print_json(executors)
        return
    if by_kind:
        _show_kinds(executors)
        return
    rows = [
        (
            each["name"],
            each["title"],
            _installed(each),
            *_figures(each),
            each["usage"],
        )
        for each in executors
    ]
    columns = ("Name", "*Executor", "*Installed", ">Succeeded", ">Median", ">Mean USD", "*Its own figures")
    render.show(render.table(*columns, rows=rows))


def _installed(executor: Mapping[str, Any]) -> str:
    """Whether it is there, in which version, and which one was tried where that is another."""
    package, version = executor["package"], executor["installedVersion"]
    if not executor["installed"]:
        return f"no: {package or executor['name']}"
    if version is None:
        return "yes"
    tried = package.rpartition("@")[2] if package else version
    return f"yes, {version}" if version == tried else f"yes, {version}; tried with {tried}"


def _show_kinds(executors: Sequence[Mapping[str, Any]]) -> None:
    rows = [(each["name"], kind["kind"], *_figures(kind)) for each in executors for kind in each["byKind"]]
    render.show(render.table("Name", "*Kind of task", ">Succeeded", ">Median", ">Mean USD", rows=rows))


def _figures(measured: Mapping[str, Any]) -> tuple[str, str, str]:
    cost = measured["meanCostUsd"]
    return (
        f"{measured['succeeded']} of {measured['attempts']}",
        render.seconds(measured["medianSeconds"]),
        "-" if cost is None else f"{cost:.4f}",
    )


@executor_app.command("test")
def check_executor(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in `executors list`.", show_default=False)],
    agent_command: Annotated[
        str | None, typer.Option("--agent-command", metavar="COMMAND", help="For acp: what starts the agent.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Instead of the first offered.")] = None,
    limit: Annotated[float, typer.Option("--limit", metavar="SECONDS", min=1, help="When to give up.")] = 60,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Let an executor do a small real task through the engine, its fence and its model, within a minute."""
    from devteam.cli.customers import executor_fields

    with engine(url, data) as api:
        _check_possible(api, name)
        fields = executor_fields(name, agent_command, model, None)
        with _repository() as repository, _check_project(api, repository, fields) as project:
            attempt, found = _run(api, project, limit, scripted=name == "command")
    if as_json:
        render.print_json(attempt)
    else:
        render.say(_verdict(name, attempt, found))
    if attempt is None or attempt["outcome"] != "succeeded":
        raise typer.Exit(FAILED)


def _check_possible(api: Api, name: str) -> None:
    """Raise CliError unless the check can be begun."""
    executors = {each["name"]: each for each in api.get("/executors")["executors"]}
    if name not in executors:
        raise CliError(f"There is no executor '{name}'; there are {', '.join(executors)}.")
    if not executors[name]["installed"]:
        raise CliError(
            f"{executors[name]['title']} is not installed there; it is the package {executors[name]['package']}."
        )
    if not is_local(api.url):
        raise CliError("An executor is tested on the engine's own machine.")
    deadline = time.monotonic() + _WORKER_SECONDS
    while not api.get("/system")["workersAlive"]:
        if time.monotonic() > deadline:
            raise CliError("No worker is alive, so nothing can be tested.")
        time.sleep(POLL_SECONDS)


@contextmanager
def _repository() -> Iterator[Path]:
    """A repository of one file, which is gone afterwards."""
    with TemporaryDirectory(prefix="devteam-check-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "README.md").write_text("A repository to try an executor on.\n", encoding="utf-8")
        identity = ("-c", "user.name=DevTeam", "-c", "user.email=devteam@localhost", "-c", "commit.gpgsign=false")
        for words in (
            ("init", "--quiet", "--initial-branch", "main"),
            ("add", "README.md"),
            (*identity, "commit", "--quiet", "--message", "Begin"),
        ):
            try:
                subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as exc:
                raise CliError(f"The check's repository cannot be made: {exc}", code=FAILED) from exc
        yield folder


@contextmanager
def _check_project(api: Api, repository: Path, fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A customer with a project on the repository, put away afterwards."""
    customer = api.post("/customers", {"name": f"{CHECK_CUSTOMER} {str(new_id())[-6:]}"})
    try:
        yield api.post(
            f"/customers/{customer['id']}/projects",
            {"name": "check", "repository": str(repository), "monitoringWindowSeconds": 0, **fields},
        )
    finally:
        with suppress(CliError):  # what went wrong before is what counts
            _put_away(api, customer["id"])


def _put_away(api: Api, customer_id: str) -> None:
    """Stop what still runs, and archive the customer."""
    execution = api.get(f"/customers/{customer_id}")["execution"]
    if execution is not None and execution["status"] not in ("completed", "aborted"):
        api.post(f"/executions/{execution['id']}/abort", {"reason": "The check is over."})
    deadline = time.monotonic() + 20
    while any(attempt["outcome"] is None for attempt in api.get(f"/customers/{customer_id}")["attempts"]):
        if time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)
    for task in api.tasks(customer_id):
        if task["status"] not in ("completed", "failed", "skipped", "cancelled"):
            api.post(f"/tasks/{task['id']}/cancel", {"reason": "The check is over."})
    api.patch(f"/customers/{customer_id}", {"archived": True})


def _run(
    api: Api, project: Mapping[str, Any], limit: float, *, scripted: bool
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The attempt at the check's task, ended or not in time, and the task."""
    command = {"command": {"script": "echo 42 > answer.txt"}} if scripted else {}
    customer_id = project["customerId"]
    task = api.post(f"/customers/{customer_id}/tasks", {"projectId": project["id"], **_TASK, **command})
    api.post("/executions", {"customerId": customer_id})
    deadline = time.monotonic() + limit
    while True:
        attempts = api.get(f"/tasks/{task['id']}/attempts")["attempts"]
        if (attempts and attempts[-1]["outcome"] is not None) or time.monotonic() > deadline:
            return (attempts[-1] if attempts else None), api.get(f"/tasks/{task['id']}")
        time.sleep(POLL_SECONDS)


def _verdict(name: str, attempt: Mapping[str, Any] | None, task: Mapping[str, Any]) -> str:
    if attempt is None:
        reason = task["statusReason"]
        return f"{name}: no attempt began in time{': ' + reason['text'] if reason else ''}."
    if attempt["outcome"] is None:
        return f"{name}: not done in time; it was in its phase {attempt['phase']}. {_sentence(used_line(attempt))}"
    if attempt["outcome"] == "succeeded":
        return f"{name}: works. {_sentence(used_line(attempt))}"
    reason = attempt["reason"]["text"] if attempt["reason"] else attempt["outcome"]
    return f"{name}: {reason} {_sentence(used_line(attempt))}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
