"""What a sandbox wakes with is compared with what it was paused with, and with nothing else."""

from pathlib import Path

from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.backends.local.folder import Shelf
from tests.service.sandbox.harness import Harness

PAUSE = pb.ReleaseSandboxRequest.PAUSE


async def test_files_that_are_older_than_the_pause_give_way_to_a_restore(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "first\n")
    await harness.write(2, "f", "second\n")
    await harness.release(PAUSE)
    asleep(harness, "f").write_text("first\n")
    harness.take_over()
    await harness.attach()
    assert (await harness.until_attached(lambda: harness.bash(3, "cat f"))).text == "second\n"
    assert harness.generation == 2


async def test_without_any_snapshot_what_is_missing_is_done_again(harness: Harness) -> None:
    await harness.attach()
    break_store(harness)
    await harness.write(1, "f", "x\n")
    await harness.bash(2, "cat f >> g")
    assert not (await harness.release(PAUSE)).snapshot_id
    asleep(harness, "g").unlink()
    harness.take_over()
    await harness.attach()
    assert (await harness.until_attached(lambda: harness.bash(3, "cat f g"))).text == "x\nx\n"
    assert harness.generation == 2


async def test_files_that_are_newer_than_the_newest_snapshot_stay(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "x\n")
    await harness.snapshot()
    break_store(harness)
    await harness.bash(2, "echo $RANDOM$RANDOM > random; cat random")
    await harness.release(PAUSE)
    before = asleep(harness, "random").read_text()
    harness.take_over()
    await harness.attach()
    assert (await harness.bash(3, "cat random")).text == before
    assert harness.generation == 1


async def test_what_goes_on_in_the_background_until_the_pause_is_no_loss(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "while :; do echo x >> ticks; done", background=True)
    await harness.until_exists("ticks")
    await harness.release(PAUSE)
    harness.take_over()
    await harness.attach()
    assert (await harness.bash(2, "test -s ticks; echo $?")).text == "0\n"
    assert harness.generation == 1


def asleep(harness: Harness, path: str) -> Path:
    """A file of a paused sandbox, as its provider keeps it."""
    return Shelf(harness.config.data.resolve()).folder(f"{harness.build_id}/{harness.generation}").workspace / path


def break_store(harness: Harness) -> None:
    """Let nothing be stored any more."""
    if harness.config.blobs.exists():
        harness.config.blobs.rename(harness.config.blobs.with_name("away"))
    harness.config.blobs.write_text("a file where the store's folder should be")
