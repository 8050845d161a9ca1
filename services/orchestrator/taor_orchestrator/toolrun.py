"""Running the tool calls of one answer: each once, reads side by side, changes one at a time and in order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence

from taor_orchestrator import localtools, recovery, strikes
from taor_orchestrator.concurrency import Interrupted, together, unless
from taor_orchestrator.history import Entry
from taor_orchestrator.ports import StaleGeneration
from taor_orchestrator.tenure import MAX_GENERATIONS, Tenure
from taor_orchestrator.toolset import READ_ONLY, BadToolInput, ToolInput, parse
from taor_orchestrator.transcript import ToolAnswer, Use

CUT_OFF = ToolAnswer("Not run: the answer was cut off in its midst. Call again, in smaller pieces.", failed=True)
CANCELLED = ToolAnswer("Not run: the build was cancelled.", failed=True)


async def run_tools(
    tenure: Tenure, answer: Entry, uses: Sequence[Use], logged: asyncio.Future[None] | None
) -> list[ToolAnswer]:
    """The answers to `uses` in their order. A change waits for `logged`: nothing starts that a crash could forget."""
    answers: list[ToolAnswer] = []
    for is_read, batch in _batches(uses):
        if not is_read and logged is not None:
            await asyncio.shield(logged)
        answers += await together(*(_run(tenure, answer, use) for use in batch))
    return answers


def _batches(uses: Sequence[Use]) -> Iterator[tuple[bool, list[Use]]]:
    """Neighbouring reads together, every other call by itself."""
    for is_read, group in itertools.groupby(uses, key=_is_read):
        if is_read:
            yield True, list(group)
        else:
            yield from ((False, [use]) for use in group)


def _is_read(use: Use) -> bool:
    try:
        return isinstance(parse(use.name, use.input), READ_ONLY)
    except BadToolInput:
        return False


async def _run(tenure: Tenure, answer: Entry, use: Use) -> ToolAnswer:
    if not use.is_complete:
        return CUT_OFF
    if use.name in localtools.NAMES:
        return localtools.answer(use, tenure.history)
    if tenure.ports.lease.cancel_requested.is_set() and not await _has_begun(tenure, recovery.op_id(answer, use)):
        return CANCELLED
    try:
        tool = parse(use.name, use.input)
    except BadToolInput as problem:
        return ToolAnswer(str(problem), failed=True)
    refusal = None if isinstance(tool, READ_ONLY) else strikes.refusal(tenure.failures(), use)
    if refusal is not None and not await _has_begun(tenure, recovery.op_id(answer, use)):
        return ToolAnswer(refusal, failed=True)
    return await _dispatch(tenure, answer, use, tool)


async def _has_begun(tenure: Tenure, op_id: str) -> bool:
    """Whether a worker before us has started this call: then its true result is told, cancelled or not."""
    return any(operation.op_id == op_id for operation in await tenure.operations())


async def _dispatch(tenure: Tenure, answer: Entry, use: Use, tool: ToolInput) -> ToolAnswer:
    """Run it in the sandbox; when that is replaced meanwhile, in the new one, under the same id."""
    for _ in range(MAX_GENERATIONS):
        generation = await tenure.generation()
        try:
            return await _follow(tenure, generation, recovery.op_id(answer, use), answer.sequence, tool)
        except StaleGeneration:
            tenure.lose_sandbox(generation)
    return ToolAnswer("Interrupted: the sandbox was replaced again and again. Look at the files.", failed=True)


async def _follow(tenure: Tenure, generation: int, op_id: str, log_sequence: int, tool: ToolInput) -> ToolAnswer:
    """Wait for the result; a cancellation kills the command, whose result then says so."""
    ports, claim = tenure.ports, tenure.claim
    ports.lease.check()
    try:
        work = ports.sandbox.dispatch(claim, generation, op_id, log_sequence, tool)
        return await unless(ports.lease.cancel_requested, work)
    except Interrupted:
        if isinstance(tool, READ_ONLY):
            return CANCELLED
        if not await ports.sandbox.cancel(claim, generation, op_id):
            return CANCELLED
        return await ports.sandbox.dispatch(claim, generation, op_id, log_sequence, tool)
