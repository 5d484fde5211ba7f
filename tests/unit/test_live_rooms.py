"""Rooms: merging, positions, the ring's end, scopes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devteam.live.rooms import MAX_EVENTS, Entry, Outran, Room, merge_all
from devteam.live.wire import Change, Notable, Scope, merge
from tests.live import apply_all


def change(identifier: str, version: int, unset: tuple[str, ...] = (), **fields: Any) -> Change:
    return {"kind": "task", "id": identifier, "version": version, "set": fields, "unset": list(unset)}


def gone(identifier: str, version: int) -> Change:
    return change(identifier, version) | {"removed": True}


class Follower:
    def __init__(self) -> None:
        self.notified: list[bool] = []
        self.restarted: list[str] = []

    def notify(self, *, urgent: bool) -> None:
        self.notified.append(urgent)

    def restart(self, reason: str) -> None:
        self.restarted.append(reason)


class Ticks:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def room(**options: Any) -> Room:
    return Room("t", "e", 10, lambda: datetime(2026, 1, 1, tzinfo=UTC), **options)


def decoded(frames: Any) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in frames]


def notable(customer: str, name: str) -> Notable:
    return Notable(customer, {"id": name})


def test_newer_values_win_and_older_ones_stay() -> None:
    assert merge(change("a", 1, x=1, y=1), change("a", 2, y=2)) == change("a", 2, x=1, y=2)


def test_a_field_that_was_unset_and_set_again_is_set() -> None:
    assert merge(change("a", 1, ("x",)), change("a", 2, x=3)) == change("a", 2, x=3)
    assert merge(change("a", 1, x=3), change("a", 2, ("x",))) == change("a", 2, ("x",))


def test_an_entity_that_came_back_is_not_removed() -> None:
    assert merge_all([change("a", 1, x=1), gone("a", 2), change("a", 3, y=1)]) == [change("a", 3, y=1)]
    assert merge_all([change("a", 1, x=1), gone("a", 2)]) == [gone("a", 2)]


_changes = st.lists(
    st.builds(
        lambda identifier, fields, unset, removed: (identifier, fields, unset, removed),
        st.sampled_from("ab"),
        st.dictionaries(st.sampled_from("xyz"), st.integers(0, 5)),
        st.sampled_from([(), ("x",), ("y", "z")]),
        st.booleans(),
    ),
    max_size=12,
)


@given(_changes)
def test_merged_changes_end_where_single_ones_end(drawn: list[Any]) -> None:
    before = {("task", each): {"kind": "task", "id": each, "version": 0, "w": 0} for each in "ab"}
    changes = []
    for version, (identifier, fields, unset, removed) in enumerate(drawn, start=1):
        if removed:
            changes.append(gone(identifier, version))
        else:
            # As from a service: what comes back after a removal carries all fields.
            kept = {key: value for key, value in fields.items() if key not in unset}
            changes.append(change(identifier, version, unset, w=version, **kept))
    single = apply_all(before, [{"type": "delta", "changes": [each]} for each in changes])
    assert apply_all(before, [{"type": "delta", "changes": merge_all(changes)}]) == single


def test_frames_link_up_for_a_follower_that_keeps_up_and_one_that_lags() -> None:
    a = room()
    a.publish([Entry(11, [change("a", 1, x=1)])])
    first = decoded(a.since(10, 10, None))
    a.publish([Entry(12, [change("a", 2, x=2)]), Entry(13, [change("b", 1)])])
    second = decoded(a.since(11, 11, None))
    late = decoded(a.since(10, 10, None))
    assert [(frame["prev"], frame["seq"]) for frame in first + second] == [(10, 11), (11, 13)]
    assert [(frame["prev"], frame["seq"]) for frame in late] == [(10, 13)]
    assert apply_all({}, late) == apply_all({}, first + second)


def test_followers_at_one_position_share_the_encoded_frames() -> None:
    a = room()
    a.publish([Entry(11, [change("a", 1)])])
    assert a.since(10, 10, None) is a.since(10, 10, None)


def test_an_event_comes_after_the_state_that_it_made() -> None:
    a = room()
    a.publish([Entry(11, [change("a", 1)], [notable("c", "one")]), Entry(12, [change("a", 2)])])
    frames = decoded(a.since(10, 10, None))
    assert [(frame["type"], frame["prev"], frame["seq"]) for frame in frames] == [
        ("delta", 10, 12),
        ("event", 12, 12),
    ]


def test_a_resuming_client_gets_the_events_of_its_own_seq_again() -> None:
    a = room()
    a.publish([Entry(11, [change("a", 1)], [notable("c", "one")])])
    frames = decoded(a.resume(11, None))
    assert [frame["type"] for frame in frames] == ["delta", "event"]
    assert frames[0]["changes"] == [] and frames[0]["prev"] == frames[0]["seq"] == 11


def test_a_client_from_the_future_does_not_resume() -> None:
    with pytest.raises(Outran):
        room().resume(11, None)


def test_the_ring_forgets_by_number_and_by_age() -> None:
    ticks = Ticks()
    a = room(entries=2, seconds=60.0, ticks=ticks)
    a.publish([Entry(seq, [change("a", seq)]) for seq in (11, 12, 13)])
    assert a.floor == 11 and len(decoded(a.since(11, 11, None))) == 1
    with pytest.raises(Outran):
        a.since(10, 10, None)
    ticks.now = 61.0
    a.publish([Entry(14, [change("a", 14)])])
    assert a.floor == 13


def test_a_follower_with_too_many_events_starts_again() -> None:
    a = room()
    a.publish([Entry(11 + n, (), [notable("c", str(n))]) for n in range(MAX_EVENTS + 1)])
    with pytest.raises(Outran):
        a.since(10, 10, None)


def test_a_loss_restarts_everybody_at_the_new_seq() -> None:
    a, follower = room(), Follower()
    a.consumers.add(follower)
    a.publish([Entry(11, [change("a", 1)], [notable("c", "one")])])
    a.reset(20, "gap")
    assert follower.notified == [True] and follower.restarted == ["gap"]
    assert a.seq == 20 and not decoded(a.since(20, 20, None))


def test_a_scope_sees_its_own_and_is_not_woken_by_a_gap() -> None:
    def view(each: Change, scope: Scope) -> Change | None:
        return each if scope is None or each["id"] in scope else None

    a, scope = room(view=view), frozenset({"mine"})
    a.publish([Entry(11, [change("theirs", 1)], [notable("theirs", "x")])])
    assert a.since(10, 10, scope) == ()
    a.publish([Entry(12, [change("theirs", 2), change("mine", 1)], [notable("mine", "y")])])
    frames = decoded(a.since(11, 10, scope))
    assert [frame["prev"] for frame in frames] == [10, 12]
    assert [each["id"] for each in frames[0]["changes"]] == ["mine"]
