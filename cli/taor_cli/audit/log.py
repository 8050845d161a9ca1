"""Checks 1 to 3: the log is whole, every tool call is answered, and every request was the one that the log asks for."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise

from taor_cli.audit.evidence import Evidence, LogKind, LogRow
from taor_cli.audit.findings import Check, Finding, log_row
from taor_cli.audit.messages import is_object, tool_results, tool_uses


def whole(evidence: Evidence) -> Iterator[Finding]:
    """1: entries 1..head without a gap, epochs and segments never fall, each hash is that of its bytes."""
    if evidence.log_unreadable:
        yield Finding("log", evidence.log_unreadable)
        return
    for expected, row in enumerate(evidence.log, start=1):
        if row.sequence != expected:
            yield Finding(log_row(expected), f"is missing; entry {row.sequence} stands in its place")
            return
        if hashlib.sha256(row.body).digest() != row.body_sha256:
            yield Finding(log_row(row.sequence), "its bytes are not those of its hash")
        if not is_object(row):
            yield Finding(log_row(row.sequence), "its body is no JSON object")
    for before, row in pairwise(evidence.log):
        yield from _follows(before, row)
    if evidence.log and evidence.log[0].kind is not LogKind.HEAD:
        yield Finding(log_row(1), "a log opens with a HEAD")


def _follows(before: LogRow, row: LogRow) -> Iterator[Finding]:
    name = log_row(row.sequence)
    if row.epoch < before.epoch:
        yield Finding(name, f"epoch {row.epoch} after epoch {before.epoch}")
    if row.segment - before.segment != (row.kind is LogKind.HEAD):
        yield Finding(name, f"{row.kind} of segment {row.segment} after segment {before.segment}")
    if before.kind is LogKind.OUTCOME:
        yield Finding(name, "follows the outcome")
    if (row.kind is LogKind.ASSISTANT) != (row.call is not None):
        yield Finding(name, f"an entry of kind {row.kind} {'with' if row.call else 'without'} a model call")


def answered(evidence: Evidence) -> Iterator[Finding]:
    """2: an answer with tool calls is followed by one entry with their results, same ids in the same order."""
    following = (*evidence.log[1:], None)
    for row, after in zip(evidence.log, following, strict=False):  # of an empty log nothing follows
        uses = tool_uses(row) if row.kind is LogKind.ASSISTANT else ()
        is_open_tail = after is None and not evidence.build.state.is_ended
        if not uses or is_open_tail:
            continue
        results = tool_results(after) if after and after.kind is LogKind.USER else ()
        if [use.tool_use_id for use in uses] != [result.tool_use_id for result in results]:
            yield Finding(
                log_row(row.sequence), f"its {len(uses)} tool calls are not answered one for one by the next entry"
            )


def as_sent(evidence: Evidence) -> Iterator[Finding]:
    """3: each request, computed anew from the log before its answer, has the hash that was logged with the answer.

    A request is the HEAD's object with `max_tokens`, `stream` and the messages of its segment behind it.
    """
    head, messages = b"", list[bytes]()
    for row in evidence.log:
        if row.kind is LogKind.HEAD:
            head, messages = row.body, []
            continue
        if row.call is not None:
            settings = f',"max_tokens":{row.call.max_output_tokens},"stream":true,"messages":['.encode()
            request = head[:-1] + settings + b",".join(messages) + b"]}"
            if hashlib.sha256(request).digest() != row.call.request_sha256:
                yield Finding(log_row(row.sequence), "the log before it does not give the request that was sent")
        messages.append(row.body)


CHECKS = (
    Check(1, "the log has no gap, and every hash is that of its bytes", whole, reads_log=False),
    Check(2, "every tool call is answered once, in order", answered),
    Check(3, "every request was the one that the log asks for", as_sent),
)
