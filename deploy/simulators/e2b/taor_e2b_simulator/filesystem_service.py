"""`filesystem.Filesystem` of E2B's envd, without watches."""

from __future__ import annotations

import os
import shutil
import stat
from contextvars import ContextVar
from pathlib import Path

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from e2b.envd.filesystem import filesystem_pb as pb
from e2b.envd.filesystem.filesystem_connect import Filesystem
from protobuf.wkt import Timestamp

from taor_e2b_simulator import view
from taor_e2b_simulator.sandbox import Sandbox

MAX_ENTRIES = 10_000


class FilesystemService(Filesystem):
    """Serves the folder of the sandbox that the request was routed to."""

    def __init__(self, current: ContextVar[Sandbox]) -> None:
        self._current = current

    async def stat(
        self, request: pb.StatRequest, ctx: RequestContext[pb.StatRequest, pb.StatResponse], /
    ) -> pb.StatResponse:
        """What stands at a path."""
        return pb.StatResponse(entry=self._entry(self._outside(request.path)))

    async def list_dir(
        self, request: pb.ListDirRequest, ctx: RequestContext[pb.ListDirRequest, pb.ListDirResponse], /
    ) -> pb.ListDirResponse:
        """The entries of a folder, down to a depth."""
        top = self._outside(request.path)
        if not top.exists():
            raise ConnectError(Code.NOT_FOUND, f"path {request.path} not found")
        if not top.is_dir():
            raise ConnectError(Code.INVALID_ARGUMENT, f"path {request.path} is not a directory")
        found: list[Path] = []
        for folder, names, files in os.walk(top):
            found += [Path(folder) / name for name in sorted(names + files)]
            if len(Path(folder).relative_to(top).parts) + 1 >= (request.depth or 1):
                names.clear()
            if len(found) > MAX_ENTRIES:
                raise ConnectError(Code.RESOURCE_EXHAUSTED, f"more than {MAX_ENTRIES} entries")
        return pb.ListDirResponse(entries=[self._entry(path) for path in found])

    async def make_dir(
        self, request: pb.MakeDirRequest, ctx: RequestContext[pb.MakeDirRequest, pb.MakeDirResponse], /
    ) -> pb.MakeDirResponse:
        """Make a folder and its parents."""
        path = self._outside(request.path)
        if path.is_dir():
            raise ConnectError(Code.ALREADY_EXISTS, "directory already exists")
        if path.exists():
            raise ConnectError(Code.INVALID_ARGUMENT, "path already exists but it is not a directory")
        path.mkdir(parents=True)
        return pb.MakeDirResponse(entry=self._entry(path))

    async def move(
        self, request: pb.MoveRequest, ctx: RequestContext[pb.MoveRequest, pb.MoveResponse], /
    ) -> pb.MoveResponse:
        """Rename."""
        target = self._outside(request.destination)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._outside(request.source).rename(target)
        except FileNotFoundError as error:
            raise ConnectError(Code.NOT_FOUND, f"source {request.source} not found") from error
        return pb.MoveResponse(entry=self._entry(target))

    async def remove(
        self, request: pb.RemoveRequest, ctx: RequestContext[pb.RemoveRequest, pb.RemoveResponse], /
    ) -> pb.RemoveResponse:
        """Remove a file or a folder with what is in it."""
        path = self._outside(request.path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return pb.RemoveResponse()

    def _outside(self, path: str) -> Path:
        return self._current.get().outside(path)

    def _entry(self, path: Path) -> pb.EntryInfo:
        try:
            found = path.lstat()
        except FileNotFoundError as error:
            raise ConnectError(Code.NOT_FOUND, f"{self._current.get().inside(path)} not found") from error
        return pb.EntryInfo(
            name=path.name,
            type=pb.FileType.DIRECTORY if path.is_dir() else pb.FileType.FILE,
            path=self._current.get().inside(path),
            size=found.st_size,
            mode=stat.S_IMODE(found.st_mode),
            permissions=stat.filemode(found.st_mode),
            owner=view.USER,
            group=view.USER,
            modified_time=Timestamp(seconds=int(found.st_mtime)),
            symlink_target=str(path.readlink()) if stat.S_ISLNK(found.st_mode) else None,
        )
