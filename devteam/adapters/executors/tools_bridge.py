"""Joins an agent's pipes to DevTeam's tools: run as `python -I -S tools_bridge.py ADDRESS`, standard library only.

The address is a port on 127.0.0.1, as a fence offers a forwarded socket, or the path of the socket itself. The token
comes in the variable DEVTEAM_TOOLS_TOKEN and is the first line that is sent.
"""

import contextlib
import os
import socket
import sys
import threading

CHUNK = 65536


def main(address: str) -> int:
    """Carry bytes both ways until either side ends."""
    token = os.environ.get("DEVTEAM_TOOLS_TOKEN", "")
    if address.isdigit():
        far = socket.create_connection(("127.0.0.1", int(address)))
    else:
        far = socket.socket(socket.AF_UNIX)
        far.connect(address)
    far.sendall(token.encode() + b"\n")
    threading.Thread(target=send, args=(far,), daemon=True).start()
    with contextlib.suppress(OSError):
        while data := far.recv(CHUNK):
            write(data)
    return 0


def send(far: socket.socket) -> None:
    """What the agent says; its end is passed on, and the answers still come."""
    with contextlib.suppress(OSError):
        while data := os.read(0, CHUNK):
            far.sendall(data)
        far.shutdown(socket.SHUT_WR)


def write(data: bytes) -> None:
    """All of it."""
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
