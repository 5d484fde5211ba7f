"""The lines of a long output that say what went wrong, for the tools that tasks' gates run most."""

import time

import pytest

from devteam.executions.evidence import decisive_lines

NOISE = "\n".join(f"collecting module {number} of many and saying so at length" for number in range(400))

PYTEST = """\
_____________________________ test_total_is_summed _____________________________

    def test_total_is_summed():
>       assert total([1, 2]) == 4
E       assert 3 == 4
E        +  where 3 = total([1, 2])

tests/test_total.py:5: AssertionError
=========================== short test summary info ============================
FAILED tests/test_total.py::test_total_is_summed - assert 3 == 4
========================= 1 failed, 120 passed in 3.11s ========================"""
UNITTEST = """\
======================================================================
FAIL: test_sum (tests.test_sum.SumTest.test_sum)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/srv/tests/test_sum.py", line 8, in test_sum
    self.assertEqual(3, 4)
AssertionError: 3 != 4

----------------------------------------------------------------------
Ran 3 tests in 0.001s

FAILED (failures=1)"""
JEST = """\
FAIL src/sum.test.js
  ● adds 1 + 2

    expect(received).toBe(expected) // Object.is equality

    Expected: 4
    Received: 3

    > 5 |   expect(sum(1, 2)).toBe(4);

Tests:       1 failed, 7 passed, 8 total"""
VITEST = """\
 \u00d7 src/sum.test.ts > adds
   AssertionError: expected 3 to be 4
   - Expected
   + Received
 Tests  1 failed | 2 passed (3)"""
GO = """\
=== RUN   TestSum
    sum_test.go:9: got 3, want 4
--- FAIL: TestSum (0.00s)
panic: runtime error: index out of range [3] with length 3
FAIL\texample.com/sum\t0.004s"""
CARGO = """\
error[E0308]: mismatched types
 --> src/lib.rs:4:5
thread 'tests::adds' (123) panicked at src/lib.rs:12:9:
  left: 3
 right: 4
test tests::adds ... FAILED
test result: FAILED. 3 passed; 1 failed; 0 ignored"""
TSC = "src/a.ts(4,7): error TS2322: Type 'string' is not assignable to type 'number'.\nFound 1 error in src/a.ts:4"
MYPY = "app/a.py:3: error: Incompatible return value type  [return-value]\nFound 1 error in 1 file (checked 9)"
RUFF = """\
app/a.py:1:8: F401 [*] `os` imported but unused
F841 Local variable `x` is assigned to but never used
 --> app/b.py:2:5
Found 2 errors."""


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (
            PYTEST,
            ["assert total([1, 2]) == 4", "E       assert 3 == 4", "tests/test_total.py:5: AssertionError", "1 failed"],
        ),
        (UNITTEST, ["FAIL: test_sum", "AssertionError: 3 != 4", "FAILED (failures=1)"]),
        (JEST, ["● adds 1 + 2", "Expected: 4", "Received: 3", "1 failed, 7 passed"]),
        (VITEST, ["src/sum.test.ts > adds", "expected 3 to be 4", "1 failed | 2 passed"]),
        (GO, ["sum_test.go:9: got 3, want 4", "--- FAIL: TestSum", "panic: runtime error"]),
        (CARGO, ["error[E0308]", "--> src/lib.rs:4:5", "panicked at src/lib.rs:12:9", "left: 3", "right: 4"]),
        (TSC, ["error TS2322", "Found 1 error"]),
        (MYPY, ["Incompatible return value", "Found 1 error"]),
        (RUFF, ["F401", "F841", "--> app/b.py:2:5", "Found 2 errors"]),
    ],
    ids=["pytest", "unittest", "jest", "vitest", "go", "cargo", "tsc", "mypy", "ruff"],
)
def test_what_names_the_failure_is_found_in_the_midst_of_much_else(output: str, wanted: list[str]) -> None:
    found = decisive_lines(f"{NOISE}\n{output}\n{NOISE}\n", 1_500)
    assert len(found) <= 1_500
    for text in wanted:
        assert text in found
    assert found.index(wanted[0]) < found.index(wanted[-1]), "in the order of the output"


def test_short_output_is_whole_and_without_colours() -> None:
    assert decisive_lines("\x1b[31mred\x1b[0m\r\nsecond\x00", 100) == "red\nsecond"


def test_without_anything_that_names_a_failure_the_end_is_kept() -> None:
    found = decisive_lines("\n".join(f"line {number}" for number in range(10_000)), 200)
    assert found.endswith("line 9999") and found.startswith("…") and len(found) <= 200


def test_with_more_failures_than_fit_the_first_and_the_summary_are_kept() -> None:
    many = "\n".join(f"app/a.py:{number}: error: wrong in this place" for number in range(5_000))
    found = decisive_lines(f"{many}\nFound 5000 errors in 1 file", 2_000)
    assert "app/a.py:0: error" in found and "Found 5000 errors" in found and len(found) <= 2_000


@pytest.mark.parametrize(
    "output",
    [
        "x" * 2_000_000,
        "_" * 500_000,
        "E " * 500_000,
        "\x1b[" * 300_000,
        " " * 1_000_000 + "\n",
        "\n" * 500_000,
        "(1,1)" * 200_000,
    ],
)
def test_hostile_output_takes_no_time_and_stays_within_the_limit(output: str) -> None:
    began = time.monotonic()
    assert len(decisive_lines(output, 3_000)) <= 3_000
    assert time.monotonic() - began < 10
