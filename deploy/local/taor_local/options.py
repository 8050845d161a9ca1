"""What a person may choose about an installation."""

from dataclasses import dataclass, field
from pathlib import Path

from taor_local.errors import BadPortError
from taor_local.folders import default_data_folder

DEFAULT_BASE_PORT = 7401
PORTS = 6
LOWEST_PORT = 1024  # those below belong to root
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Options:
    """Which installation is meant, and on which ports it listens."""

    data: Path = field(default_factory=default_data_folder)
    """The folder that holds everything; one installation each."""
    base_port: int = DEFAULT_BASE_PORT
    """The first of six ports on loopback: orchestrator, budget, checkpoint, sandbox, preview, scripted model."""

    def __post_init__(self) -> None:
        if not LOWEST_PORT <= self.base_port <= HIGHEST_PORT - PORTS + 1:
            raise BadPortError(self.base_port)
