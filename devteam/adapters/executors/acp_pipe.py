"""The pipes to an agent: one message a line, with bounds on what an agent can send."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

MESSAGE_LIMIT = 32 * 1024 * 1024
"""Bytes of one message."""
NOISE_LINES = 1000
NOISE_BYTES = 10_000_000
"""What may come on the protocol's pipe without being of the protocol: banners, warnings, debugging output."""
_SHOWN_BYTES = 2000

_UPDATES = frozenset(
    {
        "user_message_chunk", "agent_message_chunk", "agent_thought_chunk", "tool_call", "tool_call_update", "plan",
        "available_commands_update", "current_mode_update", "config_option_update", "session_info_update",
        "usage_update",
    }
)  # fmt: skip


class AgentPipe:
    """Carries messages. When `receive` has met the end, `broken` tells whether the agent brought it about by what it
    sent. `on_sign` hears that it sent something at all, `on_noise` what was no message.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        on_sign: Callable[[], None],
        on_noise: Callable[[str], None],
    ) -> None:
        self.broken: str | None = None
        self._reader = reader
        self._writer = writer
        self._on_sign = on_sign
        self._on_noise = on_noise
        self._noise_lines = 0
        self._noise_bytes = 0

    async def send(self, message: dict[str, Any]) -> None:
        """Hand a message to the agent. Raises ConnectionError when it is gone."""
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        await self._writer.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        while self.broken is None:
            # What came before is dealt with before more is taken in, however much lies ready.
            await asyncio.sleep(0)
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                self._noise(end.partial)
                return None
            except asyncio.LimitOverrunError:
                self.broken = f"sent a message of more than {MESSAGE_LIMIT // 2**20} MB"
                return None
            message = _message(line)
            if message is None:
                self._noise(line)
                continue
            self._on_sign()
            if not _is_unknown_update(message):
                return message
        return None

    async def close(self) -> None:
        """Say that nothing more comes; what an agent has not read by now it need not."""
        if not self._writer.is_closing():
            self._writer.transport.abort()

    def _noise(self, line: bytes) -> None:
        if not line.strip():
            return
        self._noise_lines += 1
        self._noise_bytes += len(line)
        self._on_noise(line[:_SHOWN_BYTES].decode(errors="replace").replace("\0", "\ufffd").rstrip("\n") + "\n")
        if self._noise_lines > NOISE_LINES or self._noise_bytes > NOISE_BYTES:
            self.broken = "keeps writing what is not of the protocol"


def _message(line: bytes) -> dict[str, Any] | None:
    """A message as JSON-RPC has them; anything else might trip who deals with it."""
    try:
        message = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("id"), str | int | None):
        return None
    if not isinstance(message.get("method"), str | None) or not isinstance(message.get("params"), dict | list | None):
        return None
    return message if "method" in message or "id" in message else None


def _is_unknown_update(message: dict[str, Any]) -> bool:
    """What later versions of the protocol tell is a sign of life only."""
    if message.get("method") != "session/update":
        return False
    params = message.get("params")
    update = params.get("update") if isinstance(params, dict) else None
    return not isinstance(update, dict) or update.get("sessionUpdate") not in _UPDATES


def _no_number(text: str) -> None:
    """NaN and the infinities are no JSON, and no database takes them for it."""
    raise ValueError(text)
