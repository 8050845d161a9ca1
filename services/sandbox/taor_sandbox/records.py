"""What this service remembers about a build: its fence, its sandboxes, its operations, its snapshots."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from taor_sandbox.outcome import Outcome
from taor_sandbox.tools.inputs import Mutating, ToolInput


class BuildKey(NamedTuple):
    """Names a build within its tenant."""

    tenant_id: str
    build_id: str


class Position(NamedTuple):
    """Where an operation stands in the log: the entry that asks for it, and the block within it. They sort."""

    log_sequence: int
    block: int


NOTHING = Position(0, 0)
"""Before every operation."""


@dataclass(frozen=True, slots=True, order=True)
class Fence:
    """The right to act for a build: the claim's epoch, and the number of the Attach call within it."""

    epoch: int
    attach_number: int


class BuildState(enum.Enum):
    """Where a build's use of a sandbox stands."""

    FENCED = "FENCED"
    PREPARING = "PREPARING"
    READY = "READY"
    KEPT = "KEPT"
    PAUSED = "PAUSED"
    DESTROYED = "DESTROYED"


class SandboxState(enum.Enum):
    """The life of one sandbox, that of one generation."""

    CREATING = "CREATING"
    LIVE = "LIVE"
    ORPHAN = "ORPHAN"
    DESTROYING = "DESTROYING"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class Build:
    """The row of a build, with the sandbox of its current generation."""

    key: BuildKey
    fence: Fence
    state: BuildState
    generation: int
    nonce: int
    base: Position
    snapshot_id: str | None
    """The snapshot that the current generation starts from."""
    sandbox_state: SandboxState | None
    provider_id: str | None
    boot_id: str | None
    paused_tree_sha256: bytes | None
    """What the files were when the sandbox was paused; None when it was not, or nobody could tell."""

    @property
    def sandbox_key(self) -> str:
        """The name under which the provider makes the current generation's sandbox."""
        return f"{self.key.build_id}/{self.generation}"

    @property
    def nonce_text(self) -> str:
        """The nonce as it stands in the sandbox's journal."""
        return nonce_text(self.generation, self.nonce)

    @property
    def runs(self) -> bool:
        """Whether a sandbox is believed to run, its files complete."""
        return self.state in (BuildState.READY, BuildState.KEPT) and self.sandbox_state is SandboxState.LIVE


def nonce_text(generation: int, nonce: int) -> str:
    """The nonce as it stands in the sandbox's journal."""
    return f"{generation}.{nonce}"


class OperationState(enum.Enum):
    """Where an operation stands."""

    STARTING = "STARTING"
    DONE = "DONE"
    INTERRUPTED = "INTERRUPTED"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class Call:
    """A request for one operation, as it came."""

    key: BuildKey
    epoch: int
    generation: int
    op_id: str
    position: Position
    input: ToolInput


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the journal, without input and text."""

    op_id: str
    position: Position
    generation: int
    state: OperationState
    tool: str
    text_sha256: bytes
    claims: int
    started_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class DoneOperation:
    """An operation that may have to be done again: what it was asked, and how it came out."""

    op_id: str
    position: Position
    input: Mutating
    outcome: Outcome


class Moment(NamedTuple):
    """A moment of a build: after the answer in an entry of its log, with all operations of it."""

    key: BuildKey
    log_sequence: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A published snapshot of a project's files; a fork has inherited the one of generation 0."""

    snapshot_id: str
    generation: int
    covers: Position
    covers_op_id: str
    tree_sha256: bytes
    manifest_sha256: bytes
    file_count: int
    file_bytes: int
    published_at: datetime
