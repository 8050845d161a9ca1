"""The disk of the database, or of the snapshots, is full in the midst of a build."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest

from taor_local.installation import down
from taor_local.options import Options
from tests.chaos.disruption import full_disk
from tests.chaos.disturbed import disturbed_build, undisturbed_build
from tests.chaos.network import running_network
from tests.support.small_disk import small_disk

SECONDS = 3.0
DISK_MEBIBYTES = 160


@contextmanager
def _small(folder: str, options: Options) -> Iterator[None]:
    with small_disk(options.data / folder, mebibytes=DISK_MEBIBYTES):
        yield
        down(options)


def small_disk_for(folder: str) -> Callable[[Options], AbstractContextManager[None]]:
    """A small file system for one folder of the data."""
    return partial(_small, folder)


@pytest.mark.optin("root that may mount a file system")
@pytest.mark.parametrize("folder", ["postgres", "blobs"])
async def test_a_build_outlives_a_full_disk(folder: str) -> None:
    async with running_network(small_disk_for(folder)) as network:
        undisturbed = await undisturbed_build(network)
        disturbed = await disturbed_build(network, full_disk(folder), SECONDS)
    assert list(disturbed.findings(undisturbed)) == []
