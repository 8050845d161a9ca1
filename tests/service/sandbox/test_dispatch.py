"""Tool calls through the whole service: each runs once, and its result can be had again."""

import asyncio

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_chassis.boundary import error_info
from tests.service.sandbox.harness import Harness, reason_of


async def test_a_file_is_written_and_commands_see_it(harness: Harness) -> None:
    await harness.attach()
    written = await harness.run(harness.request(1, write_file=pb.WriteFile(path="a/b.txt", content="hello\n")))
    assert written.text == "Created a/b.txt: 1 line."
    shown = await harness.bash(2, "cat a/b.txt; cd a; echo oops >&2; exit 3")
    assert shown.text == "hello\n[stderr]\noops\n[The command ended with status 3.]\n"
    assert (shown.failure.code, shown.exit_status) == (pb.Failure.EXIT_STATUS, 3)
    assert (await harness.bash(3, "pwd")).text == "/workspace/a\n"


async def test_a_working_directory_that_is_gone_falls_back_to_the_project(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "mkdir gone; cd gone; rmdir ../gone")
    assert (await harness.bash(2, "pwd")).text == "/workspace\n"


@pytest.mark.parametrize("end", ["rm -r ../sub", "chmod 000 ."])
async def test_a_folder_that_cannot_be_entered_any_more_stops_one_command_only(harness: Harness, end: str) -> None:
    await harness.attach()
    await harness.bash(1, "mkdir sub; cd sub")
    await harness.bash(2, end)
    refused = await harness.bash(3, "touch /workspace/ran")
    assert refused.exit_status == 126
    assert "It was not started; the next starts in /workspace." in refused.text
    assert (await harness.bash(4, "pwd; ls -d ran")).text.startswith("/workspace\n[stderr]\nls:")


async def test_four_dispatches_at_once_run_once(harness: Harness) -> None:
    await harness.attach()
    request = harness.request(1, bash=pb.Bash(command="echo x >> count; sleep 0.2; cat count"))
    results = await asyncio.gather(*(harness.run(request) for _ in range(4)))
    assert {result.text for result in results} == {"x\n"}
    (row,) = (await harness.stub.ListOperations(pb.ListOperationsRequest(build_id=harness.build_id))).operations
    assert (row.state, row.claims, row.result_sha256) == (pb.Operation.DONE, 1, results[0].text_sha256)


async def test_an_edit_is_applied_once_however_often_it_is_sent(harness: Harness) -> None:
    await harness.attach()
    await harness.run(harness.request(1, write_file=pb.WriteFile(path="f", content="one\n")))
    edit = pb.EditFile(path="f", edits=[pb.EditFile.Replacement(old_text="one", new_text="one one")])
    request = harness.request(2, edit_file=edit)
    results = await asyncio.gather(*(harness.run(request) for _ in range(4)))
    assert {result.text for result in results} == {"Edited f: 1 replacement."}
    again = await harness.run(request)
    assert again.replayed
    assert (await harness.run(harness.request(3, read_file=pb.ReadFile(path="f")))).text == "     1\tone one\n"


async def test_output_comes_while_the_command_runs_and_without_secrets(harness: Harness) -> None:
    await harness.attach()
    command = "echo first; while [ ! -e go ]; do sleep 0.02; done; echo key=sk-ant-api03-abcdefghijklmnop"
    following = await harness.begin(1, command)
    assert following.output == b"first\n"
    # Beside a running command: a read-only tool needs no turn.
    assert (await harness.run(harness.request(1, 1, glob=pb.Glob(pattern="*.py")))).text == "No file matches."
    await harness.touch("go")
    result = await following.result()
    assert result.text == "first\nkey=[redacted anthropic-key]\n"
    assert following.output == b"first\nkey=[redacted anthropic-key]\n"


async def test_changing_calls_run_one_at_a_time_in_the_order_of_the_log(harness: Harness) -> None:
    await harness.attach()
    await harness.begin(2, "echo on; sleep 30")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.bash(3, "true")
    assert reason_of(raised) == "OPERATION_OUT_OF_ORDER"
    await harness.cancel(2)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.bash(1, "true")
    assert reason_of(raised) == "OPERATION_OUT_OF_ORDER"


async def test_an_id_stands_for_one_call(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "echo a")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.bash(1, "echo b")
    assert reason_of(raised) == "OPERATION_CONFLICT"


async def test_cancel_kills_the_tree_and_closes_the_operation(harness: Harness) -> None:
    await harness.attach()
    following = await harness.begin(1, "(trap '' TERM; sleep 300 & echo $! > child; echo started; wait) & wait")
    operation = await harness.cancel(1)
    assert operation.state == pb.Operation.DONE
    assert (await following.result()).failure.code == pb.Failure.CANCELLED
    assert (await harness.bash(2, "kill -0 $(cat child) 2>&1 || echo dead")).text.endswith("dead\n")


async def test_a_cancelled_command_whose_sandbox_was_lost_does_not_run_again(harness: Harness) -> None:
    await harness.attach()
    following = await harness.begin(1, "echo begun; sleep 300")
    await harness.lose_sandbox()
    with pytest.raises(grpc.aio.AioRpcError):
        await following.result()
    await harness.attach()
    assert (await harness.cancel(1)).state == pb.Operation.DONE
    told = await harness.bash(1, "echo begun; sleep 300")  # sent again, it tells how it ended
    assert told.failure.code == pb.Failure.CANCELLED
    assert [operation.claims for operation in await harness.operations()] == [0]


async def test_what_was_never_announced_cannot_be_cancelled(harness: Harness) -> None:
    await harness.attach()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.cancel(1)
    assert reason_of(raised) == "OPERATION_NOT_FOUND"


async def test_a_command_that_takes_too_long_is_killed(harness: Harness) -> None:
    await harness.attach()
    result = await harness.bash(1, "echo begun; sleep 60", timeout_seconds=1)
    assert result.failure.code == pb.Failure.TIMEOUT
    assert result.text.startswith("begun\n")


async def test_a_background_command_goes_on_and_names_its_logs(harness: Harness) -> None:
    await harness.attach()
    result = await harness.bash(1, "echo serving; echo careful >&2; sleep 300", background=True)
    assert "It listens on no port so far." in result.text
    logs = result.text.partition("Its output goes to ")[2].partition(";")[0].split(" and ")
    shown = await harness.bash(2, f"until grep -h -e serving -e careful {' '.join(logs)}; do sleep 0.02; done")
    assert shown.text == "serving\ncareful\n"


async def test_a_server_in_the_background_is_told_with_its_ports(harness: Harness) -> None:
    """A port of somebody else is not its own, and what it starts is."""
    await harness.attach()
    serve = "python3 -m http.server --bind {} {}"
    first = await harness.bash(1, f"exec {serve.format('127.0.0.1', 8001)}", background=True)
    assert "It listens on port 8001." in first.text
    second = await harness.bash(2, f"{serve.format('::1', 8002)} & wait", background=True)
    assert "It listens on port 8002." in second.text


async def test_a_server_that_cannot_start_is_a_failure_with_its_output(harness: Harness) -> None:
    await harness.attach()
    failed = await harness.bash(1, "echo starting; echo 'no such port' >&2; exit 3", background=True)
    assert (failed.failure.code, failed.exit_status) == (pb.Failure.EXIT_STATUS, 3)
    assert failed.text.startswith("The background command has ended already.\nstarting\n[stderr]\nno such port\n")


async def test_long_output_keeps_its_ends_and_names_the_file_with_all_of_it(harness: Harness) -> None:
    await harness.attach()
    result = await harness.bash(1, "seq 1 100000")
    assert result.text.startswith("1\n2\n")
    assert result.text.endswith("99999\n100000\n")
    assert len(result.text) < 31_000
    shown = [line for line in result.text.splitlines() if line.isdigit()]
    assert f"[… {100_000 - len(shown)} of 100000 lines, " in result.text
    path = result.text.partition("all of it stands in ")[2].partition(" ")[0]
    assert (await harness.bash(2, f"wc -l < {path}")).text == "100000\n"


async def test_a_stale_epoch_or_generation_is_refused(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "true")
    old = harness.request(2, bash=pb.Bash(command="true"))
    harness.take_over()
    await harness.attach()
    for request in (old, harness.request(2, read_file=pb.ReadFile(path="x"), epoch=1)):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await harness.run(request)
        assert raised.value.code() is grpc.StatusCode.ABORTED
        assert reason_of(raised) == "STALE_EPOCH"
    harness.generation += 1
    for tool in ({"bash": pb.Bash(command="true")}, {"read_file": pb.ReadFile(path="x")}):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await harness.run(harness.request(2, 0, **tool))
        assert reason_of(raised) == "STALE_GENERATION"


async def test_only_the_newest_attach_of_the_newest_epoch_is_answered(harness: Harness) -> None:
    await harness.attach()
    harness.attaches = 4
    await harness.attach()
    harness.attaches = 2
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.attach()
    assert reason_of(raised) == "ATTACH_SUPERSEDED"
    harness.owner = "boot-2"
    harness.attaches = 9
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.attach()
    assert reason_of(raised) == "STALE_EPOCH"


@pytest.mark.parametrize(
    ("tool", "field"),
    [
        ({}, "tool"),
        ({"bash": pb.Bash(command="x", timeout_seconds=601)}, "bash.timeout_seconds"),
        ({"edit_file": pb.EditFile(path="x")}, "edit_file.edits"),
        ({"read_file": pb.ReadFile(path="x", start_line=5, end_line=4)}, "read_file.end_line"),
    ],
)
async def test_a_malformed_call_names_its_field(harness: Harness, tool: dict[str, object], field: str) -> None:
    harness.generation = 1
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.run(harness.request(1, 0, **tool))
    info = error_info(raised.value)
    assert info is not None
    assert (raised.value.code(), info.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)
