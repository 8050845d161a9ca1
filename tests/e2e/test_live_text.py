"""Whoever asks for them is sent the words of the model while they come, without the secrets among them."""

from pathlib import Path

from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli.clients import connect
from taor_cli.endpoints import Wanted, resolve
from taor_local.options import Options
from tests.support.command import taor
from tests.support.gate import Gate

SHOWN = "I found the key [redacted anthropic-key] in a file; nobody is to see "


async def test_the_words_of_a_call_are_streamed_to_who_asks_for_them(installation: Options, tmp_path: Path) -> None:
    (tmp_path / "brief.md").write_text("Speak.\n\ntaor-script: speak\n")
    started = taor(installation, "build", "--brief", str(tmp_path / "brief.md"), "--no-follow", "--json")
    build_id = str(started.document["build_id"])
    gate = Gate(installation, build_id, "words")
    gate.wait_until_reached()
    words, kinds = "", []
    async with connect(resolve(Wanted(data=installation.data))) as clients:
        request = pb.WatchBuildRequest(build_id=build_id, include_text_deltas=True)
        async for response in clients.orchestrator.WatchBuild(request, timeout=120):
            if response.WhichOneof("news") == "text_delta":
                assert response.text_delta.turn == 2
                words += response.text_delta.text
            else:
                kinds.append(response.event.WhichOneof("what"))
                if kinds[-1] == "turn_taken":
                    assert words == ("" if kinds.count("turn_taken") == 1 else SHOWN)
                gate.open()  # there is a listener now
    assert kinds[-1] == "ended"
