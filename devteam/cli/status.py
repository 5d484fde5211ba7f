"""`devteam status`: the overview, once or live."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.options import Data, Json, Url

if TYPE_CHECKING:
    from rich.console import RenderableType

POLL_SECONDS = 1.0
_WIDE = 110
"""Columns of a terminal from which on everything is shown."""
_ONLY_WHEN_WIDE = ("Progress", ">Health", ">Left")
_LIVE_STATES = ("active", "error", "paused", "queued")


def status(
    as_json: Json = False,
    once: Annotated[bool, typer.Option("--once", help="Print once and end, also on a terminal.")] = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Show all customers: a live table on a terminal, one print elsewhere."""
    with engine(url, data) as api:
        if as_json:
            sys.stdout.write(api.get_text("/executions").rstrip("\n") + "\n")
        elif once or not render.is_terminal():
            render.show(overview(api.get("/executions")))
        else:
            _follow(api)


def _follow(api: Api) -> None:
    """Refresh the table until Ctrl-C."""
    from rich.live import Live

    with Live(overview(api.get("/executions")), console=render.console(), auto_refresh=False) as live:
        while True:
            time.sleep(POLL_SECONDS)
            live.update(overview(api.get("/executions")), refresh=True)


def overview(found: dict[str, Any]) -> "RenderableType":
    """The overview as a table with a line of sums below."""
    from rich.console import Group

    wide = render.width() >= _WIDE
    customer = "Customer" if wide else "*Customer"
    columns = (customer, "State", "Progress", ">Done", ">Failed", ">Needs you", ">Health", ">Left", "*Now")
    shown = [n for n, name in enumerate(columns) if wide or name not in _ONLY_WHEN_WIDE]
    rows = [[row[n] for n in shown] for row in map(_row, sorted(found["customers"], key=_order))]
    return Group(render.table(*[columns[n] for n in shown], rows=rows), render.plain(_sums(found["system"])))


def _order(card: dict[str, Any]) -> tuple[int, str]:
    """What is open comes first."""
    word = card["executionStatus"]
    return (_LIVE_STATES.index(word) if word in _LIVE_STATES else len(_LIVE_STATES), card["name"].casefold())


def _row(card: dict[str, Any]) -> list["RenderableType"]:
    health = card["healthScore"]
    return [
        render.plain(card["name"]),
        render.state(card["executionStatus"]),
        render.bar(card["progress"]),
        f"{card['tasksCompleted']}/{card['tasksTotal']}",
        str(card["tasksFailed"] + card["tasksBlocked"]),
        str(card["needsYou"]),
        "-" if health is None else f"{health:.0%}",
        render.seconds(card["timeRemaining"]["seconds"]),
        render.plain(_now(card)),
    ]


def _now(card: dict[str, Any]) -> str:
    """What runs, or why nothing does."""
    task = card["currentTask"]
    if task is not None:
        frozen = ", frozen" if task["frozen"] else ""
        return f"{task['title']} ({task['phase'].replace('_', ' ')}{frozen})"
    reason = card["statusReason"] or card["waitReason"]
    return str(reason["text"]) if reason else ""


def _sums(system: dict[str, Any]) -> str:
    return (
        f"{system['activeExecutions']} active, {_count(system['runningAttempts'], 'attempt')} running, "
        f"{system['slotsUsed']} of {_count(system['slots'], 'slot')} used, "
        f"{_count(system['tasksPending'], 'task')} pending, {system['tasksCompletedToday']} completed today, "
        f"{_count(system['workersAlive'], 'worker')} alive"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
