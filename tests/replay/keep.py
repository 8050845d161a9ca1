"""Keeps a build for later releases: `python -m tests.replay.keep BUILD NAME [--data DIR]`.

It reads log and events of an ended build from the installation of this machine, and writes them to
`tests/replay/corpus/NAME.jsonl`. Keep one build whenever a release changes what a log can hold.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from taor.checkpoint.v1.checkpoint_pb2 import ReadLogRequest
from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceStub
from taor.orchestrator.v1.orchestrator_pb2 import WatchBuildRequest
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from taor_chassis.client import open_channel
from taor_local.endpoints import Endpoints, read_endpoints
from taor_local.folders import default_data_folder
from tests.replay.recording import entry_line, event_line

CORPUS = Path(__file__).parent / "corpus"
STREAM_SECONDS = 60.0


async def recorded(endpoints: Endpoints, build_id: str) -> bytes:
    """The log and the derived events of an ended build, as lines."""
    token = endpoints.read_token()
    lines: list[bytes] = []
    async with open_channel(endpoints.checkpoint, token=token) as channel:
        read = CheckpointServiceStub(channel).ReadLog(ReadLogRequest(build_id=build_id), timeout=STREAM_SECONDS)
        async for page in read:
            lines += map(entry_line, page.entries)
    async with open_channel(endpoints.orchestrator, token=token) as channel:
        watch = OrchestratorServiceStub(channel).WatchBuild(
            WatchBuildRequest(build_id=build_id), timeout=STREAM_SECONDS
        )
        async for response in watch:
            if response.event.log_sequence:
                lines.append(event_line(response.event))
    return b"\n".join(lines) + b"\n"


def main() -> None:
    """Keep one build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build")
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, default=default_data_folder())
    arguments = parser.parse_args()
    endpoints = read_endpoints(arguments.data)
    if endpoints is None:
        raise SystemExit("taor is not up; start it with ./taor up")
    (CORPUS / f"{arguments.name}.jsonl").write_bytes(asyncio.run(recorded(endpoints, arguments.build)))


if __name__ == "__main__":
    main()
