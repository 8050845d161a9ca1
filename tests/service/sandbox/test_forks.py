"""A fork begins with the files of another build, whatever becomes of that one; and two moments are compared."""

import uuid

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from tests.service.sandbox.harness import Harness, reason_of


async def test_a_fork_begins_with_the_files_of_its_moment_and_goes_its_own_way(harness: Harness) -> None:
    origin = harness.build_id
    await harness.attach()
    await harness.bash(3, "mkdir sub; cd sub; echo one > ../count; ln -s ../count link; chmod 751 ../count")
    await harness.snapshot()
    for sequence in range(5, 12):  # more snapshots than are kept
        await harness.bash(sequence, f"echo {sequence} >> ../count")
        if sequence == 5:
            fork = await _fork(harness, at=4)
        await harness.snapshot()
    harness.age_blobs()
    await harness.reaper.collect()
    listed = await harness.stub.ListSnapshots(pb.ListSnapshotsRequest(build_id=origin))
    assert 3 not in [each.covers_log_sequence for each in listed.snapshots], "the origin has let go of it"

    _become(harness, fork)
    await harness.attach(tail_sequence=5)
    assert (await harness.bash(7, "cat link; pwd; stat -c %a ../count")).text == "one\n/workspace/sub\n751\n"
    await harness.write(8, "count", "mine\n")
    taken = await harness.snapshot()
    assert (taken.generation, taken.covers_log_sequence) == (1, 8)
    await harness.lose_sandbox()
    await harness.attach(tail_sequence=8)
    assert (await harness.bash(10, "cat ../count")).text == "mine\n"
    _become(harness, origin)
    await harness.attach()
    assert (await harness.bash(20, "head -1 ../count")).text == "one\n"


async def test_a_fork_is_refused_where_no_snapshot_is_and_made_once(harness: Harness) -> None:
    await harness.attach()
    await harness.write(3, "a", "1\n")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _fork(harness, at=3)
    assert reason_of(refused) == "NO_SNAPSHOT"
    taken = await harness.snapshot()
    await harness.write(7, "a", "2\n")
    listed = await harness.stub.ListSnapshots(pb.ListSnapshotsRequest(build_id=harness.build_id))
    assert (listed.first_log_sequence, [each.next_log_sequence for each in listed.snapshots]) == (3, [7])

    request = pb.PinSnapshotRequest(
        build_id=str(uuid.uuid4()), origin_build_id=harness.build_id, project_id="project", log_sequence=6
    )
    first, again = await harness.stub.PinSnapshot(request), await harness.stub.PinSnapshot(request)
    assert first == again
    assert (first.snapshot.snapshot_id, first.snapshot.generation) == (taken.snapshot_id, 0)
    request.log_sequence = 5
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await harness.stub.PinSnapshot(request)
    assert reason_of(refused) == "FORK_CONFLICT"
    request.build_id, request.project_id = str(uuid.uuid4()), "another"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await harness.stub.PinSnapshot(request)
    assert reason_of(refused) == "PROJECT_MISMATCH"


async def test_what_no_snapshot_holds_is_done_again_and_what_differs_is_told(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(3, "mkdir sub; cd sub; echo one > log")
    await harness.bash(5, "echo two >> log; exit 3")
    await harness.bash(7, "echo $RANDOM-$RANDOM >> log; exit $((RANDOM % 200 + 1))")
    await harness.bash(9, "echo four >> log")
    origin = harness.build_id
    right, wrong = await _fork(harness, at=6, redo=True), await _fork(harness, at=9, redo=True)
    _become(harness, right)
    attached = await harness.attach(tail_sequence=6)
    assert [each.state for each in attached.operations] == []
    assert (await harness.bash(8, "cat log; pwd")).text == "one\ntwo\n/workspace/sub\n"
    _become(harness, wrong)
    attached = await harness.attach(tail_sequence=10)
    lost = [(each.log_sequence, each.state) for each in attached.operations]
    assert lost == [(7, pb.Operation.LOST), (9, pb.Operation.LOST)]
    assert {each.op_id.split("/")[0] for each in attached.operations} == {origin}


async def test_two_moments_differ_by_what_was_added_changed_and_removed(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(3, "printf 'a\\nb\\n' > text; printf 'x\\0y' > binary; echo old > gone; echo s > same; mkdir d")
    await harness.snapshot()
    fork = await _fork(harness, at=3)
    await harness.bash(5, "printf 'a\\nc' > text; printf 'x\\0yz' > binary; rm gone; ln -s same link; chmod 700 same")
    await harness.snapshot()

    async def compare(before: tuple[str, int], after: tuple[str, int]) -> list[pb.FileChange]:
        moments = [pb.Moment(build_id=build_id, log_sequence=sequence) for build_id, sequence in (before, after)]
        request = pb.DiffSnapshotsRequest(before=moments[0], after=moments[1])
        return list((await harness.stub.DiffSnapshots(request)).changes)

    changed = await compare((fork, 3), (harness.build_id, 5))
    kinds = pb.FileChange.Kind
    assert [(each.path, kinds.Name(each.kind), each.before_bytes, each.after_bytes) for each in changed] == [
        ("binary", "CHANGED", 3, 4),
        ("gone", "REMOVED", 4, 0),
        ("link", "ADDED", 0, 0),
        ("same", "CHANGED", 2, 2),
        ("text", "CHANGED", 4, 3),
    ]
    diffs = {each.path: each.text_diff for each in changed}
    assert diffs["text"].splitlines()[2:] == ["@@ -1,2 +1,2 @@", " a", "-b", "+c", "\\ No newline at end of file"]
    assert diffs["gone"].splitlines()[:2] == ["--- a/gone", "+++ /dev/null"]
    assert diffs["binary"] == ""
    assert [each.path for each in await compare((harness.build_id, 1), (harness.build_id, 4))] == [
        *("binary", "gone", "same", "text")
    ]
    assert await compare((fork, 3), (harness.build_id, 3)) == []
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await compare((fork, 2), (harness.build_id, 3))
    assert reason_of(refused) == "NO_SNAPSHOT"


async def _fork(harness: Harness, at: int, *, redo: bool = False) -> str:
    """A new build with the files as they stood after that entry."""
    build_id = str(uuid.uuid4())
    await harness.stub.PinSnapshot(
        pb.PinSnapshotRequest(
            build_id=build_id, origin_build_id=harness.build_id, project_id="project", log_sequence=at, redo=redo
        )
    )
    return build_id


def _become(harness: Harness, build_id: str) -> None:
    """Speak for another build, as its newest owner."""
    harness.build_id = build_id
    harness.take_over()
