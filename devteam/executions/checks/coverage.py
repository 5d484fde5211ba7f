"""How many of the lines that a task added its tests run: reports of Cobertura, LCOV and Go, against the patch."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath as Path
from typing import Any
from xml.etree import ElementTree

from devteam.executions.checks.changes import FileChange
from devteam.executions.checks.verdict import Facts, Verdict, shown
from devteam.executions.checks.weakened import is_test_path
from devteam.executions.lifecycle import Measure
from devteam.projects.gates import CoverageOptions

Lines = Mapping[str, Mapping[int, bool]]
"""Per file the lines that can run, and whether they did."""

_GO_LINE = re.compile(r"^(?P<file>[^:]+):(?P<from>\d+)\.\d+,(?P<to>\d+)\.\d+ \d+ (?P<times>\d+)$")
_GO_SPAN = 10_000


def changed_coverage(facts: Facts, options: Mapping[str, Any]) -> Verdict:
    """At least the wanted share of the added lines that can run were run.

    A file of a kind that the report knows, but not in it, was never loaded: all that it gained counts as missed.
    """
    wanted = CoverageOptions.model_validate(options)
    name, text = next(((path, found) for path in wanted.reports if (found := facts.report(path))), ("", None))
    if text is None:
        return Verdict(False, f"No gate left a coverage report at {shown(list(wanted.reports))}.")
    measured = read_coverage(text)
    if not measured:
        return Verdict(False, f"{name} is no coverage report that can be read.")
    ran, missed = 0, []
    kinds = {Path(name).suffix for name in measured}
    for file in facts.changes.files:
        lines = _of(measured, file.path)
        if not lines and Path(file.path).suffix in kinds and not is_test_path(file.path):
            missed += [f"{file.path}:{line.number}" for line in file.lines() if line.side == "+" and line.text.strip()]
        for number in _added(file) & lines.keys():
            if lines[number]:
                ran += 1
            else:
                missed.append(f"{file.path}:{number}")
    total = ran + len(missed)
    if total == 0:
        return Verdict(True, f"No added line can run, says {name}.")
    percent = 100 * ran / total
    measures = [Measure("coverage of changed lines in percent", round(percent, 1), wanted.minimum_percent)]
    text = f"Tests run {ran} of {total} added lines, {percent:.0f} %; {wanted.minimum_percent:g} % are wanted."
    details = [f"never run: {place}" for place in sorted(missed, key=_place)]
    return Verdict(percent >= wanted.minimum_percent, text, details=details, measures=measures)


def _added(file: FileChange) -> set[int]:
    return {line.number for line in file.lines() if line.side == "+"}


def _of(measured: Lines, path: str) -> Mapping[int, bool]:
    """The report's lines of a file; reports name files from a folder of their own."""
    if path in measured:
        return measured[path]
    alike = [name for name in measured if name.endswith(f"/{path}") or path.endswith(f"/{name}")]
    return measured[max(alike, key=len)] if alike else {}


def _place(place: str) -> tuple[str, int]:
    path, _, number = place.rpartition(":")
    return path, int(number)


def read_coverage(text: str) -> Lines:
    """A report's lines by file; empty when the text is none."""
    if text.lstrip().startswith("<"):
        return _cobertura(text)
    if text.startswith("mode:"):
        return _go(text)
    return _lcov(text)


def _cobertura(text: str) -> Lines:
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - expat itself bounds entity expansion
    except (ElementTree.ParseError, ValueError, LookupError):
        return {}
    found: dict[str, dict[int, bool]] = {}
    for each in root.iter("class"):
        lines = found.setdefault(each.get("filename", ""), {})
        for line in each.iter("line"):
            number, hits = line.get("number", ""), line.get("hits", "")
            if number.isdecimal() and hits.isdecimal():
                lines[int(number)] = lines.get(int(number), False) or int(hits) > 0
    return found


def _lcov(text: str) -> Lines:
    found: dict[str, dict[int, bool]] = {}
    lines: dict[int, bool] | None = None
    for line in text.splitlines():
        if line.startswith("SF:"):
            lines = found.setdefault(line[3:].strip().removeprefix("./"), {})
        elif line == "end_of_record":
            lines = None
        elif lines is not None and (hit := re.match(r"DA:(\d{1,9}),(\d+)", line)):
            lines[int(hit[1])] = lines.get(int(hit[1]), False) or hit[2].strip("0") != ""
    return found


def _go(text: str) -> Lines:
    found: dict[str, dict[int, bool]] = {}
    for line in text.splitlines():
        block = _GO_LINE.match(line)
        if block is None:
            continue
        lines = found.setdefault(block["file"], {})
        first, last = int(block["from"]), int(block["to"])
        for number in range(first, min(last, first + _GO_SPAN) + 1):
            lines[number] = lines.get(number, False) or block["times"].strip("0") != ""
    return found
