"""Whose turn it is: smooth weighted round robin."""

import json
from collections import Counter
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from devteam.customers.model import WEIGHTS, PriorityClass
from devteam.workflows.dispatch import Candidate, choose

CLASSES = st.sampled_from(list(PriorityClass))


def candidates_of(classes: list[PriorityClass]) -> list[Candidate]:
    return [Candidate(str(UUID(int=n + 1)), WEIGHTS[kind]) for n, kind in enumerate(classes)]


def choices(candidates: list[Candidate], current: dict[str, float], count: int) -> list[str]:
    """As the dispatcher chooses: the weights are rounded when they are stored after each turn."""
    chosen = []
    for _ in range(count):
        choice = choose(candidates, current)
        assert choice is not None
        chosen.append(choice.customer)
        current.update({key: round(value, 4) for key, value in current.items()})
    return chosen


def test_nobody_is_chosen_when_nobody_can_run() -> None:
    assert choose([], {}) is None


@given(st.lists(CLASSES, min_size=1, max_size=12), st.integers(0, 300))
@settings(deadline=None)
def test_in_any_window_of_a_hundred_each_customer_gets_its_share(classes: list[PriorityClass], start: int) -> None:
    candidates = candidates_of(classes)
    order = choices(candidates, {}, start + 100)
    window, total = Counter(order[start:]), sum(c.weight for c in candidates)
    for candidate in candidates:
        assert abs(window[candidate.customer] - 100 * candidate.weight / total) <= 2


@given(CLASSES, CLASSES, CLASSES, st.integers(0, 300))
@settings(deadline=None)
def test_three_customers_are_never_further_than_one_turn_from_their_share(
    a: PriorityClass, b: PriorityClass, c: PriorityClass, start: int
) -> None:
    candidates = candidates_of([a, b, c])
    order = choices(candidates, {}, start + 100)
    total = sum(candidate.weight for candidate in candidates)
    counts = Counter(order)
    for candidate in candidates:
        assert abs(counts[candidate.customer] - len(order) * candidate.weight / total) <= 1


@given(st.lists(CLASSES, min_size=1, max_size=12), st.integers(1, 40))
@settings(deadline=None)
def test_the_order_is_the_same_when_the_weights_were_stored_and_read_again(
    classes: list[PriorityClass], restart: int
) -> None:
    candidates, current = candidates_of(classes), dict[str, float]()
    first = choices(candidates, current, restart)
    stored = json.loads(json.dumps(current))
    assert first + choices(candidates, stored, 60) == choices(candidates, {}, restart + 60)


@given(st.lists(CLASSES, min_size=2, max_size=6), st.data())
@settings(deadline=None)
def test_whoever_comes_and_goes_nobody_waits_for_ever(classes: list[PriorityClass], data: st.DataObject) -> None:
    everybody, current, waited = candidates_of(classes), dict[str, float](), Counter[str]()
    for _ in range(60):
        ready = data.draw(st.lists(st.sampled_from(everybody), min_size=1, unique=True))
        ready.sort(key=lambda candidate: candidate.customer)
        chosen = choose(ready, current)
        assert chosen in ready
        for candidate in ready:
            waited[candidate.customer] += 1
        waited[chosen.customer] = 0
        assert max(waited.values()) <= 40


def test_a_higher_class_is_served_more_often_and_spread_out() -> None:
    kinds = [PriorityClass.PRIORITY, PriorityClass.STANDARD, PriorityClass.LOW]
    order = choices(candidates_of(kinds), {}, 32)
    assert [Counter(order)[str(UUID(int=n))] for n in (1, 2, 3)] == [15, 10, 7]
    assert all(order[i : i + 4] != [order[i]] * 4 for i in range(29))
