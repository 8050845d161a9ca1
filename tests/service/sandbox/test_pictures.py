"""What the model sees as pictures: images that it reads, and pages that a browser inside shows."""

import struct
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.app import running_backend
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness

PAGE = "<body style='margin:0;background:#0a0'><script>document.title=innerWidth+'x'+innerHeight</script>"
SERVE = f'printf %s "{PAGE}" > index.html; python3 -m http.server 8000 --bind 127.0.0.1'
GREEN = bytes((0x00, 0xAA, 0x00))


@pytest.fixture
async def without_browser(sandbox_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A service whose sandboxes are told to use a browser that is not there."""
    config = replace(sandbox_config, browser="/nowhere/browser")
    async with running_backend(config) as backend:
        harness = Harness(config, backend)
        await harness.start()
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()


async def shoot(harness: Harness, sequence: int, port: int = 8000, **options: object) -> pb.ToolResult:
    """Take a screenshot of the page."""
    wanted = pb.TakeScreenshot(port=port, **options)  # type: ignore[arg-type] # fields of TakeScreenshot
    return await harness.run(harness.request(sequence, take_screenshot=wanted))


async def serve(harness: Harness) -> None:
    """Start the program whose page is looked at."""
    await harness.bash(1, SERVE, background=True)
    async with harness.sandbox() as sandbox:
        ask = ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/', timeout=1)"]
        await harness.until(lambda: sandbox.run(ask), lambda said: said.status == 0)


async def test_an_image_is_read_as_an_image(harness: Harness) -> None:
    await harness.attach()
    picture = png(2, 1, GREEN)
    await harness.bash(1, f"echo {b64encode(picture).decode()} | base64 -d > dot; cp dot big")
    read = await harness.run(harness.request(2, read_file=pb.ReadFile(path="dot")))
    assert (read.image.media_type, read.image.content) == ("image/png", picture)
    assert read.text == f"dot (image/png, {len(picture)} bytes)"
    await harness.bash(3, "truncate -s 1000001 big")
    large = await harness.run(harness.request(4, read_file=pb.ReadFile(path="big")))
    assert large.failure.code == pb.Failure.LIMIT
    assert not large.HasField("image")


async def test_a_missing_browser_is_told(without_browser: Harness) -> None:
    await without_browser.attach()
    shot = await shoot(without_browser, 1)
    assert shot.failure.code == pb.Failure.BROWSER_MISSING
    assert not shot.HasField("image")


@pytest.mark.optin("chromium or chromium-headless-shell in /usr")
@pytest.mark.parametrize(
    ("viewport", "size"), [(pb.TakeScreenshot.DESKTOP, (1280, 800)), (pb.TakeScreenshot.MOBILE, (390, 844))]
)
async def test_a_page_is_seen_at_its_size(
    harness: Harness, viewport: pb.TakeScreenshot.Viewport.ValueType, size: tuple[int, int]
) -> None:
    await harness.attach()
    await serve(harness)
    shot = await shoot(harness, 2, viewport=viewport)
    assert not shot.HasField("failure"), shot.text
    assert shot.image.media_type == "image/png"
    assert size_of(shot.image.content) == size
    assert len(shot.image.content) > 100
    async with harness.sandbox() as sandbox:
        look = ["/bin/sh", "-c", "ls /tmp; cat /proc/[0-9]*/comm"]
        left = await harness.until(lambda: sandbox.run(look), lambda said: b"chrom" not in said.stdout)
    assert b"browser-" not in left.stdout


@pytest.mark.optin("chromium or chromium-headless-shell in /usr")
async def test_a_port_where_nothing_listens_is_told(harness: Harness) -> None:
    await harness.attach()
    shot = await shoot(harness, 1, port=9)
    assert shot.failure.code in (pb.Failure.PAGE_UNREACHABLE, pb.Failure.BROWSER_FAILED)
    closed = await shoot(harness, 2, port=8001)
    assert closed.failure.code == pb.Failure.PAGE_UNREACHABLE


def png(width: int, height: int, colour: bytes) -> bytes:
    """A picture of one colour."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + colour * width) * height
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    parts = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", picture[16:24])
    return width, height
