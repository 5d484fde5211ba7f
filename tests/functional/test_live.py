"""The live socket end to end: what a page shows is what a fresh read gives, whatever happens in between."""

import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from devteam.access.model import ENGINE
from devteam.access.service import AccessService
from devteam.adapters.postgres import DataFolder, EmbeddedPostgres
from devteam.customers.model import PriorityClass
from devteam.customers.schemas import CustomerPatch
from devteam.executions.lifecycle import Ending
from devteam.executions.model import Outcome, Phase
from devteam.kit.clock import utc_now
from devteam.kit.db import Database, sql
from devteam.live.hub import LiveSettings
from devteam.live.logs import MAX_BACK
from devteam.live.loop import MAX_TOPICS
from devteam.migrations.run import migrate
from devteam.projects.schemas import ProjectPatch
from devteam.tasks.model import TaskStatus
from devteam.tasks.schemas import TaskPatch
from tests.functional.conftest import serving
from tests.functional.live_world import LiveWorld, live_app, settled
from tests.live import LiveClient, TopicState

Serve = Callable[[FastAPI], str]


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    database = Database(migrated_url)
    yield database
    database.dispose()


@pytest.fixture
def world(database: Database, serve: Serve) -> LiveWorld:
    access = AccessService(database, utc_now)
    app = live_app(database, access)
    return LiveWorld(serve(app), database, access, lambda: app.state.live_hub.connections)


def test_snapshot_and_deltas_equal_a_fresh_snapshot_after_every_act(world: LiveWorld) -> None:
    customer_id = world.customer()
    name = f"customer:{customer_id}"
    kept: list[UUID] = []

    def finish(outcome: Outcome, status: TaskStatus, reason: str | None = None) -> None:
        ref = world.assigned(customer_id, kept[-1], worker)
        world.attempts.enter_phase(ref, Phase.EXECUTION, base_commit="0" * 40)
        world.attempts.enter_phase(ref, Phase.QUALITY_ASSURANCE)
        world.attempts.finish(ref, Ending(outcome, status, "gates_failed" if reason else None, reason))

    project = world.project(customer_id)
    worker = world.worker()
    archived_later = world.project(customer_id)
    acts: list[Callable[[], object]] = [
        lambda: kept.append(world.task(customer_id, project, "First")),
        lambda: kept.append(world.task(customer_id, project, "Second", dependsOn=[str(kept[0])])),
        lambda: kept.append(world.task(customer_id, project, "Third", position="head")),
        lambda: world.tasks.move(ENGINE, kept[2], None),
        lambda: world.tasks.edit(ENGINE, kept[0], TaskPatch(priority=1, assignee="Kim")),
        lambda: world.tasks.edit(ENGINE, kept[0], TaskPatch(assignee=None)),
        lambda: world.projects.edit(ENGINE, project, ProjectPatch(name="renamed")),
        lambda: world.projects.edit(ENGINE, archived_later, ProjectPatch(archived=True)),
        lambda: world.customers.edit(ENGINE, customer_id, CustomerPatch(priority_class=PriorityClass.PRIORITY)),
        lambda: world.executions.start(ENGINE, customer_id),
        lambda: world.executions.cancel_task(ENGINE, kept[0], None),
        lambda: world.executions.cancel_task(ENGINE, kept[1], None),
        lambda: finish(Outcome.FAILED, TaskStatus.FAILED, "The tests fail."),
        lambda: world.executions.retry_task(ENGINE, kept[2]),
        lambda: finish(Outcome.SUCCEEDED, TaskStatus.COMPLETED),
    ]
    with world.client() as page, world.client() as late:
        page.subscribe("overview", name, "system")
        for act in acts:
            act()
            settled(page, name, lambda: world.fresh_customer(customer_id))
            assert page.topic(name).seq == world.version(customer_id)
            settled(page, "overview", world.fresh_overview)
        assert "reset" not in page.topic(name).kinds() + page.topic("overview").kinds()
        assert [event["type"] for event in page.topic(name).events()] == ["task_blocked", "task_failed"]
        assert [event["type"] for event in page.topic("overview").events()] == ["task_blocked", "task_failed"]
        late.follow(name)
        assert late.topic(name).entities == page.topic(name).entities
        page.until(lambda: ("worker", str(worker)) in page.topic("system").entities, "the worker")


def test_an_archived_customer_leaves_the_overview_and_comes_back_whole(world: LiveWorld) -> None:
    customer_id = world.customer()
    key = ("customer", str(customer_id))
    with world.client() as page:
        overview, own = page.follow("overview"), page.follow(f"customer:{customer_id}")
        world.customers.edit(ENGINE, customer_id, CustomerPatch(archived=True))
        page.until(lambda: key not in overview.entities, "the customer to leave")
        page.until(lambda: own.entities[key]["archived"], "its own page to show it archived")
        settled(page, "overview", world.fresh_overview)
        world.customers.edit(ENGINE, customer_id, CustomerPatch(archived=False))
        settled(page, "overview", world.fresh_overview)
        assert key in overview.entities


def test_changes_during_the_snapshot_are_neither_lost_nor_seen_twice(world: LiveWorld) -> None:
    customer_id = world.customer()
    project = world.project(customer_id)
    stop = threading.Event()

    def keep_adding() -> None:
        while not stop.is_set():
            world.task(customer_id, project)

    thread = threading.Thread(target=keep_adding)
    thread.start()
    pages = []
    try:
        for _ in range(8):
            page = world.client()
            pages.append(page)
            page.follow(f"customer:{customer_id}")
            page.follow("overview")
    finally:
        stop.set()
        thread.join()
    for page in pages:
        settled(page, f"customer:{customer_id}", lambda: world.fresh_customer(customer_id))
        settled(page, "overview", world.fresh_overview)
        page.close()


def test_a_reconnect_gets_what_is_missing_and_no_more(world: LiveWorld) -> None:
    customer_id = world.customer()
    project = world.project(customer_id)
    topics = ("overview", f"customer:{customer_id}", "system")
    with world.client() as page:
        for topic in topics:
            page.follow(topic)
        before = dict(page.topics)
    world.task(customer_id, project)
    world.task(customer_id, project)
    with LiveClient(world.address, world.session()) as again:
        again.hello({topic: before[topic] for topic in topics})
        settled(again, topics[1], lambda: world.fresh_customer(customer_id))
        settled(again, "overview", world.fresh_overview)
        again.until(lambda: bool(again.topic("system").frames), "an answer on system")
        for topic in topics:
            assert set(again.topic(topic).kinds()) == {"delta"}, topic


def test_a_customers_topic_resumes_on_another_process_and_the_overview_starts_again(
    world: LiveWorld, serve: Serve
) -> None:
    customer_id = world.customer()
    project = world.project(customer_id)
    other = LiveWorld(serve(live_app(world.database, world.access)), world.database, world.access)
    name = f"customer:{customer_id}"
    with world.client() as page:
        page.follow(name)
        page.follow("overview")
        before = dict(page.topics)
    world.task(customer_id, project)
    with LiveClient(other.address, world.session()) as again:
        again.hello(before)
        settled(again, name, lambda: world.fresh_customer(customer_id))
        settled(again, "overview", world.fresh_overview)
        assert set(again.topic(name).kinds()) == {"delta"}
        assert again.topic("overview").kinds()[:2] == ["reset", "snapshot"]
        assert again.topic("overview").frames[0]["reason"] == "restarted"


def test_two_processes_show_the_same(world: LiveWorld, serve: Serve) -> None:
    customer_id = world.customer()
    project = world.project(customer_id)
    other = LiveWorld(serve(live_app(world.database, world.access)), world.database, world.access)
    name = f"customer:{customer_id}"
    with world.client() as here, other.client() as there:
        for page in (here, there):
            page.follow(name)
            page.follow("overview")
        for _ in range(20):
            world.task(customer_id, project)
        for page in (here, there):
            settled(page, name, lambda: world.fresh_customer(customer_id))
            settled(page, "overview", world.fresh_overview)
        assert here.topic(name).epoch == there.topic(name).epoch
        assert here.topic(name).seq == there.topic(name).seq == world.version(customer_id)
        assert here.topic("overview").epoch != there.topic("overview").epoch


def test_lost_changes_reset_the_customers_page_and_mend_the_overview(world: LiveWorld) -> None:
    customer_id, other_id = world.customer(), world.customer()
    world.project(customer_id)
    name = f"customer:{customer_id}"
    with world.client() as page:
        page.follow(name)
        page.follow("overview")
        page.follow(f"customer:{other_id}")
        with world.database.transaction() as connection:
            # As if the database had crashed between two commits of one tick.
            connection.execute(sql("LOCK TABLE stream_heads IN ACCESS EXCLUSIVE MODE"))
            connection.execute(
                sql("UPDATE stream_heads SET version = version + 3 WHERE stream = :id"), {"id": customer_id}
            )
            connection.execute(
                sql("UPDATE customer_cards SET version = version + 1, view = view || :new WHERE customer_id = :id"),
                {"id": customer_id, "new": json.dumps({"version": 999, "tasksPending": 7})},
            )
        page.until(lambda: "reset" in page.topic(name).kinds(), "a reset")
        settled(page, name, lambda: world.fresh_customer(customer_id))
        settled(page, "overview", world.fresh_overview)
        assert page.topic(name).frames[1]["reason"] == "gap"
        assert "reset" not in page.topic(f"customer:{other_id}").kinds() + page.topic("overview").kinds()
        before = dict(page.topics)
    with world.database.transaction() as connection:
        connection.execute(sql("UPDATE customer_cards SET view = view || '{\"version\": 1}'"))
        connection.execute(sql("TRUNCATE live_changes"))
    world.task(other_id, world.project(other_id))
    with LiveClient(world.address, world.session()) as again:
        again.hello({name: before[name], f"customer:{other_id}": before[f"customer:{other_id}"]})
        again.until(lambda: bool(again.topic(name).frames), "an answer")
        assert again.topic(name).kinds() == ["delta"], "nothing was missed, so nothing is reset"
        settled(again, f"customer:{other_id}", lambda: world.fresh_customer(other_id))


def test_a_database_that_was_restored_from_a_copy_is_shown_as_it_is(world: LiveWorld) -> None:
    customer_id = world.customer()
    with world.database.transaction() as connection:
        older = connection.execute(
            sql("SELECT h.version, k.view FROM stream_heads h JOIN customer_cards k ON k.customer_id = h.stream")
        ).one()
    world.project(customer_id)
    name = f"customer:{customer_id}"
    with world.client() as page:
        page.follow(name)
        page.follow("overview")
        with world.database.transaction() as connection:
            connection.execute(sql("DELETE FROM projects"))
            connection.execute(sql("DELETE FROM live_changes"))
            connection.execute(sql("UPDATE stream_heads SET version = :old"), {"old": older.version})
            connection.execute(
                sql("UPDATE customer_cards SET view = CAST(:view AS jsonb), version = :old"),
                {"view": json.dumps(older.view), "old": older.view["version"]},
            )
            connection.execute(sql("SELECT pg_notify('devteam_events', '')"))
        settled(page, name, lambda: world.fresh_customer(customer_id))
        settled(page, "overview", world.fresh_overview)


def test_a_position_that_cannot_be_served_is_reset(world: LiveWorld) -> None:
    customer_id = world.customer()
    world.project(customer_id)
    with world.database.transaction() as connection:
        connection.execute(sql("TRUNCATE live_changes"))
    with world.client() as first:
        epoch = first.follow(f"customer:{customer_id}").epoch
    with LiveClient(world.address, world.session()) as page:
        page.hello({f"customer:{customer_id}": TopicState(epoch, 0)})
        settled(page, f"customer:{customer_id}", lambda: world.fresh_customer(customer_id))
        assert page.topic(f"customer:{customer_id}").frames[0]["reason"] == "too_old"


def test_a_limited_user_learns_nothing_of_other_customers(world: LiveWorld) -> None:
    mine, theirs = world.customer(), world.customer()
    their_project, worker = world.project(theirs), world.worker()
    task = world.task(theirs, their_project, "Their secret")
    world.executions.start(ENGINE, theirs)
    ref = world.assigned(theirs, task, worker)
    world.attempts.append_output(ref, 0, "their output")
    with world.client(world.session({mine})) as page:
        page.subscribe("overview", f"customer:{mine}", f"customer:{theirs}", f"logs:{ref.attempt_id}", "system")
        page.subscribe(f"customer:{uuid4()}")
        page.until(lambda: len(page.errors) >= 3, "refusals")
        assert {(error["code"], error["text"]) for error in page.errors} == {
            ("not_found", "There is no such thing, or you may not see it.")
        }
        world.attempts.finish(ref, Ending(Outcome.FAILED, TaskStatus.FAILED, "x", "Their failure"))
        world.task(theirs, their_project)
        my_project = world.project(mine)
        world.task(mine, my_project, "My own")
        settled(page, "overview", lambda: world.fresh_overview(frozenset({mine})))
        settled(page, f"customer:{mine}", lambda: world.fresh_customer(mine))
        told = json.dumps([state.frames for state in page.topics.values()] + page.heartbeats)
        for secret in (str(theirs), "Their", str(task), str(their_project)):
            assert secret not in told
        assert page.topic("overview").entities[("system", "system")]["customers"] == 1


def test_a_revoked_session_is_cut_off_and_others_stay(world: LiveWorld) -> None:
    session = world.session()
    with world.client(session) as page, world.client() as other:
        page.follow("overview")
        other.follow("overview")
        world.access.sign_out(session)
        assert page.close_code() == 4401
        world.customer()
        settled(other, "overview", world.fresh_overview)


def test_a_lost_grant_ends_its_topics_and_shrinks_the_overview(world: LiveWorld) -> None:
    kept, lost = world.customer(), world.customer()
    session = world.session({kept, lost})
    with world.client(session) as page:
        page.follow(f"customer:{lost}")
        page.follow("overview")
        with world.database.transaction() as connection:
            connection.execute(sql("DELETE FROM user_customers WHERE customer_id = :id"), {"id": lost})
        page.until(lambda: bool(page.errors), "the refusal")
        assert page.errors[0]["topic"] == f"customer:{lost}"
        settled(page, "overview", lambda: world.fresh_overview(frozenset({kept})))
        seen = len(page.topic(f"customer:{lost}").frames)
        world.project(lost)
        world.project(kept)
        settled(page, "overview", lambda: world.fresh_overview(frozenset({kept})))
        assert len(page.topic(f"customer:{lost}").frames) == seen


@pytest.mark.parametrize(
    ("session", "origin", "code"),
    [
        (None, "", 4401),
        ("nonsense", "", 4401),
        ("mine", "http://evil.test", 4403),
        ("mine", None, 4403),
    ],
)
def test_strangers_are_told_why_they_are_sent_away(
    world: LiveWorld, session: str | None, origin: str | None, code: int
) -> None:
    token = world.session() if session == "mine" else session
    with LiveClient(world.address, token, origin=origin) as page:
        assert page.close_code() == code


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[1]",
        '{"type":"hello","protocol":9}',
        '{"type":"subscribe","topics":7}',
        b"bytes",
        "x" * 10_000_000,
    ],
    ids=["no json", "list", "protocol", "types", "bytes", "10 MB"],
)
def test_a_hostile_message_ends_its_own_connection_only(world: LiveWorld, message: str | bytes) -> None:
    with world.client() as page, world.client() as hostile:
        page.follow("overview")
        hostile.socket.send(message)
        assert hostile.close_code() == 4400
        world.customer()
        settled(page, "overview", world.fresh_overview)


def test_ten_thousand_subscriptions_are_refused_with_a_sentence(world: LiveWorld) -> None:
    with world.client() as page, world.client() as greedy:
        page.follow("overview")
        greedy.follow("overview")
        for _ in range(10):
            greedy.subscribe(*(f"logs:{uuid4()}" for _ in range(100)), "no such topic", "customer:x")
        greedy.until(lambda: any(error["code"] == "too_many_topics" for error in greedy.errors), "a refusal")
        greedy.until(lambda: any(error["code"] == "unknown_topic" for error in greedy.errors), "a refusal")
        assert str(MAX_TOPICS) in next(e for e in greedy.errors if e["code"] == "too_many_topics")["text"]
        world.customer()
        settled(page, "overview", world.fresh_overview)
        with world.client() as flood:
            flood.send(type="subscribe", topics=[str(n) for n in range(2_000)])
            assert flood.close_code() == 4400


def test_heartbeats_tell_where_each_topic_is(world: LiveWorld) -> None:
    customer_id = world.customer()
    with world.client() as page:
        page.follow("overview")
        page.follow(f"customer:{customer_id}")
        page.heartbeats.clear()
        page.until(lambda: len(page.heartbeats) >= 2, "heartbeats")
        assert page.heartbeats[-1]["topics"] == {name: state.seq for name, state in page.topics.items()}
        assert page.heartbeats[-1]["metrics"]["system"]["customers"] == 1


def test_a_hidden_page_gets_one_merged_frame_per_heartbeat_and_notable_events_at_once(
    database: Database, serve: Serve
) -> None:
    access = AccessService(database, utc_now)
    slow_beat = LiveSettings(heartbeat_seconds=3.0, sums_seconds=0.1)
    world = LiveWorld(serve(live_app(database, access, slow_beat)), database, access)
    customer_id = world.customer()
    project = world.project(customer_id)
    with world.client() as page, world.client() as shown:
        state = page.follow(f"customer:{customer_id}")
        shown.follow(f"customer:{customer_id}")
        page.send(type="visibility", hidden=True)
        page.until(lambda: bool(page.heartbeats), "a heartbeat")
        seen = len(state.frames)
        for _ in range(10):
            world.task(customer_id, project)
        settled(shown, f"customer:{customer_id}", lambda: world.fresh_customer(customer_id))
        settled(page, f"customer:{customer_id}", lambda: world.fresh_customer(customer_id))
        assert len(state.frames) == seen + 1
        page.send(type="visibility", hidden=False)
        world.task(customer_id, project)
        settled(page, f"customer:{customer_id}", lambda: world.fresh_customer(customer_id))


def test_a_client_that_stops_reading_is_cut_off_and_hurts_nobody(world: LiveWorld) -> None:
    customer_id = world.customer()
    project = world.project(customer_id)
    for n in range(100):
        world.task(customer_id, project, f"{n} " + "x" * 290)
    name = f"customer:{customer_id}"
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", int(world.address.rpartition(":")[2])))
    with world.client() as page, LiveClient(world.address, world.session(), sock=small, max_queue=1) as stuck:
        page.follow(name)
        stuck.hello()
        for _ in range(45):
            # Each round asks for a snapshot that nobody reads, until all buffers between here and there are full.
            stuck.send(type="unsubscribe", topics=[name])
            stuck.subscribe(name)
            world.task(customer_id, project)
            settled(page, name, lambda: world.fresh_customer(customer_id))
        deadline = time.monotonic() + 20
        while world.connections() > 1:
            assert time.monotonic() < deadline, "the stuck client was never cut off"
            page.receive(0.05)
        assert stuck.close_code() == 4408
        world.task(customer_id, project)
        settled(page, name, lambda: world.fresh_customer(customer_id))


def test_a_log_is_followed_to_its_end(world: LiveWorld) -> None:
    customer_id, worker = world.customer(), world.worker()
    task = world.task(customer_id, world.project(customer_id))
    world.executions.start(ENGINE, customer_id)
    ref = world.assigned(customer_id, task, worker)
    topic = f"logs:{ref.attempt_id}"
    written = ""

    def write(text: str) -> None:
        nonlocal written
        world.attempts.append_output(ref, len(written), text)
        written += text

    def text(page: LiveClient) -> str:
        return "".join(frame["text"] for frame in page.topic(topic).frames if frame["type"] == "log")

    def is_complete(page: LiveClient) -> bool:
        return bool(page.topic(topic).frames[-1].get("complete"))

    write("Grüße 🌍\n")
    with world.client() as page, world.client() as second:
        page.subscribe(topic)
        page.until(lambda: text(page) == written, "the first output")
        write("x" * (MAX_BACK + 1000))
        write("end\n")
        page.until(lambda: text(page) == written, "all output")
        second.subscribe(topic)
        second.until(lambda: "log" in second.topic(topic).kinds(), "the tail")
        assert second.topic(topic).kinds()[0] == "log_gap"
        second.until(lambda: text(second) == written[-MAX_BACK:], "the tail")
        with world.client() as third:
            third.send(type="subscribe", topics=[topic], offsets={topic: len(written) - 2})
            third.until(lambda: text(third) == "d\n", "the rest")
        world.attempts.enter_phase(ref, Phase.EXECUTION, base_commit="0" * 40)
        world.attempts.enter_phase(ref, Phase.QUALITY_ASSURANCE)
        world.attempts.finish(ref, Ending(Outcome.SUCCEEDED, TaskStatus.COMPLETED))
        for each in (page, second):
            each.until(partial(is_complete, each), "the end")
            assert each.topic(topic).seq == len(written)
    with world.client() as after:
        after.send(type="subscribe", topics=[topic], offsets={topic: len(written)})
        after.until(lambda: "log" in after.topic(topic).kinds(), "the end")
        assert after.topic(topic).frames[-1]["complete"] and text(after) == ""


def test_the_server_says_that_it_restarts(database: Database) -> None:
    access = AccessService(database, utc_now)
    with serving(live_app(database, access)) as address:
        world = LiveWorld(address, database, access)
        page = world.client()
        page.follow("overview")
    assert page.close_code() == 1012


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A server that a test may kill."""
    folder = Path(tempfile.mkdtemp(prefix="devteam-test-"))
    try:
        with DataFolder.open(folder) as data, EmbeddedPostgres(data, settings={"fsync": "off"}) as postgres:
            yield postgres
    finally:
        shutil.rmtree(folder)


def test_pages_outlive_the_database(own_postgres: EmbeddedPostgres) -> None:
    database = Database(own_postgres.url)
    migrate(database)
    access = AccessService(database, utc_now)
    with serving(live_app(database, access)) as address:
        world = LiveWorld(address, database, access)
        customer_id = world.customer()
        project = world.project(customer_id)
        name = f"customer:{customer_id}"
        with world.client() as page:
            page.follow(name)
            page.follow("overview")
            own_postgres.stop()
            page.heartbeats.clear()
            page.until(lambda: len(page.heartbeats) >= 3, "heartbeats without a database")
            assert page.heartbeats[-1]["metrics"]["connected"] is False
            page.subscribe(f"customer:{uuid4()}")
            page.until(lambda: bool(page.errors), "the refusal")
            assert page.errors[0]["code"] == "unavailable"
            own_postgres.start()
            world.task(customer_id, project)
            settled(page, name, lambda: world.fresh_customer(customer_id))
            settled(page, "overview", world.fresh_overview)
            page.until(lambda: page.errors[-1]["code"] == "not_found", "the answer to what was asked meanwhile")
    database.dispose()
