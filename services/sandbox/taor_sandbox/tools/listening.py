"""Runs inside a sandbox, on the standard library alone: waits until a background command listens, and prints its ports.

Usage: listening.py OP_ID SECONDS. It ends as soon as there is a port, or when nothing of the command is left. Its lines
are `process N` for each process of the command, and `port N` for each of their ports.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

POLL_SECONDS = 0.05
PROCESSES = Path("/proc")
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTEN = "0A"


def wait(mark: bytes, seconds: float) -> "tuple[list[int], list[int]]":
    """The processes with this variable, and their ports; none when they open none in time."""
    deadline = time.monotonic() + seconds
    while True:
        processes = list(_marked(mark))
        sockets = set(_sockets(processes))
        ports = sorted({port for inode, port in _listeners() if inode in sockets})
        if ports or not processes or time.monotonic() > deadline:
            return sorted(int(process.name) for process in processes), ports
        time.sleep(POLL_SECONDS)


def _marked(mark: bytes) -> Iterator[Path]:
    for process in PROCESSES.glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                yield process
        except OSError:  # it has ended, or is another user's
            continue


def _sockets(processes: "list[Path]") -> Iterator[str]:
    """The inodes of the sockets that these processes hold."""
    for process in processes:
        for fd in (process / "fd").glob("*"):
            try:
                kind, _, inode = os.fspath(fd.readlink()).partition(":")
            except OSError:
                continue
            if kind == "socket":
                yield inode.strip("[]")


def _listeners() -> "Iterator[tuple[str, int]]":
    """Inode and port of every socket that listens (Documentation/networking/proc_net_tcp.rst)."""
    for table in TABLES:
        lines = table.read_text().splitlines()[1:] if table.exists() else []  # a machine may have no IPv6
        for fields in map(str.split, lines):
            if fields[3] == LISTEN:
                yield fields[9], int(fields[1].rpartition(":")[2], 16)


def main(op_id: str, seconds: str) -> None:
    """Print them, a line each."""
    processes, ports = wait(f"TAOR_OP={op_id}".encode(), float(seconds))
    sys.stdout.writelines(f"process {number}\n" for number in processes)
    sys.stdout.writelines(f"port {number}\n" for number in ports)


if __name__ == "__main__":
    main(*sys.argv[1:])
