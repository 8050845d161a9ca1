"""The scripted model on a real socket, and a small client that keeps a conversation with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from taor_model_simulator.library import Library
from taor_model_simulator.record import Record
from taor_model_simulator.server import running
from taor_model_simulator.simulator import Simulator

Json = dict[str, Any]  # what the API sends and takes, as it is
HEADERS = {"x-api-key": "test", "anthropic-version": "2023-06-01", "content-type": "application/json"}


@dataclass
class Conversation:
    """A client of the scripted model that sends the whole history each time, as an agent does."""

    http: aiohttp.ClientSession
    url: str
    body: Json
    messages: list[Json] = field(default_factory=list)

    async def post(self, **changes: object) -> tuple[int, Json]:
        """Send the history with changed fields; status and JSON of the answer."""
        body = {**self.body, "messages": self.messages, **changes}
        async with self.http.post(f"{self.url}/v1/messages", json=body, headers=HEADERS) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def turn(self, result: str = "ok") -> Json:
        """One answer, added to the history together with the same result for each of its tool calls."""
        status, message = await self.post()
        assert status == 200, message
        results = [{"type": "tool_result", "tool_use_id": use["id"], "content": result} for use in tool_uses(message)]
        self.messages += [{"role": "assistant", "content": message["content"]}]
        self.messages += [{"role": "user", "content": results}] if results else []
        return message


@dataclass(frozen=True)
class Simulation:
    """A running scripted model."""

    url: str
    scripts: Path
    record_file: Path
    http: aiohttp.ClientSession

    def converse(self, script: str, **fields: object) -> Conversation:
        """Begin a conversation that names this script."""
        body: Json = {"model": "claude-sonnet-5-5", "max_tokens": 4000, "thinking": {"type": "adaptive"}, **fields}
        opening: Json = {"role": "user", "content": f"A brief.\ntaor-script: {script}\ntaor-build: build-1\n"}
        return Conversation(self.http, self.url, body, [opening])

    def write(self, name: str, text: str) -> None:
        """Put a script into the folder."""
        (self.scripts / f"{name}.toml").write_text(text)

    def record(self) -> list[Json]:
        """What was recorded so far."""
        return [orjson.loads(line) for line in self.record_file.read_bytes().splitlines()]


@asynccontextmanager
async def running_simulation(folder: Path) -> AsyncIterator[Simulation]:
    """A scripted model that keeps its scripts and its record in `folder`."""
    scripts = folder / "scripts"
    scripts.mkdir()
    record = Record(folder / "billed.jsonl")
    try:
        async with running(Simulator(Library(scripts), record)) as url, aiohttp.ClientSession() as http:
            yield Simulation(url, scripts, folder / "billed.jsonl", http)
    finally:
        record.close()


def tool_uses(message: Json) -> list[Json]:
    """The tool calls of an answer."""
    return [block for block in message["content"] if block["type"] == "tool_use"]
