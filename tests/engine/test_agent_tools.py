"""Agents that speak to the people behind their task: tools of the built-in agent, from the model's call to the page."""

from collections.abc import Callable
from typing import Any

import pytest

from devteam.access.model import ENGINE, Actor, Role
from devteam.approvals.model import ApprovalStatus
from devteam.approvals.schemas import AnswerInput, ApprovalView
from devteam.approvals.service import ApprovalService
from devteam.kit.clock import utc_now
from devteam.kit.errors import Conflict
from tests.engine.test_agents import EDIT, SAYS_TWO, Shop, by_results, pytestmark, shop, texts, why
from tests.engine.world import Case, eventually
from tests.peers.model_server import call, say

__all__ = ["pytestmark", "shop"]

MANAGER = Actor(user_id=None, name="Petra", role=Role.PROJECT_MANAGER, customers=None)


@pytest.fixture
def approvals(shop: Shop) -> ApprovalService:
    return ApprovalService(shop.engine.database, utc_now)


@pytest.fixture
def asked(approvals: ApprovalService) -> Callable[[Case], ApprovalView]:
    """What a customer's attempt asks, as soon as it asks."""

    def find(case: Case) -> ApprovalView | None:
        page = approvals.page(ENGINE, status=[], customer_id=case.customer_id, cursor=None, limit=10)
        return page.approvals[0] if page.approvals else None

    return lambda case: eventually(lambda: find(case))


def tool(name: str, **arguments: Any) -> Any:
    return call(f"devteam__{name}", **arguments)


def test_plan_and_task_go_through_the_tools(shop: Shop) -> None:
    plan = [{"content": "look", "status": "completed"}, {"content": "edit", "status": "in_progress"}]
    model = shop.model(
        [tool("read_task"), tool("report_progress", message="I know where.", plan=plan), EDIT, say("Done.")]
    )
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two", description="The file says one.")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    assert "The file says one." in model.seen[1].results()[0] and "grep -q two a.txt" in model.seen[1].results()[0]
    entries = shop.entries(attempt)
    assert "I know where." in texts(entries, "message")
    plans = [entry.data["entries"] for entry in entries if entry.kind == "plan"]
    assert [step["content"] for step in plans[-1]] == ["look", "edit"]


def test_question_waits_for_the_project_manager_and_holds_no_slot(
    shop: Shop, approvals: ApprovalService, asked: Callable[[Case], ApprovalView]
) -> None:
    model = shop.model(by_results(tool("ask_project_manager", question="One or two?"), EDIT, say("Two, as you say.")))
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say a number")
    case.start()
    question = asked(case)
    assert (question.asks, question.detail, question.status) == ("agent_question", "One or two?", "pending")
    assert case.attempt(task).awaiting_approval_id == question.id
    approvals.answer(MANAGER, question.id, AnswerInput(approved=True, text="Two, please."))
    case.settled()
    attempt = case.attempt(task)
    assert (attempt.outcome, attempt.awaiting_approval_id) == ("succeeded", None), why(case, attempt)
    assert model.seen[-1].results()[0] == "Two, please."


def test_answer_to_a_question_that_does_not_wait_comes_as_guidance(
    shop: Shop, approvals: ApprovalService, asked: Callable[[Case], ApprovalView]
) -> None:
    question = tool("ask_project_manager", question="One or two?", wait=False)
    wait = call("shell", command="for i in $(seq 100); do [ -e go ] && exit; sleep 0.1; done; exit 1")
    model = shop.model(by_results(question, wait, EDIT, say("Two.")))
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say a number")
    case.start()
    approvals.answer(MANAGER, asked(case).id, AnswerInput(approved=True, text="Two, please."))
    eventually(lambda: any("Two, please." in text for text in texts(shop.entries(case.attempt(task)), "steer")))
    (shop.engine.data / "workspaces" / str(case.attempt(task).id) / "tree" / "go").touch()
    case.settled()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    told = [text for text in texts(shop.entries(attempt), "steer") if "Two, please." in text]
    assert len(told) == 1


def test_blocked_agent_blocks_its_task_with_its_reason(shop: Shop) -> None:
    model = shop.model([tool("report_blocked", reason="The table does not exist."), say("I stop here.")])
    case = model.case()
    task = case.task("", "Fill the table")
    case.run()
    attempt = case.attempt(task)
    assert (case.view(task).status, attempt.reason.code if attempt.reason else None) == ("blocked", "agent_blocked")
    assert attempt.reason is not None and "The table does not exist." in attempt.reason.text


def test_proposal_outlives_its_attempt_and_joins_the_queue_when_approved(
    shop: Shop, approvals: ApprovalService, asked: Callable[[Case], ApprovalView]
) -> None:
    proposal = tool("propose_task", title="Mend b.txt too", description="It says one as well.", reason="Same fault.")
    model = shop.model([proposal, EDIT, say("Done.")])
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.run()
    assert case.attempt(task).outcome == "succeeded", why(case, case.attempt(task))
    waiting = asked(case)
    assert (waiting.asks, waiting.status, waiting.title) == ("follow_up_task", "pending", "Mend b.txt too")
    rejected_by_nobody = approvals.page(ENGINE, status=[ApprovalStatus.EXPIRED], customer_id=case.customer_id, **PAGE)
    assert rejected_by_nobody.approvals == []
    approvals.answer(MANAGER, waiting.id, AnswerInput(approved=True))
    titles = [each.title for each in case.snapshot().tasks]
    assert "Mend b.txt too" in titles
    approvals.answer(MANAGER, waiting.id, AnswerInput(approved=True))
    assert [each.title for each in case.snapshot().tasks] == titles, "the same answer again adds nothing"
    with pytest.raises(Conflict):
        approvals.answer(MANAGER, waiting.id, AnswerInput(approved=False))


PAGE: dict[str, Any] = {"cursor": None, "limit": 10}
