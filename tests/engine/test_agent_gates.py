"""What DevTeam checks of an agent's work by itself, and asks a person about."""

from collections.abc import Callable
from typing import Any

import pytest

from devteam.access.model import ENGINE, Actor, Role
from devteam.approvals.schemas import AnswerInput, ApprovalView
from devteam.approvals.service import ApprovalService
from devteam.executions.schemas import AttemptView, GateResult
from devteam.kit.clock import utc_now
from devteam.projects.schemas import ProjectPatch
from tests.engine.test_agents import Shop, pytestmark, shop, texts, why
from tests.engine.world import Case, eventually
from tests.integration.git_projects import git
from tests.peers.model_server import call, say

__all__ = ["pytestmark", "shop"]

MANAGER = Actor(user_id=None, name="Petra", role=Role.PROJECT_MANAGER, customers=None)
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
TEST = "def test_a():\n    assert open('a.txt').read() == 'one\\n'\n"


@pytest.fixture
def asked(shop: Shop) -> Callable[[Case], ApprovalView]:
    """What a customer's attempt asks, as soon as it asks."""
    approvals = ApprovalService(shop.engine.database, utc_now)

    def find(case: Case) -> ApprovalView | None:
        page = approvals.page(ENGINE, status=[], customer_id=case.customer_id, cursor=None, limit=10)
        return page.approvals[0] if page.approvals else None

    return lambda case: eventually(lambda: find(case))


def answer(shop: Shop, question: ApprovalView, *, approved: bool, text: str | None = None) -> None:
    wanted = AnswerInput(approved=approved, text=text)
    ApprovalService(shop.engine.database, utc_now).answer(MANAGER, question.id, wanted)


def write(path: str, content: str) -> Any:
    return call("write_file", path=path, content=content)


def shell(script: str) -> Any:
    return call("shell", command=script)


def results(attempt: AttemptView, name: str) -> list[GateResult]:
    return [each for each in attempt.gates if each.name == name and each.stage == "post_task"]


def test_a_secret_goes_back_to_the_agent_and_is_delivered_never(shop: Shop) -> None:
    model = shop.model(
        [write("keys.py", f"KEY = '{AWS}'\n"), say("Done."), write("keys.py", "KEY = read_key()\n"), say("Done.")]
    )
    case = model.case()
    task = case.task("", "Add keys")
    case.run()
    attempt = case.attempt(task)
    assert (attempt.outcome, attempt.round) == ("succeeded", 2), why(case, attempt)
    assert [each.passed for each in results(attempt, "secret scan")] == [False, True]
    assert AWS not in git(case.repository.bare, "log", "--all", "-p")
    prompts = texts(shop.entries(attempt), "prompt")
    assert "keys.py:1 AWS access key" in prompts[1] and AWS not in prompts[1]


def test_a_protected_file_is_asked_about_before_it_is_delivered(
    shop: Shop, asked: Callable[[Case], ApprovalView]
) -> None:
    model = shop.model([shell("mkdir -p .github && echo x > .github/ci.yml"), say("Done.")])
    case = model.case()
    task = case.task("", "Change the pipeline")
    case.start()
    question = asked(case)
    assert question.asks == "protected_paths" and question.data["paths"] == [".github/ci.yml"]
    assert not case.deliveries(case.attempt(task)), "nothing leaves before the answer"
    answer(shop, question, approved=True)
    case.settled()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    gate = results(attempt, "protected paths")[0]
    assert gate.passed and gate.text.endswith("Approved by Petra.")


def test_a_weakened_test_goes_back_with_the_persons_remark(shop: Shop, asked: Callable[[Case], ApprovalView]) -> None:
    weaker = write("tests/test_a.py", "def test_a():\n    assert True\n")
    model = shop.model([write("tests/test_a.py", TEST), say("Done.")])
    case = model.case()
    first = case.task("", "Test it")
    case.run()
    assert case.attempt(first).outcome == "succeeded", why(case, case.attempt(first))

    other = shop.model([weaker, say("Green."), write("tests/test_a.py", TEST), say("Done.")])
    shop.engine.projects.edit(ENGINE, case.project_id, ProjectPatch(model=other.name))
    second = case.task("", "Make it green")
    case.start()
    question = asked(case)
    assert question.asks == "weakened_tests" and "always hold" in question.detail
    answer(shop, question, approved=False, text="Mend the code instead.")
    eventually(lambda: case.attempt(second).round == 2)
    attempt = eventually(lambda: next((a for a in [case.attempt(second)] if a.outcome is not None), None))
    refused = results(attempt, "weakened tests")[0]
    assert refused.passed is False and "Petra said no: Mend the code instead." in refused.text
    assert "Mend the code instead." in texts(shop.entries(attempt), "prompt")[1]
