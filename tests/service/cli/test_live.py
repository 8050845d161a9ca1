"""`taor watch` on a real terminal: the story scrolls above a panel that redraws itself."""

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios

from tests.support.recorded_orchestrator import TOKEN, RecordedOrchestrator, serving, story

RUN_SECONDS = 60.0
ROWS, COLUMNS = 30, 110


async def test_a_terminal_shows_the_story_above_a_panel() -> None:
    recorded = RecordedOrchestrator()
    build = recorded.new_build()
    async with serving(recorded) as address:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        shown = Screen(ours)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taor_cli", "watch"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TAOR_TARGET": address, "TAOR_TOKEN": TOKEN, "TERM": "xterm-256color"},
        )
        os.close(theirs)
        await shown.has("waiting for a worker")
        first, *rest = story()
        await recorded.add(build.build_id, first)
        await shown.has("thinking")
        await recorded.say(1, "b/1/0", "Let me think ab\x1b[31mout ")
        await recorded.say(1, "b/1/0", "bread and butter. ")
        await shown.has("Let me think ab [31mout bread and butter.")
        await recorded.say(1, "b/1/1", "Once more. ")
        await shown.has("Once more.")
        await recorded.add(build.build_id, *rest)
        await shown.has("succeeded: The shop runs.")
        async with asyncio.timeout(RUN_SECONDS):
            assert await process.wait() == 0, shown.text
        shown.close()
    assert build.build_id in shown.text
    assert "turn 2" in shown.text


class Screen:
    """Everything that was written to a terminal so far."""

    def __init__(self, descriptor: int) -> None:
        self.text = ""
        self._descriptor = descriptor
        self._grown = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    async def has(self, words: str) -> None:
        """Wait until the words were written."""
        async with asyncio.timeout(RUN_SECONDS):
            while words not in self.text:
                self._grown.clear()
                await self._grown.wait()

    def close(self) -> None:
        """Stop reading."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            self.text += os.read(self._descriptor, 65_536).decode(errors="replace")
        except OSError:  # the other side has closed its terminal
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._grown.set()
