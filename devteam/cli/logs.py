"""`devteam logs`: the output of attempts, followed from one to the next if wanted."""

import sys
import time
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.failure import CliError
from devteam.cli.names import Named, as_id, named, resolve
from devteam.cli.options import Data, Url

POLL_SECONDS = 0.3
IDLE_SECONDS = 1.0
_PAGE = 500_000
_OVER = ("completed", "aborted")


def logs(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="CUSTOMER|ATTEMPT", help="A customer's current attempt, or one by id.", show_default=False
        ),
    ],
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with what comes, and with the customer's next attempts.")
    ] = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Print the output of an attempt."""
    with engine(url, data) as api:
        kind, identifier = find(api, wanted)
        if kind == "attempt":
            _print_attempt(api, identifier, follow=follow)
        elif follow:
            _follow_customer(api, identifier)
        else:
            _print_attempt(api, newest(api, identifier), follow=False)


def find(api: Api, wanted: str) -> tuple[str, str]:
    """What is meant: ("customer" or "attempt", id)."""
    cards = api.customers()
    full = as_id(wanted)
    if full is not None and all(card["id"] != full for card in cards):
        return "attempt", str(api.get(f"/attempts/{full}")["id"])
    running = [
        Named(card["currentTask"]["attemptId"], card["currentTask"]["title"]) for card in cards if card["currentTask"]
    ]
    try:
        return "customer", resolve(wanted, named(cards), "customer")
    except CliError as unknown:
        try:
            return "attempt", resolve(wanted, running, "running attempt")
        except CliError:
            raise unknown from None


def newest(api: Api, customer_id: str) -> str:
    """The id of a customer's newest attempt."""
    snapshot = api.get(f"/customers/{customer_id}")
    attempts = _oldest_first(snapshot)
    if not attempts:
        raise CliError(f"{snapshot['customer']['name']} has no attempt yet.")
    return str(attempts[-1]["id"])


def _oldest_first(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """A customer's attempts in the order they began; ids are made in that order."""
    return sorted(snapshot["attempts"], key=lambda attempt: str(attempt["id"]))


def _follow_customer(api: Api, customer_id: str) -> None:
    """Every attempt from the current or last one on, until the execution is over."""
    last = ""
    while True:
        snapshot = api.get(f"/customers/{customer_id}")
        attempts = _oldest_first(snapshot)
        following = [attempt for attempt in attempts if attempt["id"] > last] if last else attempts[-1:]
        for attempt in following:
            render.note(f"--- {attempt['taskTitle']}, attempt {attempt['number']} ({attempt['id']})")
            _print_attempt(api, attempt["id"], follow=True)
            last = attempt["id"]
        state = snapshot["customer"]["executionStatus"]
        if not following and state in _OVER:
            render.note(f"--- The execution of {snapshot['customer']['name']} is {state}.")
            return
        if not following:
            time.sleep(IDLE_SECONDS)


def _print_attempt(api: Api, attempt_id: str, *, follow: bool) -> None:
    """The output from its beginning to what is there now, or to its end."""
    offset = 0
    while True:
        page = api.get(f"/attempts/{attempt_id}/output", offset=offset, limit=_PAGE)
        _write(page["text"])
        moved = page["nextOffset"] > offset
        offset = page["nextOffset"]
        if not moved and (page["complete"] or not follow):
            return
        if not moved:
            time.sleep(POLL_SECONDS)


def _write(text: str) -> None:
    """To a terminal only what cannot steer it; to a file or a pipe as it is."""
    sys.stdout.write(render.printable(text, colours=True) if render.is_terminal() else text)
    sys.stdout.flush()
