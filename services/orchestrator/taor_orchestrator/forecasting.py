"""What the budget foresees for a build, for the events that tell its user of money."""

from __future__ import annotations

import logging

from taor_orchestrator import winddown
from taor_orchestrator.money import Forecast
from taor_orchestrator.ports import DependencyDown
from taor_orchestrator.tenure import Tenure

_log = logging.getLogger(__name__)


async def forecast(tenure: Tenure) -> Forecast | None:
    """How the build may go on; that nobody can tell keeps no build from anything."""
    try:
        finished_turns = await tenure.ports.builds.finished_turns(tenure.claim)
        return await tenure.ports.budget.forecast(tenure.claim, finished_turns)
    except DependencyDown:
        _log.warning("the budget can foresee nothing", exc_info=True)
        return None


async def low_note(tenure: Tenure) -> str:
    """What the agent is told of an allowance that is nearly used up; say it in the very next entry.

    The event of that entry gets a forecast. It is stored and not derived: whoever takes over in between tells none.
    """
    if (foreseen := await forecast(tenure)) is not None:
        tenure.projector.foresee(tenure.history.head + 1, foreseen)
    return winddown.note(tenure.allowance)
