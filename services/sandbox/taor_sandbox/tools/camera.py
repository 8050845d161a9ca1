"""Runs inside a sandbox, on the standard library alone: opens a page in a browser and prints a picture of it.

Usage: camera.py BROWSER URL WIDTH HEIGHT (desktop|mobile); BROWSER may be empty. It speaks the DevTools protocol over
two pipes, which is the only way to a viewport of an exact size.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BROWSER_MISSING, PAGE_UNREACHABLE, BROWSER_FAILED = 90, 91, 92
BROWSERS = ("chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)
LOAD_SECONDS, QUIET_SECONDS, ANSWER_SECONDS = 20.0, 2.0, 20.0
SMALL_BYTES = 200_000
"""A larger picture is taken once more as JPEG: it travels with every later call of the model."""
QUALITY = 75


class Failed(Exception):
    """The browser does not do what it should."""


class Browser:
    """A running browser, and the page that it shows."""

    def __init__(self, program: str, profile: str) -> None:
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        argv = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "browser", *argv],
            pass_fds=(theirs_in, theirs_out), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._session = 0, ""
        self._buffer = b""
        self._reached: set[tuple[str, str]] = set()

    def open_page(self) -> None:
        """Make a page, and speak to it from now on."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = str(self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        self.call("Page.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **parameters: object) -> dict[str, object]:
        """The result of one command."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_SECONDS
        while (answer := self._receive(deadline)) is not None:
            if answer.get("id") == self._number:
                result = answer.get("result")
                if isinstance(result, dict):
                    return result
                raise Failed(json.dumps(answer.get("error")))
        raise Failed(f"{method} was not answered")

    def wait_for(self, event: str, loader: str, seconds: float) -> bool:
        """Whether a document came so far in time: `load`, or `networkIdle` when nothing is fetched any more."""
        deadline = time.monotonic() + seconds
        while (loader, event) not in self._reached:
            if self._receive(deadline) is None:
                return False
        return True

    def close(self) -> None:
        """End the browser with all its helpers, which outlive a browser that is killed alone."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _receive(self, deadline: float) -> "dict[str, object] | None":
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                return None
            piece = os.read(self._from, 1 << 20)
            if not piece:
                raise Failed("the browser has ended")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, object] = json.loads(line)
        told = message.get("params")
        if message.get("method") == "Page.lifecycleEvent" and isinstance(told, dict):
            self._reached.add((str(told["loaderId"]), str(told["name"])))
        return message


def picture(browser: Browser, url: str, width: int, height: int, mobile: bool) -> "bytes | None":
    """The page as it looks once it is quiet; None when nothing answers at the address."""
    browser.open_page()
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
    answer = browser.call("Page.navigate", url=url)
    if answer.get("errorText"):
        sys.stderr.write(str(answer["errorText"]))
        return None
    loader = str(answer.get("loaderId"))
    if browser.wait_for("load", loader, LOAD_SECONDS):
        browser.wait_for("networkIdle", loader, QUIET_SECONDS)
    shot = _capture(browser, format="png")
    return shot if len(shot) <= SMALL_BYTES else _capture(browser, format="jpeg", quality=QUALITY)


def _capture(browser: Browser, **options: object) -> bytes:
    return base64.b64decode(str(browser.call("Page.captureScreenshot", **options)["data"]))


def main(program: str, url: str, width: str, height: str, kind: str) -> int:
    """Print the picture; returns the exit status."""
    found = shutil.which(program) if program else next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        return BROWSER_MISSING
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        browser = Browser(found, profile)
        try:
            shot = picture(browser, url, int(width), int(height), kind == "mobile")
        except (Failed, OSError) as error:
            sys.stderr.write(f"\n{error}")
            return BROWSER_FAILED
        finally:
            browser.close()
    if shot is None:
        return PAGE_UNREACHABLE
    sys.stdout.buffer.write(shot)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
