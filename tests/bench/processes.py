"""What the parts of an installation have used: processor time and memory, read from the kernel."""

from dataclasses import dataclass

import psutil

from taor_local.installation import status
from taor_local.options import Options

SERVICES = ("orchestrator", "budget", "checkpoint", "sandbox")


@dataclass(frozen=True, slots=True)
class CpuSeconds:
    """Processor time by part, since each was started; `sandboxes` is all that ran for builds inside them."""

    orchestrator: float
    budget: float
    checkpoint: float
    sandbox: float
    sandboxes: float
    postgres: float
    model: float

    @property
    def services(self) -> float:
        """What our own four processes used."""
        return self.orchestrator + self.budget + self.checkpoint + self.sandbox

    def since(self, earlier: "CpuSeconds") -> "CpuSeconds":
        """What was used between an earlier reading and this one."""
        return CpuSeconds(*(getattr(self, name) - getattr(earlier, name) for name in CpuSeconds.__slots__))


def read_cpu(options: Options) -> CpuSeconds:
    """Read what every part has used so far."""
    state = status(options)
    assert state.supervisor is not None
    pids = {part.name: part.process.pid for part in state.parts if part.process}
    own = {name: _own_seconds(psutil.Process(pid)) for name, pid in pids.items()}
    postgres = _family_seconds(psutil.Process(pids["postgres"]))
    family = _family_seconds(psutil.Process(state.supervisor.pid))
    known = sum(own[name] for name in (*SERVICES, "model")) + postgres
    supervisor = _own_seconds(psutil.Process(state.supervisor.pid))
    return CpuSeconds(
        **{name: own[name] for name in SERVICES},
        sandboxes=family - known - supervisor,
        postgres=postgres,
        model=own["model"],
    )


def services_rss_bytes(options: Options) -> int:
    """The resident memory of our four services together, without what runs in sandboxes."""
    pids = [part.process.pid for part in status(options).parts if part.process and part.name in SERVICES]
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


def _own_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _family_seconds(process: psutil.Process) -> float:
    """A process, its living descendants, and those that have ended and were waited for."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue  # ended meanwhile: its parent has it among its children's times
        total += times.user + times.system + times.children_user + times.children_system
    return float(total)
