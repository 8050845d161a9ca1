"""What a fork logs before its first call, so that the agent knows where it stands. Pure.

With the model of its origin the inherited messages go on byte for byte, and a message follows them. Another model can
use neither their bytes nor their signatures: its own segment begins with the brief and an account of what was done.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from taor_orchestrator import context
from taor_orchestrator.build import Claim, Fork
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.transcript import texts, tool_results, tool_uses

MAX_ACCOUNT_CHARS = 120_000
"""Of the account: its oldest part is left out."""
MAX_PIECE_CHARS = 4_000
"""Of one text, tool call or result in it; cut in the middle."""
_CUT = "\n[…]\n"


def opening(history: History, claim: Claim) -> Iterator[tuple[EntryKind, bytes]]:
    """The entries that a fork has to log now; a worker before this one may have logged the first."""
    fork, tail = claim.fork, history.tail
    assert fork is not None
    assert tail is not None
    inherited = History(tuple(entry for entry in history.entries if entry.is_inherited))
    if model_of(inherited) == claim.model:
        yield EntryKind.USER, context.note_body(f"taor-build: {claim.build_id}\n\n{_note(fork)}")
        return
    if tail.is_inherited:
        yield EntryKind.HEAD, context.head_body(claim.model)
    yield EntryKind.USER, context.note_body(_account_of(inherited, claim, fork))


def model_of(history: History) -> str:
    """The model of the newest segment."""
    head = next(entry for entry in reversed(history.entries) if entry.kind is EntryKind.HEAD)
    return str(orjson.loads(head.body)["model"])


def _note(fork: Fork) -> str:
    words = (
        f"This build was forked from the build {fork.origin_build_id} after its turn {fork.turn}. Your files are as "
        "they stood then, in a new sandbox: whatever ran in the background does not run any more, and what was asked "
        "of your user before is no longer open. Go on from here."
    )
    return f"{words}\n\nYour user adds: {fork.instruction}" if fork.instruction else words


def _account_of(inherited: History, claim: Claim, fork: Fork) -> str:
    """The brief, and after it what was said and done, as text."""
    asked = orjson.loads(context.assignment_body(claim.build_id, claim.assignment))["content"][0]["text"]
    pieces, room = list[str](), MAX_ACCOUNT_CHARS
    for piece in _pieces_backwards(inherited):
        room -= len(piece)
        if room < 0:
            pieces.append("(What came before is left out.)")
            break
        pieces.append(piece)
    told = "\n\n".join(reversed(pieces))
    return f"{asked}\n\n# What was done so far, by another model\n\n{told}\n\n# Now\n\n{_note(fork)}"


def _pieces_backwards(inherited: History) -> Iterator[str]:
    """What was said and done, the newest first. What opens a segment, the brief or an account, is not told again."""
    opens = {entry.sequence + 1 for entry in inherited.entries if entry.kind is EntryKind.HEAD}
    for entry in reversed(inherited.entries):
        if entry.kind is EntryKind.ASSISTANT:
            yield _answer(entry)
        elif entry.kind is EntryKind.USER and entry.sequence not in opens:
            yield _message(entry)


def _answer(answer: Entry) -> str:
    said = [f"You said: {_cut(text)}" for text in texts(answer)]
    called = [f"You called {use.name}: {_cut(orjson.dumps(dict(use.input)).decode())}" for use in tool_uses(answer)]
    return "\n".join([*said, *called])


def _message(message: Entry) -> str:
    results = [f"{'It failed' if each.failed else 'Result'}: {_cut(each.text)}" for each in tool_results(message)]
    return "\n".join([*results, *(f"You were told: {_cut(text)}" for text in texts(message))])


def _cut(text: str) -> str:
    if len(text) <= MAX_PIECE_CHARS:
        return text
    half = (MAX_PIECE_CHARS - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]
