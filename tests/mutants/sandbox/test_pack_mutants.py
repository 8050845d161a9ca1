"""Bugs planted into packs of contents and what is kept of them: each one must be caught by the test that it names."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from taor_chassis.clock import SystemClock
from taor_sandbox import packs, saving, spool, tarindex
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.contents import Contents
from taor_sandbox.manifest import Manifest
from tests.mutants.planting import Mutant, planted
from tests.service.sandbox import test_fork_rows as forks
from tests.service.sandbox.rows import running_rows
from tests.support.postgres import MigratedDatabase
from tests.unit.sandbox import test_manifest as manifests
from tests.unit.sandbox import test_packs as rules
from tests.unit.sandbox import test_spool as spools
from tests.unit.sandbox import test_tarindex as archives

CAUGHT = (AssertionError, LookupError, ValueError, pytest.fail.Exception)


@dataclass(frozen=True, slots=True)
class Places:
    """What tests find ready."""

    folder: Path
    spool: spool.Spool

    @property
    def blobs(self) -> DirectoryBlobs:
        """A folder of contents."""
        return DirectoryBlobs(self.folder, SystemClock())


Test = Callable[[Places], object]

MUTANTS: list[Mutant[Test]] = [
    Mutant(
        "a manifest is stored before its packs",
        saving.save,
        "    await upload(blobs, tenant_id, stowed, missing, spool)\n"
        "    await blobs.put(tenant_id, manifest_sha256.hex(), BytesIO(manifest.encode()))",
        "    await blobs.put(tenant_id, manifest_sha256.hex(), BytesIO(manifest.encode()))\n"
        "    await upload(blobs, tenant_id, stowed, missing, spool)",
        lambda at: spools.test_a_manifest_is_stored_after_all_that_it_names(at.folder, at.spool),
    ),
    Mutant(
        "what the store has lost is not missed",
        saving.save,
        "if lost := missing - stowed.objects.keys():",
        "if lost := set():",
        lambda at: spools.test_what_neither_the_store_nor_the_spool_has_is_told_and_nothing_is_stored(
            at.folder, at.spool
        ),
    ),
    Mutant(
        "a content in a pack is not verified",
        Contents._cut,
        "if hashlib.sha256(content).hexdigest() != entry.content:",
        "if False:",
        lambda at: spools.test_a_content_that_is_not_where_it_should_be_is_found(at.spool, at.blobs),
    ),
    Mutant(
        "a pack is never given up",
        packs.to_give_up,
        "    return given_up",
        "    return set()",
        lambda _: rules.test_many_small_packs_become_one_and_large_ones_stay(),
    ),
    Mutant(
        "small packs become ever more",
        packs.to_give_up,
        "if len(small) > _MOST_SMALL:",
        "if False:",
        lambda _: rules.test_over_hundreds_of_snapshots_storage_and_their_number_stay_bounded(),
    ),
    Mutant(
        "everything is packed anew at once",
        packs.to_give_up,
        "if room < 0:",
        "if False:",
        lambda _: rules.test_what_is_packed_anew_is_bounded_and_the_emptiest_come_first(),
    ),
    Mutant(
        "what is there is packed again",
        spool.stow,
        "if sha256 not in there and sha256 not in packing:",
        "if True:",
        lambda at: spools.test_what_is_there_and_what_is_twice_is_not_packed_again(at.spool),
    ),
    Mutant(
        "a file that has changed its size is taken",
        spool.stow,
        "if sizes.get(path) != size:",
        "if path not in sizes:",
        lambda at: spools.test_a_file_that_has_another_size_than_was_seen_is_left_out(at.spool),
    ),
    Mutant(
        "a pack grows without bound",
        spool._Packing.add,
        "if self._size + stretch.size > PACK_BYTES:",
        "if False:",
        lambda at: spools.test_a_pack_has_its_bound_and_the_same_files_make_the_same_packs(at.spool),
    ),
    Mutant(
        "what is lost with a pack counts as there",
        Manifest.without,
        "if place.pack.sha256 not in objects",
        "if True",
        lambda _: manifests.test_what_the_store_has_lost_is_not_in_what_is_left(),
    ),
    Mutant(
        "an archive may end in the midst of a file",
        tarindex.files_in,
        " or place + size > end",
        "",
        lambda at: archives.test_what_is_no_archive_is_refused(at.folder, at.spool),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
def test_the_named_test_catches(mutant: Mutant[Test]) -> None:
    run(mutant.caught_by)
    with mutant.planted(), pytest.raises(CAUGHT):
        run(mutant.caught_by)


def run(test: Test) -> None:
    """Run a test in a place of its own, whether it is a coroutine or not."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        running = test(Places(Path(folder), file))
        if asyncio.iscoroutine(running):
            asyncio.run(running)


@pytest.mark.parametrize("bug", ["the collection takes a pack of which a content is needed"])
async def test_the_rows_catch(bug: str, migrated_database: MigratedDatabase) -> None:
    with planted(Manifest._object_of, "content if place is None else place.pack.sha256", "content"):
        async with running_rows(migrated_database("taor_sandbox")) as rows:
            with pytest.raises(AssertionError):
                await forks.test_the_collection_spares_a_pack_of_which_one_content_is_needed(rows)
