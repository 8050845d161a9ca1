"""`process.Process` of E2B's envd: start commands, listen to them, signal them. Pseudo terminals are not offered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import Process

from taor_e2b_simulator import view
from taor_e2b_simulator.errors import Refused
from taor_e2b_simulator.execution import Execution
from taor_e2b_simulator.sandbox import Sandbox


class ProcessService(Process):
    """Serves the sandbox that the request was routed to."""

    def __init__(self, current: ContextVar[Sandbox]) -> None:
        self._current = current

    async def list(
        self, request: pb.ListRequest, ctx: RequestContext[pb.ListRequest, pb.ListResponse], /
    ) -> pb.ListResponse:
        """The commands that run."""
        running = [each for each in self._current.get().executions.values() if each.end is None]
        return pb.ListResponse(
            processes=[pb.ProcessInfo(config=each.config, pid=each.pid, tag=each.tag or None) for each in running]
        )

    async def start(
        self, request: pb.StartRequest, ctx: RequestContext[pb.StartRequest, pb.StartResponse], /
    ) -> AsyncIterator[pb.StartResponse]:
        """Start a command and follow it; whoever hangs up leaves it running."""
        sandbox = self._current.get()
        if request.pty is not None:
            raise ConnectError(Code.UNIMPLEMENTED, "the simulator has no pseudo terminals")
        execution = await _start(sandbox, request)
        try:
            async for event in execution.listen(None if ctx.timeout_ms is None else ctx.timeout_ms / 1000):
                yield pb.StartResponse(event=event)
        except TimeoutError as error:
            raise ConnectError(Code.DEADLINE_EXCEEDED, "the command took too long") from error

    async def connect(
        self, request: pb.ConnectRequest, ctx: RequestContext[pb.ConnectRequest, pb.ConnectResponse], /
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Follow a command from now on."""
        async for event in self._find(request.process, ended=True).listen():
            yield pb.ConnectResponse(event=event)

    async def send_signal(
        self, request: pb.SendSignalRequest, ctx: RequestContext[pb.SendSignalRequest, pb.SendSignalResponse], /
    ) -> pb.SendSignalResponse:
        """Signal the leader; its children are left alone."""
        self._find(request.process).signal(int(request.signal))
        return pb.SendSignalResponse()

    async def send_input(
        self, request: pb.SendInputRequest, ctx: RequestContext[pb.SendInputRequest, pb.SendInputResponse], /
    ) -> pb.SendInputResponse:
        """Write to a command's stdin."""
        given = request.input.input if request.input is not None else None
        if given is None or given.field != "stdin":
            raise ConnectError(Code.INVALID_ARGUMENT, "only stdin takes input here")
        await self._find(request.process).write(given.value)
        return pb.SendInputResponse()

    async def close_stdin(
        self, request: pb.CloseStdinRequest, ctx: RequestContext[pb.CloseStdinRequest, pb.CloseStdinResponse], /
    ) -> pb.CloseStdinResponse:
        """End a command's stdin."""
        self._find(request.process).close_stdin()
        return pb.CloseStdinResponse()

    def _find(self, process: pb.ProcessSelector | None, *, ended: bool = False) -> Execution:
        selector = process.selector if process is not None else None
        for execution in self._current.get().executions.values():
            wanted = execution.pid if selector is not None and selector.field == "pid" else execution.tag
            if selector is not None and selector.value == wanted and (ended or execution.end is None):
                return execution
        raise ConnectError(Code.NOT_FOUND, "process not found")


async def _start(sandbox: Sandbox, request: pb.StartRequest) -> Execution:
    config = request.process
    if config is None:
        raise ConnectError(Code.INVALID_ARGUMENT, "a process is needed")
    env = view.environment() | sandbox.order.env | dict(config.envs)
    cwd = config.cwd if config.has_field("cwd") and config.cwd else view.HOME
    stdin = request.stdin if request.has_field("stdin") else True
    tag = request.tag if request.has_field("tag") else ""
    try:
        execution = await Execution.start(sandbox.machine, config, env, cwd, tag=tag, stdin=stdin)
        sandbox.add(execution)
        execution.when_over(lambda: sandbox.forget_soon(execution))
    except Refused as refused:
        code = Code.INVALID_ARGUMENT if refused.status == 400 else Code.UNAVAILABLE
        raise ConnectError(code, refused.message) from refused
    return execution
