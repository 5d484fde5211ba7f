"""Unix sockets that outlive the process which made them."""

import contextlib
import errno
import socket
from collections.abc import Iterable
from pathlib import Path


def remove_dead_sockets(paths: Iterable[Path]) -> None:
    """Remove what killed processes left: sockets on which nobody listens."""
    for path in paths:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe, contextlib.suppress(OSError):
            if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()
