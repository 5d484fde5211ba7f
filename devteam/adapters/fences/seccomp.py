"""Filters of system calls for what namespaces or Landlock do not close: sockets of other kinds, and wide interfaces.

Sockets to the machine's host (vsock) know no network namespace, io_uring opens sockets past any filter of `socket`, and
key rings are shared by all processes of a user. Where there are no namespaces at all, datagrams, Unix sockets, shared
memory, and what one process may set for another of the same user are closed here too.
"""

import errno
import platform
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN, _AND = 0x20, 0x15, 0x35, 0x45, 0x06, 0x54
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_UNIX, _IPV4, _IPV6, _NETLINK = 1, 2, 10, 16
_OTHER_CALLING_CONVENTION: Final = 0x40000000  # x32, whose numbers would pass a table of x86-64
_STREAM, _TCP, _TYPE_BITS = 1, 6, 0xF
_FAST_OPEN: Final = 0x20000000  # a flag of sending that connects without the check that connecting meets
_NAMESPACES: Final = 0x7E020000  # all CLONE_NEW... flags

_Instruction = tuple[int, int, int, int]
_MISSING, _FAMILY, _PERMISSION = (_ERRNO | n for n in (errno.ENOSYS, errno.EAFNOSUPPORT, errno.EPERM))


class _Machine(NamedTuple):
    """The numbers of system calls, in the order of their names here."""

    audit: int
    socket: int
    socketpair: int
    sendto: int
    sendmsg: int
    sendmmsg: int
    clone: int
    wide: tuple[int, ...]  # perf_event_open, bpf, userfaultfd, add_key, request_key, keyctl, io_uring's three
    spaces: tuple[int, ...]  # unshare, setns
    lonely: tuple[int, ...]  # listen, shmget, semget, msgget, mq_open
    of_first: tuple[int, ...]  # prlimit64, sched_setaffinity, sched_setscheduler, sched_setparam, sched_setattr
    of_second: tuple[int, ...]  # setpriority, ioprio_set


_CLONE3: Final = 435
_MACHINES: Final = {
    "x86_64": _Machine(
        0xC000003E, 41, 53, 44, 46, 307, 56,
        (298, 321, 323, 248, 249, 250, 425, 426, 427), (272, 308), (50, 29, 64, 68, 240),
        (302, 203, 144, 142, 314), (141, 251),
    ),
    "aarch64": _Machine(
        0xC00000B7, 198, 199, 206, 211, 269, 220,
        (241, 280, 282, 217, 218, 219, 425, 426, 427), (97, 268), (201, 194, 190, 186, 180),
        (261, 122, 119, 118, 274), (140, 30),
    ),
}  # fmt: skip


def socket_filter() -> bytes | None:
    """What goes with namespaces, as the kernel reads it; None for a processor whose numbers are not known here."""
    machine = _MACHINES.get(platform.machine())
    return None if machine is None else _assembled(machine, _families(machine))


def contained_filter() -> bytes | None:
    """The same, and no further namespaces: not every container engine refuses them by itself."""
    machine = _MACHINES.get(platform.machine())
    return None if machine is None else _assembled(machine, [*_families(machine), *_namespaces(machine)])


def _families(machine: _Machine) -> list[_Instruction]:
    families = [*_argument(0), *_allow_if(_UNIX, _IPV4, _IPV6, _NETLINK), _return(_FAMILY)]
    return [*_when(machine.wide, [_return(_PERMISSION)]), *_when((machine.socket, machine.socketpair), families)]


def _namespaces(machine: _Machine) -> list[_Instruction]:
    return [
        *_when(machine.spaces, [_return(_PERMISSION)]),
        *_when((_CLONE3,), [_return(_MISSING)]),  # its flags lie in memory; libraries fall back to the older call
        *_when((machine.clone,), _refuse_bits(0, _NAMESPACES)),
    ]


def lonely_filter() -> bytes | None:
    """What goes with Landlock alone, where network, memory and processes are shared with everybody; None as above.

    What is left of the network is TCP, which Landlock rules; pairs of Unix sockets work, those with a name do not.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return None
    tcp_only = [
        *_argument(0),
        *_allow_if(_NETLINK),
        (_JUMP_EQUAL, 2, 0, _IPV4),
        (_JUMP_EQUAL, 1, 0, _IPV6),
        _return(_FAMILY),
        *_argument(1),
        (_AND, 0, 0, _TYPE_BITS),
        (_JUMP_EQUAL, 1, 0, _STREAM),
        _return(_PERMISSION),
        *_argument(2),
        *_allow_if(0, _TCP),
        _return(_PERMISSION),
    ]
    blocks = [
        *_when((*machine.wide, *machine.lonely), [_return(_PERMISSION)]),
        *_namespaces(machine),
        *_when((machine.socket,), tcp_only),
        *_when((machine.socketpair,), [*_argument(0), *_allow_if(_UNIX), _return(_FAMILY)]),
        *_when((machine.sendto, machine.sendmmsg), _refuse_bits(3, _FAST_OPEN)),
        *_when((machine.sendmsg,), _refuse_bits(2, _FAST_OPEN)),
        *_when(machine.of_first, [*_argument(0), *_allow_if(0), _return(_PERMISSION)]),
        *_when(machine.of_second, [*_argument(1), *_allow_if(0), _return(_PERMISSION)]),
    ]
    return _assembled(machine, blocks)


def _when(numbers: Sequence[int], then: Sequence[_Instruction]) -> list[_Instruction]:
    """For these calls do what follows, all of whose paths return."""
    return [step for number in numbers for step in ((_JUMP_EQUAL, 0, len(then), number), *then)]


def _argument(index: int) -> list[_Instruction]:
    """Load the lower half of an argument."""
    return [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)]


def _allow_if(*values: int) -> list[_Instruction]:
    return [step for value in values for step in ((_JUMP_EQUAL, 0, 1, value), _return(_ALLOW))]


def _refuse_bits(index: int, bits: int) -> list[_Instruction]:
    return [*_argument(index), (_JUMP_ANY_BIT, 0, 1, bits), _return(_PERMISSION), _return(_ALLOW)]


def _return(value: int) -> _Instruction:
    return (_RETURN, 0, 0, value)


def _assembled(machine: _Machine, blocks: Sequence[_Instruction]) -> bytes:
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, machine.audit),
        _return(_MISSING),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_GREATER_EQUAL, 0, 1, _OTHER_CALLING_CONVENTION),
        _return(_MISSING),
        *blocks,
        _return(_ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
