"""What the agent knows of its files, as rows: which of two tellings counts. Sandboxes are only rows here."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from taor_sandbox.outcome import SeenFile
from taor_sandbox.records import BuildKey, Call, OperationState, Position
from taor_sandbox.store.deletion import ProjectRows
from taor_sandbox.store.operations import Recorded
from taor_sandbox.tools.inputs import ReadFile
from tests.service.sandbox.rows import DONE, KEY, Rows, running_rows
from tests.support.postgres import MigratedDatabase


@pytest.fixture
async def rows(migrated_database: MigratedDatabase) -> AsyncIterator[Rows]:
    """A build whose first sandbox is ready."""
    async with running_rows(migrated_database("taor_sandbox")) as rows:
        yield rows


async def test_a_late_copy_of_a_read_tells_nothing(rows: Rows) -> None:
    await _read(rows, Position(2, 0), "new")
    await _read(rows, Position(1, 3), "old")
    assert await _is_news(rows, "old")
    assert not await _is_news(rows, "new")


async def test_a_new_owner_counts_its_answers_anew(rows: Rows) -> None:
    """The answer that asked for the first read was never logged; another one takes its place in the log."""
    await _read(rows, Position(2, 3), "old")
    await rows.attach(epoch=2)
    await _read(rows, Position(2, 0), "new", epoch=2)
    assert not await _is_news(rows, "new")


async def test_a_read_of_an_older_owner_tells_nothing(rows: Rows) -> None:
    await _read(rows, Position(1, 0), "old")
    await rows.attach(epoch=2)
    await _read(rows, Position(2, 0), "new", epoch=1)
    assert await _is_news(rows, "new")


async def test_what_was_not_recorded_was_not_seen(rows: Rows) -> None:
    await _read(rows, Position(1, 0), "old")
    await rows.begin(2)
    await rows.lose_everything()
    assert await _record(rows, 2, "new", generation=1) is Recorded.STALE_GENERATION
    assert not await _is_news(rows, "old")


async def test_a_redo_takes_the_place_of_its_own_call_only(rows: Rows) -> None:
    for sequence, path in ((1, "left"), (2, "read since")):
        await rows.begin(sequence)
        await _record(rows, sequence, "left", path=path)
    await _read(rows, Position(3, 0), "seen", path="read since")
    build = await rows.replace()
    for sequence, path in ((1, "left"), (2, "read since"), (2, "never seen")):
        again = replace(DONE, seen=_file("left again", path))
        assert await rows.operations.record_redone(build, f"r/{sequence}/0", 1, again)
    await _read(rows, Position(4, 0), "other", path="another")
    assert not await _is_news(rows, "left again", path="left")
    await _read(rows, Position(5, 0), "other", path="left")
    assert await _is_news(rows, "left again", path="read since")
    assert not await _is_news(rows, "anything", path="never seen")


async def test_another_build_has_seen_nothing(rows: Rows) -> None:
    await _read(rows, Position(1, 0), "old")
    assert not await rows.seen.is_news(BuildKey("other", KEY.build_id), _file("new"))


async def test_a_deleted_project_has_seen_nothing(rows: Rows) -> None:
    await _read(rows, Position(1, 0), "old")
    project = ProjectRows(rows.pool)
    await project.end("local", "p", 10)
    for doomed in await rows.sandboxes.doomed(KEY):
        assert await rows.sandboxes.destroying(doomed)
        await rows.sandboxes.gone(doomed)
    assert not await project.is_gone("local", "p")
    await project.delete_rows("local", "p", 10)
    assert await project.is_gone("local", "p")
    assert not await _is_news(rows, "new")


async def _read(rows: Rows, position: Position, content: str, *, epoch: int = 1, path: str = "f") -> None:
    call = Call(KEY, epoch, 1, f"r/{position}", position, ReadFile(path))
    await rows.seen.note(call, _file(content, path))


async def _record(rows: Rows, sequence: int, content: str, *, generation: int = 1, path: str = "f") -> Recorded:
    outcome = replace(DONE, seen=_file(content, path))
    return await rows.operations.record(KEY, generation, f"r/{sequence}/0", OperationState.DONE, outcome, 1)


async def _is_news(rows: Rows, content: str, *, path: str = "f") -> bool:
    return await rows.seen.is_news(KEY, _file(content, path))


def _file(content: str, path: str = "f") -> SeenFile:
    return SeenFile(f"/workspace/{path}", hashlib.sha256(content.encode()).digest())
