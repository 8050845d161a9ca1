"""What comes of a build: its files, and the address of the program that it left running."""

import asyncio
import http.client
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_cli import translate
from taor_cli.archive import MAX_BYTES, Unpacked, require_new_folder, unpack
from taor_cli.clients import Clients
from taor_cli.exits import ThingFailedError, UsageError

DOWNLOAD_SECONDS = 300.0
PREVIEW_SECONDS = 10.0
HTTP_OK = 200
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Preview:
    """The address of a running program, and what it answered."""

    url: str
    expire_time: datetime
    http_status: int | None
    """The status of a GET; None when nothing answered."""
    problem: str = ""

    @property
    def works(self) -> bool:
        """Whether the program answered 200."""
        return self.http_status == HTTP_OK


async def download(clients: Clients, build_id: str, folder: Path) -> Unpacked:
    """Bring the files of a build into a new folder."""
    require_new_folder(folder)
    with tempfile.TemporaryFile() as archive:
        await _receive(clients, build_id, pb.DownloadFilesRequest.TAR, archive)
        archive.seek(0)
        return await asyncio.to_thread(unpack, archive, folder)


async def download_archive(clients: Clients, build_id: str, form: str, file: Path) -> int:
    """Bring the files of a build into a new file, packed as TAR, ZIP or GIT_BUNDLE; returns its bytes."""
    with tempfile.TemporaryFile() as archive:
        await _receive(clients, build_id, pb.DownloadFilesRequest.Format.Value(form), archive)
        archive.seek(0)
        return await asyncio.to_thread(_keep, archive, file)


def _keep(archive: IO[bytes], file: Path) -> int:
    try:
        with file.open("xb") as target:
            shutil.copyfileobj(archive, target)
            return target.tell()
    except FileExistsError as error:
        raise UsageError(f"{file} exists", advice="give another name with -o") from error


async def open_preview(clients: Clients, build_id: str, port: int) -> Preview:
    """Have an address made for a port of the sandbox, and look whether it answers."""
    response = await clients.sandbox.CreatePreview(pb.CreatePreviewRequest(build_id=build_id, port=port))
    expire_time = translate.moment(response.expire_time)
    try:
        status = await asyncio.to_thread(get_status, response.url)
    except (OSError, http.client.HTTPException) as error:
        return Preview(response.url, expire_time, None, f"{type(error).__name__}: {error}")
    return Preview(response.url, expire_time, status)


def require_working(preview: Preview) -> None:
    """ThingFailedError unless the program answered 200."""
    if not preview.works:
        answer = f"HTTP {preview.http_status}" if preview.http_status else preview.problem
        raise ThingFailedError(f"the preview does not answer 200 but {answer}: {preview.url}", reason="PREVIEW_FAILED")


def get_status(url: str) -> int:
    """The HTTP status of a GET. `X.localhost` resolves in browsers only, so loopback is dialled with a Host header."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    dialled = LOOPBACK if host == "localhost" or host.endswith(".localhost") else host
    with closing(http.client.HTTPConnection(dialled, parts.port or 80, timeout=PREVIEW_SECONDS)) as connection:
        connection.request("GET", parts.path or "/", headers={"Host": parts.netloc, "Connection": "close"})
        return connection.getresponse().status


async def _receive(
    clients: Clients, build_id: str, form: pb.DownloadFilesRequest.Format.ValueType, archive: IO[bytes]
) -> None:
    received_bytes = 0
    request = pb.DownloadFilesRequest(build_id=build_id, format=form)
    async for chunk in clients.sandbox.DownloadFiles(request, timeout=DOWNLOAD_SECONDS):
        received_bytes += len(chunk.content)
        if received_bytes > MAX_BYTES:
            raise ThingFailedError(f"the archive has more than {MAX_BYTES:,} bytes")
        archive.write(chunk.content)
