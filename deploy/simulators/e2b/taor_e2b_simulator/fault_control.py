"""`POST /simulator/faults` arms a fault, `DELETE /simulator/faults` forgets them all: for tests in another process."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from taor_e2b_simulator.errors import Refused
from taor_e2b_simulator.faults import Fault, FaultKind, Faults

FAULTS_PATH = "/simulator/faults"


def fault_routes(faults: Faults) -> list[Route]:
    """The two calls."""

    async def arm(request: Request) -> Response:
        body = await request.json()
        try:
            faults.arm(Fault(**{**body, "kind": FaultKind(body["kind"])}))
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(400, f"this is no fault: {error}") from error
        return Response(status_code=204)

    async def disarm(request: Request) -> Response:
        faults.disarm()
        return Response(status_code=204)

    return [Route(FAULTS_PATH, arm, methods=["POST"]), Route(FAULTS_PATH, disarm, methods=["DELETE"])]
