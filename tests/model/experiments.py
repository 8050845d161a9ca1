"""What is explored: each model in several sizes, and for each of its rules a size in which it is missed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from tests.model import restore, sleep, turn
from tests.model.explorer import Findings, Model, explore
from tests.model.restore_world import Fault, Promise, Rule
from tests.model.restore_world import Size as RestoreSize

Size = TypeVar("Size")


@dataclass(frozen=True, slots=True)
class Witness(Generic[Size]):
    """The promise that breaks without a rule, in a size that is large enough to see it.

    Some rules are a second wall: what they stop, another rule stops too. Then `behind` names that other rule; with it
    alone taken out the promise holds in this size, with both it breaks.
    """

    breaks: StrEnum
    size: Size
    behind: StrEnum | None = None


@dataclass(frozen=True, slots=True)
class Experiment(Generic[Size]):
    """A model with its rules; `sizes` are explored with all of them."""

    rules: type[StrEnum]
    build: Callable[[frozenset[StrEnum], Size], Model[Any]]  # Any: each model has a world of its own
    sizes: Mapping[str, Sequence[Size]]
    witnesses: Mapping[StrEnum, Witness[Size]]

    def with_all_rules(self, size: Size) -> Findings:
        """Everything that can happen under the rules."""
        return explore(self.build(frozenset(self.rules), size))

    def without(self, rule: StrEnum) -> Findings:
        """What happens without a rule, and without the wall before it, until its promise breaks."""
        witness = self.witnesses[rule]
        out = {rule, witness.behind}
        return explore(self.build(frozenset(self.rules) - out, witness.size), stop_at=[witness.breaks])

    def without_the_first_wall(self, rule: StrEnum) -> Findings:
        """What happens when only the wall before a rule is taken out."""
        witness = self.witnesses[rule]
        return explore(self.build(frozenset(self.rules) - {witness.behind}, witness.size), stop_at=[witness.breaks])


def _turns() -> Experiment[turn.Size]:
    rule, promise, fault = turn.Rule, turn.Promise, turn.Fault
    reads, changes, finishes = turn.Tool.READS, turn.Tool.CHANGES, turn.Tool.FINISHES
    short, long = (changes, finishes), (reads, changes, finishes)

    def see(
        breaks: turn.Promise, workers: int, *kinds: turn.Fault, script: tuple[turn.Tool, ...] = short
    ) -> Witness[turn.Size]:
        projects = breaks is promise.TOLD
        return Witness(breaks, turn.Size(script, workers, len(kinds), frozenset(kinds), projects))

    return Experiment(
        rule,
        turn.TurnModel,
        {
            "small": [turn.Size(short, 2, 1), turn.Size(long, 2, 0), turn.Size(short, 2, 0, projects=True)],
            "large": [turn.Size(long, 2, 1), turn.Size(short, 3, 0), turn.Size(short, 2, 2)],
        },
        {
            rule.EPOCH_IN_ID: see(promise.LIVES, 2),
            rule.ONE_ID_ONE_SEND: see(promise.ONE_SEND, 1, fault.CALL_FAILS),
            rule.UNKNOWN_IS_CHARGED: see(promise.COVERED, 1, fault.CALL_FAILS),
            rule.EXPIRY_CHARGES: see(promise.COVERED, 1, fault.EXPIRY),
            rule.LATE_SETTLE_CORRECTS: see(promise.BOOKED_AS_LOGGED, 1, fault.EXPIRY),
            rule.ANSWER_IS_DURABLE: see(promise.COVERED, 2, script=(reads, finishes)),
            rule.RESULTS_IN_HAND: see(promise.COVERED, 2),
            rule.LEASE_IS_CHECKED: see(promise.COVERED, 2),
            rule.BUDGET_FENCED: see(promise.NOTHING_HELD, 2),
            rule.CHECKPOINT_FENCED: see(promise.LIVES, 2),
            rule.RETRY_IS_KNOWN: see(promise.LOG, 1, fault.ACK_LOST),
            rule.ATTACH_THEN_READ: see(promise.LIVES, 2),
            rule.SETTLE_WHAT_IS_LOGGED: see(promise.BOOKED_AS_LOGGED, 2),
            rule.CHARGE_WHAT_MAY_BE_SENT: see(promise.COVERED, 2),
            rule.RELEASE_BELOW_NEEDS: see(promise.COST, 2),
            rule.RELEASE_BEHIND_TOOLS: see(promise.FREE_BEHIND_TOOLS, 2),
            rule.NEEDS_THE_NEWEST_ANSWER: see(promise.COVERED, 2, fault.LONG_TOOL),
            rule.END_GIVES_BACK: see(promise.NOTHING_HELD, 1),
            rule.HAND_OVER_GIVES_BACK: see(promise.COST, 2, fault.HAND_OVER),
            rule.DURABLE_IS_TOLD: see(promise.TOLD, 1),
            rule.TOLD_FROM_CURSOR: see(promise.TOLD, 2),
            rule.END_IS_TOLD: see(promise.TOLD, 1),
        },
    )


def _sleeps() -> Experiment[sleep.Size]:
    rule, promise, fault = sleep.Rule, sleep.Promise, sleep.Fault

    def see(breaks: sleep.Promise, *kinds: sleep.Fault) -> Witness[sleep.Size]:
        return Witness(breaks, sleep.Size(len(kinds), frozenset(kinds)))

    return Experiment(
        rule,
        sleep.SleepModel,
        {"small": [sleep.Size(2)], "large": [sleep.Size(3)]},
        {
            rule.CLAIM_RECHECKS: see(promise.ONE_OWNER, fault.LEASE_ENDS),
            rule.END_CHECKS_EPOCH: see(promise.ONE_OWNER, fault.LEASE_ENDS),
            rule.REST_CHECKS_GENERATION: see(promise.WAKE_ARRIVES, fault.WAKE),
            rule.GENERATION_BEFORE_RESERVE: see(promise.WAKE_ARRIVES, fault.WAKE),
            rule.REFUSED_REST_RESERVES: see(promise.WAKE_ARRIVES, fault.WAKE),
            rule.CANCEL_IS_READ_WITH_IT: see(promise.CANCEL_ARRIVES, fault.CANCEL),
            rule.CANCEL_IS_A_WAKE: see(promise.CANCEL_ARRIVES, fault.CANCEL),
            rule.WAKE_RAISES_GENERATION: see(promise.WAKE_ARRIVES, fault.WAKE),
            rule.WAKE_SPARES_THE_RUNNING: see(promise.ONE_OWNER, fault.WAKE),
            rule.WAKER_COMPARES: see(promise.MONEY_WAKES_TODAY, fault.TOP_UP),
            rule.VERSION_OF_DENIAL: see(promise.MONEY_WAKES_TODAY, fault.TOP_UP),
            rule.WATCH_RESUMES: see(promise.MONEY_WAKES_TODAY, fault.TOP_UP, fault.TOLD_TO_NOBODY),
            rule.EVERY_GAIN_IS_TOLD: see(promise.MONEY_WAKES_TODAY, fault.OTHER_RELEASES, fault.OTHER_RESERVES),
            rule.WAIT_HAS_TIME: see(promise.MONEY_WAKES, fault.MIDNIGHT, fault.OTHER_RESERVES),
            rule.WAKE_AT_IS_AHEAD: see(promise.NO_BUSY_LOOP, fault.CLOCK),
            rule.RELEASE_BEFORE_REST: see(promise.NOTHING_LEFT),
            rule.BUDGET_FENCED: see(promise.ONE_OWNER, fault.LEASE_ENDS),
            rule.FENCE_COUNTS_K: see(promise.NOTHING_LEFT, fault.LATE_RESERVE, fault.TOP_UP),
            rule.FIRST_RESERVE_IS_WHOLE: see(promise.NO_BUSY_LOOP, fault.OTHER_RESERVES, fault.TOP_UP),
            rule.LEASE_IS_CHECKED: see(promise.ONE_OWNER, fault.LEASE_ENDS),
            rule.CANCEL_IS_CHECKED: see(promise.ONE_CALL_AFTER_CANCEL, fault.CANCEL),
            rule.EARMARK_IS_RELEASED: see(promise.EARMARK_IS_FREE, fault.LEASE_ENDS),
        },
    )


def _restores() -> Experiment[RestoreSize]:

    def see(
        breaks: Promise, snapshots: int, faults: int, *kinds: Fault, behind: Rule | None = None
    ) -> Witness[RestoreSize]:
        each = -(-faults // len(kinds))
        return Witness(breaks, RestoreSize(snapshots, faults, frozenset(kinds), each), behind)

    lost, gone_on, taken, killed = Fault.LOST, Fault.ABANDONED, Fault.TAKE_OVER, Fault.KILLED
    return Experiment(
        Rule,
        restore.RestoreModel,
        {
            "small": [RestoreSize(1, 1), RestoreSize(0, 2), RestoreSize(1, 1, turns=(1, 2))],
            "large": [RestoreSize(1, 2), RestoreSize(2, 1), RestoreSize(1, 2, turns=(1, 2))],
        },
        {
            Rule.ROW_BEFORE_START: see(Promise.EFFECT_ONCE, 1, 1, lost),
            Rule.CLAIMED_ONCE: see(Promise.CLAIMED_ONCE, 0, 1, gone_on),
            Rule.NONCE_TELLS: see(Promise.CLAIMED_ONCE, 0, 2, Fault.WIPED, gone_on),
            Rule.NONCE_IS_RENEWED: see(Promise.CAUSED, 0, 2, Fault.WIPED, gone_on),
            Rule.START_CHECKS_EPOCH: see(Promise.NEWER_ATTACH, 0, 1, taken),
            Rule.DISPATCH_FENCED: see(Promise.CLAIMED_ONCE, 0, 3, lost, taken, Fault.WIPED),
            Rule.RECORD_CHECKS_GENERATION: see(Promise.COVERED, 1, 2, lost, taken),
            Rule.ROW_CLOSED_ONCE: see(
                Promise.RESULT_STANDS, 0, 3, lost, gone_on, killed, behind=Rule.RECORD_CHECKS_GENERATION
            ),
            Rule.REDO: see(Promise.NOT_SILENTLY, 0, 1, lost),
            Rule.LOST_IS_A_ROW: see(Promise.NOT_SILENTLY, 0, 3, lost, killed, gone_on),
            Rule.READY_AFTER_REDO: see(Promise.ONE_SANDBOX, 0, 2, lost, taken),
            Rule.ATTACH_IS_NUMBERED: see(Promise.CLAIMED_ONCE, 0, 2, lost, gone_on, behind=Rule.READY_COMPARES),
            Rule.READY_COMPARES: see(Promise.CLAIMED_ONCE, 0, 2, lost, gone_on, behind=Rule.ATTACH_IS_NUMBERED),
            Rule.CREATE_COMPARES: see(Promise.ONE_SANDBOX, 0, 2, lost, taken),
            Rule.DESTROYED_BEFORE_READY: see(Promise.ONE_SANDBOX, 0, 2, taken, Fault.SEEMS_LOST),
            Rule.BASE_IS_UNPACKED: see(Promise.NOT_SILENTLY, 1, 2, lost, Fault.ROTS),
            Rule.WALK_IS_LOCKED: see(Promise.EFFECT_ONCE, 1, 1, lost),
            Rule.WALK_WAITS: see(Promise.EFFECT_ONCE, 1, 1, lost),
            Rule.WALK_CLOSES_ROWS: see(Promise.EFFECT_ONCE, 1, 1, lost),
            Rule.COVERED_COUNTS_CLOSED: see(Promise.EFFECT_ONCE, 1, 2, lost, killed),
            Rule.COVERED_IS_AN_OPERATION: see(Promise.COVERED, 1, 1, lost),
            Rule.COVERED_AT_WALK: see(Promise.COVERED, 1, 1, lost),
            Rule.PUBLISH_CHECKS_GENERATION: see(Promise.STAYS_MISSING, 1, 3, lost, killed),
            Rule.NEWEST_COVERS_MOST: see(Promise.NEWEST, 2, 1, lost),
            Rule.WAKE_COMPARES: see(Promise.NOT_SILENTLY, 0, 1, Fault.WAKES_OLDER),
            Rule.RETENTION_SPARES: see(Promise.KEPT, 3, 1, Fault.FORKS),
        },
    )


EXPERIMENTS: Mapping[str, Experiment[Any]] = {"turn": _turns(), "sleep": _sleeps(), "restore": _restores()}
