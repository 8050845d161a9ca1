"""A helper process inside: no claim, no journal, gone with the connection that started it."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence

from taor_sandbox.agent import messages
from taor_sandbox.backends.local.wire import Answer, Link


class Helper:
    """One running helper."""

    def __init__(self, link: Link, helper_id: str, reply: asyncio.Future[Answer]) -> None:
        self._link = link
        self._helper_id = helper_id
        self._reply = reply

    @classmethod
    async def start(
        cls,
        link: Link,
        argv: Sequence[str],
        stdio: tuple[int, int, int],
        cwd: str,
        env: Mapping[str, str],
        file_bytes: int | None = None,
    ) -> "Helper":
        """Start it on three descriptors; it may write files and outputs of `file_bytes` each (in steps of 1024)."""
        helper_id = f"helper/{uuid.uuid4()}"
        request = messages.Spawn(helper_id, list(argv), cwd, dict(env), file_bytes)
        return cls(link, helper_id, await link.begin(request, *stdio))

    async def wait(self, seconds: float | None = None) -> bool:
        """Whether it ended within this time; a caller that is cancelled meanwhile takes the helper along."""
        try:
            done, _ = await asyncio.wait([self._reply], timeout=seconds)
        except asyncio.CancelledError:
            await self.kill()
            raise
        return bool(done)

    async def status(self) -> int:
        """Its exit status, 128 + n after signal n."""
        message = (await self._reply).message
        assert isinstance(message, messages.Status)
        return message.status

    async def kill(self) -> None:
        """Kill it and what it started."""
        await self._link.call(messages.Done, messages.Kill(self._helper_id, "KILLED"))


@contextlib.contextmanager
def memory(content: bytes = b"") -> Iterator[int]:
    """A memory file for a helper's input or output: bounded, seekable, and nobody needs to pump it."""
    fd = messages.memory_file(content)
    try:
        yield fd
    finally:
        os.close(fd)
