"""Remember for a moment who a token belongs to, so that a busy page does not ask the database each time."""

import threading
from collections.abc import Callable

from devteam.access.model import Actor, CredentialKind
from devteam.kit.clock import monotonic

LIFE_SECONDS = 1.5
"""How long a revocation made by another process may go unnoticed; one made by this process counts at once."""
_MOST = 10_000


class ActorCache:
    """Actors by the hash of their token; safe from several threads."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._entries: dict[tuple[bytes, CredentialKind], tuple[float, Actor]] = {}
        self.generation = 0
        """Rises with every revocation: what was read before one must not be put after it."""

    def get(self, token_hash: bytes, kind: CredentialKind) -> Actor | None:
        """The actor, when it was looked up a moment ago."""
        entry = self._entries.get((token_hash, kind))
        return entry[1] if entry is not None and entry[0] > self._seconds() else None

    def put(self, token_hash: bytes, kind: CredentialKind, actor: Actor, *, generation: int) -> None:
        """Remember what was read while `generation` was current."""
        with self._lock:
            if generation != self.generation:
                return
            if len(self._entries) >= _MOST:
                self._entries.clear()
            self._entries[(token_hash, kind)] = (self._seconds() + LIFE_SECONDS, actor)

    def clear(self) -> None:
        """Something was revoked."""
        with self._lock:
            self.generation += 1
            self._entries.clear()
