"""Following a command from inside: its outputs grow in files, its end comes as an event."""

import os
import sys
import time

from taor_sandbox.agent.messages import Look, State
from taor_sandbox.backends.e2b.inside.frames import CHUNK_BYTES, Again, emit, emit_bytes
from taor_sandbox.backends.e2b.inside.link import Link
from taor_sandbox.backends.e2b.inside.refusals import tell
from taor_sandbox.backends.e2b.inside.requests import Follow

_STREAMS = ("stdout", "stderr")
_LIFE_SECONDS = 300.0
"""A follower whose service is gone must end some time."""
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.2


def follow(link: Link, request: Follow) -> None:
    """Tell the outputs from the given offsets on, then the end state."""
    outputs = _Outputs({"stdout": request.stdout, "stderr": request.stderr})
    deadline = time.monotonic() + _LIFE_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while True:
        state, fds = link.ask(Look(request.op_id, not outputs.fds))
        assert isinstance(state, State)
        outputs.adopt(fds, state)
        if outputs.tell():
            pause = _FIRST_PAUSE_SECONDS
        if state.state != "LIVE":
            tell(request.op_id)
            emit(state)
            return
        if time.monotonic() > deadline:
            emit(Again())
            return
        if request.op_id not in link.ended:
            link.wait(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


class _Outputs:
    """The two output files of one command, read forward."""

    def __init__(self, offsets: dict[str, int]) -> None:
        self.fds: dict[str, int] = {}
        self._offsets = offsets
        self._limit = sys.maxsize

    def adopt(self, fds: list[int], state: State) -> None:
        """Take the files over; what is beyond a command's limit will be cut, so it is not read either."""
        self.fds |= dict(zip(_STREAMS, fds, strict=False))
        if state.state == "LIVE" and isinstance(state.record[0], int):
            self._limit = state.record[0]

    def tell(self) -> bool:
        """Tell what is new, up to the end as it is now; False when nothing was."""
        told = False
        for stream, fd in self.fds.items():
            end = min(os.fstat(fd).st_size, self._limit)
            while (offset := self._offsets[stream]) < end:
                data = os.pread(fd, min(CHUNK_BYTES, end - offset), offset)
                if not data:
                    break
                emit_bytes(stream, offset, data)
                self._offsets[stream] = offset + len(data)
                told = True
        return told
