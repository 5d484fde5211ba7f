"""Store an attempt's output as it comes, in chunks at character offsets."""

import threading
import time

from devteam.executions.lifecycle import Lifecycle, RunRef
from devteam.kit.db import UNAVAILABLE
from devteam.kit.log import get_logger

LIMIT = 20_000_000
"""Characters kept of one attempt's output; the rest is counted, not stored."""
DELAY = 0.1
"""Seconds that output waits for more, so that many small writes are one transaction."""
_CHUNK = 65_536
"""Characters that are stored at once without waiting; the writer waits for that."""

log = get_logger(__name__)


class OutputLog:
    """Appends to an attempt's stored output. Output is evidence, not state: a chunk that the database
    cannot take now is kept and written with the next one, and never stops the work.
    """

    def __init__(self, lifecycle: Lifecycle, ref: RunRef) -> None:
        self._lifecycle = lifecycle
        self._ref = ref
        self._offset: int | None = None
        self._pending = ""
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Append text as it came from a process."""
        with self._lock:
            room = LIMIT - (self._offset or 0) - len(self._pending)
            self._dropped += max(0, len(text) - room)
            self._pending += text[: max(0, room)]
            if len(self._pending) >= _CHUNK:
                self._flush()
                return
        _flusher.soon(self)

    def note(self, text: str) -> None:
        """A line of the engine's own, told apart by its mark."""
        self.write(f"\x1b[2m── {text}\x1b[0m\n")

    def flush(self) -> None:
        """Store what waits."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Store what waits, and say how much was left out, if anything."""
        with self._lock:
            if self._dropped:
                self._pending += f"\n── {self._dropped} characters of output were not kept.\n"
                self._dropped = 0
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        try:
            if self._offset is None:
                self._offset = self._lifecycle.output_length(self._ref.attempt_id)
            self._lifecycle.append_output(self._ref, self._offset, self._pending)
        except UNAVAILABLE:
            log.warning("output_waits_for_database", attempt=str(self._ref.attempt_id))
            return
        self._offset += len(self._pending)
        self._pending = ""


class _Flusher:
    """Stores what was written a moment ago: one thread for all logs of the process, begun when it is needed."""

    def __init__(self) -> None:
        self._due: set[OutputLog] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def soon(self, output: OutputLog) -> None:
        with self._changed:
            self._due.add(output)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="output", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due)
            time.sleep(DELAY)
            with self._changed:
                due, self._due = self._due, set()
            for output in due:
                try:
                    output.flush()
                except Exception:
                    log.exception("output_not_stored")


_flusher = _Flusher()
