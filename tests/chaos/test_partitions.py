"""In the midst of a build a link breaks, or the database crashes; the build comes out as if nothing had happened.

A sample of every kind; all links and faults, for half a minute each, are in `python -m tests.chaos`.
"""

from tests.chaos.disruption import broken_link, crashed
from tests.chaos.disturbed import disturbed_build, undisturbed_build
from tests.chaos.network import running_network
from tests.support.cut_proxy import Fault

SECONDS = 1.0
DISRUPTIONS = (
    broken_link("orchestrator-budget", Fault.HALF_OPEN),
    broken_link("orchestrator-sandbox", Fault.BLACK_HOLE),
    broken_link("orchestrator-database", Fault.CUT),
    broken_link("checkpoint-database", Fault.MUTE),
    crashed("postgres"),
)


async def test_a_build_comes_out_the_same_whatever_breaks_in_its_midst() -> None:
    async with running_network() as network:
        undisturbed = await undisturbed_build(network)
        findings: list[str] = []
        for disruption in DISRUPTIONS:
            findings += (await disturbed_build(network, disruption, SECONDS)).findings(undisturbed)
    assert findings == []
