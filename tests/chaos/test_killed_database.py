"""The database server goes away under running attempts: nothing is stranded, nothing is done twice."""

import random
import time
from collections.abc import Iterator

import pytest

from tests.chaos.held import PHASES, assert_done_once, held_case
from tests.chaos.postgres import Storm, kill_often, storm
from tests.engine.world import eventually


@pytest.fixture
def own_storm() -> Iterator[Storm]:
    with storm() as made:
        yield made


def test_five_kills_of_the_server_strand_nothing(own_storm: Storm) -> None:
    own_storm.engine.worker()
    assert kill_often(own_storm, times=5, customers=3, tasks=3, chance=random.Random(5)) == []


def test_what_ends_while_the_database_is_away_is_recorded_when_it_is_back(own_storm: Storm) -> None:
    """One attempt in each phase; the database is away for ten seconds, in which all of them go on."""
    own_storm.engine.worker(slots=5)
    held = [held_case(own_storm.engine, phase) for phase in PHASES]
    own_storm.kill()
    for _, hold in held:
        hold.release()
    time.sleep(10)
    own_storm.server.ensure_running()
    back = time.monotonic()
    for case, _ in held:
        case.settled()
    print(f"all five went on to their end {time.monotonic() - back:.1f} s after the database was back")
    for case, _ in held:
        assert_done_once(case)


def test_a_worker_and_the_database_killed_at_once_leave_nothing_half_done(own_storm: Storm) -> None:
    worker = own_storm.engine.worker(slots=5)
    held = [held_case(own_storm.engine, phase) for phase in PHASES]
    worker.kill()
    own_storm.kill()
    eventually(own_storm.server.ensure_running)
    own_storm.engine.worker(slots=5)
    eventually(lambda: all(case.attempts()[0].run > 1 for case, _ in held))
    for _, hold in held:
        hold.release()
    for case, _ in held:
        assert_done_once(case)
