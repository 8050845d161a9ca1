"""Many builds at once while the service is killed: an audit that runs beside them never finds anything wrong.

A worker writes down what the service has acknowledged to it. Now and then it dies in the middle of a call, and its
successor takes the build over as the protocol says: what may have been sent is charged.
"""

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import grpc
from taor.budget.v1 import budget_pb2 as pb

from taor_budget import catalogue
from taor_chassis.database import running_pool
from tests.service.budget.audit import audit
from tests.service.budget.conftest import Bench
from tests.service.budget.process import environment_of, run, served

SECONDS = 5.0
LIVES = 3
WORKERS = 24
CALLS_OF_A_LIFE = 2 * WORKERS
USERS = 3
TENANT = "local"
HELD, SETTLED, CHARGED = pb.Reservation.HELD, pb.Reservation.SETTLED, pb.Reservation.CHARGED


@dataclass
class History:
    """What one build was told: its holds, how much was booked at each close, and how often there was no money."""

    build_id: str
    user_id: str
    rng: random.Random
    epoch: int = 0
    held: dict[str, int] = field(default_factory=dict)
    booked: dict[str, int] = field(default_factory=dict)
    denials: int = 0


class Watch:
    """Counts the audits that found nothing: a life under load is to be looked at before it ends."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.audits = 0


class Killed(Exception):
    """The worker dies here."""


async def test_nothing_is_overspent_or_forgotten(database: str, tmp_path: Path) -> None:
    environment = environment_of(database, tmp_path)
    assert await run(environment, "migrate") == (0, b"")
    histories = [History(str(uuid.uuid4()), f"user-{n % USERS}", random.Random(n)) for n in range(WORKERS)]
    async with running_pool(database, max_size=2) as pool, asyncio.TaskGroup() as tasks:
        watch = Watch()
        tasks.create_task(_keep_auditing(pool, watch))
        for _ in range(LIVES):
            await _one_life(environment, histories, watch)
        watch.stopping.set()
    assert any(history.booked for history in histories)
    async with served(environment) as (_, bench):
        for history in histories:
            await _compare(bench, history)


async def _one_life(environment: dict[str, str], histories: list[History], watch: Watch) -> None:
    """The service lives for a while under load, and until enough was answered and looked at; then it is killed."""
    enough, audits = _answered(histories) + CALLS_OF_A_LIFE, watch.audits + 1
    async with served(environment) as (process, bench):
        tasks = [asyncio.create_task(_work(bench, history)) for history in histories]
        done, _ = await asyncio.wait(tasks, timeout=SECONDS / LIVES, return_when=asyncio.FIRST_EXCEPTION)
        assert not done, done
        async with asyncio.timeout(60):
            while _answered(histories) < enough or watch.audits < audits:  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.05)
        process.kill()
        await process.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _answered(histories: list[History]) -> int:
    """How many calls were booked or denied; when the money is used up, only denials still come."""
    return sum(len(history.booked) + history.denials for history in histories)


async def _keep_auditing(pool: asyncpg.Pool, watch: Watch) -> None:
    prices = catalogue.load().prices
    while not watch.stopping.is_set():
        assert await audit(pool, TENANT, prices) == []
        watch.audits += 1
        await asyncio.sleep(0.05)
    assert await audit(pool, TENANT, prices) == []


async def _work(bench: Bench, history: History) -> None:
    """Tenures of a build, one after the other, until the service is killed."""
    worker = Bench(bench.stub, bench.address, bench.dsn, history.build_id)
    while True:
        try:
            await worker.admit(user_id=history.user_id, tier="partner", model="claude-sonnet-5-5")
            history.epoch += 1
            await _take_over(worker, history)
            await _turns(worker, history)
        except (Killed, grpc.aio.AioRpcError):
            await asyncio.sleep(0.01)


async def _take_over(worker: Bench, history: History) -> None:
    attached = await worker.attach(history.epoch, owner=str(history.epoch))
    for reservation in attached.reservations:
        if reservation.state == HELD:
            k = int(reservation.rid.rpartition("/")[2])
            request = pb.ChargeRequest(
                build_id=history.build_id,
                epoch=history.epoch,
                rid=worker.rid(k, reservation.epoch),
                reason="taken_over",
            )
            closing = (await worker.stub.Charge(request)).closing
            assert closing.state == CHARGED
            history.booked[reservation.rid] = closing.booked_microdollars


async def _turns(worker: Bench, history: History) -> None:
    """Calls of one tenure, each settled beside the reservation of the next."""
    reserved: pb.ReserveResponse | pb.AdvanceResponse = await worker.reserve(0, history.epoch)
    for k in range(1000):
        if not reserved.HasField("grant"):
            history.denials += 1
            await asyncio.sleep(0.05)
            raise Killed
        rid = worker.rid(k, history.epoch)
        history.held[rid] = reserved.grant.held_microdollars
        if history.rng.random() < 0.05:
            raise Killed
        usage = pb.Usage(input_tokens=history.rng.randrange(1000), output_tokens=history.rng.randrange(1000))
        request = pb.AdvanceRequest(
            build_id=history.build_id,
            epoch=history.epoch,
            settlement=pb.Settlement(rid=rid, usage=usage),
            need=worker.need(k + 1, history.epoch),
        )
        advanced = await worker.stub.Advance(request)
        history.booked[rid] = advanced.closing.booked_microdollars
        reserved = advanced


async def _compare(bench: Bench, history: History) -> None:
    """Everything acknowledged stands in the ledger, with the same amounts."""
    request = pb.ListReservationsRequest(build_id=history.build_id, page_size=1000)
    found: dict[str, pb.Reservation] = {}
    while True:
        page = await bench.stub.ListReservations(request)
        found |= {reservation.rid: reservation for reservation in page.reservations}
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    for rid, held in history.held.items():
        assert found[rid].held_microdollars == held
    for rid, booked in history.booked.items():
        assert found[rid].state in (SETTLED, CHARGED)
        assert found[rid].booked_microdollars == booked
