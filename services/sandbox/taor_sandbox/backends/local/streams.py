"""Tar streams out of a sandbox and into it; tar runs inside, so links and odd names resolve there."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence

from taor_sandbox.agent import messages
from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.backends.local.helper import Helper, memory
from taor_sandbox.backends.local.wire import Link
from taor_sandbox.backends.tar import CREATE, EXTRACT

_CHUNK_BYTES = 256 * 1024
_COMPLAINT_BYTES = 2000


async def archive(link: Link, paths: Sequence[str], root: str) -> AsyncIterator[bytes]:
    """The tar stream of `paths`; whoever leaves it early kills tar."""
    with memory() as nothing, memory() as complaint:
        reader, writer = os.pipe()
        try:
            argv = [*CREATE, f"--directory={root}", "--", *paths]
            tar = await Helper.start(link, argv, (nothing, writer, complaint), root, {})
        finally:
            os.close(writer)
        try:
            async for chunk in _chunks(reader):
                yield chunk
            await _finish(tar, complaint)
        finally:
            if not await tar.wait(0):
                await tar.kill()


async def unpack(link: Link, stream: AsyncIterator[bytes], root: str) -> None:
    """Feed a tar stream to a tar inside."""
    with memory() as nothing, memory() as complaint:
        reader, writer = os.pipe()
        try:
            tar = await Helper.start(link, [*EXTRACT, f"--directory={root}"], (reader, nothing, complaint), root, {})
        finally:
            os.close(reader)
        try:
            await _feed(writer, stream)
            await _finish(tar, complaint)
        finally:
            if not await tar.wait(0):
                await tar.kill()


async def _chunks(fd: int) -> AsyncIterator[bytes]:
    """Read a pipe to its end."""
    reader = asyncio.StreamReader(limit=_CHUNK_BYTES)
    pipe = os.fdopen(fd, "rb", buffering=0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            yield chunk
    finally:
        transport.close()


async def _feed(fd: int, stream: AsyncIterator[bytes]) -> None:
    """Write a stream into a pipe; a tar that has ended early says why itself."""
    pipe = os.fdopen(fd, "wb", buffering=0)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            async for chunk in stream:
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()


async def _finish(tar: Helper, complaint: int) -> None:
    status = await tar.status()
    if status != 0:
        said = messages.read_memory(complaint, _COMPLAINT_BYTES).decode(errors="replace")
        raise FileRefused(FileProblem.FAILED, f"tar ended with {status}: {said}")
