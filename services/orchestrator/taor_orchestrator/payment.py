"""Money for the next call: held before it is sent, resized to the real request, given back when it is not needed.

Beside the hold for a call, a tenure keeps an earmark: money for one hand-over, so that a build that runs out of its
allowance can still leave things in order. The rules are those of `docs/protocol.md`, "Money in periods".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from taor_orchestrator import money, winddown
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.money import Denial, DenialCause, Grant, Need, Purpose, Reserved, Settlement
from taor_orchestrator.ports import CancelSeen, LeaseLost
from taor_orchestrator.tenure import Tenure
from taor_orchestrator.transcript import tools_of

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


async def advance(tenure: Tenure, answer: Entry) -> None:
    """Settle the call that `answer` came from and hold money for the next; a denial is looked at when it is needed.

    An earmark that the next prompt may outgrow is resized in the same commit; when the allowance does not carry that,
    the hand-over comes now.
    """
    assert answer.call is not None
    tools = tools_of(answer)
    prompt_tokens = money.guessed_bound(tenure.history, len(tools))
    need = _need(tenure, _purpose(tenure), prompt_tokens, answer.sequence)
    if need.purpose is not Purpose.CALL or not _is_earmarked(tenure, prompt_tokens):
        need = _with_earmark(tenure, need)
    settlement = Settlement(answer.call.rid, answer.call.usage, tools)
    outcome = _kept(tenure, need, await tenure.ports.budget.advance(tenure.claim, settlement, need))
    tenure.grant = outcome if isinstance(outcome, Grant) else None
    if need.earmark and isinstance(outcome, Denial) and outcome.cause is DenialCause.LIMIT:
        tenure.earmark_denied = True


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
        return outcome
    waits = outcome.cause is DenialCause.HOLDS and not _is_in_its_own_way(tenure, outcome)
    if waits or _is_first(tenure):
        raise MoneyDenied(outcome, wake_generation)
    return await _hand_over(tenure, prompt_tokens, wake_generation)


def _is_in_its_own_way(tenure: Tenure, denial: Denial) -> bool:
    """Whether only the build's own earmark lacks: then the allowance is at its end, and waiting would bring nothing."""
    earmarked = tenure.earmark.held_microdollars if tenure.earmark else 0
    return earmarked > 0 and denial.free_microdollars + earmarked >= denial.needed_microdollars


def _is_first(tenure: Tenure) -> bool:
    """Whether this worker has had neither an answer nor an earmark: then it leaves nothing to hand over."""
    own = f"{tenure.claim.build_id}/{tenure.claim.epoch}/"
    answered = any(entry.call and entry.call.rid.startswith(own) for entry in reversed(tenure.history.entries))
    return tenure.earmark is None and not answered


async def _reserve_twice(tenure: Tenure, prompt_tokens: int) -> tuple[Grant | Denial, int]:
    """Reserve, and when it is denied once more: this time knowing how often the build had been woken before."""
    outcome = await _reserve_call(tenure, prompt_tokens)
    if isinstance(outcome, Grant):
        return outcome, 0
    wake_generation = await _wake_generation(tenure)
    return await _reserve_call(tenure, prompt_tokens), wake_generation


async def _reserve_call(tenure: Tenure, prompt_tokens: int) -> Grant | Denial:
    """Reserve for the call and, unless it is held, for the hand-over after it: the first call of a tenure not alone.

    A later call may go alone, and so may one with which a whole day could not carry its hand-over, for that would never
    be paid: the hand-over then comes at once.
    """
    need = _need(tenure, Purpose.CALL, prompt_tokens, _durable_sequence(tenure.history))
    if _is_earmarked(tenure, prompt_tokens):
        return await _reserve(tenure, need)
    outcome = await _reserve(tenure, _with_earmark(tenure, need))
    if isinstance(outcome, Grant):
        return outcome
    if _is_first(tenure) and outcome.needed_microdollars <= tenure.allowance.hard_limit_microdollars:
        return outcome
    tenure.earmark_denied = True
    return await _reserve(tenure, replace(need, rid=tenure.next_rid()))


async def _hand_over(tenure: Tenure, prompt_tokens: int, wake_generation: int) -> Grant:
    """Make the earmark the hold of a hand-over, as it promised: for an agent that was told, and for a few turns."""
    told = winddown.answers_since_told(tenure.history, tenure.allowance)
    if told is None:
        raise TellFirst
    if told >= winddown.HANDOVER_TURNS:
        allowance = tenure.allowance
        over = Denial(DenialCause.LIMIT, allowance.account_version, allowance.refresh_time, 0, 0)
        raise MoneyDenied(over, wake_generation)
    need = _need(tenure, Purpose.HANDOVER, prompt_tokens, _durable_sequence(tenure.history))
    outcome = await _reserve(tenure, _with_earmark(tenure, need))
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


def _is_earmarked(tenure: Tenure, prompt_tokens: int) -> bool:
    """Whether the money that is kept for a hand-over carries one after this prompt."""
    return tenure.earmark is not None and tenure.earmark.prompt_tokens >= prompt_tokens


def _with_earmark(tenure: Tenure, need: Need) -> Need:
    """The need in exchange for the earmark so far; a call also wants one for the worst next prompt."""
    replaced = tenure.earmark.rid if tenure.earmark else ""
    if need.purpose is not Purpose.CALL:
        return replace(need, replaces=replaced)
    largest = need.prompt_tokens + EARMARK_GROWTH_TOKENS
    earmark = _need(tenure, Purpose.EARMARK, largest, need.needs_sequence)
    return replace(need, earmark=earmark, replaces=replaced)


async def _reserve(tenure: Tenure, need: Need) -> Grant | Denial:
    outcome = _kept(tenure, need, await tenure.ports.budget.reserve(tenure.claim, need))
    if isinstance(outcome, Denial) and outcome.cause is DenialCause.STALE:
        raise LeaseLost(f"the budget knows a newer worker of {tenure.claim.build_id}")
    return outcome


def _kept(tenure: Tenure, need: Need, reserved: Reserved) -> Grant | Denial:
    """Learn what the answer tells: the allowance, and with a grant which earmark is held from now on."""
    tenure.learn(reserved.allowance)
    if isinstance(reserved.outcome, Grant):
        if need.replaces:
            tenure.earmark = None
        if need.earmark:
            tenure.earmark = reserved.outcome.earmark
            tenure.earmark_denied = False
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
