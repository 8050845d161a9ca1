"""One turn: think (a model call, paid for before it is sent), act (log, settle and run tools side by side), observe."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable

from taor_orchestrator import context, money
from taor_orchestrator.concurrency import Interrupted, together, unless
from taor_orchestrator.forecasting import low_note
from taor_orchestrator.history import Entry, EntryKind, ModelCall
from taor_orchestrator.livetext import CallName
from taor_orchestrator.model.port import Answer, CallFailed, Delta, Outcome
from taor_orchestrator.money import Grant
from taor_orchestrator.payment import CALL_SECONDS, advance, afford, must_tell
from taor_orchestrator.ports import CancelSeen
from taor_orchestrator.tenure import Tenure
from taor_orchestrator.toolrun import run_tools
from taor_orchestrator.transcript import tool_uses

MAX_ATTEMPTS = 30
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0

_log = logging.getLogger(__name__)


async def think(tenure: Tenure) -> Entry:
    """Call the model until it answers; raises `CallFailed` when it never will, `MoneyDenied` when it cannot be paid."""
    for attempt in range(MAX_ATTEMPTS):
        grant, output_tokens = await afford(tenure)
        tenure.attach_sandbox()
        try:
            return await _call(tenure, grant, output_tokens)
        except CallFailed as failure:
            await _book(tenure, grant, failure)
            if not failure.retryable or attempt == MAX_ATTEMPTS - 1:
                raise
            await _back_off(tenure, attempt, failure)
    raise AssertionError("the last attempt returns or raises")


async def act(tenure: Tenure, answer: Entry) -> None:
    """Log the answer, settle it while reserving for the next call, and run its tools: all side by side."""
    logged = tenure.log.append(answer)
    await together(_await(logged), advance(tenure, answer), observe(tenure, answer, logged))
    tenure.snapshot_soon()


async def observe(tenure: Tenure, answer: Entry, logged: asyncio.Future[None] | None = None) -> None:
    """Run the tools of `answer`, changing ones only once it is logged, and send the results on their way to the log."""
    uses = tool_uses(answer)
    if not uses:
        return
    results = asyncio.ensure_future(run_tools(tenure, answer, uses, logged))
    try:
        await asyncio.wait({results}, timeout=money.HOLD_IDLE_SECONDS)
        if not results.done():
            await tenure.give_back("waiting for tools")
        answers = await results
    finally:
        results.cancel()
    notes, tenure.notes = tenure.notes, []
    if must_tell(tenure):
        notes.append(await low_note(tenure))
    body = context.results_body(uses, answers, notes, history=tenure.history)
    tenure.log.trail(tenure.log.draft(EntryKind.USER, body))


async def _call(tenure: Tenure, grant: Grant, output_tokens: int) -> Entry:
    request = context.request_body(tenure.history, output_tokens)
    ports = tenure.ports
    started = ports.clock.now()
    if ports.lease.cancel_requested.is_set():
        raise CancelSeen
    ports.lease.check()
    tenure.grant = None  # from here on the hold belongs to the call
    try:
        answer = await unless(
            ports.lease.cancel_requested,
            ports.model.call(request, on_delta=_listener(tenure, grant), timeout_seconds=CALL_SECONDS),
        )
    except Interrupted:
        tenure.learn(await ports.budget.charge(tenure.claim, grant.rid, "cancelled while the model was answering"))
        raise CancelSeen from None
    call = ModelCall(
        rid=grant.rid,
        request_sha256=hashlib.sha256(request).digest(),
        model=tenure.claim.model,
        max_output_tokens=output_tokens,
        usage=answer.usage,
        stop_reason=_stop_reason(answer),
        price_id=grant.price_id,
        start_time=started,
    )
    return tenure.log.draft(EntryKind.ASSISTANT, answer.message, call=call)


def _listener(tenure: Tenure, grant: Grant) -> Callable[[Delta], None] | None:
    """Who hears the words of the call as they come; mostly nobody."""
    voice, build_id = tenure.ports.voice, tenure.claim.build_id
    if voice is None or not voice.is_read(build_id):
        return None
    return voice.teller(CallName(build_id, grant.rid, len(tenure.history.of(EntryKind.ASSISTANT)) + 1))


def _stop_reason(answer: Answer) -> str:
    return answer.stop_reason.value


async def _book(tenure: Tenure, grant: Grant, failure: CallFailed) -> None:
    """Give the hold back when the provider cannot have billed the call, else book all of it."""
    _log.warning("a model call failed", extra={"rid": grant.rid, "kind": failure.kind.value, "why": failure.message})
    match failure.outcome:
        case Outcome.NOT_SENT | Outcome.REFUSED_UNBILLED:
            await tenure.ports.budget.release(tenure.claim, grant.rid, failure.kind.value)
        case Outcome.UNKNOWN:
            tenure.learn(await tenure.ports.budget.charge(tenure.claim, grant.rid, failure.kind.value))


async def _back_off(tenure: Tenure, attempt: int, failure: CallFailed) -> None:
    seconds = min(FIRST_BACKOFF_SECONDS * 2**attempt, LONGEST_BACKOFF_SECONDS)
    if failure.retry_after_seconds is not None:
        seconds = min(max(seconds, failure.retry_after_seconds), LONGEST_BACKOFF_SECONDS)
    try:
        await unless(tenure.ports.lease.cancel_requested, asyncio.sleep(seconds))
    except Interrupted:
        raise CancelSeen from None


async def _await(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)
