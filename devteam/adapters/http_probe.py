"""Asks the servers that gates name, and no other: the engine stands where an agent's fence does not reach.

Every address that a name stands for is judged before one is connected to, and that very address is connected to, so
that a name cannot be turned over in between. No redirect is followed, no proxy of the environment is used.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from devteam.executions.ports import Held, HttpAnswer
from devteam.projects.gates import HttpGate

BODY_BYTES: Final = 2_000_000
"""How much of an answer is searched."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA: Final = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")
)
_SHARED: Final = ipaddress.ip_network("100.64.0.0/10")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Reach(StrEnum):
    """Which servers the operator lets gates ask."""

    OFF = "off"
    PUBLIC = "public"
    PRIVATE = "private"


class GuardedHttpProbe:
    """The engine's eyes on servers. `resolve` answers the addresses of a name."""

    def __init__(self, reach: Reach, resolve: Callable[[str, int], list[str]] | None = None) -> None:
        self._reach = reach
        self._resolve = resolve or _addresses

    def get(self, gate: HttpGate, held: Held) -> HttpAnswer:
        """One GET within the gate's time; a stop ends it."""
        began = time.monotonic()
        connection = _Connection(gate.timeout_seconds)
        try:
            address, host, port = self._choose(gate.url)
            with held.controls(connection):
                status, contains, error = connection.ask(gate, address, host, port)
        except _Refused as exc:
            return HttpAnswer(None, None, time.monotonic() - began, str(exc))
        return HttpAnswer(status, contains, time.monotonic() - began, error)

    def _choose(self, url: str) -> tuple[str, str, int]:
        if self._reach is Reach.OFF:
            raise _Refused("The operator has switched gates of type http off.")
        parts = urlsplit(url)
        assert parts.hostname is not None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            addresses = self._resolve(parts.hostname, port)
        except (OSError, UnicodeError) as exc:
            raise _Refused(f"The name {parts.hostname} could not be looked up.") from exc
        if not addresses:
            raise _Refused(f"The name {parts.hostname} has no address.")
        for address in addresses:
            why = why_refused(address, self._reach)
            if why is not None:
                raise _Refused(f"{parts.hostname} is not asked: {why}")
        return addresses[0], parts.hostname, port


class _Refused(Exception):
    """Why there is no answer."""


class _Connection:
    """One request that another thread can end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()

    def pause(self) -> None:
        """A request that is under way is let to its end."""

    def resume(self) -> None:
        """See `pause`."""

    def terminate(self) -> None:
        """Break the request off; also at the end of its time, however slowly a server trickles."""
        with self._lock:
            self._over.set()
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def ask(self, gate: HttpGate, address: str, host: str, port: int) -> tuple[int | None, bool | None, str | None]:
        """Status, whether the text was found, and why there is no answer."""
        timer = threading.Timer(self._seconds, self.terminate)
        timer.daemon = True
        timer.start()
        try:
            return self._talk(gate, address, host, port)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            if self._over.is_set():
                return None, None, f"{gate.url} did not answer within {self._seconds:g} s."
            return None, None, f"{gate.url} could not be asked: {_words(exc)}."
        finally:
            timer.cancel()
            with self._lock:
                found, self._socket = self._socket, None
            if found is not None:
                found.close()

    def _talk(self, gate: HttpGate, address: str, host: str, port: int) -> tuple[int, bool | None, str | None]:
        parts = urlsplit(gate.url)
        plain = socket.create_connection((address, port), timeout=self._seconds)
        self._hold(plain)
        if parts.scheme == "https":
            self._hold(ssl.create_default_context().wrap_socket(plain, server_hostname=host))
        connection = http.client.HTTPConnection(host, port, timeout=self._seconds)
        connection.sock = self._socket
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Host": parts.netloc, "User-Agent": "DevTeam", "Accept": "*/*"})
        answer = connection.getresponse()
        if gate.contains is None:
            return answer.status, None, None
        body = answer.read(BODY_BYTES)
        found = gate.contains in body.decode("utf-8", "replace")
        cut = not found and len(body) == BODY_BYTES
        return answer.status, found, f"The first {BODY_BYTES} bytes do not contain the text." if cut else None

    def _hold(self, made: socket.socket) -> None:
        with self._lock:
            self._socket = made
            if self._over.is_set():
                made.close()
                raise OSError("ended")


def why_refused(text: str, reach: Reach) -> str | None:
    """Why an address may not be asked; None when it may."""
    address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    if address in _METADATA or address.is_link_local:
        return f"{text} is link-local, where clouds keep their machines' credentials."
    if address.is_multicast or address.is_unspecified:
        return f"{text} is no single server."
    if address.is_loopback or address.is_private or address in _SHARED:
        private = f"{text} is a private address; DEVTEAM_HTTP_GATES=private allows those."
        return None if reach is Reach.PRIVATE else private
    if address.is_reserved or not address.is_global:
        return f"{text} is a reserved address."
    return None


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address only wraps."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if wrapped is None and address in _NAT64:
        wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if wrapped is None and int(address) >> 32 == 0 and int(address) > 1:
        wrapped = ipaddress.IPv4Address(int(address))
    return wrapped or address


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
