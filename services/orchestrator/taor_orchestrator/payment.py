"""Money for the next call: held before it is sent, resized to the real request, given back when it is not needed."""

from __future__ import annotations

from dataclasses import dataclass

from taor_orchestrator import money
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.model.port import Usage
from taor_orchestrator.money import Denial, DenialCause, Grant, Need
from taor_orchestrator.ports import LeaseLost
from taor_orchestrator.tenure import Tenure

CALL_SECONDS = 900.0
"""The watchdog of a model call; a hold must outlive it."""


@dataclass(frozen=True, slots=True)
class MoneyDenied(Exception):
    """No money for the next call; `wake_generation` was read before the reservation that said so was sent."""

    denial: Denial
    wake_generation: int


async def afford(tenure: Tenure) -> tuple[Grant, int]:
    """A hold that carries the next request, and the output tokens that it pays for; raises `MoneyDenied`."""
    prompt_tokens = money.prompt_bound(tenure.history)
    if tenure.grant is not None:
        if (output_tokens := _carried(tenure, tenure.grant, prompt_tokens)) >= money.MIN_OUTPUT_TOKENS:
            return tenure.grant, output_tokens
        await tenure.give_back("too small for the real request")
    tenure.grant = grant = await _reserve(tenure, prompt_tokens)
    return grant, money.affordable_output_tokens(grant, prompt_tokens)


async def advance(tenure: Tenure, answer: Entry, usage: Usage | None, tool_count: int) -> None:
    """Settle the call that `answer` came from and hold money for the next; a denial is looked at when it is needed."""
    assert answer.call is not None
    prompt_tokens = money.guessed_bound(tenure.history, tool_count)
    need = _need(tenure, prompt_tokens, answer.sequence)
    advanced = await tenure.ports.budget.advance(tenure.claim, answer.call.rid, usage, need)
    tenure.projector.spent(advanced.allowance.build_spent_microdollars)
    tenure.grant = advanced.outcome if isinstance(advanced.outcome, Grant) else None


def _carried(tenure: Tenure, grant: Grant, prompt_tokens: int) -> int:
    if grant.expires_at_seconds - tenure.ports.clock.boottime_seconds() <= CALL_SECONDS:
        return 0
    return money.affordable_output_tokens(grant, prompt_tokens)


async def _reserve(tenure: Tenure, prompt_tokens: int) -> Grant:
    """Reserve, and when it is denied once more: this time knowing how often the build had been woken before."""
    budget, claim = tenure.ports.budget, tenure.claim
    sequence = _durable_sequence(tenure.history)
    outcome = await budget.reserve(claim, _need(tenure, prompt_tokens, sequence))
    if isinstance(outcome, Grant):
        return outcome
    wake_generation = await tenure.ports.builds.wake_generation(claim)
    outcome = await budget.reserve(claim, _need(tenure, prompt_tokens, sequence))
    if isinstance(outcome, Grant):
        return outcome
    if outcome.cause is DenialCause.STALE:
        raise LeaseLost(f"the budget knows a newer worker of {claim.build_id}")
    raise MoneyDenied(outcome, wake_generation)


def _durable_sequence(history: History) -> int:
    """The newest entry that is certain to be durable when a call is sent; results may still be on their way."""
    answers = (entry.sequence for entry in reversed(history.entries) if entry.kind is EntryKind.ASSISTANT)
    return next(answers, history.head)


def _need(tenure: Tenure, prompt_tokens: int, needs_sequence: int) -> Need:
    most = min(money.MAX_OUTPUT_TOKENS, tenure.claim.max_output_tokens)
    least = min(money.MIN_OUTPUT_TOKENS, most)
    return Need(tenure.next_rid(), needs_sequence, prompt_tokens, least, most)
