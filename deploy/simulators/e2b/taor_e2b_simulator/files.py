"""envd's `/files`: download one file, upload one or several."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from taor_e2b_simulator.errors import Refused
from taor_e2b_simulator.sandbox import Sandbox

MAX_PART_BYTES = 1024**3


async def download(request: Request, sandbox: Sandbox) -> Response:
    """The content of a file."""
    path = sandbox.outside(request.query_params["path"])
    if not path.exists():
        raise Refused(404, f"path '{request.query_params['path']}' does not exist")
    if not path.is_file():
        raise Refused(400, f"path '{request.query_params['path']}' is not a file")
    return FileResponse(path)


async def upload(request: Request, sandbox: Sandbox) -> Response:
    """Write what is sent, as one body or as a form; not atomic, as on E2B."""
    path = request.query_params.get("path", "")
    if request.headers.get("content-type", "").startswith("multipart/"):
        written = await _upload_form(request, sandbox, path)
    else:
        written = [await _upload_body(request, sandbox.outside(path))]
    return JSONResponse([{"path": sandbox.inside(each), "name": each.name, "type": "file"} for each in written])


async def _upload_form(request: Request, sandbox: Sandbox, path: str) -> list[Path]:
    written = []
    async with request.form(max_part_size=MAX_PART_BYTES) as form:
        for part in form.getlist("file"):
            assert isinstance(part, UploadFile)
            target = sandbox.outside(path or part.filename or "")
            target.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(target.write_bytes, await part.read())
            written.append(target)
    return written


async def _upload_body(request: Request, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        async for chunk in request.stream():
            await asyncio.to_thread(file.write, chunk)
    if request.headers.get("content-encoding") == "gzip":
        await asyncio.to_thread(_decompress, target)
    return target


def _decompress(path: Path) -> None:
    path.write_bytes(gzip.decompress(path.read_bytes()))
