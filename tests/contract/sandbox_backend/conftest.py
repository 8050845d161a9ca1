"""Every test here gets a real local backend, and a sandbox that is ready for claims."""

from tests.support.sandboxes import backend, sandbox, sandbox_root

__all__ = ["backend", "sandbox", "sandbox_root"]
