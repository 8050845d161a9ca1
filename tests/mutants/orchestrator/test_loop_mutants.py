"""Bugs planted into the loop, its money and its recovery: each one must be caught by the test that it names."""

import asyncio
import inspect
from collections.abc import Callable
from functools import partial

import pytest

from taor_orchestrator import (
    closing,
    feed,
    forecasting,
    inbox,
    inheritance,
    listening,
    payment,
    recovery,
    strikes,
    takeover,
    tenure,
    toolrun,
    turn,
    winddown,
)
from taor_orchestrator.build import BuildState
from taor_orchestrator.model.port import Outcome
from taor_orchestrator.money import DenialCause, Hold, HoldState
from taor_orchestrator.ports import LeaseLost, StaleGeneration
from taor_orchestrator.toolset import OperationState
from tests.mutants.planting import Mutant
from tests.unit.orchestrator import test_feed as feeds
from tests.unit.orchestrator import test_forks as forks
from tests.unit.orchestrator import test_hand_over as hand_over
from tests.unit.orchestrator import test_loop as loop
from tests.unit.orchestrator import test_lost_sandbox as lost
from tests.unit.orchestrator import test_payment as paid
from tests.unit.orchestrator import test_people as people
from tests.unit.orchestrator import test_recovery as rules
from tests.unit.orchestrator import test_strikes as struck
from tests.unit.orchestrator import test_take_over as take_over

# Pure rules are tested by plain functions, the loop by coroutines.
Test = Callable[[], object]
# What a test fails with; in the world in memory a broken rule may also show as something that is not there.
CAUGHT = (AssertionError, LookupError, ValueError, LeaseLost, StaleGeneration, pytest.fail.Exception)


survives_kills = partial(loop.test_a_kill_at_any_boundary_is_invisible_afterwards, holds_ahead=True)
survives_kills_without_holds_ahead = partial(
    loop.test_a_kill_at_any_boundary_is_invisible_afterwards, holds_ahead=False
)

MUTANTS: list[Mutant[Test]] = [
    Mutant(
        "inherited rows are settled",
        recovery.decide_holds,
        "if entry.call and not entry.is_inherited",
        "if entry.call",
        forks.test_what_is_inherited_asks_for_nothing_and_settles_nothing,
    ),
    Mutant(
        "an inherited end is taken for the fork's",
        recovery.next_step,
        "if tail is None or tail.is_inherited:",
        "if tail is None:",
        forks.test_what_is_inherited_asks_for_nothing_and_settles_nothing,
    ),
    Mutant(
        "what an origin was told counts as told",
        winddown.answers_since_told,
        "if entry.is_inherited:",
        "if False:",
        forks.test_what_an_origin_was_told_of_its_allowance_a_fork_was_not,
    ),
    Mutant(
        "a fork goes on with another model in the segment of the old one",
        inheritance.opening,
        "if model_of(inherited) == claim.model:",
        "if True:",
        forks.test_another_model_begins_a_segment_with_an_account_wherever_it_is_killed,
    ),
    Mutant(
        "a take-over refunds what may have been sent",
        recovery.decide_holds,
        "Verdict.CHARGE",
        "Verdict.RELEASE",
        partial(
            rules.test_what_becomes_of_a_hold,
            Hold("b/1/9", HoldState.HELD, 3, earmark=False),
            [OperationState.DONE],
            recovery.Verdict.CHARGE,
        ),
    ),
    Mutant(
        "a take-over refunds what may have been sent, seen from the ledger",
        recovery.decide_holds,
        "Verdict.CHARGE",
        "Verdict.RELEASE",
        survives_kills,
    ),
    Mutant(
        "a take-over forgets to settle",
        takeover._carry_out,
        "tenure.learn(await budget.settle(claim, settlement))",
        "pass",
        take_over.test_an_answer_that_is_logged_and_not_settled_is_settled_by_the_next_worker,
    ),
    Mutant(
        "an unknown outcome is refunded",
        turn._book,
        "tenure.learn(await tenure.ports.budget.charge(tenure.claim, grant.rid, failure.kind.value))",
        "await tenure.ports.budget.release(tenure.claim, grant.rid, failure.kind.value)",
        partial(loop.test_a_failed_call_is_repeated_under_a_new_id, outcome=Outcome.UNKNOWN, state="CHARGED"),
    ),
    Mutant(
        "an answer is not settled",
        payment.advance,
        "budget.advance(tenure.claim, settlement, need)",
        "budget.reserve(tenure.claim, need)",
        loop.test_a_build_ends_with_everything_logged_paid_and_projected,
    ),
    Mutant(
        "a first call is reserved without its earmark",
        payment._reserve_call,
        "await _reserve(tenure, _with_earmark(tenure, need))",
        "await _reserve(tenure, need)",
        partial(
            paid.test_a_waking_worker_without_money_for_both_rests_and_pays_nothing,
            cause=DenialCause.LIMIT,
            state=BuildState.SLEEPING,
        ),
    ),
    Mutant(
        "a first call goes alone when both are denied",
        payment._reserve_call,
        "if _is_first(tenure) and outcome.needed_microdollars <= tenure.allowance.hard_limit_microdollars:",
        "if False:",
        partial(
            paid.test_a_waking_worker_without_money_for_both_rests_and_pays_nothing,
            cause=DenialCause.LIMIT,
            state=BuildState.SLEEPING,
        ),
    ),
    Mutant(
        "a large prompt on a small plan rests for ever",
        payment._reserve_call,
        " and outcome.needed_microdollars <= tenure.allowance.hard_limit_microdollars:",
        ":",
        paid.test_a_day_that_cannot_carry_both_pays_a_call_and_its_hand_over_comes_at_once,
    ),
    Mutant(
        "an earmark stays as small as it was",
        payment.advance,
        "need.purpose is not Purpose.CALL or not _is_earmarked(tenure, prompt_tokens)",
        "need.purpose is not Purpose.CALL",
        paid.test_an_earmark_that_is_outgrown_is_replaced,
    ),
    Mutant(
        "an outgrown earmark is kept beside the new one",
        payment._with_earmark,
        "return replace(need, earmark=earmark, replaces=replaced)",
        "return replace(need, earmark=earmark)",
        paid.test_an_earmark_that_is_outgrown_is_replaced,
    ),
    Mutant(
        "an earmark that cannot grow is not told of",
        payment.advance,
        "tenure.earmark_denied = True",
        "pass",
        paid.test_an_earmark_that_cannot_grow_is_kept_and_the_hand_over_comes_now,
    ),
    Mutant(
        "a take-over settles without the tools",
        recovery.decide_holds,
        ", tools=tools_of(answer)",
        "",
        partial(
            rules.test_what_becomes_of_a_hold, Hold("b/1/3", HoldState.HELD, 2, False), [], recovery.Verdict.SETTLE
        ),
    ),
    Mutant(
        "a change starts before its call is logged",
        toolrun.run_tools,
        "if not is_read and logged is not None:",
        "if False:",
        loop.test_a_build_ends_with_everything_logged_paid_and_projected,
    ),
    Mutant(
        "a call whose answer is logged is sent again",
        recovery._after_answer,
        "return Act(answer)",
        "return Think()",
        survives_kills,
    ),
    Mutant(
        "a hold needs what may not be durable yet",
        payment._durable_sequence,
        "return next(answers, history.head)",
        "return history.head",
        survives_kills_without_holds_ahead,
    ),
    Mutant(
        "the ticket is kept while the build sleeps",
        closing._let_go,
        "await tenure.give_back_all(reason)",
        "pass",
        paid.test_a_build_that_comes_to_wait_for_others_keeps_no_earmark,
    ),
    Mutant(
        "the ticket is kept at a hand-over",
        closing.hand_over,
        'await tenure.give_back_all("handed over")',
        "pass",
        hand_over.test_a_hand_over_in_the_midst_of_a_build_keeps_no_money,
    ),
    Mutant(
        "the ticket is kept at the end",
        closing.close,
        'await tenure.give_back_all("the build has ended")',
        "pass",
        loop.test_a_build_ends_with_everything_logged_paid_and_projected,
    ),
    Mutant(
        "a build is given up with its calls unanswered",
        closing.close,
        "if results is not None:",
        "if False:",
        take_over.test_a_build_that_is_given_up_in_a_command_answers_it_with_the_outcome,
    ),
    Mutant(
        "a build is given up with its command running",
        closing.give_up,
        "await _kill_open(tenure, step.answer)",
        "pass",
        take_over.test_a_build_that_is_given_up_in_a_command_answers_it_with_the_outcome,
    ),
    Mutant(
        "a forecast goes with another entry than its note",
        forecasting.low_note,
        "tenure.history.head + 1",
        "tenure.history.head",
        loop.test_near_the_end_of_the_allowance_it_is_told_once_hands_over_and_rests,
    ),
    Mutant(
        "one id for two sends",
        tenure.Tenure.next_rid,
        "{next(self._calls)}",
        "0",
        loop.test_a_build_ends_with_everything_logged_paid_and_projected,
    ),
    Mutant(
        "a worker leaves the sandbox of the one before it",
        closing.close,
        "tenure.attach_sandbox()",
        "pass",
        survives_kills,
    ),
    Mutant(
        "a cancellation is not looked for before a call",
        turn._call,
        "if ports.lease.cancel_requested.is_set():",
        "if False:",
        loop.test_a_cancellation_while_money_is_reserved_costs_nothing,
    ),
    Mutant(
        "a text that the log carries is read again",
        inbox.unread,
        "if item.inbox_id not in carried",
        "if True",
        people.test_a_steer_stands_in_one_entry_whatever_is_killed,
    ),
    Mutant(
        "the log does not name what it carries",
        listening.pass_on,
        ", inbox_ids=ids",
        "",
        people.test_a_steer_is_read_before_the_next_call,
    ),
    Mutant(
        "an answer between look and rest is slept through",
        closing.wait_for_answer,
        "BuildState.WAITING_ANSWER, wake_generation)",
        "BuildState.WAITING_ANSWER, await tenure.ports.builds.wake_generation(tenure.claim))",
        people.test_an_answer_that_arrives_while_the_build_goes_to_rest_is_not_lost,
    ),
    Mutant(
        "the agent goes on without its answer",
        recovery._after_results,
        "return Await()",
        "return Think()",
        people.test_a_question_rests_until_it_is_answered,
    ),
    Mutant(
        "a repetition counts as another approach",
        strikes._after,
        "{**runs, approach: runs.get(approach, 0) + 1}",
        "{**runs, (command, len(runs)): 1}",
        struck.test_a_repetition_is_no_approach_but_a_strike,
    ),
    Mutant(
        "whoever finds the sandbox lost attaches anew",
        tenure.Tenure.lose_sandbox,
        " and self._attaching.done() and self._attaching.result() == generation",
        "",
        lost.test_two_calls_side_by_side_that_find_it_lost_attach_once,
    ),
    Mutant(
        "a snapshot of a lost sandbox breaks its tenure",
        tenure.Tenure._take_snapshot,
        "except StaleGeneration:",
        "except KeyError:",
        lost.test_a_snapshot_that_finds_it_lost_breaks_nothing,
    ),
    Mutant(
        "a feed hides what nobody has asked for",
        feed.Feed._read_after,
        "self._newest.clear()",
        "pass",
        feeds.test_who_comes_with_a_later_number_leaves_no_gap_for_the_others,
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
def test_the_named_test_catches(mutant: Mutant[Test]) -> None:
    run(mutant.caught_by)
    with mutant.planted(), pytest.raises(CAUGHT):
        run(mutant.caught_by)


def run(test: Test) -> None:
    """Run a test here, whether it is a coroutine or not."""
    running = test()
    if inspect.iscoroutine(running):
        asyncio.run(running)
