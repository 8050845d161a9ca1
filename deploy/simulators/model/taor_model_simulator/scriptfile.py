"""Reads a script from a TOML file; the README shows the format. Long contents stand as real files beside it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

from taor_model_simulator.errors import ScriptError
from taor_model_simulator.request import Object
from taor_model_simulator.script import Fault, FaultKind, Script, Step, Tool

MAX_FILE_BYTES = 1024 * 1024
SCRIPT_KEYS = {"title", "again", "latency_ms", "pace_ms", "step"}
STEP_KEYS = {"think", "say", "tool", "stop", "fault", "again", "latency_ms", "pace_ms"}
TOOL_KEYS = {"name", "input", "files", "expect", "reject"}
FAULT_KEYS = {"kind", "times", "after_events", "seconds", "retry_after"}


def load(path: Path) -> tuple[Script, tuple[Path, ...]]:
    """The script in this file and every file that it was read from; raises `ScriptError` with the file and the step."""
    try:
        table = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ScriptError(f"{path}: {error}") from error
    read = [path]

    def beside(name: str) -> str:
        read.append(_beside(path.parent, name))
        return _text(read[-1])

    try:
        _only(table, SCRIPT_KEYS, "the file")
        steps = tuple(
            _step(step, table, f"step {number}", beside) for number, step in enumerate(_tables(table, "step"), 1)
        )
    except (ScriptError, TypeError, ValueError) as error:
        raise ScriptError(f"{path}: {error}") from error
    if not steps:
        raise ScriptError(f"{path}: a script needs at least one [[step]]")
    return Script(path.parent.name if path.name == "script.toml" else path.stem, steps), tuple(read)


def _step(table: Object, defaults: Object, where: str, beside: Callable[[str], str]) -> Step:
    _only(table, STEP_KEYS, where)
    fault = table.get("fault")
    return Step(
        think=str(table.get("think", "")).strip(),
        say=str(table.get("say", "")).strip(),
        tools=tuple(_tool(tool, where, beside) for tool in _tables(table, "tool")),
        stop=str(table.get("stop", "")),
        fault=_fault(fault, where) if fault is not None else None,
        again=str(table.get("again", defaults.get("again", ""))),
        latency_seconds=_milliseconds(table, defaults, "latency_ms"),
        pace_seconds=_milliseconds(table, defaults, "pace_ms"),
    )


def _tool(table: Object, where: str, beside: Callable[[str], str]) -> Tool:
    _only(table, TOOL_KEYS, where)
    if not isinstance(table.get("name"), str):
        raise ScriptError(f"{where}: a tool needs a name")
    arguments = dict(_table(table.get("input", {}), f"{where}: input"))
    for key, name in _table(table.get("files", {}), f"{where}: files").items():
        arguments[key] = beside(str(name))
    return Tool(str(table["name"]), arguments, expect=str(table.get("expect", "")), reject=str(table.get("reject", "")))


def _fault(value: object, where: str) -> Fault:
    table = _table(value, f"{where}: fault")
    _only(table, FAULT_KEYS, f"{where}: fault")
    return Fault(
        kind=FaultKind(table.get("kind")),
        times=int(str(table.get("times", 1))),
        after_events=int(str(table.get("after_events", 4))),
        seconds=float(str(table.get("seconds", 0))),
        retry_after=str(table.get("retry_after", "")),
    )


def fault_from(table: Object) -> Fault:
    """A fault declared outside a script, with the same keys."""
    try:
        return _fault(table, "fault")
    except ValueError as error:
        raise ScriptError(str(error)) from error


def _milliseconds(table: Object, defaults: Object, key: str) -> float:
    return float(str(table.get(key, defaults.get(key, 0)))) / 1000


def _tables(table: Object, key: str) -> list[Object]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise ScriptError(f"{key} must be written as [[{key}]]")
    return [_table(item, key) for item in value]


def _table(value: object, where: str) -> Object:
    if not isinstance(value, dict):
        raise ScriptError(f"{where} must be a table")
    return value


def _only(table: Object, known: set[str], where: str) -> None:
    if unknown := sorted(table.keys() - known):
        raise ScriptError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _beside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ScriptError(f"{name!r} is outside the script's folder")
    return path


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScriptError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ScriptError(f"{path}: over {MAX_FILE_BYTES} bytes")
    return data.decode()
