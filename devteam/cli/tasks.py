"""`devteam task …`."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.customers import find_customer, find_project, known_executor
from devteam.cli.failure import CliError
from devteam.cli.names import as_id, named, resolve
from devteam.cli.options import Customer, Data, Json, OfCustomer, Task, Url

task_app = typer.Typer(help="Tasks: customers' queues.")

FINAL = ("completed", "failed", "skipped", "cancelled")
STATUSES = ("pending", "in_progress", "verifying", "error_solving", "blocked", *FINAL)
ANY = "any"
_LARGEST_FILE = 1024 * 1024
Kind = Annotated[
    str | None, typer.Option("--kind", metavar="WORD", help="What kind of work it is, such as bug; rules go by it.")
]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="WORD", help="For rules; repeatable.")]


def find_task(api: Api, wanted: str, customer: str | None) -> dict[str, Any]:
    """The task that is meant, among one customer's or everybody's."""
    full = as_id(wanted)
    if full is not None:
        found: dict[str, Any] = api.get(f"/tasks/{full}")
        return found
    cards = [find_customer(api, customer)] if customer is not None else api.customers()
    tasks = [task for card in cards for task in api.tasks(card["id"])]
    task_id = resolve(wanted, named(tasks, by="title"), "task")
    return next(task for task in tasks if task["id"] == task_id)


@task_app.command("add")
def add(
    customer: Customer,
    title: Annotated[str, typer.Argument(metavar="TITLE", show_default=False)],
    *,
    project: Annotated[
        str | None, typer.Option("--project", metavar="PROJECT", help="Needed when there are several.")
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="SCRIPT", help="Shell script that does it.")] = None,
    argv: Annotated[
        list[str] | None, typer.Option("--argv", metavar="WORD", help="Program and arguments instead; repeatable.")
    ] = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="TEXT, or @FILE.")] = "",
    criteria: Annotated[
        str | None, typer.Option("--criteria", metavar="JSON", help="Acceptance criteria: JSON, or @FILE.")
    ] = None,
    depends_on: Annotated[
        list[str] | None, typer.Option("--depends-on", metavar="TASK", help="Title or id; repeatable.")
    ] = None,
    head: Annotated[bool, typer.Option("--head", help="First in the queue.")] = False,
    time_limit: Annotated[float | None, typer.Option("--time-limit", metavar="SECONDS")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="A person does it.")] = False,
    estimate: Annotated[float | None, typer.Option("--estimate", metavar="SECONDS")] = None,
    kind: Kind = None,
    label: Labels = None,
    executor: Annotated[
        str | None, typer.Option("--executor", metavar="NAME", help="Who does it, before any rule of the project.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="What an agent uses for it.")] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Put a task into a customer's queue."""
    body: dict[str, Any] = {
        "title": title,
        "description": text_or_file(description),
        "mode": "manual" if manual else "autonomous",
        "position": "head" if head else "tail",
        "acceptanceCriteria": parse_criteria(criteria) if criteria is not None else [],
        "command": command_of(run, argv, time_limit),
        "estimateSeconds": estimate,
        "labels": label or [],
        "executor": known_executor(executor),
        "model": model,
        **({} if kind is None else {"taskKind": kind}),
    }
    with engine(url, data) as api:
        card = find_customer(api, customer)
        body["projectId"] = find_project(api.get(f"/customers/{card['id']}")["projects"], project, card["name"])
        body["dependsOn"] = _dependencies(api, card["id"], depends_on or ())
        task = api.post(f"/customers/{card['id']}/tasks", body)
    _told(task, f"Task {task['title']} added: {task['id']}", as_json)


@task_app.command("edit")
def edit(
    task: Task,
    *,
    title: Annotated[str | None, typer.Option("--title")] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="SCRIPT", help="Shell script that does it.")] = None,
    argv: Annotated[
        list[str] | None, typer.Option("--argv", metavar="WORD", help="Program and arguments instead; repeatable.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option("--time-limit", metavar="SECONDS")] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="TEXT, or @FILE.")] = None,
    criteria: Annotated[
        str | None, typer.Option("--criteria", metavar="JSON", help="Acceptance criteria: JSON, or @FILE.")
    ] = None,
    estimate: Annotated[float | None, typer.Option("--estimate", metavar="SECONDS")] = None,
    kind: Kind = None,
    label: Labels = None,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Take all labels away.")] = False,
    executor: Annotated[
        str | None, typer.Option("--executor", metavar="NAME", help="Who does it; 'any' leaves it to the project.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="What an agent uses; 'any' leaves it open.")
    ] = None,
    customer: OfCustomer = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Change a task that is not being worked on."""
    wanted: dict[str, Any] = {
        "title": title,
        "command": command_of(run, argv, time_limit),
        "description": None if description is None else text_or_file(description),
        "acceptanceCriteria": None if criteria is None else parse_criteria(criteria),
        "estimateSeconds": estimate,
        "taskKind": kind,
        "labels": [] if no_labels else label,
        "executor": executor if executor == ANY else known_executor(executor),
        "model": model,
    }
    body = {key: value for key, value in wanted.items() if value is not None}
    if not body:
        raise CliError("Say what to change; see `devteam task edit --help`.")
    body |= {key: None for key in ("executor", "model") if body.get(key) == ANY}
    with engine(url, data) as api:
        changed = api.patch(f"/tasks/{find_task(api, task, customer)['id']}", body)
    _told(changed, f"Task {changed['title']} changed.", as_json)


@task_app.command("list")
def list_tasks(
    customer: Customer,
    status: Annotated[
        list[str] | None, typer.Option("--status", metavar="STATUS", help="Only these; repeatable.")
    ] = None,
    project: Annotated[str | None, typer.Option("--project", metavar="PROJECT", help="Only this one's.")] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """List a customer's tasks in queue order."""
    unknown = [word for word in status or () if word not in STATUSES]
    if unknown:
        raise CliError(f"'{unknown[0]}' is no status of a task; use one of {', '.join(STATUSES)}.")
    query: dict[str, Any] = {"status": status} if status else {}
    with engine(url, data) as api:
        card = find_customer(api, customer)
        if project is not None:
            projects = api.get(f"/customers/{card['id']}")["projects"]
            query["projectId"] = find_project(projects, project, card["name"])
        tasks = api.tasks(card["id"], **query)
    if as_json:
        render.print_json(tasks)
        return
    rows = [
        (
            render.shown_id(task["id"]),
            task["title"],
            render.state(task["status"]),
            str(task["attempts"]),
            task["statusReason"]["text"] if task["statusReason"] else "",
        )
        for task in tasks
    ]
    render.show(render.table("Id", "*Title", "Status", ">Attempts", "*Reason", rows=rows))


@task_app.command("show")
def show(task: Task, customer: OfCustomer = None, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Show a task with its attempts."""
    with engine(url, data) as api:
        detail = api.get(f"/tasks/{find_task(api, task, customer)['id']}")
        if as_json:
            render.print_json(detail)
            return
        attempts = api.get(f"/tasks/{detail['id']}/attempts")["attempts"]
    _show_task(detail)
    if attempts:
        render.show(_attempts_table(attempts))


@task_app.command("retry")
def retry(task: Task, customer: OfCustomer = None, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Put a task that did not complete back into the queue."""
    with engine(url, data) as api:
        after = api.post(f"/tasks/{find_task(api, task, customer)['id']}/retry")
    _told(after, f"{after['title']}: {after['status']}", as_json)


@task_app.command("cancel")
def cancel(
    task: Task,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is kept with the event.")] = None,
    customer: OfCustomer = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Take a task out of the queue; a running attempt at it is killed."""
    with engine(url, data) as api:
        after = api.post(f"/tasks/{find_task(api, task, customer)['id']}/cancel", {"reason": reason})
    _told(after, f"{after['title']}: {after['status']}", as_json)


@task_app.command("complete")
def complete(
    task: Task, customer: OfCustomer = None, as_json: Json = False, url: Url = None, data: Data = None
) -> None:
    """Say that a task which a person does is done."""
    with engine(url, data) as api:
        after = api.post(f"/tasks/{find_task(api, task, customer)['id']}/complete")
    _told(after, f"{after['title']}: {after['status']}", as_json)


@task_app.command("move")
def move(
    task: Task,
    before: Annotated[str | None, typer.Option("--before", metavar="TASK", help="Directly before this one.")] = None,
    head: Annotated[bool, typer.Option("--head", help="To the head of the queue.")] = False,
    tail: Annotated[bool, typer.Option("--tail", help="To the tail of the queue.")] = False,
    customer: OfCustomer = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Move a task within its queue."""
    if (before is not None) + head + tail != 1:
        raise CliError("Say where to: --before TASK, --head or --tail.")
    with engine(url, data) as api:
        moved = find_task(api, task, customer)
        target = _target(api, moved, before, head=head)
        if target == moved["id"]:
            raise CliError(f"'{moved['title']}' cannot be moved before itself.")
        after = api.post(f"/tasks/{moved['id']}/move", {"before": target})
    _told(after, f"{after['title']} moved.", as_json)


def _target(api: Api, moved: dict[str, Any], before: str | None, *, head: bool) -> str | None:
    """The task before which the moved one goes; None for the tail."""
    if before is None and not head:
        return None
    queue = api.tasks(moved["customerId"])
    if before is not None:
        return as_id(before) or resolve(before, named(queue, by="title"), "task")
    waiting = (task["id"] for task in queue if task["status"] not in FINAL and task["id"] != moved["id"])
    return next(waiting, None)


def command_of(run: str | None, argv: Sequence[str] | None, time_limit: float | None) -> dict[str, Any] | None:
    """The command of a task from its options."""
    if run is not None and argv:
        raise CliError("Give either --run or --argv.")
    if run is None and not argv:
        if time_limit is not None:
            raise CliError("--time-limit needs --run or --argv.")
        return None
    limit = {} if time_limit is None else {"timeLimitSeconds": time_limit}
    return {"script": run, **limit} if run is not None else {"argv": list(argv or ()), **limit}


def parse_criteria(text: str) -> list[Any]:
    """Acceptance criteria from JSON: a list of them, or one."""
    try:
        found = json.loads(text_or_file(text))
    except ValueError as exc:
        raise CliError(f"The acceptance criteria are no JSON: {exc}.") from exc
    except RecursionError as exc:
        raise CliError("The acceptance criteria are nested too deeply.") from exc
    return found if isinstance(found, list) else [found]


def text_or_file(text: str) -> str:
    """The text, or the file's after an `@`."""
    if not text.startswith("@"):
        return text
    path = Path(text[1:]).expanduser()
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as exc:
        raise CliError(f"The file {path} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise CliError(f"'{text[1:]}' is no name of a file.") from exc
    if len(content) > _LARGEST_FILE:
        raise CliError(f"The file {path} is larger than 1 MB.")
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise CliError(f"The file {path} is no text (UTF-8).") from exc


def _dependencies(api: Api, customer_id: str, wanted: Sequence[str]) -> list[str]:
    """Ids of the tasks that are named. A full id goes through: the engine says what is wrong with it."""
    if not wanted:
        return []
    tasks = named(api.tasks(customer_id), by="title")
    return [as_id(word) or resolve(word, tasks, "task") for word in wanted]


def _show_task(task: dict[str, Any]) -> None:
    from rich.table import Table

    drawn = Table.grid(padding=(0, 2))
    reason = task["statusReason"]
    for label, value in (
        ("Task", task["title"]),
        ("Id", task["id"]),
        ("Status", render.state(task["status"])),
        ("Reason", reason["text"] if reason else None),
        ("Mode", task["mode"]),
        ("Kind", task["taskKind"]),
        ("Size", task["size"]),
        ("Labels", ", ".join(task["labels"]) or None),
        ("Executor", " with ".join(each for each in (task["executor"], task["model"]) if each) or None),
        ("Command", _command_text(task["command"])),
        ("Depends on", ", ".join(task["dependsOn"]) or None),
        ("Criteria", json.dumps(task["acceptanceCriteria"]) if task["acceptanceCriteria"] else None),
        ("Description", task["description"] or None),
    ):
        if value is not None:
            drawn.add_row(render.plain(label), render.plain(value) if isinstance(value, str) else value)
    render.show(drawn)


def _command_text(command: dict[str, Any] | None) -> str | None:
    if command is None:
        return None
    return str(command["script"]) if command.get("script") else json.dumps(command["argv"])


def _attempts_table(attempts: Sequence[dict[str, Any]]) -> Any:
    rows = [
        (
            str(attempt["number"]),
            render.shown_id(attempt["id"]),
            attempt["phase"].replace("_", " "),
            render.state(attempt["outcome"] or "in_progress"),
            _length(attempt),
            attempt["branch"] if attempt["commit"] else "-",
            (attempt["commit"] or "-")[:12],
            attempt["reason"]["text"] if attempt["reason"] else "",
        )
        for attempt in attempts
    ]
    return render.table(">No.", "Id", "Phase", "Outcome", ">Time", "Branch", "Commit", "*Reason", rows=rows)


def _length(attempt: dict[str, Any]) -> str:
    if attempt["finishedAt"] is None:
        return "-"
    spent = datetime.fromisoformat(attempt["finishedAt"]) - datetime.fromisoformat(attempt["startedAt"])
    return render.seconds(spent.total_seconds())


def _told(task: dict[str, Any], line: str, as_json: bool) -> None:
    if as_json:
        render.print_json(task)
    else:
        render.say(line)
