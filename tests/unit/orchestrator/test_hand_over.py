"""A process that stops in the midst of a build leaves it with nothing held and nothing lost."""

from taor_orchestrator.build import Ended, HandedOver
from taor_orchestrator.loop import run
from taor_orchestrator.model.port import Answer
from tests.unit.orchestrator.world import SCRIPT, Switch, World, kinds


async def test_a_hand_over_in_the_midst_of_a_build_keeps_no_money() -> None:
    world = World(SCRIPT)
    ports = world.ports(Switch())
    call = ports.model.call

    async def told_to_stop_meanwhile(request: bytes, *, on_delta: None, timeout_seconds: float) -> Answer:
        ports.lease.handing_over.set()
        return await call(request, on_delta=on_delta, timeout_seconds=timeout_seconds)

    ports.model.call = told_to_stop_meanwhile  # type: ignore[method-assign,assignment] # the moment is what matters
    assert await run(world.claim(), ports) == HandedOver()
    assert kinds(world) == "HUAU"
    assert world.states() == ["SETTLED", "RELEASED"]
    assert world.holds_nothing()
    assert isinstance(await run(world.claim(), world.ports(Switch())), Ended)
    assert kinds(world) == "HUAUAUAUAUO"
