"""Runs inside a sandbox, on the standard library alone: packs the working directory into the zip file that it is told.

Links are kept as links, as unzip of Info-ZIP makes them; sockets, pipes and devices are left out.
"""

import os
import stat
import sys
import time
import zipfile

_OLDEST = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1 << 20


def pack(archive: zipfile.ZipFile) -> None:
    """Add every file, link and empty folder below the working directory."""
    for folder, folders, files in os.walk("."):
        for name in sorted([*files, *folders]):
            path = os.path.join(folder, name)  # noqa: PTH118 # no Path: odd names must stay as they are
            add(archive, path, os.lstat(path))


def add(archive: zipfile.ZipFile, path: str, status: os.stat_result) -> None:
    """Add one path."""
    name = os.fsencode(path.removeprefix("./")).decode("utf-8", "replace")
    changed = time.localtime(status.st_mtime)[:6]
    info = zipfile.ZipInfo(name + "/" if stat.S_ISDIR(status.st_mode) else name, max(changed, _OLDEST))
    info.external_attr = (status.st_mode & 0xFFFF) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    if stat.S_ISDIR(status.st_mode):
        archive.writestr(info, b"", zipfile.ZIP_STORED)
    elif stat.S_ISLNK(status.st_mode):
        archive.writestr(info, os.fsencode(os.readlink(path)))  # noqa: PTH115 # as above
    elif stat.S_ISREG(status.st_mode):
        info.file_size = status.st_size
        with open(path, "rb") as source, archive.open(info, "w", force_zip64=True) as target:  # noqa: PTH123 # as above
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)


if __name__ == "__main__":
    with zipfile.ZipFile(sys.argv[1], "w", compresslevel=1) as made:
        pack(made)
