"""Approvals over the API and the command line: asked by the engine, answered by people."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from devteam.access.model import ENGINE, Role
from devteam.approvals.repository import approvals_of, approved_paths
from devteam.approvals.schemas import AnswerInput, ApprovalView
from devteam.approvals.service import ApprovalService
from devteam.executions.lifecycle import Ending, Lifecycle, RunRef, rerun
from devteam.executions.model import Outcome, Phase, Stop
from devteam.executions.ports import Answer, Job, Question
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from devteam.kit.errors import Fenced
from devteam.projects.protection import DEFAULT_PROTECTED_PATHS, DEFAULT_REFUSED_COMMANDS
from devteam.projects.schemas import DeliveryMode
from devteam.tasks.model import TaskStatus
from devteam.workflows.ask import PersonAsker
from devteam.workflows.handle import RunHandle, Stopped
from tests.engine.world import eventually
from tests.functional.live_world import LiveWorld, settled
from tests.functional.test_cli import Running, running
from tests.functional.test_live import database
from tests.functional.test_live import world as live_world
from tests.functional.world import World

__all__ = ["database", "live_world", "running"]

QUESTION = Question(
    kind="agent_permission",
    title="May the agent change .github/workflows/ci.yml?",
    detail="It wants to add a step.",
    fingerprint="ci",
    data={"paths": [".github/workflows/ci.yml"]},
)


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@dataclass
class Asking:
    """Somebody who waits for a person, on a thread."""

    handle: RunHandle
    thread: threading.Thread = field(init=False)
    answer: Answer | None = None
    error: Exception | None = None

    def begin(self, asker: PersonAsker, job: Job, question: Question) -> None:
        def run() -> None:
            try:
                self.answer = asker.ask(job, question, self.handle)
            except (Stopped, Fenced) as exc:
                self.error = exc

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def end(self) -> Answer | None:
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.answer


@dataclass
class Case:
    """An attempt that runs, and what asks on its behalf."""

    world: World
    customer: UUID
    job: Job
    clock: Clock = field(default_factory=Clock)
    begun: list[Asking] = field(default_factory=list)

    @property
    def asker(self) -> PersonAsker:
        return PersonAsker(self.world.database, self.clock)

    def asks(self, question: Question = QUESTION, *, asker: PersonAsker | None = None, run: int = 1) -> Asking:
        job = replace(self.job, ref=replace(self.job.ref, run=run))
        asking = Asking(RunHandle(job.ref, watching=False))
        asking.begin(asker or self.asker, job, question)
        self.begun.append(asking)
        return asking

    def over(self) -> None:
        """Nobody waits any more."""
        for asking in self.begun:
            asking.handle.resume()
            asking.handle.stop(None)
            asking.end()

    def approvals(self, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.world.admin.get(f"/approvals?customerId={self.customer}{query}").json()[
            "approvals"
        ]
        return found

    def pending(self) -> dict[str, Any]:
        return eventually(lambda: next(iter(self.approvals("&status=pending")), None))

    def say(self, approval: dict[str, Any], *, approved: bool = True, **fields: Any) -> Any:
        return self.world.admin.post(f"/approvals/{approval['id']}/answer", {"approved": approved, **fields})

    def card(self) -> dict[str, Any]:
        card: dict[str, Any] = self.world.admin.get(f"/customers/{self.customer}").json()["customer"]
        return card

    def attempt(self) -> dict[str, Any]:
        attempt: dict[str, Any] = self.world.admin.get(f"/attempts/{self.job.ref.attempt_id}").json()
        return attempt

    def slots_used(self) -> int:
        return int(self.world.admin.get("/system").json()["slotsUsed"])

    def finish(self) -> None:
        ending = Ending(Outcome.FAILED, TaskStatus.FAILED, "failed", "It failed.")
        Lifecycle(self.world.database, utc_now).finish(self.job.ref, ending)


def _approvals(live_world: LiveWorld, customer: UUID) -> list[ApprovalView]:
    with live_world.database.transaction() as connection:
        return approvals_of(connection, customer)


def job_of(customer: UUID, project: UUID, task: UUID, attempt: UUID) -> Job:
    return Job(
        ref=RunRef(attempt, 1, customer), phase=Phase.EXECUTION, round=1, frozen=False, number=1, task_id=task,
        title="Tidy up", description="", command=None, criteria=[], project_id=project,
        repository="/srv/repository.git", base_branch="main", delivery_mode=DeliveryMode.BRANCH, gates=[],
        monitoring_window=0.0, executor="native", started_at=utc_now(), branch=None, base_commit=None,
        work_commit=None, commit=None, merged_commit=None, monitor_until=None,
    )  # fmt: skip


def make_case(world: World, customer: UUID | None = None, project: UUID | None = None) -> Case:
    customer = customer or world.customer()
    project = project or world.project(customer)
    task = world.task(customer, project)
    execution = world.execution(customer)
    with world.database.transaction() as connection:
        connection.execute(sql("UPDATE tasks SET status = 'in_progress' WHERE id = :id"), {"id": task})
    attempt = world.attempt(customer, project, task, execution, executor="native", outcome=None)
    return Case(world, customer, job_of(customer, project, task, attempt))


@pytest.fixture
def case(world: World) -> Iterator[Case]:
    made = make_case(world)
    yield made
    made.over()


def test_a_question_waits_without_a_slot_and_goes_on_with_the_answer(case: Case) -> None:
    used = case.slots_used()
    before = case.card()["needsYou"]
    asking = case.asks()
    question = case.pending()
    assert question["asks"] == "agent_permission" and question["status"] == "pending"
    assert question["taskTitle"] == "Tidy up" and question["data"] == {"paths": [".github/workflows/ci.yml"]}
    assert case.attempt()["awaitingApprovalId"] == question["id"]
    assert case.slots_used() == used - 1
    card = case.card()
    assert (card["approvalsPending"], card["needsYou"], card["activity"]) == (1, before + 1, "awaiting_approval")

    answered = case.say(question, text="only that step")
    assert answered.status_code == 200 and answered.json()["status"] == "approved"
    assert answered.headers["etag"] == f'"{answered.json()["version"]}"'
    answer = asking.end()
    assert answer == Answer(approved=True, text="only that step", by=answered.json()["answeredBy"])
    assert case.attempt()["awaitingApprovalId"] is None
    assert case.slots_used() == used
    card = case.card()
    assert (card["approvalsPending"], card["needsYou"], card["activity"]) == (0, before, "task_executing")
    with case.world.database.transaction() as connection:
        assert approved_paths(connection, case.job.ref.attempt_id) == {".github/workflows/ci.yml"}


def test_a_no_reaches_who_asked_and_allows_no_path(case: Case) -> None:
    asking = case.asks()
    assert case.say(case.pending(), approved=False, text="not now").json()["status"] == "rejected"
    answer = asking.end()
    assert answer is not None and not answer.approved and answer.text == "not now" and not answer.expired
    with case.world.database.transaction() as connection:
        assert approved_paths(connection, case.job.ref.attempt_id) == frozenset()


def test_the_same_answer_again_is_harmless_and_another_is_a_conflict(case: Case) -> None:
    asking = case.asks()
    question = case.pending()
    first = case.say(question)
    again = case.say(question)
    assert again.status_code == 200 and again.json() == first.json()
    other = case.say(question, approved=False)
    assert other.status_code == 409 and other.json()["code"] == "approval_answered"
    assert asking.end() == Answer(approved=True, by=first.json()["answeredBy"])


def test_an_answer_under_its_key_is_replayed(case: Case) -> None:
    case.asks()
    path = f"/approvals/{case.pending()['id']}/answer"
    key = uuid4().hex
    case.world.admin.post(path, {"approved": True}, Idempotency_Key=key)
    again = case.world.admin.post(path, {"approved": True}, Idempotency_Key=key)
    assert again.status_code == 200 and again.headers["idempotent-replayed"] == "true"


def test_the_next_run_asks_again_and_finds_question_and_answer(case: Case) -> None:
    lost = case.asks()
    question = case.pending()
    with case.world.database.transaction() as connection:
        worker = uuid4()
        connection.execute(
            sql(
                """INSERT INTO workers (id, host, pid, process_started, slots, isolation, state, started_at,
                       heartbeat_at, lease_expires_at)
                   VALUES (:id, 'elsewhere', 1, '1', 1, 'none', 'dead', now(), now(), now())"""
            ),
            {"id": worker},
        )
        connection.execute(
            sql(
                """INSERT INTO attempt_phases (attempt_id, ordinal, phase, round, run, started_at)
                   VALUES (:id, 1, 'execution', 1, 1, now())"""
            ),
            {"id": case.job.ref.attempt_id},
        )
        connection.execute(
            sql("UPDATE attempts SET worker_id = :worker WHERE id = :id"),
            {"id": case.job.ref.attempt_id, "worker": worker},
        )
    with case.world.database.transaction() as connection:
        assert rerun(connection, case.job.ref, lease=30, now=utc_now())
    assert case.attempt()["awaitingApprovalId"] is None
    lost.handle.fence()
    lost.end()
    assert isinstance(lost.error, Fenced)

    second = case.asks(run=2)
    eventually(lambda: case.attempt()["awaitingApprovalId"] == question["id"])
    assert [each["id"] for each in case.approvals()] == [question["id"]]
    case.say(question)
    answer = second.end()
    assert answer is not None and answer.approved
    at_once = case.asks(run=2).end()
    assert at_once == answer


def test_an_earlier_run_may_not_ask(case: Case) -> None:
    asking = case.asks(run=7)
    asking.end()
    assert isinstance(asking.error, Fenced)
    assert case.approvals() == []


def test_a_stop_reaches_who_waits_and_the_end_of_the_attempt_expires_the_question(case: Case) -> None:
    asking = case.asks()
    question = case.pending()
    asking.handle.stop(Stop.ABORT)
    asking.end()
    assert isinstance(asking.error, Stopped)
    assert case.pending()["id"] == question["id"]
    case.finish()
    [expired] = case.approvals()
    assert expired["status"] == "expired" and expired["answeredBy"] is None
    late = case.say(question)
    assert late.status_code == 409 and late.json()["code"] == "approval_expired"
    assert late.json()["detail"] == "Too late: the attempt ended before anybody answered."
    assert case.card()["approvalsPending"] == 0


def test_a_pause_holds_who_waits_and_the_answer_given_meanwhile_counts(case: Case) -> None:
    asking = case.asks()
    question = case.pending()
    asking.handle.pause()
    case.say(question)
    asking.thread.join(1.2)
    assert asking.thread.is_alive()
    asking.handle.resume()
    answer = asking.end()
    assert answer is not None and answer.approved


def test_silence_means_no(case: Case) -> None:
    asking = case.asks()
    question = case.pending()
    case.clock.ahead = timedelta(days=2)
    answer = asking.end()
    assert answer is not None and answer.expired and not answer.approved
    assert case.say(question).json()["detail"] == "Too late: nobody answered in time."


def test_a_question_whose_asker_is_gone_expires_too(case: Case) -> None:
    asking = case.asks()
    question = case.pending()
    asking.handle.stop(None)
    asking.end()
    assert ApprovalService(case.world.database, case.clock).expire_overdue() == 0
    case.clock.ahead = timedelta(days=2)
    assert ApprovalService(case.world.database, case.clock).expire_overdue() >= 1
    assert case.world.admin.get(f"/approvals/{question['id']}").json()["status"] == "expired"


def test_two_questions_of_one_attempt_wait_beside_each_other(case: Case) -> None:
    asker = case.asker
    first = case.asks(asker=asker)
    second = case.asks(replace(QUESTION, fingerprint="other", title="May it push?"), asker=asker)
    eventually(lambda: len(case.approvals("&status=pending")) == 2)
    case.say(next(each for each in case.approvals() if each["title"] == "May it push?"), approved=False)
    refused = second.end()
    assert refused is not None and not refused.approved
    [left] = case.approvals("&status=pending")
    assert case.attempt()["awaitingApprovalId"] == left["id"]
    case.say(left)
    assert first.end() is not None
    assert case.attempt()["awaitingApprovalId"] is None


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.ADMIN, 200), (Role.PROJECT_MANAGER, 200), (Role.DEVELOPER, 403), (Role.VIEWER, 403)],
)
def test_who_may_answer(case: Case, role: Role, status: int) -> None:
    case.asks()
    path = f"/approvals/{case.pending()['id']}"
    caller = case.world.caller(role)
    assert caller.get(path).status_code == 200
    assert caller.post(f"{path}/answer", {"approved": True}).status_code == status


def test_questions_outside_the_scope_do_not_exist(case: Case) -> None:
    case.asks()
    question = case.pending()
    stranger = case.world.caller(Role.PROJECT_MANAGER, {case.world.customer()})
    assert stranger.get(f"/approvals/{question['id']}").status_code == 404
    assert stranger.post(f"/approvals/{question['id']}/answer", {"approved": True}).status_code == 404
    assert stranger.get("/approvals").json()["approvals"] == []
    assert stranger.get(f"/approvals?customerId={case.customer}").status_code == 404
    assert case.world.admin.get(f"/approvals/{uuid4()}").status_code == 404


def test_the_list_goes_on_from_its_cursor(case: Case) -> None:
    asker = case.asker
    for number in range(3):
        case.asks(replace(QUESTION, fingerprint=str(number)), asker=asker)
    eventually(lambda: len(case.approvals()) == 3)
    seen: list[str] = []
    query = "&limit=2"
    for _ in range(2):
        page = case.world.admin.get(f"/approvals?customerId={case.customer}{query}").json()
        seen += [each["id"] for each in page["approvals"]]
        query = f"&limit=2&cursor={page['nextCursor']}"
    assert page["nextCursor"] is None and len(set(seen)) == 3
    assert case.world.admin.get("/approvals?cursor=nonsense").status_code == 422


def test_a_live_page_sees_question_and_answer(live_world: LiveWorld) -> None:
    customer = live_world.customer()
    project = live_world.project(customer)
    task = live_world.task(customer, project)
    live_world.executions.start(ENGINE, customer)
    ref = live_world.assigned(customer, task, live_world.worker())
    job = job_of(customer, project, task, ref.attempt_id)
    service = ApprovalService(live_world.database, utc_now)
    asking = Asking(RunHandle(ref, watching=False))
    name = f"customer:{customer}"

    def asked() -> ApprovalView | None:
        return next(iter(_approvals(live_world, customer)), None)

    with live_world.client() as page, live_world.client() as late:
        page.follow(name)
        asking.begin(PersonAsker(live_world.database, utc_now), job, QUESTION)
        question = eventually(asked)
        settled(page, name, lambda: live_world.fresh_customer(customer))
        service.answer(ENGINE, question.id, AnswerInput(approved=True))
        asking.end()
        settled(page, name, lambda: live_world.fresh_customer(customer))
        assert [event["type"] for event in page.topic(name).events()] == ["approval_requested"]
        late.follow(name)
        assert late.topic(name).entities == page.topic(name).entities
        assert [each["status"] for key, each in late.topic(name).entities.items() if key[0] == "approval"] == [
            "approved"
        ]


def test_question_and_answer_are_recorded_with_who_and_why(case: Case) -> None:
    case.asks()
    case.say(case.pending(), approved=False, text="too risky")
    items = case.world.admin.get(f"/customers/{case.customer}/activity").json()["items"]
    texts = {item["type"]: (item["text"], item["reason"]) for item in items}
    assert texts["approval_requested"] == (f"Waits for an answer: {QUESTION.title}", None)
    assert texts["approval_answered"] == (f"Rejected: {QUESTION.title}", "too risky")


def test_the_command_line_lists_shows_and_answers(running: Running) -> None:
    name = running.customer()
    [card] = [each for each in running.cli.json("status")["customers"] if each["name"] == name]
    page = running.world.admin.get(f"/customers/{card['id']}").json()
    case = make_case(running.world, UUID(card["id"]), UUID(page["projects"][0]["id"]))
    cli = running.cli
    first = case.asks()
    question = case.pending()
    assert [each["id"] for each in cli.json("approvals", "list", "--customer", name)] == [question["id"]]
    assert QUESTION.title in cli.ok("approvals", "list")
    shown = cli.ok("approvals", "show", question["id"][-8:])
    assert QUESTION.title in shown and "It wants to add a step." in shown and "Waits since" in shown
    said = cli.ok("approvals", "approve", question["id"][-8:], "--text", "only that step")
    assert said == f"Approved: {QUESTION.title}\n"
    answer = first.end()
    assert answer is not None and answer.approved and answer.text == "only that step"
    assert "has approved this already" in cli.refused("approvals", "reject", question["id"])
    second = case.asks(replace(QUESTION, fingerprint="other"))
    cli.ok("approvals", "reject", case.pending()["id"])
    answer = second.end()
    assert answer is not None and not answer.approved
    assert cli.json("approvals", "list", "--customer", name) == []
    assert {each["status"] for each in cli.json("approvals", "list", "--customer", name, "--all")} == {
        "approved",
        "rejected",
    }
    assert "no state" in cli.refused("approvals", "list", "--status", "open")


def test_the_command_line_sets_what_is_protected_and_refused(running: Running) -> None:
    name = running.customer()
    [project] = running.cli.json("project", "list", name)
    assert project["protectedPaths"] == list(DEFAULT_PROTECTED_PATHS)
    assert project["refusedCommands"] == list(DEFAULT_REFUSED_COMMANDS)
    running.cli.ok("project", "edit", name, "--protect", "deploy/", "--refuse", "make deploy")
    [project] = running.cli.json("project", "list", name)
    assert (project["protectedPaths"], project["refusedCommands"]) == (["deploy/"], ["make deploy"])
    running.cli.ok("project", "edit", name, "--no-protect", "--no-refuse")
    [project] = running.cli.json("project", "list", name)
    assert (project["protectedPaths"], project["refusedCommands"]) == ([], [])
    assert "no regular expression" in running.cli.refused("project", "edit", name, "--refuse", "/(/")


def test_projects_from_before_have_the_defaults_too(world: World) -> None:
    with world.database.transaction() as connection:
        rows = connection.execute(
            sql(
                """SELECT column_name, column_default FROM information_schema.columns WHERE table_name = 'projects'
                   AND column_name IN ('protected_paths', 'refused_commands') ORDER BY column_name"""
            )
        ).all()
    stored = [json.loads(row.column_default.rpartition("'::")[0].removeprefix("'")) for row in rows]
    assert stored == [list(DEFAULT_PROTECTED_PATHS), list(DEFAULT_REFUSED_COMMANDS)]
