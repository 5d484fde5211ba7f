"""Every built-in check by its name."""

from collections.abc import Mapping
from typing import Final

from devteam.executions.checks.coverage import changed_coverage
from devteam.executions.checks.dependencies import dependency_changes, licence_changes
from devteam.executions.checks.paths import protected_paths
from devteam.executions.checks.secrets import secret_scan
from devteam.executions.checks.size import diff_size, nothing_happened
from devteam.executions.checks.verdict import Check
from devteam.executions.checks.weakened import weakened_tests
from devteam.projects.gates import BuiltinCheck

CHECKS: Final[Mapping[BuiltinCheck, Check]] = {
    BuiltinCheck.SECRET_SCAN: secret_scan,
    BuiltinCheck.DEPENDENCY_CHANGES: dependency_changes,
    BuiltinCheck.LICENCE_CHANGES: licence_changes,
    BuiltinCheck.DIFF_SIZE: diff_size,
    BuiltinCheck.PROTECTED_PATHS: protected_paths,
    BuiltinCheck.WEAKENED_TESTS: weakened_tests,
    BuiltinCheck.NOTHING_HAPPENED: nothing_happened,
    BuiltinCheck.CHANGED_COVERAGE: changed_coverage,
}
"""Every built-in check; its options are in `devteam.projects.gates.CHECK_OPTIONS`."""
