"""The conversation of one round with an agent: turns, guidance in the middle, and every way in which it can fail."""

import asyncio
import io
import os
import threading
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from acp import PROTOCOL_VERSION, RequestError, text_block
from acp.client.connection import ClientSideConnection
from acp.schema import (
    AcpMcpServer,
    AgentCapabilities,
    ClientCapabilities,
    FileSystemCapabilities,
    HttpMcpServer,
    Implementation,
    McpServerStdio,
    SseMcpServer,
)

from devteam.adapters.executors.acp_client import ASK_LIMIT, AgentClient
from devteam.adapters.executors.acp_people import People
from devteam.adapters.executors.acp_pipe import MESSAGE_LIMIT, AgentPipe
from devteam.adapters.executors.policy import Policy
from devteam.adapters.executors.profiles import AgentProfile
from devteam.executions.session import Assignment, Session

T = TypeVar("T")
McpServers = list[HttpMcpServer | SseMcpServer | AcpMcpServer | McpServerStdio]

_LOOK_SECONDS = 0.5
_STEER_SECONDS = 5.0
_SEND_SECONDS = 2.0
_NEEDS_LOGIN = -32000

_FAILED_STOPS = {
    "refusal": ("agent_refused", "refused to go on"),
    "max_tokens": ("model_output_limit", "ran into its model's output limit"),
    "max_turn_requests": ("agent_turns_used", "used up its turns"),
    "cancelled": ("agent_cancelled", "took its turn for cancelled"),
}
_REASONS = {
    "not_configured": "it was not told of a model",
    "unauthorized": "the provider did not accept the key",
    "payment_required": "there is no credit or budget left",
    "forbidden": "the key may not use the model",
    "rate_limited": "the provider's rate limit is reached",
    "unavailable": "the provider cannot be reached or fails",
    "context_too_long": "the conversation became longer than the model takes",
    "bad_request": "the provider refused the call as malformed",
    "bad_answer": "the model's answers could not be understood",
}


@dataclass(frozen=True)
class Patience:
    """Seconds that an agent has: to answer at the start, to end its turn for guidance, to end it for a stop."""

    start: float = 60.0
    cancel: float = 5.0
    stop: float = 0.5


@dataclass(frozen=True)
class Failure:
    """Why a round failed: the stable code of the reason, and a sentence."""

    code: str
    text: str


class RoundOver(Exception):
    """The round cannot go on: the reason's code, and what is said after the agent's name."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Talk:
    """`hold` talks, on the thread that calls it; `freeze`, `thaw` and `stop` may be called from any other."""

    def __init__(
        self,
        profile: AgentProfile,
        assignment: Assignment,
        session: Session,
        policy: Policy,
        people: People,
        workspace: Path,
        patience: Patience,
        tools: McpServers,
    ) -> None:
        self.said = ""
        self.opened = False
        self.gone = False
        """The agent went away without having been asked to; how, its process tells."""
        self.other_version: str | None = None
        """What is to be said of an agent whose version was not tried."""
        self._profile = profile
        self._assignment = assignment
        self._session = session
        self._workspace = workspace
        self._patience = patience
        self._tools = tools
        self._client = AgentClient(workspace, session, policy, people)
        self._people = people
        self._last_sign = time.monotonic()
        self._frozen = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._stop_asked = False
        self._steers = False

    # --- from other threads ---

    def freeze(self) -> None:
        """The agent cannot answer from now on."""
        self._frozen = True

    def thaw(self) -> None:
        """It can again; its silence until now was not its own."""
        self._last_sign = time.monotonic()
        self._frozen = False

    def stop(self) -> None:
        """Ask the agent to end its turn; returns at once."""
        with self._lock:
            self._stop_asked = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stopped.set)

    # --- the conversation ---

    async def hold(self, stdin: io.FileIO, stdout: io.FileIO) -> Failure | None:
        """Talk until the agent's turn ends; why it failed, or None."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
            if self._stop_asked:
                self._stopped.set()
        pipe, reading = await self._open_pipe(stdin, stdout)
        connection = ClientSideConnection(self._client, pipe)  # type: ignore[arg-type]  # the protocol's other callbacks are not offered
        title = self._profile.title
        try:
            await self._converse(connection)
            return None
        except RoundOver as over:
            return Failure(over.code, f"{title} {over}.")
        except RequestError as error:
            return self._explain(error)
        except ConnectionError:
            self.gone = pipe.broken is None
            if pipe.broken is not None:
                return Failure("agent_protocol", f"{title} {pipe.broken}.")
            return Failure("agent_ended", f"{title} ended in the middle of its work.")
        except ValueError as error:
            return Failure("agent_protocol", f"{title} broke the protocol: {str(error).splitlines()[0][:300]}")
        finally:
            with self._lock:
                self._loop = None
            self._people.withdraw()
            self._client.flush()
            self.said = self._client.said
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), 2)
            reading.close()
            await asyncio.sleep(0)  # in which both pipes are let go of

    async def _open_pipe(self, stdin: io.FileIO, stdout: io.FileIO) -> tuple[AgentPipe, asyncio.ReadTransport]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=MESSAGE_LIMIT)
        reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), _copy(stdout, "rb"))
        writing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, _copy(stdin, "wb"))
        writer = asyncio.StreamWriter(writing, protocol, reader, loop)
        return AgentPipe(reader, writer, on_sign=self._sign, on_noise=self._session.output), reading

    def _sign(self) -> None:
        self._last_sign = time.monotonic()

    async def _converse(self, connection: ClientSideConnection) -> None:
        opened = await self._at_start(
            connection.initialize(
                protocol_version=PROTOCOL_VERSION,
                client_capabilities=ClientCapabilities(
                    fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=False
                ),
                client_info=Implementation(name="devteam", title="DevTeam", version="1"),
            )
        )
        self.opened = True
        if opened.protocol_version != PROTOCOL_VERSION:
            raise RoundOver("agent_protocol", f"speaks version {opened.protocol_version} of the protocol only")
        self._mind_version(opened.agent_info)
        capabilities = opened.agent_capabilities
        self._steers = _steers(capabilities)
        session_id = await self._open(connection, loads=bool(capabilities and capabilities.load_session))
        self._session.began(session_id)
        if self._profile.mode is not None:
            with suppress(RequestError):  # an agent without modes asks for each act, which the policy answers
                await self._at_start(connection.set_session_mode(session_id=session_id, mode_id=self._profile.mode))
        await self._work(connection, session_id)

    def _mind_version(self, told: Implementation | None) -> None:
        """Say it when the agent is another than was tried: it may work, and if it does not, this may be why."""
        tried = self._profile.version
        if tried is not None and told is not None and told.version != tried:
            other = f"{self._profile.title} is version {told.version[:50]}; {tried} is the one that was tried."
            self.other_version = other
            self._session.entry("note", {"text": other})

    async def _open(self, connection: ClientSideConnection, *, loads: bool) -> str:
        """The session of the round before where the agent can load it, else a new one."""
        earlier, cwd = self._assignment.session_id, str(self._workspace)
        if earlier is not None and loads and self._profile.loads_sessions:
            self._client.replaying = True
            try:
                await self._at_start(connection.load_session(cwd=cwd, session_id=earlier, mcp_servers=self._tools))
                return earlier
            except RequestError:
                self._session.entry("note", {"text": "The earlier session could not be loaded; a new one began."})
            finally:
                await asyncio.sleep(0)  # what came before the answer is heard before it
                self._client.replaying = False
        opened = await self._at_start(connection.new_session(cwd=cwd, mcp_servers=self._tools))
        return opened.session_id

    async def _work(self, connection: ClientSideConnection, session_id: str) -> None:
        """Turns until the agent ends one by itself; guidance that it could not take within one begins another."""
        words = self._assignment.prompt
        while True:
            self._client.turn()
            self._sign()
            turn = asyncio.ensure_future(connection.prompt(session_id=session_id, prompt=[text_block(words)]))
            try:
                guidance = await self._watch(turn, connection, session_id)
            finally:
                _drop(turn)
            try:
                stop = turn.result().stop_reason
            except RequestError:
                if not guidance:
                    raise
                stop = "cancelled"
            guidance += [*self._client.remarks(), *self._session.guidance()]
            if not guidance:
                if stop in _FAILED_STOPS:
                    raise RoundOver(*_FAILED_STOPS[stop])
                return
            words = _guiding(guidance)
            self._session.entry("steer", {"text": words})

    async def _watch(self, turn: "asyncio.Future[Any]", connection: ClientSideConnection, session_id: str) -> list[str]:
        """Until the turn has ended; guidance that is still to be given then. Raises RoundOver."""
        waiting: list[str] = []
        while not await self._ended(turn, _LOOK_SECONDS):
            if self._stopped.is_set():
                await self._cancel(connection, session_id)
                await asyncio.wait({turn}, timeout=self._patience.stop)
                raise RoundOver("agent_stopped", "was stopped")
            if self._client.asks_without_end.is_set():
                await self._cancel(connection, session_id)
                raise RoundOver("agent_asks_without_end", f"asked for more than {ASK_LIMIT} permissions")
            silence = self._assignment.silence_limit
            if self._people.asked():
                self._sign()  # it waits for a person, not the other way round
            if not self._frozen and time.monotonic() - self._last_sign > silence:
                raise RoundOver("agent_silent", f"gave no sign of life for {silence:.0f} s")
            new = [] if self._frozen else [*self._client.remarks(), *self._session.guidance()]
            if new and not (self._steers and await self._steer(connection, session_id, new)):
                waiting += new
                await self._cancel(connection, session_id)
                if not await self._ended(turn, self._patience.cancel):
                    text = f"{self._profile.title} does not end its turn when asked; it hears the guidance after it."
                    self._session.entry("note", {"text": text})
        return waiting

    async def _steer(self, connection: ClientSideConnection, session_id: str, guidance: list[str]) -> bool:
        """Hand guidance over within the turn; False when the agent does not take it."""
        words = _guiding(guidance)
        params = {"sessionId": session_id, "text": words}
        try:
            answer = await self._within(connection.ext_method("devteam/steer", params), _STEER_SECONDS)
        except (RequestError, TimeoutError):
            return False
        if answer.get("accepted") is not True:
            return False
        self._session.entry("steer", {"text": words})
        return True

    async def _cancel(self, connection: ClientSideConnection, session_id: str) -> None:
        self._people.withdraw()  # the protocol wants what is asked answered as cancelled
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(connection.cancel(session_id=session_id), _SEND_SECONDS)

    # --- waiting, in which frozen time does not count ---

    async def _at_start(self, answer: Awaitable[T]) -> T:
        try:
            return await self._within(answer, self._patience.start)
        except TimeoutError:
            raise RoundOver("agent_silent", f"did not answer within {self._patience.start:g} s") from None

    async def _within(self, answer: Awaitable[T], seconds: float) -> T:
        """Raises TimeoutError, or RoundOver when the round is stopped meanwhile."""
        task = asyncio.ensure_future(answer)
        try:
            if await self._ended(task, seconds):
                return task.result()
        finally:
            _drop(task)
        if self._stopped.is_set():
            raise RoundOver("agent_stopped", "was stopped")
        raise TimeoutError

    async def _ended(self, task: "asyncio.Future[Any]", seconds: float) -> bool:
        """Whether it ended in that time; looked at early when the round is stopped or the agent asks without end."""
        events = [self._stopped, self._client.asks_without_end]
        alarms = [asyncio.ensure_future(event.wait()) for event in events if not event.is_set()]
        try:
            while not task.done() and seconds > 0 and len(alarms) == len(events):
                began = time.monotonic()
                await asyncio.wait(
                    {task, *alarms}, timeout=min(seconds, _LOOK_SECONDS), return_when=asyncio.FIRST_COMPLETED
                )
                seconds -= 0.0 if self._frozen and seconds > _LOOK_SECONDS else time.monotonic() - began
                if any(event.is_set() for event in events):
                    break
        finally:
            for alarm in alarms:
                alarm.cancel()
        return task.done()

    def _explain(self, error: RequestError) -> Failure:
        """The reason; the agent's own words go into the session."""
        title, data = self._profile.title, error.data if isinstance(error.data, dict) else {}
        detail = str(error).strip() or "no reason given"
        reason = _REASONS.get(str(data.get("reason")))
        if reason is not None:
            self._session.entry("note", {"text": detail[:2000], **{k: data[k] for k in _TOLD if k in data}})
            status = f" (status {data['status']})" if isinstance(data.get("status"), int) else ""
            reset = data.get("resetAt")
            again = f" It can be asked again at {reset[:40]}." if isinstance(reset, str) else ""
            return Failure(f"model_{data['reason']}", f"{title} could not go on: {reason}{status}.{again}")
        if error.code == _NEEDS_LOGIN:
            words = f"{title} asks for a login of its own: {detail.splitlines()[0][:300]}"
            return Failure("agent_needs_login", words)
        extra = f" ({data['details']})" if isinstance(data.get("details"), str) else ""
        return Failure("agent_error", f"{title} answered with an error: {f'{detail}{extra}'.splitlines()[0][:300]}")


_TOLD = ("reason", "status", "resetAt")


def _guiding(guidance: list[str]) -> str:
    return "The project manager adds:\n\n" + "\n\n".join(guidance)


def _steers(capabilities: AgentCapabilities | None) -> bool:
    meta: Mapping[str, Any] = capabilities.field_meta if capabilities and capabilities.field_meta else {}
    own = meta.get("devteam")
    return isinstance(own, Mapping) and own.get("steer") is True


def _drop(task: "asyncio.Future[Any]") -> None:
    """Nobody waits for it any more, nor minds how it failed."""
    task.cancel()
    if task.done() and not task.cancelled():
        task.exception()


def _copy(stream: io.FileIO, mode: str) -> Any:
    """The event loop closes what it is given; the command's own pipe stays ours to close."""
    return os.fdopen(os.dup(stream.fileno()), mode, buffering=0)
