"""What a model writes into a call and no tool takes is a failure that it reads, and never the end of its build."""

from taor_chassis.client import open_channel
from taor_orchestrator.build import Assignment, Claim
from taor_orchestrator.clients.sandbox import SandboxClient
from taor_orchestrator.toolset import BadToolInput, parse
from taor_orchestrator.transcript import ToolAnswer
from tests.service.sandbox.harness import Harness

CALLS: list[tuple[str, dict[str, object]]] = [
    ("bash", {"command": ""}),
    ("bash", {"command": "echo a\0b"}),
    ("bash", {"command": "sleep 900", "timeout_seconds": 900}),
    ("bash", {"command": "x" * 200_000}),
    ("read_file", {"path": ""}),
    ("read_file", {"path": "a\0b"}),
    ("read_file", {"path": "a", "start_line": 5, "end_line": 2}),
    ("write_file", {"path": "a", "content": "b\0"}),
    ("edit_file", {"path": "a", "edits": [{"old_text": str(number), "new_text": ""} for number in range(1000)]}),
    ("grep", {"pattern": ""}),
    ("grep", {"pattern": "a", "max_results": 100_000}),
    ("glob", {"pattern": ""}),
    ("glob", {"pattern": "*", "path": "x" * 5000}),
    ("take_screenshot", {"port": 70_000}),
]


async def test_a_call_that_no_tool_takes_is_told_to_the_model(harness: Harness) -> None:
    await harness.attach()
    for name, fields in CALLS:
        answer = await call(harness, 1, name, fields)
        assert answer.failed, (name, fields)
        assert answer.text
    assert await harness.operations() == []
    assert (await call(harness, 2, "bash", {"command": "echo on"})).text == "on\n"


async def call(harness: Harness, sequence: int, name: str, fields: dict[str, object]) -> ToolAnswer:
    """What the model reads of a call, by the way that the loop sends it."""
    claim = Claim("local", harness.build_id, 1, harness.owner, "user", "project", "m", 1, Assignment("", (), ""))
    try:
        tool = parse(name, fields)
    except BadToolInput as problem:
        return ToolAnswer(str(problem), failed=True)
    async with open_channel(harness.address, token=harness.config.token) as channel:
        client = SandboxClient(channel)
        return await client.dispatch(claim, harness.generation, harness.op_id(sequence), sequence, tool)
