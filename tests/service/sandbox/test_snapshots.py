"""Snapshots, restores, and what happens when a sandbox is lost."""

import io
import tarfile
from pathlib import Path

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from tests.service.sandbox.harness import Harness, reason_of

ODD_TREE = r"""
mkdir -p 'a b/empty' deep/er; echo one > 'a b/ü'; printf x > deep/er/-dash; ln -s ../deep 'a b/link'
ln -s /nowhere dangling
echo '#!/bin/sh' > run.sh; chmod 751 run.sh; chmod 500 'a b/empty'; ln run.sh hard; head -c 3000000 /dev/urandom > big
mkfifo pipe; printf x > "$(printf 'bad\377name')"; : > zero
"""
LIST_TREE = "find . -not -type p -printf '%P %y %m %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum"


async def test_a_restored_tree_is_the_same_tree(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, ODD_TREE)
    before = await harness.bash(2, LIST_TREE)
    snapshot = await harness.snapshot()
    assert (snapshot.covers_log_sequence, snapshot.covers_op_id) == (2, harness.op_id(2))
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    assert (await harness.state()).state == pb.GetSandboxResponse.DESTROYED

    await harness.attach()
    assert harness.generation == 2
    assert (await harness.bash(3, LIST_TREE)).text == before.text
    again = await harness.snapshot()
    assert again.tree_sha256 == snapshot.tree_sha256
    assert again.covers_log_sequence == 3


async def test_nothing_changed_means_no_new_snapshot(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x")
    first = await harness.snapshot()
    assert await harness.snapshot() == first
    await harness.write(2, "f", "y")
    second = await harness.snapshot()
    assert second.tree_sha256 != first.tree_sha256
    listed = await harness.stub.ListSnapshots(pb.ListSnapshotsRequest(build_id=harness.build_id))
    assert [each.snapshot_id for each in listed.snapshots] == [second.snapshot_id, first.snapshot_id]


LOCKED_TREE = r"""
echo a > secret; chmod 000 secret; mkdir -p dark/er; echo b > dark/er/b; chmod 000 dark/er; chmod 300 dark
mkfifo pipe; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
"""
LOOK_AT_LOCKED = "stat -c '%n %a' secret dark; cat secret 2>&1; chmod 700 dark; stat -c %a dark/er; chmod 300 dark"
UNLOCK = "chmod -R u+rwX . ; cat secret dark/er/b"


async def test_what_its_owner_has_locked_is_kept_locked_and_pipes_are_left_out(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, LOCKED_TREE)
    seen = (await harness.bash(2, LOOK_AT_LOCKED)).text
    assert "Permission denied" in seen, "else this test shows nothing"
    assert (await harness.snapshot()).file_count == 2
    assert (await harness.bash(3, LOOK_AT_LOCKED)).text == seen
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    await harness.attach()
    assert (await harness.bash(4, LOOK_AT_LOCKED)).text == seen
    assert (await harness.bash(5, UNLOCK)).text == "a\nb\n"


async def test_a_content_that_the_store_has_lost_is_stored_again(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "precious\n")
    await harness.snapshot()
    (blob,) = [each for each in harness.config.blobs.glob("*/*/*") if each.read_bytes() == b"precious\n"]
    blob.unlink()
    await harness.restart()  # a process that has not seen it there a moment ago
    await harness.write(2, "g", "other\n")
    assert (await harness.snapshot()).covers_log_sequence == 2
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    await harness.attach()
    assert (await harness.bash(3, "cat f g")).text == "precious\nother\n"


async def test_there_is_no_snapshot_in_the_midst_of_a_command(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x")
    assert (await harness.snapshot()).covers_log_sequence == 1
    await harness.begin(2, "echo half >> f; echo on; sleep 300")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await harness.snapshot()
    assert reason_of(refused) == "SANDBOX_UNAVAILABLE"
    await harness.cancel(2)
    assert (await harness.snapshot()).covers_log_sequence == 2


async def test_a_finished_command_that_nobody_followed_is_closed_by_the_walk(harness: Harness) -> None:
    await harness.attach()
    (await harness.begin(1, "echo on; touch done")).detach()
    await harness.until_exists("done")
    await harness.until(lambda: harness.snapshot(), lambda snapshot: snapshot.covers_log_sequence == 1)
    again = await harness.bash(1, "echo on; touch done")
    assert again.replayed
    assert again.text == "on\n"


async def test_what_the_snapshot_lacks_is_done_again_in_order(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "count", "0\n")
    await harness.snapshot()
    await harness.bash(2, "mkdir sub; cd sub; echo 1 >> ../count")
    await harness.run(harness.request(3, read_file=pb.ReadFile(path="count")))  # an edit wants to know what it edits
    await harness.run(harness.request(3, 1, edit_file=_edit("count", "1", "2")))
    assert (await harness.bash(4, "pwd >> ../count; exit 5")).exit_status == 5
    await harness.lose_sandbox()

    attached = await harness.attach(tail_sequence=1)
    assert harness.generation == 2
    assert [each.state for each in attached.operations] == [pb.Operation.DONE] * 4
    assert [each.generation for each in attached.operations] == [1, 2, 2, 2]
    assert (await harness.bash(5, "cat ../count")).text == "0\n2\n/workspace/sub\n"
    replayed = await harness.bash(4, "pwd >> ../count; exit 5")
    assert replayed.replayed


async def test_from_the_first_difference_on_effects_are_lost_and_every_attach_says_so(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "a", "kept\n")
    await harness.snapshot()
    await harness.bash(2, "test ! -e /tmp/mark && touch /tmp/mark; echo b > b; exit $((RANDOM % 200 + 1))")
    await harness.write(3, "c", "c\n")
    await harness.lose_sandbox()

    attached = await harness.attach(tail_sequence=9)
    lost = [each.op_id for each in attached.operations if each.state == pb.Operation.LOST]
    assert lost == [harness.op_id(2), harness.op_id(3)]
    assert [each.op_id for each in (await harness.attach(tail_sequence=9)).operations] == lost
    assert (await harness.run(harness.request(4, glob=pb.Glob(pattern="c")))).text == "No file matches."
    assert (await harness.snapshot()).covers_log_sequence == 3


@pytest.mark.parametrize(("command", "comes_out_the_same"), [("echo b > b", True), ("echo $RANDOM$RANDOM > b", False)])
async def test_a_redo_is_compared_with_the_tree_of_a_snapshot_that_could_not_be_stored(
    harness: Harness, command: str, comes_out_the_same: bool
) -> None:
    """The command ends the same way each time: only the files can tell."""
    await harness.attach()
    await harness.write(1, "a", "kept\n")
    await harness.snapshot()
    away = harness.config.blobs.rename(harness.config.blobs.with_name("away"))
    harness.config.blobs.write_text("a file where the store's folder should be")
    await harness.bash(2, command)
    with pytest.raises(grpc.aio.AioRpcError):
        await harness.snapshot()
    harness.config.blobs.unlink()
    away.rename(harness.config.blobs)
    await harness.write(3, "c", "c\n")
    await harness.lose_sandbox()
    attached = await harness.attach(tail_sequence=2)
    state = pb.Operation.DONE if comes_out_the_same else pb.Operation.LOST
    assert [each.state for each in attached.operations] == [state, state]


async def test_what_a_file_tool_says_again_is_compared(harness: Harness) -> None:
    """Here the file was there before, for a reason that is not in the journal; in the new sandbox it is not."""
    await harness.attach()
    await harness.bash(1, "true")
    await harness.touch("b")
    await harness.write(2, "b", "b\n")
    await harness.lose_sandbox()
    attached = await harness.attach(tail_sequence=1)
    assert [each.state for each in attached.operations] == [pb.Operation.DONE, pb.Operation.LOST]


async def test_an_operation_that_was_starting_runs_in_the_new_sandbox(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x")
    (await harness.begin(2, "echo ran >> log; echo on; cat log")).detach()
    await harness.lose_sandbox()
    attached = await harness.attach(tail_sequence=2)
    assert harness.generation == 2
    state = attached.operations[0].state
    assert state in (pb.Operation.STARTING, pb.Operation.DONE)
    result = await harness.bash(2, "echo ran >> log; echo on; cat log")
    assert result.text == "on\nran\n"


async def test_a_rotten_snapshot_gives_way_to_an_older_one(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "first\n")
    await harness.snapshot()
    await harness.write(2, "f", "second\n")
    newest = await harness.snapshot()
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    _flip_a_byte(harness.config.blobs, newest.tree_sha256)

    await harness.attach()
    result = await harness.until_attached(lambda: harness.bash(3, "cat f"))
    assert result.text == "second\n", "operation 2 is not in the older snapshot, so it was done again"
    listed = await harness.stub.ListSnapshots(pb.ListSnapshotsRequest(build_id=harness.build_id))
    assert [each.covers_log_sequence for each in listed.snapshots] == [1]


async def test_a_wiped_journal_interrupts_what_was_starting_and_nothing_else(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x")
    wiped = await harness.bash(2, "rm -rf /run/taor/journal/* ; echo wiped")
    assert wiped.failure.code == pb.Failure.INTERRUPTED
    assert (await harness.bash(3, "cat f")).text == "x\n"
    assert (await harness.snapshot()).covers_log_sequence == 3


async def test_files_can_be_downloaded_from_the_sandbox_and_from_the_snapshot(harness: Harness) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.download()
    assert reason_of(raised) == "SANDBOX_NOT_FOUND"
    await harness.attach()
    await harness.write(1, "src/app.py", "print(1)\n")
    await harness.bash(2, "chmod 755 src/app.py; ln -s app.py src/link")
    live = _contents(await harness.download())
    await harness.release(pb.ReleaseSandboxRequest.DESTROY)
    saved = _contents(await harness.download())
    assert saved == live == {"src/app.py": (b"print(1)\n", 0o755), "src/link": (b"app.py", 0o777)}


async def test_nothing_was_written_and_nothing_runs_means_no_files(harness: Harness) -> None:
    await harness.attach()
    await harness.until_state(pb.GetSandboxResponse.READY)
    await harness.lose_sandbox()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await harness.download()
    assert reason_of(raised) == "NO_FILES"


def _edit(path: str, old: str, new: str) -> pb.EditFile:
    return pb.EditFile(path=path, edits=[pb.EditFile.Replacement(old_text=old, new_text=new)])


def _flip_a_byte(blobs: Path, tree_sha256: bytes) -> None:
    """Spoil the content `second`, wherever it is stored."""
    (path,) = [each for each in blobs.glob("*/*/*") if each.read_bytes() == b"second\n"]
    path.write_bytes(b"Second\n")


def _contents(archive: bytes) -> dict[str, tuple[bytes, int]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found: dict[str, tuple[bytes, int]] = {}
        for member in tar:
            name = member.name.removeprefix("./")
            if member.isreg():
                file = tar.extractfile(member)
                assert file is not None
                found[name] = (file.read(), member.mode)
            elif member.issym():
                found[name] = (member.linkname.encode(), member.mode)
        return found
