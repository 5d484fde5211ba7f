"""Tasks that stop in a phase until they are released, and what must be true of them in the end."""

import psutil

from tests.engine.world import Case, Engine, Hold, gate

PHASES = ["planning", "execution", "quality_assurance", "delivery", "monitoring"]
IN_TREE = "[ -e x ] && case $PWD in */tree) true;; *) false;; esac"
ON_MERGED = "[ -e x ] && case $PWD in */base-*) true;; *) false;; esac"


def held_case(engine: Engine, phase: str) -> tuple[Case, Hold]:
    """A customer with one task that stops in the phase until it is released."""
    case = engine.customer()
    hold = case.hold()
    gates = {
        "planning": [gate(hold.script(), stage="pre_execution")],
        "quality_assurance": [gate(f"! {{ {IN_TREE}; }} || {{ {hold.script()}; }}")],
        "monitoring": [gate(f"! {{ {ON_MERGED}; }} || {{ {hold.script()}; }}")],
    }
    case.gates(gates.get(phase, [gate("true")]))
    if phase == "delivery":
        case.hook(hold.script())
    before = f"{hold.script()}; " if phase == "execution" else ""
    case.task(f"{before}echo ran >> {case.folder}/ran; echo x >> x", title=phase)
    case.start()
    hold.await_reached()
    return case, hold


def assert_done_once(case: Case, *, runs_of_the_command: int = 1) -> None:
    """The task is completed with exactly one commit, and nothing is left running."""
    seen = case.settled()
    attempt = seen.attempts[0]
    assert len(seen.attempts) == 1
    assert (seen.tasks[0].status, attempt.outcome, attempt.monitoring) == ("completed", "succeeded", "passed")
    assert case.deliveries(attempt) == [attempt.commit] == [case.repository.head()]
    assert case.show("x") == "x"
    ran = (case.folder / "ran").read_text().splitlines()
    assert len(ran) == runs_of_the_command
    order = [PHASES.index(span.phase) for span in attempt.phases]
    assert order == sorted(order) and order[-1] == 4
    case.assert_no_process_is_left()
    assert not (case.engine.data / "workspaces" / str(attempt.id)).exists()
    assert not leftover_git(case), leftover_git(case)


def leftover_git(case: Case) -> list[str]:
    """git and hooks that still work on the customer's repository."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(case.folder) in line and process.pid != psutil.Process().pid:
            found.append(line)
    return found
