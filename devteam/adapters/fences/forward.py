"""Offers Unix sockets on 127.0.0.1 inside a fence without a network, and runs the command beside that.

Run as `python -I -S forward.py [PORT=SOCKET ...] [filter=HEX] [await=stdin] -- COMMAND ...`, standard library only.
SOCKET is a path, or HOST:PORT where another machine relays; the filter of system calls is for the command; what is
awaited is a first line on standard input. The exit status is the command's own (128 and the number for a signal).
"""

import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys
import threading
import time

CHUNK = 65536
BACKLOG = 128


def main(arguments: list[str]) -> int:
    """Listen first, so that the command never meets a closed port; then start it and wait."""
    end = arguments.index("--")
    for pair in arguments[:end]:
        port, _, path = pair.partition("=")
        if port == "await":
            while os.read(0, 1) not in (b"\n", b""):
                pass
            continue
        if port == "filter":
            filter_calls(bytes.fromhex(path))
            continue
        listener = socket.create_server(("127.0.0.1", int(port)), backlog=BACKLOG)
        threading.Thread(target=serve, args=(listener, path), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it serves the command to its end
    command = arguments[end + 1 :]
    try:
        child = os.posix_spawnp(
            command[0], command, os.environ, setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE]
        )
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)  # the pipes end with the command
    code = os.waitstatus_to_exitcode(wait_for(child))
    return code if code >= 0 else 128 - code


def filter_calls(program: bytes) -> None:
    """For this thread and what it starts; those that serve go on without. Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    no_new_privileges, seccomp, by_filter = 38, 22, ctypes.c_ulong(2)
    if library.prctl(no_new_privileges, ctypes.c_ulong(1), 0, 0, 0) or library.prctl(seccomp, by_filter, filters, 0, 0):
        raise OSError(ctypes.get_errno(), "the filter of system calls was refused")


def wait_for(child: int) -> int:
    """Its status; as the first process of a container this one also buries those whose parents are gone."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == child:
            return status


def serve(listener: socket.socket, path: str) -> None:
    """Take connections for as long as the process lives."""
    while True:
        try:
            near, _ = listener.accept()
        except OSError:  # the caller went away, or descriptors are short for a moment
            time.sleep(0.05)
            continue
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            far = connect(path)
        except OSError:
            near.close()
            continue
        left = [2]
        lock = threading.Lock()
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=relay, args=(source, target, left, lock), daemon=True).start()


def connect(path: str) -> socket.socket:
    """To whoever serves there. Raises OSError."""
    if not path.startswith("/"):
        host, _, port = path.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=None)
    far = socket.socket(socket.AF_UNIX)
    try:
        far.connect(path)
    except OSError:
        far.close()
        raise
    return far


def relay(source: socket.socket, target: socket.socket, left: list[int], lock: threading.Lock) -> None:
    """Pass bytes on as they come; the one of a pair that ends last closes both sockets."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
    with lock:
        left[0] -= 1
        if left[0] == 0:
            source.close()
            target.close()


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(main(sys.argv[1:]))
