"""Every test here gets a real local backend, and a sandbox that is ready for claims."""

import os

import pytest

from taor_sandbox.backends.local.backend import LocalBackend
from tests.support.sandboxes import local_backend, sandbox, sandbox_root

__all__ = ["local_backend", "sandbox", "sandbox_root"]

collect_ignore = [] if os.geteuid() == 0 else ["test_ordinary_user.py"]


@pytest.fixture
def backend(local_backend: LocalBackend) -> LocalBackend:
    """The only backend whose walls are ours."""
    return local_backend
