"""What a script is: a title and steps; each step is one answer of the model, and it may go wrong on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from taor_model_simulator.request import Object


class FaultKind(Enum):
    """How a call can fail. The last five happen after the answer has begun, so a real provider would bill them."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    SPEND_LIMIT = "spend_limit"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    GATEWAY_TIMEOUT = "gateway_timeout"
    OVERLOADED = "overloaded"
    STREAM_ERROR = "stream_error"
    RESET = "reset"
    TRUNCATE = "truncate"
    STALL = "stall"
    NO_USAGE = "no_usage"


@dataclass(frozen=True, slots=True)
class Fault:
    """One declared failure: it strikes the first `times` attempts at a step of a conversation, then the step plays."""

    kind: FaultKind
    times: int = 1
    after_events: int = 4
    seconds: float = 0.0
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool call. `expect` must stand in its result, `reject` must not; else the script reports failure and ends."""

    name: str
    input: Object
    expect: str = ""
    reject: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One answer, given again when `again` stands in a result of its tools.

    Latency is the wait before the first byte; pace is the wait between two pieces of a stream.
    """

    think: str = ""
    say: str = ""
    tools: tuple[Tool, ...] = ()
    stop: str = ""
    fault: Fault | None = None
    again: str = ""
    latency_seconds: float = 0.0
    pace_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Script:
    """A named sequence of answers."""

    name: str
    steps: tuple[Step, ...]


def finish(summary: str, *, outcome: str, command: str, found: str) -> Tool:
    """The call that ends a build as `succeeded` or `failed`, with its verification record."""
    verification: Object = {"command": command, "outcome": found}
    return Tool("finish", {"summary": summary, "outcome": outcome, "verification": verification})
