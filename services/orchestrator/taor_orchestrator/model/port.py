"""What the loop asks of a model: one call over ready bytes, and an answer to keep or a failure that says who pays.

CallFailed      one call that gave no complete answer; `outcome` decides the hold, `retryable` decides the loop
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class StopReason(Enum):
    """Why the model stopped, as the provider names it; a name we do not know reads as `OTHER`."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    PAUSE_TURN = "pause_turn"
    REFUSAL = "refusal"
    CONTEXT_WINDOW_EXCEEDED = "model_context_window_exceeded"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider says it counted; the four kinds of input tokens are disjoint and add up to the prompt."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    service_tier: str

    @property
    def prompt_tokens(self) -> int:
        """Everything the model read: the base of the next call's bound."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_5m_tokens + self.cache_write_1h_tokens


@dataclass(frozen=True, slots=True)
class Thinking:
    """The model's own reasoning; its signature, kept in the message bytes, binds it to the exact history before it."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Words of the model."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One tool call that the model asks for; `complete` is false when it was cut off, and then it must not be run."""

    id: str
    name: str
    input: Mapping[str, object]
    complete: bool


@dataclass(frozen=True, slots=True)
class Opaque:
    """A block of a kind that we only keep and send again."""

    kind: str


Block = Thinking | Text | ToolUse | Opaque


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer; `message` is the JSON `{"role":"assistant","content":[…]}`, stored and sent again verbatim.

    `blocks` reads the same content in the same order, one for one. `usage` is None when the server left fields out.
    """

    message: bytes
    blocks: tuple[Block, ...]
    stop_reason: StopReason
    usage: Usage | None
    provider_request_id: str
    model: str


class DeltaKind(Enum):
    """What a piece of a growing answer belongs to."""

    TEXT = "text"
    THINKING = "thinking"
    TOOL_INPUT = "tool_input"


@dataclass(frozen=True, slots=True)
class Delta:
    """A provisional piece of a growing answer: nothing may be concluded from it before the answer is complete."""

    kind: DeltaKind
    block_index: int
    text: str


class FailureKind(Enum):
    """What went wrong with a call, in words a user can act on."""

    CONNECTION = "connection"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    MALFORMED_STREAM = "malformed_stream"
    CREDENTIALS = "credentials"
    PROVIDER_SPEND_LIMIT = "provider_spend_limit"
    INVALID_REQUEST = "invalid_request"


class Outcome(Enum):
    """Whether the provider can have billed a failed call (protocol, "The turn", rule 4)."""

    NOT_SENT = "not_sent"
    REFUSED_UNBILLED = "refused_unbilled"
    UNKNOWN = "unknown"


class CallFailed(Exception):
    """A call that gave no complete answer: release its hold unless the outcome is `UNKNOWN`, which is charged."""

    def __init__(
        self,
        kind: FailureKind,
        outcome: Outcome,
        message: str,
        *,
        retryable: bool,
        retry_after_seconds: float | None = None,
        partial_usage: Usage | None = None,
        provider_request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.outcome = outcome
        self.message = message
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.partial_usage = partial_usage
        self.provider_request_id = provider_request_id


class Model(Protocol):
    """A model that answers one request at a time for each caller; many callers may share it."""

    async def call(self, request: bytes, *, on_delta: Callable[[Delta], None] | None, timeout_seconds: float) -> Answer:
        """Send these bytes once (the whole JSON body, `"stream":true` included) and wait for the complete answer.

        Never repeats the request by itself. Raises `CallFailed`; cancelling the task closes the stream, and its cost is
        then unknown.
        """
        ...

    async def close(self) -> None:
        """Close the connections; calls in flight end as `INTERRUPTED`."""
        ...
