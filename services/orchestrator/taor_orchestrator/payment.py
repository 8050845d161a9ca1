"""Money for the next call: held before it is sent, resized to the real request, given back when it is not needed.

Beside the hold for a call, a tenure keeps an earmark: money for one hand-over, so that a build that runs out of its
allowance can still leave things in order. The rules are those of `docs/protocol.md`, "Money in periods".
"""

from __future__ import annotations

from dataclasses import dataclass

from taor_orchestrator import money, winddown
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.model.port import Usage
from taor_orchestrator.money import Denial, DenialCause, Grant, Need, Purpose
from taor_orchestrator.ports import CancelSeen, LeaseLost
from taor_orchestrator.tenure import Tenure

CALL_SECONDS = 900.0
"""The watchdog of a model call; a hold must outlive it."""
EARMARK_OUTPUT_TOKENS = 4_096
EARMARK_GROWTH_TOKENS = 16_384
"""How much the prompt may grow before the earmark has to."""


@dataclass(frozen=True, slots=True)
class MoneyDenied(Exception):
    """No money for the next call; `wake_generation` was read before the reservation that said so was sent."""

    denial: Denial
    wake_generation: int


class TellFirst(Exception):
    """The allowance is nearly used up, and the agent does not know it yet."""


async def afford(tenure: Tenure) -> tuple[Grant, int]:
    """A hold that carries the next request, and the output tokens that it pays for.

    Raises `MoneyDenied` when there is none, and `TellFirst` when what is left is for a hand-over that the agent was not
    told of yet.
    """
    prompt_tokens = money.prompt_bound(tenure.history)
    if winddown.is_over(tenure.history, tenure.allowance):
        await tenure.give_back("the hand-over is done")
    if tenure.grant is not None:
        if (output_tokens := _carried(tenure, tenure.grant, prompt_tokens)) >= money.MIN_OUTPUT_TOKENS:
            return tenure.grant, output_tokens
        await tenure.give_back("too small for the real request")
    tenure.grant = grant = await _hold(tenure, prompt_tokens)
    return grant, money.affordable_output_tokens(grant, prompt_tokens)


async def advance(tenure: Tenure, answer: Entry, usage: Usage | None, tool_count: int) -> None:
    """Settle the call that `answer` came from and hold money for the next; a denial is looked at when it is needed."""
    assert answer.call is not None
    prompt_tokens = money.guessed_bound(tenure.history, tool_count)
    need = _need(tenure, _purpose(tenure), prompt_tokens, answer.sequence)
    reserved = await tenure.ports.budget.advance(tenure.claim, answer.call.rid, usage, need)
    tenure.learn(reserved.allowance)
    tenure.grant = reserved.outcome if isinstance(reserved.outcome, Grant) else None


def must_tell(tenure: Tenure) -> bool:
    """Whether the agent has to be told, with its next message, that its allowance is nearly used up."""
    is_short = winddown.is_low(tenure.allowance) or tenure.earmark_denied
    return is_short and winddown.answers_since_told(tenure.history, tenure.allowance) is None


def _carried(tenure: Tenure, grant: Grant, prompt_tokens: int) -> int:
    if grant.expires_at_seconds - tenure.ports.clock.boottime_seconds() <= CALL_SECONDS:
        return 0
    return money.affordable_output_tokens(grant, prompt_tokens)


def _purpose(tenure: Tenure) -> Purpose:
    """Once the agent was told, its calls are the hand-over."""
    told = winddown.answers_since_told(tenure.history, tenure.allowance) if winddown.is_low(tenure.allowance) else None
    return Purpose.CALL if told is None else Purpose.HANDOVER


async def _hold(tenure: Tenure, prompt_tokens: int) -> Grant:
    if _purpose(tenure) is not Purpose.CALL:
        return await _hand_over(tenure, prompt_tokens, await _wake_generation(tenure))
    outcome, wake_generation = await _reserve_twice(tenure, prompt_tokens)
    if isinstance(outcome, Grant):
        await _keep_earmark(tenure, prompt_tokens)
        return outcome
    if outcome.cause is DenialCause.HOLDS and not _is_in_its_own_way(tenure, outcome):
        raise MoneyDenied(outcome, wake_generation)
    return await _hand_over(tenure, prompt_tokens, wake_generation)


def _is_in_its_own_way(tenure: Tenure, denial: Denial) -> bool:
    """Whether only the build's own earmark lacks: then the allowance is at its end, and waiting would bring nothing."""
    earmarked = tenure.earmark.held_microdollars if tenure.earmark else 0
    return earmarked > 0 and denial.free_microdollars + earmarked >= denial.needed_microdollars


async def _reserve_twice(tenure: Tenure, prompt_tokens: int) -> tuple[Grant | Denial, int]:
    """Reserve, and when it is denied once more: this time knowing how often the build had been woken before."""
    outcome = await _reserve(tenure, Purpose.CALL, prompt_tokens)
    if isinstance(outcome, Grant):
        return outcome, 0
    wake_generation = await _wake_generation(tenure)
    return await _reserve(tenure, Purpose.CALL, prompt_tokens), wake_generation


async def _hand_over(tenure: Tenure, prompt_tokens: int, wake_generation: int) -> Grant:
    """Hold money for a hand-over, as the earmark promised: for an agent that was told, and for a few turns."""
    told = winddown.answers_since_told(tenure.history, tenure.allowance)
    if told is None:
        raise TellFirst
    if told >= winddown.HANDOVER_TURNS:
        allowance = tenure.allowance
        over = Denial(DenialCause.LIMIT, allowance.account_version, allowance.refresh_time, 0, 0)
        raise MoneyDenied(over, wake_generation)
    await tenure.give_back_earmark("for the hand-over")
    outcome = await _reserve(tenure, Purpose.HANDOVER, prompt_tokens)
    if isinstance(outcome, Denial):
        raise MoneyDenied(outcome, wake_generation)
    return outcome


async def _wake_generation(tenure: Tenure) -> int:
    """How often the build was woken so far; a cancellation counts too, and must not be slept through."""
    builds, claim = tenure.ports.builds, tenure.claim
    generation = await builds.wake_generation(claim)
    if await builds.cancel_item(claim) is not None:
        raise CancelSeen
    return generation


async def _keep_earmark(tenure: Tenure, prompt_tokens: int) -> None:
    """Keep money for a hand-over after the worst next prompt; when there is none, the hand-over comes now."""
    if tenure.earmark is not None and tenure.earmark.prompt_tokens >= prompt_tokens:
        return
    await tenure.give_back_earmark("outgrown")
    outcome = await _reserve(tenure, Purpose.EARMARK, prompt_tokens + EARMARK_GROWTH_TOKENS)
    tenure.earmark = outcome if isinstance(outcome, Grant) else None
    tenure.earmark_denied = isinstance(outcome, Denial)


async def _reserve(tenure: Tenure, purpose: Purpose, prompt_tokens: int) -> Grant | Denial:
    need = _need(tenure, purpose, prompt_tokens, _durable_sequence(tenure.history))
    reserved = await tenure.ports.budget.reserve(tenure.claim, need)
    tenure.learn(reserved.allowance)
    if isinstance(reserved.outcome, Denial) and reserved.outcome.cause is DenialCause.STALE:
        raise LeaseLost(f"the budget knows a newer worker of {tenure.claim.build_id}")
    return reserved.outcome


def _durable_sequence(history: History) -> int:
    """The newest entry that is certain to be durable when a call is sent; results may still be on their way."""
    answers = (entry.sequence for entry in reversed(history.entries) if entry.kind is EntryKind.ASSISTANT)
    return next(answers, history.head)


def _need(tenure: Tenure, purpose: Purpose, prompt_tokens: int, needs_sequence: int) -> Need:
    wanted = EARMARK_OUTPUT_TOKENS if purpose is Purpose.EARMARK else money.MAX_OUTPUT_TOKENS
    most = min(wanted, tenure.claim.max_output_tokens)
    least = min(money.MIN_OUTPUT_TOKENS, most)
    return Need(tenure.next_rid(), purpose, needs_sequence, prompt_tokens, least, most)
