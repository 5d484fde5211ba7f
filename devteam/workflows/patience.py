"""Wait for the database when it is away: finished work is not given up for that."""

import time
from collections.abc import Callable
from typing import TypeVar

from devteam.kit.db import UNAVAILABLE
from devteam.kit.log import get_logger

R = TypeVar("R")

PATIENCE = 300.0
"""Seconds that something finished waits to be recorded."""

log = get_logger(__name__)


def patiently(act: Callable[[], R]) -> R:
    """Do something in the database, again and again while it is away; `act` may already have been committed."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except UNAVAILABLE:
            if time.monotonic() > deadline:
                raise
            log.warning("waiting_for_database")
            time.sleep(0.5)
