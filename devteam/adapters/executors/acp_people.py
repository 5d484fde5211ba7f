"""Questions of an agent to a person, in the middle of its turn: the agent waits, its clock stands still."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol

from devteam.executions.ports import Answer, Asker, Controllable, Held, Job, Question
from devteam.kit.errors import DevTeamError
from devteam.kit.log import get_logger

KIND = "agent_permission"

log = get_logger(__name__)


class Clock(Protocol):
    """What counts an agent's time."""

    def hold_clock(self) -> None:
        """Time stands still from now on."""
        ...

    def release_clock(self) -> None:
        """Time goes on."""
        ...


class Withdrawn(Exception):
    """Whoever asked does not wait for the answer any more."""


class People:
    """Puts an agent's questions, on the loop of its conversation. Each waits on a thread of its own."""

    def __init__(self, asker: Asker, job: Job, held: Held) -> None:
        self._asker = asker
        self._job = job
        self._held = held
        self._clock: Clock | None = None
        self._open: set[threading.Event] = set()
        self._still = False

    def stops(self, clock: Clock) -> None:
        """From now on this clock stands still while somebody is asked."""
        self._clock = clock

    def asked(self) -> bool:
        """Whether the agent waits for a person, here or by its tools; its clock stands still then."""
        still = bool(self._open) or self._asker.waits(self._job)
        if self._clock is not None and still != self._still:
            self._still = still
            (self._clock.hold_clock if still else self._clock.release_clock)()
        return still

    async def ask(self, question: Question) -> Answer | None:
        """The answer; None when the question was withdrawn, or the run ends."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer | None] = loop.create_future()
        withdrawn = threading.Event()

        def wait() -> None:
            answer = self._put(question, withdrawn)
            with suppress(RuntimeError):  # the conversation is over
                loop.call_soon_threadsafe(lambda: None if answered.done() else answered.set_result(answer))

        with self._standing_still(withdrawn):
            threading.Thread(target=wait, name="ask-a-person", daemon=True).start()
            return await answered

    def withdraw(self) -> None:
        """Nobody waits any more. What was asked can still be answered, for when it is asked again."""
        for withdrawn in self._open:
            withdrawn.set()

    def _put(self, question: Question, withdrawn: threading.Event) -> Answer | None:
        try:
            return self._asker.ask(self._job, question, _Waiting(self._held, withdrawn))
        except Withdrawn:
            return None
        except DevTeamError as ended:
            log.info("question_ended", attempt=str(self._job.ref.attempt_id), reason=ended.code)
            return None
        except Exception:
            log.exception("question_failed", attempt=str(self._job.ref.attempt_id))
            return None

    @contextmanager
    def _standing_still(self, withdrawn: threading.Event) -> Iterator[None]:
        self._open.add(withdrawn)
        self.asked()
        try:
            yield
        finally:
            withdrawn.set()
            self._open.discard(withdrawn)
            self.asked()


class _Waiting:
    """The control over the run, for a thread that may also be told that its question was withdrawn."""

    def __init__(self, held: Held, withdrawn: threading.Event) -> None:
        self._held = held
        self._withdrawn = withdrawn

    def controls(self, process: Controllable) -> AbstractContextManager[None]:
        """As the run has it."""
        return self._held.controls(process)

    def checkpoint(self) -> None:
        """Raises Withdrawn, and what the run's own raises."""
        if self._withdrawn.is_set():
            raise Withdrawn
        self._held.checkpoint()


def permission_question(paths: Sequence[str], call: Mapping[str, Any]) -> Question:
    """Whether the agent may change protected files; the same files of one attempt are asked about once."""
    named = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return Question(
        kind=KIND,
        title=f"May the agent change {named}?",
        detail="\n".join(_details(paths, call)),
        fingerprint=hashlib.sha256(json.dumps(sorted(paths)).encode()).hexdigest(),
        data={"paths": list(paths), "toolCall": dict(call)},
    )


def _details(paths: Sequence[str], call: Mapping[str, Any]) -> Iterator[str]:
    yield f"The project protects {'this file' if len(paths) == 1 else 'these files'}: {', '.join(paths)}."
    title = call.get("title")
    if isinstance(title, str) and title.strip():
        yield f"The agent wants to: {title.strip()[:500]}"
    content = call.get("content")
    for item in content if isinstance(content, list) else []:
        if isinstance(item, Mapping) and item.get("type") == "diff":
            yield f"\n{item.get('path', '')} would hold:\n{str(item.get('newText', ''))[:6_000]}"
