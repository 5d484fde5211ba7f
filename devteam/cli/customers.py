"""`devteam customer …`, `devteam project …` and `devteam login-link`."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.failure import CliError
from devteam.cli.gates import proposals, propose_gates, read_gates
from devteam.cli.names import named, repository_address, resolve
from devteam.cli.options import Customer, Data, Json, Url

customer_app = typer.Typer(help="Customers.")
project_app = typer.Typer(help="Projects: git repositories of customers.")

PRIORITIES = {"priority": "priority_customer", "standard": "standard_customer", "low": "low_priority_customer"}
EXECUTORS = ("command", "native", "opencode", "claude", "codex", "gemini", "qwen", "acp")
DELIVERY_MODES = ("branch", "fast_forward", "merge_commit")
ADMINISTRATOR = "admin"
_DAY = 86_400.0
Priority = Annotated[str, typer.Option("--priority", metavar="CLASS", help="priority, standard or low.")]
Gates = Annotated[
    list[str] | None,
    typer.Option("--gate", metavar="NAME=COMMAND", help="Shell command that must hold after each task; repeatable."),
]
AuthorName = Annotated[
    str | None, typer.Option("--author-name", metavar="NAME", help="Author of the commits; else DevTeam.")
]
AuthorEmail = Annotated[str | None, typer.Option("--author-email", metavar="ADDRESS", help="The author's address.")]
Routes = Annotated[
    str | None, typer.Option("--routes", metavar="JSON", help="Who does which tasks: JSON, or @FILE; [] for no rules.")
]
GateFile = Annotated[
    Path | None,
    typer.Option("--gates", metavar="FILE", help="A JSON list of gates; see docs/how-to/quality-gates.md."),
]
PreGates = Annotated[
    list[str] | None,
    typer.Option("--pre-gate", metavar="NAME=COMMAND", help="The same before each task; repeatable."),
]
Egress = Annotated[
    list[str] | None,
    typer.Option(
        "--egress", metavar="HOST[:PORT]", help="A host or *.host that agents may reach; repeatable. Else none."
    ),
]

Protect = Annotated[
    list[str] | None,
    typer.Option(
        "--protect", metavar="PATTERN", help="Paths that agents change only when a person allows it; repeatable."
    ),
]
Refuse = Annotated[
    list[str] | None,
    typer.Option(
        "--refuse", metavar="COMMAND", help="First words of a command that agents may not run, or /regex/; repeatable."
    ),
]


def find_customer(api: Api, wanted: str) -> dict[str, Any]:
    """The card of the customer that is meant."""
    cards = api.customers()
    found = resolve(wanted, named(cards), "customer")
    return next(card for card in cards if card["id"] == found)


def find_project(projects: Sequence[dict[str, Any]], wanted: str | None, customer: str) -> str:
    """The id of the project that is meant; without a word, of the only one."""
    if wanted is not None:
        return resolve(wanted, named(projects), "project")
    if len(projects) == 1:
        return str(projects[0]["id"])
    if not projects:
        raise CliError(f"{customer} has no project yet; add one with `devteam project add`.")
    names = ", ".join(project["name"] for project in projects)
    raise CliError(f"{customer} has several projects ({names}); say which with --project.")


@customer_app.command("add")
def add_customer(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of your choice.", show_default=False)],
    priority: Priority = "standard",
    time_zone: Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="Such as Europe/Berlin.")] = "UTC",
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Add a customer."""
    body = {"name": name, "priorityClass": priority_class(priority), "timeZone": time_zone}
    with engine(url, data) as api:
        card = api.post("/customers", body)
    _told(card, f"Customer {card['name']} added: {card['id']}", as_json)


@customer_app.command("list")
def list_customers(as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """List the customers."""
    with engine(url, data) as api:
        cards = api.customers()
    if as_json:
        render.print_json(cards)
        return
    rows = [
        (
            render.shown_id(card["id"]),
            card["name"],
            card["priorityClass"],
            render.state(card["executionStatus"]),
            f"{card['tasksCompleted']}/{card['tasksTotal']}",
        )
        for card in cards
    ]
    render.show(render.table("Id", "*Name", "Priority", "State", ">Tasks", rows=rows))


@customer_app.command("priority")
def set_priority(
    customer: Customer,
    priority: Annotated[str, typer.Argument(metavar="CLASS", help="priority, standard or low.", show_default=False)],
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Change how large a share of the slots a customer gets."""
    wanted = priority_class(priority)
    with engine(url, data) as api:
        card = api.patch(f"/customers/{find_customer(api, customer)['id']}", {"priorityClass": wanted})
    _told(card, f"{card['name']} is a {card['priorityClass'].replace('_', ' ')} now.", as_json)


project_app.command("propose-gates")(propose_gates)


@project_app.command("add")
def add_project(
    customer: Customer,
    *,
    repository: Annotated[
        str, typer.Option("--repository", metavar="PATH_OR_URL", help="The git repository.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option("--name", help="Instead of the repository's name.")] = None,
    base_branch: Annotated[
        str | None, typer.Option("--base-branch", metavar="BRANCH", help="Instead of the repository's default.")
    ] = None,
    delivery_mode: Annotated[
        str, typer.Option("--delivery-mode", metavar="MODE", help=f"{', '.join(DELIVERY_MODES)}.")
    ] = "branch",
    gate: Gates = None,
    pre_gate: PreGates = None,
    gate_file: GateFile = None,
    proposed_gates: Annotated[
        bool, typer.Option("--proposed-gates", help="Take what the repository suggests; see `project propose-gates`.")
    ] = False,
    monitoring_window: Annotated[
        float, typer.Option("--monitoring-window", metavar="SECONDS", help="How long a delivery is watched.")
    ] = _DAY,
    executor: Annotated[
        str, typer.Option("--executor", metavar="NAME", help="What does the tasks; see `executors list`.")
    ] = "command",
    agent_command: Annotated[
        str | None, typer.Option("--agent-command", metavar="COMMAND", help="For acp: what starts the agent.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="What an agent uses; else the first offered.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="USD", help="What an attempt may spend at most.")
    ] = None,
    egress: Egress = None,
    routes: Routes = None,
    author_name: AuthorName = None,
    author_email: AuthorEmail = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Add a project to a customer."""
    if delivery_mode not in DELIVERY_MODES:
        raise CliError(f"'{delivery_mode}' is no delivery mode; use one of {', '.join(DELIVERY_MODES)}.")
    body: dict[str, Any] = {
        "name": repository_name(repository) if name is None else name,
        "repository": repository_address(repository),
        "deliveryMode": delivery_mode,
        "monitoringWindowSeconds": monitoring_window,
        "gates": _all_gates(gate, pre_gate, gate_file),
        **executor_fields(executor, agent_command, model, budget),
        "egressAllow": egress or [],
        "routes": _routes(routes) or [],
        "authorName": author_name,
        "authorEmail": author_email,
    }
    if base_branch is not None:
        body["baseBranch"] = base_branch
    with engine(url, data) as api:
        if proposed_gates:
            own = {each["name"] for each in body["gates"]}
            found = [each["gate"] for each in proposals(api, repository, base_branch)["proposals"]]
            body["gates"] += [each for each in found if each["name"] not in own]
        project = api.post(f"/customers/{find_customer(api, customer)['id']}/projects", body)
    _told(project, f"Project {project['name']} added: {project['id']}", as_json)


@project_app.command("edit")
def edit_project(
    customer: Customer,
    *,
    project: Annotated[
        str | None, typer.Option("--project", metavar="PROJECT", help="Needed when there are several.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name")] = None,
    delivery_mode: Annotated[
        str | None, typer.Option("--delivery-mode", metavar="MODE", help=f"{', '.join(DELIVERY_MODES)}.")
    ] = None,
    gate: Gates = None,
    pre_gate: PreGates = None,
    gate_file: GateFile = None,
    no_gates: Annotated[bool, typer.Option("--no-gates", help="Take all gates away.")] = False,
    monitoring_window: Annotated[float | None, typer.Option("--monitoring-window", metavar="SECONDS")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL")] = None,
    budget: Annotated[float | None, typer.Option("--budget", metavar="USD")] = None,
    protect: Protect = None,
    no_protect: Annotated[bool, typer.Option("--no-protect", help="Protect no path any more.")] = False,
    refuse: Refuse = None,
    no_refuse: Annotated[bool, typer.Option("--no-refuse", help="Refuse no command any more.")] = False,
    egress: Egress = None,
    no_egress: Annotated[bool, typer.Option("--no-egress", help="Allow no host any more.")] = False,
    agent_command: Annotated[
        str | None, typer.Option("--agent-command", metavar="COMMAND", help="What starts the executor acp.")
    ] = None,
    routes: Routes = None,
    author_name: AuthorName = None,
    author_email: AuthorEmail = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Change a project. Gates and hosts that are given take the place of all that it had."""
    if delivery_mode is not None and delivery_mode not in DELIVERY_MODES:
        raise CliError(f"'{delivery_mode}' is no delivery mode; use one of {', '.join(DELIVERY_MODES)}.")
    gates = _all_gates(gate, pre_gate, gate_file)
    wanted = {
        "name": name,
        "deliveryMode": delivery_mode,
        "gates": gates if gates or no_gates else None,
        "monitoringWindowSeconds": monitoring_window,
        "model": model,
        "budgetUsd": budget,
        "egressAllow": egress or ([] if no_egress else None),
        "protectedPaths": protect or ([] if no_protect else None),
        "refusedCommands": refuse or ([] if no_refuse else None),
        "agentCommand": _words(agent_command),
        "routes": _routes(routes),
        "authorName": author_name,
        "authorEmail": author_email,
    }
    body = {key: value for key, value in wanted.items() if value is not None}
    if not body:
        raise CliError("Say what to change; see `devteam project edit --help`.")
    with engine(url, data) as api:
        card = find_customer(api, customer)
        project_id = find_project(api.get(f"/customers/{card['id']}")["projects"], project, card["name"])
        changed = api.patch(f"/projects/{project_id}", body)
    _told(changed, f"Project {changed['name']} changed.", as_json)


@project_app.command("list")
def list_projects(customer: Customer, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """List a customer's projects."""
    with engine(url, data) as api:
        projects = api.get(f"/customers/{find_customer(api, customer)['id']}")["projects"]
    if as_json:
        render.print_json(projects)
        return
    rows = [
        (
            render.shown_id(project["id"]),
            project["name"],
            project["repository"],
            project["baseBranch"],
            project["deliveryMode"].replace("_", " "),
            project["executor"],
            ", ".join(gate["name"] for gate in project["gates"]) or "-",
        )
        for project in projects
    ]
    render.show(render.table("Id", "*Name", "*Repository", "Branch", "Delivery", "Executor", "*Gates", rows=rows))


def login_link(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A user; without it the administrator.")] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Print a one-time link that signs a user in to the page."""
    with engine(url, data) as api:
        users = api.get("/users")["users"]
        if name is None and not any(user["name"] == ADMINISTRATOR for user in users):
            answer = api.post("/users", {"name": ADMINISTRATOR, "role": "admin"})
        else:
            user_id = resolve(name or ADMINISTRATOR, named(users), "user")
            answer = api.post(f"/users/{user_id}/login-link")
    _told({"loginUrl": answer["loginUrl"]}, answer["loginUrl"], as_json)


def priority_class(text: str) -> str:
    """A priority class by its short or full word."""
    if text in PRIORITIES.values():
        return text
    if text not in PRIORITIES:
        raise CliError(f"'{text}' is no priority class; use one of {', '.join(PRIORITIES)}.")
    return PRIORITIES[text]


def executor_fields(
    executor: str, agent_command: str | None, model: str | None, budget: float | None
) -> dict[str, Any]:
    """What a project says about who does its tasks."""
    if known_executor(executor) == "acp" and agent_command is None:
        raise CliError("The executor acp needs --agent-command.")
    fields = {"executor": executor, "agentCommand": _words(agent_command), "model": model, "budgetUsd": budget}
    return {name: value for name, value in fields.items() if value is not None}


def known_executor(name: str | None) -> str | None:
    """The executor's name, unless there is none of that name."""
    if name is not None and name not in EXECUTORS:
        raise CliError(f"'{name}' is no executor; use one of {', '.join(EXECUTORS)}.")
    return name


def _routes(text: str | None) -> list[Any] | None:
    """Rules from JSON: a list of them, or one."""
    from devteam.cli.tasks import text_or_file

    if text is None:
        return None
    try:
        found = json.loads(text_or_file(text))
    except (ValueError, RecursionError) as exc:
        raise CliError(f"The rules are no JSON: {exc}.") from exc
    return found if isinstance(found, list) else [found]


def _words(command: str | None) -> list[str] | None:
    """A command line as its words, as a shell would take it apart."""
    if command is None:
        return None
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise CliError(f"The agent's command cannot be read: {exc}.") from exc
    if not words:
        raise CliError("The agent's command is empty.")
    return words


def _all_gates(gate: list[str] | None, pre_gate: list[str] | None, file: Path | None) -> list[dict[str, Any]]:
    return [
        *[parse_gate(text, "pre_execution") for text in pre_gate or ()],
        *[parse_gate(text, "post_task") for text in gate or ()],
        *([] if file is None else read_gates(file)),
    ]


def parse_gate(text: str, stage: str) -> dict[str, Any]:
    """`NAME=shell command` as a gate."""
    name, equals, script = text.partition("=")
    if not equals or not name.strip() or not script.strip():
        raise CliError(f"The gate '{text}' is not of the form NAME=COMMAND.")
    return {"name": name.strip(), "stage": stage, "script": script.strip()}


def repository_name(text: str) -> str:
    """The last part of a repository's address without its ending."""
    last = re.split(r"[/:]", repository_address(text).rstrip("/"))[-1]
    return last.removesuffix(".git") or "main"


def _told(view: Any, line: str, as_json: bool) -> None:
    if as_json:
        render.print_json(view)
    else:
        render.say(line)
