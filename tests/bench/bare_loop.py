"""The floor: what an agent's loop costs without taor. It promises nothing: no money, no fences, no sandbox, no events.

Run as a program of its own, so that its processor time can be told: `python bare_loop.py URL DSN OPENING`.
"""

import asyncio
import json
import resource
import subprocess
import sys
from importlib import resources
from typing import Any, cast

import asyncpg
from anthropic import AsyncAnthropic

MODEL, MAX_TOKENS = "claude-sonnet-5-5", 8000
PROMPTS = resources.files("taor_orchestrator") / "prompts"
SYSTEM, TOOLS = PROMPTS / "system.md", PROMPTS / "tools.json"


def run_tool(name: str, given: dict[str, Any]) -> str:
    """Run one tool call as a plain subprocess."""
    match name:
        case "bash":
            command = ["bash", "-c", given["command"]]
        case "write_file":
            command = ["bash", "-c", 'mkdir -p "$(dirname "$0")" && cat > "$0"', given["path"]]
        case "read_file":
            command = ["cat", "-n", given["path"]]
        case _:
            raise ValueError(f"the floor has no tool {name}")
    done = subprocess.run(command, input=given.get("content", ""), capture_output=True, text=True, check=False)
    return done.stdout + done.stderr or "(no output)"


async def loop(url: str, dsn: str, opening: str) -> int:
    """Think, act, observe, repeat, until the script finishes; the number of turns."""
    client = AsyncAnthropic(api_key="scripted", base_url=url, max_retries=0)
    database = await asyncpg.connect(dsn)
    await database.execute("CREATE TABLE IF NOT EXISTS turns (at serial PRIMARY KEY, answer text, results text)")
    tools = json.loads(TOOLS.read_text())
    messages: list[dict[str, Any]] = [{"role": "user", "content": opening}]
    turns = 0
    while True:
        answer = await client.messages.create(
            model=MODEL,
            max_tokens=MAX_TOKENS,
            system=SYSTEM.read_text(),
            tools=tools,
            messages=cast(Any, messages),
            cache_control={"type": "ephemeral"},
        )
        turns += 1
        content = [block.model_dump(exclude_none=True) for block in answer.content]
        uses = [block for block in content if block["type"] == "tool_use"]
        if any(use["name"] == "finish" for use in uses):
            return turns
        results = [
            {"type": "tool_result", "tool_use_id": use["id"], "content": run_tool(use["name"], use["input"])}
            for use in uses
        ]
        messages += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
        await database.execute(
            "INSERT INTO turns (answer, results) VALUES ($1, $2)", json.dumps(content), json.dumps(results)
        )


if __name__ == "__main__":
    before = resource.getrusage(resource.RUSAGE_SELF)
    taken = asyncio.run(loop(*sys.argv[1:4]))
    after, tools = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    loop_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(f"{taken} {loop_seconds} {tools.ru_utime + tools.ru_stime}\n")
