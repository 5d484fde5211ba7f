"""A WebSocket client that costs next to nothing, so that hundreds of them leave the machine to what is measured."""

import asyncio
import base64
import json
import os
import struct
import time
from collections.abc import Callable
from typing import Any

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class ThinSocket(asyncio.Protocol):
    """One connection: hands on every text message with the time of its arrival, and answers pings."""

    def __init__(self, port: int, token: str, on_text: Callable[[float, bytes], None]) -> None:
        self._request = (
            f"GET /ws/devteam/updates HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
        )
        self._on_text = on_text
        self._buffer = bytearray()
        self._message = b""
        self._open = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        """Take apart what came."""
        at = time.time()
        self._buffer += data
        if not self._open.done() and not self._take_answer():
            return
        while self._take_frame(at):
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for the upgrade learns that it never comes."""
        if not self._open.done():
            self._open.set_exception(exc or ConnectionError("closed"))

    async def opened(self) -> None:
        """Wait for the upgrade."""
        await self._open

    def send(self, message: Any) -> None:
        """Send JSON."""
        self._write(_TEXT, json.dumps(message).encode())

    def close(self) -> None:
        """End the connection."""
        assert self._transport is not None
        self._write(_CLOSE, b"\x03\xe8")
        self._transport.close()

    def _take_answer(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        status = bytes(self._buffer[: self._buffer.find(b"\r\n")])
        del self._buffer[: end + 4]
        if b" 101 " not in status + b" ":
            self._open.set_exception(ConnectionError(status.decode()))
            return False
        self._open.set_result(None)
        return True

    def _take_frame(self, at: float) -> bool:
        """One whole frame, when there is one; the server masks nothing."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        length, begin = buffer[1] & 127, 2
        if length == 126:
            begin = 4
            length = struct.unpack_from("!H", buffer, 2)[0] if len(buffer) >= begin else 0
        elif length == 127:
            begin = 10
            length = struct.unpack_from("!Q", buffer, 2)[0] if len(buffer) >= begin else 0
        if len(buffer) < begin + length:
            return False
        final, kind, payload = buffer[0] & 128, buffer[0] & 15, bytes(buffer[begin : begin + length])
        del buffer[: begin + length]
        if kind == _PING:
            self._write(_PONG, payload)
        elif kind in (0, _TEXT):
            self._message += payload
            if final:
                message, self._message = self._message, b""
                self._on_text(at, message)
        return True

    def _write(self, kind: int, payload: bytes) -> None:
        """A client must mask what it sends; a mask of zeros changes nothing."""
        assert self._transport is not None
        length = len(payload)
        head = bytes([128 | kind, 128 | length]) if length < 126 else struct.pack("!BBH", 128 | kind, 254, length)
        self._transport.write(head + b"\0\0\0\0" + payload)
