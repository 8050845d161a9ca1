"""What a command inside must not see, reach or become."""

import asyncio
import os
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taor_sandbox.backends.local.backend import LocalBackend
from taor_sandbox.backends.port import Sandbox
from tests.support.sandboxes import SMALL, make_ready, run

CANARY = "taor-canary-7d1f"


async def python(sandbox: Sandbox, script: str) -> str:
    """Run a Python script inside and return what it printed."""
    done = await run(sandbox, f"python3 - <<'E'\n{textwrap.dedent(script)}\nE")
    assert done.exit.status == 0, done.stderr
    return done.stdout.strip()


def _own_namespace(kind: str) -> str:
    return str(Path(f"/proc/self/ns/{kind}").readlink())


@pytest.fixture
async def host_port() -> AsyncIterator[int]:
    """A service on the host's loopback."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("namespace", ["net", "pid", "ipc", "uts", "mnt"])
async def test_every_namespace_is_its_own(sandbox: Sandbox, namespace: str) -> None:
    inside = (await run(sandbox, f"readlink /proc/self/ns/{namespace}")).stdout.strip()
    assert inside.startswith(namespace)
    assert inside != _own_namespace(namespace)


async def test_pid_1_is_the_agent(sandbox: Sandbox) -> None:
    assert "taor_sandbox.agent" in (await run(sandbox, "tr '\\0' ' ' < /proc/1/cmdline")).stdout


async def test_host_loopback_is_out_of_reach(sandbox: Sandbox, host_port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", host_port)
    writer.close()
    done = await run(sandbox, f"echo > /dev/tcp/127.0.0.1/{host_port}")
    assert "Connection refused" in done.stderr


async def test_there_is_no_way_out_of_the_loopback(sandbox: Sandbox) -> None:
    assert (await run(sandbox, "tail -n +3 /proc/net/dev | cut -d: -f1")).stdout.split() == ["lo"]
    for address in ("169.254.169.254", "10.0.0.1", "1.1.1.1"):
        done = await run(sandbox, f"timeout 2 bash -c 'echo > /dev/tcp/{address}/80'")
        assert "Network is unreachable" in done.stderr


async def test_host_files_are_invisible(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    done = await run(
        sandbox, f"ln -s {secret} link; cat {secret} link /proc/1/root{secret}; ls -A /home; ls /root/.ssh /work"
    )
    assert CANARY not in done.stdout + done.stderr
    assert done.stdout == "user\n"


async def test_the_service_s_environment_is_invisible(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAOR_TOKEN", CANARY)
    done = await run(sandbox, "env; cat /proc/*/environ | tr '\\0' '\\n'")
    assert "TAOR_OP=" in done.stdout
    assert CANARY not in done.stdout
    assert {line.split("=")[0] for line in done.stdout.splitlines() if line.startswith("TAOR")} == {"TAOR_OP"}


async def test_descriptors_of_the_service_do_not_come_along(backend: LocalBackend, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(CANARY)
    with (tmp_path / "secret").open() as leaked:
        os.set_inheritable(leaked.fileno(), True)
        sandbox = await make_ready(await backend.create("build/1", SMALL))
    done = await run(sandbox, "readlink /proc/self/fd/* | sort -u; cat /proc/self/fd/*")
    assert CANARY not in done.stdout
    assert not [line for line in done.stdout.splitlines() if "secret" in line or "agent.log" in line]
    await sandbox.close()


async def test_host_processes_are_invisible(sandbox: Sandbox) -> None:
    pids = (await run(sandbox, "echo /proc/[0-9]*")).stdout.split()
    assert len(pids) <= 3
    assert str(os.getpid()) not in {pid.removeprefix("/proc/") for pid in pids}


async def test_no_capability_is_left_nor_can_be_gained(sandbox: Sandbox) -> None:
    status = dict(line.split(":\t") for line in (await run(sandbox, "cat /proc/self/status")).stdout.splitlines())
    assert {status[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {""}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split()


async def test_a_setuid_program_gains_nothing(sandbox: Sandbox) -> None:
    done = await run(
        sandbox, "cp /usr/bin/id id; chmod 4755 id; ./id -u; su -c id < /dev/null; mount -t tmpfs none /tmp"
    )
    assert "root" not in done.stdout
    assert done.exit.status != 0


async def test_system_folders_cannot_be_written(sandbox: Sandbox) -> None:
    places = (
        "/ /usr /usr/bin /etc /dev /opt /opt/taor /opt/taor/taor_sandbox/agent /run /run/taor /home /root /proc /sys"
    )
    done = await run(sandbox, f"for place in {places}; do touch $place/x 2>/dev/null && echo $place; done; true")
    assert done.stdout == ""


async def test_the_agent_cannot_be_touched(sandbox: Sandbox) -> None:
    signals = "for s in INT TERM KILL STOP SEGV; do kill -$s 1; done"
    done = await run(sandbox, f"{signals}; head -c 1 /proc/1/mem; readlink /proc/1/fd/*; ls /proc/1/cwd/")
    assert done.stdout == ""
    assert (await run(sandbox, "echo alive")).stdout == "alive\n"
    traced = await python(
        sandbox,
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.ptrace(16, 1, 0, 0), os.strerror(ctypes.get_errno()))
        """,
    )
    assert traced == "-1 Operation not permitted"


@pytest.mark.parametrize(
    "attempt",
    [
        "resource.prlimit(1, resource.RLIMIT_NOFILE, (1, 1))",
        "os.setpriority(os.PRIO_PROCESS, 1, 19)",
        "os.setpriority(os.PRIO_PGRP, os.getpgid(1), 19)",
        "os.setpriority(os.PRIO_USER, 0, 19)",
        "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_setaffinity(1, {0})",
    ],
)
async def test_the_agent_cannot_be_starved(sandbox: Sandbox, attempt: str) -> None:
    """It has the user of the commands, so the kernel's own rules would let them: then nobody would watch them."""
    script = f"""
    import os, resource
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    try:
        {attempt}
        print("allowed")
    except PermissionError:
        print("refused")
    """
    assert await python(sandbox, script) == "refused"
    assert (await run(sandbox, "echo alive")).stdout == "alive\n"


async def test_settings_of_the_kernel_cannot_be_changed(sandbox: Sandbox) -> None:
    """Even by a user who is root outside, as the one is who starts these tests as an ordinary user."""
    place = "/proc/sys/kernel/core_pattern"
    done = await run(sandbox, f'read -r kept < {place}; echo "$kept" > {place}; find /proc/sys -writable')
    assert "Read-only file system" in done.stderr
    assert done.stdout == ""


async def test_the_agent_s_socket_is_out_of_reach(sandbox: Sandbox) -> None:
    sockets = await run(sandbox, "cut -d' ' -f8 /proc/net/unix; find / -xdev -type s 2>/dev/null; true")
    assert "/agent-" not in sockets.stdout.replace("/proc/self/fd", "")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("socket.socket(40, socket.SOCK_STREAM)", "EAFNOSUPPORT"),  # AF_VSOCK
        ("socket.socket(38, socket.SOCK_SEQPACKET)", "EAFNOSUPPORT"),  # AF_ALG
        ("socket.socket(17, socket.SOCK_RAW)", "EAFNOSUPPORT"),  # AF_PACKET
        ("check(libc.unshare(0x10000000))", "EPERM"),
        ("check(libc.unshare(0x40000000))", "EPERM"),
        ("check(libc.setns(0, 0))", "EPERM"),
        ("check(libc.mount(b'none', b'/tmp', b'tmpfs', 0, 0))", "EPERM"),
        ("check(libc.umount2(b'/tmp', 2))", "EPERM"),
        ("check(libc.syscall(425, 1, 0))", "EPERM"),  # io_uring_setup
        ("check(libc.syscall(428, 0, 0, 0))", "EPERM"),  # open_tree
        ("check(libc.syscall({'x86_64': 206, 'aarch64': 0}[os.uname().machine], 1, 0))", "ENOSYS"),  # io_setup
        ("check(libc.syscall(435, 0, 0))", "ENOSYS"),  # clone3
        ("check(libc.chroot(b'/tmp'))", "EPERM"),
        ("os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0))", "EPERM"),
        ("os.setuid(0)", "EPERM EINVAL"),  # there is no root to become in a user namespace
        ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "EPERM"),
        ("open('/dev/kmsg')", "ENOENT"),
    ],
)
async def test_a_call_of_the_kernel_is_refused(sandbox: Sandbox, call: str, error: str) -> None:
    script = f"""
    import ctypes, errno, os, socket
    libc = ctypes.CDLL(None, use_errno=True)
    def check(result):
        if result < 0:
            raise OSError(ctypes.get_errno(), "")
    try:
        {call}
        print("allowed")
    except OSError as refused:
        print(errno.errorcode[refused.errno])
    """
    assert await python(sandbox, script) in error.split()


async def test_a_new_namespace_by_clone_is_refused(sandbox: Sandbox) -> None:
    script = """
    import ctypes, os, platform
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    pid = libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    print(pid, os.strerror(ctypes.get_errno()))
    """
    assert await python(sandbox, script) == "-1 Operation not permitted"


async def test_ordinary_sockets_and_threads_work(sandbox: Sandbox) -> None:
    script = """
    import socket, threading, multiprocessing
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname()).close()
    socket.socketpair()
    socket.socket(socket.AF_INET6)
    threading.Thread(target=print, args=("thread",)).start()
    multiprocessing.get_context("fork").Process(target=print, args=("process",)).start()
    """
    assert sorted((await python(sandbox, script)).split()) == ["process", "thread"]
