"""What a benchmark ran on, since no figure means anything without it."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine, how busy it was before, and where the data lay."""

    cores: int
    memory_gib: float
    load: float
    """The mean number of processes that wanted to run in the minute before."""
    python: str
    file_system: str
    fsync: str

    def __str__(self) -> str:
        warning = "" if self.is_durable else " — NOT DURABLE, so commits are cheaper than they are in truth"
        return (
            f"{self.cores} cores, {self.memory_gib:.0f} GiB, load {self.load:.1f} at the start, Python {self.python}; "
            f"data on {self.file_system}, fsync {self.fsync}{warning}"
        )

    @property
    def is_durable(self) -> bool:
        """Whether a commit waits for a disk."""
        return self.fsync == "on" and self.file_system not in MEMORY_FILE_SYSTEMS


def describe(data: Path, fsync: str) -> Machine:
    """Look at this machine; `data` is the folder of the installation."""
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 1024**3,
        load=os.getloadavg()[0],
        python=platform.python_version(),
        file_system=file_system_of(data),
        fsync=fsync,
    )


def file_system_of(path: Path) -> str:
    """The type of the file system that holds a path."""
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[folder] for folder in (path, *path.parents) if folder in mounts), "unknown")
