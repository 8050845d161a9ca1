"""Files by which a test and a scripted command wait for each other: the command makes one, and waits for another."""

from dataclasses import dataclass
from pathlib import Path

from taor_local.folders import Folders
from taor_local.options import Options
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Gate:
    """A command of a build that runs `touch begun-NAME; until [ -e go-NAME ]; do sleep 0.05; done` in its workspace."""

    options: Options
    build_id: str
    name: str

    def wait_until_reached(self) -> None:
        """Return when the command waits here."""
        wait_until(self._is_reached, f"a command at the gate {self.name}")

    def open(self) -> None:
        """Let the command go on, in whichever generation of the sandbox it runs."""
        for workspace in self._workspaces():
            (workspace / f"go-{self.name}").touch()

    def _is_reached(self) -> bool:
        return any((workspace / f"begun-{self.name}").exists() for workspace in self._workspaces())

    def _workspaces(self) -> list[Path]:
        return list((Folders(self.options.data).sandboxes / self.build_id).glob("*/workspace"))
