"""Every test here gets a real local backend, and a sandbox that is ready for claims."""

import os

from tests.support.sandboxes import backend, sandbox, sandbox_root

__all__ = ["backend", "sandbox", "sandbox_root"]

collect_ignore = [] if os.geteuid() == 0 else ["test_ordinary_user.py"]
