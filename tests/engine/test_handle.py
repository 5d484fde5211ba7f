"""The control over one run: threads that work, and threads that command them."""

import threading
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import pytest

from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Stop
from devteam.kit.errors import Fenced
from devteam.workflows.handle import RunHandle, Stopped


class Recorded:
    """Processes that note what they are told."""

    def __init__(self, *, obeys: bool = True, during_pause: Callable[[], None] = lambda: None) -> None:
        self.orders: list[str] = []
        self._obeys = obeys
        self._during_pause = during_pause

    def pause(self) -> None:
        self.orders.append("pause")
        self._during_pause()
        if not self._obeys:
            raise RuntimeError("not frozen")

    def resume(self) -> None:
        self.orders.append("resume")

    def terminate(self) -> None:
        self.orders.append("terminate")


def make_handle(*, paused: bool = False, earlier: tuple[RunHandle, ...] = ()) -> RunHandle:
    return RunHandle(RunRef(uuid4(), 1, uuid4()), watching=False, paused=paused, earlier=earlier)


def tell_and_wait(began: threading.Event, go: threading.Event) -> None:
    began.set()
    assert go.wait(5)


def in_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[Exception]]:
    errors: list[Exception] = []

    def body() -> None:
        try:
            act()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the test looks at it
            errors.append(exc)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread, errors


def test_a_pause_blocks_the_next_checkpoint_until_the_resume() -> None:
    handle = make_handle()
    assert handle.pause()
    thread, errors = in_thread(handle.checkpoint)
    thread.join(0.1)
    assert thread.is_alive()
    handle.resume()
    thread.join(5)
    assert not thread.is_alive() and errors == []


@pytest.mark.parametrize("end", ["stop", "fence"])
def test_a_stop_beats_a_pause(end: str) -> None:
    handle = make_handle(paused=True)
    thread, errors = in_thread(handle.checkpoint)
    if end == "stop":
        handle.stop(Stop.ABORT)
    else:
        handle.fence()
    thread.join(5)
    assert [type(error) for error in errors] == [Stopped if end == "stop" else Fenced]


def test_the_first_end_counts() -> None:
    handle = make_handle()
    handle.stop(Stop.CANCEL)
    handle.fence()
    with pytest.raises(Stopped) as stopped:
        handle.checkpoint()
    assert stopped.value.stop is Stop.CANCEL


def test_orders_reach_the_process_while_it_is_under_the_handle_only() -> None:
    handle, process = make_handle(), Recorded()
    with handle.controls(process):
        handle.pause()
        handle.pause()
        handle.resume()
        handle.resume()
    handle.pause()
    assert process.orders == ["pause", "pause", "resume"]


def test_a_process_that_comes_while_paused_is_paused_at_once() -> None:
    handle, process = make_handle(paused=True), Recorded()

    def work() -> None:
        with handle.controls(process):
            pass

    thread, errors = in_thread(work)
    thread.join(0.1)
    assert process.orders == ["pause"] and thread.is_alive()  # the checkpoint at its end waits
    handle.resume()
    thread.join(5)
    assert errors == []


def test_a_process_that_comes_after_the_end_is_terminated_at_once() -> None:
    handle, process = make_handle(), Recorded()
    handle.stop(Stop.ABORT)
    with pytest.raises(Stopped), handle.controls(process):
        pass
    assert process.orders == ["terminate"]


def test_a_process_that_cannot_be_frozen_as_it_comes_is_still_looked_after() -> None:
    handle, process, looked_after = make_handle(paused=True), Recorded(obeys=False), []

    def work() -> None:
        with handle.controls(process):
            looked_after.append(True)

    thread, errors = in_thread(work)
    handle.resume()
    thread.join(5)
    assert looked_after == [True] and errors == []


def test_a_pause_that_fails_is_told_to_the_one_who_wants_it() -> None:
    handle, process = make_handle(), Recorded(obeys=False)
    with handle.controls(process):
        with pytest.raises(RuntimeError, match="not frozen"):
            handle.pause()
        handle.resume()
    assert process.orders == ["pause", "resume"]


def test_the_last_wish_wins_when_a_resume_comes_during_a_pause() -> None:
    began, go = threading.Event(), threading.Event()
    process = Recorded(during_pause=partial(tell_and_wait, began, go))
    handle = make_handle()
    with handle.controls(process):
        pausing, _ = in_thread(handle.pause)
        assert began.wait(5)
        resuming, _ = in_thread(handle.resume)
        go.set()
        pausing.join(5)
        resuming.join(5)
    assert process.orders == ["pause", "resume"]


def test_a_stop_does_not_wait_for_a_pause_that_takes_its_time() -> None:
    began, go = threading.Event(), threading.Event()
    process = Recorded(during_pause=partial(tell_and_wait, began, go))
    handle = make_handle()

    def work() -> None:
        with handle.controls(process):
            pausing, _ = in_thread(handle.pause)
            assert began.wait(5)
            handle.stop(Stop.EMERGENCY)
            assert process.orders == ["pause", "terminate"]
            go.set()
            pausing.join(5)

    with pytest.raises(Stopped):
        work()


def test_a_pause_is_in_force_only_after_an_effect_that_is_under_way() -> None:
    handle = make_handle()
    with handle.effect():
        assert not handle.pause()
    assert handle.pause()
    thread, _ = in_thread(lambda: handle.effect().__enter__())
    thread.join(0.1)
    assert thread.is_alive()  # no effect begins while paused
    handle.resume()
    thread.join(5)
    assert not thread.is_alive()


def test_a_run_waits_for_the_threads_of_earlier_runs() -> None:
    earlier = make_handle()
    handle = make_handle(earlier=(earlier,))
    thread, errors = in_thread(handle.await_earlier)
    thread.join(0.1)
    assert thread.is_alive()
    earlier.finished()
    thread.join(5)
    assert not thread.is_alive() and errors == []


def test_a_stop_reaches_a_run_that_waits_for_earlier_ones() -> None:
    handle = make_handle(earlier=(make_handle(),))
    thread, errors = in_thread(handle.await_earlier)
    handle.stop(None)
    thread.join(5)
    assert [type(error) for error in errors] == [Stopped]


def test_commands_from_many_threads_never_leave_a_run_paused_that_was_resumed_last() -> None:
    handle, process = make_handle(), Recorded()
    with handle.controls(process):
        threads = [in_thread(handle.pause if n % 2 else handle.resume)[0] for n in range(40)]
        for thread in threads:
            thread.join(5)
        handle.resume()
    assert process.orders.count("pause") == 0 or process.orders[-1] == "resume"
