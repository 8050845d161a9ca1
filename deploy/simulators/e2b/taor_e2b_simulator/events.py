"""What envd says of a command, as messages."""

from __future__ import annotations

import signal
from typing import Literal

from e2b.envd.process.process_pb import ProcessEvent
from protobuf import Oneof

_Data = Oneof[Literal["stdout"], bytes] | Oneof[Literal["stderr"], bytes]


def start(pid: int) -> ProcessEvent:
    """It was started."""
    event: Oneof[Literal["start"], ProcessEvent.StartEvent] = Oneof("start", ProcessEvent.StartEvent(pid=pid))
    return ProcessEvent(event=event)


def stdout(chunk: bytes) -> ProcessEvent:
    """It wrote to its standard output."""
    output: Oneof[Literal["stdout"], bytes] = Oneof("stdout", chunk)
    return _data(output)


def stderr(chunk: bytes) -> ProcessEvent:
    """It wrote to its standard error."""
    output: Oneof[Literal["stderr"], bytes] = Oneof("stderr", chunk)
    return _data(output)


def end(code: int) -> ProcessEvent:
    """It is over; a negative code is the signal that ended it."""
    status = f"exit status {code}" if code >= 0 else f"signal: {signal.Signals(-code).name}"
    told = ProcessEvent.EndEvent(
        exit_code=max(code, -1), exited=code >= 0, status=status, error=status if code != 0 else None
    )
    event: Oneof[Literal["end"], ProcessEvent.EndEvent] = Oneof("end", told)
    return ProcessEvent(event=event)


def _data(output: _Data) -> ProcessEvent:
    event: Oneof[Literal["data"], ProcessEvent.DataEvent] = Oneof("data", ProcessEvent.DataEvent(output=output))
    return ProcessEvent(event=event)
