"""A budget service on a real database and a real socket."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1.budget_pb2_grpc import BudgetServiceStub

from taor_budget.app import open_app
from taor_budget.config import BudgetConfig
from taor_chassis.client import open_channel
from taor_chassis.server import running_server
from tests.service.budget.audit import audit
from tests.service.budget.books import NOON, PRICES, TENANT, Books, open_books
from tests.support.postgres import MigratedDatabase

if TYPE_CHECKING:
    from taor.budget.v1.budget_pb2_grpc import BudgetServiceAsyncStub

TOKEN = "a token for tests"
FIRST_NOON = "UPDATE taor_clock_offset SET offset_by = $1 - clock_timestamp() WHERE offset_by = interval '0'"


@dataclass
class Bench:
    """A running service, and shorthands for the calls that most tests make."""

    stub: "BudgetServiceAsyncStub"
    address: str
    dsn: str
    build_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def admit(self, build_id: str = "", **fields: str) -> pb.AdmitBuildResponse:
        """Admit a build of a user on the smallest plan."""
        request = {"user_id": "ada", "tier": "bootstrapper", **fields}
        return await self.stub.AdmitBuild(pb.AdmitBuildRequest(build_id=build_id or self.build_id, **request))

    async def attach(self, epoch: int = 1, owner: str = "me") -> pb.AttachBuildResponse:
        """Raise the fence of the build."""
        return await self.stub.AttachBuild(pb.AttachBuildRequest(build_id=self.build_id, epoch=epoch, owner=owner))

    def rid(self, k: int, epoch: int = 1) -> str:
        """The id of a call."""
        return f"{self.build_id}/{epoch}/{k}"

    def need(self, k: int, epoch: int = 1, **fields: Any) -> pb.Need:
        """A call with a prompt of 1,000 tokens and an answer of 100 to 1,000."""
        usual = {"prompt_tokens": 1000, "min_output_tokens": 100, "max_output_tokens": 1000}
        return pb.Need(**{"rid": self.rid(k, epoch), "kind": pb.Reservation.CALL, **usual, **fields})

    async def reserve(self, k: int, epoch: int = 1, **fields: Any) -> pb.ReserveResponse:
        """Reserve for a call."""
        need = self.need(k, epoch, **fields)
        return await self.stub.Reserve(pb.ReserveRequest(build_id=self.build_id, epoch=epoch, need=need))

    async def settle(self, k: int, usage: pb.Usage | None, epoch: int = 1) -> pb.SettleResponse:
        """Settle a call."""
        settlement = pb.Settlement(rid=self.rid(k, epoch), usage=usage)
        return await self.stub.Settle(pb.SettleRequest(build_id=self.build_id, settlement=settlement))

    async def advance(self, k: int, usage: pb.Usage, epoch: int = 1) -> pb.AdvanceResponse:
        """Settle a call and reserve for the one after it."""
        settlement = pb.Settlement(rid=self.rid(k), usage=usage)
        need = self.need(k + 1, epoch)
        request = pb.AdvanceRequest(build_id=self.build_id, epoch=epoch, settlement=settlement, need=need)
        return await self.stub.Advance(request)

    async def release(self, k: int, epoch: int = 1) -> pb.ReleaseResponse:
        """Release a hold."""
        request = pb.ReleaseRequest(build_id=self.build_id, epoch=epoch, rid=self.rid(k), reason="never_sent")
        return await self.stub.Release(request)

    async def charge(self, k: int, epoch: int = 1) -> pb.ChargeResponse:
        """Charge a hold."""
        request = pb.ChargeRequest(build_id=self.build_id, epoch=epoch, rid=self.rid(k), reason="cut_stream")
        return await self.stub.Charge(request)

    async def execute(self, sql: str, *arguments: object) -> None:
        """Change something behind the service's back: its clock, mostly."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(sql, *arguments)
        finally:
            await connection.close()

    async def shift_clock(self, span: timedelta) -> None:
        """Let time pass."""
        await self.execute("UPDATE taor_clock_offset SET offset_by = offset_by + $1", span)


@asynccontextmanager
async def running_bench(dsn: str, *, create_accounts: bool, listen: str = "127.0.0.1:0") -> AsyncIterator[Bench]:
    """A budget service that runs inside the block, with a client; its first day begins at noon, whenever it is run."""
    config = BudgetConfig(
        listen=listen, dsn=dsn, token=TOKEN, create_accounts=create_accounts, expire_every_seconds=0.05
    )
    stopping = asyncio.Event()
    async with (
        open_app(config, stopping) as services,
        running_server(services=services, token=TOKEN, listen=listen, stopping=stopping, drain_seconds=1) as address,
        open_channel(address, token=TOKEN) as channel,
    ):
        bench = Bench(BudgetServiceStub(channel), address, dsn)
        await bench.execute(FIRST_NOON, NOON)
        yield bench


@pytest.fixture
async def bench(migrated_database: MigratedDatabase) -> AsyncIterator[Bench]:
    """A budget service that opens accounts by itself, as at home."""
    async with running_bench(migrated_database("taor_budget"), create_accounts=True) as bench:
        yield bench


@pytest.fixture
async def books(migrated_database: MigratedDatabase) -> AsyncIterator[Books]:
    """A ledger below the wire, audited when the test is over."""
    async with open_books(migrated_database("taor_budget")) as books:
        yield books
        assert await audit(books.pool, TENANT, PRICES) == []
