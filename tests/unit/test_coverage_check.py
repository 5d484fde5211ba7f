"""Coverage of changed lines, from the reports that test runners write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devteam.executions.checks.changes import Changes, FileChange
from devteam.executions.checks.coverage import changed_coverage, read_coverage
from devteam.executions.checks.verdict import Facts, Verdict

COBERTURA = """<?xml version="1.0" ?>
<coverage><sources><source>/srv/src</source></sources><packages><package><classes>
<class name="calc.py" filename="lib/calc.py"><lines>
<line number="1" hits="1"/><line number="2" hits="0"/><line number="4" hits="3"/><line number="9" hits="0"/>
</lines></class></classes></package></packages></coverage>"""
LCOV = "TN:\nSF:./src/lib/calc.py\nDA:1,1\nDA:2,0\nDA:4,3\nDA:9,0\nend_of_record\n"
GO = "mode: set\n" + "".join(
    f"example.com/src/lib/calc.py:{block}\n" for block in ("1.2,1.9 1 1", "2.1,2.9 1 0", "4.1,4.2 2 7")
)
# Lines 1 to 4 were added; line 3 can not run, line 9 is not part of the change.
PATCH = b"""diff --git a/src/lib/calc.py b/src/lib/calc.py
--- a/src/lib/calc.py
+++ b/src/lib/calc.py
@@ -0,0 +1,4 @@
+one
+two
+# three
+four
"""


def verdict(report: str | None, **options: float | list[str]) -> Verdict:
    changes = Changes([FileChange("src/lib/calc.py", "M", 4, 0, PATCH), FileChange("README.md", "M", 1, 0)])
    return changed_coverage(Facts(changes, report=lambda path: report if path == "coverage.xml" else None), options)


@pytest.mark.parametrize("report", [COBERTURA, LCOV, GO])
def test_counts_the_added_lines_that_can_run(report: str) -> None:
    found = verdict(report)
    assert (found.passed, found.details) == (False, ["never run: src/lib/calc.py:2"])
    (measure,) = found.measures
    assert (measure.actual, measure.required) == (66.7, 80)
    assert verdict(report, minimumPercent=60).passed


def test_no_report_fails_and_nothing_to_run_passes() -> None:
    assert "No gate left a coverage report" in verdict(None).text
    assert "can be read" in verdict("<html>").text
    assert verdict(LCOV.replace("calc.py", "other.c")).passed


def test_file_that_no_test_loaded_counts_as_missed() -> None:
    found = verdict(LCOV.replace("calc", "other"))
    assert (found.passed, len(found.details)) == (False, 4)


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    for start in ("<", "mode:", "SF:x\nDA:"):
        read_coverage(start + text)
