"""Files that only change with a person's consent."""

from collections.abc import Mapping
from typing import Any

from devteam.executions.checks.patterns import matching
from devteam.executions.checks.verdict import Facts, Verdict, listed, shown
from devteam.projects.gates import ProtectedPathOptions


def protected_paths(facts: Facts, options: Mapping[str, Any]) -> Verdict:
    """No file of those changed that the project protects, but those that a person allowed."""
    patterns = [*facts.protected_paths, *ProtectedPathOptions.model_validate(options).paths]
    touched = matching(facts.changes.paths, patterns)
    asked = [path for path in touched if path not in facts.approved_paths]
    if asked:
        text = f"Protected files changed: {shown(asked)}."
        return Verdict(False, text, listed(asked), asked, ask="protected_paths")
    if touched:
        return Verdict(True, f"Protected files changed as a person allowed: {shown(touched)}.", listed(touched))
    return Verdict(True, "No protected file changed.")
