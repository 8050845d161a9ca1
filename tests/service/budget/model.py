"""The ledger as a plain Python program: what it must answer, without locks, tables or journal."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from taor_budget.allowance import today
from taor_budget.pricing import Usage, cost_microdollars
from taor_budget.reservations import Kind, State
from tests.service.budget.books import CYCLE_MICRODOLLARS, LIFE, PRICES

Call = tuple[int, int, int]  # build, epoch, k
Asked = tuple[int, int, int]  # prompt, least and most output


@dataclass
class Counters:
    """A period: the cycle, a day, or a build, which has no limit."""

    limit: int | None = None
    allowance: int | None = None
    reserved: int = 0
    spent: int = 0


@dataclass
class Hold:
    """A reservation."""

    kind: Kind
    asked: Asked
    held: int
    price_id: str
    expires_at: datetime
    periods: tuple[Counters, ...]
    state: State = State.HELD
    booked: int = 0
    usage: Usage | None = None
    earmark: "Hold | None" = None


@dataclass(frozen=True)
class Wanted:
    """What a Reserve asks for; its earmark is that of the call after it."""

    kind: Kind
    asked: Asked
    earmark: Asked | None = None
    replaces: Call | None = None


@dataclass(frozen=True)
class Refused:
    """A refusal, by its name in errors.py."""

    error: str


@dataclass(frozen=True)
class Held:
    """A grant of so much money, and of so much for the earmark."""

    microdollars: int
    earmark_microdollars: int | None = None


@dataclass(frozen=True)
class Denied:
    """A denial for this cause, at this version."""

    cause: str
    version: int | None


@dataclass(frozen=True)
class Closed:
    """How a reservation stands."""

    state: State
    booked: int


@dataclass
class BuildState:
    """A build's fence, and what was shown of it."""

    epoch: int = 1
    shown: tuple[int, int] = (0, -1)
    denied: Denied | None = None


@dataclass
class LedgerModel:
    """One account with its builds; time is told to every step."""

    zone: ZoneInfo
    anchor_day: int
    version: int = 1
    cycles: dict[str, Counters] = field(default_factory=dict)
    days: dict[str, Counters] = field(default_factory=dict)
    builds: list[BuildState] = field(default_factory=list)
    totals: list[Counters] = field(default_factory=list)
    holds: dict[Call, Hold] = field(default_factory=dict)

    def open_build(self) -> None:
        """A further build, at epoch 1."""
        self.builds.append(BuildState())
        self.totals.append(Counters())

    def expire(self, now: datetime) -> None:
        """Charge the calls and release the earmarks that are due."""
        for hold in self.holds.values():
            if hold.state is State.HELD and hold.expires_at <= now:
                if hold.kind is Kind.EARMARK:
                    self._close(hold, State.RELEASED, 0)
                else:
                    self._close(hold, State.EXPIRED, hold.held)

    def attach(self, now: datetime, build: int, epoch: int) -> Refused | None:
        """Raise the fence; everybody is the same owner here."""
        self.expire(now)
        if epoch < self.builds[build].epoch:
            return Refused("StaleEpoch")
        self.builds[build].epoch = epoch
        return None

    def reserve(self, now: datetime, call: Call, wanted: Wanted) -> Held | Denied | Refused:
        """Set money aside for a call of its own epoch, and for its earmark, or for neither."""
        self.expire(now)
        build, epoch, k = call
        day, cycle = self._open_day(now)
        fence = self.builds[build]
        if epoch != fence.epoch:
            return Refused("StaleEpoch")
        if hold := self.holds.get(call):
            return self._again(hold, wanted)
        if (epoch, k) == fence.shown and fence.denied:
            return fence.denied
        if (epoch, k) <= fence.shown:
            return Denied("STALE", None)
        least, kept = self._bound(now, wanted.asked, 1), self._bound(now, wanted.earmark, 1)
        assert day.allowance is not None
        assert day.limit is not None
        assert cycle.limit is not None
        ceiling = min(day.allowance if wanted.kind is Kind.CALL else day.limit, day.limit - kept)
        unspent = min(ceiling - day.spent, cycle.limit - cycle.spent - kept)
        replaced = self._replaced(wanted)
        back = replaced.held if replaced else 0
        free = back + min(ceiling - day.spent - day.reserved, cycle.limit - cycle.spent - cycle.reserved - kept)
        fence.shown = (epoch, k)
        if free < least:
            fence.denied = Denied("LIMIT" if unspent < least else "HOLDS", self.version)
            return fence.denied
        fence.denied = None
        if replaced:
            self._close(replaced, State.RELEASED, 0)
        hold = self._set_aside(now, call, wanted.kind, wanted.asked, free)
        if wanted.earmark is None:
            return Held(hold.held)
        fence.shown = (epoch, k + 1)
        left = min(day.limit - day.spent - day.reserved, cycle.limit - cycle.spent - cycle.reserved)
        hold.earmark = self._set_aside(now, (build, epoch, k + 1), Kind.EARMARK, wanted.earmark, left)
        return Held(hold.held, hold.earmark.held)

    def _again(self, hold: Hold, wanted: Wanted) -> Held | Denied | Refused:
        """What the first answer was; an earmark that is closed by now is told no more."""
        earmark = hold.earmark
        if (hold.kind, hold.asked, earmark and earmark.asked) != (wanted.kind, wanted.asked, wanted.earmark):
            return Refused("IdConflict")
        if hold.state is not State.HELD:
            return Denied("STALE", None)
        return Held(hold.held, earmark.held if earmark and earmark.state is State.HELD else None)

    def _replaced(self, wanted: Wanted) -> Hold | None:
        """The earmark that is given back with the grant, if it is one and open."""
        hold = self.holds.get(wanted.replaces) if wanted.replaces else None
        return hold if hold and (hold.kind, hold.state) == (Kind.EARMARK, State.HELD) else None

    def _bound(self, now: datetime, asked: Asked | None, which: int) -> int:
        """What a call costs at the least (1) or at the most (2)."""
        quote = PRICES.quote("model", now)
        assert quote is not None
        rates = quote.price.tiers[0].rates
        return (asked[0] * rates.input + asked[which] * rates.output) // 1_000_000 if asked else 0

    def _set_aside(self, now: datetime, call: Call, kind: Kind, asked: Asked, free: int) -> Hold:
        quote = PRICES.quote("model", now)
        assert quote is not None
        day, cycle = self._open_day(now)
        expires_at = now + LIFE
        if kind is Kind.EARMARK:
            expires_at = min(expires_at, today(now, self.zone, self.anchor_day).day.end)
        periods = (cycle, day, self.totals[call[0]])
        held = min(self._bound(now, asked, 2), free)
        hold = self.holds[call] = Hold(kind, asked, held, quote.price.price_id, expires_at, periods)
        for period in periods:
            period.reserved += held
        return hold

    def settle(self, now: datetime, call: Call, usage: Usage | None) -> Closed | Refused:
        """Book the truth, or charge when nobody knows it."""
        self.expire(now)
        if not (hold := self.holds.get(call)):
            return Refused("ReservationNotFound")
        if hold.kind is Kind.EARMARK or hold.state is State.RELEASED:
            return Refused("ReservationClosed")
        if hold.state is State.SETTLED:
            if usage not in (None, hold.usage):
                return Refused("IdConflict")
        elif usage is not None:
            (price,) = (price for price in PRICES.all() if price.price_id == hold.price_id)
            hold.usage = usage
            self._close(hold, State.SETTLED, cost_microdollars(usage, price))
        elif hold.state is State.HELD:
            self._close(hold, State.CHARGED, hold.held)
        self._open_day(now)
        return Closed(hold.state, hold.booked)

    def end(self, now: datetime, epoch: int, call: Call, state: State) -> Closed | Refused:
        """Release or charge a hold."""
        self.expire(now)
        fence = self.builds[call[0]]
        if epoch != fence.epoch:
            return Refused("StaleEpoch")
        if call[1:] > fence.shown:
            fence.shown, fence.denied = call[1:], None
        if not (hold := self.holds.get(call)):
            return Refused("ReservationNotFound")
        if hold.state is State.HELD:
            if state is State.CHARGED and hold.kind is Kind.EARMARK:
                return Refused("ReservationClosed")
            self._close(hold, state, hold.held if state is State.CHARGED else 0)
        return Closed(hold.state, hold.booked)

    def _close(self, hold: Hold, state: State, booked: int) -> None:
        freed = (hold.held if hold.state is State.HELD else 0) - (booked - hold.booked)
        self.version += freed > 0
        for period in hold.periods:
            period.reserved -= hold.held if hold.state is State.HELD else 0
            period.spent += booked - hold.booked
        hold.state, hold.booked = state, booked

    def _open_day(self, now: datetime) -> tuple[Counters, Counters]:
        here = today(now, self.zone, self.anchor_day)
        cycle = self.cycles.setdefault(here.cycle.key.isoformat(), Counters(limit=CYCLE_MICRODOLLARS))
        key = here.day.key.isoformat()
        if key not in self.days:
            assert cycle.limit is not None
            left = max(0, cycle.limit - cycle.spent - cycle.reserved)
            share = left // here.days_left
            self.days[key] = Counters(limit=min(share * 11 // 10, left), allowance=share)
        return self.days[key], cycle


def midnight_after(now: datetime, zone: ZoneInfo, anchor_day: int) -> datetime:
    """The instant at which the next day begins."""
    return today(now, zone, anchor_day).day.end + timedelta(seconds=1)
