"""PostgreSQL with fsync on and the budget service: two processes that are killed and come back."""

import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from taor_local import postgres

HOLD_LIFE_SECONDS = 6
TOKEN = "a token for tests"


@dataclass
class Parts:
    """Both processes, on one folder."""

    folder: Path
    cluster: postgres.Cluster = field(init=False)
    _database: "subprocess.Popen[bytes]" = field(init=False)
    _service: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        home = self.folder / "pg"
        self.cluster = postgres.Cluster(home, home / "s", secrets.token_hex(16))

    @property
    def environment(self) -> dict[str, str]:
        """What the service is told."""
        return {
            "PATH": os.environ["PATH"],
            "TAOR_BUDGET_LISTEN": f"unix:{self.folder}/budget.sock",
            "TAOR_BUDGET_DSN": self.cluster.dsn(),
            "TAOR_BUDGET_CREATE_ACCOUNTS": "true",
            "TAOR_BUDGET_HOLD_LIFE_SECONDS": str(HOLD_LIFE_SECONDS),
            "TAOR_BUDGET_EXPIRE_EVERY_SECONDS": "1",
            "TAOR_TOKEN": TOKEN,
        }

    @property
    def address(self) -> str:
        """Where the service answers."""
        return self.environment["TAOR_BUDGET_LISTEN"]

    def start(self) -> None:
        """Make the database and start both."""
        postgres.initialise(self.cluster)
        self._start_database()
        while self._run("migrate").wait() != 0:
            assert self._database.poll() is None, "PostgreSQL did not start"
        self._service = self._run("serve")

    def revive(self) -> None:
        """Start again what is dead."""
        if self._database.poll() is not None:
            self._start_database()
        if self._service.poll() is not None:
            self._service = self._run("serve")

    def crash_database(self) -> None:
        """End PostgreSQL without a checkpoint, as a crash does: its next start has to recover."""
        self._database.send_signal(signal.SIGQUIT)

    def kill_service(self) -> None:
        """Kill -9."""
        self._service.kill()

    def stop(self) -> None:
        """End both."""
        self._service.kill()
        self._service.wait()
        self._database.send_signal(signal.SIGINT)
        self._database.wait()

    def _start_database(self) -> None:
        launch = postgres.launch(self.cluster)
        with (self.folder / "postgres.log").open("ab") as log:
            self._database = subprocess.Popen(
                launch.tied_command(), env=dict(launch.environment), stdout=log, stderr=log, cwd="/"
            )

    def _run(self, command: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "service.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "taor_budget", command], env=self.environment, stdout=log, stderr=log
            )
