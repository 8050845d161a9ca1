"""The world of these tests has no time to wait in."""

import pytest

from taor_orchestrator import projector


@pytest.fixture(autouse=True)
def _impatient_projector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Project at once: thousands of builds run here, and nobody watches them."""
    monkeypatch.setattr(projector, "GATHER_SECONDS", 0.0)
