"""Following a command: its outputs grow in files, its end comes as an event."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator

from taor_sandbox.agent import messages
from taor_sandbox.backends.local.wire import Link
from taor_sandbox.backends.port import ClaimState, Dead, Exited, Live, Offsets, OutputChunk, Stream, Unclaimed
from taor_sandbox.backends.states import state_of

_CHUNK_BYTES = 256 * 1024
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.2


async def follow(link: Link, op_id: str, offsets: Offsets) -> AsyncIterator[OutputChunk | Exited | Dead | Unclaimed]:
    """Yield what the outputs have beyond `offsets` as they grow, then the end state."""
    with link.watch(op_id) as ended, contextlib.closing(_Outputs(offsets)) as outputs:
        state = await _look(link, op_id, outputs)
        while isinstance(state, Live):
            for chunk in outputs.read():
                yield chunk
            await _news(ended, outputs)
            if not outputs.opened:
                state = await _look(link, op_id, outputs)
            elif ended.done():
                state = state_of(await ended)
        for chunk in outputs.read():
            yield chunk
        yield state


async def _look(link: Link, op_id: str, outputs: "_Outputs") -> ClaimState:
    """The state now, and the outputs if they can be had."""
    answer = await link.ask(messages.Look(op_id, True))
    assert isinstance(answer.message, messages.State)
    outputs.adopt(answer.fds, answer.message)
    return state_of(answer.message)


async def _news(ended: asyncio.Future[messages.State], outputs: "_Outputs") -> None:
    """Wait until the command has ended or said something; a file does not tell that it grows, so it is asked."""
    pause = _FIRST_PAUSE_SECONDS
    while not ended.done():
        await asyncio.wait({ended}, timeout=pause)
        if outputs.grown or not outputs.opened:
            return
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


class _Outputs:
    """The two output files of one command, read forward."""

    def __init__(self, offsets: Offsets) -> None:
        self._offsets = {Stream.STDOUT: offsets.stdout, Stream.STDERR: offsets.stderr}
        self._fds: dict[Stream, int] = {}
        self._limit = sys.maxsize

    @property
    def opened(self) -> bool:
        """Whether the files are in hand; a command that has just been claimed has not made them yet."""
        return bool(self._fds)

    def adopt(self, fds: tuple[int, ...], state: messages.State) -> None:
        """Take the files over, stdout first; what is beyond a command's limit will be cut, so it is not read either."""
        self._fds |= dict(zip(Stream, fds, strict=False))
        if state.state == "LIVE" and isinstance(state.record[0], int):
            self._limit = state.record[0]

    @property
    def grown(self) -> bool:
        """Whether there is more to read."""
        return any(self._end(fd) > self._offsets[stream] for stream, fd in self._fds.items())

    def read(self) -> Iterator[OutputChunk]:
        """What the files have beyond what was read, up to their end as it is now."""
        for stream, fd in self._fds.items():
            end = self._end(fd)
            while (offset := self._offsets[stream]) < end:
                data = os.pread(fd, min(_CHUNK_BYTES, end - offset), offset)
                if not data:
                    break
                self._offsets[stream] += len(data)
                yield OutputChunk(stream, offset, data)

    def _end(self, fd: int) -> int:
        return min(os.fstat(fd).st_size, self._limit)

    def close(self) -> None:
        """Close the files."""
        for fd in self._fds.values():
            os.close(fd)
