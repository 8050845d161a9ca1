from tests.support.sandboxes import backend, sandbox

__all__ = ["backend", "sandbox"]
