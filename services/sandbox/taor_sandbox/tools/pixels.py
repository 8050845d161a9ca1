"""Width and height of a picture, read from its own header: PNG, JPEG, GIF and WebP, without decoding anything."""

import struct

Size = tuple[int, int]

_PNG_HEADER = struct.Struct(">16xII")
_PNG_END = b"IEND\xaeB`\x82"
_GIF_HEADER = struct.Struct("<6xHH")
_GIF_END = b";"
_JPEG_END = b"\xff\xd9"
_JPEG_SEGMENT = struct.Struct(">BBH")
_JPEG_FRAME = struct.Struct(">5xHH")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_RIFF = struct.Struct("<4xI4x4s")
_RIFF_PREFIX_BYTES = 8
_FOURTEEN_BITS = 0x3FFF


def size(media_type: str, content: bytes) -> Size | None:
    """Width and height in pixels; None when the picture is damaged or ends too early."""
    try:
        found = _READERS[media_type](content)
    except (struct.error, IndexError):
        return None
    return found if found and all(found) else None


def _png(content: bytes) -> Size | None:
    width, height = _PNG_HEADER.unpack_from(content)
    return (width, height) if _PNG_END in content else None


def _gif(content: bytes) -> Size | None:
    width, height = _GIF_HEADER.unpack_from(content)
    return (width, height) if content.rstrip(b"\0").endswith(_GIF_END) else None


def _jpeg(content: bytes) -> Size | None:
    """The first frame header (ITU T.81, B.2.2): height stands before width."""
    at = 2
    while True:
        lead, kind, length = _JPEG_SEGMENT.unpack_from(content, at)
        if lead != 0xFF:
            return None
        if kind in _JPEG_FRAMES:
            height, width = _JPEG_FRAME.unpack_from(content, at)
            return (width, height) if _JPEG_END in content[at:] else None
        at += 2 + length


def _webp(content: bytes) -> Size | None:
    """The first chunk of the RIFF container (RFC 9649): lossy, lossless or extended."""
    length, chunk = _RIFF.unpack_from(content)
    if len(content) < length + _RIFF_PREFIX_BYTES:
        return None
    match chunk:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", content, 26)
            return width & _FOURTEEN_BITS, height & _FOURTEEN_BITS
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            return (bits & _FOURTEEN_BITS) + 1, (bits >> 14 & _FOURTEEN_BITS) + 1
        case b"VP8X":
            return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
        case _:
            return None


_READERS = {"image/png": _png, "image/gif": _gif, "image/jpeg": _jpeg, "image/webp": _webp}
