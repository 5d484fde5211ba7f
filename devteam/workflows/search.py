"""Look for files and patterns in a workspace, in a process of its own: closed in like the work it looks at.

Some patterns search for ever, and nothing can stop a thread of ours that does.
"""

import sys
from dataclasses import replace

from devteam.executions.ports import GateRun
from devteam.projects.gates import Command, FileGate, RegexGate

FOUND, NOT_FOUND, NO_FILE = 0, 100, 101
FILE_BYTES = 10_000_000
"""How much of each file is searched."""

_PROGRAM = f"""
import glob, os, re, sys
path, pattern = sys.argv[1], sys.argv[2]
root = os.path.realpath(".") + os.sep

def inside(name):
    return ".git" not in name.split("/") and os.path.realpath(name).startswith(root)

names = [path] if os.path.lexists(path) else glob.iglob(path, recursive=True, include_hidden=True)
names = filter(inside, names)
if not pattern:
    found = next(names, None)
    if found is not None:
        print(found)
    sys.exit({FOUND} if found is not None else {NO_FILE})
wanted, seen, shown = re.compile(pattern, re.MULTILINE), 0, 0
for name in names:
    if not os.path.isfile(name):
        continue
    seen += 1
    with open(name, "rb") as file:
        text = file.read({FILE_BYTES}).decode("utf-8", "replace")
    match = wanted.search(text)
    if match is not None:
        print(f"{{name}}:{{text.count(chr(10), 0, match.start()) + 1}}")
        shown += 1
        if shown == 20:
            break
sys.exit({FOUND} if shown else {NOT_FOUND} if seen else {NO_FILE})
"""


def search_command(path: str, pattern: str = "") -> Command:
    """Prints where the pattern is found, or the path that exists when there is none.

    A path that exists is taken as it is written; otherwise it is a pattern of paths. Links that lead out of the
    folder are not followed.
    """
    return Command(argv=[sys.executable, "-I", "-S", "-c", _PROGRAM, path, pattern])


def judged(gate: FileGate | RegexGate, run: GateRun) -> GateRun:
    """The run of a gate's search, ending as the gate does: with exit code 0 when it holds."""
    code = run.end.exit_code
    if run.end.timed_out or run.end.error is not None or code not in (FOUND, NOT_FOUND, NO_FILE):
        return replace(run, text=f"Searching {gate.path} failed: {run.end.describe()}")
    places = [line for line in run.output_tail.splitlines() if line]
    first = f", first at {places[0]}" if places and places[0] != gate.path else ""
    if isinstance(gate, FileGate):
        holds = (code == FOUND) == gate.exists
        text = f"{gate.path} exists{first}." if code == FOUND else f"{gate.path} does not exist."
    elif code == NO_FILE:
        holds, text = not gate.present, f"There is no file {gate.path}."
    else:
        holds = (code == FOUND) == gate.present
        text = f"{gate.path} {'holds' if code == FOUND else 'does not hold'} the pattern {gate.pattern!r}{first}."
    return replace(run, end=replace(run.end, exit_code=0 if holds else 1), report=None, text=text)
