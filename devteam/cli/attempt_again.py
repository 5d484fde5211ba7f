"""`devteam attempt run-again|send-back|compare|replay`: earlier attempts looked at, and gone on from."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.attempts import Attempt, entry_lines, find_attempt, pages, used_line
from devteam.cli.client import engine
from devteam.cli.options import Data, Json, Url
from devteam.cli.tasks import text_or_file

LONGEST_WAIT = 5.0
"""Seconds that a replay stands still at most: nobody waits for a model again."""


def run_again(
    attempt: Attempt,
    *,
    from_round: Annotated[
        int | None, typer.Option("--from-round", metavar="N", help="With the files as this round left them.")
    ] = None,
    from_entry: Annotated[
        int | None, typer.Option("--from-entry", metavar="N", help="From this entry of the session.")
    ] = None,
    executor: Annotated[str | None, typer.Option("--executor", help="Another one than before.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Another one than before.")] = None,
    budget: Annotated[float | None, typer.Option("--budget", metavar="USD", help="US dollars for the attempt.")] = None,
    instructions: Annotated[
        str | None, typer.Option("--instructions", metavar="TEXT", help="What to add to the prompt: TEXT, or @FILE.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Do the task again from a point of an attempt that did not succeed; without a point, afresh."""
    wanted = {
        "fromRound": from_round,
        "fromOrdinal": from_entry,
        "executor": executor,
        "model": model,
        "budgetUsd": budget,
        "instructions": None if instructions is None else text_or_file(instructions),
    }
    sent = {key: value for key, value in wanted.items() if value is not None}
    with engine(url, data) as api:
        asked = api.post(f"/attempts/{find_attempt(api, attempt)}/run-again", sent)
    _say_asked(asked, as_json=as_json)


def send_back(
    attempt: Attempt,
    remarks: Annotated[str, typer.Argument(metavar="REMARKS", help="TEXT, or @FILE.", show_default=False)],
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Say what is not right about a delivery on a branch, or about failed work: the next attempt goes on from it."""
    with engine(url, data) as api:
        asked = api.post(f"/attempts/{find_attempt(api, attempt)}/send-back", {"remarks": text_or_file(remarks)})
    _say_asked(asked, as_json=as_json)


def _say_asked(asked: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        render.print_json(asked)
    else:
        render.say(f"“{asked['task']['title']}” is next in its queue: {asked['task']['statusReason']['text']}")


def compare(
    left: Annotated[str, typer.Argument(metavar="ATTEMPT", help="By id.", show_default=False)],
    right: Annotated[str, typer.Argument(metavar="ATTEMPT", help="By id.", show_default=False)],
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Show two attempts at a task side by side: executor, gates, cost, time, files."""
    with engine(url, data) as api:
        found = api.get(f"/attempts/{find_attempt(api, left)}/compare/{find_attempt(api, right)}")
    if as_json:
        render.print_json(found)
        return
    sides = [found["left"], found["right"]]
    columns = ("", *(f"attempt {side['attempt']['number']}" for side in sides))
    facts = [_facts(side) for side in sides]
    rows = [(name, facts[0][name], facts[1][name]) for name in facts[0]]
    rows += [
        (f"{gate['stage']}: {gate['name']}", _verdict(gate["left"]), _verdict(gate["right"])) for gate in found["gates"]
    ]
    rows += [(file["path"], _lines(file["left"]), _lines(file["right"], same=file["same"])) for file in found["files"]]
    render.show(render.table(*columns, rows=rows))


def _facts(side: Mapping[str, Any]) -> dict[str, str]:
    attempt = side["attempt"]
    reason = attempt["reason"]
    return {
        "outcome": str(attempt["outcome"] or attempt["phase"]),
        "reason": "" if reason is None else reason["text"],
        "executor": attempt["executor"],
        "models": ", ".join(side["models"]),
        "prompt": attempt["promptVersion"] or "",
        "rounds": str(attempt["round"]),
        "time": "" if side["seconds"] is None else f"{side['seconds']:.1f} s",
        "calls": used_line(attempt),
    }


def _verdict(gate: Mapping[str, Any] | None) -> str:
    if gate is None or gate["passed"] is None:
        return "did not run"
    tests = gate["tests"]
    counts = "" if tests is None else f" ({tests['passed']} tests passed, {tests['failed']} failed)"
    return ("passed" if gate["passed"] else "failed") + counts


def _lines(file: Mapping[str, Any] | None, *, same: bool | None = False) -> str:
    if file is None:
        return "-"
    counts = "binary" if file["added"] is None else f"+{file['added']} -{file['deleted']}"
    return f"{counts} (the same)" if same else counts


def replay(
    attempt: Attempt,
    *,
    speed: Annotated[float, typer.Option("--speed", min=0.1, max=1000, help="Times as fast as it went.")] = 10.0,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="All at once.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Prompts, thoughts and outputs unfolded.")] = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Print an agent's session as it went, with the time of each entry since its begin."""
    with engine(url, data) as api:
        attempt_id = find_attempt(api, attempt)
        began: datetime | None = None
        before = 0.0
        for entry in _entries(pages(api, attempt_id, follow=False)):
            at = datetime.fromisoformat(entry["at"])
            began = began or at
            passed = (at - began).total_seconds()
            if not no_wait:
                time.sleep(min(LONGEST_WAIT, max(0.0, passed - before) / speed))
            before = passed
            for number, line in enumerate(entry_lines(entry["kind"], entry["data"], full=full)):
                render.say(f"{_clock(passed) if number == 0 else '':>8} {line}")
        if began is None:
            render.note("The attempt has no session: no agent worked on it.")


def _entries(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for page in found:
        yield from page["entries"]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"
