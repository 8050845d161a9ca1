"""The audit that runs beside the hammer, in a process of its own."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from taor_budget import catalogue
from taor_chassis.database import refusal, running_pool
from taor_chassis.errors import DependencyUnavailable
from tests.hammer.children import fork
from tests.hammer.verdict import TENANT
from tests.service.budget.audit import audit


class Auditor:
    """Audits one account after the other and writes down what it found."""

    def __init__(self, dsn: str, users: Sequence[str], notes: Path) -> None:
        self._dsn = dsn
        self._users = users
        self._notes = notes
        self._pid = 0

    def fork(self) -> None:
        """Begin."""
        self._pid = fork(lambda: asyncio.run(self._work()))

    def stop(self) -> None:
        """End."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def audits(self) -> int:
        """How often an account was audited."""
        return self._notes.read_text("utf-8").count("audited ")

    def violations(self) -> list[str]:
        """What was found."""
        lines = self._notes.read_text("utf-8").splitlines() if self._notes.exists() else ["nothing was ever audited"]
        return [line for line in lines if not line.startswith("audited ")]

    async def _work(self) -> None:
        prices = catalogue.load().prices
        with self._notes.open("a", buffering=1, encoding="utf-8") as notes:
            while True:
                try:
                    async with running_pool(self._dsn, max_size=1) as pool:
                        while True:
                            for user_id in self._users:
                                found = await audit(pool, TENANT, prices, user_id)
                                # While the service is dead nobody closes what has outlived its life.
                                notes.writelines(f"{each}\n" for each in found if not each.startswith("B5"))
                                notes.write(f"audited {user_id}\n")
                except Exception as error:  # PostgreSQL is away for a while; anything else is told by the exit
                    if not isinstance(error, DependencyUnavailable) and refusal(error) is None:
                        notes.write(f"the audit broke: {error!r}\n")
                        raise
                    await asyncio.sleep(0.1)
