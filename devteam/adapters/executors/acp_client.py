"""Our side of an agent's session: we hear what it does, answer its questions, and serve files, confined."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from acp import RequestError
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    PermissionOption,
    ReadTextFileResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
    WriteTextFileResponse,
)

from devteam.adapters.executors.acp_entry import TEXT_LIMIT, plain, shortened, sound
from devteam.adapters.executors.acp_files import OutsideWorkspace, inside, read_inside, write_inside
from devteam.adapters.executors.acp_people import People, permission_question
from devteam.adapters.executors.policy import Policy, Ruling, Verdict
from devteam.executions.session import EntryKind, Session

FILE_LIMIT = 10_000_000
SAID_LIMIT = 200_000
ASK_LIMIT = 500
"""Permissions that an agent may ask for in one round."""

_KINDS: Mapping[str, EntryKind] = {
    "agent_message_chunk": "message",
    "agent_thought_chunk": "thought",
    "plan": "plan",
    "tool_call": "tool_call",
    "tool_call_update": "tool_update",
    "usage_update": "usage",
}


@dataclass(frozen=True)
class _Decision:
    """What became of a question: `by` is a person's name, `policy`, or `expired` when nobody answered."""

    allowed: bool
    by: str
    reason: str | None


class AgentClient:
    """The client that the agent talks to. Files are reached inside the workspace only, whatever path it names:
    some agents write through their client, which stands outside the fence.
    """

    def __init__(self, workspace: Path, session: Session, policy: Policy, people: People) -> None:
        self._workspace = workspace.resolve()
        self._session = session
        self._policy = policy
        self._people = people
        self._remarks: list[str] = []
        self._said: list[str] = []
        self._pending: tuple[EntryKind, list[str]] | None = None
        self._asked = 0
        self._pending_size = 0
        self.replaying = False
        self.asks_without_end = asyncio.Event()

    @property
    def said(self) -> str:
        """The agent's words in this turn, the last ones when they are many."""
        return "".join(self._said)[-SAID_LIMIT:]

    def turn(self) -> None:
        """A new turn begins."""
        self.flush()
        self._said.clear()

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        """Something happened in the session. What a loaded session replays was recorded before."""
        kind = _KINDS.get(getattr(update, "session_update", ""))
        if kind is None or self.replaying:
            return
        if kind in ("message", "thought"):
            self._text(kind, getattr(update.content, "text", None) or "")
            return
        self.flush()
        self._session.entry(kind, shortened(plain(update)))

    def _text(self, kind: EntryKind, text: str) -> None:
        """Chunks of one message become one entry."""
        text = sound(text)
        if kind == "message":
            self._said.append(text)
            if len(self._said) > 1000:
                self._said = [self.said]
        if self._pending is None or self._pending[0] != kind:
            self.flush()
            self._pending, self._pending_size = (kind, []), 0
        assert self._pending is not None
        if self._pending_size < TEXT_LIMIT:
            self._pending[1].append(text)
            self._pending_size += len(text)

    def flush(self) -> None:
        """Record the message that was being said."""
        if self._pending is not None:
            kind, parts = self._pending
            self._pending = None
            text = "".join(parts)
            if text.strip():
                self._session.entry(kind, {"text": shortened(text)})

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        """Answer by policy or by a person, and record question and answer. Options are chosen by kind: ids differ by
        agent.
        """
        self.flush()
        self._asked += 1
        if self._asked > ASK_LIMIT:
            self.asks_without_end.set()
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        call = plain(tool_call)
        decision = await self._decide(self._policy.rule(call, self._workspace), shortened(call))
        if decision is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        wanted = ("allow_once", "allow_always") if decision.allowed else ("reject_once", "reject_always")
        chosen = next((option for kind in wanted for option in options if option.kind == kind), None)
        self._record(shortened(call), replace(decision, allowed=decision.allowed and chosen is not None))
        if chosen is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=chosen.option_id))

    async def _decide(self, ruling: Ruling, call: Mapping[str, Any]) -> "_Decision | None":
        """Yes or no, and who said so; None when the question is not to be answered any more."""
        if ruling.verdict is not Verdict.ASK:
            return _Decision(ruling.verdict is Verdict.ALLOW, "policy", ruling.reason)
        question = permission_question(ruling.paths, call)
        self._session.entry("note", {"text": f"A person is asked: {question.title}"})
        answer = await self._people.ask(question)
        if answer is None:
            return None
        if answer.text and not answer.expired:
            self._remarks.append(f"{question.title} {'Yes' if answer.approved else 'No'}: {answer.text}")
        return _Decision(answer.approved, "expired" if answer.expired else answer.by or "a person", answer.text)

    def _record(self, call: Mapping[str, Any], decision: "_Decision") -> None:
        data: dict[str, Any] = {"toolCall": call, "allowed": decision.allowed, "by": decision.by}
        if decision.reason is not None:
            data["reason"] = decision.reason
        self._session.entry("permission", data)

    def remarks(self) -> list[str]:
        """What people said with their answers since the last call: the protocol has no place for it."""
        taken, self._remarks = self._remarks, []
        return taken

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_: Any
    ) -> ReadTextFileResponse:
        """A file of the workspace."""
        parts = self._inside(path)
        try:
            text = read_inside(self._workspace, parts, FILE_LIMIT).decode("utf-8", errors="replace")
        except OSError as exc:
            raise RequestError.invalid_params({"reason": f"{path}: {exc.strerror}"}) from exc
        if line is not None or limit is not None:
            first = max(0, (line or 1) - 1)
            lines = text.splitlines(keepends=True)
            text = "".join(lines[first : None if limit is None else first + limit])
        return ReadTextFileResponse(content=text)

    async def write_text_file(self, session_id: str, path: str, content: str, **_: Any) -> WriteTextFileResponse:
        """Write a file of the workspace."""
        parts = self._inside(path)
        if len(content) > FILE_LIMIT:
            raise RequestError.invalid_params({"reason": f"{path}: the content is too large"})
        await self._check_write(parts, content)
        try:
            write_inside(self._workspace, parts, content.encode("utf-8", errors="surrogatepass"))
        except OSError as exc:
            raise RequestError.invalid_params({"reason": f"{path}: {exc.strerror}"}) from exc
        return WriteTextFileResponse()

    async def _check_write(self, parts: Sequence[str], content: str) -> None:
        """Raises RequestError when the file is protected and no person allows the change."""
        name = "/".join(parts)
        ruling = self._policy.rule_write([name])
        if ruling.verdict is Verdict.ALLOW:
            return
        self.flush()
        call = {
            "kind": "edit",
            "title": f"Write {name}",
            "content": [{"type": "diff", "path": name, "newText": content}],
        }
        decision = await self._decide(ruling, shortened(call))
        if decision is None:
            raise RequestError.invalid_params({"reason": f"{name}: nobody waits for this any more"})
        self._record(shortened(call), decision)
        if not decision.allowed:
            raise RequestError.invalid_params({"reason": f"{name} is protected, and {decision.by} did not allow it"})

    def _inside(self, path: str) -> tuple[str, ...]:
        """Raises RequestError, and records it, when the path lies outside the workspace or in git's own folders."""
        try:
            return inside(self._workspace, path)
        except (OutsideWorkspace, ValueError) as exc:
            self._session.entry("note", {"text": f"Refused: {path[:500]} is outside the workspace.", "refused": True})
            raise RequestError.invalid_params({"reason": f"{path}: outside the workspace"}) from exc

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Agents' own extensions are not known here."""
        raise RequestError.method_not_found(method)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        """Ignored, as the protocol says."""

    def on_connect(self, conn: Any) -> None:
        """Nothing to do."""
