"""Commands and files as the SDK sees them, with the habits of the real envd that surprise people."""

import asyncio
import contextlib

import pytest
from e2b import AsyncSandbox, CommandExitException
from e2b.exceptions import FileNotFoundException, SandboxException, TimeoutException

from taor_e2b_simulator.faults import Fault, FaultKind
from taor_e2b_simulator.simulator import Simulator


async def test_a_command_tells_its_outputs_and_its_status(sandbox: AsyncSandbox) -> None:
    with pytest.raises(CommandExitException) as ended:
        await sandbox.commands.run("pwd; id -un; echo err >&2; exit 3")
    assert (ended.value.exit_code, ended.value.stdout, ended.value.stderr) == (3, "/home/user\nuser\n", "err\n")


async def test_a_command_takes_input(sandbox: AsyncSandbox) -> None:
    command = await sandbox.commands.run("cat", background=True, stdin=True)
    await command.send_stdin("hello\n")
    await command.close_stdin()
    assert (await command.wait()).stdout == "hello\n"


async def test_a_kill_hits_the_leader_only(sandbox: AsyncSandbox) -> None:
    command = await sandbox.commands.run("sleep 77 >/dev/null 2>&1 & touch up; exec sleep 78", background=True)
    await sandbox.commands.run("until [ -e up ]; do sleep 0.01; done")
    assert await command.kill()
    with pytest.raises(CommandExitException):
        await command.wait()
    assert (await sandbox.commands.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).stdout.count("sleep 77") == 1


async def test_a_command_lasts_until_nobody_holds_its_output(sandbox: AsyncSandbox) -> None:
    command = await sandbox.commands.run("(sleep 0.3; echo late) & echo early", background=True)
    assert (await command.wait()).stdout == "early\nlate\n"


async def test_what_nobody_listens_to_is_dropped_and_the_command_goes_on(sandbox: AsyncSandbox) -> None:
    command = await sandbox.commands.run(
        "until [ -e go ]; do sleep 0.01; done; echo missed; touch said; cat", background=True, stdin=True
    )
    await command.disconnect()
    await sandbox.files.write("/home/user/go", "")
    await sandbox.commands.run("until [ -e said ]; do sleep 0.01; done")
    again = await sandbox.commands.connect(command.pid)
    await sandbox.commands.send_stdin(command.pid, "heard\n")
    await sandbox.commands.close_stdin(command.pid)
    assert (await again.wait()).stdout == "heard\n"


async def test_a_time_out_ends_the_command(sandbox: AsyncSandbox) -> None:
    with pytest.raises(TimeoutException):
        await sandbox.commands.run("exec sleep 77", timeout=0.3)
    async with asyncio.timeout(60):
        while "sleep" in (await sandbox.commands.run("cat /proc/[0-9]*/comm")).stdout:  # noqa: ASYNC110 - happens elsewhere
            await asyncio.sleep(0.02)


async def test_a_folder_that_is_not_there_is_refused(sandbox: AsyncSandbox) -> None:
    with pytest.raises(SandboxException, match="does not exist"):
        await sandbox.commands.run("true", cwd="/nowhere")


async def test_a_list_names_what_runs(sandbox: AsyncSandbox) -> None:
    command = await sandbox.commands.run("exec sleep 77", background=True)
    assert [info.pid for info in await sandbox.commands.list()] == [command.pid]
    await command.kill()
    with contextlib.suppress(CommandExitException):
        await command.wait()
    assert await sandbox.commands.list() == []


async def test_a_cut_stream_leaves_the_command_running(sandbox: AsyncSandbox, simulator: Simulator) -> None:
    simulator.faults.arm(Fault(FaultKind.CUT_STREAM, "/process.Process/Start", after_bytes=200))
    command = "for n in $(seq 100); do echo line-$n; done; touch done"
    told = await asyncio.gather(sandbox.commands.run(command), return_exceptions=True)
    assert isinstance(told[0], Exception)
    waited = await sandbox.commands.run("until [ -e done ]; do sleep 0.01; done; echo there")
    assert waited.stdout == "there\n"


@pytest.mark.parametrize("octets", [True, False])
async def test_files_come_back_as_they_were_written(sandbox: AsyncSandbox, octets: bool) -> None:
    content = bytes(range(256)) * 1000
    await sandbox.files.write("deep/file.bin", content, use_octet_stream=octets)
    assert await sandbox.files.read("/home/user/deep/file.bin", format="bytes") == content
    assert (await sandbox.commands.run("stat -c %s deep/file.bin")).stdout == "256000\n"
    with pytest.raises(FileNotFoundException):
        await sandbox.files.read("absent")


async def test_the_filesystem_can_be_walked_and_changed(sandbox: AsyncSandbox) -> None:
    assert await sandbox.files.make_dir("folder/below")
    assert not await sandbox.files.make_dir("folder/below")
    await sandbox.files.write("folder/file", "x")
    assert [entry.name for entry in await sandbox.files.list("folder")] == ["below", "file"]
    await sandbox.files.rename("folder/file", "moved")
    assert await sandbox.files.exists("moved")
    await sandbox.files.remove("folder")
    assert not await sandbox.files.exists("folder")
