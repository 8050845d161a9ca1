"""What a build is to the process that works on it: the claim, the states it can be in, and how a tenure ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class BuildState(enum.Enum):
    """Where a build stands; the names are those of the contract."""

    FORKING = "FORKING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SLEEPING = "SLEEPING"
    WAITING_BUDGET = "WAITING_BUDGET"
    WAITING_ANSWER = "WAITING_ANSWER"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def has_ended(self) -> bool:
        """Nothing follows this state."""
        return self in (BuildState.SUCCEEDED, BuildState.FAILED, BuildState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Clarification:
    """One question that clarified the idea, with its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the client asked for."""

    brief: str
    clarifications: tuple[Clarification, ...]
    plan: str


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a build began that was not started anew, and what its user wants of it."""

    origin_build_id: str
    turn: int
    instruction: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One tenure of one build: everything that its worker writes anywhere carries this epoch and this owner."""

    tenant_id: str
    build_id: str
    epoch: int
    owner: str
    user_id: str
    project_id: str
    model: str
    max_output_tokens: int
    assignment: Assignment
    fruitless_claims: int = 0
    """How many claims in a row, up to this one, found the log as the claim before had found it."""
    fork: Fork | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a build ended: the content of its OUTCOME entry."""

    state: BuildState
    message: str
    verification_command: str = ""
    verification_outcome: str = ""
    preview_port: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """The build has ended and its outcome is logged and projected."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Rested:
    """The build was put to rest until `wake_time`; its ticket is gone already."""

    state: BuildState
    wake_time: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """The build waits for a person: for an answer, or for the end of its pause; its ticket is gone already."""

    state: BuildState


@dataclass(frozen=True, slots=True)
class HandedOver:
    """This process is stopping; the build stands at a turn boundary and wants another worker."""


Ending = Ended | Rested | Waiting | HandedOver
"""How a tenure ends when nothing breaks; a lost lease raises `LeaseLost` instead."""
