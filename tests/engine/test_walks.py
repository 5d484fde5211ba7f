"""Random walks over customers, tasks, executions and attempts through the real services on a real database.

No process runs here: the walk itself says what phases find out, as a worker would, and after every step the state
must be legal, the stream complete, the card true and the live page equal to a fresh one.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from devteam.access.model import ENGINE
from devteam.customers.card import next_task, refresh_card
from devteam.customers.model import PriorityClass
from devteam.customers.schemas import CustomerInput, CustomerPatch
from devteam.customers.service import CustomerService
from devteam.events.repository import read_live
from devteam.executions.lifecycle import (
    Ending,
    GateRecord,
    Lifecycle,
    RunRef,
    assign_watch,
    reassign,
    rerun,
)
from devteam.executions.model import PHASE_MOVES, Monitoring, Outcome, PauseMode, Phase, Stop
from devteam.executions.queries import customer_snapshot
from devteam.executions.service import ExecutionService
from devteam.kit.clock import utc_now
from devteam.kit.db import Database, sql
from devteam.kit.errors import Conflict, DevTeamError, Fenced, Invalid, NotFound
from devteam.kit.ids import new_id
from devteam.projects.ports import RepositoryHead
from devteam.projects.schemas import ProjectInput
from devteam.projects.service import ProjectService
from devteam.tasks.model import TaskStatus
from devteam.tasks.schemas import TaskInput, TaskPatch
from devteam.tasks.service import TaskService
from devteam.workers import repository as workers
from devteam.workflows.dispatch import Dispatcher

LEASE = 3600.0
NUMBER = st.integers(0, 9)
AHEAD = {
    Phase.PLANNING: Phase.EXECUTION,
    Phase.EXECUTION: Phase.QUALITY_ASSURANCE,
    Phase.QUALITY_ASSURANCE: Phase.DELIVERY,
}
ENDINGS = {
    "delivered": Ending(
        Outcome.SUCCEEDED,
        TaskStatus.COMPLETED,
        fields={"commit": "c" * 40, "merged_commit": "c" * 40},
        monitoring=Monitoring.WATCHING,
    ),
    "no change": Ending(Outcome.SUCCEEDED, TaskStatus.COMPLETED, "no_change", "Nothing needed to change."),
    "failed": Ending(Outcome.FAILED, TaskStatus.FAILED, "gate_failed", "Gate x failed.", {"workspace_kept": True}),
    "blocked": Ending(Outcome.FAILED, TaskStatus.BLOCKED, "merge_conflict", "Both sides changed x."),
}


def probe(repository: str, base_branch: str | None) -> RepositoryHead:
    return RepositoryHead(repository=repository, base_branch=base_branch or "main", commit="0" * 40)


def apply_changes(entities: dict[tuple[str, str], dict[str, Any]], changes: list[dict[str, Any]]) -> None:
    """What a live page does."""
    for change in changes:
        key = (change["kind"], change["id"])
        if change.get("removed"):
            entities.pop(key, None)
            continue
        if change["kind"] == "execution":  # a page shows the newest one
            for older in [k for k in entities if k[0] == "execution" and k[1] < change["id"]]:
                del entities[older]
        entity = entities.setdefault(key, {})
        assert change["version"] >= entity.get("version", 0), "a version went back"
        entity |= {**change["set"], "kind": change["kind"], "id": change["id"], "version": change["version"]}
        for name in change["unset"]:
            entity.pop(name, None)


class EngineWalk(RuleBasedStateMachine):
    """Everything that people and workers may do, in any order."""

    database: Database

    @initialize()
    def begin(self) -> None:
        self.now = utc_now()
        self.seen: dict[UUID, tuple[int, dict[tuple[str, str], dict[str, Any]]]] = {}
        self.ids: list[UUID] = []
        self.projects: dict[UUID, UUID] = {}
        self.of_task: dict[UUID, UUID] = {}
        self.done: Counter[str] = Counter()
        self.lifecycle = Lifecycle(self.database, self.clock)
        self.executions = ExecutionService(self.database, self.clock)
        self.task_service = TaskService(self.database, self.clock)
        self.worker = self.join()
        self.dispatcher = Dispatcher(self.database, self.clock, lease=LEASE)
        for customer in (self.add_customer(), self.add_customer()):
            first = self.new_task(customer)
            self.new_task(customer, depends_on=[first])
            self.new_task(customer)
            self.executions.start(ENGINE, customer)

    def a_customer(self, number: int) -> UUID:
        return self.ids[number % len(self.ids)]

    def a_task(self, number: int) -> UUID:
        return list(self.of_task)[number % len(self.of_task)]

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def join(self) -> UUID:
        worker = new_id()
        with self.database.transaction() as connection:
            workers.join(
                connection, worker_id=worker, host="h", pid=1, process_started="1", slots=2, isolation="subreaper",
                lease=LEASE, now=self.clock(),
            )  # fmt: skip
            connection.execute(sql("UPDATE leader SET expires_at = now() - interval '1 day'"))
            assert workers.lead(connection, worker, lease=LEASE)
        return worker

    def teardown(self) -> None:
        if hasattr(self, "worker"):
            with self.database.transaction() as connection:  # the next walk has the slots for itself
                connection.execute(sql("UPDATE workers SET state = 'dead'"))
                connection.execute(sql("UPDATE customers SET archived_at = now() WHERE archived_at IS NULL"))

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.database.transaction() as connection:
            return list(connection.execute(sql(statement), values).all())

    def running(self) -> list[Any]:
        return self.rows(
            "SELECT * FROM attempts WHERE outcome IS NULL AND customer_id = ANY(:ids) ORDER BY id", ids=self.ids
        )

    # --- people ---

    def add_customer(self) -> UUID:
        service = CustomerService(self.database, self.clock)
        card = service.create(ENGINE, CustomerInput(name=f"Customer {uuid4()}"))
        project = ProjectService(self.database, self.clock, probe).create(
            ENGINE, card.id, ProjectInput(name="p", repository="/srv/p.git", delivery_mode="fast_forward")
        )
        self.ids.append(card.id)
        self.projects[card.id] = project.id
        self.seen[card.id] = self.fresh(card.id)
        return card.id

    @rule(customer=NUMBER, priority=st.sampled_from(["priority_customer", "low_priority_customer"]))
    def change_priority(self, customer: int, priority: str) -> None:
        CustomerService(self.database, self.clock).edit(
            ENGINE, self.a_customer(customer), CustomerPatch(priority_class=PriorityClass(priority))
        )

    @rule(
        customer=NUMBER,
        dependency=st.none() | NUMBER,
        manual=st.sampled_from([False, False, False, True]),
        head=st.booleans(),
    )
    def add_task(self, customer: int, dependency: int | None, manual: bool, head: bool) -> None:
        needed = [] if dependency is None else [self.a_task(dependency)]
        ours = all(self.of_task[task] == self.a_customer(customer) for task in needed)
        with self.refused(*([] if ours else [Invalid])):
            self.new_task(
                self.a_customer(customer),
                depends_on=needed,
                mode="manual" if manual else "autonomous",
                position="head" if head else "tail",
            )

    def new_task(self, customer: UUID, **fields: Any) -> UUID:
        wanted = {"project_id": self.projects[customer], "title": "T", "command": {"argv": ["true"]}, **fields}
        task = self.task_service.add(ENGINE, customer, TaskInput.model_validate(wanted))
        self.of_task[task.id] = customer
        return task.id

    @rule(task=NUMBER, other=NUMBER)
    def depend(self, task: int, other: int) -> None:
        with self.refused(Invalid, Conflict):
            self.task_service.edit(ENGINE, self.a_task(task), TaskPatch(depends_on=[self.a_task(other)]))

    @rule(task=NUMBER)
    def depend_on_nothing(self, task: int) -> None:
        with self.refused(Conflict):
            self.task_service.edit(ENGINE, self.a_task(task), TaskPatch(depends_on=[]))

    @rule(task=NUMBER, before=st.none() | NUMBER)
    def move(self, task: int, before: int | None) -> None:
        target = None if before is None else self.a_task(before)
        with self.refused(Conflict, Invalid, NotFound):
            self.task_service.move(ENGINE, self.a_task(task), target)

    @rule(task=NUMBER)
    def complete_by_hand(self, task: int) -> None:
        with self.refused(Conflict):
            self.task_service.complete_manual(ENGINE, self.a_task(task))

    @rule(task=NUMBER)
    def cancel(self, task: int) -> None:
        with self.refused(Conflict):
            self.executions.cancel_task(ENGINE, self.a_task(task), None)

    @rule(task=NUMBER)
    def retry(self, task: int) -> None:
        with self.refused(Conflict):
            self.executions.retry_task(ENGINE, self.a_task(task))

    @rule(customer=NUMBER)
    def start(self, customer: int) -> None:
        first, _ = self.executions.start(ENGINE, self.a_customer(customer))
        again, new = self.executions.start(ENGINE, self.a_customer(customer))
        assert new is False or first.status in ("completed", "aborted")
        assert first.id == again.id or first.status in ("completed", "aborted")

    @rule(customer=NUMBER, mode=st.sampled_from(list(PauseMode)))
    def pause(self, customer: int, mode: PauseMode) -> None:
        self.command(customer, lambda e: self.executions.pause(ENGINE, e, mode))

    @rule(customer=NUMBER)
    def resume(self, customer: int) -> None:
        self.command(customer, lambda e: self.executions.resume(ENGINE, e))

    @rule(customer=NUMBER)
    def abort_and_start_again(self, customer: int) -> None:
        self.command(customer, lambda e: self.executions.abort(ENGINE, e, "because"))
        self.executions.start(ENGINE, self.a_customer(customer))

    @rule(obeyed=st.booleans(), over=st.booleans())
    def emergency(self, obeyed: bool, over: bool) -> None:
        self.executions.emergency_stop(ENGINE, "fire")
        if obeyed:
            self.obey()
        if over:
            self.executions.emergency_resume(ENGINE)

    # --- workers ---

    @rule()
    def dispatch(self) -> None:
        self.done["dispatched"] += len(self.dispatcher.turn(self.worker))

    @rule(name=st.sampled_from(sorted(ENDINGS)))
    def work_one_through(self, name: str) -> None:
        self.dispatch()
        for row in self.running()[:1]:
            ref = RunRef(row.id, row.run, row.customer_id)
            phase = Phase(row.phase)
            while phase is not Phase.DELIVERY:
                phase = AHEAD[phase]
                self.lifecycle.enter_phase(ref, phase)
            self.lifecycle.finish(ref, ENDINGS[name])
            self.done[name] += 1

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def go_ahead(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.running()))
        ref = RunRef(row.id, row.run, row.customer_id)
        ahead = AHEAD.get(Phase(row.phase))
        if ahead is None:
            self.lifecycle.enter_phase(ref, Phase.QUALITY_ASSURANCE, round=row.round + 1)
            return
        self.lifecycle.enter_phase(ref, ahead)
        self.lifecycle.enter_phase(ref, ahead)  # the answer to the first may have been lost
        self.lifecycle.record_gates(ref, [GateRecord("post_task", "g", True, True, "Passed.")])

    @precondition(lambda self: self.running())
    @rule(data=st.data(), name=st.sampled_from(sorted(ENDINGS)))
    def finish(self, data: st.DataObject, name: str) -> None:
        row = data.draw(st.sampled_from(self.running()))
        ending = ENDINGS[name]
        if ending.outcome is Outcome.SUCCEEDED and row.phase != Phase.DELIVERY:
            return
        ref = RunRef(row.id, row.run, row.customer_id)
        self.lifecycle.finish(ref, ending)
        self.done[name] += 1
        with pytest.raises(Fenced):
            self.lifecycle.finish(ref, ending)

    @rule()
    def obey(self) -> None:
        """What the worker does on its turn about stops, pauses and resumes."""
        for row in self.rows(
            """SELECT a.*, e.status AS execution_status, e.pause_requested FROM attempts a
               JOIN executions e ON e.id = a.execution_id WHERE a.outcome IS NULL AND a.customer_id = ANY(:ids)""",
            ids=self.ids,
        ):
            ref = RunRef(row.id, row.run, row.customer_id)
            self.done["obeyed"] += 1
            if row.stop_requested:
                self.lifecycle.stopped(ref, Stop(row.stop_requested), {"workspace_kept": False})
            elif row.pause_requested == PauseMode.NOW:
                self.lifecycle.frozen(ref)
            elif row.frozen and row.execution_status == "active":
                self.lifecycle.thawed(ref)

    @rule(result=st.sampled_from([Monitoring.PASSED, Monitoring.REGRESSED, Monitoring.NOT_MERGED]))
    def watch(self, result: Monitoring) -> None:
        for row in self.rows(
            "SELECT * FROM attempts WHERE monitoring = 'watching' AND customer_id = ANY(:ids) LIMIT 1", ids=self.ids
        ):
            with self.database.transaction() as connection:
                assign_watch(connection, row.id, row.customer_id, self.worker, lease=LEASE, now=self.clock())
            run = self.rows("SELECT run FROM attempts WHERE id = :id", id=row.id)[0].run
            with pytest.raises(Fenced):
                self.lifecycle.end_monitoring(RunRef(row.id, run + 1, row.customer_id), result)
            self.lifecycle.end_monitoring(RunRef(row.id, run, row.customer_id), result, reason="Because.")

    @precondition(lambda self: self.running())
    @rule()
    def lose_the_worker(self) -> None:
        dead, self.worker = self.worker, self.join()
        with self.database.transaction() as connection:
            workers.bury(connection, dead, event="worker_lost", now=self.clock())
        for row in self.running():
            with self.database.transaction() as connection:
                assert reassign(connection, row.id, row.customer_id, self.worker, lease=LEASE, now=self.clock())
            with pytest.raises(Fenced):
                self.lifecycle.check_held(RunRef(row.id, row.run, row.customer_id))

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def begin_again(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.running()))
        with self.database.transaction() as connection:
            again = rerun(connection, RunRef(row.id, row.run, row.customer_id), lease=LEASE, now=self.clock())
        assert again or row.run >= 20

    # --- helpers ---

    def refused(self, *errors: type[DevTeamError]) -> AbstractContextManager[None]:
        """An act that the state may refuse."""
        return suppress(*errors)

    def command(self, number: int, act: Any) -> None:
        customer = self.a_customer(number)
        found = self.rows("SELECT id FROM executions WHERE customer_id = :c ORDER BY id DESC LIMIT 1", c=customer)
        with self.refused(Conflict):
            act(found[0].id)
            before = self.fresh(customer)
            act(found[0].id)  # the second click
            assert self.fresh(customer)[1] == before[1]

    def fresh(self, customer: UUID) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
        with self.database.snapshot() as connection:
            view = customer_snapshot(connection, customer)
        entities = [view.customer, *([view.execution] if view.execution else []), *view.projects, *view.tasks]
        wires = [entity.wire() for entity in [*entities, *view.attempts]]
        return view.seq, {(wire["kind"], wire["id"]): wire for wire in wires}

    # --- what must hold after every step ---

    @invariant()
    def all_is_well(self) -> None:
        for check in (
            self.at_most_one_of_a_kind,
            self.running_means_running,
            self.phases_are_contiguous,
            self.streams_have_no_gap,
            self.a_live_page_equals_a_fresh_one,
            self.the_card_is_true,
            self.paused_means_paused,
        ):
            check()

    def at_most_one_of_a_kind(self) -> None:
        for column, table, condition in (
            ("customer_id", "executions", "status NOT IN ('completed', 'aborted')"),
            ("customer_id", "attempts", "outcome IS NULL"),
            ("project_id", "attempts", "outcome IS NULL"),
        ):
            assert not self.rows(
                f"SELECT {column} FROM {table} WHERE {condition} GROUP BY {column} HAVING count(*) > 1"
            )

    def running_means_running(self) -> None:
        assert not self.rows(
            """SELECT t.id FROM tasks t WHERE t.customer_id = ANY(:ids)
               AND (t.status IN ('in_progress', 'verifying', 'error_solving'))
                   <> EXISTS (SELECT 1 FROM attempts a WHERE a.task_id = t.id AND a.outcome IS NULL)""",
            ids=self.owned(),
        )
        assert not self.rows(
            """SELECT t.id FROM tasks t JOIN task_dependencies d ON d.task_id = t.id
               JOIN tasks p ON p.id = d.depends_on_id JOIN attempts a ON a.task_id = t.id AND a.outcome IS NULL
               WHERE a.number = t.attempts AND p.status <> 'completed' AND p.status <> 'failed'
                 AND t.customer_id = ANY(:ids)""",
            ids=self.owned(),
        )

    def owned(self) -> list[UUID]:
        return getattr(self, "ids", [])

    def phases_are_contiguous(self) -> None:
        spans = self.rows(
            """SELECT p.*, a.outcome, a.monitoring, a.phase AS now_in
               FROM attempt_phases p JOIN attempts a ON a.id = p.attempt_id
               WHERE a.customer_id = ANY(:ids) ORDER BY p.attempt_id, p.ordinal""",
            ids=self.owned(),
        )
        for first, second in pairwise(spans):
            if first.attempt_id == second.attempt_id:
                assert first.ended_at == second.started_at
                assert Phase(second.phase) in PHASE_MOVES[Phase(first.phase)]
            else:
                self.check_last(first)
        if spans:
            self.check_last(spans[-1])

    def check_last(self, span: Any) -> None:
        still = span.outcome is None or span.monitoring == "watching"
        assert (span.ended_at is None) == still and span.now_in == span.phase

    def streams_have_no_gap(self) -> None:
        for stream in self.owned():
            head = self.rows("SELECT version FROM stream_heads WHERE stream = :s", s=stream)[0].version
            live = [
                r.version for r in self.rows("SELECT version FROM live_changes WHERE stream = :s ORDER BY 1", s=stream)
            ]
            assert live == list(range(1, head + 1))

    def a_live_page_equals_a_fresh_one(self) -> None:
        for customer in self.owned():
            seq, entities = self.seen[customer]
            with self.database.transaction() as connection:
                for row in read_live(connection, customer, after=seq):
                    apply_changes(entities, row.changes)
                    seq = row.version
            fresh = self.fresh(customer)
            self.seen[customer] = (seq, entities)
            assert seq == fresh[0]
            assert entities == fresh[1]

    def the_card_is_true(self) -> None:
        for customer in self.owned():
            stored = self.rows("SELECT view, next_task_id FROM customer_cards WHERE customer_id = :c", c=customer)[0]
            found = self.rows(
                "SELECT status, count(*) AS n FROM tasks WHERE customer_id = :c GROUP BY status", c=customer
            )
            counts = {row.status: row.n for row in found}
            card = stored.view
            assert card["tasksCompleted"] == counts.get("completed", 0)
            assert card["tasksFailed"] == counts.get("failed", 0)
            assert card["tasksBlocked"] == counts.get("blocked", 0)
            assert card["tasksPending"] == counts.get("pending", 0)
            with self.database.transaction() as connection:
                assert stored.next_task_id == next_task(connection, customer)
            assert differing(self.computed_card(customer), card) <= {"version", "lastUpdate"}

    def computed_card(self, customer: UUID) -> dict[str, Any]:
        """The card as it would be computed now; nothing is stored."""
        with self.database.engine.connect() as connection:  # never committed
            return refresh_card(connection, customer, now=self.now).card.wire()

    def paused_means_paused(self) -> None:
        assert not self.rows(
            """SELECT e.id FROM executions e JOIN attempts a ON a.execution_id = e.id AND a.outcome IS NULL
               WHERE e.status = 'paused' AND NOT a.frozen AND a.stop_requested IS NULL"""
        )
        assert not self.rows(
            """SELECT e.id FROM executions e JOIN customer_cards k ON k.customer_id = e.customer_id
               WHERE e.status = 'completed' AND k.next_task_id IS NOT NULL AND e.customer_id = ANY(:ids)
                 AND NOT EXISTS (SELECT 1 FROM executions n WHERE n.customer_id = e.customer_id AND n.id > e.id)""",
            ids=self.owned(),
        )


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


@pytest.fixture
def walk_database(engine_url: str) -> Iterator[Database]:
    database = Database(engine_url)
    yield database
    database.dispose()


def test_whatever_people_and_workers_do_the_state_stays_legal_and_the_page_true(walk_database: Database) -> None:
    done: Counter[str] = Counter()

    class Walk(EngineWalk):
        database = walk_database

        def teardown(self) -> None:
            super().teardown()
            done.update(self.done)

    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            phases=[Step.explicit, Step.generate],  # a walk costs too much to be shortened inside the time limit
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert done["dispatched"] and any(done[name] for name in ENDINGS), f"the walks went nowhere: {done}"
