"""`devteam start`, `pause`, `resume`, `abort` and `emergency-stop`."""

from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.customers import find_customer
from devteam.cli.failure import CliError
from devteam.cli.options import Customer, Data, Json, Reason, Url


def start(customer: Customer, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Start working through a customer's queue."""
    with engine(url, data) as api:
        card = find_customer(api, customer)
        execution = api.post("/executions", {"customerId": card["id"]})["execution"]
    _told(card["name"], execution, as_json)


def pause(
    customer: Customer,
    after_current_task: Annotated[
        bool, typer.Option("--after-current-task", help="Let the current task end first.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Pause a customer's execution."""
    mode = "after_current_task" if after_current_task else "now"
    with engine(url, data) as api:
        name, execution = _command(api, customer, "pause", {"mode": mode})
    _told(name, execution, as_json)


def resume(
    customer: Annotated[str | None, typer.Argument(metavar="[CUSTOMER]", help="Name or id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Resume whatever an emergency stop paused.")] = False,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Go on after a pause or an error."""
    if everything == (customer is not None):
        raise CliError("Name a customer, or give --all to resume whatever an emergency stop paused.")
    with engine(url, data) as api:
        if customer is None:
            _told_many("Resumed", api.post("/emergency-stop/resume"), as_json)
            return
        name, execution = _command(api, customer, "resume", None)
    _told(name, execution, as_json)


def abort(customer: Customer, reason: Reason, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """End a customer's execution; its running task goes back into the queue."""
    with engine(url, data) as api:
        name, execution = _command(api, customer, "abort", {"reason": reason})
    _told(name, execution, as_json)


def emergency_stop(reason: Reason, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Kill everything that runs and pause every execution; `resume --all` goes on."""
    with engine(url, data) as api:
        stopped = api.post("/emergency-stop", {"reason": reason})
    _told_many("Stopped", stopped, as_json)


def _command(api: Api, customer: str, action: str, body: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """Send a command to a customer's execution: the customer's name and the execution afterwards."""
    card = find_customer(api, customer)
    if card["executionId"] is None:
        raise CliError(f"{card['name']} has no execution; start one with `devteam start`.")
    return card["name"], api.post(f"/executions/{card['executionId']}/{action}", body)["execution"]


def _told(customer: str, execution: dict[str, Any], as_json: bool) -> None:
    if as_json:
        render.print_json(execution)
        return
    reason = execution["statusReason"]
    waiting = {"now": ", pausing", "after_current_task": ", pausing after the current task"}
    asked = waiting.get(execution["pauseRequested"], "") if execution["status"] != "paused" else ""
    text = f" ({reason['text'].rstrip('.')})" if reason else ""
    render.say(f"{customer}: {execution['status']}{asked}{text}")


def _told_many(did: str, answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        render.print_json(answer)
        return
    count = len(answer["executionIds"])
    render.say(f"{did} {count} execution{'' if count == 1 else 's'}.")
