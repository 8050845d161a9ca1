"""A sample of the crash sweep, over every service; the whole of it is `./taor crash-test`."""

from tests.crash.sweep import Failure, compare, enumerate_points, running_rig, sample

POINTS = 10
SEED = 7


async def test_a_build_comes_out_the_same_wherever_it_is_killed() -> None:
    async with running_rig() as rig:
        await rig.build()  # fills the prompt cache, so that every later build costs the same
        unkilled = await rig.build()
        assert unkilled.state == "SUCCEEDED"
        assert not unkilled.findings
        points = enumerate_points([await rig.record(), await rig.record()])
        assert {point.service for point in points} == {"budget", "checkpoint", "orchestrator", "sandbox"}
        chosen = sample(points, POINTS, SEED)
        failures: list[Failure] = []
        killed = 0
        for point in chosen:
            result, was_killed = await rig.killed_build(point)
            killed += was_killed
            failures += compare((point,), result, unkilled)
    assert failures == []
    assert killed == len(chosen)
