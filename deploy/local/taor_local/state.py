"""What the supervisor says about itself and its parts, in a small file that every `taor` command reads."""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from taor_local.files import write_private
from taor_local.processes import ProcessId


class Phase(StrEnum):
    """Where the installation is in its life."""

    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    FAILED = "failed"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class PartState:
    """One child process of the supervisor."""

    name: str
    process: ProcessId | None
    """None while it is not running."""
    ready: bool
    restarts: int


@dataclass(frozen=True, slots=True)
class State:
    """The whole installation at one moment."""

    phase: Phase
    message: str
    """What is being done, or what went wrong, in one sentence for a person."""
    supervisor: ProcessId | None = None
    parts: tuple[PartState, ...] = ()
    environment: str = ""
    """The Python that the supervisor runs on: tells two checkouts apart."""

    def is_supervised(self) -> bool:
        """Tell whether the supervisor that wrote this still lives."""
        return self.supervisor is not None and self.supervisor.is_alive()


def write_state(path: Path, state: State) -> None:
    """Publish the state; readers see the old one or the new one."""
    write_private(path, json.dumps(asdict(state), indent=2) + "\n")


def read_state(path: Path) -> State:
    """Read the state; an installation that was never started, or whose supervisor was killed, is DOWN."""
    try:
        fields = json.loads(path.read_text())
        state = _state(fields)
    except (FileNotFoundError, NotADirectoryError):
        return State(Phase.DOWN, "not started")
    except (ValueError, KeyError, TypeError):
        # Written by another version of taor, or cut short by a crash of the machine: it tells of nothing that we know.
        return State(Phase.DOWN, "what its supervisor last said cannot be read")
    if state.phase in (Phase.FAILED, Phase.DOWN) or state.is_supervised():
        return state
    return replace(state, phase=Phase.DOWN, message="its supervisor was killed")


def _state(fields: dict[str, Any]) -> State:
    return State(
        phase=Phase(fields["phase"]),
        message=fields["message"],
        supervisor=_process(fields["supervisor"]),
        parts=tuple(PartState(**{**part, "process": _process(part["process"])}) for part in fields["parts"]),
        environment=fields["environment"],
    )


def _process(fields: dict[str, int] | None) -> ProcessId | None:
    return ProcessId(**fields) if fields else None
