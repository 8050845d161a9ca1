"""A sandbox is lost with all its files, and one command before that cannot be done again: the agent is told of it."""

import asyncio
from pathlib import Path

import orjson

from taor_cli.audit.evidence import Evidence, LogKind, OperationState
from taor_cli.audit.gather import gather
from taor_cli.clients import connect
from taor_cli.endpoints import Wanted, resolve
from taor_cli.orchestrator import Orchestrator
from taor_local.folders import Folders
from taor_local.options import Options
from taor_sandbox.backends.local.backend import prepare
from tests.support.command import taor
from tests.support.waiting import wait_until


def test_what_cannot_be_done_again_is_told_once_and_never_passed_over(installation: Options, tmp_path: Path) -> None:
    brief = tmp_path / "brief.md"
    brief.write_text("Keep a file.\n\ntaor-script: lossy\n")
    said = taor(installation, "build", "--brief", str(brief), "--no-follow", "--json")
    build_id = str(said.document["build_id"])
    sandboxes = Folders(installation.data).sandboxes
    wait_until((sandboxes / build_id / "1/workspace/hanging").exists, "the third command", timeout_seconds=60)
    asyncio.run(prepare(sandboxes).destroy(f"{build_id}/1"))

    watched = taor(installation, "watch", build_id)
    assert watched.status == 0, watched.out + watched.err
    evidence = asyncio.run(_evidence(installation, build_id))
    states = {operation.op_id: operation.state for operation in evidence.operations}
    (lost,) = [op_id for op_id, state in states.items() if state is OperationState.LOST]
    assert [text for text in _told(evidence) if lost in text and "The effects of these tool calls are missing" in text]
    assert sum(text.count(lost) for text in _told(evidence)) == 1
    files = taor(installation, "files", build_id, "-o", str(tmp_path / "files"))
    assert files.status == 0, files.err
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["kept.txt"]
    audited = taor(installation, "audit", build_id)
    assert audited.status == 0, audited.out + audited.err


async def _evidence(options: Options, build_id: str) -> Evidence:
    endpoints = resolve(Wanted(data=options.data))
    async with connect(endpoints) as clients:
        return await gather(clients, await Orchestrator(clients.orchestrator).get(build_id), endpoints.model_record)


def _told(evidence: Evidence) -> list[str]:
    """What the agent was told beside the results of its tools."""
    messages = [orjson.loads(row.body) for row in evidence.log if row.kind is LogKind.USER]
    return [block["text"] for message in messages for block in message["content"] if block["type"] == "text"]
