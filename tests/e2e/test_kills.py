"""Every process of an installation is killed in the midst of a build; the build does not notice in the end."""

import os
import signal
from pathlib import Path

import grpc
from taor.orchestrator.v1.orchestrator_pb2 import InspectBuildRequest
from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceStub

from taor_local.endpoints import read_endpoints
from taor_local.options import Options
from tests.support.command import Said, taor
from tests.support.gate import Gate
from tests.support.installation import process_of

VICTIMS = ("sandbox", "orchestrator", "checkpoint", "budget", "postgres", "model")


def test_a_build_survives_the_kill_of_every_process_in_turn(installation: Options, tmp_path: Path) -> None:
    build_id = str(_order(installation, tmp_path).document["build_id"])
    for number, victim in enumerate(VICTIMS, start=1):
        gate = Gate(installation, build_id, str(number))
        gate.wait_until_reached()
        os.kill(process_of(installation, victim).pid, signal.SIGKILL)
        gate.open()
    watched = taor(installation, "watch", build_id)
    assert watched.status == 0, watched.out + watched.err

    files = taor(installation, "files", build_id, "-o", str(tmp_path / "files"))
    assert files.status == 0, files.err
    assert (tmp_path / "files" / "count").read_text() == "one\ntwo\nthree\nfour\nfive\nsix\n"
    audited = taor(installation, "audit", build_id)
    assert audited.status == 0, audited.out + audited.err
    assert _epoch(installation, build_id) > 1

    assert _order(installation, tmp_path).document["build_id"] == build_id
    other = _order(installation, tmp_path, idea="Count to seven.")
    assert other.status == 4
    assert "REQUEST_ID_CONFLICT" in other.err


def _order(options: Options, folder: Path, *, idea: str = "Count to six.") -> Said:
    """The same order every time, unless the idea is another."""
    brief = folder / "brief.md"
    brief.write_text(f"{idea}\n\ntaor-script: count\n")
    return taor(options, "build", "--brief", str(brief), "--no-follow", "--json", "--request-id", "order-1")


def _epoch(options: Options, build_id: str) -> int:
    endpoints = read_endpoints(options.data)
    assert endpoints is not None
    token = endpoints.token_file.read_text().strip()
    with grpc.insecure_channel(endpoints.orchestrator) as channel:
        inspected = OrchestratorServiceStub(channel).InspectBuild(
            InspectBuildRequest(build_id=build_id), timeout=60, metadata=(("authorization", f"Bearer {token}"),)
        )
    return inspected.epoch
