"""How much changed, and whether anything did."""

from collections.abc import Mapping
from typing import Any

from devteam.executions.checks.verdict import Facts, Verdict
from devteam.executions.lifecycle import Measure
from devteam.projects.gates import DiffSizeOptions


def diff_size(facts: Facts, options: Mapping[str, Any]) -> Verdict:
    """No more files and lines changed than a person is willing to read."""
    wanted = DiffSizeOptions.model_validate(options)
    files = len(facts.changes.files)
    lines = sum((file.added or 0) + (file.deleted or 0) for file in facts.changes.files)
    measures = [
        Measure("files changed", files, wanted.max_files),
        Measure("lines changed", lines, wanted.max_lines),
    ]
    over = [
        f"{measure.actual:.0f} {measure.name} where {measure.required:.0f} are allowed"
        for measure in measures
        if measure.required is not None and measure.actual > measure.required
    ]
    if over:
        text = " and ".join(over)
        return Verdict(False, f"{text[0].upper()}{text[1:]}.", measures=measures)
    return Verdict(True, f"{files} files and {lines} lines changed.", measures=measures)


def nothing_happened(facts: Facts, options: Mapping[str, Any]) -> Verdict:  # noqa: ARG001 - it has no options
    """The repository changed, or an acceptance criterion shows that there was nothing to change."""
    if facts.changes.files:
        return Verdict(True, "The repository changed.")
    if facts.criteria:
        return Verdict(True, "The repository is unchanged, and its acceptance criteria hold.")
    return Verdict(False, "The repository is unchanged, and no acceptance criterion shows that the task is done.")
