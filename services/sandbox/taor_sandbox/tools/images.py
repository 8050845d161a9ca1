"""Images as the model can look at them."""

from taor_sandbox.outcome import FailureCode, Image, ToolFailed

MAX_BYTES = 1_000_000
"""A picture travels with every later call of the model, and a call may have 32 MB in all."""
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def media_type(content: bytes) -> str | None:
    """The kind of an image by its first bytes; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None)


def image(content: bytes, what: str) -> Image | None:
    """The image that this is; None when it is none. Raises ToolFailed when it is too large to be shown."""
    kind = media_type(content)
    if kind is None:
        return None
    if len(content) > MAX_BYTES:
        message = f"{what} is an image of {len(content)} bytes, more than the {MAX_BYTES} that can be shown; shrink it."
        raise ToolFailed(FailureCode.LIMIT, message)
    return Image(kind, content)
