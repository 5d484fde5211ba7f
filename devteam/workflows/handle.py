"""The control over one run on this worker: pause, resume and stop reach its processes from other threads."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Stop
from devteam.executions.ports import Controllable
from devteam.kit.errors import DevTeamError, Fenced
from devteam.kit.log import get_logger
from devteam.workflows.output import OutputLog

log = get_logger(__name__)

_LOOK_INTERVAL = 0.2


class Stopped(DevTeamError):
    """The run must end because a person stopped it, or because the worker is going away (`stop` is None)."""

    code = "stopped"

    def __init__(self, stop: Stop | None) -> None:
        super().__init__("The run was stopped.")
        self.stop = stop


class RunHandle:
    """One run. The workflow's thread puts processes under it and asks at checkpoints; others command it.

    `earlier` are runs of the same attempt whose threads may still be alive on this worker.
    """

    def __init__(
        self, ref: RunRef, *, watching: bool, paused: bool = False, earlier: Sequence["RunHandle"] = ()
    ) -> None:
        self.ref = ref
        self.watching = watching
        self.done = threading.Event()
        self.done_at = 0.0
        self.output: OutputLog | None = None
        self._earlier = earlier
        self._changed = threading.Condition()
        self._orders = threading.Lock()
        self._process: Controllable | None = None
        self._told_to_pause = False
        self._paused = paused
        self._atomic = False
        self._ending: Stopped | Fenced | None = None

    def finished(self) -> None:
        """The run's workflow has ended, with or without an answer."""
        self.done_at = time.monotonic()
        self.done.set()

    @property
    def paused(self) -> bool:
        """Whether a pause is wanted."""
        return self._paused

    def await_earlier(self) -> None:
        """Wait until the threads of earlier runs are gone: two must never work in one workspace."""
        for run in self._earlier:
            while not run.done.wait(_LOOK_INTERVAL):
                self.checkpoint()
        self._earlier = ()

    @contextmanager
    def controls(self, process: Controllable) -> Iterator[None]:
        """While the block lasts, commands reach the process."""
        with self._orders, self._changed:
            self._process, self._told_to_pause = process, False
        try:
            self._steer_from_within()
            yield
        finally:
            with self._changed:
                self._process = None
        self.checkpoint()

    @contextmanager
    def effect(self) -> Iterator[None]:
        """Around an effect outside that must not be called paused while it happens."""
        with self._changed:
            self._await_go()
            self._atomic = True
        try:
            yield
        finally:
            with self._changed:
                self._atomic = False

    def checkpoint(self) -> None:
        """Wait while paused. Raises Stopped or Fenced when the run must end."""
        with self._changed:
            self._await_go()

    def pause(self) -> bool:
        """Hold the run; True once nothing of it can go on: its processes are frozen, or its next step waits.

        False while an effect outside is under way: it is let to its end first, so ask again. Never waits for it.
        """
        with self._changed:
            self._paused = True
            if self._atomic:
                return False
        self._steer()
        return True

    def resume(self) -> None:
        """Let the run go on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()
        self._steer()

    def stop(self, stop: Stop | None) -> None:
        """End the run: its processes are terminated, its next checkpoint raises Stopped."""
        self._end(Stopped(stop))

    def fence(self) -> None:
        """End the run because another one holds the attempt."""
        self._end(Fenced("Another run holds this attempt."))

    def _await_go(self) -> None:
        self._changed.wait_for(lambda: self._ending is not None or not self._paused)
        if self._ending is not None:
            raise self._ending

    def _end(self, ending: Stopped | Fenced) -> None:
        with self._changed:
            if self._ending is None:
                self._ending = ending
            process = self._process
            self._changed.notify_all()
        if process is not None:
            process.terminate()  # not queued behind a pause that takes its time

    def _steer(self) -> None:
        """Tell the process the newest wish. Orders are given one at a time and each looks at the state when its
        turn comes, so that the last wish always wins.
        """
        with self._orders:
            with self._changed:
                process, ending, paused = self._process, self._ending, self._paused
            if process is None:
                return
            if ending is not None:
                process.terminate()
            elif paused:
                self._told_to_pause = True
                process.pause()
            elif self._told_to_pause:
                process.resume()
                self._told_to_pause = False

    def _steer_from_within(self) -> None:
        """The same for the thread that must go on to look after the process, whatever it answers."""
        try:
            self._steer()
        except RuntimeError as exc:
            log.error("not_frozen", attempt=str(self.ref.attempt_id), error=str(exc))
