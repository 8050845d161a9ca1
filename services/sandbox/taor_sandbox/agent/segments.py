"""Shared memory that no process holds (System V): no process's memory counts it, and no process's death frees it."""

from typing import NamedTuple

_IPC_RMID = 0
_ID, _MAKER, _ATTACHED, _RESIDENT, _SWAPPED = 1, 4, 6, 14, 15


class Segment(NamedTuple):
    """One line of /proc/sysvipc/shm."""

    id: int
    maker: int
    """The process that made it, which may be over."""
    memory_bytes: int


def unheld() -> list[Segment]:
    """The segments of this sandbox that nobody has attached."""
    try:
        with open("/proc/sysvipc/shm") as table:
            rows = [[int(field) for field in line.split()] for line in table.readlines()[1:]]
    except OSError:  # a kernel without them
        return []
    return [Segment(row[_ID], row[_MAKER], row[_RESIDENT] + row[_SWAPPED]) for row in rows if row[_ATTACHED] == 0]


def remove(found: list[Segment]) -> None:
    """Free them; whoever attaches one after all hears that it is gone."""
    import ctypes  # it is seldom needed, and every start of a sandbox would wait for it

    libc = ctypes.CDLL(None)
    for segment in found:
        libc.shmctl(segment.id, _IPC_RMID, None)
