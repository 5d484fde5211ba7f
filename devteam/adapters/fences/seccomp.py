"""A filter of system calls for what namespaces do not close: sockets of other kinds, and wide kernel interfaces.

Sockets to the machine's host (vsock) know no network namespace, io_uring opens sockets past any filter of `socket`, and
key rings are shared by all processes of a user.
"""

import errno
import platform
import struct
from typing import Final, NamedTuple

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_FAMILIES: Final = (1, 2, 10, 16)  # Unix, IPv4, IPv6, netlink
_OTHER_CALLING_CONVENTION: Final = 0x40000000  # x32, whose numbers would pass a table of x86-64


class _Machine(NamedTuple):
    audit: int
    sockets: tuple[int, ...]
    refused: tuple[int, ...]


# socket, socketpair | perf_event_open, bpf, userfaultfd, add_key, request_key, keyctl, io_uring setup, enter, register
_MACHINES: Final = {
    "x86_64": _Machine(0xC000003E, (41, 53), (298, 321, 323, 248, 249, 250, 425, 426, 427)),
    "aarch64": _Machine(0xC00000B7, (198, 199), (241, 280, 282, 217, 218, 219, 425, 426, 427)),
}


def socket_filter() -> bytes | None:
    """The program as the kernel reads it; None for a processor whose numbers are not known here."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return None
    missing, family, permission = (_ERRNO | n for n in (errno.ENOSYS, errno.EAFNOSUPPORT, errno.EPERM))
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, missing),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_GREATER_EQUAL, 0, 1, _OTHER_CALLING_CONVENTION),
        (_RETURN, 0, 0, missing),
    ]
    for number in machine.refused:
        program += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, permission)]
    for position, number in enumerate(machine.sockets):
        to_check = len(machine.sockets) - position
        program.append((_JUMP_EQUAL, to_check, 0, number))
    program.append((_RETURN, 0, 0, _ALLOW))
    program.append((_LOAD, 0, 0, _FIRST_ARGUMENT_AT))
    for allowed in _FAMILIES:
        program += [(_JUMP_EQUAL, 0, 1, allowed), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, family))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
