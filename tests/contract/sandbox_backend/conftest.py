"""Every test here runs on each backend, in a sandbox that is ready for claims."""

from tests.support.sandboxes import (
    backend,
    e2b_backend,
    e2b_settings,
    e2b_simulator,
    e2b_toolbox,
    local_backend,
    sandbox,
    sandbox_root,
)

__all__ = [
    "backend",
    "e2b_backend",
    "e2b_settings",
    "e2b_simulator",
    "e2b_toolbox",
    "local_backend",
    "sandbox",
    "sandbox_root",
]
