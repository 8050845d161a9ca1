"""The turn and the take-over: model calls, their holds, the log, and workers that replace each other at any moment.

Three databases (budget, checkpoint, sandbox) and the builds row; a worker is its memory and the place where it stands.
Each answer calls one tool; the last one finishes. A call is billed PRICE, and HOLD is held for it. A worker may be
replaced whenever its lease may have run out, which is always; it then goes on, late, or never.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

PRICE, HOLD = 7, 10
Rid = tuple[int, int]
"""The epoch of the worker that made it, and its count."""


class Rule(StrEnum):
    """What the protocol asks for; each can be taken out."""

    EPOCH_IN_ID = "the id of a call carries the epoch of the worker that made it"
    ONE_ID_ONE_SEND = "a call that is sent again has a new id and a hold of its own"
    UNKNOWN_IS_CHARGED = "a call whose outcome nobody knows is charged"
    EXPIRY_CHARGES = "a hold that expires is charged"
    LATE_SETTLE_CORRECTS = "a settlement corrects what was charged before"
    ANSWER_IS_DURABLE = "call n+1 is sent after append(answer n) was acknowledged"
    RESULTS_IN_HAND = "call n+1 is sent after every result of n is in hand"
    LEASE_IS_CHECKED = "the lease is checked right before the send, after the results are in hand"
    BUDGET_FENCED = "Reserve, Release and Charge of a lower epoch are refused"
    CHECKPOINT_FENCED = "Append of a lower epoch is refused"
    RETRY_IS_KNOWN = "an append that stands already is answered as the first time"
    ATTACH_THEN_READ = "the log is read after its fence was raised"
    SETTLE_WHAT_IS_LOGGED = "a take-over settles a hold whose answer is logged"
    CHARGE_WHAT_MAY_BE_SENT = "a take-over charges a hold whose call may have been sent"
    RELEASE_BELOW_NEEDS = "a take-over releases a hold that needs more than the log holds"
    RELEASE_BEHIND_TOOLS = "a take-over releases a hold that waits for an unfinished tool of the last answer"
    NEEDS_THE_NEWEST_ANSWER = "a hold needs the newest answer, not a message that may still be on its way"
    END_GIVES_BACK = "a build that ends gives its hold back"
    HAND_OVER_GIVES_BACK = "a worker that hands over gives its hold back"
    DURABLE_IS_TOLD = "only entries that are durable are projected to events"
    TOLD_FROM_CURSOR = "a projection begins after the cursor that it reads under the row's lock"
    END_IS_TOLD = "a build has ended only when its outcome is projected"


class Promise(StrEnum):
    """What must hold in every state."""

    COVERED = "what the provider bills is covered by the call's own hold"
    ONE_SEND = "an id is sent once"
    BOOKED_AS_LOGGED = "a call whose answer is logged is booked at its usage when the build has ended"
    NOTHING_HELD = "a build that has ended holds no money"
    COST = "a take-over costs one hold at most, a hand-over nothing"
    FREE_BEHIND_TOOLS = "a take-over in the midst of a tool costs nothing"
    LOG = "the log is one story: answers and results in turn, epochs never falling, one outcome, last"
    TOLD = "the events tell the log, each entry once and in order, and all of it when the build has ended"
    LIVES = "a worker that nobody replaced brings its build to the end"


class Fault(StrEnum):
    """What the world does."""

    TAKE_OVER = "take-over"
    HAND_OVER = "hand-over"
    CALL_FAILS = "the call fails, nobody knows how"
    EXPIRY = "a hold expires"
    ACK_LOST = "an acknowledgement is lost"
    LONG_TOOL = "the tool takes long"
    BIG_RESULT = "the grant does not carry the real request"


class Tool(StrEnum):
    """What an answer asks for; only a change has a row of its own and waits until its answer is logged."""

    READS = "reads"
    CHANGES = "changes"
    FINISHES = "finishes"


class Kind(StrEnum):
    """Kinds of log entries; HEAD and the assignment are one here."""

    ASSIGNMENT = "assignment"
    ANSWER = "answer"
    RESULTS = "results"
    OUTCOME = "outcome"


class Entry(NamedTuple):
    """An entry of the log; an answer names its call."""

    kind: Kind
    epoch: int
    rid: Rid | None = None


class Hold(NamedTuple):
    """A reservation, and how often its call was sent."""

    rid: Rid
    state: str
    needs: int
    sent: int = 0


BOOKED = {"HELD": HOLD, "EXPIRED": HOLD, "CHARGED": HOLD, "SETTLED": PRICE, "RELEASED": 0}


class At(StrEnum):
    """Where a worker stands."""

    CLAIMED = "claimed"
    READ_EARLY = "read"
    FENCED_LOG = "log attached"
    FENCED_MONEY = "budget attached"
    DECIDING = "deciding"
    LOOP = "loop"
    CHECKED = "checked"
    CALLING = "calling"
    ACTING = "acting"
    CLOSING = "closing"
    DONE = "done"
    HANDED_OVER = "handed over"
    GONE = "gone"


class Worker(NamedTuple):
    """A worker's memory."""

    epoch: int
    at: At = At.CLAIMED
    k: int = 0
    log: tuple[Entry, ...] = ()
    durable: int = 0
    """How many entries of its log it knows to be durable."""
    listed: tuple[Hold, ...] = ()
    verdicts: tuple[tuple[Rid, str], ...] = ()
    grant: Rid | None = None
    call: Rid | None = None
    attached: bool = False
    advanced: bool = True
    dispatched: bool = False
    shown: int = 0
    """Its own idea of the cursor; of use only without TOLD_FROM_CURSOR."""


class World(NamedTuple):
    """Everything durable, the workers, and what has gone wrong so far."""

    log: tuple[Entry, ...] = ()
    log_epoch: int = 0
    holds: tuple[Hold, ...] = ()
    budget_epoch: int = 0
    operations: tuple[tuple[Rid, bool], ...] = ()
    """Each tool call by its answer's id, and whether it has its result."""
    sandbox_epoch: int = 0
    told: tuple[Entry, ...] = ()
    """The entries that have become events."""
    workers: tuple[Worker, ...] = (Worker(1),)
    faults: tuple[Fault, ...] = ()
    broken: Promise | None = None


Steps = Iterator[tuple[str, World]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much may happen: the tools of the turns, workers, and other faults, of these kinds."""

    script: tuple[Tool, ...]
    workers: int
    faults: int
    kinds: frozenset[Fault] = frozenset(Fault)
    projects: bool = False
    """Whether events are projected beside; else they are left out, because they multiply the states."""

    def __str__(self) -> str:
        beside = ", events beside" if self.projects else ""
        return f"({', '.join(self.script)}; {self.workers} workers, {self.faults} faults{beside})"


class TurnModel:
    """The turn with a set of rules."""

    def __init__(self, rules: frozenset[StrEnum], size: Size) -> None:
        self._rules = rules
        self._size = size

    @property
    def start(self) -> World:
        """One worker has claimed a new build."""
        return World()

    def steps(self, world: World) -> Steps:
        """The next step of each worker, and the end of a running tool."""
        for i, worker in enumerate(world.workers):
            for name, following in self._work(world, i, worker):
                yield f"w{worker.epoch} {name}", following
        for rid, is_done in world.operations:
            if not is_done:
                others = tuple(each for each in world.operations if each[0] != rid)
                yield f"the tool of {rid} ends", world._replace(operations=(*others, (rid, True)))
        if world.workers[-1].at is At.HANDED_OVER and len(world.workers) < self._size.workers:
            yield "the next worker claims", _claimed(world)

    def _work(self, world: World, i: int, worker: Worker) -> Steps:
        match worker.at:
            case At.CLAIMED | At.READ_EARLY | At.FENCED_LOG | At.FENCED_MONEY | At.DECIDING:
                yield from self._take_over(world, i, worker)
            case At.LOOP | At.CHECKED | At.CALLING:
                yield from self._think(world, i, worker)
            case At.ACTING:
                yield from self._act(world, i, worker)
            case At.CLOSING:
                yield from self._close(world, i, worker)
        if worker.durable < len(worker.log):
            yield self._append(world, i, worker)
        if self._size.projects and worker.epoch == len(world.workers):
            yield from self._project(world, i, worker)
        if worker.at in (At.CALLING, At.ACTING) and not worker.attached:
            yield self._attach_sandbox(world, i, worker, worker.at)

    # Taking over: fences first, then the money, then the loop.

    def _take_over(self, world: World, i: int, worker: Worker) -> Steps:
        read = {"log": world.log, "durable": len(world.log)}
        match worker.at:
            case At.CLAIMED if Rule.ATTACH_THEN_READ not in self._rules:
                yield "reads the log", _go(world, i, At.READ_EARLY, **read)
            case At.CLAIMED | At.READ_EARLY if worker.epoch < world.log_epoch:
                yield "checkpoint.Attach STALE", _gone(world, i)
            case At.CLAIMED:
                fenced = world._replace(log_epoch=worker.epoch)
                yield "checkpoint.Attach, reads", _go(fenced, i, At.FENCED_LOG, **read)
            case At.READ_EARLY:
                yield "checkpoint.Attach", _go(world._replace(log_epoch=worker.epoch), i, At.FENCED_LOG)
            case At.FENCED_LOG if worker.epoch < world.budget_epoch:
                yield "budget.Attach STALE", _gone(world, i)
            case At.FENCED_LOG:
                listed = tuple(hold for hold in world.holds if hold.state in ("HELD", "EXPIRED"))
                fenced = _go(world._replace(budget_epoch=worker.epoch), i, At.FENCED_MONEY, listed=listed)
                yield f"budget.Attach lists {[hold.rid for hold in listed]}", fenced
            case At.FENCED_MONEY if _tail(worker.log) is Kind.ANSWER and not worker.attached:
                yield self._attach_sandbox(world, i, worker, At.FENCED_MONEY)
            case At.FENCED_MONEY:
                verdicts = tuple(self._decide(world, worker))
                yield f"decides {dict(verdicts)}", _go(world, i, At.DECIDING, listed=(), verdicts=verdicts)
            case At.DECIDING if worker.verdicts:
                yield self._carry_out(world, i, worker)
            case _:
                yield "goes to work", _go(world, i, At.LOOP)

    def _decide(self, world: World, worker: Worker) -> Iterator[tuple[Rid, str]]:
        logged, head = _logged(worker.log), len(worker.log)
        is_open = _tail(worker.log) is Kind.ANSWER and self._changes(worker.log)
        is_open = is_open and (worker.log[-1].rid, True) not in world.operations
        for hold in worker.listed:
            if hold.rid in logged and Rule.SETTLE_WHAT_IS_LOGGED in self._rules:
                yield hold.rid, "SETTLED"
            elif hold.state == "EXPIRED":
                continue
            else:
                unsent = head < hold.needs and Rule.RELEASE_BELOW_NEEDS in self._rules
                unsent |= is_open and hold.needs == head and Rule.RELEASE_BEHIND_TOOLS in self._rules
                unsent |= Rule.CHARGE_WHAT_MAY_BE_SENT not in self._rules
                yield hold.rid, "RELEASED" if unsent else "CHARGED"

    def _carry_out(self, world: World, i: int, worker: Worker) -> tuple[str, World]:
        (rid, verdict), *left = worker.verdicts
        if verdict != "SETTLED" and self._is_fenced(world, worker):
            return f"{verdict} {rid} STALE", _gone(world, i)
        booked = self._booked(world, rid, verdict)
        if verdict == "CHARGED" and _tail(world.log) is Kind.ANSWER and self._changes(world.log):
            has_ended = (world.log[-1].rid, True) in world.operations
            waits = next(hold for hold in world.holds if hold.rid == rid).needs == len(world.log)
            if waits and not has_ended:
                booked = booked._replace(broken=Promise.FREE_BEHIND_TOOLS)
        return f"{verdict} {rid}", _go(booked, i, At.DECIDING, verdicts=tuple(left))

    def _attach_sandbox(self, world: World, i: int, worker: Worker, at: At) -> tuple[str, World]:
        if worker.epoch < world.sandbox_epoch:
            return "sandbox.Attach STALE", _gone(world, i)
        return "sandbox.Attach", _go(world._replace(sandbox_epoch=worker.epoch), i, at, attached=True)

    # The turn: think, act, observe.

    def _think(self, world: World, i: int, worker: Worker) -> Steps:
        tail = _tail(worker.log)
        match worker.at:
            case At.CHECKED:
                yield self._send(world, i, worker)
            case At.CALLING:
                answered = (*worker.log, Entry(Kind.ANSWER, worker.epoch, worker.call))
                yield f"gets the answer of {worker.call}", _go(world, i, At.ACTING, log=answered, advanced=False)
            case _ if tail is None:
                begun = (*worker.log, Entry(Kind.ASSIGNMENT, worker.epoch))
                yield "writes the assignment", _go(world, i, At.LOOP, log=begun)
            case _ if tail is Kind.ASSIGNMENT and worker.durable < 1:
                return
            case _ if tail is Kind.ANSWER:
                yield "runs the tools of the last answer", _go(world, i, At.ACTING)
            case _ if tail is Kind.OUTCOME:
                yield "finds the outcome", _go(world, i, At.CLOSING)
            case _ if _turns(worker.log) == len(self._size.script):
                yield "closes", _go(world, i, At.CLOSING)
            case _ if worker.grant is None:
                yield self._reserve(world, i, worker)
            case _ if Rule.LEASE_IS_CHECKED in self._rules and worker.epoch < len(world.workers):
                yield "its lease is not fresh", _gone(world, i)
            case _:
                yield "checks its lease", _go(world, i, At.CHECKED)

    def _send(self, world: World, i: int, worker: Worker) -> tuple[str, World]:
        assert worker.grant is not None
        holds = tuple(h._replace(sent=h.sent + (h.rid == worker.grant)) for h in world.holds)
        sent = _go(world._replace(holds=holds), i, At.CALLING, grant=None, call=worker.grant)
        return f"SENDS call {worker.grant}", sent

    def _reserve(self, world: World, i: int, worker: Worker) -> tuple[str, World]:
        rid = self._next_rid(worker)
        answers = [n for n, entry in enumerate(worker.log, 1) if entry.kind is Kind.ANSWER]
        newest = answers[-1] if answers else len(worker.log)
        needs = newest if Rule.NEEDS_THE_NEWEST_ANSWER in self._rules else len(worker.log)
        if self._is_fenced(world, worker) or any(hold.rid == rid for hold in world.holds):
            return f"Reserve {rid} STALE", _gone(world, i)
        held = world._replace(holds=(*world.holds, Hold(rid, "HELD", needs)))
        return f"Reserve {rid}, needs {needs}", _go(held, i, At.LOOP, k=worker.k + 1, grant=rid)

    def _act(self, world: World, i: int, worker: Worker) -> Steps:
        answer = max(n for n, entry in enumerate(worker.log) if entry.kind is Kind.ANSWER)
        has_results = _tail(worker.log) is Kind.RESULTS
        if not worker.advanced:
            yield self._advance(world, i, worker, answer)
        if not has_results:
            yield from self._observe(world, i, worker, answer)
        is_durable = worker.durable > answer or Rule.ANSWER_IS_DURABLE not in self._rules
        if worker.advanced and is_durable and (has_results or Rule.RESULTS_IN_HAND not in self._rules):
            if has_results:
                yield "has acted", _go(world, i, At.LOOP, call=None, dispatched=False)
            elif worker.grant is not None and _turns(worker.log) < len(self._size.script):
                yield "checks its lease too early", _go(world, i, At.CHECKED)

    def _advance(self, world: World, i: int, worker: Worker, answer: int) -> tuple[str, World]:
        assert worker.call is not None
        settled = self._booked(world, worker.call, "SETTLED")
        rid = self._next_rid(worker)
        if self._is_fenced(world, worker) or any(hold.rid == rid for hold in world.holds):
            return f"Advance: settles {worker.call}, STALE", _go(settled, i, At.ACTING, advanced=True)
        held = settled._replace(holds=(*settled.holds, Hold(rid, "HELD", answer + 1)))
        name = f"Advance: settles {worker.call}, reserves {rid}, needs {answer + 1}"
        return name, _go(held, i, At.ACTING, advanced=True, grant=rid, k=worker.k + 1)

    def _observe(self, world: World, i: int, worker: Worker, answer: int) -> Steps:
        rid = worker.log[answer].rid
        assert rid is not None
        states = dict(world.operations)
        with_results = (*worker.log, Entry(Kind.RESULTS, worker.epoch))
        if not self._changes(worker.log):
            yield "has its results at once", _go(world, i, At.ACTING, log=with_results)
        elif worker.dispatched and states[rid]:
            yield f"has the results of {rid}", _go(world, i, At.ACTING, log=with_results)
        elif worker.dispatched or worker.durable <= answer or not worker.attached:
            return
        elif worker.epoch < len(world.workers) and Rule.LEASE_IS_CHECKED in self._rules:
            yield "its lease is not fresh", _gone(world, i)
        elif worker.epoch < world.sandbox_epoch:
            yield f"Dispatch {rid} STALE", _gone(world, i)
        else:
            states.setdefault(rid, False)
            begun = world._replace(operations=tuple(states.items()))
            yield f"Dispatch {rid}", _go(begun, i, At.ACTING, dispatched=True)

    def _close(self, world: World, i: int, worker: Worker) -> Steps:
        if worker.grant is not None and Rule.END_GIVES_BACK in self._rules:
            yield self._give_back(world, i, worker, At.CLOSING)
        elif worker.durable == len(worker.log) and _tail(worker.log) is Kind.OUTCOME:
            if not self._is_behind(world, worker):
                yield "has ended the build", _go(world, i, At.DONE)
        elif worker.durable == len(worker.log):
            ended = (*worker.log, Entry(Kind.OUTCOME, worker.epoch))
            yield "writes the outcome", _go(world, i, At.CLOSING, log=ended)

    def _project(self, world: World, i: int, worker: Worker) -> Steps:
        """Bring the events up to the log; refused by the builds row when the worker was replaced."""
        known = worker.log[: worker.durable] if Rule.DURABLE_IS_TOLD in self._rules else worker.log
        cursor = len(world.told) if Rule.TOLD_FROM_CURSOR in self._rules else worker.shown
        if len(known) > cursor:
            shown = 0 if Rule.TOLD_FROM_CURSOR in self._rules else len(known)
            told = world._replace(told=world.told + known[cursor:])
            yield f"projects {len(known) - cursor} entries", _go(told, i, worker.at, shown=shown)

    def _is_behind(self, world: World, worker: Worker) -> bool:
        is_awaited = self._size.projects and Rule.END_IS_TOLD in self._rules
        return is_awaited and len(world.told) < worker.durable

    # What the budget and the checkpoint answer.

    def _append(self, world: World, i: int, worker: Worker) -> tuple[str, World]:
        entry, head = worker.log[worker.durable], worker.durable
        name = f"appends {entry.kind}"
        if worker.epoch < world.log_epoch and Rule.CHECKPOINT_FENCED in self._rules:
            return f"{name} STALE", _gone(world, i)
        acknowledged = _go(world, i, worker.at, durable=head + 1)
        if head == len(world.log):
            return name, acknowledged._replace(log=(*world.log, entry))
        if Rule.RETRY_IS_KNOWN not in self._rules:
            return f"{name} again", acknowledged._replace(log=(*world.log, entry))
        if world.log[head] == entry:
            return f"{name}: known", acknowledged
        return f"{name} HEAD_MOVED", _gone(world, i)

    def _give_back(self, world: World, i: int, worker: Worker, at: At) -> tuple[str, World]:
        assert worker.grant is not None
        if self._is_fenced(world, worker):
            return f"Release {worker.grant} STALE", _gone(world, i)
        released = self._booked(world, worker.grant, "RELEASED")
        return f"Release {worker.grant}", _go(released, i, at, grant=None)

    def _booked(self, world: World, rid: Rid, state: str) -> World:
        """The ledger after a hold was closed; only a settlement changes what is closed already."""
        from_states = {"HELD"}
        if state == "SETTLED" and Rule.LATE_SETTLE_CORRECTS in self._rules:
            from_states |= {"EXPIRED", "CHARGED"}
        holds = (h._replace(state=state) if h.rid == rid and h.state in from_states else h for h in world.holds)
        return world._replace(holds=tuple(holds))

    def _is_fenced(self, world: World, worker: Worker) -> bool:
        return worker.epoch < world.budget_epoch and Rule.BUDGET_FENCED in self._rules

    def _next_rid(self, worker: Worker) -> Rid:
        return (worker.epoch if Rule.EPOCH_IN_ID in self._rules else 0, worker.k)

    def _changes(self, log: tuple[Entry, ...]) -> bool:
        """Whether the last answer calls a changing tool."""
        return self._size.script[_turns(log) - 1] is Tool.CHANGES

    # What the world does.

    def faults(self, world: World) -> Steps:
        """A take-over at any time, up to the number of workers; other faults up to theirs."""
        owner = world.workers[-1]
        if len(world.workers) < self._size.workers and owner.at not in (At.DONE, At.HANDED_OVER):
            yield "a lease runs out, the next worker claims", _claimed(world, Fault.TAKE_OVER)
        if sum(fault is not Fault.TAKE_OVER for fault in world.faults) >= self._size.faults:
            return
        for i, worker in enumerate(world.workers):
            for fault, name, following in self._mishaps(world, i, worker):
                if fault in self._size.kinds:
                    faults = tuple(sorted((*world.faults, fault)))
                    yield f"w{worker.epoch} {name}", following._replace(faults=faults)
        for hold in world.holds if Fault.EXPIRY in self._size.kinds else ():
            if hold.state == "HELD":
                state = "EXPIRED" if Rule.EXPIRY_CHARGES in self._rules else "RELEASED"
                expired = self._booked(world, hold.rid, state)
                yield f"{hold.rid} expires", expired._replace(faults=tuple(sorted((*world.faults, Fault.EXPIRY))))

    def _mishaps(self, world: World, i: int, worker: Worker) -> Iterator[tuple[Fault, str, World]]:
        """The faults that strike one worker."""
        thinks = worker.at is At.LOOP and _tail(worker.log) in (Kind.ASSIGNMENT, Kind.RESULTS)
        thinks = thinks and worker.durable > 0 and _turns(worker.log) < len(self._size.script)
        if thinks and worker is world.workers[-1] and len(world.workers) < self._size.workers:
            yield from self._hand_over(world, i, worker)
        if worker.at is At.CALLING:
            yield Fault.CALL_FAILS, *self._fail(world, i, worker)
        if worker.durable < len(worker.log) and worker.durable == len(world.log) and worker.epoch >= world.log_epoch:
            entry = worker.log[worker.durable]
            yield Fault.ACK_LOST, f"appends {entry.kind}, ack lost", world._replace(log=(*world.log, entry))
        if worker.at is At.ACTING and worker.grant is not None and _tail(worker.log) is Kind.ANSWER:
            yield Fault.LONG_TOOL, *self._give_back(world, i, worker, worker.at)
        if thinks and worker.grant is not None:
            yield Fault.BIG_RESULT, *self._give_back(world, i, worker, worker.at)

    def _hand_over(self, world: World, i: int, worker: Worker) -> Iterator[tuple[Fault, str, World]]:
        if worker.durable < len(worker.log) or self._is_behind(world, worker):
            return
        if worker.grant is not None and Rule.HAND_OVER_GIVES_BACK in self._rules:
            _, world = self._give_back(world, i, worker, At.LOOP)
            if world.workers[i].at is At.GONE:
                return
        yield Fault.HAND_OVER, "hands over", _go(world, i, At.HANDED_OVER, log=(), durable=0, grant=None, k=0)

    def _fail(self, world: World, i: int, worker: Worker) -> tuple[str, World]:
        assert worker.call is not None
        if Rule.ONE_ID_ONE_SEND not in self._rules:
            return "its call fails, it keeps the hold", _go(world, i, At.LOOP, grant=worker.call, call=None)
        if self._is_fenced(world, worker):
            return f"its call fails, Charge {worker.call} STALE", _gone(world, i)
        verdict = "CHARGED" if Rule.UNKNOWN_IS_CHARGED in self._rules else "RELEASED"
        return f"its call fails, {verdict}", _go(self._booked(world, worker.call, verdict), i, At.LOOP, call=None)

    # What must never be.

    def broken(self, world: World, *, at_rest: bool) -> Promise | None:
        """The promise that a state breaks."""
        owner = world.workers[-1]
        if world.broken is not None:
            return world.broken
        if any(hold.sent > 1 for hold in world.holds):
            return Promise.ONE_SEND
        if any(hold.sent * PRICE > BOOKED[hold.state] for hold in world.holds):
            return Promise.COVERED
        if not self._is_story(world.log):
            return Promise.LOG
        if world.told != world.log[: len(world.told)]:
            return Promise.TOLD
        if at_rest and owner.at is At.GONE:
            return Promise.LIVES
        return self._broken_at_end(world) if owner.at is At.DONE else None

    def _broken_at_end(self, world: World) -> Promise | None:
        logged = _logged(world.log)
        if any(hold.state == "HELD" for hold in world.holds):
            return Promise.NOTHING_HELD
        if any(hold.state != "SETTLED" for hold in world.holds if hold.rid in logged):
            return Promise.BOOKED_AS_LOGGED
        if self._size.projects and world.told != world.log:
            return Promise.TOLD
        paid = sum(BOOKED[hold.state] for hold in world.holds) - PRICE * len(self._size.script)
        costly = sum(each in (Fault.TAKE_OVER, Fault.CALL_FAILS, Fault.EXPIRY) for each in world.faults)
        return Promise.COST if paid > HOLD * costly else None

    def _is_story(self, log: tuple[Entry, ...]) -> bool:
        told = [Kind.ASSIGNMENT, *[Kind.ANSWER, Kind.RESULTS] * len(self._size.script), Kind.OUTCOME]
        epochs = [entry.epoch for entry in log]
        return [entry.kind for entry in log] == told[: len(log)] and epochs == sorted(epochs)


def _go(world: World, i: int, at: At, **memory: object) -> World:
    """A worker goes on; one that is done remembers nothing."""
    worker = world.workers[i]
    moved = Worker(worker.epoch, at) if at is At.DONE else worker._replace(at=at, **memory)  # type: ignore[arg-type]  # fields by name
    return world._replace(workers=(*world.workers[:i], moved, *world.workers[i + 1 :]))


def _gone(world: World, i: int) -> World:
    """A worker has found out that it was replaced, or cannot go on."""
    gone = Worker(world.workers[i].epoch, At.GONE)
    return world._replace(workers=(*world.workers[:i], gone, *world.workers[i + 1 :]))


def _claimed(world: World, *faults: Fault) -> World:
    """The next worker claims the build: the epoch rises."""
    workers = (*world.workers, Worker(len(world.workers) + 1))
    return world._replace(workers=workers, faults=tuple(sorted((*world.faults, *faults))))


def _turns(log: tuple[Entry, ...]) -> int:
    return sum(entry.kind is Kind.ANSWER for entry in log)


def _tail(log: tuple[Entry, ...]) -> Kind | None:
    return log[-1].kind if log else None


def _logged(log: tuple[Entry, ...]) -> set[Rid | None]:
    return {entry.rid for entry in log if entry.kind is Kind.ANSWER}
