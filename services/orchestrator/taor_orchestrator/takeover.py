"""Taking over a build: after a crash, a hand-over, a night's sleep, or for the first time; always the same steps."""

from __future__ import annotations

from typing import assert_never

from taor_orchestrator.build import Claim
from taor_orchestrator.history import EntryKind
from taor_orchestrator.money import Settlement
from taor_orchestrator.ports import Ports
from taor_orchestrator.recovery import Decision, Verdict, decide_holds
from taor_orchestrator.tenure import Tenure


async def take_over(claim: Claim, ports: Ports) -> Tenure:
    """Raise the fences, read what is there, and decide every open hold before anything is appended.

    The sandbox is asked only when the log ends with an answer whose tools may be open; else it is attached beside the
    first model call, once that is paid for.
    """
    history = await ports.checkpoint.attach(claim)
    found = await ports.budget.attach(claim)
    tenure = Tenure(claim, ports, history, found.allowance)
    tenure.learn(found.allowance)  # the last worker may not have been able to show what it spent
    ends_with_answer = history.tail is not None and history.tail.kind is EntryKind.ASSISTANT
    operations = await tenure.operations() if ends_with_answer else ()
    for decision in decide_holds(history, found.holds, operations):
        await _carry_out(tenure, decision)
    return tenure


async def _carry_out(tenure: Tenure, decision: Decision) -> None:
    budget, claim = tenure.ports.budget, tenure.claim
    match decision.verdict:
        case Verdict.SETTLE:
            settlement = Settlement(decision.rid, decision.usage, decision.tools)
            tenure.learn(await budget.settle(claim, settlement))
        case Verdict.RELEASE:
            await budget.release(claim, decision.rid, decision.reason)
        case Verdict.CHARGE:
            tenure.learn(await budget.charge(claim, decision.rid, decision.reason))
        case Verdict.LEAVE:
            pass
        case _:
            assert_never(decision.verdict)
