"""Tests that runners name in their output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devteam.adapters.executors.test_output import TestOutput

TAP = "TAP version 14\n1..4\nok 1 - adds\nnot ok 2 - divides\nok 3 - later # SKIP no network\nnot ok 4 - soon # TODO\n"
GO = "--- PASS: TestAdd (0.00s)\n    --- FAIL: TestDiv/by_zero (0.01s)\n--- SKIP: TestNet (0.00s)\nFAIL\n"
CARGO = "running 3 tests\ntest calc::adds ... ok\ntest calc::divides ... FAILED\ntest calc::slow ... ignored\n"
UNITTEST = "test_add (test_calc.Calc.test_add) ... ok\ntest_div (test_calc.Calc.test_div) ... FAIL\n"
PYTEST = "test_calc.py::test_add \x1b[32mPASSED\x1b[0m [ 50%]\ntest_calc.py::test_div[1-0] FAILED [100%]\n"


def heard(text: str, size: int = 7) -> TestOutput:
    output = TestOutput()
    for at in range(0, len(text), size):
        output.add(text[at : at + size])
    return output


@pytest.mark.parametrize(
    ("text", "passed", "failed", "skipped"),
    [
        (TAP, {"adds"}, {"divides"}, 2),
        (GO, {"TestAdd"}, {"TestDiv/by_zero"}, 1),
        (CARGO, {"calc::adds"}, {"calc::divides"}, 1),
        (UNITTEST, {"test_add (test_calc.Calc.test_add)"}, {"test_div (test_calc.Calc.test_div)"}, 0),
        (PYTEST, {"test_calc.py::test_add"}, {"test_calc.py::test_div[1-0]"}, 0),
    ],
    ids=["tap", "go", "cargo", "unittest", "pytest"],
)
def test_names_and_results(text: str, passed: set[str], failed: set[str], skipped: int) -> None:
    report = heard(text).report()
    assert report is not None
    assert (set(report.passed), set(report.failed), report.skipped) == (passed, failed, skipped)


def test_other_output_names_no_test() -> None:
    assert heard("ok\nOkay, 3 files\nexample.com/calc ok\nall ok\n").report() is None
    assert heard("x" * 10_000_000, 1_000_000).report() is None


@given(st.text(max_size=400))
def test_no_text_breaks_it(text: str) -> None:
    heard(text).report()
