"""A second agent reviews what the first one did: by another model, in a schema, when all else holds."""

from typing import Any

from devteam.access.model import ENGINE, Actor, Role
from devteam.approvals.schemas import AnswerInput
from devteam.approvals.service import ApprovalService
from devteam.kit.clock import utc_now
from tests.engine.test_agents import EDIT, SAYS_TWO, Model, Shop, pytestmark, shop, texts, why
from tests.engine.world import eventually
from tests.peers.model_server import Answer, call, say

__all__ = ["pytestmark", "shop"]

MANAGER = Actor(user_id=None, name="Petra", role=Role.PROJECT_MANAGER, customers=None)


def verdict(word: str, summary: str, **finding: Any) -> Answer:
    findings = [finding] if finding else []
    return call("devteam__submit_review", verdict=word, summary=summary, findings=findings)


def review_by(model: Model) -> dict[str, Any]:
    return {"name": "review", "type": "review", "executor": "native", "model": model.name}


def test_rejected_change_goes_back_with_the_findings_and_the_next_one_is_accepted(shop: Shop) -> None:
    finding = {"path": "a.txt", "line": 1, "severity": "must", "text": "Say why it is two."}
    reviewer = shop.model(
        [verdict("reject", "The reason is missing.", **finding), say("Sent."), verdict("accept", "Good."), say("Sent.")]
    )
    why_two = call("edit_file", path="a.txt", old_text="two", new_text="two, for balance")
    worker = shop.model([EDIT, say("Done."), why_two, say("Now with its reason.")])
    case = worker.case(gates=[SAYS_TWO, review_by(reviewer)])
    task = case.task("", "Say two", description="The file says one.")
    case.run()
    attempt = case.attempt(task)
    assert (attempt.outcome, attempt.round) == ("succeeded", 2), why(case, attempt)
    reviews = [(each.round, each.passed, each.text) for each in attempt.gates if each.name == "review"]
    assert reviews == [(1, False, "The reason is missing."), (2, True, "Good.")]
    asked = str(reviewer.seen[0].body)
    assert "The file says one." in asked and "+two" in asked and "grep -q two a.txt" in asked
    second = texts([entry for entry in shop.entries(attempt) if "reviewer" not in entry.data], "prompt")[1]
    assert "a.txt:1: must: Say why it is two." in second
    assert case.show("a.txt").startswith("two, for balance")


def test_nothing_is_reviewed_while_a_gate_fails(shop: Shop) -> None:
    reviewer = shop.model([verdict("accept", "Good."), say("Sent.")])
    worker = shop.model([say("Nothing to do."), say("Really."), say("No.")])
    case = worker.case(gates=[SAYS_TWO, review_by(reviewer)])
    task = case.task("", "Say two")
    case.run()
    assert case.attempt(task).outcome == "failed"
    assert reviewer.seen == []
    assert {each.passed for each in case.attempt(task).gates if each.name == "review"} == {None}


def test_without_a_verdict_a_person_decides(shop: Shop) -> None:
    reviewer = shop.model([say("I have no opinion.")])
    worker = shop.model([EDIT, say("Done.")])
    case = worker.case(gates=[SAYS_TWO, review_by(reviewer)])
    task = case.task("", "Say two")
    case.start()
    approvals = ApprovalService(shop.engine.database, utc_now)

    def waiting() -> Any:
        found = approvals.page(ENGINE, status=[], customer_id=case.customer_id, cursor=None, limit=5).approvals
        return found[0] if found else None

    question = eventually(waiting)
    assert question.asks == "review" and "without a verdict" in question.detail
    approvals.answer(MANAGER, question.id, AnswerInput(approved=True))
    case.settled()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    (result,) = [each for each in attempt.gates if each.name == "review"]
    assert result.passed and "Approved by Petra." in result.text
