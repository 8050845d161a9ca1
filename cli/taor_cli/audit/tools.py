"""Checks 10 to 12: effects. Every operation was asked for, ran once, was told truly, and is in the newest snapshot."""

import hashlib
from collections import Counter
from collections.abc import Iterator

from taor_cli.audit.evidence import Evidence, LogKind, Operation, OperationState
from taor_cli.audit.findings import Check, Finding
from taor_cli.audit.messages import ToolResult, tool_results, tool_uses
from taor_cli.builds import BuildState

NO_OUTPUT = "(no output)"
GIVEN_UP = "The build was given up before the result was known: whether this ran is not known."


def asked_for(evidence: Evidence) -> Iterator[Finding]:
    """10: an operation's answer is in the log, and its logged result is the one that it had."""
    last_sequence = len(evidence.log)
    for operation in evidence.operations:
        name = f"operation {operation.op_id}"
        if not 1 <= operation.log_sequence <= last_sequence:
            yield Finding(name, f"ran for log {operation.log_sequence}, which does not exist")
            continue
        row = evidence.log[operation.log_sequence - 1]
        rid, _, index = operation.op_id.rpartition("/")
        uses = {str(use.index): place for place, use in enumerate(tool_uses(row))}
        if row.kind is not LogKind.ASSISTANT or row.call is None or row.call.rid != rid or index not in uses:
            yield Finding(name, f"log {row.sequence} does not ask for it")
            continue
        if operation.log_sequence < last_sequence:
            results = tool_results(evidence.log[operation.log_sequence])
            yield from _told(evidence, operation, results[uses[index] : uses[index] + 1])


def _told(evidence: Evidence, operation: Operation, results: tuple[ToolResult, ...]) -> Iterator[Finding]:
    if not results or not operation.result_sha256 or _may_be_untold(evidence, operation, results[0]):
        return
    texts = (results[0].text, "") if results[0].text == NO_OUTPUT else (results[0].text,)
    if operation.result_sha256 not in [hashlib.sha256(text.encode()).digest() for text in texts]:
        yield Finding(
            f"operation {operation.op_id}", f"log {operation.log_sequence + 1} tells another result than it had"
        )


def _may_be_untold(evidence: Evidence, operation: Operation, result: ToolResult) -> bool:
    """A build that is cancelled or given up may answer its last calls without a look at what became of them."""
    is_last = operation.log_sequence >= len(evidence.log) - 2
    if result.failed and result.text == GIVEN_UP:
        return is_last or bool(evidence.log[operation.log_sequence - 1].origin_build_id)
    return is_last and evidence.build.state is BuildState.CANCELLED


def ran_once(evidence: Evidence) -> Iterator[Finding]:
    """11: at most one claim of an operation in a generation, and none in a generation that never was."""
    for op_id, count in Counter(operation.op_id for operation in evidence.operations).items():
        if count > 1:
            yield Finding(f"operation {op_id}", f"stands {count} times in the journal")
    newest = evidence.sandbox.generation if evidence.sandbox else 0
    for operation in evidence.operations:
        if operation.claims > 1:
            yield Finding(f"operation {operation.op_id}", f"was claimed {operation.claims} times")
        # What a fork has inherited ran in no generation of its own, unless it was done again.
        first = 1 if _is_own(evidence, operation.op_id) else 0
        if not first <= operation.generation <= newest:
            yield Finding(f"operation {operation.op_id}", f"ran in generation {operation.generation} of {newest}")
        if operation.state is OperationState.STARTING and evidence.build.state.is_ended:
            yield Finding(f"operation {operation.op_id}", "is still open in a build that has ended")


def covered(evidence: Evidence) -> Iterator[Finding]:
    """12: the newest snapshot of a resting build covers its last operation, and each one an operation that there is."""
    yield from _known(evidence)
    if not evidence.operations:
        return
    last = max(evidence.operations, key=_place)
    if not evidence.snapshots:
        yield Finding(f"operation {last.op_id}", "no snapshot has its effect")
        return
    newest = max(evidence.snapshots, key=lambda it: (it.covers_log_sequence, _index(it.covers_op_id)))
    if (newest.covers_log_sequence, _index(newest.covers_op_id)) < _place(last):
        yield Finding(f"snapshot {newest.snapshot_id}", f"covers {newest.covers_op_id or 'nothing'}, not {last.op_id}")


def _known(evidence: Evidence) -> Iterator[Finding]:
    newest = evidence.sandbox.generation if evidence.sandbox else 0
    places = {operation.op_id: operation.log_sequence for operation in evidence.operations}
    for snapshot in evidence.snapshots:
        name = f"snapshot {snapshot.snapshot_id}"
        if snapshot.generation > newest:
            yield Finding(name, f"was taken of generation {snapshot.generation} of {newest}")
        # What a fork has inherited covers an operation of the other build.
        op_id, sequence = snapshot.covers_op_id, snapshot.covers_log_sequence
        if _is_own(evidence, op_id) and places.get(op_id) != sequence:
            where = f"{op_id} of log {sequence}"
            yield Finding(name, f"covers {where}, which is no operation of the build")


def _is_own(evidence: Evidence, op_id: str) -> bool:
    return op_id.startswith(f"{evidence.build.build_id}/")


def _place(operation: Operation) -> tuple[int, int]:
    return operation.log_sequence, _index(operation.op_id)


def _index(op_id: str) -> int:
    index = op_id.rpartition("/")[2]
    return int(index) if index.isdecimal() else -1


CHECKS = (
    Check(10, "every operation was asked for, and its result told as it was", asked_for),
    Check(11, "no operation ran twice", ran_once, reads_log=False),
    Check(12, "the newest snapshot has every effect", covered, at_rest_only=True, reads_log=False),
)
