"""Where a running installation answers: `run/endpoints.json`, readable by its owner only."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from taor_local.files import write_private
from taor_local.folders import Folders
from taor_local.state import read_state

ANTHROPIC_URL = "https://api.anthropic.com"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses (host:port) of the services, the model's base URL, and the file that holds the bearer token."""

    orchestrator: str
    budget: str
    checkpoint: str
    sandbox: str
    preview: str
    model: str
    """The base URL that the orchestrator calls."""
    scripted: bool
    """True when the model is the scripted one of this machine and not a real one."""
    token_file: Path
    data_dir: Path
    model_record: Path | None
    """What the scripted model says that it billed, one JSON object a line; None with a real model."""

    def listening(self) -> tuple[str, ...]:
        """List the addresses on this machine that the installation's parts listen on."""
        own_model = (self.model.removeprefix("http://"),) if self.scripted else ()
        return (self.orchestrator, self.budget, self.checkpoint, self.sandbox, self.preview, *own_model)

    def read_token(self) -> str:
        """Read the bearer token."""
        return self.token_file.read_text().strip()


def plan_endpoints(folders: Folders, base_port: int, environment: Mapping[str, str]) -> Endpoints:
    """Lay out the addresses. A key or a base URL in the caller's environment chooses a real model."""
    at = [f"{HOST}:{base_port + offset}" for offset in range(6)]
    scripted = not (environment.get("ANTHROPIC_API_KEY") or environment.get("ANTHROPIC_BASE_URL"))
    real = environment.get("ANTHROPIC_BASE_URL") or ANTHROPIC_URL
    return Endpoints(
        orchestrator=at[0],
        budget=at[1],
        checkpoint=at[2],
        sandbox=at[3],
        preview=at[4],
        model=f"http://{at[5]}" if scripted else real,
        scripted=scripted,
        token_file=folders.token,
        data_dir=folders.data,
        model_record=folders.run / "model_record.jsonl" if scripted else None,
    )


def write_endpoints(endpoints: Endpoints) -> None:
    """Publish the addresses; readers see the old file or the new one."""
    text = json.dumps(asdict(endpoints), default=str, indent=2)
    write_private(Folders(endpoints.data_dir).endpoints, text + "\n")


def read_endpoints(data_dir: Path) -> Endpoints | None:
    """Read where the installation answers; None when none runs."""
    folders = Folders(data_dir)
    if not read_state(folders.state).is_supervised() or not folders.endpoints.exists():
        return None
    fields = json.loads(folders.endpoints.read_text())
    for name in ("token_file", "data_dir", "model_record"):
        fields[name] = Path(fields[name]) if fields[name] else None
    return Endpoints(**fields)
