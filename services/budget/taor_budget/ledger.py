"""The ledger: money is set aside before a model call, and its real cost is booked after it.

Every change is one locked call of a database function. What those need to know beside the rows (the model's price, the
account's day) is known here; the database checks under its lock that it still holds, and when not the call is repeated.
"""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from taor_budget import bound
from taor_budget.accounts import Accounts
from taor_budget.allowance import Today
from taor_budget.errors import IdConflict, ModelUnknown, ReservationClosed, ReservationNotFound, StaleEpoch
from taor_budget.pricing import PriceTable
from taor_budget.reservations import (
    Allowance,
    Closing,
    Denial,
    Grant,
    Need,
    Reservation,
    Rid,
    Settlement,
    State,
    Turn,
)
from taor_budget.store.accounts import Binding
from taor_budget.store.ledger import LedgerStore
from taor_budget.store.rows import Answer, Counters, Ended, LedgerTurn, Priced
from taor_chassis.errors import DependencyUnavailable

ROLLS = 3  # a call that waited for the lock may meet a midnight and a price change, not more

_log = logging.getLogger(__name__)


class Ledger:
    """Sets money aside and books what was spent, for one build at a time."""

    def __init__(self, store: LedgerStore, accounts: Accounts, prices: PriceTable, hold_life: timedelta) -> None:
        self._store = store
        self._accounts = accounts
        self._prices = prices
        self._hold_life = hold_life

    async def attach(self, build: Binding, epoch: int, owner: str) -> tuple[Reservation, ...]:
        """Raise the fence; returns the holds that a take-over decides on. Raises StaleEpoch."""
        attached, highest = await self._store.attach(build.tenant_id, build.user_id, build.build_id, epoch, owner)
        if not attached:
            raise StaleEpoch(build.build_id, epoch, highest)
        return await self._store.undecided(build.tenant_id, build.build_id)

    async def reserve(self, build: Binding, epoch: int, need: Need) -> Turn:
        """Set money aside. Raises StaleEpoch, IdConflict, ModelUnknown."""
        return await self._turn(build, epoch, None, need, fenced=True)

    async def advance(self, build: Binding, epoch: int, settlement: Settlement, need: Need) -> Turn:
        """Settle one call and set money aside for the next in one commit; a stale epoch is a denial here."""
        return await self._turn(build, epoch, settlement, need, fenced=False)

    async def settle(self, build: Binding, settlement: Settlement) -> Turn:
        """Book what a call has used. Raises ReservationNotFound, ReservationClosed, IdConflict."""
        return await self._turn(build, 0, settlement, None, fenced=False)

    async def release(self, build: Binding, epoch: int, rid: Rid, reason: str) -> Closing:
        """Give back a hold whose call was not billed. Raises StaleEpoch, ReservationNotFound."""
        return await self._end(build, epoch, rid, State.RELEASED, reason)

    async def charge(self, build: Binding, epoch: int, rid: Rid, reason: str) -> Closing:
        """Book the whole hold of a call whose outcome nobody knows. Raises StaleEpoch, ReservationNotFound."""
        closing = await self._end(build, epoch, rid, State.CHARGED, reason)
        _alarm(rid, closing)
        return closing

    async def standing(self, build: Binding) -> Allowance:
        """What the user of a build may spend today, and what the build has spent."""
        return (await self._turn(build, 0, None, None, fenced=False)).allowance

    async def allowance(self, tenant_id: str, user_id: str, build_id: str | None = None) -> Allowance:
        """What the user may spend today, and what the build has spent; the first look at a day opens it."""
        today = await self._accounts.today(tenant_id, user_id)
        for _ in range(ROLLS):
            turned = await self._store.turn(tenant_id, user_id, today, build_id=build_id)
            if turned.counters is not None:
                return allowance_of(turned.counters, today)
            today = await self._accounts.roll(tenant_id, user_id, turned.at)
        raise DependencyUnavailable("the account's day changed while it was read; try again")

    async def _turn(
        self, build: Binding, epoch: int, settlement: Settlement | None, need: Need | None, *, fenced: bool
    ) -> Turn:
        today = await self._accounts.today(build.tenant_id, build.user_id)
        closing: Closing | None = None
        for _ in range(ROLLS):
            priced = self._price(build, need, today.seen_at) if need else None
            earmark = self._price(build, need.earmark, today.seen_at) if need and need.earmark else None
            turned = await self._send(build, epoch, today, None if closing else settlement, priced, earmark)
            if settlement and not closing:
                closing = _settled(settlement.rid, turned.ended)
            if turned.counters is not None:
                if need and not priced:
                    raise ModelUnknown(build.model)
                outcome = self._outcome(build, need, turned, today, epoch=epoch, fenced=fenced) if need else None
                return Turn(closing, outcome, allowance_of(turned.counters, today))
            today = await self._accounts.roll(build.tenant_id, build.user_id, turned.at)
        raise DependencyUnavailable("the account's day changed while money was set aside; try again")

    async def _send(
        self,
        build: Binding,
        epoch: int,
        today: Today,
        settlement: Settlement | None,
        priced: Priced | None,
        earmark: Priced | None,
    ) -> LedgerTurn:
        return await self._store.turn(
            build.tenant_id,
            build.user_id,
            today,
            build_id=build.build_id,
            epoch=epoch,
            settlement=settlement,
            prices=self._prices.of_model(build.model),
            priced=priced,
            earmark=earmark,
        )

    async def _end(self, build: Binding, epoch: int, rid: Rid, state: State, reason: str) -> Closing:
        ended = await self._store.end(build.tenant_id, build.user_id, epoch, rid, state, reason)
        if ended.refusal == "STALE_EPOCH":
            raise StaleEpoch(build.build_id, epoch, ended.highest_epoch)
        return _closing(rid, ended)

    def _price(self, build: Binding, need: Need, instant: datetime) -> Priced | None:
        """Bound the least and the most that the call can cost; None when its model has no price."""
        if (quote := self._prices.quote(build.model, instant)) is None:
            return None
        rates = bound.rates_of(quote.price, need.prompt_tokens)
        return Priced(
            need,
            quote.price.price_id,
            quote.since,
            quote.until,
            rates.microdollars(need.prompt_tokens, need.min_output_tokens),
            rates.microdollars(need.prompt_tokens, need.max_output_tokens),
            self._hold_life,
        )

    def _outcome(
        self, build: Binding, need: Need, turned: LedgerTurn, today: Today, *, epoch: int, fenced: bool
    ) -> Grant | Denial:
        answer, counters = turned.answer, turned.counters
        assert answer is not None
        assert counters is not None
        if answer.refusal == "CONFLICT":
            raise IdConflict(f"reservation {need.rid}")
        if answer.refusal == "STALE_EPOCH" and fenced:
            raise StaleEpoch(build.build_id, epoch, answer.highest_epoch)
        if answer.cause is None:
            grant = self._grant(build, need, answer)
            return replace(grant, earmark=self._earmark(build, need, turned))
        version = counters.version if answer.version is None else answer.version
        return Denial(answer.cause, version, today.day.end, answer.needed_microdollars, answer.free_microdollars)

    def _earmark(self, build: Binding, need: Need, turned: LedgerTurn) -> Grant | None:
        """The earmark beside a granted call, unless it is closed by now."""
        if need.earmark is None or turned.earmark is None:
            return None
        return self._grant(build, need.earmark, turned.earmark)

    def _grant(self, build: Binding, need: Need, answer: Answer) -> Grant:
        """Read the hold with the price that it keeps, which on a repetition may be an older one."""
        (price,) = (each for each in self._prices.of_model(build.model) if each.price_id == answer.price_id)
        rates = bound.rates_of(price, need.prompt_tokens)
        carried = min(need.max_output_tokens, rates.output_tokens(need.prompt_tokens, answer.held_microdollars))
        assert carried >= need.min_output_tokens
        return Grant(answer.held_microdollars, carried, rates, answer.price_id, answer.life_seconds)


def _settled(rid: Rid, ended: Ended | None) -> Closing:
    assert ended is not None
    closing = _closing(rid, ended)
    _alarm(rid, closing)
    return closing


def _closing(rid: Rid, ended: Ended) -> Closing:
    """How the reservation stands, or the refusal as an error."""
    match ended.refusal:
        case None:
            assert ended.closing is not None
            return ended.closing
        case "NOT_FOUND":
            raise ReservationNotFound(str(rid))
        case "CONFLICT":
            raise IdConflict(f"the settlement of {rid}")
        case "CLOSED":
            raise ReservationClosed(str(rid), ended.state)
        case other:
            raise AssertionError(f"the ledger refused {rid} with {other}")


def _alarm(rid: Rid, closing: Closing) -> None:
    """Tell people of money that went where no bound or usage explains it."""
    if closing.changed and closing.overrun_microdollars:
        extra = {"alarm": "overrun", "call": str(rid), "overrun_microdollars": closing.overrun_microdollars}
        _log.error("a call cost more than was set aside for it", extra=extra)
    if closing.changed and closing.state is State.CHARGED:
        extra = {"alarm": "charged", "call": str(rid), "booked_microdollars": closing.booked_microdollars}
        _log.warning("nobody knows what a call used, so its whole hold is charged", extra=extra)


def allowance_of(counters: Counters, today: Today) -> Allowance:
    """The allowance as the ledger counted it, with the instants of its day and cycle."""
    return Allowance(
        counters.allowance,
        counters.hard_limit,
        counters.spent,
        counters.reserved,
        today.day.end,
        counters.version,
        max(counters.cycle_left, 0),
        today.cycle.end,
        counters.build_spent,
    )
