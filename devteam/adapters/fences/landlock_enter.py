"""Closes itself in with Landlock and a filter of system calls, and then becomes the command.

Run by file path as `python -I -S landlock_enter.py PLAN FILTER`, standard library only: two descriptors, of a JSON plan
{"read", "write", "files", "ports", "network", "env", "argv"} and of the filter's program. What the kernel's interface
(`linux/landlock.h`) does not know yet is left out, and a canary finds out what then does not hold.
"""

import ctypes
import json
import os
import stat
import struct
import sys
from typing import Any

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on all processors
WANT_VERSION = 1
PATH_BENEATH, NET_PORT = 1, 2
EXECUTE, WRITE_FILE, READ_FILE, READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHARACTER_DEVICE, MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
REFER, TRUNCATE, DEVICE_CONTROL = 1 << 13, 1 << 14, 1 << 15
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
ABSTRACT_UNIX_SOCKETS, SIGNALS = 1 << 0, 1 << 1
READ = EXECUTE | READ_FILE | READ_DIRECTORY
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL
OPEN_PATH = 0o10000000  # O_PATH

PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 22, 24, 38, 47
SECCOMP_MODE_FILTER, AMBIENT_CLEAR_ALL = 2, 4
CAPABILITY_VERSION = 0x20080522
MARKS = ("DEVTEAM_RUN", "DEVTEAM_COMMAND")

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Of Landlock's interface; 0 where the kernel has none, or has it switched off."""
    return max(0, int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), WANT_VERSION)))


def handled(known: int) -> tuple[int, int, int]:
    """All rights on files, on the network, and scopes, as far as that version knows them."""
    files = (1 << 13) - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, DEVICE_CONTROL)):
        files |= right if known >= since else 0
    return files, BIND_TCP | CONNECT_TCP if known >= 4 else 0, ABSTRACT_UNIX_SOCKETS | SIGNALS if known >= 6 else 0


def ruleset_bytes(known: int, *, network: bool) -> bytes:
    """The ruleset's attributes, of the size which that version knows."""
    files, ports, scopes = handled(known)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    return struct.pack("=QQQ", files, ports if network else 0, scopes)[:size]


def make_ruleset(plan: dict[str, Any], known: int) -> int:
    """A descriptor of the rules."""
    attributes = ruleset_bytes(known, network=plan["network"] == "none")
    ruleset = _checked(
        _libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0), "landlock_create_ruleset"
    )
    files, ports, _ = handled(known)
    write = files & ~(MAKE_CHARACTER_DEVICE | MAKE_BLOCK_DEVICE | DEVICE_CONTROL)
    for paths, rights in ((plan["read"], READ), (plan["write"], write), (plan["files"], READ_FILE | WRITE_FILE)):
        for path in paths:
            _allow_path(ruleset, path, rights & files)
    if ports and plan["network"] == "none":
        for port in plan["ports"]:
            rule = struct.pack("=QQ", CONNECT_TCP, port)
            _checked(_libc.syscall(ADD_RULE, ruleset, NET_PORT, rule, 0), "landlock_add_rule")
    return ruleset


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, OPEN_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # what cannot be opened need not be opened to the command
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= OF_FILES
    rule = struct.pack("=Qi", rights, descriptor)
    _checked(_libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0), "landlock_add_rule")
    os.close(descriptor)


def give_up_privileges() -> None:
    """No capability, now or after any further program; what is root's stays root's by its mode alone."""
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    for capability in range(last + 1):
        _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)  # refused where there is none to give up
    _libc.prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, nothing = struct.pack("=Ii", CAPABILITY_VERSION, 0), bytes(24)
    _checked(_libc.capset(header, nothing), "capset")
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def filter_calls(program: bytes) -> None:
    """From here on the kernel asks the program about each system call."""
    code = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    _checked(_libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), filters, 0, 0), "seccomp")


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


def main(plan_input: int, filter_input: int) -> None:
    """Never returns, unless something is refused."""
    plan, program = json.loads(_read_all(plan_input)), _read_all(filter_input)
    known = version()
    ruleset = make_ruleset(plan, known) if known else -1
    give_up_privileges()
    if known:
        _checked(_libc.syscall(RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
        os.close(ruleset)
    if program:
        filter_calls(program)
    marks = {name: os.environ[name] for name in MARKS if name in os.environ}
    command: list[str] = plan["argv"]
    try:
        os.execvpe(command[0], command, {**plan["env"], **marks})
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
