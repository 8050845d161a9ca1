"""The `taor` command as a person runs it, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from taor_local.options import Options

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        """The JSON document of a command that was asked for `--json`."""
        parsed = json.loads(self.out)
        assert isinstance(parsed, dict)
        return parsed


def taor(options: Options, *arguments: str, environment: Mapping[str, str] | None = None) -> Said:
    """Run `taor ARGUMENTS` against the installation of `options`."""
    ours = {"TAOR_DATA": str(options.data), "NO_COLOR": "1", **(environment or {})}
    done = subprocess.run(
        [sys.executable, "-m", "taor_cli", *arguments],
        env={**os.environ, **ours},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
