"""`append`: what writing history costs over the wire, early and late in a build."""

from typing import TYPE_CHECKING
from uuid import uuid4

from taor.checkpoint.v1 import checkpoint_pb2 as pb

from taor_cli.clients import connect
from tests.bench.figures import Figure, Reference, at_most
from tests.bench.home import Home
from tests.bench.progress import tell
from tests.bench.record import around
from tests.bench.timing import milliseconds_of, p50

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.checkpoint.v1.checkpoint_pb2_grpc import CheckpointServiceAsyncStub

LOGS, QUICK_LOGS = 10, 2
TURNS = 200
EARLY, LATE = 10, 190
MOST_GROWTH = 1.15
ANSWER = b'{"role":"assistant","content":"' + b"a" * 2000 + b'"}'
RESULTS = b'{"role":"user","content":"' + b"r" * 2000 + b'"}'


class Log:
    """The log of one build, as an orchestrator writes it."""

    def __init__(self, stub: "CheckpointServiceAsyncStub") -> None:
        self._stub = stub
        self._build_id = str(uuid4())
        self._head = 0

    async def open(self) -> None:
        """Attach, and write what a log begins with."""
        request = pb.AttachBuildRequest(build_id=self._build_id, epoch=1, owner="bench", project_id="bench")
        async for _ in self._stub.AttachBuild(request):
            pass
        await self._append(pb.LogEntry(kind=pb.LogEntry.HEAD, body=b'{"model":"bench"}'))
        await self._append(pb.LogEntry(kind=pb.LogEntry.USER, body=RESULTS))

    async def turn(self, number: int) -> None:
        """An answer and the results of its tools, one append each."""
        call = pb.ModelCall(
            rid=f"{self._build_id}/1/{number}",
            request_sha256=bytes(32),
            model="bench",
            max_output_tokens=8000,
            stop_reason="tool_use",
            price_id="bench",
        )
        call.start_time.GetCurrentTime()
        await self._append(pb.LogEntry(kind=pb.LogEntry.ASSISTANT, body=ANSWER, call=call))
        await self._append(pb.LogEntry(kind=pb.LogEntry.USER, body=RESULTS))

    async def _append(self, entry: pb.LogEntry) -> None:
        request = pb.AppendEntriesRequest(build_id=self._build_id, epoch=1, head=self._head, entries=[entry])
        self._head = (await self._stub.AppendEntries(request)).head


async def measure(home: Home) -> list[Figure]:
    """Write whole logs, one after another, and compare their turns."""
    logs = QUICK_LOGS if home.quick else LOGS
    tell(f"append: {logs} logs of {TURNS} turns")
    async with connect(home.addresses) as clients:
        taken = [await _one_log(clients.checkpoint) for _ in range(logs)]
    early, late = (p50([around(turns, number) for turns in taken]) for number in (EARLY, LATE))
    return [
        Figure("append", "two appends of 2 kB, p50", p50([each for turns in taken for each in turns]), "ms"),
        Figure("append", f"turn {LATE}", late, "ms", Reference(f"turn {EARLY}", early), at_most(MOST_GROWTH)),
    ]


async def _one_log(stub: "CheckpointServiceAsyncStub") -> list[float]:
    log = Log(stub)
    await log.open()
    return await milliseconds_of(log.turn, range(TURNS))
