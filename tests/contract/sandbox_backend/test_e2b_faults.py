"""The E2B backend when E2B fails: refusals, broken connections, deaths, late answers, files that are lost."""

import asyncio
import os
from dataclasses import replace

import pytest

from taor_e2b_simulator.faults import Fault, FaultKind
from taor_e2b_simulator.simulator import Simulator
from taor_sandbox.backends.e2b.backend import E2BBackend, open_backend
from taor_sandbox.backends.e2b.installation import Toolbox, inside_files
from taor_sandbox.backends.e2b.settings import E2BSettings
from taor_sandbox.backends.errors import (
    BackendUnavailable,
    FileRefused,
    OtherRelease,
    SandboxFrozen,
    SandboxGone,
    SandboxUnreachable,
)
from taor_sandbox.backends.port import Exited, Live, Sandbox, SandboxStatus, Unclaimed
from tests.support.sandboxes import EPOCH, NONCE, SMALL, finish, make_ready, run, spec, start, until, write, write_file

START = "/process.Process/Start"


@pytest.fixture
def backend(e2b_backend: E2BBackend) -> E2BBackend:
    """Only E2B, here."""
    return e2b_backend


@pytest.mark.parametrize("kind", [FaultKind.BAD_GATEWAY, FaultKind.BUSY, FaultKind.RATE_LIMITED])
async def test_a_refused_call_is_made_again(sandbox: Sandbox, e2b_simulator: Simulator, kind: FaultKind) -> None:
    e2b_simulator.faults.arm(Fault(kind, START, times=2))
    assert (await run(sandbox, "echo x >> count; cat count")).stdout == "x\n"


@pytest.mark.parametrize("kind", [FaultKind.BAD_GATEWAY, FaultKind.BUSY, FaultKind.RATE_LIMITED])
async def test_a_refused_creation_is_made_again_and_makes_one_sandbox(
    backend: E2BBackend, e2b_simulator: Simulator, kind: FaultKind
) -> None:
    e2b_simulator.faults.arm(Fault(kind, "/v2/sandboxes", times=2))
    made = await backend.create("build/1", SMALL)
    assert [listing.provider_id for listing in await backend.list()] == [made.provider_id]
    await made.close()


async def test_what_runs_and_cannot_be_reached_is_waited_for(
    e2b_settings: E2BSettings, e2b_toolbox: Toolbox, sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    """Whoever gave it up for a few seconds of refusals would ask a busy E2B for more, and run things again."""
    patient = E2BBackend(replace(e2b_settings, reaching_pauses_seconds=(0.0,)), e2b_toolbox)
    op_id = await start(sandbox, "sleep 77")
    e2b_simulator.faults.arm(Fault(FaultKind.BUSY, START, times=5))
    found = await patient.attach(sandbox.provider_id)
    assert isinstance(await found.look(op_id), Live)
    await found.close()


async def test_a_creation_whose_answer_is_lost_makes_one_sandbox(backend: E2BBackend, e2b_simulator: Simulator) -> None:
    e2b_simulator.faults.arm(Fault(FaultKind.LOST_ANSWER, "/v2/sandboxes", skip=1))
    made = await backend.create("build/1", SMALL)
    assert [listing.provider_id for listing in await backend.list()] == [made.provider_id]
    await made.close()


async def test_a_slow_creation_that_was_given_up_is_found_by_the_next_one(
    backend: E2BBackend, e2b_simulator: Simulator
) -> None:
    e2b_simulator.faults.arm(Fault(FaultKind.SLOW, "/v2/sandboxes", skip=1, seconds=30.0))
    given_up = asyncio.create_task(backend.create("build/1", SMALL))
    async with asyncio.timeout(10):
        while not list(e2b_simulator.shelf):  # noqa: ASYNC110 - happens in the simulator
            await asyncio.sleep(0.01)
    given_up.cancel()
    await asyncio.wait([given_up])
    made = await make_ready(await backend.create("build/1", SMALL))
    assert (await run(made, "echo alive")).stdout == "alive\n"
    assert len(await backend.list()) == 1
    await made.close()


async def test_a_maker_that_died_before_the_agent_was_laid_is_made_up_for(
    backend: E2BBackend, e2b_simulator: Simulator
) -> None:
    e2b_simulator.faults.arm(Fault(FaultKind.BAD_GATEWAY, "/files", times=100))
    with pytest.raises(SandboxUnreachable):
        await backend.create("build/1", SMALL)
    e2b_simulator.faults.disarm()
    [listing] = await backend.list()
    found = await make_ready(await backend.attach(listing.provider_id))
    assert (await run(found, "echo alive")).stdout == "alive\n"
    await found.close()


async def test_output_that_is_cut_off_is_taken_up_where_it_broke(sandbox: Sandbox, e2b_simulator: Simulator) -> None:
    """Each connection carries a piece or two before it breaks; none may come twice, and none be left out."""
    op_id = await start(sandbox, "seq 100000; sleep 0.3; echo last")
    e2b_simulator.faults.arm(Fault(FaultKind.CUT_STREAM, START, after_bytes=500_000, times=2))
    done = await finish(sandbox, op_id)
    assert done.stdout == "".join(f"{n}\n" for n in range(1, 100_001)) + "last\n"


async def test_what_carries_a_long_command_has_no_time_limit(sandbox: Sandbox, e2b_simulator: Simulator) -> None:
    """E2B kills a background command after 60 s, unless it is told not to."""
    follower = sandbox.follow(await start(sandbox, "echo begun; sleep 77"))
    await anext(follower)
    async with sandbox.frozen():
        executions = e2b_simulator.shelf.find(sandbox.provider_id).executions.values()
        running = [each for each in executions if each.end is None]
        assert len(running) == 2, "of the follower and of the freeze"
        assert {each.deadline_seconds for each in running} == {None}


@pytest.mark.parametrize("kind", [FaultKind.LOST_ANSWER, FaultKind.CUT_STREAM])
async def test_a_claim_whose_answer_is_lost_runs_once(
    sandbox: Sandbox, e2b_simulator: Simulator, kind: FaultKind
) -> None:
    """The exec outlives its caller: the claim is made, and the repetition finds it."""
    claim = spec("echo x >> count; sleep 0.2; cat count")
    e2b_simulator.faults.arm(Fault(kind, START, after_bytes=60))
    await sandbox.claim(claim)
    assert not await sandbox.claim(claim)
    assert (await finish(sandbox, claim.op_id)).stdout == "x\n"


async def test_a_write_whose_answer_is_lost_is_made_once(sandbox: Sandbox, e2b_simulator: Simulator) -> None:
    e2b_simulator.faults.arm(Fault(FaultKind.LOST_ANSWER, START))
    made = write("file", os.urandom(100_000))
    state = await sandbox.claim_write(made)
    assert isinstance(state, Exited)
    assert await sandbox.claim_write(made) == state
    assert await sandbox.read("file") == made.content


async def test_a_helper_whose_answer_is_lost_runs_again(sandbox: Sandbox, e2b_simulator: Simulator) -> None:
    e2b_simulator.faults.arm(Fault(FaultKind.LOST_ANSWER, START))
    assert (await sandbox.run(["echo", "hello"])).stdout == b"hello\n"


async def test_an_archive_that_breaks_says_so(sandbox: Sandbox, e2b_simulator: Simulator) -> None:
    await run(sandbox, "head -c 3M /dev/urandom > big")
    e2b_simulator.faults.arm(Fault(FaultKind.CUT_STREAM, START, after_bytes=1_000_000))
    with pytest.raises(SandboxUnreachable):
        async for _ in sandbox.archive(["."]):
            pass


async def test_a_sandbox_that_dies_is_unreachable_then_gone(
    backend: E2BBackend, sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    op_id = await start(sandbox, "sleep 77")
    e2b_simulator.faults.arm(Fault(FaultKind.DEATH, START))
    with pytest.raises(SandboxUnreachable):
        await finish(sandbox, op_id)
    with pytest.raises(SandboxUnreachable):
        await sandbox.journal_nonce()
    with pytest.raises(SandboxGone):
        await backend.attach(sandbox.provider_id)
    again = await backend.create("build/1", SMALL)
    assert again.provider_id != sandbox.provider_id
    await again.close()


async def test_a_sandbox_that_dies_under_a_follower_ends_the_follower(
    sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    op_id = await start(sandbox, "echo begun; sleep 77")
    follower = sandbox.follow(op_id)
    await anext(follower)
    await e2b_simulator.shelf.destroy(e2b_simulator.shelf.find(sandbox.provider_id))
    with pytest.raises(SandboxUnreachable):
        await anext(follower)


async def test_a_pause_under_a_follower_ends_the_follower_and_a_silence_does_not(
    e2b_settings: E2BSettings, e2b_toolbox: Toolbox, sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    """E2B pauses by itself what has lived for too long; the connection stays open, and nothing is said any more."""
    impatient = await E2BBackend(replace(e2b_settings, lease_seconds=0.2), e2b_toolbox).attach(sandbox.provider_id)
    assert (await run(impatient, "sleep 1; echo done")).stdout == "done\n"
    follower = impatient.follow(await start(impatient, "echo begun; sleep 77"))
    await anext(follower)
    e2b_simulator.shelf.end_in(e2b_simulator.shelf.find(sandbox.provider_id), 0.0)
    with pytest.raises(SandboxUnreachable):
        await anext(follower)
    await impatient.close()


async def test_changes_that_a_resume_has_lost_take_their_journal_along(
    backend: E2BBackend, sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    """So nobody finds a claim without its files; that files are missing is what the check on waking tells."""
    await write_file(sandbox, "kept", b"kept")
    await backend.pause(sandbox.provider_id, EPOCH)
    woken = await backend.attach(sandbox.provider_id)
    lost = await start(woken, "echo x > lost")
    await finish(woken, lost)
    e2b_simulator.faults.arm(Fault(FaultKind.LOST_CHANGES, "/pause"))
    await backend.pause(sandbox.provider_id, EPOCH)
    again = await backend.attach(sandbox.provider_id)
    assert await again.read("kept") == b"kept"
    with pytest.raises(FileRefused):
        await again.read("lost")
    assert await again.look(lost) == Unclaimed()
    assert await again.journal_nonce() == NONCE
    await woken.close()
    await again.close()


async def test_a_time_out_pauses_and_what_ran_goes_on(
    backend: E2BBackend, sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    """The service was away for too long: E2B pauses with the memory kept, and nothing is lost."""
    op_id = await start(sandbox, "until [ -e go ]; do sleep 0.01; done; echo done")
    held = e2b_simulator.shelf.find(sandbox.provider_id)
    assert held.order.pauses_on_timeout
    e2b_simulator.shelf.end_in(held, 0.0)
    async with asyncio.timeout(10):
        while (await backend.list())[0].status is not SandboxStatus.PAUSED:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    with pytest.raises(SandboxUnreachable):
        await sandbox.journal_nonce()
    woken = await backend.attach(sandbox.provider_id)
    assert isinstance(await woken.look(op_id), Live)
    await woken.run(["touch", "go"])
    assert (await finish(woken, op_id)).stdout == "done\n"
    await woken.close()


async def test_a_stalled_replica_of_another_release_pauses_nothing(
    e2b_settings: E2BSettings, sandbox: Sandbox, backend: E2BBackend
) -> None:
    """It cannot learn from the agent whether somebody else owns the sandbox by now."""
    files = inside_files()
    messages = "taor_sandbox/agent/messages.py"
    other = E2BBackend(e2b_settings, Toolbox.of({**files, messages: files[messages] + b"# another release"}))
    op_id = await start(sandbox, "sleep 77")
    with pytest.raises(OtherRelease):
        await other.pause(sandbox.provider_id, EPOCH)
    assert (await backend.list())[0].status is SandboxStatus.RUNNING
    assert isinstance(await sandbox.look(op_id), Live)


async def test_an_agent_that_is_killed_leaves_dead_claims_and_no_process(sandbox: Sandbox) -> None:
    """Commands run as the agent's own user here: what they can kill must not be what is relied on."""
    op_id = await start(sandbox, "setsid sleep 77 & pkill -KILL -f '/var/lib/taor/lib-[0-9a-f]* agent'; sleep 77")
    async with asyncio.timeout(10):
        while isinstance(state := await sandbox.look(op_id), Live):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    assert not isinstance(state, Exited)
    await until(sandbox, "! grep -qsx sleep /proc/[0-9]*/comm")
    assert not await sandbox.claim(spec("touch never", op_id))
    assert (await run(sandbox, "ls")).stdout == ""


async def test_a_freeze_ends_when_its_holder_falls_silent(
    e2b_settings: E2BSettings, e2b_toolbox: Toolbox, sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    """E2B goes on running what a dead service has started: the lease ends it; and a stalled holder hears of it."""
    impatient = E2BBackend(replace(e2b_settings, lease_seconds=0.6), e2b_toolbox)
    holder, other = [await impatient.attach(sandbox.provider_id) for _ in range(2)]
    freeze = holder.frozen()
    await freeze.__aenter__()
    with pytest.raises(SandboxFrozen):
        await other.claim(spec("true"))
    e2b_simulator.faults.arm(Fault(FaultKind.BUSY, "/process.Process/SendInput", times=100))
    async with asyncio.timeout(10):
        while not await _claims(other):
            pass
    with pytest.raises(SandboxUnreachable):
        await freeze.__aexit__(None, None, None)
    for handle in (holder, other):
        await handle.close()


async def test_a_freeze_lasts_as_long_as_its_holder(
    e2b_settings: E2BSettings, e2b_toolbox: Toolbox, sandbox: Sandbox
) -> None:
    impatient = E2BBackend(replace(e2b_settings, lease_seconds=1.0), e2b_toolbox)
    holder = await impatient.attach(sandbox.provider_id)
    async with holder.frozen():
        await asyncio.sleep(2.1)  # more than two leases: nothing is to happen in them, that is the point
        with pytest.raises(SandboxFrozen):
            await sandbox.claim(spec("true"))
    await holder.close()


async def test_a_kill_takes_the_whole_tree_where_that_of_e2b_takes_the_leader_only(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "setsid sleep 77 & sleep 77 & touch up; wait")
    await until(sandbox, "[ -e up ]")
    await sandbox.kill(op_id)
    await until(sandbox, "! grep -qsx sleep /proc/[0-9]*/comm")


async def test_destruction_is_acknowledged_though_its_answer_is_lost(
    backend: E2BBackend, sandbox: Sandbox, e2b_simulator: Simulator
) -> None:
    e2b_simulator.faults.arm(Fault(FaultKind.LOST_ANSWER, f"/sandboxes/{sandbox.provider_id}"))
    await backend.destroy(sandbox.provider_id)
    assert list(e2b_simulator.shelf) == []


async def test_a_sandbox_is_given_no_secret_of_ours(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAOR_TOKEN", "the-token-of-this-service")
    said = (await run(sandbox, "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")).stdout
    assert "PATH=" in said
    assert "the-token-of-this-service" not in said
    assert "e2b_0000" not in said


async def test_a_wrong_key_says_what_to_do(e2b_settings: E2BSettings) -> None:
    with pytest.raises(BackendUnavailable, match="E2B_API_KEY"):
        await open_backend(replace(e2b_settings, api_key="e2b_wrong"))


async def _claims(sandbox: Sandbox) -> bool:
    try:
        return await sandbox.claim(spec("true"))
    except SandboxFrozen:
        return False
