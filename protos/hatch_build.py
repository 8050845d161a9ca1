"""Generates the Python stubs of every contract while the package is built; no generated file is ever committed."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateStubs(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        output = root / "generated"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        sources = sorted(str(path.relative_to(root)) for path in root.glob("taor/**/*.proto"))
        outputs = [f"--{kind}_out={output}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        plugins = [
            f"--plugin=protoc-gen-{kind}={Path(sys.executable).parent / f'protoc-gen-{kind}'}"
            for kind in ("mypy", "mypy_grpc")
        ]
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", "-I.", *plugins, *outputs, *sources], cwd=root, check=True
        )
        build_data["force_include"][str(output / "taor")] = "taor"
