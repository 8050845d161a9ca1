"""The whole simulator as one ASGI application: E2B's control plane, every sandbox's envd, and the faults in front."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path

from e2b.envd.filesystem.filesystem_connect import FilesystemASGIApplication
from e2b.envd.process.process_connect import ProcessASGIApplication
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taor_e2b_simulator import files
from taor_e2b_simulator.control_plane import ControlPlane
from taor_e2b_simulator.errors import Refused, StreamCut
from taor_e2b_simulator.fault_control import FAULTS_PATH, fault_routes
from taor_e2b_simulator.faults import Fault, FaultKind, Faults
from taor_e2b_simulator.filesystem_service import FilesystemService
from taor_e2b_simulator.process_service import ProcessService
from taor_e2b_simulator.sandbox import Sandbox
from taor_e2b_simulator.shelf import TMP_BYTES, Shelf

API_KEY = "e2b_0000000000000000000000000000000000000000"
_REFUSALS = {
    FaultKind.BAD_GATEWAY: Refused(502, "bad gateway"),
    FaultKind.BUSY: Refused(503, "no capacity right now"),
    FaultKind.RATE_LIMITED: Refused(429, "rate limit exceeded"),
}
_STRIKING = frozenset(FaultKind) - {FaultKind.LOST_CHANGES}


class Simulator:
    """Sandboxes below `root`; every request carries the header that names its sandbox, as through E2B's own proxy."""

    def __init__(self, root: Path, *, api_key: str = API_KEY, tmp_bytes: int = TMP_BYTES) -> None:
        self.faults = Faults()
        self.shelf = Shelf(root, self.faults, tmp_bytes)
        current: ContextVar[Sandbox] = ContextVar("sandbox")
        self._current = current
        self._rpcs: dict[str, ASGIApp] = {
            "/process.Process/": ProcessASGIApplication(ProcessService(current)),
            "/filesystem.Filesystem/": FilesystemASGIApplication(FilesystemService(current)),
        }
        self._rest = Starlette(
            routes=[
                *ControlPlane(self.shelf, api_key).routes(),
                *fault_routes(self.faults),
                Route("/health", self._envd(_health), methods=["GET"]),
                Route("/files", self._envd(files.download), methods=["GET"]),
                Route("/files", self._envd(files.upload), methods=["POST"]),
            ],
            exception_handlers={Refused: _refusal, HTTPException: _refusal},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, struck by a fault or not."""
        can_fail = scope["type"] == "http" and scope["path"] != FAULTS_PATH
        fault = self.faults.strike(scope["path"], _STRIKING) if can_fail else None
        if fault is None:
            await self._serve(scope, receive, send)
        else:
            await self._strike(fault, scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        for prefix, rpc in self._rpcs.items():
            if scope.get("path", "").startswith(prefix):
                try:
                    self._current.set(self._routed(Request(scope), guarded=True))
                except Refused as refused:
                    await _answer(refused)(scope, receive, send)
                    return
                await rpc(scope, receive, send)
                return
        await self._rest(scope, receive, send)

    async def _strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind in _REFUSALS:
            await _answer(_REFUSALS[fault.kind])(scope, receive, send)
            return
        if fault.kind is FaultKind.DEATH:
            await self.shelf.destroy(self._routed(Request(scope), guarded=False))
        await self._serve(scope, receive, _struck(fault, send))

    def _routed(self, request: Request, *, guarded: bool) -> Sandbox:
        sandbox = self.shelf.running(request.headers.get("e2b-sandbox-id", ""))
        if guarded and request.headers.get("x-access-token") != sandbox.token:
            raise Refused(401, "unauthorized access")
        return sandbox

    def _envd(
        self, handler: Callable[[Request, Sandbox], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def routed(request: Request) -> Response:
            return await handler(request, self._routed(request, guarded=request.url.path != "/health"))

        return routed


def _struck(fault: Fault, send: Send) -> Send:
    """How an answer leaves when a fault has hit it."""
    left = fault.after_bytes

    async def struck(message: Message) -> None:
        nonlocal left
        if fault.kind is FaultKind.LOST_ANSWER and not message.get("more_body", False) and "body" in message:
            raise StreamCut
        if fault.kind is FaultKind.LOST_ANSWER:
            return
        if fault.kind is FaultKind.SLOW and message["type"] == "http.response.start":
            await asyncio.sleep(fault.seconds)
        if fault.kind is FaultKind.CUT_STREAM and "body" in message:
            left -= len(message["body"])
            if left < 0:
                raise StreamCut
        await send(message)

    return struck


async def _health(request: Request, sandbox: Sandbox) -> Response:
    return Response(status_code=204)


async def _refusal(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return _answer(Refused(error.status_code, error.detail))
    assert isinstance(error, Refused)
    return _answer(error)


def _answer(refused: Refused) -> JSONResponse:
    body: dict[str, str | int] = {"code": refused.status, "message": refused.message}
    if refused.code:
        body["error_code"] = refused.code
    return JSONResponse(body, refused.status)
