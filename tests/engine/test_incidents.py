"""What agents must not do is refused and becomes an incident; behind a critical one nothing is delivered."""

import shutil
import sys
from pathlib import Path

import pytest

from devteam.access.model import ENGINE
from devteam.executions.schemas import AttemptView
from devteam.incidents.schemas import IncidentView
from devteam.incidents.service import IncidentService
from devteam.kit.clock import utc_now
from tests.engine.test_agents import EDIT, KEY, SAYS_TWO, Shop, by_results, shop, why
from tests.engine.world import Case, gate
from tests.integration.agent_world import AGENT
from tests.peers.model_server import Answer, call, say

__all__ = ["shop"]

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed: agents are refused")


def incidents(shop: Shop, case: Case) -> list[IncidentView]:
    service = IncidentService(shop.engine.database, utc_now)
    page = service.page(ENGINE, customer_id=case.customer_id, statuses=[], before=None, limit=100)
    return page.incidents


def own_agent(folder: Path, behaviour: str) -> list[str]:
    """The command that starts an agent which misbehaves."""
    program = folder / "acp-agent"
    program.write_text(f"#!{sys.executable}\n{AGENT.read_text()}")
    program.chmod(0o755)
    return [str(program), behaviour]


def assert_nothing_delivered(shop: Shop, case: Case, attempt: AttemptView) -> None:
    assert attempt.outcome == "failed", why(case, attempt)
    assert attempt.reason is not None and attempt.reason.code == "critical_incident"
    assert case.subjects() == ["Begin"] and case.deliveries(attempt) == []
    assert attempt.workspace_kept
    assert (shop.engine.data / "workspaces" / str(attempt.id) / "tree").is_dir()


def test_planted_hook_is_an_incident_and_its_work_is_not_delivered(shop: Shop) -> None:
    plant = "echo 'touch /tmp/planted' > $(git rev-parse --git-path hooks)/pre-commit; git config core.fsmonitor ./x"
    model = shop.model(by_results(call("shell", command=plant), EDIT, say("Done.")))
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    snapshot = case.run()
    attempt = case.attempt(task)
    assert_nothing_delivered(shop, case, attempt)
    [incident] = incidents(shop, case)
    assert (incident.code, incident.incident_class, incident.status) == ("git_tampered", "CRITICAL", "open")
    assert (incident.attempt_id, incident.task_id) == (attempt.id, task)
    assert incident.evidence["found"] == ["git setting core.fsmonitor = ./x", "git hook pre-commit"]
    assert attempt.reason is not None and incident.title in attempt.reason.text
    assert snapshot.incidents == [incident]
    assert (snapshot.customer.incidents_open, snapshot.customer.needs_you) == (1, 2), (
        "the incident, and the failed task"
    )
    assert not Path("/tmp/planted").exists()


def test_settled_incident_of_an_earlier_attempt_does_not_stop_the_next(shop: Shop) -> None:
    tries = iter([call("shell", command="rm .git"), say("Done."), EDIT, say("Done.")])
    model = shop.model(lambda _: next(tries))
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.run()
    assert_nothing_delivered(shop, case, case.attempt(task))
    shop.engine.executions.retry_task(ENGINE, task)
    case.settled()
    attempt = case.attempt(task)
    assert (attempt.number, attempt.outcome) == (2, "succeeded"), why(case, attempt)
    assert case.show("a.txt") == "two"


def test_write_outside_the_workspace_is_an_incident_and_the_work_goes_on(shop: Shop) -> None:
    command = own_agent(shop.engine.folder, "writes_outside")
    case = shop.engine.customer(executor="acp", agent_command=command, gates=[gate("test -e made.txt")])
    task = case.task("", "Make it")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    [incident] = incidents(shop, case)
    assert (incident.code, incident.incident_class) == ("file_outside_workspace", "INTERVENTION_REQUIRED")
    assert incident.count == 3 and "/etc/planted" in incident.evidence["refused"][0]
    assert not Path("/etc/planted").exists()


def test_gate_that_asks_the_network_is_refused_and_recorded_and_the_fence_is_told(shop: Shop) -> None:
    ask = (
        "import urllib.request\ntry:\n    urllib.request.urlopen('http://pypi.test/simple')\n"
        "except OSError as error:\n    print(error)"
    )
    model = shop.model(by_results(EDIT, say("Done.")))
    case = model.case(gates=[{"name": "asks", "argv": [sys.executable, "-c", ask]}])
    task = case.task("", "Say two")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    [incident] = incidents(shop, case)
    assert (incident.code, incident.evidence["hosts"]) == ("host_refused", ["pypi.test:80"])
    assert attempt.fence is not None and attempt.fence.in_force and attempt.fence.kind == "bubblewrap"
    assert attempt.fence.parts["network"].mechanism.startswith("none;")
    assert attempt.fence.parts["bandwidth"].state == "enforced"


def test_metadata_address_is_an_attack(shop: Shop) -> None:
    ask = f"{sys.executable} -c \"import urllib.request as r; r.urlopen('http://169.254.169.254/latest', timeout=5)\""
    model = shop.model(by_results(call("shell", command=ask), EDIT, say("Done.")))
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.run()
    assert_nothing_delivered(shop, case, case.attempt(task))
    assert "private_address_refused" in [incident.code for incident in incidents(shop, case)]


def test_real_key_on_its_way_to_the_model_is_masked_and_an_attack(shop: Shop) -> None:
    half = len(KEY) // 2
    model = shop.model(
        by_results(call("shell", command=f"printf {KEY[:half]}; printf {KEY[half:]}"), EDIT, say("Done."))
    )
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.run()
    assert_nothing_delivered(shop, case, case.attempt(task))
    [incident] = incidents(shop, case)
    assert (incident.code, incident.incident_class) == ("secret_leaving", "CRITICAL")
    assert all(KEY not in str(seen.body) for seen in model.seen)
    assert KEY not in incident.model_dump_json()


def test_attempts_own_key_is_masked_and_noted_without_stopping_anything(shop: Shop) -> None:
    model = shop.model(by_results(call("shell", command="cat /proc/*/environ"), EDIT, say("Done.")))
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    snapshot = case.run()
    assert case.attempt(task).outcome == "succeeded"
    [incident] = incidents(shop, case)
    assert (incident.code, incident.incident_class) == ("attempt_key_leaving", "RECOVERABLE")
    assert snapshot.customer.needs_you == 0


def test_budget_stop_is_an_incident_with_the_overshoot_that_was_measured(shop: Shop) -> None:
    modest = Answer(calls=call("read_file", path="a.txt").calls, input_tokens=100_000, output_tokens=1_000)
    dear = Answer(calls=call("read_file", path="a.txt").calls, input_tokens=300_000, output_tokens=1_000)
    model = shop.model(by_results(modest, dear, dear))
    case = model.case(budget_usd=1.0)
    task = case.task("", "Spend a lot")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "failed" and attempt.cost_usd == pytest.approx(0.315 + 0.915)
    assert attempt.overshoot_usd == pytest.approx(0.23), "a call that used far more than its size told"
    [incident] = incidents(shop, case)
    assert (incident.code, incident.incident_class) == ("budget_spent", "INTERVENTION_REQUIRED")
    assert incident.evidence["overshootUsd"] == pytest.approx(0.23) and incident.evidence["limitUsd"] == 1.0
