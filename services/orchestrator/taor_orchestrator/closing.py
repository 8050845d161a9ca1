"""The ends of a tenure: the build is closed, put to rest, or handed over."""

from __future__ import annotations

import datetime
from dataclasses import replace

from taor_orchestrator import context, localtools, recovery
from taor_orchestrator.build import BuildState, Ended, HandedOver, Outcome, Rested, Waiting
from taor_orchestrator.forecasting import forecast
from taor_orchestrator.history import Entry, EntryKind
from taor_orchestrator.inbox import TextKind
from taor_orchestrator.listening import look_up, pass_on, unread
from taor_orchestrator.money import DenialCause
from taor_orchestrator.payment import MoneyDenied
from taor_orchestrator.ports import Fate, Rest, StaleGeneration
from taor_orchestrator.recovery import Act, next_step
from taor_orchestrator.tenure import Tenure
from taor_orchestrator.toolset import OperationState
from taor_orchestrator.transcript import ToolAnswer, tool_uses
from taor_orchestrator.turn import observe

GIVEN_UP = ToolAnswer("The build was given up before the result was known: whether this ran is not known.", failed=True)
RETRY_WAITING_SECONDS = 10
"""How long a build waits for the holds of its siblings before it looks again by itself."""
WAKE_SPREAD_SECONDS = 120
"""Over how many seconds the builds that wake at one midnight are spread."""


async def close(
    tenure: Tenure, outcome: Outcome, inbox_ids: tuple[str, ...] = (), *, results: bytes | None = None
) -> Ended:
    """Give back what is held, keep the files, log the outcome, and let it be seen.

    `results`, the message that answers what is open, goes to the log in one append with the outcome.
    """
    await tenure.give_back_all("the build has ended")
    await tenure.log.flush()
    if any(entry.kind is EntryKind.ASSISTANT and not entry.is_inherited for entry in tenure.history.entries):
        tenure.attach_sandbox()  # a worker before us may have used it, and its last effects must be kept
    await tenure.release_sandbox(_fate(outcome))
    if results is not None:
        tenure.log.trail(tenure.log.draft(EntryKind.USER, results))
    tenure.log.append(tenure.log.draft(EntryKind.OUTCOME, localtools.outcome_body(outcome), inbox_ids=inbox_ids))
    return await leave(tenure, outcome)


async def leave(tenure: Tenure, outcome: Outcome) -> Ended:
    """The outcome is logged: let it be seen."""
    await tenure.log.flush()
    return Ended(outcome)


async def cancel(tenure: Tenure) -> Ended:
    """Answer what is open, each call as it really stands, and close the build."""
    step = next_step(tenure.history)
    if isinstance(step, Act):
        await observe(tenure, step.answer)
    item = await tenure.ports.builds.cancel_item(tenure.claim)
    outcome = Outcome(BuildState.CANCELLED, "The build was cancelled.")
    return await close(tenure, outcome, (item,) if item else ())


async def give_up(tenure: Tenure, outcome: Outcome) -> Ended:
    """Close a build that worker after worker took no further; nothing that they may have failed at is tried again.

    Open calls are killed and answered without a look at their results, so that the log can be read, and forked from.
    """
    step = next_step(tenure.history)
    if not isinstance(step, Act):
        return await close(tenure, outcome)
    await _kill_open(tenure, step.answer)
    uses = tool_uses(step.answer)
    return await close(tenure, outcome, results=context.results_body(uses, [GIVEN_UP] * len(uses)))


async def _kill_open(tenure: Tenure, answer: Entry) -> None:
    """Kill what still runs of an answer's tools; what was lost with its sandbox runs no more."""
    op_ids = {recovery.op_id(answer, use) for use in tool_uses(answer)}
    for operation in await tenure.operations():
        if operation.op_id in op_ids and operation.state is OperationState.STARTING:
            generation = await tenure.generation()
            try:
                await tenure.ports.sandbox.cancel(tenure.claim, generation, operation.op_id)
            except StaleGeneration:
                tenure.lose_sandbox(generation)


async def rest(tenure: Tenure, denied: MoneyDenied) -> Rested | None:
    """Put the build to rest until there may be money; None when it was woken meanwhile and has to look again."""
    await _let_go(tenure, "the build rests")
    resting = replace(_rest(tenure, denied), forecast=await forecast(tenure))
    wake_time = await tenure.ports.builds.rest(tenure.claim, resting, denied.wake_generation)
    if wake_time is not None:
        return Rested(resting.state, wake_time)
    await look_up(tenure)
    return None


async def wait_for_answer(tenure: Tenure) -> Waiting | None:
    """Pass the answer on, if it is there; else put the build to rest until it is."""
    wake_generation = await tenure.ports.builds.wake_generation(tenure.claim)  # an answer raises it: look after this
    items = await unread(tenure)
    if any(item.kind is TextKind.ANSWER for item in items):
        await pass_on(tenure, items)
        return None
    await _let_go(tenure, "the build waits for an answer")
    return await _wait(tenure, BuildState.WAITING_ANSWER, wake_generation)


async def pause(tenure: Tenure) -> Waiting | None:
    """Put the build to rest until it is resumed; None when it was resumed, or cancelled, meanwhile."""
    await _let_go(tenure, "the build is paused")
    return await _wait(tenure, BuildState.PAUSED, await tenure.ports.builds.wake_generation(tenure.claim))


async def hand_over(tenure: Tenure) -> HandedOver:
    """Leave the build at a turn boundary, with nothing held and everything written."""
    await tenure.give_back_all("handed over")
    await tenure.log.flush()
    return HandedOver()


async def _let_go(tenure: Tenure, reason: str) -> None:
    """Hold nothing any more: no money, nothing unwritten, no running sandbox."""
    await tenure.give_back_all(reason)
    await tenure.log.flush()
    await tenure.release_sandbox(Fate.PAUSE)
    tenure.detach_sandbox()


async def _wait(tenure: Tenure, state: BuildState, wake_generation: int) -> Waiting | None:
    if await tenure.ports.builds.wait(tenure.claim, state, wake_generation):
        return Waiting(state)
    await look_up(tenure)
    return None


def _fate(outcome: Outcome) -> Fate:
    return Fate.KEEP_FOR_PREVIEW if outcome.preview_port else Fate.DESTROY


def _rest(tenure: Tenure, denied: MoneyDenied) -> Rest:
    """Until the allowance is refreshed, or for a moment when only other holds stand in the way."""
    denial = denied.denial
    if denial.cause is DenialCause.HOLDS:
        return Rest(BuildState.WAITING_BUDGET, denial.account_version, RETRY_WAITING_SECONDS)
    spread = datetime.timedelta(seconds=int(tenure.claim.build_id[-4:], 16) % WAKE_SPREAD_SECONDS)
    wake_time = denial.refresh_time + spread
    return Rest(BuildState.SLEEPING, denial.account_version, RETRY_WAITING_SECONDS, wake_time)
