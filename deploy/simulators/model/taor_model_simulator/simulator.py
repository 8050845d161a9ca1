"""One request from its bytes to its answer: validate, find the step, fail if told to, account, record, play."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson

from taor_model_simulator import answer, faults, history, playback, player, prefix, request, scriptfile
from taor_model_simulator.cache import PromptCache
from taor_model_simulator.errors import Refused, ScriptError
from taor_model_simulator.http import HttpRequest, Reply
from taor_model_simulator.library import Library
from taor_model_simulator.record import Line, Record
from taor_model_simulator.script import Fault

BUILD_LINE = re.compile(r"^[ \t>*-]*taor-build:[ \t]*(\S{1,200})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where time comes from; tests bring their own."""

    utc: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


class Simulator:
    """The server without its sockets."""

    def __init__(self, library: Library, record: Record, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()
        self._library = library
        self._record = record
        self._cache = PromptCache(self._clocks.monotonic)
        self._faults = faults.Faults()

    async def handle(self, call: HttpRequest, reply: Reply) -> None:
        """Answer one HTTP request; raises `Refused` for what is to be answered as an error."""
        match call.method, call.path:
            case "GET", "/health":
                await reply.whole(200, b'{"status":"serving"}')
            case "POST", "/v1/messages":
                _authenticate(call)
                await self._message(call, reply)
            case "POST", "/v1/messages/count_tokens":
                _authenticate(call)
                counted = prefix.trace(request.parse(call.body, counting=True))
                await reply.whole(200, orjson.dumps({"input_tokens": counted.tokens}))
            case "POST", "/control/faults":
                self._faults.arm(_declared(call.body))
                await reply.whole(200, b"{}")
            case "DELETE", "/control/faults":
                self._faults.disarm()
                await reply.whole(200, b"{}")
            case _:
                raise Refused(f"{call.method} {call.path} is not served here", status=404, kind="not_found_error")

    async def _message(self, call: HttpRequest, reply: Reply) -> None:
        asked = request.parse(call.body)
        prompt = prefix.trace(asked)
        history.validate(asked, prompt)
        script = self._library.find(asked.opening)
        number, step = player.next_step(script, asked)
        line = self._line(asked, reply, script.name, number)
        fault = self._faults.strike(prompt.digest + asked.user_id.encode(), step.fault)
        if fault is not None:
            line = replace(line, fault=fault.kind.value)
            self._refuse(fault, line)
        message = answer.compose(step, asked, prompt, self._cache.serve(asked.model, prompt))
        self._record.add(replace(line, billed=True, usage=answer.usage(message)))
        await asyncio.sleep(step.latency_seconds)
        if asked.stream:
            await playback.stream(message, step.pace_seconds, fault, reply)
        else:
            await playback.whole(message, fault, reply)

    def _refuse(self, fault: Fault, line: Line) -> None:
        """Raise `Refused`, and record it, if this fault is an HTTP error."""
        refusal = faults.refusal(fault)
        if refusal is not None:
            self._record.add(replace(line, status=refusal.status))
            raise refusal

    def _line(self, asked: request.Request, reply: Reply, script: str, step: int) -> Line:
        return Line(
            time=self._clocks.utc().isoformat(),
            request_id=reply.request_id,
            request_sha256=asked.sha256,
            model=asked.model,
            script=script,
            step=step,
            build=_build_of(asked),
            user_id=asked.user_id,
            status=200,
            fault="",
            billed=False,
            usage=None,
        )


def _build_of(asked: request.Request) -> str:
    """The build that pays: a fork inherits the messages of another, and then names itself."""
    named = BUILD_LINE.findall("\n".join(asked.told))
    return str(named[-1]) if named else ""


def _authenticate(call: HttpRequest) -> None:
    if not call.headers.get("x-api-key") and not call.headers.get("authorization", "").startswith("Bearer "):
        raise Refused("x-api-key header is required", status=401, kind="authentication_error")
    if "anthropic-version" not in call.headers:
        raise Refused("anthropic-version: header is required")


def _declared(body: bytes) -> Fault:
    try:
        table = orjson.loads(body)
        return scriptfile.fault_from(table if isinstance(table, dict) else {})
    except (orjson.JSONDecodeError, ScriptError) as error:
        raise Refused(f"fault: {error}") from error
