"""Secrets at rest: AES-256-GCM under a key file that only this user can read.

What a secret belongs to is authenticated with it, so that a sealed value moved to another row cannot be opened.
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from devteam.kit.errors import DevTeamError

_NONCE_BYTES = 12
_VERSION = b"\x01"


class SecretUnreadable(DevTeamError):
    """A sealed secret cannot be opened: the key file is another one, or the value was changed."""

    code = "secret_unreadable"


class SecretBox:
    """Seals and opens secrets of one data folder."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file

    def seal(self, secret: str, *, belongs_to: str) -> bytes:
        """The secret, sealed; `belongs_to` names table, row and column."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + AESGCM(self._key()).encrypt(nonce, secret.encode(), belongs_to.encode())

    def open(self, sealed: bytes, *, belongs_to: str) -> str:
        """The inverse of `seal`. Raises SecretUnreadable."""
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _VERSION:
                raise InvalidTag
            return AESGCM(self._key()).decrypt(nonce, text, belongs_to.encode()).decode()
        except InvalidTag as exc:
            raise SecretUnreadable(
                f"A stored secret cannot be opened with {self._key_file}: enter it again, or restore the key file."
            ) from exc

    def _key(self) -> bytes:
        """The key, made at first use; two processes that both try agree on the one that is there first."""
        try:
            return self._key_file.read_bytes()
        except FileNotFoundError:
            self._key_file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._key_file.with_name(f".{self._key_file.name}.{os.getpid()}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(AESGCM.generate_key(256))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, self._key_file)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
            return self._key_file.read_bytes()
