"""Tool calls through the whole service."""

from taor.sandbox.v1 import sandbox_pb2 as pb

from tests.service.sandbox.harness import Harness


async def test_a_file_is_written_and_a_command_sees_it(harness: Harness) -> None:
    await harness.attach()
    written = await harness.run(harness.request(1, write_file=pb.WriteFile(path="a/b.txt", content="hello\n")))
    assert written.text == "Created a/b.txt: 1 line."
    shown = await harness.bash(2, "cat a/b.txt; cd a; echo oops >&2")
    assert shown.text == "hello\n[stderr]\noops\n"
    assert (await harness.bash(3, "pwd")).text == "/workspace/a\n"
