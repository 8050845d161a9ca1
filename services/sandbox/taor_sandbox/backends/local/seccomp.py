"""The system calls that a sandbox may not make, as a classic BPF program (see seccomp(2)).

`socket()` is held to four families, because AF_VSOCK and others leave the network namespace. New namespaces are
refused, because in the variant that root starts nothing else refuses them. The agent, process 1, has the user of the
commands: only here can its limits and its share of the processor be kept from them. Contexts of asynchronous input and
output (`io_setup`) come out of one small stock of the whole machine. The rest is kernel surface that no build needs.
"""

import errno
import platform
import struct
from dataclasses import dataclass

from taor_sandbox.backends.errors import BackendUnavailable

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
_AGENT_PID = 1
_PRIO_USER, _IOPRIO_WHO_USER = 2, 3
_X32_BIT = 0x40000000
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET,TIME}


@dataclass(frozen=True, slots=True)
class _Machine:
    """System call numbers of one architecture, from the kernel's tables."""

    audit: int
    socket: int
    clone: int
    io_setup: int
    setpriority: int
    ioprio_set: int
    of_a_process: tuple[int, ...]
    """Change the process that their first argument names: prlimit64, sched_set{param,scheduler,affinity,attr}."""
    refused: tuple[int, ...]


_CLONE3 = 435
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        socket=41,
        clone=56,
        io_setup=206,
        setpriority=141,
        ioprio_set=251,
        of_a_process=(302, 142, 144, 203, 314),
        refused=(
            *(272, 308, 165, 166, 155),  # unshare setns mount umount2 pivot_root
            *(321, 323, 298, 248, 249, 250),  # bpf userfaultfd perf_event_open add_key request_key keyctl
            *(246, 320, 175, 313, 176),  # kexec_load kexec_file_load init_module finit_module delete_module
            *(304, 179, 167, 103, 163),  # open_by_handle_at quotactl swapon syslog acct
            *(425, 426, 427, 428, 429, 430, 431, 432, 433, 442),  # io_uring_*, open_tree … fspick, mount_setattr
        ),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        socket=198,
        clone=220,
        io_setup=0,
        setpriority=140,
        ioprio_set=30,
        of_a_process=(261, 118, 119, 122, 274),
        refused=(
            *(97, 268, 40, 39, 41),
            *(280, 282, 241, 217, 218, 219),
            *(104, 294, 105, 273, 106),
            *(265, 60, 224, 116, 89),
            *(425, 426, 427, 428, 429, 430, 431, 432, 433, 442),
        ),
    ),
}


def program(machine: str | None = None) -> bytes:
    """The filter for this machine, in the form that bubblewrap's --seccomp reads."""
    name = machine or platform.machine()
    if name not in _MACHINES:
        raise BackendUnavailable(f"the local sandbox knows the system calls of x86_64 and aarch64, not of {name}")
    return b"".join(_assemble(_MACHINES[name]))


def _assemble(machine: _Machine) -> list[bytes]:
    denied, missing, wrong_family = (_ERROR | code for code in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT))
    return [
        _step(_LOAD, _ARCHITECTURE),
        *_unless_equal(machine.audit, missing),
        _step(_LOAD, _NUMBER),
        *_when(_AT_LEAST, _X32_BIT, missing),
        *(step for number in machine.refused for step in _when(_EQUAL, number, denied)),
        # The flags of clone3 stand in memory, where no filter can read them: without it, libc falls back to clone.
        *_when(_EQUAL, _CLONE3, missing),
        *_when(_EQUAL, machine.io_setup, missing),  # databases then do without it
        *_checked(machine.clone, [*_when(_ANY_BIT, _NEW_NAMESPACES, denied)]),
        *(step for each in machine.of_a_process for step in _checked(each, _when(_EQUAL, _AGENT_PID, denied))),
        *_checked(machine.setpriority, _spares_the_agent(_PRIO_USER, denied)),
        *_checked(machine.ioprio_set, _spares_the_agent(_IOPRIO_WHO_USER, denied)),
        *_checked(machine.socket, _only(_FAMILIES, wrong_family)),
        _step(_RETURN, _ALLOW),
    ]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _when(test: int, value: int, answer: int) -> list[bytes]:
    return [_step(test, value, 0, 1), _step(_RETURN, answer)]


def _unless_equal(value: int, answer: int) -> list[bytes]:
    return [_step(_EQUAL, value, 1, 0), _step(_RETURN, answer)]


def _checked(number: int, check: list[bytes]) -> list[bytes]:
    """For one system call: load its first argument, check it, and let it pass."""
    body = [_step(_LOAD, _FIRST_ARGUMENT), *check, _step(_RETURN, _ALLOW)]
    return [_step(_EQUAL, number, 0, len(body)), *body]


def _spares_the_agent(everybody: int, answer: int) -> list[bytes]:
    """For a call about a process, a group, or all of a user: its first argument says which, its second names it."""
    return [
        *_when(_EQUAL, everybody, answer),
        _step(_LOAD, _SECOND_ARGUMENT),
        *_when(_EQUAL, _AGENT_PID, answer),
    ]


def _only(values: tuple[int, ...], answer: int) -> list[bytes]:
    allowed = [_step(_EQUAL, value, len(values) - position, 0) for position, value in enumerate(values)]
    return [*allowed, _step(_RETURN, answer)]
