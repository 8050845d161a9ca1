"""The demo script, played by the scripted model against a plain folder: the app that it builds must truly work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import aiohttp
import pytest

import taor_local
from taor_model_simulator import scriptfile
from taor_model_simulator.library import Library
from taor_model_simulator.record import Record
from taor_model_simulator.server import running
from taor_model_simulator.simulator import Simulator
from tests.support.installation import free_base_port
from tests.support.scripted_model import Json, tool_uses

DEMO = Path(taor_local.__file__).parent / "demo"
MAX_TURNS = 40
HEADERS = {"x-api-key": "test", "anthropic-version": "2023-06-01"}


class Workspace:
    """A folder with the tools of the agent, as plain as they can be; the app's port is moved to a free one."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port
        self.calls: list[tuple[str, Json]] = []
        self.background: list[asyncio.subprocess.Process] = []

    async def use(self, name: str, given: Json) -> str:
        self.calls.append((name, given))
        match name:
            case "bash":
                return await self.bash(
                    given["command"], given.get("background", False), given.get("timeout_seconds", 30)
                )
            case "write_file":
                path = self.root / given["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.moved(given["content"]))
            case "read_file":
                lines = (self.root / given["path"]).read_text().splitlines()
                return "\n".join(lines[given.get("start_line", 1) - 1 : given.get("end_line")])
            case "edit_file":
                self.edit(self.root / given["path"], given["edits"])
            case "glob":
                return "\n".join(str(path.relative_to(self.root)) for path in self.root.glob(given["pattern"]))
            case "grep":
                return self.grep(re.compile(given["pattern"]), self.root / given["path"], given.get("glob", "*"))
        return "ok"

    def edit(self, path: Path, edits: list[Json]) -> None:
        text = path.read_text()
        for one in edits:
            assert text.count(one["old_text"]) == 1, one
            text = text.replace(one["old_text"], one["new_text"])
        path.write_text(text)

    def grep(self, pattern: re.Pattern[str], folder: Path, name: str) -> str:
        files = [path for path in folder.rglob(name) if path.is_file() and "__pycache__" not in path.parts]
        return "\n".join(
            f"{path}:{line}" for path in files for line in path.read_text().splitlines() if pattern.search(line)
        )

    async def bash(self, command: str, background: bool, seconds: int) -> str:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", self.moved(command)),
            cwd=self.root,
            stdout=asyncio.subprocess.DEVNULL if background else asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        if background:
            self.background.append(process)
            return "started in the background"
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
        return f"{output.decode()}\nexit status {process.returncode}"

    def moved(self, text: str) -> str:
        return text.replace("8000", str(self.port))

    async def close(self) -> None:
        for process in self.background:
            with contextlib.suppress(ProcessLookupError):  # a broken app ends by itself
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    root = tmp_path / "workspace"
    root.mkdir()
    space = Workspace(root, free_base_port())
    yield space
    await space.close()


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A copy of the demo that a test may break, without its waits."""
    shutil.copytree(DEMO, tmp_path / "scripts" / "demo")
    script = tmp_path / "scripts" / "demo" / "script.toml"
    script.write_text(script.read_text().replace("latency_ms = 200\npace_ms = 2\n", ""))
    return tmp_path / "scripts"


async def play(scripts: Path, workspace: Workspace) -> list[Json]:
    """Be the agent: ask, act, answer, until finish; the assistant messages."""
    brief = (DEMO / "brief.md").read_text()
    messages: list[Json] = [{"role": "user", "content": brief}]
    answers: list[Json] = []
    async with (
        running(Simulator(Library(scripts), Record(None))) as url,
        aiohttp.ClientSession(headers=HEADERS) as http,
    ):
        while len(answers) < MAX_TURNS:
            body = {"model": "m", "max_tokens": 30000, "thinking": {"type": "adaptive"}, "messages": messages}
            async with http.post(f"{url}/v1/messages", json=body) as response:
                answer = await response.json()
                assert response.status == 200, answer
            answers.append(answer)
            uses = tool_uses(answer)
            results = [{"type": "tool_result", "tool_use_id": use["id"]} for use in uses]
            for use, result in zip(uses, results, strict=True):
                result["content"] = await workspace.use(use["name"], use["input"])
            messages += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]
            if any(use["name"] == "finish" for use in uses):
                return answers
    raise AssertionError("the script never finishes")


async def test_the_app_works_when_the_script_is_played_in_order(scripts: Path, workspace: Workspace) -> None:
    answers = await play(scripts, workspace)
    name, finish = workspace.calls[-1]
    assert (name, finish["outcome"], finish["preview_port"]) == ("finish", "succeeded", 8000), answers[-1]
    assert len(answers) >= 20
    assert "scripted" in answers[0]["content"][1]["text"]
    assert sum(1 for answer in answers if len(tool_uses(answer)) > 1) >= 8, "parallel calls"
    sections = [given["section"] for name, given in workspace.calls if name == "document"]
    assert sections == ["overview", "features", "getting_started", "faq"]
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{workspace.port}/") as page:
        assert page.status == 200
        assert "the smallest thing" in await page.text()


def test_every_call_of_the_script_fits_the_tools_that_the_orchestrator_offers() -> None:
    tools = json.loads((resources.files("taor_orchestrator") / "prompts" / "tools.json").read_text())
    schemas = {tool["name"]: tool["input_schema"] for tool in tools}
    script, _ = scriptfile.load(DEMO / "script.toml")
    for tool in (tool for step in script.steps for tool in step.tools):
        known, required = set(schemas[tool.name]["properties"]), set(schemas[tool.name]["required"])
        assert required <= tool.input.keys() <= known, tool


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("app/streaks/calendar.py", "length += 1\n        day", "length += 2\n        day"),
        ("app/streaks/store.py", "habit.days ^= {day}", "habit.days |= {day}"),
        ("app/streaks/server.py", '"/style.css":', '"/stile.css":'),
    ],
)
async def test_a_broken_line_of_the_app_ends_the_build_as_failed(
    scripts: Path, workspace: Workspace, file: str, right: str, wrong: str
) -> None:
    path = scripts / "demo" / file
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    await play(scripts, workspace)
    name, finish = workspace.calls[-1]
    assert (name, finish["outcome"]) == ("finish", "failed")
    assert "expected" in finish["summary"]
