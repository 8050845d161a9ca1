"""From attach to the end: restarts of the service, pauses, previews that outlive a build, and the reaper."""

import asyncio

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.backends.errors import StaleEpoch
from taor_sandbox.backends.port import Limits, Unclaimed
from taor_sandbox.records import BuildKey, Call, Position, nonce_text
from taor_sandbox.store.builds import Builds
from taor_sandbox.store.operations import Operations, Verdict
from taor_sandbox.tools import effects
from taor_sandbox.tools.effects import Effect
from taor_sandbox.tools.inputs import Bash
from tests.service.sandbox.harness import Harness, reason_of


async def test_a_restarted_service_finds_the_running_command_again(harness: Harness) -> None:
    await harness.attach()
    following = await harness.begin(1, "echo on; until [ -e go ]; do sleep 0.02; done; echo x >> count; cat count")
    await harness.restart()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await following.result()
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    again = await harness.begin(1, "echo on; until [ -e go ]; do sleep 0.02; done; echo x >> count; cat count")
    await harness.touch("go")
    assert (await again.result()).text == "on\nx\n"
    assert (await harness.bash(2, "cat count")).text == "x\n"


async def test_a_stored_result_outlives_the_service(harness: Harness) -> None:
    await harness.attach()
    first = await harness.bash(1, "echo $RANDOM; exit 3")
    await harness.restart()
    again = await harness.bash(1, "echo $RANDOM; exit 3")
    assert again.replayed
    assert (again.text, again.exit_status, again.failure) == (first.text, 3, first.failure)


async def test_the_next_owner_follows_what_the_last_one_started(harness: Harness) -> None:
    await harness.attach()
    command = "echo on; until [ -e go ]; do sleep 0.02; done; echo x >> count; cat count"
    await harness.begin(1, command)
    harness.take_over()
    attached = await harness.attach(tail_sequence=1)
    assert [each.state for each in attached.operations] == [pb.Operation.STARTING]
    assert harness.generation == 1
    following = await harness.begin(1, command)
    await harness.touch("go")
    assert (await following.result()).text == "on\nx\n"


async def test_a_first_dispatch_waits_until_the_sandbox_is_made(harness: Harness) -> None:
    await harness.attach()
    results = await asyncio.gather(
        harness.bash(1, "echo x >> f"),
        harness.run(harness.request(1, 1, glob=pb.Glob(pattern="nothing"))),
    )
    assert [each.HasField("failure") for each in results] == [False, False]


async def test_an_attach_that_is_sent_again_plans_nothing_twice(harness: Harness) -> None:
    first = await harness.attach()
    harness.attaches -= 1
    assert (await harness.attach()).generation == first.generation == 1
    await harness.bash(1, "true")


async def test_a_paused_sandbox_wakes_with_its_files_and_its_journal(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x\n")
    assert (await harness.release(pb.ReleaseSandboxRequest.PAUSE)).covers_log_sequence == 1
    assert (await harness.state()).state == pb.GetSandboxResponse.PAUSED
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.bash(2, "true")
    assert reason_of(raised) == "STALE_GENERATION"
    harness.take_over()
    await harness.attach()
    assert harness.generation == 1
    assert (await harness.bash(2, "cat f")).text == "x\n"
    assert (await harness.run(harness.request(1, write_file=pb.WriteFile(path="f", content="x\n")))).replayed


async def test_a_release_before_anything_ran_leaves_nothing(harness: Harness) -> None:
    await harness.attach()
    released = await harness.release(pb.ReleaseSandboxRequest.PAUSE)
    assert not released.snapshot_id
    assert (await harness.state()).state in (pb.GetSandboxResponse.DESTROYED, pb.GetSandboxResponse.PAUSED)
    await harness.attach()
    assert (await harness.bash(1, "echo ok")).text == "ok\n"


async def test_release_can_be_repeated(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x")
    first = await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    assert await harness.release(pb.ReleaseSandboxRequest.DESTROY) == first
    assert await harness.backend.list() == []


async def test_a_store_that_fails_stops_a_destroy_but_not_a_pause(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x\n")
    harness.config.blobs.write_text("a file where the store's folder should be")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    assert reason_of(raised) == "SNAPSHOT_FAILED"
    assert (await harness.bash(2, "cat f")).text == "x\n"
    assert not (await harness.release(pb.ReleaseSandboxRequest.PAUSE)).snapshot_id
    await harness.attach()
    assert (await harness.bash(3, "cat f")).text == "x\n"


async def test_a_kept_sandbox_goes_when_its_time_is_over(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x")
    await harness.release(pb.ReleaseSandboxRequest.KEEP_FOR_PREVIEW)
    await harness.reaper.round()
    assert (await harness.state()).state == pb.GetSandboxResponse.KEPT
    await harness.pass_time("31 minutes")
    await harness.reaper.round()
    assert (await harness.state()).state == pb.GetSandboxResponse.DESTROYED
    assert await harness.backend.list() == []


async def test_a_kept_build_can_go_on(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x\n")
    await harness.release(pb.ReleaseSandboxRequest.KEEP_FOR_PREVIEW)
    harness.take_over()
    await harness.attach()
    assert (harness.generation, (await harness.state()).state) == (1, pb.GetSandboxResponse.READY)
    await harness.pass_time("31 minutes")
    await harness.reaper.round()
    assert (await harness.bash(2, "cat f")).text == "x\n"


async def test_the_reaper_takes_what_came_back_and_nothing_of_others(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x")
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    for key in (f"{harness.build_id}/1", "stranger/1"):
        await (await harness.backend.create(key, Limits())).close()
    await harness.reaper.round()
    assert [each.key for each in await harness.backend.list()] == ["stranger/1"]


async def test_a_sandbox_whose_maker_died_is_gone_in_ten_minutes(harness: Harness) -> None:
    await harness.attach()
    await harness.until_state(pb.GetSandboxResponse.READY)
    builds, key = Builds(harness.pool), BuildKey("local", harness.build_id)
    build = await builds.get(key)
    assert build is not None
    assert await builds.plan(build)
    await (await harness.backend.create(f"{harness.build_id}/2", Limits())).close()
    await harness.pass_time("11 minutes")
    await harness.reaper.round()
    assert await harness.backend.list() == []
    await harness.attach()
    assert (harness.generation, (await harness.bash(1, "echo ok")).text) == (3, "ok\n")


async def test_blobs_that_nobody_names_are_collected(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "old content\n")
    await harness.snapshot()
    for number in range(2, 9):
        await harness.write(number, "f", f"content {number}\n")
        await harness.snapshot()
    harness.age_blobs()
    await harness.reaper.collect()
    contents = {path.read_bytes() for path in harness.config.blobs.glob("*/*/*")}
    assert b"old content\n" not in contents
    assert b"content 8\n" in contents
    assert len(contents) == 2 * 5, "five snapshots, each with a manifest and one content"


async def test_a_start_of_an_older_claim_is_refused_inside_the_sandbox(harness: Harness) -> None:
    """The database alone checks too early: the row was announced before the takeover, the start comes after it."""
    await harness.attach()
    await harness.bash(1, "true")
    command = Bash("echo x >> count; cat count", 60)
    key = BuildKey("local", harness.build_id)
    call = Call(key, 1, 1, harness.op_id(2), Position(2, 0), command)
    begun = await Operations(harness.pool).begin(call)
    assert begun.verdict is Verdict.RUN
    harness.take_over()
    await harness.attach()
    async with harness.sandbox() as sandbox:
        with pytest.raises(StaleEpoch):
            await effects.start(sandbox, Effect(call.op_id, 1, nonce_text(1, begun.nonce), None, command))
        assert await sandbox.look(call.op_id) == Unclaimed()
    assert (await harness.bash(2, command.command, timeout_seconds=60)).text == "x\n"


async def test_many_who_find_a_restarted_service_share_one_handle(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "true")
    await harness.restart()
    looks = (harness.run(harness.request(1, 1, glob=pb.Glob(pattern="*"))) for _ in range(20))
    results = await asyncio.gather(harness.bash(2, "sleep 0.3; echo ok"), *looks)
    assert results[0].text == "ok\n"
