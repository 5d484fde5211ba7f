"""The control over one run on this worker: pause, resume and stop reach its processes from other threads."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from devteam.executions.lifecycle import RunRef
from devteam.executions.model import Stop
from devteam.executions.ports import Controllable
from devteam.kit.errors import DevTeamError, Fenced


class Stopped(DevTeamError):
    """The run must end because a person stopped it, or because the worker is going away (`stop` is None)."""

    code = "stopped"

    def __init__(self, stop: Stop | None) -> None:
        super().__init__("The run was stopped.")
        self.stop = stop


class RunHandle:
    """One run. The workflow's thread puts processes under it and asks at checkpoints; others command it."""

    def __init__(self, ref: RunRef, *, watching: bool, paused: bool = False) -> None:
        self.ref = ref
        self.watching = watching
        self.done = threading.Event()
        self.done_at = 0.0
        self._changed = threading.Condition()
        self._process: Controllable | None = None
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

    @contextmanager
    def controls(self, process: Controllable) -> Iterator[None]:
        """While the block lasts, commands reach the process."""
        with self._changed:
            self._process = process
            ending, paused = self._ending, self._paused
        try:
            if ending is not None:
                process.terminate()
            elif paused:
                process.pause()
            yield
        finally:
            with self._changed:
                self._process = None
        self.checkpoint()

    @contextmanager
    def effect(self) -> Iterator[None]:
        """Around an effect outside that must not be called paused while it happens."""
        self.checkpoint()
        with self._changed:
            self._atomic = True
        try:
            yield
        finally:
            with self._changed:
                self._atomic = False
                self._changed.notify_all()

    def checkpoint(self) -> None:
        """Wait while paused. Raises Stopped or Fenced when the run must end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending is not None or not self._paused)
            if self._ending is not None:
                raise self._ending

    def pause(self, *, timeout: float = 60.0) -> bool:
        """Hold the run; True once nothing of it can go on: its processes are frozen, or its next step waits.

        An effect outside that is under way is let to its end first.
        """
        with self._changed:
            self._paused = True
            held = self._changed.wait_for(lambda: not self._atomic, timeout)
            process = self._process
        if process is not None:
            process.pause()
        return held

    def resume(self) -> None:
        """Let the run go on."""
        with self._changed:
            self._paused = False
            process = self._process
            self._changed.notify_all()
        if process is not None:
            process.resume()

    def stop(self, stop: Stop | None) -> None:
        """End the run: its processes are terminated, its next checkpoint raises Stopped."""
        self._end(Stopped(stop))

    def fence(self) -> None:
        """End the run because another one holds the attempt."""
        self._end(Fenced("Another run holds this attempt."))

    def _end(self, ending: Stopped | Fenced) -> None:
        with self._changed:
            if self._ending is None:
                self._ending = ending
            process = self._process
            self._changed.notify_all()
        if process is not None:
            process.terminate()
