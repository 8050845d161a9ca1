"""Finds the script that a conversation names, in a folder of scripts or among the synthetic ones."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from taor_model_simulator import scriptfile, synthetic
from taor_model_simulator.errors import Refused, ScriptError
from taor_model_simulator.script import Script

SCRIPT_LINE = re.compile(r"^[ \t>*-]*taor-script:[ \t]*(\S[^\n]*?)[ \t]*$", re.MULTILINE)
FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
MAX_LOADED = 256
NO_SCRIPT = (
    "This server only plays scripts and the conversation names none: its first message has no line `taor-script: NAME`."
    " To have a real model work on your own brief, set ANTHROPIC_API_KEY and start again."
)


@dataclass(frozen=True, slots=True)
class _Loaded:
    script: Script
    files: tuple[Path, ...]
    changed_ns: tuple[int, ...]


class Library:
    """Scripts by name; a changed file is read again."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    def find(self, opening: str) -> Script:
        """The script that a first message names; raises `Refused` when there is none or it cannot be played."""
        named = SCRIPT_LINE.search(opening)
        if named is None:
            raise Refused(NO_SCRIPT)
        try:
            return self._script(named[1])
        except ScriptError as error:
            raise Refused(f"taor-script: {error}") from error

    def _script(self, line: str) -> Script:
        known = self._loaded.get(line)
        if known is not None and known.changed_ns == _changed_ns(known.files):
            self._loaded.move_to_end(line)
            return known.script
        script, files = self._read(line)
        self._loaded[line] = _Loaded(script, files, _changed_ns(files))
        if len(self._loaded) > MAX_LOADED:
            self._loaded.popitem(last=False)
        return script

    def _read(self, line: str) -> tuple[Script, tuple[Path, ...]]:
        wanted = synthetic.recipe(line)
        if wanted is not None:
            return synthetic.compose(line, wanted), ()
        if self._folder is None or not FILE_NAME.fullmatch(line):
            raise ScriptError(f"there is no script {line!r}")
        for path in (self._folder / line / "script.toml", self._folder / f"{line}.toml"):
            if path.is_file():
                return scriptfile.load(path)
        raise ScriptError(f"there is no script {line!r} in {self._folder.name}/")


def _changed_ns(files: tuple[Path, ...]) -> tuple[int, ...]:
    try:
        return tuple(path.stat().st_mtime_ns for path in files)
    except OSError as error:
        raise ScriptError(f"{error.filename}: {error.strerror}") from error
