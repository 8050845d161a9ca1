"""Bugs planted into the way of files into snapshots: each one must be caught by the test that it names."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from taor_chassis.clock import SystemClock
from taor_sandbox import packs, saving, spool, tarindex
from taor_sandbox.agent import survey
from taor_sandbox.agent.survey import Surveyor
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.contents import Contents
from taor_sandbox.manifest import Manifest
from taor_sandbox.store.snapshots import Snapshots
from tests.mutants.planting import Mutant
from tests.service.sandbox import test_fences as fences
from tests.service.sandbox import test_fork_rows as forks
from tests.service.sandbox.rows import Rows, running_rows
from tests.support.postgres import MigratedDatabase
from tests.unit.sandbox import test_manifest as manifests
from tests.unit.sandbox import test_packs as rules
from tests.unit.sandbox import test_spool as spools
from tests.unit.sandbox import test_survey as surveys
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
        "a snapshot is published without its manifest",
        saving.save,
        "await both(blobs.put(tenant_id, name, BytesIO(encoded)), upload(blobs, tenant_id, stowed, spool))",
        "await upload(blobs, tenant_id, stowed, spool)",
        lambda at: spools.test_the_manifest_is_stored_with_all_that_it_names(at.folder, at.spool),
    ),
    Mutant(
        "what the store has lost is not missed",
        saving.save,
        "if lost := await missing & manifest.objects - stowed.objects.keys():",
        "if lost := await missing & set():",
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
    Mutant(
        "a look does not wait for the clock of files",
        Surveyor.survey,
        "_let_the_clock_pass(changed_ns for *_, changed_ns, _ in found.values())",
        "pass",
        lambda at: patched(surveys.test_a_look_ends_when_the_clock_of_files_has_passed_what_it_has_seen, at),
    ),
    Mutant(
        "any look counts as the last",
        Surveyor.survey,
        "is_whole = not since or since != self._stamp",
        "is_whole = not since",
        lambda at: surveys.test_only_differences_from_the_last_look_are_told(at.folder),
    ),
    Mutant(
        "what is gone is not told",
        Surveyor.survey,
        "if path not in found",
        "if False",
        lambda at: surveys.test_only_differences_from_the_last_look_are_told(at.folder),
    ),
    Mutant(
        "another user's locked file is passed over",
        survey._check_readable,
        "not os.access(path, os.R_OK, effective_ids=True)",
        "False",
        lambda at: patched(surveys.test_another_users_file_is_looked_at_by_the_system, at),
    ),
    Mutant(
        "what is gone stays in the next snapshot",
        Manifest.followed_by,
        "entries.pop(path, None)",
        "pass",
        lambda _: manifests.test_differences_lead_from_one_to_the_next(),
    ),
]


def patched(test: Callable[[Path, pytest.MonkeyPatch], object], at: Places) -> None:
    """Run a test that patches."""
    with pytest.MonkeyPatch.context() as patch:
        test(at.folder, patch)


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


ROW_MUTANTS: list[Mutant[Callable[[Rows], Awaitable[None]]]] = [
    Mutant(
        "the collection takes a pack of which a content is needed",
        Manifest._object_of,
        "content if place is None else place.pack.sha256",
        "content",
        forks.test_the_collection_spares_a_pack_of_which_one_content_is_needed,
    ),
    Mutant(
        "a snapshot may build on one that is not kept any more",
        Snapshots.announce,
        "manifest.file_bytes, after,",
        "manifest.file_bytes, None,",
        fences.test_an_announcement_that_builds_on_a_snapshot_needs_it_published,
    ),
]


@pytest.mark.parametrize("mutant", ROW_MUTANTS, ids=[mutant.bug for mutant in ROW_MUTANTS])
async def test_the_rows_catch(
    mutant: Mutant[Callable[[Rows], Awaitable[None]]], migrated_database: MigratedDatabase
) -> None:
    async with running_rows(migrated_database("taor_sandbox")) as rows:
        with mutant.planted(), pytest.raises(CAUGHT):
            await mutant.caught_by(rows)
