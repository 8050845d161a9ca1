"""Pure rules of money in the loop: how large a prompt can be, and what answer a grant can pay for.

The bound of a call is (prompt tokens) × dearest prompt rate + (output tokens) × output rate, rounded up once; the rates
come with the grant, so no price is known here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.model.port import Usage
from taor_orchestrator.transcript import picture_sizes

MIN_OUTPUT_TOKENS = 2_048
"""The smallest answer that is worth a call."""
MAX_OUTPUT_TOKENS = 16_384
"""The largest answer that is asked for."""
PROMPT_MARGIN_TOKENS = 1_024
"""What a provider may add to a prompt beyond its bytes: tool preamble, separators."""
PICTURE_TOKENS = 92 * 52
"""No picture costs more: a token for each 28×28 pixels, and what has more than 2576×1456 pixels is scaled down to that
(platform.claude.com, "Vision"; older models scale down to a third of it)."""
GUESSED_RESULT_BYTES = 4_096
"""What the result of one tool call is taken to be, while it is still unknown."""
HOLD_IDLE_SECONDS = 30.0
"""A hold that waits longer for its call is given back, so that the user's other builds are not starved."""

_MILLION = 1_000_000


class DenialCause(enum.Enum):
    """Why no money was set aside."""

    LIMIT = "LIMIT"
    HOLDS = "HOLDS"
    STALE = "STALE"


class Purpose(enum.Enum):
    """What money is set aside for. Only a hand-over may use what lies between a day's allowance and its hard stop."""

    CALL = "CALL"
    HANDOVER = "HANDOVER"
    EARMARK = "EARMARK"


@dataclass(frozen=True, slots=True)
class Need:
    """What the next call may need; `needs_sequence` is the log entry that must be durable before it is sent.

    An earmark beside it is granted with it, or neither is; one that it replaces is given back, if it is granted.
    """

    rid: str
    purpose: Purpose
    needs_sequence: int
    prompt_tokens: int
    min_output_tokens: int
    max_output_tokens: int
    earmark: Need | None = None
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the call `rid` has used, None when nobody knows, and the tools that its answer asked for."""

    rid: str
    usage: Usage | None
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """Money set aside for one call, with the rates it was computed from."""

    rid: str
    held_microdollars: int
    prompt_microdollars_per_mtok: int
    output_microdollars_per_mtok: int
    rates_hold_up_to_prompt_tokens: int
    max_output_tokens: int
    price_id: str
    expires_at_seconds: float
    prompt_tokens: int
    """The prompt that it was asked for."""
    earmark: Grant | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """No money was set aside."""

    cause: DenialCause
    account_version: int
    refresh_time: datetime
    needed_microdollars: int
    free_microdollars: int


class HoldState(enum.Enum):
    """How a take-over finds a reservation."""

    HELD = "HELD"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation that a take-over has to decide on."""

    rid: str
    state: HoldState
    needs_sequence: int
    earmark: bool


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the budget told at its last answer."""

    limit_microdollars: int
    hard_limit_microdollars: int
    spent_microdollars: int
    build_spent_microdollars: int
    refresh_time: datetime
    account_version: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What came of a reservation, and the allowance after it."""

    outcome: Grant | Denial
    allowance: Allowance


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a call costs, when money is used up next, what the build still costs until when; None is not foreseen."""

    call_microdollars: int
    sleep_time: datetime | None
    finish_microdollars: int | None
    finish_time: datetime | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a build may go on: the outlook that half of the cases do not exceed, and that of nine in ten."""

    p50: Outlook
    p90: Outlook


def prompt_bound(history: History) -> int:
    """An upper bound of the next request's prompt tokens: what was counted last, and a token for every byte since."""
    appended = 0
    for entry in reversed(history.entries):
        appended += _tokens_at_most(entry)
        if entry.kind is EntryKind.HEAD:
            break  # a request begins with its segment
        if entry.kind is EntryKind.ASSISTANT and entry.call and entry.call.usage:
            return entry.call.usage.prompt_tokens + appended + PROMPT_MARGIN_TOKENS
    return appended + PROMPT_MARGIN_TOKENS


def _tokens_at_most(entry: Entry) -> int:
    """A token for every byte; what stands for a picture is counted as a picture."""
    sizes = picture_sizes(entry)
    return len(entry.body) - sum(sizes) + len(sizes) * PICTURE_TOKENS


def guessed_bound(history: History, tool_count: int) -> int:
    """The bound of the next call while the results of the last answer's tools are still unknown."""
    return prompt_bound(history) + tool_count * GUESSED_RESULT_BYTES


def affordable_output_tokens(grant: Grant, prompt_tokens: int) -> int:
    """The most output tokens that the grant carries beside this prompt; 0 when it does not carry the prompt."""
    if prompt_tokens > grant.rates_hold_up_to_prompt_tokens:
        return 0
    left = grant.held_microdollars * _MILLION - prompt_tokens * grant.prompt_microdollars_per_mtok
    return max(0, min(left // grant.output_microdollars_per_mtok, grant.max_output_tokens))
