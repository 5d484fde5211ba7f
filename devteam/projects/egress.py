"""Which hosts a project's agents and gates may reach: a list of names, read and asked without a network."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field

USUAL_PORTS = (80, 443)
"""What an entry without a port stands for."""
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True)
class EgressRule:
    """One entry: a host, or with `below` every host under it but not itself; `port` None means the usual ones."""

    host: str
    below: bool
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `host`, `*.host`, each with `:port` or without. Raises ValueError for anything else."""
        host, colon, port = text.strip().lower().rstrip(".").partition(":")
        if len(host) > 253 or not _HOST.fullmatch(host):
            raise ValueError(f"{text!r} is no host name; write host, *.host or host:port (other alphabets as xn--...)")
        if colon and (not port.isascii() or not port.isdecimal() or not 0 < int(port[:6]) < 65_536):
            raise ValueError(f"{text!r} names no port; write host or host:port")
        return cls(host.removeprefix("*."), host.startswith("*."), int(port) if colon else None)

    def allows(self, host: str, port: int) -> bool:
        """Whether this entry lets a connection through; `host` as `plain_host` gives it."""
        if port != self.port and (self.port is not None or port not in USUAL_PORTS):
            return False
        return host.endswith(f".{self.host}") if self.below else host == self.host

    def __str__(self) -> str:
        return f"{'*.' if self.below else ''}{self.host}{'' if self.port is None else f':{self.port}'}"


def plain_host(host: str) -> str:
    """A host's name as rules compare it."""
    return host.strip().lower().rstrip(".")


def is_allowed(rules: Iterable[EgressRule], host: str, port: int) -> bool:
    """Whether any entry lets a connection through."""
    name = plain_host(host)
    return any(rule.allows(name, port) for rule in rules)


def _plain_rules(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(str(EgressRule.parse(text)) for text in texts))


EgressAllow = Annotated[list[Annotated[str, Field(max_length=300)]], AfterValidator(_plain_rules)]
"""Entries in their plain form, each once."""
