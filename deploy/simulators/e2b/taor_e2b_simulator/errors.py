"""What the server answers instead of a result: an HTTP status and a message, in the shape of E2B's API."""


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        """E2B's machine-readable `error_code`, where it has one."""


class StreamCut(Exception):
    """A fault that is to end a connection in the middle of an answer."""
