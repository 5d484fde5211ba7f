"""Identifiers: UUID version 7 (RFC 9562), so that sorting by id sorts by time of creation."""

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """A UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    rand_a, rand_b = random >> 68, random & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | ((rand_a & 0xFFF) << 64) | (0b10 << 62) | rand_b)


def short_id(identifier: UUID) -> str:
    """The last twelve hexadecimal digits: all random, short enough for a subject line or a file name."""
    return identifier.hex[-12:]
