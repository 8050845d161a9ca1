from tests.support.sandboxes import backend, sandbox, sandbox_root

__all__ = ["backend", "sandbox", "sandbox_root"]
