"""One client: a build that reserves, calls nobody for a while, settles and goes on, until it is killed."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import NAMESPACE_OID, uuid5

import grpc
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1.budget_pb2_grpc import BudgetServiceStub

from taor_budget import catalogue
from taor_budget.pricing import Usage, cost_microdollars
from taor_chassis.client import open_channel
from tests.hammer.history import Diary, Event, Line, read

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.budget.v1.budget_pb2_grpc import BudgetServiceAsyncStub

TIER, MODEL = "bootstrapper", "claude-sonnet-5-5"
PROMPT_TOKENS, LEAST_TOKENS, MOST_TOKENS = 10_000, 100, 4_000
CALL_SECONDS = (0.2, 2.0)
TOP_UP_MICRODOLLARS, TOP_UP_CHANCE = 200_000, 0.05
REPEAT_CHANCE = 0.1
EARMARK_CHANCE = 0.5
NOT_NOW = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
PRICE = catalogue.load().prices.of_model(MODEL)[-1]

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Slot:
    """A client's place: whoever dies there is followed by another, with the next epoch of the same build."""

    number: int
    user_id: str
    folder: Path
    address: str
    token: str

    @property
    def build_id(self) -> str:
        """The build of this place."""
        return str(uuid5(NAMESPACE_OID, f"{self.folder}/{self.number}"))

    @property
    def history(self) -> Path:
        """Where its clients write."""
        return self.folder / f"history-{self.number}"


def live(slot: Slot, epoch: int, seed: str) -> None:
    """Work until killed."""
    asyncio.run(_live(slot, epoch, random.Random(seed)))


async def _live(slot: Slot, epoch: int, chance: random.Random) -> None:
    async with open_channel(slot.address, token=slot.token) as channel:
        client = Client(slot, epoch, chance, Diary(slot.history), BudgetServiceStub(channel))
        try:
            await client.take_over()
            await client.work()
        except Exception as error:  # whatever ends a client but a kill is a finding
            client.note(Event.BROKEN, repr(error).replace("\n", " ").replace("\t", " "))


@dataclass
class Client:
    """A tenure of a build."""

    slot: Slot
    epoch: int
    chance: random.Random
    diary: Diary
    stub: "BudgetServiceAsyncStub"
    earmark: str = ""
    """The rid of the earmark that it was granted last."""

    def note(self, event: Event, subject: str, microdollars: int = 0, tokens: int = 0) -> None:
        """Write it down."""
        self.diary.write(Line(event, time.time(), subject, microdollars, tokens, _seconds(subject)))

    async def take_over(self) -> None:
        """Charge what the client before has left; what has expired is settled late, if its history tells how."""
        slot = self.slot
        admit = pb.AdmitBuildRequest(build_id=slot.build_id, user_id=slot.user_id, tier=TIER, model=MODEL)
        await _surely(self.stub.AdmitBuild, admit)
        attach = pb.AttachBuildRequest(build_id=slot.build_id, epoch=self.epoch, owner=str(self.epoch))
        attached = await _surely(self.stub.AttachBuild, attach)
        carried = {line.subject: line.tokens for line in read([slot.history]) if line.event is Event.HELD}
        for left in attached.reservations:
            if left.kind == pb.Reservation.EARMARK:
                release = pb.ReleaseRequest(build_id=slot.build_id, epoch=self.epoch, rid=left.rid, reason="earmark")
                await _surely(self.stub.Release, release)
            elif left.state == pb.Reservation.HELD:
                charge = pb.ChargeRequest(build_id=slot.build_id, epoch=self.epoch, rid=left.rid, reason="taken_over")
                closing = (await _surely(self.stub.Charge, charge)).closing
                event = Event.SETTLED if closing.state == pb.Reservation.SETTLED else Event.CHARGED
                self.note(event, left.rid, closing.booked_microdollars)
            elif left.rid in carried:
                await self.settle(left.rid, carried[left.rid])

    async def work(self) -> None:
        """Make one call after the other."""
        k = 0
        self.want(k)
        reserve = pb.ReserveRequest(build_id=self.slot.build_id, epoch=self.epoch, need=self.need(k))
        answer: pb.ReserveResponse | pb.AdvanceResponse = await _surely(self.stub.Reserve, reserve)
        while True:
            if answer.HasField("grant"):
                answer = await self.call(k, answer.grant)
            else:
                await self.denied(answer.denial)
                self.want(k + 1)
                reserve = pb.ReserveRequest(build_id=self.slot.build_id, epoch=self.epoch, need=self.need(k + 1))
                answer = await _surely(self.stub.Reserve, reserve)
            k += 1

    async def call(self, k: int, grant: pb.Grant) -> pb.AdvanceResponse:
        """Let the time of the call pass, then settle it and reserve for the next; sometimes it is settled twice."""
        rid, tokens = self.rid(k), grant.max_output_tokens
        self.note(Event.HELD, rid, grant.held_microdollars, tokens)
        if grant.HasField("earmark"):
            self.earmark = self.earmark_rid(k)
            self.note(Event.HELD, self.earmark, grant.earmark.held_microdollars)
        await asyncio.sleep(_seconds(rid))  # not a wait for something: the call itself
        if self.chance.random() < REPEAT_CHANCE:
            await self.settle(rid, tokens)
        self.want(k + 1)
        settlement = pb.Settlement(rid=rid, usage=_usage(rid, tokens))
        request = pb.AdvanceRequest(
            build_id=self.slot.build_id, epoch=self.epoch, settlement=settlement, need=self.need(k + 1)
        )
        advanced = await _surely(self.stub.Advance, request)
        self.note(Event.SETTLED, rid, advanced.closing.booked_microdollars)
        return advanced

    async def denied(self, denial: pb.Denial) -> None:
        """Wait; now and then somebody pays for more."""
        if denial.cause == pb.Denial.LIMIT and self.chance.random() < TOP_UP_CHANCE:
            request_id = f"{self.slot.build_id}-{self.epoch}-{time.monotonic_ns()}"
            top_up = pb.TopUpRequest(user_id=self.slot.user_id, microdollars=TOP_UP_MICRODOLLARS, request_id=request_id)
            await _surely(self.stub.TopUp, top_up)
            self.note(Event.TOPPED_UP, request_id, TOP_UP_MICRODOLLARS)
        await asyncio.sleep(self.chance.uniform(0.2, 1.0))  # nobody tells when it would be granted

    async def settle(self, rid: str, carried_tokens: int) -> None:
        """Book what a call has used."""
        settlement = pb.Settlement(rid=rid, usage=_usage(rid, carried_tokens))
        request = pb.SettleRequest(build_id=self.slot.build_id, settlement=settlement)
        closing = (await _surely(self.stub.Settle, request)).closing
        self.note(Event.SETTLED, rid, closing.booked_microdollars)

    def want(self, k: int) -> None:
        """Write down what the call will cost if nothing bounds it, before anybody is asked for money."""
        usage = _usage(self.rid(k), MOST_TOKENS)
        cost = cost_microdollars(Usage(usage.input_tokens, usage.output_tokens), PRICE)
        self.note(Event.WANTED, self.rid(k), cost, usage.output_tokens)

    def need(self, k: int) -> pb.Need:
        """What a call needs; now and then with an earmark, in exchange for the last one."""
        need = _need(self.rid(k), pb.Reservation.CALL)
        if self.chance.random() < EARMARK_CHANCE:
            need.earmark.CopyFrom(_need(self.earmark_rid(k), pb.Reservation.EARMARK))
            need.replaces_rid = self.earmark
        return need

    def rid(self, k: int) -> str:
        """The id of a call; the number after it is that of its earmark."""
        return f"{self.slot.build_id}/{self.epoch}/{2 * k}"

    def earmark_rid(self, k: int) -> str:
        """The id of the earmark that is wanted with a call."""
        return f"{self.slot.build_id}/{self.epoch}/{2 * k + 1}"


def _need(rid: str, kind: pb.Reservation.Kind.ValueType) -> pb.Need:
    return pb.Need(
        rid=rid,
        kind=kind,
        prompt_tokens=PROMPT_TOKENS,
        min_output_tokens=LEAST_TOKENS,
        max_output_tokens=MOST_TOKENS,
    )


def _usage(rid: str, carried_tokens: int) -> pb.Usage:
    """What a call uses: always the same for the same call, and no more than was granted."""
    chance = random.Random(rid)
    output_tokens = min(chance.randint(LEAST_TOKENS, MOST_TOKENS), carried_tokens)
    return pb.Usage(input_tokens=chance.randint(1, PROMPT_TOKENS), output_tokens=output_tokens)


def _seconds(rid: str) -> float:
    """How long a call takes; always the same for the same call."""
    return random.Random(rid).uniform(*CALL_SECONDS)


async def _surely(call: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """Repeat the same request until somebody answers; whether an earlier copy arrived is not known."""
    while True:
        try:
            return await call(request)
        except grpc.aio.AioRpcError as error:
            if error.code() not in NOT_NOW:
                raise
            await asyncio.sleep(0.2)
