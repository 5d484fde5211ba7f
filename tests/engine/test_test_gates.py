"""Gates that run tests: what runners name, tests that fail only sometimes, and coverage of what changed."""

from tests.engine.world import Engine, gate

TAP_ONE_FAILS = "echo 'ok 1 - adds'; grep -q two a.txt && echo 'not ok 2 - says one' && exit 1; echo 'ok 2 - says one'"
FLAKY = "echo 'ok 1 - adds'; [ -e FLAG ] && { echo 'ok 2 - waits'; exit; }; touch FLAG; echo 'not ok 2 - waits'; exit 1"
COVERED = "printf 'SF:a.txt\\nDA:1,1\\nDA:2,%s\\nend_of_record\\n' {} > lcov.info; echo lcov.info > .gitignore"


def test_broken_tests_are_named_from_the_output(working: Engine) -> None:
    case = working.customer(gates=[gate(TAP_ONE_FAILS)])
    task = case.task("echo two > a.txt")
    case.run()
    (result,) = [each for each in case.attempt(task).gates if each.stage == "post_task" and each.name == "check"]
    assert (result.passed, result.tests.broken if result.tests else None) == (False, ["says one"])
    assert "says one" in result.text


def test_test_that_fails_once_and_passes_unchanged_is_marked_flaky_and_does_not_stop_the_work(working: Engine) -> None:
    case = working.customer()
    case.gates([gate(FLAKY.replace("FLAG", str(case.folder / "flag")))])
    (case.folder / "flag").touch()  # the base passes
    task = case.task(f"echo hi >> a.txt; rm {case.folder / 'flag'}")
    case.run()
    attempt = case.attempt(task)
    (result,) = [each for each in attempt.gates if each.stage == "post_task" and each.name == "check"]
    assert attempt.outcome == "succeeded", attempt.reason
    assert (result.passed, result.tests.flaky if result.tests else None) == (True, ["waits"])
    assert "Flaky: waits." in result.text


def test_coverage_of_changed_lines_decides_with_its_numbers(working: Engine) -> None:
    check = {"name": "covered", "type": "builtin", "check": "changed_coverage"}
    for ran, outcome in (("0", "failed"), ("3", "succeeded")):
        case = working.customer(gates=[gate(COVERED.format(ran), name="tests"), check])
        task = case.task("echo more >> a.txt")
        case.run()
        attempt = case.attempt(task)
        (result,) = [each for each in attempt.gates if each.name == "covered"]
        assert attempt.outcome == outcome, (attempt.reason, result)
        (measure,) = result.measures
        assert (measure.actual, measure.required) == (100.0 if ran == "3" else 0.0, 80.0)
