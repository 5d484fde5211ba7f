"""`devteam attempt …`: an agent's session as it is read by a developer, and guidance while it runs."""

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.logs import find, newest
from devteam.cli.options import Data, Json, Url
from devteam.cli.tasks import text_or_file

attempt_app = typer.Typer(help="Attempts: what agents say and do, and guidance for them.")

POLL_SECONDS = 0.5
_PAGE = 500
_FOLDED_LINES = 12
"""Lines of a tool's output that are shown unless everything is wanted: the last ones."""
_MARKS = {"completed": "x", "in_progress": ">", "pending": " "}
Attempt = Annotated[
    str,
    typer.Argument(metavar="ATTEMPT|CUSTOMER", help="By id, or a customer's newest attempt.", show_default=False),
]


@attempt_app.command("session")
def session(
    attempt: Attempt,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until it ends.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Prompts, thoughts and outputs unfolded.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for scripts.")] = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Print an agent's session: plan, messages, tool calls, permissions, cost."""
    with engine(url, data) as api:
        attempt_id = find_attempt(api, attempt)
        used: dict[str, Any] = {}
        for page in pages(api, attempt_id, follow=follow):
            used = page["used"]
            for entry in page["entries"]:
                if as_json:
                    render.print_json_line(entry)
                    continue
                for line in entry_lines(entry["kind"], entry["data"], full=full):
                    render.say(line)
        if not as_json:
            render.note(f"--- {used_line(used)}")


@attempt_app.command("guide")
def guide(
    attempt: Attempt,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="TEXT, or @FILE.", show_default=False)],
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Add guidance for the agent that works on an attempt; it hears it at its next step."""
    with engine(url, data) as api:
        guidance = api.post(f"/attempts/{find_attempt(api, attempt)}/guidance", {"text": text_or_file(text)})
    if as_json:
        render.print_json(guidance)
    else:
        render.say("The agent hears it at its next step.")


def find_attempt(api: Api, wanted: str) -> str:
    """The attempt that is meant: by id, or a customer's newest."""
    kind, identifier = find(api, wanted)
    return identifier if kind == "attempt" else newest(api, identifier)


def pages(api: Api, attempt_id: str, *, follow: bool) -> Iterator[dict[str, Any]]:
    """Stretches of the session from its beginning; at least one."""
    after = 0
    while True:
        page = api.get(f"/attempts/{attempt_id}/session", after=after, limit=_PAGE)
        yield page
        after = page["nextOrdinal"]
        if len(page["entries"]) == _PAGE:
            continue
        if page["complete"] or not follow:
            return
        time.sleep(POLL_SECONDS)


def entry_lines(kind: str, data: Mapping[str, Any], *, full: bool) -> Iterator[str]:
    """An entry as lines for a person."""
    text = str(data.get("text", "")).rstrip()
    match kind:
        case "message":
            yield from ["", *text.splitlines(), ""]
        case "prompt" | "thought":
            yield from _folded(kind, text, full=full)
        case "note":
            yield f"! {text}"
        case "steer":
            yield f"+ {text}"
        case "plan":
            for step in _objects(data.get("entries")):
                yield f"[{_MARKS.get(str(step.get('status')), ' ')}] {step.get('content', '')}"
        case "tool_call":
            yield f"▸ {data.get('title') or data.get('kind') or 'tool'}"
            yield from _tool_end(data, full=full)
        case "tool_update":
            yield from _tool_end(data, full=full)
        case "permission":
            call = data.get("toolCall")
            title = call.get("title", "a tool") if isinstance(call, dict) else "a tool"
            yield f"? {title}: {'allowed' if data.get('allowed') else 'refused'} by {data.get('by', 'policy')}"


def _folded(kind: str, text: str, *, full: bool) -> Iterator[str]:
    lines = text.splitlines()
    if full:
        yield f"--- {kind}"
        yield from lines
        yield "---"
    else:
        yield f"({kind}: {len(lines)} line{'' if len(lines) == 1 else 's'})"


def _tool_end(data: Mapping[str, Any], *, full: bool) -> Iterator[str]:
    """How a tool call ended, with what it showed; nothing while it runs."""
    if data.get("status") not in ("completed", "failed"):
        return
    for item in _objects(data.get("content")):
        if item.get("type") == "diff":
            yield f"  ± {item.get('path', '')}"
        inner = item.get("content")
        if isinstance(inner, dict) and isinstance(inner.get("text"), str):
            lines = inner["text"].rstrip().splitlines()
            shown = lines if full else lines[-_FOLDED_LINES:]
            if len(shown) < len(lines):
                yield f"  … {len(lines) - len(shown)} lines before"
            yield from (f"  {line}" for line in shown)
    yield "  ✗ failed" if data["status"] == "failed" else "  ✓"


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; the agent's own JSON may hold anything."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def used_line(used: Mapping[str, Any]) -> str:
    """What the calls came to, in one line."""
    if not used["calls"]:
        return "no metered model calls"
    cost = "cost unknown: no price" if used["costUsd"] is None else f"{used['costUsd']:.4f} US dollars"
    cached = f" ({used['cachedTokens']} cached)" if used["cachedTokens"] else ""
    calls = "1 call" if used["calls"] == 1 else f"{used['calls']} calls"
    return f"{calls}, {used['inputTokens']} tokens in{cached}, {used['outputTokens']} out, {cost}"
