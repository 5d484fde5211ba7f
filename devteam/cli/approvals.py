"""`devteam approvals …`: what waits for a person, and the answers."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.failure import CliError
from devteam.cli.names import as_id, named, resolve
from devteam.cli.options import Data, Json, Url

approval_app = typer.Typer(help="Approvals: questions of the engine and its agents that wait for a person.")

STATUSES = ("pending", "approved", "rejected", "expired")
_PAGE = 200
Approval = Annotated[str, typer.Argument(metavar="APPROVAL", help="Its id, or an end of it.", show_default=False)]
Text = Annotated[str | None, typer.Option("--text", metavar="TEXT", help="What whoever asked should know.")]


@approval_app.command("list")
def list_approvals(
    *,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATUS", help="Only these; repeatable. Else what is pending."),
    ] = None,
    customer: Annotated[
        str | None, typer.Option("--customer", metavar="CUSTOMER", help="Only this customer's.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Answered ones too.")] = False,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """List what waits for a person, newest first."""
    unknown = set(status or ()) - set(STATUSES)
    if unknown:
        raise CliError(f"'{min(unknown)}' is no state of an approval; use {', '.join(STATUSES)}.")
    with engine(url, data) as api:
        cards = api.customers()
        names = {card["id"]: card["name"] for card in cards}
        filters: dict[str, Any] = {} if everything else {"status": status or ["pending"]}
        if customer is not None:
            filters["customerId"] = resolve(customer, named(cards), "customer")
        found = _all(api, **filters)
    if as_json:
        render.print_json(found)
        return
    rows = [
        (
            render.shown_id(each["id"]),
            names.get(each["customerId"], each["customerId"]),
            each["title"],
            each["taskTitle"],
            render.state(each["status"]),
        )
        for each in found
    ]
    render.show(render.table("Id", "*Customer", "*Question", "*Task", "State", rows=rows))


@approval_app.command("show")
def show(approval: Approval, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Show one question with its details."""
    with engine(url, data) as api:
        found = api.get(f"/approvals/{_id_of(api, approval)}")
    if as_json:
        render.print_json(found)
        return
    render.say(found["title"])
    render.say(f"{found['asks'].replace('_', ' ')}, for the task: {found['taskTitle']}")
    render.say(_standing(found))
    if found["detail"]:
        render.say("")
        render.say(found["detail"])


@approval_app.command("approve")
def approve(approval: Approval, text: Text = None, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Say yes; who asked goes on at once."""
    _answer(approval, text, approved=True, as_json=as_json, url=url, data=data)


@approval_app.command("reject")
def reject(approval: Approval, text: Text = None, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Say no; who asked goes on without it."""
    _answer(approval, text, approved=False, as_json=as_json, url=url, data=data)


def _answer(approval: str, text: str | None, *, approved: bool, as_json: bool, url: Url, data: Data) -> None:
    body: dict[str, Any] = {"approved": approved}
    if text is not None:
        body["text"] = text
    with engine(url, data) as api:
        answered = api.post(f"/approvals/{_id_of(api, approval)}/answer", body)
    if as_json:
        render.print_json(answered)
    else:
        render.say(f"{answered['status'].capitalize()}: {answered['title']}")


def _standing(approval: Mapping[str, Any]) -> str:
    if approval["status"] == "pending":
        return f"Waits since {approval['requestedAt']}, until {approval['expiresAt']}."
    by = f" by {approval['answeredBy']}" if approval["answeredBy"] else ""
    said = f": {approval['answer']}" if approval["answer"] else "."
    return f"{approval['status'].capitalize()}{by}{said}"


def _id_of(api: Api, wanted: str) -> str:
    full = as_id(wanted)
    if full is not None:
        return full
    return resolve(wanted, named(_all(api), by="title"), "approval")


def _all(api: Api, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = api.get("/approvals", limit=_PAGE, **filters)
        found += page["approvals"]
        if page["nextCursor"] is None:
            return found
        filters["cursor"] = page["nextCursor"]
