"""One installation for all of these tests, with the scripts of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from taor_local.installation import ensure_up
from taor_local.options import Options
from tests.support.installation import temporary_installation

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(scope="session")
def installation() -> Iterator[Options]:
    """All of taor, up, playing the scripts beside this file."""
    with temporary_installation() as options:
        with pytest.MonkeyPatch.context() as patch:  # for this one only: the demo beside it plays its own script
            patch.setenv("TAOR_MODEL_SCRIPTS", str(SCRIPTS))
            ensure_up(options, lambda _: None)
        yield options
