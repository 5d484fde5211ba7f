"""Store an attempt's output as it comes, in chunks at character offsets."""

import threading

from devteam.executions.lifecycle import Lifecycle, RunRef
from devteam.kit.db import UNAVAILABLE
from devteam.kit.log import get_logger

LIMIT = 20_000_000
"""Characters kept of one attempt's output; the rest is counted, not stored."""

log = get_logger(__name__)


class OutputLog:
    """Appends to an attempt's stored output. Output is evidence, not state: a chunk that the database
    cannot take now is kept and written with the next one, and never stops the work.
    """

    def __init__(self, lifecycle: Lifecycle, ref: RunRef) -> None:
        self._lifecycle = lifecycle
        self._ref = ref
        self._offset = lifecycle.output_length(ref.attempt_id)
        self._pending = ""
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Append text as it came from a process."""
        with self._lock:
            room = LIMIT - self._offset - len(self._pending)
            self._dropped += max(0, len(text) - room)
            self._pending += text[: max(0, room)]
            self._flush()

    def note(self, text: str) -> None:
        """A line of the engine's own, told apart by its mark."""
        self.write(f"\x1b[2m── {text}\x1b[0m\n")

    def close(self) -> None:
        """Say how much was left out, if anything."""
        with self._lock:
            if self._dropped:
                self._pending += f"\n── {self._dropped} characters of output were not kept.\n"
                self._dropped = 0
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        try:
            self._lifecycle.append_output(self._ref, self._offset, self._pending)
        except UNAVAILABLE:
            log.warning("output_waits_for_database", attempt=str(self._ref.attempt_id))
            return
        self._offset += len(self._pending)
        self._pending = ""
