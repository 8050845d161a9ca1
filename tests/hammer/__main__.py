"""`python -m tests.hammer`: 200 client processes pay for calls while they, the service and PostgreSQL are killed.

Every client writes its own history; an audit re-adds the journal at every prefix while all of that goes on. In the end
the histories are compared with the ledger, and the same demand is played before a checker that checks afterwards.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from taor_chassis.database import running_pool
from tests.hammer.auditor import Auditor
from tests.hammer.children import Children
from tests.hammer.client import Slot
from tests.hammer.history import Line, read
from tests.hammer.parts import HOLD_LIFE_SECONDS, TOKEN, Parts
from tests.hammer.report import Report, compare
from tests.hammer.verdict import judge

DISK = Path("/var/tmp")  # not the system's folder for temporary files, which may lie in memory: fsync must mean a disk
USERS = 8
CLIENT_KILLS_A_SECOND, SERVICE_KILL_EVERY, DATABASE_CRASH_EVERY = 5.0, (4.0, 8.0), (8.0, 14.0)
REST_SECONDS = HOLD_LIFE_SECONDS + 6.0  # without kills, until every hold has expired


def main() -> int:
    """Hammer, judge, report; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.hammer", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it is hammered; default 60")
    parser.add_argument("--clients", type=int, default=200, help="how many processes; default 200")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="taor-hammer-", dir=DISK))
    folder.chmod(0o711)  # as root, PostgreSQL is another user and must pass through
    parts = Parts(folder)
    parts.start()
    try:
        report = _hammer(parts, wanted.seconds, wanted.clients, random.Random(wanted.seed))
    finally:
        parts.stop()
    sys.stdout.write(str(report))
    if report.wrong:
        sys.stdout.write(f"everything is kept in {folder}\n")
        return 1
    shutil.rmtree(folder)
    return 0


def _hammer(parts: Parts, seconds: float, clients: int, chance: random.Random) -> Report:
    slots = [Slot(n, f"user-{n % USERS}", parts.folder, parts.address, TOKEN) for n in range(clients)]
    for slot in slots:
        slot.history.touch()
    auditor = Auditor(parts.cluster.dsn(), [f"user-{n}" for n in range(USERS)], parts.folder / "audits")
    children = Children(slots, chance)
    kills: Counter[str] = Counter()
    auditor.fork()
    children.fork_all()
    _disturb(parts, children, chance, seconds, kills)
    children.kill_all()
    _rest(parts)
    auditor.stop()
    kills["clients"] = children.killed
    lines = list(read(slot.history for slot in slots))
    return asyncio.run(_judge(parts, slots, lines, kills, auditor))


def _disturb(parts: Parts, children: Children, chance: random.Random, seconds: float, kills: Counter[str]) -> None:
    now = time.monotonic()
    ends = now + seconds
    next_client = now
    next_service, next_crash = now + chance.uniform(*SERVICE_KILL_EVERY), now + chance.uniform(*DATABASE_CRASH_EVERY)
    while (now := time.monotonic()) < ends:
        children.reap_and_replace(now)
        parts.revive()
        if now >= next_client:
            children.kill_one()
            next_client = now + chance.expovariate(CLIENT_KILLS_A_SECOND)
        if now >= next_service:
            parts.kill_service()
            kills["service"] += 1
            next_service = now + chance.uniform(*SERVICE_KILL_EVERY)
        if now >= next_crash:
            parts.crash_database()
            kills["PostgreSQL"] += 1
            next_crash = now + chance.uniform(*DATABASE_CRASH_EVERY)
        time.sleep(0.02)


def _rest(parts: Parts) -> None:
    ends = time.monotonic() + REST_SECONDS
    while time.monotonic() < ends:
        parts.revive()
        time.sleep(0.05)


async def _judge(parts: Parts, slots: list[Slot], lines: list[Line], kills: Counter[str], auditor: Auditor) -> Report:
    async with running_pool(parts.cluster.dsn(), max_size=2) as pool:
        wrong = [*auditor.violations(), *await judge(pool, lines)]
        users = {slot.build_id: slot.user_id for slot in slots}
        ours, theirs = await compare(pool, lines, users)
    return Report(len(slots), kills, auditor.audits(), lines, wrong, ours, theirs)


if __name__ == "__main__":
    sys.exit(main())
