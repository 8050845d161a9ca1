"""What a provider must do with a command: start it once, let it be followed, end it whole."""

import asyncio

import pytest

from taor_sandbox.backends.errors import InvalidRequest
from taor_sandbox.backends.port import (
    MAX_COMMAND_BYTES,
    Backend,
    Ending,
    Exited,
    Live,
    Offsets,
    OutputChunk,
    Sandbox,
    Unclaimed,
)
from tests.support.sandboxes import finish, run, spec, start, until


async def test_a_command_tells_its_outputs_its_status_and_its_folder(sandbox: Sandbox) -> None:
    done = await run(sandbox, "mkdir -p deep; cd deep; echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert (done.exit.status, done.exit.ending, done.exit.cwd) == (3, Ending.EXITED, "/workspace/deep")
    assert (done.exit.stdout_bytes, done.exit.stderr_bytes) == (4, 4)


async def test_a_command_gets_its_folder_its_environment_and_an_empty_stdin(sandbox: Sandbox) -> None:
    done = await run(sandbox, "pwd; echo $GREETING $HOME; cat; id -un", cwd="/tmp", env={"GREETING": "hello"})
    assert done.stdout == "/tmp\nhello /home/user\nuser\n"


async def test_a_python_leaves_nothing_beside_its_sources(sandbox: Sandbox) -> None:
    done = await run(sandbox, "mkdir m; touch m/__init__.py; python3 -c 'import m'; ls -A m")
    assert (done.stdout, done.stderr) == ("__init__.py\n", "")


async def test_a_folder_that_is_gone_is_said_on_stderr(sandbox: Sandbox) -> None:
    done = await run(sandbox, "echo never", cwd="/workspace/nowhere")
    assert (done.exit.status, done.stdout) == (126, "")
    assert "nowhere" in done.stderr


async def test_lines_of_a_script_keep_their_numbers(sandbox: Sandbox) -> None:
    done = await run(sandbox, "true\nno-such-command")
    assert "line 2: no-such-command" in done.stderr


async def test_a_command_dead_by_a_signal_has_the_status_that_shells_give_it(sandbox: Sandbox) -> None:
    done = await run(sandbox, "kill -KILL $$")
    assert (done.exit.status, done.exit.cwd) == (137, None)


async def test_a_second_claim_starts_nothing_and_is_told_so(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "echo x >> count")
    await finish(sandbox, op_id)
    assert not await sandbox.claim(spec("echo x >> count", op_id))
    assert (await finish(sandbox, op_id)).exit.status == 0
    assert await sandbox.read("count") == b"x\n"


async def test_four_claims_at_once_run_once(backend: Backend, sandbox: Sandbox) -> None:
    handles = [await backend.attach(sandbox.provider_id) for _ in range(4)]
    claim = spec("echo x >> count; sleep 0.2")
    assert sorted(await asyncio.gather(*(handle.claim(claim) for handle in handles))) == [False, False, False, True]
    ends = await asyncio.gather(*(finish(handle, claim.op_id) for handle in handles))
    assert len({end.exit for end in ends}) == 1
    assert await sandbox.read("count") == b"x\n"
    for handle in handles:
        await handle.close()


async def test_output_is_seen_while_the_command_runs(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "echo first; until [ -e go ]; do sleep 0.01; done; echo second")
    seen: list[bytes] = []
    async for item in sandbox.follow(op_id):
        if isinstance(item, OutputChunk):
            seen.append(item.data)
            await sandbox.run(["touch", "go"])
    assert seen == [b"first\n", b"second\n"]


async def test_a_follower_resumes_where_it_was(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "printf 0123456789; printf abc >&2")
    await finish(sandbox, op_id)
    items = [item async for item in sandbox.follow(op_id, Offsets(stdout=7, stderr=3))]
    assert [(item.offset, item.data) for item in items if isinstance(item, OutputChunk)] == [(7, b"789")]
    assert isinstance(items[-1], Exited)


async def test_a_follower_that_leaves_leaves_the_command_alone(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "echo first; until [ -e go ]; do sleep 0.01; done; echo second")
    follower = sandbox.follow(op_id)
    await anext(follower)
    await follower.aclose()  # type: ignore[attr-defined] # an async generator, of which the port names the iterator
    assert isinstance(await sandbox.look(op_id), Live)
    await sandbox.run(["touch", "go"])
    assert (await finish(sandbox, op_id)).stdout == "first\nsecond\n"


async def test_what_was_never_claimed_is_unclaimed(sandbox: Sandbox) -> None:
    assert await sandbox.look("build/1/999/0") == Unclaimed()
    assert [item async for item in sandbox.follow("build/1/999/0")] == [Unclaimed()]


async def test_a_time_out_kills_the_whole_tree(sandbox: Sandbox) -> None:
    done = await run(sandbox, "setsid sleep 77 & env -i setsid sleep 77 & sleep 77", timeout_seconds=0.3)
    assert (done.exit.status, done.exit.ending) == (137, Ending.TIMEOUT)
    await until(sandbox, "! grep -qsx sleep /proc/[0-9]*/comm")


async def test_kill_ends_the_whole_tree_and_says_killed(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "sleep 77 & setsid sleep 77 & touch up; wait")
    await until(sandbox, "[ -e up ]")
    await sandbox.kill(op_id)
    assert (await finish(sandbox, op_id)).exit.ending is Ending.KILLED
    await sandbox.kill(op_id)
    await sandbox.kill("build/1/999/0")


async def test_a_recorded_command_is_over(sandbox: Sandbox) -> None:
    """What a foreground command leaves behind is killed before its exit is recorded."""
    await run(sandbox, "(sleep 0.3; echo late >> file) & setsid sleep 77 &")
    await until(sandbox, "! grep -qsx sleep /proc/[0-9]*/comm")
    assert (await run(sandbox, "sleep 0.5; ls")).stdout == ""


async def test_a_background_command_may_leave_a_server_behind(sandbox: Sandbox) -> None:
    op_id = await start(sandbox, "python3 -m http.server 8123 --bind 127.0.0.1 & touch up", background=True)
    assert (await finish(sandbox, op_id)).exit.status == 0
    await until(sandbox, "echo > /dev/tcp/127.0.0.1/8123")
    await sandbox.kill(op_id)
    assert (await sandbox.run(["/bin/bash", "-c", "echo > /dev/tcp/127.0.0.1/8123"])).status != 0


async def test_an_output_flood_is_killed_and_cut(sandbox: Sandbox) -> None:
    done = await run(sandbox, "yes", output_bytes=100_000)
    assert done.exit.ending is Ending.OUTPUT_LIMIT
    assert len(done.stdout) == done.exit.stdout_bytes == 100_000


async def test_claims_that_break_a_bound_are_refused(sandbox: Sandbox) -> None:
    for claim in (
        spec("x" * (MAX_COMMAND_BYTES + 1)),
        spec("true", "../escape"),
        spec("true", "a" * 201),
    ):
        with pytest.raises(InvalidRequest):
            await sandbox.claim(claim)


async def test_a_command_that_cannot_be_started_is_recorded(sandbox: Sandbox) -> None:
    done = await run(sandbox, "touch never", env={"HUGE": "x" * 200_000})
    assert (done.exit.status, done.stdout) == (126, "")
    assert "Argument list too long" in done.stderr
    for changes in ({"env": {"a": "b\0"}}, {"env": {"a=b": "c"}}, {"cwd": "/work\0space"}, {"cwd": "\ud800"}):
        assert (await run(sandbox, "touch never", **changes)).exit.status == 126
    for command in ("touch never\0", "touch never; echo \ud800"):
        assert (await run(sandbox, command)).exit.status == 126
    assert (await run(sandbox, "ls")).stdout == ""


async def test_the_longest_command_runs(sandbox: Sandbox) -> None:
    command = f"wc -c <<'E'\n{'é' * ((MAX_COMMAND_BYTES - 20) // 2)}\nE"
    assert (await run(sandbox, command)).stdout.strip() == str(2 * ((MAX_COMMAND_BYTES - 20) // 2) + 1)
