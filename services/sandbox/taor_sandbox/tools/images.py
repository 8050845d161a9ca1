"""Images as the model can look at them.

A picture stays in the history, so one that the provider refuses would make it refuse every later call of the build:
what it cannot take is refused here, while there is a tool call to say so. Limits: platform.claude.com, "Vision".
"""

from taor_sandbox.outcome import FailureCode, Image, ToolFailed
from taor_sandbox.tools import pixels

MAX_BYTES = 1_000_000
"""A picture travels with every later call of the model, and a call may have 32 MB in all."""
MAX_EDGE_PIXELS = 2_000
"""Wide or high: a request with more than twenty pictures is refused if a single one is larger."""
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
    """The image that this is; None when it is none. Raises ToolFailed when it is damaged or too large to be shown."""
    kind = media_type(content)
    if kind is None:
        return None
    if len(content) > MAX_BYTES:
        message = f"{what} is an image of {len(content)} bytes, more than the {MAX_BYTES} that can be shown; shrink it."
        raise ToolFailed(FailureCode.LIMIT, message)
    size = pixels.size(kind, content)
    if size is None:
        raise ToolFailed(FailureCode.BAD_INPUT, f"{what} begins as {kind}, but it is damaged or cut off.")
    if max(size) > MAX_EDGE_PIXELS:
        measured = (
            f"{what} is an image of {size[0]}×{size[1]} pixels, more than the {MAX_EDGE_PIXELS} that can be shown"
        )
        raise ToolFailed(FailureCode.LIMIT, f"{measured} on a side; shrink it, or cut out the part that matters.")
    return Image(kind, content)
