"""Helpers of the service inside: one bridge each, and nothing is left of them when it ends."""

import base64
import contextlib
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

from taor_sandbox.agent.messages import Done, Kill
from taor_sandbox.backends.e2b.channel import Channel
from taor_sandbox.backends.e2b.inside.frames import Output, Ran
from taor_sandbox.backends.e2b.inside.requests import Read, Run, Stream
from taor_sandbox.backends.e2b.troubles import Passing
from taor_sandbox.backends.errors import BackendError, FileProblem, FileRefused
from taor_sandbox.backends.port import RunResult
from taor_sandbox.backends.tar import CREATE, EXTRACT


def run_request(
    argv: Sequence[str], stdin: bytes, cwd: str, env: Mapping[str, str], timeout_seconds: float, output_bytes: int
) -> Run:
    """The request that runs a helper."""
    given = base64.b64encode(stdin).decode()
    return Run(_new_id(), list(argv), cwd, dict(env), given, timeout_seconds, output_bytes)


async def run(channel: Channel, request: Run) -> RunResult:
    """Run a helper to its end; a caller that is cancelled takes it along."""
    said = {"stdout": bytearray(), "stderr": bytearray()}
    async with channel.opened(request) as bridge:
        while isinstance(frame := await bridge.next(), Output):
            said[frame.stream] += frame.data
        if not isinstance(frame, Ran):
            raise Passing("a helper's end was not told")
    return RunResult(
        frame.status, bytes(said["stdout"]), bytes(said["stderr"]), truncated=frame.truncated, timed_out=frame.timed_out
    )


async def read(channel: Channel, request: Read) -> bytes:
    """Bytes of a regular file; raises FileRefused."""
    content = bytearray()
    async with channel.opened(request) as bridge:
        while isinstance(frame := await bridge.next(), Output):
            content += frame.data
        if not isinstance(frame, Done):
            raise Passing("a file's end was not told")
    return bytes(content)


async def archive(channel: Channel, paths: Sequence[str], root: str) -> AsyncIterator[bytes]:
    """The tar stream of `paths`; whoever leaves it early kills tar."""
    request = Stream(_new_id(), [*CREATE, f"--directory={root}", "--", *paths], root, "")
    ended = False
    try:
        async with channel.opened(request) as bridge:
            while isinstance(frame := await bridge.next(), Output):
                yield frame.data
            ended = True
            _check(frame)
    finally:
        if not ended:
            await _kill(channel, request.helper_id)


async def unpack(channel: Channel, uploaded: str, root: str) -> None:
    """Unpack an uploaded tar file, which is removed."""
    request = Stream(_new_id(), [*EXTRACT, f"--directory={root}"], root, uploaded)
    async with channel.opened(request) as bridge:
        _check(await bridge.next())


def _check(frame: object) -> None:
    if not isinstance(frame, Ran):
        raise Passing("a helper's end was not told")
    if frame.status != 0:
        raise FileRefused(FileProblem.FAILED, f"tar ended with {frame.status}: {frame.complaint}")


async def _kill(channel: Channel, helper_id: str) -> None:
    """Its bridge is gone and takes it along; this waits until it has."""
    with contextlib.suppress(BackendError):
        async with channel.opened(Kill(helper_id, "KILLED")) as bridge:
            await bridge.only()


def _new_id() -> str:
    return f"helper/{uuid.uuid4()}"
