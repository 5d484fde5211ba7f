"""What the model can do in the working folder.

A tool first prepares an action from its arguments (which may refuse), then the action can be shown to the user, and
only then it runs.
"""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devteam.agent.listing import glob_pattern, list_files
from devteam.agent.messages import PlanStep, ToolCall
from devteam.agent.models import ToolSpec
from devteam.agent.paths import PathRefused, TextFile, Workspace
from devteam.agent.processes import run_command

READ_LINES = 2_000
LINE_CHARACTERS = 2_000
ANSWER_CHARACTERS = 50_000
LISTED = 500
MATCHES = 200
SEARCH_SECONDS = 30.0
SHELL_SECONDS = 120
SHELL_SECONDS_MOST = 600
DIFF_CHARACTERS = 100_000
_DIFF_CONTEXT_LINES = 3
_SEARCHER = Path(__file__).with_name("grep.py")

Json = dict[str, Any]
OnOutput = Callable[[str], Awaitable[None]]


class ToolRefused(Exception):
    """The call cannot be done as asked; the message is for the model."""


@dataclass(frozen=True)
class Diff:
    """A change of one file; `old` is None for a new file. Large files are shown around the change only."""

    path: Path
    old: str | None
    new: str


@dataclass(frozen=True)
class Outcome:
    """What the tool answers to the model."""

    text: str
    failed: bool = False


@dataclass(frozen=True)
class Action:
    """One call, ready to run. `permission` names what the user is asked to allow; None needs no asking."""

    title: str
    kind: str
    run: Callable[[OnOutput], Awaitable[Outcome]]
    path: Path | None = None
    diff: Diff | None = None
    permission: str | None = None


Prepare = Callable[[Json], Action]


@dataclass(frozen=True)
class Tool:
    """A tool and how a call of it is prepared; `prepare` raises `ToolRefused` or `PathRefused`.

    `checked` tools get arguments that match their schema; others (of a server) check for themselves.
    """

    spec: ToolSpec
    prepare: Prepare
    checked: bool = True


def _schema(required: Sequence[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _string(description: str) -> Json:
    return {"type": "string", "description": description}


def _integer(description: str, least: int = 1, most: int | None = None) -> Json:
    limits = {"minimum": least} | ({} if most is None else {"maximum": most})
    return {"type": "integer", "description": description} | limits


def _boolean(description: str) -> Json:
    return {"type": "boolean", "description": description}


_PATH = _string("Path of the file, relative to the working folder")
_FOLDER = _string("Only below this folder or in this file; the whole working folder when left out")
_STATUSES = ("pending", "in_progress", "completed")
_STEP = {
    "type": "object",
    "properties": {"step": _string("What is to be done"), "status": {"type": "string", "enum": list(_STATUSES)}},
    "required": ["step", "status"],
}


class Toolbox:
    """The built-in tools of one working folder; `on_plan` is told each new plan."""

    def __init__(self, workspace: Workspace, on_plan: Callable[[list[PlanStep]], Awaitable[None]]) -> None:
        self._workspace = workspace
        self._on_plan = on_plan
        self.tools = {tool.spec.name: tool for tool in self._all()}

    def _all(self) -> list[Tool]:
        def tool(prepare: Prepare, description: str, schema: Json) -> Tool:
            return Tool(ToolSpec(prepare.__name__.removeprefix("_"), description, schema), prepare)

        return [
            tool(
                self._read_file,
                "Read a text file with line numbers. Long files come in parts: use offset and limit.",
                _schema(
                    ["path"],
                    path=_PATH,
                    offset=_integer("First line to read, from 1"),
                    limit=_integer("How many lines", most=READ_LINES),
                ),
            ),
            tool(
                self._write_file,
                "Create a file or replace all of its content. For a change in an existing file prefer edit_file.",
                _schema(["path", "content"], path=_PATH, content=_string("The whole new content")),
            ),
            tool(
                self._edit_file,
                "Replace text in a file. old_text must be in the file exactly, without line numbers, and only once"
                " unless all is true: take enough lines around it. An empty new_text deletes.",
                _schema(
                    ["path", "old_text", "new_text"],
                    path=_PATH,
                    old_text=_string("The exact text to replace"),
                    new_text=_string("What to put in its place"),
                    all=_boolean("Replace every occurrence"),
                ),
            ),
            tool(
                self._list_files,
                f"List files that git does not ignore, at most {LISTED}.",
                _schema([], path=_FOLDER, glob=_string("Such as **/*.py; without a slash it is matched with names")),
            ),
            tool(
                self._search,
                f"Search file contents with a Python regular expression, line by line, at most {MATCHES} lines.",
                _schema(
                    ["pattern"],
                    pattern=_string("Regular expression"),
                    path=_FOLDER,
                    glob=_string("Only in files that match, such as *.py"),
                    ignore_case=_boolean("Do not tell upper from lower case"),
                ),
            ),
            tool(
                self._shell,
                "Run a command with bash in the working folder. Input is empty, output is cut in the middle when"
                " long, and processes left in the background end with the command.",
                _schema(
                    ["command"],
                    command=_string("The command"),
                    seconds=_integer(f"Time limit, {SHELL_SECONDS} unless said", most=SHELL_SECONDS_MOST),
                ),
            ),
            tool(
                self._update_plan,
                "Write down or renew the plan: all steps in order, one of them in progress.",
                _schema(["steps"], steps={"type": "array", "items": _STEP, "description": "All steps"}),
            ),
        ]

    def _read_file(self, given: Json) -> Action:
        path = self._workspace.resolve(given["path"])
        name = self._workspace.name(path)

        async def run(_: OnOutput) -> Outcome:
            lines = self._workspace.read(path).text.split("\n")
            return Outcome(numbered(lines, given.get("offset", 1), given.get("limit", READ_LINES)))

        return Action(f"Read {name}", "read", run, path=path)

    def _write_file(self, given: Json) -> Action:
        path = self._workspace.resolve(given["path"])
        before = self._workspace.read_if_exists(path)
        after = before.with_text(given["content"]) if before else TextFile(given["content"])
        lines = after.text.count("\n") + 1
        return self._change(path, before, after, f"{lines} lines")

    def _edit_file(self, given: Json) -> Action:
        path = self._workspace.resolve(given["path"])
        before = self._workspace.read(path)
        text, count = replaced(before, given["old_text"], given["new_text"], every=given.get("all", False))
        places = "1 place" if count == 1 else f"{count} places"
        return self._change(path, before, before.with_text(text), f"changed in {places}")

    def _change(self, path: Path, before: TextFile | None, after: TextFile, what: str) -> Action:
        name = self._workspace.name(path)
        self._workspace.check_writable(path)
        after.encode(name)

        async def run(_: OnOutput) -> Outcome:
            if self._workspace.read_if_exists(path) != before:
                raise ToolRefused(f"{name} changed meanwhile; read it again")
            self._workspace.write(path, after)
            return Outcome(f"{name} is written: {what}")

        title = f"{'Edit' if before else 'Create'} {name}"
        return Action(title, "edit", run, path=path, diff=shown_diff(path, before, after), permission="edit files")

    def _list_files(self, given: Json) -> Action:
        folder = self._workspace.resolve(given.get("path") or ".")
        wanted = _glob(given)

        async def run(_: OnOutput) -> Outcome:
            names = [n for n in await list_files(self._workspace, folder) if wanted is None or wanted.match(n)]
            shown = "\n".join(names[:LISTED]) or "no files"
            more = f"\n[{len(names) - LISTED} more]" if len(names) > LISTED else ""
            return Outcome(cut(shown) + more)

        return Action(f"List files in {self._workspace.name(folder)}", "search", run, path=folder)

    def _search(self, given: Json) -> Action:
        folder = self._workspace.resolve(given.get("path") or ".")
        wanted = _glob(given)
        try:
            re.compile(given["pattern"])
        except (re.error, OverflowError, RecursionError) as error:
            raise ToolRefused(f"this is no regular expression: {error}") from None

        async def run(_: OnOutput) -> Outcome:
            names = [n for n in await list_files(self._workspace, folder) if wanted is None or wanted.match(n)]
            order = {
                "pattern": given["pattern"],
                "ignoreCase": given.get("ignore_case", False),
                "root": str(self._workspace.root),
                "files": names,
                "limit": MATCHES,
            }
            result = await run_command(
                [sys.executable, "-I", "-S", "-X", "utf8", str(_SEARCHER)],
                cwd=self._workspace.root,
                time_limit=SEARCH_SECONDS,
                stdin=json.dumps(order).encode(),
                limit=ANSWER_CHARACTERS,
            )
            if result.code is None:
                raise ToolRefused(f"the search took longer than {SEARCH_SECONDS:.0f} s; use a simpler pattern")
            return Outcome(result.output.strip() or "no matches", failed=result.code != 0)

        return Action(f"Search for {given['pattern'][:80]}", "search", run, path=folder)

    def _shell(self, given: Json) -> Action:
        command, seconds = given["command"], given.get("seconds", SHELL_SECONDS)
        if not command.strip() or "\0" in command:
            raise ToolRefused("the command is empty or not a command")

        async def run(on_output: OnOutput) -> Outcome:
            result = await run_command(
                ["bash", "-c", command], cwd=self._workspace.root, time_limit=seconds, on_output=on_output
            )
            if result.code is None:
                return Outcome(f"{result.output}\n[ended after the time limit of {seconds} s]".lstrip(), failed=True)
            note = f"[exit code {result.code}, {result.seconds:.1f} s]"
            return Outcome(f"{result.output.rstrip()}\n{note}".lstrip(), failed=result.code != 0)

        return Action(command.strip()[:200], "execute", run, permission=f"run: {command}")

    def _update_plan(self, given: Json) -> Action:
        steps = [PlanStep(step["step"], step["status"]) for step in given["steps"]]

        async def run(_: OnOutput) -> Outcome:
            await self._on_plan(steps)
            return Outcome("the plan is kept")

        return Action("Update the plan", "think", run)


def prepare(tools: Mapping[str, Tool], call: ToolCall) -> Action:
    """An action for what the model asked; raises `ToolRefused` or `PathRefused` with what it should do better."""
    if call.error:
        raise ToolRefused(call.error)
    tool = tools.get(call.name)
    if tool is None:
        raise ToolRefused(f"there is no tool {call.name!r}; there are {', '.join(tools)}")
    if not tool.checked:
        return tool.prepare(dict(call.arguments))
    if problem := mismatch(call.arguments, tool.spec.parameters):
        raise ToolRefused(f"the arguments of {call.name} are wrong: {problem}")
    return tool.prepare({key: value for key, value in call.arguments.items() if value is not None})


async def perform(action: Action, on_output: OnOutput) -> Outcome:
    """Run it; what goes wrong becomes an answer that says so."""
    try:
        return await action.run(on_output)
    except (ToolRefused, PathRefused) as refusal:
        return Outcome(str(refusal), failed=True)
    except (OSError, ValueError) as error:  # such as a name that the system cannot hold
        return Outcome(f"this failed: {error}", failed=True)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict, Mapping),
}


def mismatch(value: Any, schema: Mapping[str, Any], name: str = "the whole") -> str | None:
    """What is wrong with a value, by the few words of JSON schema that our tools use; unknown words are not checked."""
    expected = schema.get("type")
    types = _TYPES.get(expected) if isinstance(expected, str) else None
    if types and (not isinstance(value, types) or (expected == "integer" and isinstance(value, bool))):
        return f"{name} must be of type {expected}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{name} must be one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        return None if low <= value <= high else f"{name} must be from {low} to {high}"
    if isinstance(value, list):
        problems = (mismatch(item, schema.get("items", {}), f"{name}[{i}]") for i, item in enumerate(value))
        return next(filter(None, problems), None)
    if isinstance(value, Mapping):
        return _member_mismatch(value, schema)
    return None


def _member_mismatch(value: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = schema.get("required", ())
    for key in required:
        if value.get(key) is None:
            return f"{key} is missing"
    for key, item in value.items():
        if key not in properties:
            if schema.get("additionalProperties") is False:
                return f"there is no {key}"
        elif (item is not None or key in required) and (problem := mismatch(item, properties[key], key)):
            return problem
    return None


def _glob(given: Json) -> re.Pattern[str] | None:
    glob = given.get("glob")
    try:
        return glob_pattern(glob) if glob else None
    except re.error as error:
        raise ToolRefused(f"{glob} is no pattern of file names: {error}") from None


def cut(text: str, limit: int = ANSWER_CHARACTERS) -> str:
    """The beginning of a text that is too long, with a note."""
    return text if len(text) <= limit else f"{text[:limit]}\n[... {len(text) - limit} characters left out ...]"


def numbered(lines: Sequence[str], offset: int, limit: int) -> str:
    """Lines with their numbers, as many as fit."""
    if lines and lines[-1] == "":
        lines = lines[:-1]
    if not lines:
        return "the file is empty"
    if offset > len(lines):
        raise ToolRefused(f"the file has {len(lines)} lines")
    shown: list[str] = []
    size = 0
    for number, line in enumerate(lines[offset - 1 : offset - 1 + limit], offset):
        text = f"{number:6}\t{cut(line, LINE_CHARACTERS)}"
        size += len(text) + 1
        if shown and size > ANSWER_CHARACTERS:
            break
        shown.append(text)
    last = offset + len(shown) - 1
    if last < len(lines):
        shown.append(f"[lines {offset} to {last} of {len(lines)}; go on with offset {last + 1}]")
    return "\n".join(shown)


def replaced(file: TextFile, old: str, new: str, *, every: bool) -> tuple[str, int]:
    """The text with `old` replaced, and how often; refuses what is not there or not clear."""
    if file.crlf:
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if not old:
        raise ToolRefused("old_text is empty; write_file makes a file")
    if old == new:
        raise ToolRefused("old_text and new_text are the same")
    count = file.text.count(old)
    if count == 0:
        raise ToolRefused("old_text is not in the file; read it and copy the text exactly, blanks included")
    if count > 1 and not every:
        raise ToolRefused(f"old_text is in the file {count} times; take more lines around it, or set all")
    return file.text.replace(old, new), count


def shown_diff(path: Path, before: TextFile | None, after: TextFile) -> Diff:
    """Both texts, or of large ones only the changed lines with a few around them."""
    if before is None:
        return Diff(path, None, cut(after.text, DIFF_CHARACTERS))
    old, new = before.text, after.text
    if max(len(old), len(new)) <= DIFF_CHARACTERS:
        return Diff(path, old, new)
    old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    start = _common(old_lines, new_lines)
    end = _common(old_lines[start:][::-1], new_lines[start:][::-1])
    first = max(0, start - _DIFF_CONTEXT_LINES)
    end = max(0, end - _DIFF_CONTEXT_LINES)
    parts = ("".join(lines[first : len(lines) - end]) for lines in (old_lines, new_lines))
    shown_old, shown_new = (cut(part, DIFF_CHARACTERS) for part in parts)
    return Diff(path, shown_old, shown_new)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items at the beginning are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


async def no_output(_: str) -> None:
    """For callers that show nothing while a tool runs."""
    await asyncio.sleep(0)
