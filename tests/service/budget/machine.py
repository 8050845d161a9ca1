"""Random histories of one account, step by step beside the model of `model.py`, and audited after every step."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TypeVar
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from taor_budget.accounts import Accounts, Opening
from taor_budget.expiry import expire_due
from taor_budget.ledger import Ledger
from taor_budget.pricing import Usage
from taor_budget.reservations import Closing, Denial, Grant, Kind, Need, Rid, Settlement, State, Turn
from taor_budget.store.accounts import AccountStore, Binding
from taor_chassis.errors import ServiceError
from tests.service.budget.audit import audit
from tests.service.budget.books import LIFE, PLANS, PRICES, TENANT, Books, need
from tests.service.budget.model import (
    Asked,
    Call,
    Closed,
    Counters,
    Denied,
    Held,
    LedgerModel,
    Refused,
    Wanted,
    midnight_after,
)
from tests.support.loop_thread import LoopThread

Result = TypeVar("Result")
BUILDS = 2

builds = st.integers(0, BUILDS - 1)
# Mostly the epoch that is attached, sometimes one beside it.
epoch_shifts = st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1])
# Which call is meant: mostly one of the newest of the account, sometimes an old one.
places = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 8])
kinds = st.sampled_from([Kind.CALL, Kind.CALL, Kind.CALL, Kind.EARMARK, Kind.HANDOVER])
asks = st.tuples(st.integers(1, 150), st.integers(1, 60), st.integers(60, 200))
# Whether an earmark is reserved with a call, and whether the build's newest earmark is given back for it.
earmarks = st.one_of(st.none(), asks)
replacing = st.booleans()
usages = st.one_of(
    st.none(),
    st.builds(Usage, st.integers(0, 100), st.integers(0, 60), st.integers(0, 15)),
    st.builds(Usage, st.integers(0, 400), st.integers(100, 600)),
)
times = st.sampled_from([1, 2])


class LedgerMachine(RuleBasedStateMachine):
    """Two builds of one user; whatever is done to them, the ledger answers as the model does."""

    books: Books
    loop: LoopThread
    users = count()

    @initialize(
        zone=st.sampled_from(["UTC", "America/Havana", "Pacific/Apia", "Antarctica/Troll"]),
        start=st.sampled_from([datetime(2026, 3, 28, 9, tzinfo=UTC), datetime(2026, 10, 31, 3, tzinfo=UTC)]),
    )
    def begin(self, zone: str, start: datetime) -> None:
        """A fresh account on a day before the clocks change somewhere."""
        self.now = start
        self.user_id = f"user-{next(self.users)}"
        self.zone = zone
        self._run(self.books.set_clock(self.now))
        self.restart()
        self.bindings = [self._run(self._admit()) for _ in range(BUILDS)]
        account = self._run(self.accounts.account(TENANT, self.user_id))
        self.model = LedgerModel(ZoneInfo(zone), account.anchor_day)
        for _ in range(BUILDS):
            self.model.open_build()
        self.next_k = [0] * BUILDS
        self.calls: list[Call] = []
        self.wanted: dict[Call, Wanted] = {}

    async def _admit(self) -> Binding:
        return await self.books.build(self.user_id)

    def restart(self) -> None:
        """A new process of the service: it remembers nothing."""
        self.accounts = Accounts(AccountStore(self.books.pool), PLANS, PRICES, Opening(True, self.zone))
        self.ledger = Ledger(self.books.store, self.accounts, PRICES, LIFE)
        self.books.accounts, self.books.ledger = self.accounts, self.ledger

    @rule(build=builds, shift=epoch_shifts, kind=kinds, asked=asks, earmark=earmarks, replaces=replacing, times=times)
    def reserve(
        self, build: int, shift: int, kind: Kind, asked: Asked, earmark: Asked | None, replaces: bool, times: int
    ) -> None:
        """Reserve for the next call, perhaps with its earmark, perhaps at an epoch that is not the attached one."""
        call = self._next(build, shift)
        self._reserve(call, self._want(call, kind, asked, earmark, replaces), times)

    @rule(place=places, kind=kinds, asked=asks)
    def reserve_late(self, place: int, kind: Kind, asked: Asked) -> None:
        """A copy of an older Reserve arrives, as it was sent or with other arguments."""
        call = self._known(place)
        self._reserve(call, self.wanted.get(call, Wanted(kind, asked)), times=1)
        self._reserve(call, Wanted(kind, asked), times=1)

    def _want(self, call: Call, kind: Kind, asked: Asked, earmark: Asked | None, replaces: bool) -> Wanted:
        """What is wanted for a further call; its earmark takes the number after it."""
        old = [each for each in self.calls if each[:2] == call[:2] and self._is_earmark(each)]
        with_earmark = earmark if kind is Kind.CALL else None
        if with_earmark:
            earmark_call = call[0], call[1], self.next_k[call[0]]
            self.next_k[call[0]] += 1
            self.calls.append(earmark_call)
            self.wanted[earmark_call] = Wanted(Kind.EARMARK, with_earmark)
        return Wanted(kind, asked, with_earmark, old[-1] if old and replaces else None)

    def _is_earmark(self, call: Call) -> bool:
        return call in self.wanted and self.wanted[call].kind is Kind.EARMARK

    def _reserve(self, call: Call, wanted: Wanted, times: int) -> None:
        self.wanted.setdefault(call, wanted)
        needed = self._need(call, wanted)
        for _ in range(times):
            answer = self._answer(lambda: self.ledger.reserve(self.bindings[call[0]], call[1], needed))
            expected = self.model.reserve(self.now, call, wanted)
            assert (answer if isinstance(expected, Refused) else _outcome(answer)) == expected

    @rule(place=places, usage=usages, times=times)
    def settle(self, place: int, usage: Usage | None, times: int) -> None:
        """Settle a call, on time, late or again."""
        self._settle(self._known(place), usage, times)

    @rule(place=places, usage=usages)
    def settle_late(self, place: int, usage: Usage) -> None:
        """Settle a call whose hold may have expired, so that the truth has to correct a charge."""
        self.now += timedelta(minutes=31)
        self._settle(self._known(place), usage, times=1)

    def _settle(self, call: Call, usage: Usage | None, times: int) -> None:
        settlement = Settlement(self._rid(call), usage)
        for _ in range(times):
            answer = self._answer(lambda: self.ledger.settle(self.bindings[call[0]], settlement))
            expected = self.model.settle(self.now, call, usage)
            assert (answer if isinstance(expected, Refused) else _closing(answer)) == expected

    @rule(place=places, usage=usages, shift=epoch_shifts, asked=asks, earmark=earmarks, replaces=replacing, times=times)
    def advance(
        self,
        place: int,
        usage: Usage | None,
        shift: int,
        asked: Asked,
        earmark: Asked | None,
        replaces: bool,
        times: int,
    ) -> None:
        """Settle a call and reserve for the next, perhaps with an epoch that is stale by now."""
        settled = self._known(place)
        call = self._next(settled[0], shift)
        wanted = self.wanted[call] = self._want(call, Kind.CALL, asked, earmark, replaces)
        settlement, needed = Settlement(self._rid(settled), usage), self._need(call, wanted)
        for _ in range(times):
            answer = self._answer(lambda: self.ledger.advance(self.bindings[call[0]], call[1], settlement, needed))
            expected = self.model.settle(self.now, settled, usage)
            if isinstance(expected, Refused):
                assert answer == expected
                continue
            held = self.model.reserve(self.now, call, wanted)
            if held == Refused("StaleEpoch"):
                held = Denied("STALE", None)
            assert (_closing(answer), _outcome(answer)) == (expected, held)

    @rule(
        place=places,
        shift=epoch_shifts,
        state=st.sampled_from([State.RELEASED, State.CHARGED]),
        overtakes=st.sampled_from([False, False, True]),
        times=times,
    )
    def end(self, place: int, shift: int, state: State, overtakes: bool, times: int) -> None:
        """Release or charge a call, or one whose Reserve has not arrived yet."""
        call = self._known(place)
        if overtakes:
            call = self._next(call[0], 0)
        epoch = max(call[1], self.model.builds[call[0]].epoch + shift)
        act = self.ledger.release if state is State.RELEASED else self.ledger.charge
        for _ in range(times):
            answer = self._answer(lambda: act(self.bindings[call[0]], epoch, self._rid(call), "a_reason"))
            expected = self.model.end(self.now, epoch, call, state)
            if isinstance(answer, Closing):
                assert Closed(answer.state, answer.booked_microdollars) == expected
            else:
                assert answer == expected

    @rule(build=builds, shift=st.sampled_from([1, 1, 0, -1]))
    def attach(self, build: int, shift: int) -> None:
        """Another process takes the build over, or an old one tries to."""
        epoch = self.model.builds[build].epoch + shift
        answer = self._answer(lambda: self.ledger.attach(self.bindings[build], epoch, "owner"))
        expected = self.model.attach(self.now, build, epoch)
        if expected:
            assert answer == expected
            return
        assert not isinstance(answer, Refused)
        undecided = [(each.rid.epoch, each.rid.k, each.state) for each in answer]
        assert undecided == sorted(
            (epoch, k, hold.state)
            for (of, epoch, k), hold in self.model.holds.items()
            if of == build and hold.state in (State.HELD, State.EXPIRED)
        )

    @rule(event=st.sampled_from(["crash", "expiry", "a while", "a life", "a life", "midnight", "midnight", "a month"]))
    def meanwhile(self, event: str) -> None:
        """The service is killed and started again, its loop closes what is due, or time passes."""
        match event:
            case "crash":
                self.restart()
            case "expiry":
                self._run(self.books.set_clock(self.now))
                self._run(expire_due(self.books.store))
                self.model.expire(self.now)
            case "a while":
                self.now += timedelta(minutes=11)
            case "a life":
                self.now += timedelta(minutes=31)
            case "midnight":
                self.now = midnight_after(self.now, self.model.zone, self.model.anchor_day)
            case "a month":
                self.now = midnight_after(self.now + timedelta(days=28), self.model.zone, self.model.anchor_day)

    @invariant()
    def the_audit_is_clean(self) -> None:
        """Nothing is over, no sum is off, every close was the only one."""
        if hasattr(self, "model"):
            assert self._run(audit(self.books.pool, TENANT, PRICES, self.user_id)) == []

    @invariant()
    def the_counters_are_those_of_the_model(self) -> None:
        """Every period and the version stand where the model has them."""
        if hasattr(self, "model"):
            assert self._run(self._stands()) == self._expected()

    async def _stands(self) -> tuple[dict[str, Counters], int]:
        rows = await self.books.pool.fetch(
            'SELECT period, "limit", allowance, reserved, spent FROM periods WHERE user_id = $1', self.user_id
        )
        version = await self.books.pool.fetchval("SELECT version FROM accounts WHERE user_id = $1", self.user_id)
        return {period: Counters(*counters) for period, *counters in rows}, version

    def _expected(self) -> tuple[dict[str, Counters], int]:
        cycles = {f"cycle/{key}": counters for key, counters in self.model.cycles.items()}
        days = {f"day/{key}": counters for key, counters in self.model.days.items()}
        totals = {f"build/{self.bindings[n].build_id}": counters for n, counters in enumerate(self.model.totals)}
        return cycles | days | totals, self.model.version

    def _next(self, build: int, shift: int) -> Call:
        """A further call of a build, mostly of the epoch that is attached."""
        call = build, max(1, self.model.builds[build].epoch + shift), self.next_k[build]
        self.next_k[build] += 1
        self.calls.append(call)
        return call

    def _known(self, place: int) -> Call:
        """One of the newest calls of the account, or else a further one."""
        return self.calls[-1 - place] if place < len(self.calls) else self._next(0, 0)

    def _rid(self, call: Call) -> Rid:
        return Rid(self.bindings[call[0]].build_id, call[1], call[2])

    def _need(self, call: Call, wanted: Wanted) -> Need:
        build, epoch, k = call
        prompt, least, most = wanted.asked
        return need(
            self.bindings[build],
            k,
            epoch=epoch,
            kind=wanted.kind,
            prompt=prompt,
            least=least,
            most=most,
            earmark=wanted.earmark and self._need((build, epoch, k + 1), Wanted(Kind.EARMARK, wanted.earmark)),
            replaces=wanted.replaces and wanted.replaces[2],
        )

    def _answer(self, call: Callable[[], Awaitable[Result]]) -> Result | Refused:
        self._run(self.books.set_clock(self.now))
        try:
            return self._run(call())
        except ServiceError as error:
            return Refused(type(error).__name__)

    def _run(self, awaitable: Awaitable[Result]) -> Result:
        async def run() -> Result:
            return await awaitable

        return self.loop.run(run())


def _outcome(answer: Turn | Refused) -> Held | Denied:
    assert isinstance(answer, Turn)
    match answer.outcome:
        case Grant() as grant:
            return Held(grant.held_microdollars, grant.earmark.held_microdollars if grant.earmark else None)
        case Denial() as denial:
            stale = denial.cause.value == "STALE"
            return Denied(denial.cause.value, None if stale else denial.account_version)
        case None:
            raise AssertionError("a need was not answered")


def _closing(answer: Turn | Refused) -> Closed:
    assert isinstance(answer, Turn)
    assert answer.closing is not None
    return Closed(answer.closing.state, answer.closing.booked_microdollars)
