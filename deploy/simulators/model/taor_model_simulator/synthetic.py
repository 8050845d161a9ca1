"""Scripts made from a few numbers, for measurements: `bench-200`, `synthetic turns=60 tools=2 latency_ms=500`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from taor_model_simulator.errors import ScriptError
from taor_model_simulator.script import Script, Step, Tool, finish

MAX_TURNS = 10_000
MAX_SCRIPT_BYTES = 64 * 1024 * 1024
SHORT_NAME = re.compile(r"bench-(\d{1,5})")


@dataclass(frozen=True)
class Recipe:
    """What to make: `turns` answers, the last of them finish, each other one with `tools` calls.

    mix=bash runs `true`; mix=files also writes and reads files of `bytes` bytes; `think` is the length of
    a thinking block in characters.
    """

    turns: int = 20
    tools: int = 1
    mix: str = "bash"
    bytes: int = 400
    think: int = 0
    latency_ms: int = 0
    pace_ms: int = 0


KEYS = frozenset(field.name for field in fields(Recipe))


def recipe(line: str) -> Recipe | None:
    """Read the words after `taor-script:`; None if they name no synthetic script."""
    name, *pairs = line.split()
    short = SHORT_NAME.fullmatch(name)
    if short is None and name != "synthetic":
        return None
    words = dict(pair.partition("=")[::2] for pair in pairs)
    if unknown := sorted(words.keys() - KEYS):
        raise ScriptError(f"unknown {unknown[0]!r}; known are {', '.join(sorted(KEYS))}")
    return _checked(
        Recipe(
            turns=_number(words, "turns", int(short[1]) if short else Recipe.turns),
            tools=_number(words, "tools", Recipe.tools),
            mix=words.get("mix", Recipe.mix),
            bytes=_number(words, "bytes", Recipe.bytes),
            think=_number(words, "think", Recipe.think),
            latency_ms=_number(words, "latency_ms", Recipe.latency_ms),
            pace_ms=_number(words, "pace_ms", Recipe.pace_ms),
        )
    )


def compose(line: str, wanted: Recipe) -> Script:
    """Make the script; each call differs from the ones before, as a working agent's calls do."""
    pause, pace = wanted.latency_ms / 1000, wanted.pace_ms / 1000
    steps = [
        Step(
            think="consider " * (wanted.think // 9),
            say=f"Step {turn}.",
            tools=tuple(_call(wanted, turn, number) for number in range(wanted.tools)),
            latency_seconds=pause,
            pace_seconds=pace,
        )
        for turn in range(1, wanted.turns)
    ]
    end = finish(f"A synthetic build of {wanted.turns} turns.", outcome="succeeded", command="true", found="passed")
    return Script(line, (*steps, Step(say="Done.", tools=(end,), latency_seconds=pause, pace_seconds=pace)))


def _call(wanted: Recipe, turn: int, number: int) -> Tool:
    # The turn before finish is always a command, so that a verification stands after the last write.
    if wanted.mix == "bash" or turn == wanted.turns - 1 or turn % 3 == 0:
        return Tool("bash", {"command": f"true  # {turn}.{number}"})
    path = f"notes/{number}.txt"
    if turn % 3 == 1:
        return Tool("write_file", {"path": path, "content": f"{turn} ".ljust(wanted.bytes, "x") + "\n"})
    return Tool("read_file", {"path": path})


def _number(words: dict[str, str], key: str, default: int) -> int:
    value = words.get(key, str(default))
    if not value.isdigit():
        raise ScriptError(f"{key}={value}: a whole number is needed")
    return int(value)


def _checked(wanted: Recipe) -> Recipe:
    if not 1 <= wanted.turns <= MAX_TURNS or not 1 <= wanted.tools <= 20:
        raise ScriptError(f"1 to {MAX_TURNS} turns and 1 to 20 tools can be made")
    if wanted.turns * (wanted.tools * wanted.bytes + wanted.think) > MAX_SCRIPT_BYTES:
        raise ScriptError(f"turns, tools and bytes make more than {MAX_SCRIPT_BYTES} bytes")
    if wanted.mix not in ("bash", "files"):
        raise ScriptError(f"mix={wanted.mix}: known are bash and files")
    return wanted
