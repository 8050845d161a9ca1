"""Whether the quick look at the files says what the walk inside says, and when it leaves the answer to that one."""

from dataclasses import replace

import pytest

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.listing import Listing, list_files
from taor_sandbox.manifest import EntryKind
from taor_sandbox.tree import take_stock
from tests.service.sandbox.harness import Harness
from tests.service.sandbox.test_snapshots import ODD_TREE

OLD_TIMES = "touch -d '1960-01-01 00:00:00.25' f1; touch -d '1969-12-31 23:59:59.75' f2; chmod 4755 f1; chmod 1777 ."


async def listed(sandbox: Sandbox, before: Listing | None = None) -> Listing:
    found = await list_files(sandbox, before)
    assert found is not None
    return found


async def test_it_says_what_the_walk_says_but_for_what_it_has_not_read(harness: Harness) -> None:
    await harness.attach()
    assert (await harness.bash(1, f"{ODD_TREE}touch f1 f2; {OLD_TIMES}")).exit_status == 0
    async with harness.sandbox() as sandbox:
        walked = await take_stock(sandbox)
        assert len(walked.entries) == 15
        unread = await listed(sandbox)
        assert unread.manifest == replace(
            walked, entries=tuple(replace(e, content="") if e.kind is EntryKind.FILE else e for e in walked.entries)
        )
        assert unread.manifest.read({entry.path: entry.content for entry in walked.entries}) == walked
        before = await listed(sandbox, Listing(walked, unread.stamp))
        assert before.manifest == walked, "nothing has changed since"
    await harness.bash(2, "echo more >> f1; mv f2 f3; echo new > f4; rm -r 'a folder'; ln -sf f3 link")
    async with harness.sandbox() as sandbox:
        after = await listed(sandbox, before)
        assert after.manifest.unread.keys() == {"f1", "f3", "f4"}
        assert (await listed(sandbox, replace(before, stamp=""))).manifest == after.manifest, "told in whole"
        stock = await take_stock(sandbox)
        assert after.manifest.read({entry.path: entry.content for entry in stock.entries}) == stock


@pytest.mark.parametrize("command", ["touch f; chmod 000 f", "mkdir d; chmod 000 d", "mkdir d; touch d/f; chmod 400 d"])
async def test_what_is_locked_is_left_to_the_walk(harness: Harness, command: str) -> None:
    await harness.attach()
    await harness.bash(1, command)
    async with harness.sandbox() as sandbox:
        assert await list_files(sandbox, None) is None
        assert len((await take_stock(sandbox)).entries) >= 1


async def test_a_snapshot_of_what_was_only_touched_is_the_one_before(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "echo same > f; echo other > g")
    before = await harness.snapshot()
    async with harness.sandbox() as sandbox:
        await sandbox.run(["touch", "f"])
    assert await harness.snapshot() == before
    await harness.bash(2, "mv f h; cp g i; touch g")
    stored = {path.name for path in harness.config.blobs.glob("*/*/*")}
    after = await harness.snapshot()
    assert after.file_count == 3
    assert len({path.name for path in harness.config.blobs.glob("*/*/*")} - stored) == 1, "a manifest, and nothing else"
