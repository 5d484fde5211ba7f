"""Gates of every type and DevTeam's own checks, on real work in real repositories."""

from collections.abc import Iterator

import pytest

from devteam.access.model import ENGINE
from devteam.approvals.schemas import AnswerInput
from devteam.approvals.service import ApprovalService
from devteam.executions.schemas import AttemptView, GateResult
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from tests.engine.world import Case, Engine, eventually, gate
from tests.integration.git_projects import git
from tests.peers.http_peer import HttpPeer, whole

AWS = "AKIA" + "QYLPMN5HHHFPZAM2"


@pytest.fixture(scope="module")
def peer() -> Iterator[HttpPeer]:
    async def handle(request, reader, writer) -> None:  # type: ignore[no-untyped-def]
        status = "500 Broken" if "broken" in request.path else "302 Found" if "moved" in request.path else "200 OK"
        writer.write(whole(b"all is well", status, location="http://127.0.0.1:1/"))

    with HttpPeer(handle) as made:
        yield made


def result(attempt: AttemptView, name: str, stage: str = "post_task") -> GateResult:
    return next(each for each in attempt.gates if each.name == name and each.stage == stage)


def stored_text(case: Case) -> str:
    """Everything that the engine keeps in words about a customer's attempts."""
    with case.engine.database.transaction() as connection:
        rows = connection.execute(
            sql(
                """SELECT coalesce(string_agg(row_to_json(g)::text, ' '), '') FROM gate_results g
                       JOIN attempts a ON a.id = g.attempt_id WHERE a.customer_id = :id
                   UNION ALL SELECT coalesce(string_agg(diff, ' '), '') FROM attempt_diffs d
                       JOIN attempts a ON a.id = d.attempt_id WHERE a.customer_id = :id
                   UNION ALL SELECT coalesce(string_agg(text, ' '), '') FROM attempt_output o
                       JOIN attempts a ON a.id = o.attempt_id WHERE a.customer_id = :id
                   UNION ALL SELECT coalesce(string_agg(row_to_json(v)::text, ' '), '') FROM events v
                       WHERE v.stream = :id
                   UNION ALL SELECT coalesce(string_agg(reason, ' '), '') FROM tasks WHERE customer_id = :id"""
            ),
            {"id": case.customer_id},
        )
        return " ".join(row[0] for row in rows)


def test_a_secret_is_never_delivered_and_stands_in_no_record(working: Engine) -> None:
    case = working.customer()
    (case.folder / "secret").write_text(f"key = '{AWS}'\n")
    task = case.task(f"cat {case.folder}/secret > settings.py")
    case.run()
    attempt = case.attempt(task)
    assert case.view(task).status == "failed"
    scan = result(attempt, "secret scan")
    assert (scan.passed, scan.required, scan.output_tail) == (False, True, "settings.py:1 AWS access key")
    assert not case.deliveries(attempt) and AWS not in git(case.repository.bare, "log", "--all", "-p")
    assert AWS not in stored_text(case)
    assert "[secret: AWS access key]" in stored_text(case)


def test_files_and_patterns_are_looked_for_in_the_work_and_numbers_stand_beside_their_limits(working: Engine) -> None:
    gates = [
        {"type": "file", "name": "notes", "path": "notes/**/*.md"},
        {"type": "file", "name": "no logs", "path": "*.log", "exists": False},
        {"type": "regex", "name": "says hi", "path": "**/*.txt", "pattern": "^hi$"},
        {"type": "regex", "name": "no tabs", "path": "**/*.py", "pattern": "\\t", "present": False},
        {"type": "builtin", "name": "small", "check": "diff_size", "options": {"maxFiles": 2}},
    ]
    case = working.customer(gates=gates)
    good = case.task("mkdir -p notes/x; echo n > notes/x/a.md; echo hi >> a.txt")
    bad = case.task("touch a.log b.py c.py; printf '\\tx' > b.py; ln -s /etc/passwd p.txt")
    case.run()
    assert (case.view(good).status, case.view(bad).status) == ("completed", "failed")
    attempt = case.attempt(bad)
    passed = {each.name: each.passed for each in attempt.gates if each.stage == "post_task"}
    assert passed == {
        "notes": True, "no logs": False, "says hi": True, "no tabs": False, "small": False, "secret scan": True,
    }  # fmt: skip
    assert result(attempt, "no tabs").text.endswith(", first at b.py:1.")
    assert [(m.name, m.actual, m.required) for m in result(attempt, "small").measures] == [
        ("files changed", 4, 2), ("lines changed", 2, None),
    ]  # fmt: skip


def test_a_server_is_asked_and_its_answer_judged(working: Engine, peer: HttpPeer) -> None:
    def asked(path: str, **fields: object) -> dict[str, object]:
        return {"type": "http", "name": path, "url": f"{peer.url}/{path}", "required": False, **fields}

    gates = [
        asked("fine", contains="is well"),
        asked("other", contains="is ill"),
        asked("broken"),
        asked("moved"),
        asked("wanted-broken", expectedStatus=500),
        {"type": "http", "name": "metadata", "url": "http://169.254.169.254/latest", "required": False},
        {"type": "http", "name": "nobody", "url": "http://127.0.0.1:1/", "required": False},
    ]
    case = working.customer(gates=gates)
    task = case.task()
    case.run()
    attempt = case.attempt(task)
    assert case.view(task).status == "completed"
    passed = {each.name: each.passed for each in attempt.gates if each.name in {str(gate["name"]) for gate in gates}}
    assert passed == {
        "fine": True, "other": False, "broken": False, "moved": False, "wanted-broken": True, "metadata": False,
        "nobody": False,
    }  # fmt: skip
    assert [(m.actual, m.required) for m in result(attempt, "broken").measures] == [(500, 200)]
    assert "credentials" in result(attempt, "metadata").text


def test_what_an_operators_command_does_to_tests_is_told_and_stops_nothing(working: Engine) -> None:
    case = working.customer()
    first = case.task("mkdir tests; printf 'def test_a():\\n    assert 1 == one()\\n' > tests/test_a.py")
    second = case.task("rm -r tests; mkdir .github; touch .github/ci.yml")
    case.run()
    assert (case.view(first).status, case.view(second).status) == ("completed", "completed")
    found = result(case.attempt(second), "weakened tests")
    assert (found.passed, found.required) == (False, False) and "test_a" in found.text


def test_dependencies_are_asked_about_and_a_yes_delivers(working: Engine) -> None:
    gates = [{"type": "builtin", "name": "dependencies", "check": "dependency_changes"}]
    case = working.customer(gates=gates)
    yes = case.task("echo requests==2 > requirements.txt")
    no = case.task("echo flask==3 >> requirements.txt")
    case.start()
    for approved in (True, False):
        pending = eventually(lambda: working.scalar(
            "SELECT id FROM approvals WHERE customer_id = :id AND status = 'pending'", id=case.customer_id
        ))  # fmt: skip
        assert working.scalar("SELECT kind FROM approvals WHERE id = :id", id=pending) == "dependency_change"
        answer = AnswerInput(approved=approved, text="we need it" if approved else "not that one")
        ApprovalService(working.database, utc_now).answer(ENGINE, pending, answer)
    case.settled()
    assert (case.view(yes).status, case.view(no).status) == ("completed", "failed")
    said = result(case.attempt(yes), "dependencies")
    assert said.passed and "requests added (==2)" in said.text and "Approved by" in said.text
    refused = result(case.attempt(no), "dependencies")
    assert refused.passed is False and "not that one" in refused.text


def test_gates_at_the_end_of_an_execution_run_once_on_the_base(working: Engine) -> None:
    gates = [gate('printf x >> "$HOME/../../ends"; grep -q hi a.txt && ls; true', name="ends", stage="post_execution")]
    case = working.customer(gates=gates)
    case.task()
    last = case.task("echo more >> a.txt")
    seen = case.run()
    assert seen.execution is not None and seen.execution.status == "completed"
    ends = [(a.task_id, g.passed, g.commit) for a in seen.attempts for g in a.gates if g.stage == "post_execution"]
    assert ends == [(last, True, case.repository.head())]


def test_a_gate_that_fails_at_the_end_stops_the_execution_and_is_run_again_when_it_goes_on(working: Engine) -> None:
    flag = working.folder / "mended"
    case = working.customer(gates=[gate(f"[ -e {flag} ]", name="whole", stage="post_execution")])
    task = case.task()
    execution = case.start()

    def stopped() -> bool:
        seen = case.snapshot().execution
        return seen is not None and seen.status == "error"

    eventually(stopped)
    seen = case.snapshot().execution
    assert seen is not None and seen.status_reason is not None and seen.status_reason.code == "post_execution_gate"
    assert "Gate whole fails on main of p" in seen.status_reason.text
    assert case.view(task).status == "completed"
    flag.touch()
    working.executions.resume(ENGINE, execution)
    case.settled()
    assert result(case.attempt(task), "whole", "post_execution").passed is True
