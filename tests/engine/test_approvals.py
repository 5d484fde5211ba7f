"""Attempts that wait for a person, on real workers: they hold no slot, survive kills, and hear pauses and stops."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from devteam.access.model import ENGINE
from devteam.adapters.secret_box import SecretBox
from devteam.approvals.repository import approvals_of
from devteam.approvals.schemas import AnswerInput, ApprovalView
from devteam.approvals.service import ApprovalService
from devteam.executions.agents import Agents
from devteam.executions.model import PauseMode
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from devteam.providers.schemas import ProviderInput
from devteam.providers.service import ProviderService
from tests.engine.databases import fresh_database
from tests.engine.world import Case, Engine, engine, eventually
from tests.peers.model_server import ModelServer, call, say

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed: agents are refused")

CI = ".github/workflows/ci.yml"
PEER = Path(__file__).parents[1] / "peers" / "acp_agent.py"


@pytest.fixture(scope="module")
def shop(postgres_url: str, engine_template: str) -> Iterator[Engine]:
    """An engine with a worker that has a single slot."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-engine-"))
    try:
        with fresh_database(postgres_url, engine_template) as url, engine(url, folder) as made:
            made.worker(slots=1)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def peer(made: Engine, behaviour: str) -> Case:
    """A customer whose project is worked on by a scripted agent."""
    program = made.folder / "program" / "acp-agent"
    if not program.exists():
        program.parent.mkdir()
        program.write_text(f"#!{sys.executable}\n{PEER.read_text()}")
        program.chmod(0o755)
    return made.customer(executor="acp", agent_command=[str(program), behaviour])


def pending(case: Case) -> ApprovalView:
    def look() -> ApprovalView | None:
        with case.engine.database.transaction() as connection:
            found = approvals_of(connection, case.customer_id)
        return next((each for each in found if each.status == "pending"), None)

    try:
        return eventually(look)
    except AssertionError:
        raise AssertionError(f"no question: {case.snapshot().model_dump_json(indent=1)}") from None


def approval(case: Case, approval_id: UUID) -> ApprovalView:
    return ApprovalService(case.engine.database, utc_now).get(ENGINE, approval_id)


def says(case: Case, question: ApprovalView, *, approved: bool) -> None:
    ApprovalService(case.engine.database, utc_now).answer(ENGINE, question.id, AnswerInput(approved=approved))


def waiting(case: Case) -> ApprovalView:
    """A task whose agent asks, begun; the question."""
    case.task("", title="Change the pipeline")
    case.start()
    return pending(case)


def test_an_attempt_that_waits_leaves_its_slot_to_others_and_goes_on_with_a_yes(shop: Engine) -> None:
    case = peer(shop, "edits_ci")
    question = waiting(case)
    assert (question.asks, question.data["paths"]) == ("agent_permission", [CI])
    card = case.snapshot().customer
    assert (card.activity, card.approvals_pending, card.needs_you) == ("awaiting_approval", 1, 1)
    other = shop.customer()
    other.task("echo hi >> a.txt")
    assert [attempt.outcome for attempt in other.run().attempts] == ["succeeded"]

    assert case.attempts()[0].awaiting_approval_id == question.id
    says(case, question, approved=True)
    [attempt] = case.settled().attempts
    assert (attempt.outcome, attempt.awaiting_approval_id) == ("succeeded", None)
    assert case.show(CI) == "on: push"


def test_a_no_sends_the_agent_another_way(shop: Engine) -> None:
    case = peer(shop, "edits_ci")
    says(case, waiting(case), approved=False)
    assert [attempt.outcome for attempt in case.settled().attempts] == ["succeeded"]
    assert case.show("made.txt") == "made another way"
    entries = Agents(shop.database, utc_now, []).session(ENGINE, case.attempts()[0].id, after=0, limit=100).entries
    [permission] = [entry.data for entry in entries if entry.kind == "permission"]
    assert (permission["allowed"], permission["by"]) == (False, "engine")


def test_nobody_in_time_is_a_no(shop: Engine) -> None:
    case = peer(shop, "edits_ci")
    question = waiting(case)
    with shop.database.transaction() as connection:
        connection.execute(sql("UPDATE approvals SET expires_at = now() WHERE id = :id"), {"id": question.id})
    assert [attempt.outcome for attempt in case.settled().attempts] == ["succeeded"]
    assert approval(case, question.id).status == "expired"
    assert case.show("made.txt") == "made another way"


def test_a_pause_holds_an_attempt_that_waits_and_the_answer_waits_for_the_resume(shop: Engine) -> None:
    case = peer(shop, "edits_ci")
    question = waiting(case)
    execution = case.snapshot().execution
    assert execution is not None
    shop.executions.pause(ENGINE, execution.id, PauseMode.NOW)
    eventually(lambda: case.attempts()[0].frozen, what="frozen")
    says(case, question, approved=True)
    assert case.attempts()[0].outcome is None
    shop.executions.resume(ENGINE, execution.id)
    assert [attempt.outcome for attempt in case.settled().attempts] == ["succeeded"]
    assert case.show(CI) == "on: push"


def test_an_abort_ends_an_attempt_that_waits_and_its_question(shop: Engine) -> None:
    case = peer(shop, "edits_ci")
    question = waiting(case)
    execution = case.snapshot().execution
    assert execution is not None
    shop.executions.abort(ENGINE, execution.id, "no longer wanted")
    eventually(lambda: case.attempts()[0].outcome == "cancelled", what="cancelled")
    assert approval(case, question.id).status == "expired"
    assert case.snapshot().customer.approvals_pending == 0
    case.assert_no_process_is_left()


@pytest.mark.parametrize("meanwhile", [True, False])
def test_a_killed_worker_loses_no_question_and_no_answer(lone_engine: Engine, meanwhile: bool) -> None:
    first = lone_engine.worker(slots=1)
    case = peer(lone_engine, "edits_ci")
    question = waiting(case)
    first.kill()
    if meanwhile:
        says(case, question, approved=True)
    lone_engine.worker(slots=1)
    if not meanwhile:
        eventually(lambda: case.attempts()[0].run == 2, what="a second run")
        eventually(lambda: case.attempts()[0].awaiting_approval_id == question.id, what="the same question again")
        says(case, question, approved=True)
    [attempt] = case.settled().attempts
    assert attempt.outcome == "succeeded"
    with lone_engine.database.transaction() as connection:
        assert [each.id for each in approvals_of(connection, case.customer_id)] == [question.id]
    assert case.show(CI) == "on: push"


def test_the_built_in_agent_asks_too(shop: Engine) -> None:
    script = [call("write_file", path=CI, content="on: push\n"), say("Done.")]
    name = f"model-{uuid4().hex[:8]}"
    with ExitStack() as stack:
        server = stack.enter_context(ModelServer(script))
        ProviderService(shop.database, utc_now, SecretBox(shop.data / "run" / "secret.key")).add(
            ENGINE,
            ProviderInput.model_validate(
                {"name": name, "kind": "openai", "base_url": server.openai_url, "secret": "sk-x", "models": [name]}
            ),
        )
        case = shop.customer(executor="native", model=name)
        question = waiting(case)
        assert question.data["paths"] == [CI]
        says(case, question, approved=True)
        assert [attempt.outcome for attempt in case.settled().attempts] == ["succeeded"]
        assert case.show(CI) == "on: push"
