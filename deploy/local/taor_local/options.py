"""What a person may choose about an installation."""

from dataclasses import dataclass, field
from pathlib import Path

from taor_local.folders import default_data_folder

DEFAULT_BASE_PORT = 7401


@dataclass(frozen=True, slots=True)
class Options:
    """Which installation is meant, and on which ports it listens."""

    data: Path = field(default_factory=default_data_folder)
    """The folder that holds everything; one installation each."""
    base_port: int = DEFAULT_BASE_PORT
    """The first of six ports on loopback: orchestrator, budget, checkpoint, sandbox, preview, scripted model."""
