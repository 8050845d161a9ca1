"""E2B's REST interface: create, list, connect, pause, time-out, kill. The bodies are E2B's own."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from taor_e2b_simulator.errors import Refused
from taor_e2b_simulator.sandbox import Order, Sandbox
from taor_e2b_simulator.shelf import Shelf

ENVD_VERSION = "0.6.13"
_DEFAULT_TIMEOUT_SECONDS = 15
_PAGE = 100

Json = dict[str, Any]  # as the JSON library gives it; nothing of it travels further than `_order`


class ControlPlane:
    """Answers for the sandboxes of one shelf, to whoever knows the key."""

    def __init__(self, shelf: Shelf, api_key: str) -> None:
        self._shelf = shelf
        self._api_key = api_key

    def routes(self) -> list[Route]:
        """Method and path of every call that the SDK makes in a sandbox's life."""
        table: tuple[tuple[str, str, Callable[[Request], Awaitable[Response]]], ...] = (
            ("POST", "/v2/sandboxes", self._create),
            ("GET", "/v2/sandboxes", self._list),
            ("GET", "/sandboxes/{id}", self._info),
            ("DELETE", "/sandboxes/{id}", self._kill),
            ("POST", "/sandboxes/{id}/timeout", self._set_timeout),
            ("POST", "/sandboxes/{id}/pause", self._pause),
            ("POST", "/v2/sandboxes/{id}/connect", self._connect),
        )
        return [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table]

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if not hmac.compare_digest(request.headers.get("x-api-key", ""), self._api_key):
                raise Refused(401, "Invalid API key")
            return await handler(request)

        return guarded

    def _sandbox(self, request: Request) -> Sandbox:
        return self._shelf.find(request.path_params["id"])

    async def _create(self, request: Request) -> Response:
        order = _order(await request.json())
        sandbox = await self._shelf.create(order, request.headers.get("idempotency-key"))
        return JSONResponse(_summary(sandbox), 201)

    async def _list(self, request: Request) -> Response:
        # The SDK encodes names and values, and then the whole of it once more.
        wanted = {unquote(k): unquote(v) for k, v in parse_qsl(request.query_params.get("metadata", ""))}
        states = {state for item in request.query_params.getlist("state") for state in item.split(",")}
        found = [
            sandbox
            for sandbox in self._shelf
            if (not states or sandbox.state.value in states) and wanted.items() <= sandbox.order.metadata.items()
        ]
        begin = int(request.query_params.get("nextToken") or 0)
        end = begin + int(request.query_params.get("limit") or _PAGE)
        headers = {"x-next-token": str(end)} if end < len(found) else {}
        return JSONResponse([_detail(sandbox) for sandbox in found[begin:end]], headers=headers)

    async def _info(self, request: Request) -> Response:
        return JSONResponse(_detail(self._sandbox(request)))

    async def _kill(self, request: Request) -> Response:
        await self._shelf.destroy(self._sandbox(request))
        return Response(status_code=204)

    async def _set_timeout(self, request: Request) -> Response:
        self._shelf.end_in(self._shelf.running(request.path_params["id"]), (await request.json())["timeout"])
        return Response(status_code=204)

    async def _pause(self, request: Request) -> Response:
        body = await request.body()
        memory = (await request.json()).get("memory", True) if body else True
        await self._shelf.pause(self._sandbox(request), memory=memory is not False)
        return Response(status_code=204)

    async def _connect(self, request: Request) -> Response:
        sandbox, body = self._sandbox(request), await request.json()
        resumed = await self._shelf.resume(
            sandbox, body.get("timeout", _DEFAULT_TIMEOUT_SECONDS), memory=body.get("memory") is not False
        )
        return JSONResponse(_summary(sandbox), 201 if resumed else 200)


def _order(body: Json) -> Order:
    return Order(
        template=body["templateID"],
        timeout_seconds=body.get("timeout", _DEFAULT_TIMEOUT_SECONDS),
        pauses_on_timeout=bool(body.get("autoPause")),
        metadata=dict(body.get("metadata") or {}),
        env=dict(body.get("envVars") or {}),
        network=dict(body.get("network") or {}),
    )


def _summary(sandbox: Sandbox) -> Json:
    return {
        "templateID": sandbox.order.template,
        "sandboxID": sandbox.sandbox_id,
        "clientID": "simulator",
        "envdVersion": ENVD_VERSION,
        "envdAccessToken": sandbox.token,
        "domain": None,
    }


def _detail(sandbox: Sandbox) -> Json:
    return {
        **_summary(sandbox),
        "startedAt": sandbox.started_at.isoformat(),
        "endAt": sandbox.ends_at.isoformat(),
        "cpuCount": 2,
        "memoryMB": 1024,
        "diskSizeMB": 10_240,
        "state": sandbox.state.value,
        "metadata": sandbox.order.metadata,
        "network": sandbox.order.network,
        "lifecycle": {"onTimeout": "pause" if sandbox.order.pauses_on_timeout else "kill", "autoResume": False},
    }
