"""What a client asks of a proxy: the head of its request, read and rewritten for the server behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from devteam.adapters.egress.target import Target, read_target

_FOR_PROXIES = frozenset(
    {
        b"connection",
        b"proxy-connection",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"keep-alive",
        b"te",
        b"upgrade",
    }
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class BadRequest(Exception):
    """It cannot be understood."""


@dataclass(frozen=True)
class Asked:
    """A tunnel, or with `head` a request to pass on; `body` bytes of it follow, None when nobody said how many."""

    target: Target
    head: bytes | None = None
    body: int | None = 0


def read_request(raw: bytes) -> Asked:
    """From the head with its empty line. Raises BadRequest."""
    lines = raw.removesuffix(b"\r\n\r\n").split(b"\r\n")
    try:
        method, address, version = lines[0].decode("ascii").split(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError(version)
        if method == "CONNECT":
            return Asked(read_target(address, None))
        parts = urlsplit(address)
        if parts.scheme != "http" or method not in _METHODS:
            raise ValueError(address)
        target = read_target(parts.netloc.rpartition("@")[2], 80)
    except (ValueError, UnicodeDecodeError) as exc:
        raise BadRequest("Ask for http://host/path, or CONNECT host:port.") from exc
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [line for line in lines[1:] if _name(line) not in _FOR_PROXIES | {b"host"}]
    host = parts.netloc.rpartition("@")[2]
    head = [f"{method} {path} HTTP/1.1".encode(), f"Host: {host}".encode(), *headers, b"Connection: close"]
    return Asked(target, b"\r\n".join(head) + b"\r\n\r\n", _body_length(headers))


def _body_length(headers: Sequence[bytes]) -> int | None:
    """Bytes of the body; None for one that tells its own end."""
    told = {_name(line): line.partition(b":")[2].strip() for line in headers}
    if b"transfer-encoding" in told:
        return None
    length = told.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 15:
        raise BadRequest("The length of the body cannot be read.")
    return int(length)


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()
