"""`devteam incidents …`: what went wrong and matters, with its evidence; take it on, and settle it."""

from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.failure import CliError
from devteam.cli.names import named, resolve
from devteam.cli.options import Data, Json, Url

incident_app = typer.Typer(help="Incidents: what went wrong and matters.")

UNSETTLED = ("open", "recovering", "escalated", "acknowledged")
STATUSES = (*UNSETTLED, "resolved")
Incident = Annotated[str, typer.Argument(metavar="INCIDENT", help="Id, or an end of it.", show_default=False)]


@incident_app.command("list")
def list_incidents(
    status: Annotated[
        list[str] | None, typer.Option("--status", metavar="STATUS", help="Only these; repeatable. Else all unsettled.")
    ] = None,
    customer: Annotated[
        str | None, typer.Option("--customer", metavar="CUSTOMER", help="Only this customer's.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Settled ones too.")] = False,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """List incidents, newest first."""
    unknown = set(status or ()) - set(STATUSES)
    if unknown:
        raise CliError(f"'{min(unknown)}' is no state of an incident; use {', '.join(STATUSES)}.")
    wanted = STATUSES if everything else tuple(status or UNSETTLED)
    with engine(url, data) as api:
        of = None if customer is None else resolve(customer, named(api.get("/customers")["customers"]), "customer")
        incidents = _all(api, wanted, of)
    if as_json:
        render.print_json(incidents)
        return
    rows = [
        (
            render.shown_id(each["id"]),
            each["status"],
            each["class"],
            f"{each['count']}x",
            each["title"],
            each["taskTitle"] or "-",
            each["lastAt"],
        )
        for each in incidents
    ]
    render.show(render.table("Id", "Status", "Class", ">Count", "*Title", "*Task", "Last at", rows=rows))


@incident_app.command("show")
def show(incident: Incident, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Print an incident with its evidence."""
    with engine(url, data) as api:
        found = api.get(f"/incidents/{_find(api, incident)}")
    if as_json:
        render.print_json(found)
        return
    render.say(f"{found['title']} [{found['class']}, {found['code']}]")
    render.say(f"{found['status']}, {found['count']}x, first {found['openedAt']}, last {found['lastAt']}")
    if found["taskTitle"]:
        render.say(f"Task: {found['taskTitle']}; attempt {found['attemptId']}")
    if found["resolution"]:
        render.say(f"Settled by {found['resolvedBy']}: {found['resolution']}")
    for name, value in found["evidence"].items():
        for each in value if isinstance(value, list) else [value]:
            render.say(f"  {name}: {each}")


@incident_app.command("acknowledge")
def acknowledge(incident: Incident, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Take an incident on, so that others know that somebody does."""
    with engine(url, data) as api:
        after = api.post(f"/incidents/{_find(api, incident)}/acknowledge")
    _told(after, f"You have taken it on: {after['title']}", as_json)


@incident_app.command("resolve")
def resolve_incident(
    incident: Incident,
    resolution: Annotated[str, typer.Option("--resolution", metavar="TEXT", help="How it was settled.")],
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Settle an incident, saying how."""
    with engine(url, data) as api:
        after = api.post(f"/incidents/{_find(api, incident)}/resolve", {"resolution": resolution})
    _told(after, f"Settled: {after['title']}", as_json)


def _all(api: Api, statuses: tuple[str, ...], customer_id: str | None) -> list[dict[str, Any]]:
    query: dict[str, Any] = {"status": list(statuses), "limit": 500}
    if customer_id is not None:
        query["customerId"] = customer_id
    found: list[dict[str, Any]] = []
    while True:
        page = api.get("/incidents", **query)
        found += page["incidents"]
        if page["nextCursor"] is None:
            return found
        query["cursor"] = page["nextCursor"]


def _find(api: Api, wanted: str) -> str:
    return resolve(wanted, named(_all(api, STATUSES, None), by="title"), "incident")


def _told(view: Any, line: str, as_json: bool) -> None:
    if as_json:
        render.print_json(view)
    else:
        render.say(line)
