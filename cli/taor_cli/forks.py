"""Turns, forks and differences, at the orchestrator of one installation."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli import translate
from taor_cli.builds import Build

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Turn:
    """A closed turn, as `taor turns --json` prints it."""

    turn: int
    log_sequence: int
    summary: str
    tool_calls: int
    append_time: datetime
    origin_build_id: str
    """The build that took it, where this one has inherited it."""
    kept: bool
    """Whether it can be forked and compared."""


class ChangeKind(StrEnum):
    """How a file differs."""

    UNKNOWN = "UNKNOWN"
    ADDED = "ADDED"
    CHANGED = "CHANGED"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that differs, as `taor diff --json` prints it."""

    path: str
    kind: ChangeKind
    before_bytes: int
    after_bytes: int
    text_diff: str
    text_diff_cut: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Some files that differ, and how many more do."""

    changes: tuple[FileChange, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class ForkOrder:
    """What a person asks to be forked; empty model and tier stand for those of the build."""

    request_id: str
    build_id: str
    at_turn: int
    model: str
    instruction: str
    tier: str
    redo: bool = False


class Forks:
    """The forks of one installation."""

    def __init__(self, stub: "OrchestratorServiceAsyncStub") -> None:
        self._stub = stub

    async def turns(self, build_id: str) -> tuple[Turn, ...]:
        """The closed turns of a build."""
        listed = await self._stub.ListTurns(pb.ListTurnsRequest(build_id=build_id))
        return tuple(map(_turn, listed.turns))

    async def fork(self, order: ForkOrder) -> Build:
        """Start a build from a turn; the same order again gives the same build."""
        request = pb.ForkBuildRequest(
            request_id=order.request_id,
            build_id=order.build_id,
            at_turn=order.at_turn,
            model=order.model,
            instruction=order.instruction,
            tier=order.tier,
            redo=order.redo,
        )
        return translate.build((await self._stub.ForkBuild(request)).build)

    async def difference(self, build_id: str, from_turn: int, to_build_id: str, to_turn: int) -> Difference:
        """In which files two turns differ."""
        request = pb.DiffTurnsRequest(build_id=build_id, from_turn=from_turn, to_build_id=to_build_id, to_turn=to_turn)
        found = await self._stub.DiffTurns(request)
        return Difference(tuple(map(_change, found.changes)), found.left_out)


def _turn(message: pb.Turn) -> Turn:
    return Turn(
        turn=message.turn,
        log_sequence=message.log_sequence,
        summary=message.summary,
        tool_calls=message.tool_calls,
        append_time=translate.moment(message.append_time),
        origin_build_id=message.origin_build_id,
        kept=message.kept,
    )


def _change(message: pb.FileChange) -> FileChange:
    return FileChange(
        path=message.path,
        kind=_kind(message.kind),
        before_bytes=message.before_bytes,
        after_bytes=message.after_bytes,
        text_diff=message.text_diff,
        text_diff_cut=message.text_diff_cut,
    )


def _kind(number: pb.FileChange.Kind.ValueType) -> ChangeKind:
    try:
        return ChangeKind(pb.FileChange.Kind.Name(number))
    except ValueError:
        return ChangeKind.UNKNOWN
