"""The loop: think, act, observe, repeat."""

from __future__ import annotations

from typing import assert_never

from taor_orchestrator import context, inheritance
from taor_orchestrator.build import BuildState, Claim, Ending, Outcome
from taor_orchestrator.closing import cancel, close, give_up, hand_over, leave, pause, rest, wait_for_answer
from taor_orchestrator.forecasting import low_note
from taor_orchestrator.history import EntryKind
from taor_orchestrator.listening import hear
from taor_orchestrator.model.port import CallFailed
from taor_orchestrator.payment import MoneyDenied, TellFirst
from taor_orchestrator.ports import CancelSeen, DependencyDown, NothingBegun, Ports
from taor_orchestrator.recovery import Act, Await, Begin, Close, Leave, Nudge, Think, next_step
from taor_orchestrator.takeover import take_over
from taor_orchestrator.tenure import Tenure
from taor_orchestrator.turn import act, observe, think

MAX_FRUITLESS_CLAIMS = 20
GAVE_UP = f"Given up: {MAX_FRUITLESS_CLAIMS} workers in a row failed without a step forward. Their logs say why."
GO_ON = "You called no tool. Go on with the build, or call `finish`."


async def run(claim: Claim, ports: Ports) -> Ending:
    """Think, act, observe, repeat, until the build ends, rests, or is handed over.

    What comes next is read from the log alone, so this is also how a build goes on after a crash, a hand-over or a
    night's sleep. Raises `LeaseLost` when another worker has it, `DependencyDown` when a service stays away, and
    `NothingBegun` when it does so from the start.
    """
    try:
        tenure = await take_over(claim, ports)
    except DependencyDown as down:
        raise NothingBegun(str(down)) from down
    try:
        while True:
            if (ending := await _step(tenure)) is not None:
                return ending
    finally:
        await tenure.close()


async def _step(tenure: Tenure) -> Ending | None:
    """Do what the log asks for next; how the tenure ends, when it does."""
    lease = tenure.ports.lease
    step = next_step(tenure.history)
    if lease.cancel_requested.is_set() and not isinstance(step, Begin | Leave):
        return await cancel(tenure)
    if tenure.claim.fruitless_claims >= MAX_FRUITLESS_CLAIMS and not isinstance(step, Begin | Leave):
        return await give_up(tenure, Outcome(BuildState.FAILED, GAVE_UP))
    if lease.pause_requested.is_set() and isinstance(step, Think | Await):
        return await pause(tenure)
    if lease.inbox_waiting.is_set() and isinstance(step, Think | Close) and await hear(tenure):
        return None
    match step:
        case Begin():
            await _begin(tenure)
        case Think() if lease.handing_over.is_set():
            return await hand_over(tenure)
        case Think():
            return await _turn(tenure)
        case Act(answer):
            await observe(tenure, answer)
        case Nudge():
            await _note(tenure, GO_ON)
        case Await():
            return await wait_for_answer(tenure)
        case Close(outcome):
            return await close(tenure, outcome)
        case Leave(outcome):
            return await leave(tenure, outcome)
        case _:
            assert_never(step)
    return None


async def _turn(tenure: Tenure) -> Ending | None:
    """One turn, or the end of the tenure when there is no money for it or no model that answers."""
    try:
        answer = await think(tenure)
    except TellFirst:
        await _note(tenure, await low_note(tenure))
        return None
    except MoneyDenied as denied:
        return await rest(tenure, denied)
    except CancelSeen:
        return await cancel(tenure)
    except CallFailed as failure:
        return await close(tenure, Outcome(BuildState.FAILED, f"The model could not be called: {failure.message}"))
    await act(tenure, answer)
    return None


async def _note(tenure: Tenure, text: str) -> None:
    """Tell the agent something in a message of its own."""
    await tenure.log.append(tenure.log.draft(EntryKind.USER, context.note_body(text)))


async def _begin(tenure: Tenure) -> None:
    """Write down how the agent is set up and what it is asked for; the first call needs it durable."""
    claim, log = tenure.claim, tenure.log
    if claim.fork is not None:
        for kind, body in inheritance.opening(tenure.history, claim):
            await log.append(log.draft(kind, body))
        return
    if tenure.history.tail is None:
        log.append(log.draft(EntryKind.HEAD, context.head_body(claim.model)))
    await log.append(log.draft(EntryKind.USER, context.assignment_body(claim.build_id, claim.assignment)))
