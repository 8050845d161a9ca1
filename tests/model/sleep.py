"""One build that runs out of money, rests, is woken and may be cancelled, with two workers.

Each step is one transaction in the orchestrator's database (the builds row, the waker's cursor) or in the budget's
(account, holds, earmark, fence), or the call itself; closing the holds of older epochs is one step, and so are the
check of the lease and the send (`turn.py` has these apart). A call, its hold and the hand-over's earmark cost 1 each,
and a day carries both; the build whose prompt has outgrown its plan, which reserves its call alone, is not in here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

ANSWERS = 2
"""How many answers end the build."""
CALL, EARMARK, DAILY = 1, 1, 2
UNREAD = -1
Rid = tuple[int, int]
NO_RID = (0, 0)


class Rule(StrEnum):
    """What the protocol asks for; each can be taken out."""

    CLAIM_RECHECKS = "a claim rechecks under the row's lock that the build is due or its lease run out"
    END_CHECKS_EPOCH = "the commit that ends a tenure holds only at its own epoch"
    REST_CHECKS_GENERATION = "a build rests only if wake_generation is still the value that its worker has read"
    GENERATION_BEFORE_RESERVE = "that value was read before the denied Reserve was sent"
    REFUSED_REST_RESERVES = "after a refused rest the worker reserves again, never retries only the commit"
    CANCEL_IS_READ_WITH_IT = "whoever reads wake_generation reads beside it whether the build is cancelled"
    CANCEL_IS_A_WAKE = "a cancel raises wake_generation in every state"
    WAKE_RAISES_GENERATION = "a user's wake raises wake_generation in every state"
    WAKE_SPARES_THE_RUNNING = "a wake queues resting builds only"
    WAKER_COMPARES = "a resting build whose denied_version is below the cursor is woken, whenever it came to rest"
    VERSION_OF_DENIAL = "denied_version is the account version in the denial, not a later one"
    WATCH_RESUMES = "a watch of the accounts that broke off is begun anew with all that changed meanwhile"
    EVERY_GAIN_IS_TOLD = "every growth of free money raises the account version, a release by another build too"
    WAIT_HAS_TIME = "WAITING_BUDGET has a wake_at too: midnight raises no version"
    WAKE_AT_IS_AHEAD = "wake_at is later than the orchestrator's own clock"
    RELEASE_BEFORE_REST = "holds and earmark are released before a build rests"
    BUDGET_FENCED = "Reserve and Release below the attached epoch are refused"
    FENCE_COUNTS_K = "a Reserve at or below the highest (epoch, k) that was shown is refused unless it has a row"
    FIRST_RESERVE_IS_WHOLE = "a waking worker gets the first call and the earmark together or not at all"
    LEASE_IS_CHECKED = "the lease is checked right before the send"
    CANCEL_IS_CHECKED = "a known cancel is obeyed before Reserve and right before the send"
    EARMARK_IS_RELEASED = "expiry and take-over release an earmark"


class Promise(StrEnum):
    """What must hold in every state."""

    NOTHING_LEFT = "a build that rests or has ended holds no money and no earmark"
    ONE_OWNER = "a build has one owner; whoever was replaced reserves, sends and commits nothing"
    ONE_CALL_AFTER_CANCEL = "after a cancel one call at most is sent, and none once it was carried out"
    CANCEL_ARRIVES = "a cancel is carried out"
    WAKE_ARRIVES = "a user's wake is followed by a look at the money"
    MONEY_WAKES = "no build rests for ever beside enough money"
    MONEY_WAKES_TODAY = "new money wakes a build at once, not only at wake_at"
    NO_BUSY_LOOP = "at most one fruitless wake follows a rest"
    PAID_ONCE = "without new money nothing is granted after a denial, and one hand-over is paid"
    EARMARK_IS_FREE = "an earmark is never charged"
    LIVES = "a build that is neither resting nor ended finds a worker"


class Fault(StrEnum):
    """What the world does."""

    TOP_UP = "top-up"
    OTHER_SETTLES = "another build settles"
    OTHER_RELEASES = "another build releases"
    OTHER_IS_CHARGED = "another build is charged"
    OTHER_RESERVES = "another build reserves"
    MIDNIGHT = "the budget's midnight"
    CLOCK = "the clock passes a refresh time"
    CANCEL = "the user cancels"
    WAKE = "the user wakes"
    LEASE_ENDS = "the lease runs out"
    DEATH = "a worker dies"
    EXPIRY = "the holds expire"
    LATE_RESERVE = "a copy of a Reserve is delayed"
    TOLD_TO_NOBODY = "an account change is told while nobody listens"


class State(StrEnum):
    """What the builds row says."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SLEEPING = "SLEEPING"
    WAITING_BUDGET = "WAITING_BUDGET"
    CANCELLED = "CANCELLED"
    DONE = "DONE"


RESTING = (State.SLEEPING, State.WAITING_BUDGET)
ENDED = (State.CANCELLED, State.DONE)


class At(StrEnum):
    """Where a worker stands."""

    IDLE = "idle"
    FOUND = "has found the build due"
    ATTACH = "attaches"
    RESERVE = "reserves"
    READ = "reads wake_generation"
    WIND_DOWN = "winds down"
    SEND = "sends"
    SETTLE = "settles"
    RELEASE = "releases"
    REST = "rests"
    END = "ends"


class Worker(NamedTuple):
    """A worker's memory; `told` when it knows of a cancel, `goal` is the state to commit after the release."""

    at: At = At.IDLE
    epoch: int = 0
    k: int = 0
    generation: int = UNREAD
    denied: int = 0
    goal: str = ""
    told: bool = False


class World(NamedTuple):
    """Everything durable, the workers, the faults so far, and what the promises must remember."""

    state: State = State.QUEUED
    epoch: int = 0
    generation: int = 0
    lease: bool = False
    wake_at: int | None = None
    denied_version: int = 0
    cancel: bool = False
    cursor: int = 0
    """The account version that the waker has handled."""
    unheard: int = 0
    clock: int = 0
    fence: Rid = NO_RID
    version: int = 0
    day: int = 0
    free: int = 2
    others: int = 1
    earmark: int = 0
    holds: tuple[tuple[Rid, int], ...] = ()
    """The calls held for, with the days that their money is of."""
    late: Rid = NO_RID
    workers: tuple[Worker, ...] = (Worker(), Worker())
    faults: tuple[Fault, ...] = ()
    answers: int = 0
    sent_after_cancel: int = 0
    idle_wakes: int = 0
    since_money: str = ""
    """`denied` or `handed over` since the money last changed."""
    wake_unserved: bool = False
    broken: Promise | None = None


Steps = Iterator[tuple[str, World]]


@dataclass(frozen=True, slots=True)
class Size:
    """How many faults there may be, of these kinds; each kind twice at most."""

    faults: int
    kinds: frozenset[Fault] = frozenset(Fault)

    def __str__(self) -> str:
        return f"({self.faults} faults)"


class SleepModel:
    """Resting and waking with a set of rules."""

    def __init__(self, rules: frozenset[StrEnum], size: Size) -> None:
        self._rules = rules
        self._size = size

    @property
    def start(self) -> World:
        """A new build is queued; its account has money for a call and a hand-over, and another build's hold."""
        return World()

    def steps(self, world: World) -> Steps:
        """The next step of each worker, and what waker, timer, leases and network do."""
        for i, worker in enumerate(world.workers):
            if i and worker == world.workers[i - 1]:
                continue
            for name, following in self._work(world, i, worker):
                yield f"w{worker.epoch} {name}" if worker.epoch else f"a worker {name}", following
        yield from self._wake_up(world)
        owner = next((w for w in world.workers if w.at is not At.IDLE and w.epoch == world.epoch), None)
        if world.state is State.RUNNING and world.lease and owner is None:
            yield "the lease of a worker that is gone runs out", world._replace(lease=False)
        if world.late != NO_RID:
            yield "the delayed Reserve arrives", self._arrive(world)

    # One worker.

    def _work(self, world: World, i: int, me: Worker) -> Steps:
        is_fenced = me.epoch < world.fence[0] and Rule.BUDGET_FENCED in self._rules
        match me.at:
            case At.IDLE | At.FOUND:
                yield from self._claim(world, i, me)
            case At.ATTACH | At.RESERVE | At.WIND_DOWN | At.RELEASE if is_fenced:
                yield f"{me.at}: STALE", _go(world, i, At.IDLE)
            case At.ATTACH:
                fenced = world._replace(fence=max(world.fence, (me.epoch, 0)))
                yield "attaches, closes old holds", _go(self._close_all(fenced, charge=True), i, At.RESERVE)
            case At.RESERVE | At.SEND if me.told and Rule.CANCEL_IS_CHECKED in self._rules:
                yield "obeys the cancel", _go(world, i, At.RELEASE, goal=State.CANCELLED)
            case At.RESERVE:
                yield self._reserve(world, i, me)
            case At.READ:
                told = me.told or (world.cancel and Rule.CANCEL_IS_READ_WITH_IT in self._rules)
                yield "reads wake_generation", _go(world, i, At.RESERVE, generation=world.generation, told=told)
            case At.WIND_DOWN:
                yield from self._wind_down(world, i, me)
            case At.SEND:
                yield self._send(world, i, me)
            case At.SETTLE:
                yield self._settle(world, i, me)
            case At.RELEASE:
                yield self._release(world, i, me)
            case At.REST | At.END:
                yield self._end(world, i, me)
        if me.at not in (At.IDLE, At.FOUND) and me.epoch == world.epoch and world.state is State.RUNNING:
            yield from self._beat(world, i, me)

    def _claim(self, world: World, i: int, me: Worker) -> Steps:
        is_due = world.state is State.QUEUED or (world.state is State.RUNNING and not world.lease)
        if me.at is At.IDLE:
            if is_due:
                yield "finds the build due", _go(world, i, At.FOUND)
        elif not is_due and Rule.CLAIM_RECHECKS in self._rules:
            yield "claim refused", _go(world, i, At.IDLE)
        else:
            claimed = world._replace(epoch=world.epoch + 1, state=State.RUNNING, lease=True, wake_at=None)
            if world.state is State.RUNNING and world.lease:
                claimed = claimed._replace(broken=Promise.ONE_OWNER)
            yield f"claims epoch {claimed.epoch}", _go(claimed, i, At.ATTACH, epoch=claimed.epoch, told=world.cancel)

    def _beat(self, world: World, i: int, me: Worker) -> Steps:
        """A heartbeat renews the lease and tells of a cancel; only what it changes is a step."""
        told = me.told or world.cancel
        if not world.lease or told != me.told:
            yield "beats", _go(world._replace(lease=True), i, me.at, told=told)

    def _reserve(self, world: World, i: int, me: Worker) -> tuple[str, World]:
        """Reserve the call, and the earmark if there is none. The first denial only makes it read the generation."""
        rid = (me.epoch, me.k + 1)
        if world.fence[0] > me.epoch:
            return "Reserve granted below the fence", world._replace(broken=Promise.ONE_OWNER)
        if rid <= world.fence:
            is_held = any(held == rid for held, _ in world.holds)
            return "Reserve answered as before", _go(world, i, At.SEND if is_held else At.RESERVE, k=rid[1])
        world = world._replace(wake_unserved=False)
        if (granted := _granted(world, rid)) is not None:
            if world.since_money:
                granted = granted._replace(broken=Promise.PAID_ONCE)
            late = NO_RID if world.late == rid else world.late
            return "Reserve granted", _go(granted._replace(late=late, idle_wakes=0), i, At.SEND, k=rid[1])
        if world.free >= EARMARK > world.earmark and Rule.FIRST_RESERVE_IS_WHOLE not in self._rules:
            world = world._replace(earmark=EARMARK, free=world.free - EARMARK)
        world = world._replace(fence=rid, since_money=world.since_money or "denied")
        name = f"Reserve DENIED at version {world.version}"
        if me.generation == UNREAD and Rule.GENERATION_BEFORE_RESERVE in self._rules:
            return name, _go(world, i, At.READ, k=rid[1])
        return name, _go(world, i, At.WIND_DOWN, k=rid[1], denied=world.version, goal="rest")

    def _wind_down(self, world: World, i: int, me: Worker) -> Steps:
        """The hand-over note may cost a call, which the earmark pays."""
        yield "needs no hand-over call", _go(world, i, At.RELEASE)
        if world.earmark:
            rid = (me.epoch, me.k + 1)
            held = world._replace(
                earmark=0,
                holds=(*world.holds, (rid, world.day)),
                fence=max(world.fence, rid),
                broken=Promise.PAID_ONCE if world.since_money == "handed over" else None,
                since_money=world.since_money and "handed over",
            )
            yield "makes the earmark a hold", _go(held, i, At.SEND, k=rid[1])

    def _send(self, world: World, i: int, me: Worker) -> tuple[str, World]:
        is_replaced = me.epoch < world.epoch
        if (is_replaced or not world.lease) and Rule.LEASE_IS_CHECKED in self._rules:
            return "its lease is not fresh", _go(world, i, At.IDLE)
        if not is_replaced and all(rid != (me.epoch, me.k) for rid, _ in world.holds):
            return "its hold has expired", _go(world, i, At.RESERVE, goal="", generation=UNREAD)
        sent = world._replace(sent_after_cancel=world.sent_after_cancel + world.cancel)
        if world.state is State.CANCELLED:
            sent = sent._replace(broken=Promise.ONE_CALL_AFTER_CANCEL)
        elif is_replaced:
            sent = sent._replace(broken=Promise.ONE_OWNER)
        return "SENDS a call", _go(sent, i, At.SETTLE)

    def _settle(self, world: World, i: int, me: Worker) -> tuple[str, World]:
        """A call lasts longer than the time between two heartbeats, so its owner knows of a cancel by now."""
        is_replaced = me.epoch < world.epoch
        answers = world.answers + (not is_replaced and not me.goal)
        holds = tuple(held for held in world.holds if held[0] != (me.epoch, me.k))
        settled = world._replace(holds=holds, answers=answers)
        if is_replaced:
            return "settles; it was replaced", _go(settled, i, At.IDLE)
        goal = me.goal or (State.DONE if answers >= ANSWERS else "")
        told = me.told or world.cancel
        return "settles and logs", _go(settled, i, At.RELEASE if goal else At.RESERVE, goal=goal, told=told)

    def _release(self, world: World, i: int, me: Worker) -> tuple[str, World]:
        rests = me.goal == "rest"
        keeps = rests and Rule.RELEASE_BEFORE_REST not in self._rules
        released = world if keeps else self._close_all(world, charge=False)
        denied = me.denied if Rule.VERSION_OF_DENIAL in self._rules else released.version
        generation = me.generation if Rule.GENERATION_BEFORE_RESERVE in self._rules else world.generation
        released = released._replace(fence=max(world.fence, (me.epoch, me.k + 1)))
        at = At.REST if rests else At.END
        return "releases all", _go(released, i, at, k=me.k + 1, denied=denied, generation=generation)

    def _end(self, world: World, i: int, me: Worker) -> tuple[str, World]:
        if me.epoch < world.epoch and Rule.END_CHECKS_EPOCH in self._rules:
            return "its commit is refused: epoch", _go(world, i, At.IDLE)
        stale = Promise.ONE_OWNER if me.epoch < world.epoch else None
        if me.at is At.END:
            ended = world._replace(state=State(me.goal), lease=False, wake_at=None, broken=stale)
            return f"commits {me.goal}", _go(ended, i, At.IDLE)
        if me.generation != world.generation and Rule.REST_CHECKS_GENERATION in self._rules:
            if Rule.REFUSED_REST_RESERVES not in self._rules:
                return "its rest is refused: tries again", _go(world, i, At.REST, generation=world.generation)
            return "its rest is refused", _go(world, i, At.RESERVE, generation=UNREAD, goal="")
        waits = world.free + world.others >= CALL + EARMARK
        refresh = max(world.day + 1, world.clock + 1 if Rule.WAKE_AT_IS_AHEAD in self._rules else 0)
        asleep = world._replace(
            state=State.WAITING_BUDGET if waits else State.SLEEPING,
            lease=False,
            wake_at=refresh if not waits or Rule.WAIT_HAS_TIME in self._rules else None,
            denied_version=me.denied,
            broken=stale,
        )
        return f"commits {asleep.state}", _go(asleep, i, At.IDLE)

    def _close_all(self, world: World, *, charge: bool) -> World:
        """Charge or release every hold of the build, and release its earmark."""
        loses = world.earmark and charge and Rule.EARMARK_IS_RELEASED not in self._rules
        back = 0 if charge else sum(CALL for _, day in world.holds if day == world.day)
        closed = world._replace(holds=(), earmark=0, broken=Promise.EARMARK_IS_FREE if loses else world.broken)
        return _freed(closed, back + world.earmark)

    # What happens by itself.

    def _wake_up(self, world: World) -> Steps:
        compares, rests = Rule.WAKER_COMPARES in self._rules, world.state in RESTING
        if world.version > max(world.cursor, world.unheard):
            told = world._replace(cursor=world.version)
            is_behind = rests and (not compares or world.denied_version < world.version)
            yield f"the waker handles version {world.version}", self._woken(told) if is_behind else told
        if compares and rests and world.denied_version < world.cursor:
            yield "the waker finds denied_version < cursor", self._woken(world)
        if rests and world.wake_at is not None and world.wake_at <= world.clock:
            yield "the timer wakes", self._woken(world)

    def _woken(self, world: World, *, by_user: bool = False) -> World:
        """A wake: the generation rises; a resting build is queued."""
        raises = not by_user or Rule.WAKE_RAISES_GENERATION in self._rules
        raised = world._replace(generation=world.generation + raises)
        if world.state in RESTING:
            return raised._replace(state=State.QUEUED, wake_at=None, idle_wakes=world.idle_wakes + (not by_user))
        if world.state is State.RUNNING and Rule.WAKE_SPARES_THE_RUNNING not in self._rules:
            taken = world.lease and any(w.epoch == world.epoch and w.at is not At.IDLE for w in world.workers)
            return raised._replace(state=State.QUEUED, lease=False, broken=Promise.ONE_OWNER if taken else None)
        return raised

    def _arrive(self, world: World) -> World:
        counts = Rule.FENCE_COUNTS_K in self._rules
        is_heard = world.late > world.fence if counts else world.late[0] >= world.fence[0]
        granted = _granted(world, world.late) if is_heard else None
        return (granted or world)._replace(late=NO_RID)

    # What the world does.

    def faults(self, world: World) -> Steps:
        """At most `faults` events, each kind at most twice, while the build lives."""
        if len(world.faults) >= self._size.faults or world.state in ENDED:
            return
        for fault in Fault:
            if fault in self._size.kinds and world.faults.count(fault) < 2:
                struck = world._replace(faults=tuple(sorted((*world.faults, fault))), idle_wakes=0)
                yield from ((fault, following) for following in self._strike(struck, fault))

    def _strike(self, world: World, fault: Fault) -> Iterator[World]:
        match fault:
            case Fault.TOP_UP | Fault.OTHER_SETTLES | Fault.OTHER_RELEASES | Fault.OTHER_IS_CHARGED:
                yield from self._account_changes(world, fault)
            case Fault.OTHER_RESERVES if world.free:
                yield world._replace(free=world.free - 1, others=world.others + 1)
            case Fault.MIDNIGHT if not world.day:
                yield world._replace(since_money="", day=1, free=DAILY, others=0, earmark=0)
            case Fault.CLOCK:
                yield world._replace(clock=world.clock + 1)
            case Fault.WAKE:
                yield self._woken(world._replace(wake_unserved=True), by_user=True)
            case Fault.CANCEL if not world.cancel:
                cancelled = world._replace(cancel=True)
                is_wake = Rule.CANCEL_IS_A_WAKE in self._rules or world.state in RESTING
                yield self._woken(cancelled, by_user=True) if is_wake else cancelled
            case Fault.LEASE_ENDS if world.lease:
                yield world._replace(lease=False)
            case Fault.DEATH:
                yield from (_go(world, i, At.IDLE) for i, w in enumerate(world.workers) if w.at is not At.IDLE)
            case Fault.EXPIRY if (world.holds or world.earmark) and all(w.at is not At.SETTLE for w in world.workers):
                yield self._close_all(world, charge=True)
            case Fault.LATE_RESERVE:
                yield from (world._replace(late=(w.epoch, w.k + 1)) for w in world.workers if w.at is At.RESERVE)
            case Fault.TOLD_TO_NOBODY if Rule.WATCH_RESUMES not in self._rules and world.version > world.cursor:
                yield world._replace(unheard=world.version)

    def _account_changes(self, world: World, fault: Fault) -> Iterator[World]:
        richer, poorer = world._replace(since_money=""), world._replace(others=max(0, world.others - 1))
        match fault:
            case Fault.TOP_UP:
                yield _freed(richer, 2)
            case Fault.OTHER_IS_CHARGED if world.others:
                yield poorer
            case Fault.OTHER_SETTLES | Fault.OTHER_RELEASES if world.others:
                told = fault is Fault.OTHER_SETTLES or Rule.EVERY_GAIN_IS_TOLD in self._rules
                yield _freed(poorer._replace(since_money=""), 1, told=told)

    # What must never be.

    def broken(self, world: World, *, at_rest: bool) -> Promise | None:
        """The promise that a state breaks."""
        rests = world.state in RESTING or world.state in ENDED
        if world.broken is not None:
            return world.broken
        if rests and (world.holds or world.earmark):
            return Promise.NOTHING_LEFT
        if world.idle_wakes > 1:
            return Promise.NO_BUSY_LOOP
        if world.sent_after_cancel > 1:
            return Promise.ONE_CALL_AFTER_CANCEL
        return self._broken_at_rest(world) if at_rest and world.state not in ENDED else None

    def _broken_at_rest(self, world: World) -> Promise | None:
        if world.state not in RESTING:
            return Promise.LIVES
        if world.cancel:
            return Promise.CANCEL_ARRIVES
        if world.wake_unserved:
            return Promise.WAKE_ARRIVES
        if world.free < CALL + EARMARK:
            return None
        if world.wake_at is None or world.wake_at <= world.clock:
            return Promise.MONEY_WAKES
        return Promise.MONEY_WAKES_TODAY if world.day == 0 else None


def _go(world: World, i: int, at: At, **memory: object) -> World:
    """A worker goes on; an idle one remembers nothing. Workers are alike, so their order is no part of the state."""
    worker = Worker() if at is At.IDLE else world.workers[i]._replace(at=at, **memory)  # type: ignore[arg-type]  # fields by name
    return world._replace(workers=tuple(sorted((*world.workers[:i], worker, *world.workers[i + 1 :]))))


def _freed(world: World, amount: int, *, told: bool = True) -> World:
    """Money comes back to the account, and the version tells it."""
    return world._replace(free=world.free + amount, version=world.version + told) if amount else world


def _granted(world: World, rid: Rid) -> World | None:
    """Hold the call and, if it is missing, the earmark; None if the money does not reach."""
    need = CALL + EARMARK - world.earmark
    if world.free < need:
        return None
    holds = (*world.holds, (rid, world.day))
    return world._replace(free=world.free - need, earmark=EARMARK, holds=holds, fence=max(world.fence, rid))
