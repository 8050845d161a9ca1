"""take_screenshot: a page of a program that runs inside, seen by a browser inside."""

from importlib.resources import files

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.outcome import FailureCode, Outcome, ToolFailed
from taor_sandbox.tools import camera, images
from taor_sandbox.tools.inputs import TakeScreenshot, Viewport

_SECONDS = 60.0
_FILE_BYTES = 256 * 1024**2
_COMPLAINT_CHARACTERS = 500
_SIZES = {Viewport.DESKTOP: (1280, 800), Viewport.MOBILE: (390, 844)}


async def take_screenshot(sandbox: Sandbox, wanted: TakeScreenshot, browser: str) -> Outcome:
    """The picture; an empty `browser` lets one be looked for on the PATH. Raises ToolFailed."""
    url, (width, height) = f"http://localhost:{wanted.port}{wanted.path}", _SIZES[wanted.viewport]
    script = files("taor_sandbox.tools").joinpath("camera.py").read_text("utf-8")
    argv = ["python3", "-I", "-S", "-B", "-c", script, browser, url, str(width), str(height), wanted.viewport.value]
    shot = await sandbox.run(argv, timeout_seconds=_SECONDS, file_bytes=_FILE_BYTES)
    if shot.timed_out:
        raise ToolFailed(FailureCode.TIMEOUT, f"The browser did not finish within {_SECONDS:.0f} s.")
    if shot.status != 0:
        raise _failed(shot.status, url, shot.stderr.decode(errors="replace").strip()[-_COMPLAINT_CHARACTERS:])
    picture = images.image(shot.stdout, "The screenshot")
    if picture is None:
        raise ToolFailed(FailureCode.BROWSER_FAILED, "The browser gave no picture.")
    refused = "".join(f"\n[network: {host} is not allowed]" for host in sandbox.refused_hosts())
    return Outcome(f"{url} at {width}×{height} ({wanted.viewport.value}).{refused}", image=picture)


def _failed(status: int, url: str, complaint: str) -> ToolFailed:
    match status:
        case camera.BROWSER_MISSING:
            message = "There is no browser inside the sandbox. Check the page by other means, with curl for example."
            return ToolFailed(FailureCode.BROWSER_MISSING, message)
        case camera.PAGE_UNREACHABLE:
            message = f"Nothing answers at {url} ({complaint}). Start the program in the background first."
            return ToolFailed(FailureCode.PAGE_UNREACHABLE, message)
        case _:
            return ToolFailed(FailureCode.BROWSER_FAILED, f"The browser failed with status {status}: {complaint}")
