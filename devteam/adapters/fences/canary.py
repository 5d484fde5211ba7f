"""Tries from inside a fence what must not work there, and tells what did.

Run as `python -I -S -c SOURCE JSON`, standard library only; the answer is one JSON object on standard
output. Every attempt is harmless where it succeeds.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time
from typing import Any

CLONE_NEWUSER = 0x10000000
PTRACE_SEIZE = 0x4206
MEGABYTE = 2**20


def reads(path: str) -> bool:
    """Whether the file's content can be had."""
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def writes(path: str) -> bool:
    """Whether a file can be written there."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write("written")
    except OSError:
        return False
    return True


def opens_for_writing(path: str) -> bool:
    """Whether it would let itself be written; nothing is."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    except OSError:
        return False
    return True


def connects(address: tuple[str, int]) -> bool:
    """Whether somebody answers."""
    try:
        socket.create_connection(address, timeout=0.3).close()
    except OSError:
        return False
    return True


def connects_in_passing(address: tuple[str, int]) -> bool:
    """Whether sending connects where connecting is refused: TCP's fast open."""
    with socket.socket() as attempt:
        attempt.settimeout(0.3)
        try:
            attempt.sendto(b"x", socket.MSG_FASTOPEN, address)
        except OSError:
            return False
    return True


def sends(address: tuple[str, int]) -> bool:
    """Whether a datagram leaves."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
            attempt.sendto(b"x", address)
    except OSError:
        return False
    return True


def meets(path: str) -> bool:
    """Whether somebody answers at a Unix socket; a path that begins with @ is an abstract name."""
    try:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.settimeout(0.3)
            attempt.connect("\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        return False
    return True


def reaches(pid: int) -> bool:
    """Whether that process could be signalled, traced or held to other limits; none of it is done."""
    try:
        os.kill(pid, 0)
    except OSError:
        pass
    else:
        return True
    library = ctypes.CDLL(None, use_errno=True)
    if library.prlimit(pid, resource.RLIMIT_CORE, None, ctypes.create_string_buffer(16)) == 0:
        return True
    return bool(library.ptrace(PTRACE_SEIZE, pid, None, None) == 0)


def in_child(action: Any) -> int:
    """How a child that does this ends: its exit code, or minus a signal."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except MemoryError:
            os._exit(3)
        except OSError:
            os._exit(2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def make_user_namespace() -> None:
    """Raises OSError where the kernel refuses."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def shares_memory() -> bool:
    """Whether memory can be had that any process of this user may open."""
    library = ctypes.CDLL(None, use_errno=True)
    made = library.shmget(0, 4096, 0o1600)  # IPC_PRIVATE, IPC_CREAT
    if made >= 0:
        library.shmctl(made, 0, None)  # IPC_RMID
    return bool(made >= 0)


def throttled() -> int:
    """How often the control group that is visible inside had to wait for its next share of the processor."""
    for path in ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"):
        try:
            with open(path, encoding="ascii") as file:
                return int(dict(line.split() for line in file)["nr_throttled"])
        except (OSError, KeyError, ValueError):
            continue
    return 0


def most_processes(limit: int) -> int:
    """How many children can be had at once, `limit` at most."""
    children: list[int] = []
    try:
        while len(children) < limit:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError:
        pass  # this is the answer
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return len(children)


def use_processor(seconds: float) -> None:
    """Until this much time of a core is used up, or ten times as long has passed."""
    until, deadline = time.process_time() + seconds, time.monotonic() + 10 * seconds
    while time.process_time() < until and time.monotonic() < deadline:
        pass


def status_fields() -> dict[str, str]:
    """What the kernel says about this process."""
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def look(wanted: dict[str, Any]) -> dict[str, Any]:
    """All attempts, one after the other."""
    status = status_fields()
    capabilities = [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")]
    use_processor(wanted["processorSeconds"])
    return {
        "readsOutside": [path for path in wanted["secrets"] if reads(path)],
        "writesOutside": [path for path in wanted["readOnly"] if writes(path)],
        "changesKernel": [path for path in wanted["kernel"] if opens_for_writing(path)],
        "wroteBeside": writes(wanted["outside"]),  # may be a folder of the fence's own: whoever sent us looks outside
        "writesInside": writes(wanted["inside"]),
        "connects": [address for address in wanted["addresses"] if connects((address[0], address[1]))],
        "connectsInPassing": [address for address in wanted["addresses"] if connects_in_passing(tuple(address))],
        "sends": sends(tuple(wanted["datagrams"])),
        "meets": [path for path in wanted["unixSockets"] if meets(path)],
        "reaches": [pid for pid in wanted["outsiders"] if reaches(pid)],
        "sharesMemory": shares_memory(),
        "processes": sum(name.isdigit() for name in os.listdir("/proc")),
        "capabilities": any(capabilities),
        "newPrivileges": status.get("NoNewPrivs") != "1",
        "userNamespace": in_child(make_user_namespace) == 0,
        "environment": sorted(os.environ),
        "throttled": throttled(),
        "memoryEnd": in_child(lambda: bytearray(wanted["memoryMegabytes"] * MEGABYTE)),
        "mostProcesses": most_processes(wanted["processes"]),
    }


if __name__ == "__main__":
    print(json.dumps(look(json.loads(sys.argv[1]))))
