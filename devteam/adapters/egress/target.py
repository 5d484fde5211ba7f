"""Where a request wants to go, and whether it may: by name first, then by the address that the name stands for.

A name that is not on the list is never looked up, for a look-up already carries a message outside. A name that is on
it is looked up once, and the connection goes to the address that was judged, so that it cannot be turned over between.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from devteam.adapters.http_probe import Reach, why_refused
from devteam.projects.egress import EgressRule, is_allowed, plain_host

LOOK_UP_SECONDS = 10.0

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name."""

HOST_REFUSED = "host_refused"
PRIVATE_REFUSED = "private_address_refused"
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})


@dataclass(frozen=True)
class Target:
    """A host, in small letters, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class NotAllowed(Exception):
    """The connection must not be made. `code` is the incident's, `text` a sentence for whoever asked."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Unreachable(Exception):
    """It is allowed, but nobody is there."""


def read_target(authority: str, usual_port: int | None) -> Target:
    """From `host:port`, or `host` where there is a usual port. Raises ValueError."""
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        port = rest.removeprefix(":")
        well_formed = bool(bracket) and (not rest or rest.startswith(":"))
    else:
        host, colon, port = authority.partition(":")
        well_formed = bool(port) or not colon
    if port and (not port.isascii() or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65_536):
        well_formed = False
    plain = plain_host(host)
    if not well_formed or not plain or not plain.isascii() or len(plain) > 253 or not plain.isprintable():
        raise ValueError(f"no host and port: {authority[:300]!r}")
    if not port and usual_port is None:
        raise ValueError("a port is missing")
    return Target(plain, int(port) if port else usual_port or 0)


async def addresses_of(target: Target, rules: Sequence[EgressRule], reach: Reach, resolve: Resolve) -> list[str]:
    """The addresses that a connection may go to, in order. Raises NotAllowed or Unreachable."""
    if _is_own(target.host):
        raise NotAllowed(PRIVATE_REFUSED, f"{target} is this machine, or where clouds keep credentials.")
    literal = _literal(target.host)
    allowed = is_allowed(rules, target.host, target.port)
    if literal is not None:
        why = why_refused(literal, reach if allowed else Reach.PUBLIC)
        if why is not None:
            raise NotAllowed(PRIVATE_REFUSED, f"{target} may not be asked: it is no public address.")
    if not allowed:
        raise NotAllowed(HOST_REFUSED, f"{target} is not among the hosts that this project allows.")
    if literal is not None:
        return [literal]
    found = await _look_up(target, resolve)
    # Only who names this machine's loopback by its address means it; a name may be anybody's.
    good = [address for address in found if why_refused(address, reach) is None and not _is_loopback(address)]
    if not good:
        raise _nothing_good(target, found)
    return good


def _nothing_good(target: Target, found: Sequence[str]) -> NotAllowed:
    """An allowed name that stands for something inside: an attack, unless it is a registry on the premises."""
    if any(_is_loopback(address) or why_refused(address, Reach.PRIVATE) for address in found):
        return NotAllowed(PRIVATE_REFUSED, f"{target} stands for an address that nobody may ask from here.")
    return NotAllowed(
        HOST_REFUSED, f"{target} has a private address; the operator allows those with DEVTEAM_EGRESS=private."
    )


async def _look_up(target: Target, resolve: Resolve) -> list[str]:
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            found = await resolve(target.host, target.port)
    except (OSError, UnicodeError, TimeoutError) as exc:
        raise Unreachable(f"The name {target.host} could not be looked up.") from exc
    if not found:
        raise Unreachable(f"The name {target.host} has no address.")
    return found


async def system_resolve(host: str, port: int) -> list[str]:
    """As this machine looks names up."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_loopback(address: str) -> bool:
    plain = ipaddress.ip_address(address.partition("%")[0])
    mapped = plain.ipv4_mapped if isinstance(plain, ipaddress.IPv6Address) else None
    return (mapped or plain).is_loopback


def _is_own(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or host in _METADATA_NAMES


def _literal(host: str) -> str | None:
    """The address that is meant when the host is one, however it is written: 127.1 and 0x7f000001 are as well."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if host and host[0].isdigit() and all(part.startswith("0x") or part.isdigit() for part in host.split(".") if part):
        try:
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return None
    return None
