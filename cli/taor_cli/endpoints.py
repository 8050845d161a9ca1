"""Which installation a command talks to: the one of this machine, or any other by --target."""

from dataclasses import dataclass
from pathlib import Path

from taor_cli.exits import UnreachableError, UsageError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line and the environment say about the installation; None where they say nothing."""

    target: str | None = None
    budget: str | None = None
    checkpoint: str | None = None
    sandbox: str | None = None
    token: str | None = None
    token_file: Path | None = None
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses (host:port) of the four services and the token that opens them."""

    orchestrator: str
    budget: str
    checkpoint: str
    sandbox: str
    token: str
    scripted: bool = False
    """Whether the model is known to be the scripted one."""
    model_record: Path | None = None
    """What the scripted model says that it billed; only at home."""
    data: Path | None = None
    """The data folder of the installation; only at home."""


def resolve(wanted: Wanted) -> Endpoints:
    """Find the addresses. UnreachableError when none are given and nothing runs on this machine."""
    return _named(wanted, wanted.target) if wanted.target else _at_home(wanted)


def _named(wanted: Wanted, target: str) -> Endpoints:
    host, _, port_text = target.rpartition(":")
    if not host or not port_text.isdecimal():
        raise UsageError(f"--target {target!r} is not HOST:PORT")
    port = int(port_text)
    return Endpoints(
        orchestrator=target,
        budget=wanted.budget or f"{host}:{port + 1}",
        checkpoint=wanted.checkpoint or f"{host}:{port + 2}",
        sandbox=wanted.sandbox or f"{host}:{port + 3}",
        token=_token(wanted),
    )


def _token(wanted: Wanted) -> str:
    if wanted.token:
        return wanted.token
    if wanted.token_file is None:
        raise UsageError("--target needs a token", advice="give --token-file FILE, --token TOKEN or TAOR_TOKEN")
    try:
        return wanted.token_file.read_text().strip()
    except OSError as error:
        raise UsageError(f"the token file cannot be read: {error.strerror}: {wanted.token_file}") from error


def _at_home(wanted: Wanted) -> Endpoints:
    # Here and not above: a command with --target needs nothing of this package.
    from taor_local.endpoints import read_endpoints
    from taor_local.folders import default_data_folder

    home = read_endpoints(wanted.data or default_data_folder())
    if home is None:
        raise UnreachableError("taor is not running on this machine", advice="start it with `taor up`")
    return Endpoints(
        orchestrator=home.orchestrator,
        budget=wanted.budget or home.budget,
        checkpoint=wanted.checkpoint or home.checkpoint,
        sandbox=wanted.sandbox or home.sandbox,
        token=_token(wanted) if wanted.token or wanted.token_file else home.read_token(),
        scripted=home.scripted,
        model_record=home.model_record,
        data=home.data_dir,
    )
