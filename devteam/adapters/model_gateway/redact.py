"""Keep this installation's own secrets out of what agents send to providers, and out of what comes back."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable

MASK = "[secret]"
_SHORTEST = 8
"""A shorter key would be found in innocent text."""
_TOKEN = re.compile(rb"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
"""The shape of the tokens by which people and programs sign in here; only their hashes are known."""

_ATTEMPT_KEY = re.compile(rb"dt-[A-Za-z0-9_-]{43}")
"""The shape of the keys that attempts get; see `ModelGateway.lease`."""


def redacted(body: bytes, secrets: Iterable[str], token_hashes: Collection[bytes] = ()) -> tuple[bytes, int]:
    """JSON in which known secrets are masked, and how many there were. Its structure stays as it was."""
    found = 0
    for secret in secrets:
        written = json.dumps(secret)[1:-1].encode()
        if len(written) >= _SHORTEST and written in body:
            found += body.count(written)
            body = body.replace(written, MASK.encode())
    if not token_hashes:
        return body, found

    def masked(match: re.Match[bytes]) -> bytes:
        nonlocal found
        if hashlib.sha256(match[0]).digest() not in token_hashes:
            return match[0]
        found += 1
        return MASK.encode()

    return _TOKEN.sub(masked, body), found


def hidden(text: str, secrets: Iterable[str], token_hashes: Collection[bytes] = ()) -> str:
    """Plain text without this installation's own secrets, the keys of attempts among them."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    masked, _ = redacted(_ATTEMPT_KEY.sub(MASK.encode(), text.encode()), (), token_hashes)
    return masked.decode()
