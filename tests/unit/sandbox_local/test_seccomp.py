"""The system call filter, judged by an interpreter of its own: for both architectures, whatever this machine is."""

import errno
import struct

import pytest

from taor_sandbox.backends.errors import BackendUnavailable
from taor_sandbox.backends.local.seccomp import program

ALLOW = 0x7FFF0000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SOCKET = {"x86_64": 41, "aarch64": 198}
CLONE = {"x86_64": 56, "aarch64": 220}
UNSHARE = {"x86_64": 272, "aarch64": 97}
WRITE = {"x86_64": 1, "aarch64": 64}
IO_SETUP = {"x86_64": 206, "aarch64": 0}
PRLIMIT = {"x86_64": 302, "aarch64": 261}
SETPRIORITY = {"x86_64": 141, "aarch64": 140}
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
MACHINES = sorted(AUDIT)


def judge(machine: str, number: int, first: int = 0, second: int = 0, *, audit: int | None = None) -> int:
    """Run the filter over one system call, as the kernel would (seccomp(2), linux/filter.h)."""
    data = struct.pack("=IIQQQ", number, AUDIT[machine] if audit is None else audit, 0, first, second)
    steps = list(struct.iter_unpack("=HBBI", program(machine)))
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[position]
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                position += if_true if accumulator == value else if_false
            case 0x35:
                position += if_true if accumulator >= value else if_false
            case 0x45:
                position += if_true if accumulator & value else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def refusal(error: int) -> int:
    return 0x00050000 | error


@pytest.mark.parametrize("machine", MACHINES)
def test_only_four_families_of_sockets_pass(machine: str) -> None:
    passed = {family for family in range(64) if judge(machine, SOCKET[machine], family) == ALLOW}
    assert passed == {1, 2, 10, 16}
    assert judge(machine, SOCKET[machine], 40) == refusal(errno.EAFNOSUPPORT)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_new_namespace_can_be_made(machine: str) -> None:
    assert judge(machine, UNSHARE[machine], 0x10000000) == refusal(errno.EPERM)
    assert judge(machine, 435) == refusal(errno.ENOSYS)
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
        assert judge(machine, CLONE[machine], flag | 17) == refusal(errno.EPERM), hex(flag)


@pytest.mark.parametrize("machine", MACHINES)
def test_ordinary_calls_pass(machine: str) -> None:
    assert judge(machine, WRITE[machine], 40) == ALLOW
    assert judge(machine, CLONE[machine], 17) == ALLOW
    assert judge(machine, CLONE[machine], 0x3D0F00) == ALLOW  # a thread, as pthread_create makes it


@pytest.mark.parametrize("machine", MACHINES)
def test_nobody_changes_what_the_agent_may_take(machine: str) -> None:
    process, group, user = 0, 1, 2
    assert judge(machine, PRLIMIT[machine], 1) == refusal(errno.EPERM)
    assert judge(machine, PRLIMIT[machine], 0) == judge(machine, PRLIMIT[machine], 12) == ALLOW
    for number, first in ((SETPRIORITY[machine], 0), (IOPRIO_SET[machine], 1)):
        for which in (process, group):
            assert judge(machine, number, first + which, 1) == refusal(errno.EPERM)
            assert judge(machine, number, first + which, 12) == ALLOW
        assert judge(machine, number, first + user, 0) == refusal(errno.EPERM)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_machine_s_small_stock_is_left_alone(machine: str) -> None:
    assert judge(machine, IO_SETUP[machine], 128) == refusal(errno.ENOSYS)


@pytest.mark.parametrize("machine", MACHINES)
def test_other_call_tables_of_the_same_machine_are_closed(machine: str) -> None:
    assert judge(machine, SOCKET[machine], 1, audit=0x40000003) == refusal(errno.ENOSYS)
    assert judge(machine, 0x40000000 + WRITE[machine]) == refusal(errno.ENOSYS)


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(BackendUnavailable, match="riscv64"):
        program("riscv64")
