"""What the ledger holds in the end beside what the clients were told."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

import asyncpg

from taor_budget import catalogue
from tests.hammer.history import Event, Line
from tests.service.budget.audit import audit

TENANT = "local"
_RESERVATIONS = """
SELECT build_id || '/' || epoch || '/' || k AS rid, state, held, booked FROM reservations
 WHERE tenant_id = $1 LIMIT 1000000"""
_ENTRIES = """
SELECT build_id || '/' || epoch || '/' || k AS rid, reserved_delta AS reserved, spent_delta AS spent FROM journal
 WHERE tenant_id = $1 AND period = 'build/' || build_id ORDER BY user_id, sequence LIMIT 1000000"""
_TOP_UPS = "SELECT request_id FROM adjustments WHERE tenant_id = $1 LIMIT 1000000"


async def judge(pool: asyncpg.Pool, lines: Sequence[Line]) -> list[str]:
    """Everything that is wrong; empty when nothing is."""
    reservations = {row["rid"]: row for row in await pool.fetch(_RESERVATIONS, TENANT)}
    entries = await pool.fetch(_ENTRIES, TENANT)
    top_ups = {row["request_id"] for row in await pool.fetch(_TOP_UPS, TENANT)}
    journals: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for entry in entries:
        journals[entry["rid"]].append(entry)
    return [
        *await audit(pool, TENANT, catalogue.load().prices),
        *_told(lines, reservations, journals),
        *(
            f"the top-up {line.subject} is gone"
            for line in lines
            if line.event is Event.TOPPED_UP and line.subject not in top_ups
        ),
        *_once(reservations, journals),
    ]


def _told(
    lines: Sequence[Line], found: dict[str, asyncpg.Record], journals: dict[str, list[asyncpg.Record]]
) -> Iterator[str]:
    """Every acknowledgement stands in the ledger. A charge may have been corrected since, by a truth that came late."""
    for line in lines:
        row = found.get(line.subject)
        match line.event:
            case Event.HELD:
                stands = row is not None and row["held"] == line.microdollars
            case Event.SETTLED:
                stands = row is not None and (row["state"], row["booked"]) == ("SETTLED", line.microdollars)
            case Event.CHARGED:
                booked = accumulate(entry["spent"] for entry in journals[line.subject])
                stands = (
                    row is not None
                    and row["state"] in ("CHARGED", "EXPIRED", "SETTLED")
                    and line.microdollars in booked
                )
            case _:
                stands = line.event is not Event.BROKEN
        if not stands:
            yield f"a client was told {line}, the ledger holds {row and dict(row)}".replace("\n", "")


def _once(found: dict[str, asyncpg.Record], journals: dict[str, list[asyncpg.Record]]) -> Iterator[str]:
    """Each hold is taken once, given back once and settled once: a third entry corrects a charge, nothing else."""
    for rid, row in found.items():
        entries = [(entry["reserved"], entry["spent"]) for entry in journals[rid]]
        held, booked = row["held"], row["booked"]
        match row["state"]:
            case "HELD":
                lawful = [[(held, 0)]]
            case "SETTLED":
                lawful = [[(held, 0), (-held, booked)], [(held, 0), (-held, held), (0, booked - held)]]
            case _:
                lawful = [[(held, 0), (-held, booked)]]
        if entries not in lawful:
            yield f"{rid}: {dict(row)} after {entries}"
    yield from (f"{rid} has entries and no reservation" for rid in journals.keys() - found.keys())
