"""Pictures that the provider would refuse are refused before they are in the history."""

import struct
from base64 import b64decode
from collections.abc import Callable

import pytest

from taor_sandbox.outcome import FailureCode, ToolFailed
from taor_sandbox.tools import images, pixels

DOT_GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
DOT_LOSSY = b64decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
DOT_LOSSLESS = b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")


def png(width: int, height: int) -> bytes:
    """What is looked at of a PNG."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"..." + b"IEND\xaeB`\x82"


def jpeg(width: int, height: int, frame: int = 0xC2) -> bytes:
    """Two segments, the frame, the end."""
    before = (
        b"\xff\xd8" + b"\xff\xe0" + struct.pack(">H", 16) + bytes(14) + b"\xff\xc4" + struct.pack(">H", 4) + b"\0\0"
    )
    return before + struct.pack(">BBHBHH", 0xFF, frame, 17, 8, height, width) + bytes(20) + b"\xff\xd9"


def gif(width: int, height: int) -> bytes:
    """Its screen, and its end."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"...;"


def webp(width: int, height: int) -> bytes:
    """An extended one."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


MAKERS = [png, jpeg, gif, webp]


@pytest.mark.parametrize("make", MAKERS)
def test_a_picture_tells_its_size(make: Callable[[int, int], bytes]) -> None:
    picture = make(1280, 800)
    kind = images.media_type(picture)
    assert kind is not None
    assert pixels.size(kind, picture) == (1280, 800)


@pytest.mark.parametrize(
    ("kind", "picture"), [("image/gif", DOT_GIF), ("image/webp", DOT_LOSSY), ("image/webp", DOT_LOSSLESS)]
)
def test_real_pictures_of_one_pixel(kind: str, picture: bytes) -> None:
    assert images.media_type(picture) == kind
    assert pixels.size(kind, picture) == (1, 1)


@pytest.mark.parametrize(
    "picture", [png(2001, 1), jpeg(1, 2001), gif(60_000, 60_000), webp(1 << 24, 1), png(5, 5) + bytes(images.MAX_BYTES)]
)
def test_what_is_too_large_is_refused_with_the_remedy(picture: bytes) -> None:
    with pytest.raises(ToolFailed, match="shrink it") as failed:
        images.image(picture, "poster")
    assert failed.value.code is FailureCode.LIMIT


def test_the_largest_picture_is_shown() -> None:
    shown = images.image(png(images.MAX_EDGE_PIXELS, images.MAX_EDGE_PIXELS), "poster")
    assert shown is not None
    assert shown.media_type == "image/png"


@pytest.mark.parametrize("picture", [png(5, 5), jpeg(5, 5), gif(5, 5), webp(5, 5), DOT_LOSSY, DOT_LOSSLESS])
def test_a_picture_that_is_cut_off_anywhere_is_refused(picture: bytes) -> None:
    for end in range(12, len(picture)):
        with pytest.raises(ToolFailed, match="damaged or cut off") as failed:
            images.image(picture[:end], "half")
        assert failed.value.code is FailureCode.BAD_INPUT


@pytest.mark.parametrize("picture", [png(0, 5), jpeg(5, 0), gif(0, 0), b"\xff\xd8\xff\xe0\0\0", b"\xff\xd8\xff" * 9])
def test_a_picture_of_nothing_is_refused(picture: bytes) -> None:
    with pytest.raises(ToolFailed, match="damaged"):
        images.image(picture, "nothing")


def test_other_files_are_none() -> None:
    assert images.image(b"GIF or not", "text") is None
