"""`ledger`: what reserving and settling cost, at the store and over the wire, beside a bare commit of the same run."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
from taor.budget.v1 import budget_pb2 as pb

from taor_budget import catalogue
from taor_budget.accounts import Accounts, Opening
from taor_budget.ledger import Ledger
from taor_budget.pricing import Usage
from taor_budget.reservations import Grant, Kind, Need, Rid, Settlement
from taor_budget.store.accounts import AccountStore, Binding
from taor_budget.store.ledger import LedgerStore
from taor_chassis.database import running_pool
from taor_chassis.migrations import migrate
from taor_cli.clients import connect
from tests.bench.figures import Figure, Reference, at_least, at_most
from tests.bench.home import Home
from tests.bench.progress import tell
from tests.bench.timing import Step, milliseconds_of, p50, per_second

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.budget.v1.budget_pb2_grpc import BudgetServiceAsyncStub

TENANT, TIER, MODEL = "bench", "cto_scale", "claude-haiku-5-5"
CONNECTIONS = 8
PAIRS, QUICK_PAIRS = 2000, 100
ACCOUNTS = 100
MOST_TIMES_COMMIT, LEAST_ON_ONE, LEAST_OVER_MANY = 2.0, 300, 1000
PROMPT_TOKENS, OUTPUT_TOKENS = 1000, 100


@dataclass(frozen=True, slots=True)
class Payer:
    """A build that reserves for a call and settles it, again and again, at the store."""

    ledger: Ledger
    build: Binding
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def pair(self, _: int) -> None:
        """Set money aside for one call, then book what it used: two commits."""
        rid = await self.reserve()
        await self.ledger.settle(self.build, _used(rid))

    async def reserve(self) -> Rid:
        """Set money aside for a call."""
        need = self._need()
        turn = await self.ledger.reserve(self.build, 1, need)
        assert isinstance(turn.outcome, Grant)
        return need.rid

    async def advance(self, last: Rid) -> Rid:
        """Book what the last call used and set money aside for the next: one commit, as a build pays turn by turn."""
        need = self._need()
        turn = await self.ledger.advance(self.build, 1, _used(last), need)
        assert isinstance(turn.outcome, Grant)
        return need.rid

    def _need(self) -> Need:
        rid = Rid(self.build.build_id, 1, next(self.numbers))
        return Need(rid, Kind.CALL, 0, PROMPT_TOKENS, OUTPUT_TOKENS, OUTPUT_TOKENS * 2)


def _used(rid: Rid) -> Settlement:
    return Settlement(rid, Usage(PROMPT_TOKENS, OUTPUT_TOKENS))


class Books:
    """The ledger of the budget service on a database of its own, without the service around it."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        offers = catalogue.load()
        store = LedgerStore(pool)
        opening = Opening(allowed=True, time_zone="UTC")
        self._accounts = Accounts(AccountStore(pool), offers.plans, offers.prices, opening)
        self._ledger = Ledger(store, self._accounts, offers.prices, timedelta(minutes=30))

    async def payer(self, user_id: str) -> Payer:
        """A new build of this user."""
        build_id = str(uuid4())
        await self._accounts.admit(TENANT, build_id, user_id, TIER, MODEL)
        build = await self._accounts.binding(TENANT, build_id)
        await self._ledger.attach(build, 1, "bench")
        return Payer(self._ledger, build)


async def measure(home: Home) -> list[Figure]:
    """At the store first, then over gRPC on the running service."""
    pairs = QUICK_PAIRS if home.quick else PAIRS
    dsn = await home.fresh_database("bench_ledger")
    await migrate(dsn, "taor_budget")
    async with running_pool(dsn, max_size=CONNECTIONS) as pool:
        at_store = [*await _latency(pool, pairs // 4), *await _throughput(pool, pairs)]
    return [*at_store, *await _over_grpc(home, pairs // 2)]


async def _latency(pool: asyncpg.Pool, pairs: int) -> list[Figure]:
    tell(f"ledger: {pairs} pairs and bare commits, one at a time")
    await pool.execute("CREATE TABLE bare (id int PRIMARY KEY, value int); INSERT INTO bare VALUES (1, 0)")
    books = Books(pool)
    payer, build = await books.payer("alone"), await books.payer("turn by turn")
    open_call = await build.reserve()

    async def commit(_: int) -> None:
        await pool.execute("UPDATE bare SET value = value + 1 WHERE id = $1", 1)

    async def turn(_: int) -> None:
        nonlocal open_call
        open_call = await build.advance(open_call)

    bare, paired, turned = [], [], []
    for number in range(pairs):  # in turns, so that a busy moment meets all
        bare += await milliseconds_of(commit, [number])
        paired += await milliseconds_of(payer.pair, [number])
        turned += await milliseconds_of(turn, [number])
    reference, target = Reference("bare commit", p50(bare)), at_most(MOST_TIMES_COMMIT)
    return [
        Figure("ledger", "reserve + settle, p50", p50(paired), "ms", reference, target),
        Figure("ledger", "settle + next reserve in one commit, p50", p50(turned), "ms", reference, target),
    ]


async def _throughput(pool: asyncpg.Pool, pairs: int) -> list[Figure]:
    books = Books(pool)
    tell(f"ledger: {pairs} pairs on one account, then over {ACCOUNTS}, {CONNECTIONS} connections")
    many = f"over {ACCOUNTS} accounts"
    together = [((await books.payer("one")).pair, pairs // CONNECTIONS) for _ in range(CONNECTIONS)]
    apart = [((await books.payer(f"many-{each}")).pair, pairs // ACCOUNTS or 1) for each in range(ACCOUNTS)]
    return [
        Figure("ledger", "on one account", await per_second(together), "pairs/s", None, at_least(LEAST_ON_ONE)),
        Figure("ledger", many, await per_second(apart), "pairs/s", None, at_least(LEAST_OVER_MANY)),
    ]


async def _over_grpc(home: Home, pairs: int) -> list[Figure]:
    tell(f"ledger: {pairs} pairs over gRPC")
    async with connect(home.addresses) as clients:
        stub = clients.budget
        alone = await _remote_payer(stub, "alone")
        taken = await milliseconds_of(alone, range(pairs // 4))
        together = [(await _remote_payer(stub, "one"), pairs // CONNECTIONS) for _ in range(CONNECTIONS)]
        apart = [(await _remote_payer(stub, f"many-{each}"), pairs // ACCOUNTS or 1) for each in range(ACCOUNTS)]
        return [
            Figure("ledger", "over gRPC, p50", p50(taken), "ms"),
            Figure("ledger", "over gRPC, on one account", await per_second(together), "pairs/s"),
            Figure("ledger", f"over gRPC, over {ACCOUNTS} accounts", await per_second(apart), "pairs/s"),
        ]


async def _remote_payer(stub: "BudgetServiceAsyncStub", user: str) -> Step:
    build_id = str(uuid4())
    user_id = f"bench-ledger-{user}"
    await stub.AdmitBuild(pb.AdmitBuildRequest(build_id=build_id, user_id=user_id, tier=TIER, model=MODEL))
    await stub.AttachBuild(pb.AttachBuildRequest(build_id=build_id, epoch=1, owner="bench"))
    numbers = itertools.count()

    async def pair(_: int) -> None:
        rid = f"{build_id}/1/{next(numbers)}"
        need = pb.Need(
            rid=rid,
            kind=pb.Reservation.CALL,
            prompt_tokens=PROMPT_TOKENS,
            min_output_tokens=OUTPUT_TOKENS,
            max_output_tokens=OUTPUT_TOKENS * 2,
        )
        reserved = await stub.Reserve(pb.ReserveRequest(build_id=build_id, epoch=1, need=need))
        assert reserved.HasField("grant")
        usage = pb.Usage(input_tokens=PROMPT_TOKENS, output_tokens=OUTPUT_TOKENS)
        settlement = pb.Settlement(rid=rid, usage=usage)
        await stub.Settle(pb.SettleRequest(build_id=build_id, settlement=settlement))

    return pair
