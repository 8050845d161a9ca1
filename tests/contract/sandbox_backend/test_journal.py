"""The fence and the journal inside: what keeps a stale owner out, and how a deleted journal is found out."""

import pytest

from taor_sandbox.backends.errors import FileRefused, JournalWiped, SandboxFrozen, StaleEpoch
from taor_sandbox.backends.port import Backend, Dead, Exited, Live, Sandbox, Stream, Unclaimed
from tests.support.sandboxes import EPOCH, NONCE, SMALL, finish, journal_of, run, spec, start, until, write


async def test_a_stale_epoch_is_refused_inside(backend: Backend, sandbox: Sandbox) -> None:
    newer = await backend.attach(sandbox.provider_id)
    await newer.raise_epoch(7)
    with pytest.raises(StaleEpoch) as refused:
        await sandbox.claim(spec("touch never", epoch=6))
    assert refused.value.highest == 7
    with pytest.raises(StaleEpoch):
        await sandbox.claim_write(write("never", b"", epoch=6))
    with pytest.raises(StaleEpoch):
        await sandbox.raise_epoch(6)
    await newer.raise_epoch(7)
    assert (await run(newer, "ls", epoch=7)).stdout == ""
    await newer.close()


async def test_a_stale_owner_is_told_so_even_about_its_own_claim(sandbox: Sandbox) -> None:
    claim = spec("true")
    await sandbox.claim(claim)
    await sandbox.raise_epoch(2)
    with pytest.raises(StaleEpoch):
        await sandbox.claim(claim)


async def test_what_runs_at_a_take_over_can_be_followed_by_the_new_owner(backend: Backend, sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "until [ -e go ]; do sleep 0.01; done; echo done")
    newer = await backend.attach(sandbox.provider_id)
    await newer.raise_epoch(2)
    assert isinstance(await newer.look(op_id), Live)
    await newer.run(["touch", "go"])
    assert (await finish(newer, op_id)).stdout == "done\n"
    await newer.close()


async def test_a_claim_must_name_the_nonce(sandbox: Sandbox) -> None:
    with pytest.raises(JournalWiped):
        await sandbox.claim(spec("touch never", nonce="another"))
    assert await sandbox.journal_nonce() == NONCE
    assert (await run(sandbox, "ls")).stdout == ""


async def test_a_new_sandbox_has_no_journal(backend: Backend) -> None:
    fresh = await backend.create("fresh/1", SMALL)
    assert await fresh.journal_nonce() is None
    with pytest.raises(JournalWiped):
        await fresh.claim(spec("true"))
    await fresh.close()


async def test_a_deleted_journal_is_found_out(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, f"rm -rf {journal_of(sandbox)}/*; touch ran")
    states = [item async for item in sandbox.follow(op_id)]
    assert states[-1] == Dead()
    assert await sandbox.journal_nonce() is None
    with pytest.raises(JournalWiped):
        await sandbox.claim(spec("touch never"))
    assert (await sandbox.run(["ls"])).stdout == b"ran\n"


async def test_after_the_next_nonce_the_sandbox_goes_on_and_nothing_runs_twice(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, f"echo x >> count; rm -rf {journal_of(sandbox)}/*")
    assert [item async for item in sandbox.follow(op_id)][-1] == Dead()
    await sandbox.write_nonce("second-nonce")
    assert not await sandbox.claim(spec("echo x >> count", op_id, nonce="second-nonce"))
    assert await sandbox.look(op_id) == Dead()
    assert (await run(sandbox, "cat count", nonce="second-nonce")).stdout == "x\n"


async def test_deleting_the_journal_does_not_lower_the_epoch(sandbox: Sandbox) -> None:
    await sandbox.raise_epoch(5)
    await run(sandbox, f"rm -rf {journal_of(sandbox)}/epoch", epoch=5)
    with pytest.raises(StaleEpoch):
        await sandbox.raise_epoch(4)


async def test_a_claim_whose_owner_died_is_dead_and_hangs_nobody(backend: Backend, sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "echo begun; sleep 77")
    await until(sandbox, f"[ -s {sandbox.log_path(op_id, Stream.STDOUT)} ]")
    await backend.pause(sandbox.provider_id, EPOCH)
    woken = await backend.attach(sandbox.provider_id)
    assert await woken.look(op_id) == Dead()
    items = [item async for item in woken.follow(op_id)]
    assert items[-1] == Dead()
    assert not await woken.claim(spec("touch never", op_id))
    await woken.close()


async def test_a_claim_folder_without_an_owner_is_dead(sandbox: Sandbox) -> None:
    """Its maker was killed between mkdir and its first word."""
    await sandbox.run(["mkdir", f"{journal_of(sandbox)}/claims/build~1~orphan"])
    assert [item async for item in sandbox.follow("build/1/orphan")] == [Dead()]


async def test_a_forged_exit_record_counts_as_none(sandbox: Sandbox) -> None:
    for forged in ("{", '["COMMAND"]', '["COMMAND", "x", "EXITED", null, 0, 0, 0]', '["OTHER", 1]', "[]", "7"):
        folder = f"{journal_of(sandbox)}/claims/forged"
        command = f"mkdir -p {folder} && printf '%s' '{forged}' > {folder}/exit"
        await sandbox.run(["/bin/bash", "-c", command])
        assert await sandbox.look("forged") == Dead(), forged


async def test_a_journal_that_a_command_has_locked_goes_on(sandbox: Sandbox) -> None:
    done = await run(sandbox, f"cd {journal_of(sandbox)} && chmod 000 claims . && echo locked")
    assert (done.exit.status, done.stdout) == (0, "locked\n")
    await sandbox.run(["chmod", "000", journal_of(sandbox)])
    assert (await run(sandbox, "echo alive")).stdout == "alive\n"


async def test_a_pipe_in_the_journal_makes_nobody_wait(sandbox: Sandbox) -> None:
    record = "claims/build~1~pipes~0/exit"
    pipes = f"rm nonce {record}.new; mkfifo nonce {record} {record}.new"
    op_id = await start(sandbox, f"cd {journal_of(sandbox)}; {pipes}", op_id="build/1/pipes/0")
    assert [item async for item in sandbox.follow(op_id)] == [Dead()]
    assert await sandbox.journal_nonce() is None
    await sandbox.write_nonce("second-nonce")
    assert (await run(sandbox, "echo alive", nonce="second-nonce")).stdout == "alive\n"


async def test_the_journal_survives_a_pause(backend: Backend, sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "echo kept")
    before = await finish(sandbox, op_id)
    await sandbox.raise_epoch(3)
    await backend.pause(sandbox.provider_id, 3)
    woken = await backend.attach(sandbox.provider_id)
    assert await woken.journal_nonce() == NONCE
    assert await finish(woken, op_id) == before
    with pytest.raises(StaleEpoch):
        await woken.raise_epoch(2)
    await woken.close()


async def test_nothing_starts_and_nothing_moves_while_a_sandbox_is_frozen(backend: Backend, sandbox: Sandbox) -> None:
    ticking = await start(sandbox, "while :; do echo x >> ticks; done", background=True)
    other = await backend.attach(sandbox.provider_id)
    await until(sandbox, "[ -s ticks ]")
    async with sandbox.frozen():
        size = (await sandbox.stat("ticks")).size_bytes
        refused = spec("touch never")
        with pytest.raises(SandboxFrozen):
            await other.claim(refused)
        with pytest.raises(SandboxFrozen):
            await other.claim_write(write("never", b""))
        assert (await other.run(["sleep", "0.1"])).status == 0
        assert (await sandbox.stat("ticks")).size_bytes == size
        assert await other.look(refused.op_id) == Unclaimed()
    await until(sandbox, f"[ $(stat -c %s ticks) -gt {size} ]")
    await sandbox.kill(ticking)
    with pytest.raises(FileRefused):
        await sandbox.stat("never")
    await other.close()


async def test_a_freeze_ends_with_its_holder(backend: Backend, sandbox: Sandbox) -> None:
    holder = await backend.attach(sandbox.provider_id)
    freeze = holder.frozen()
    await freeze.__aenter__()
    with pytest.raises(SandboxFrozen):
        async with sandbox.frozen():
            pass
    await holder.close()
    assert isinstance(await sandbox.look(await _start_when_thawed(sandbox)), Live | Exited)


async def test_a_freeze_ends_with_a_newer_owner(backend: Backend, sandbox: Sandbox) -> None:
    """Its holder may be stalled for long; he hears of it when he comes back."""
    holder = await backend.attach(sandbox.provider_id)
    freeze = holder.frozen()
    await freeze.__aenter__()
    await sandbox.raise_epoch(EPOCH + 1)
    claim = spec("echo on", epoch=EPOCH + 1)
    assert await sandbox.claim(claim)
    with pytest.raises(SandboxFrozen):
        await freeze.__aexit__(None, None, None)
    async with sandbox.frozen():
        pass
    await holder.close()


async def _start_when_thawed(sandbox: Sandbox) -> str:
    claim = spec("true")
    for _ in range(1000):
        try:
            await sandbox.claim(claim)
        except SandboxFrozen:
            continue
        return claim.op_id
    raise AssertionError("still frozen")
