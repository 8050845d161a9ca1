"""Configuration: a frozen dataclass read from the environment, with every mistake reported at once.

    @dataclass(frozen=True, slots=True)
    class BudgetConfig:
        listen: str = field(env="TAOR_BUDGET_LISTEN", help="host:port or unix:path to serve on")
        pool_size: int = field(env="TAOR_BUDGET_POOL_SIZE", help="database connections", default=8)

    config = load(BudgetConfig, os.environ)

Fields may be str, int, float, bool, Path, an Enum (by its value), or any of these `| None`.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class ConfigError(Exception):
    """The environment does not make a configuration; `mistakes` lists everything that is wrong."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as the documentation shows it."""

    env: str
    kind: str
    help: str
    default: str | None
    required: bool


def field(
    *,
    env: str,
    help: str,
    default: object = dataclasses.MISSING,
    secret: bool = False,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    """Declare a field; `check` returns what is wrong with a value, or None; a secret is left out of repr."""
    return dataclasses.field(default=default, repr=not secret, metadata={"env": env, "help": help, "check": check})


def load(config_class: type[T], environ: Mapping[str, str]) -> T:
    """Build the configuration; raises ConfigError with all the mistakes. An empty variable counts as unset."""
    values: dict[str, object] = {}
    mistakes: list[str] = []
    hints = typing.get_type_hints(config_class)
    for each in dataclasses.fields(config_class):  # type: ignore[arg-type] # T is a dataclass, which types cannot say
        try:
            if (value := _read(each, hints[each.name], environ)) is not dataclasses.MISSING:
                values[each.name] = value
        except ValueError as error:
            mistakes.append(f"{each.metadata['env']}: {error}")
    if mistakes:
        raise ConfigError(mistakes)
    return _construct(config_class, values)


def describe(config_class: type) -> tuple[Variable, ...]:
    """List the variables of a configuration class, for its documentation."""
    hints = typing.get_type_hints(config_class)
    return tuple(_variable(each, hints[each.name]) for each in dataclasses.fields(config_class))


def _construct(config_class: type[T], values: Mapping[str, object]) -> T:
    try:
        return config_class(**values)
    except ValueError as error:  # raised by a __post_init__ that relates fields to each other
        raise ConfigError([str(error)]) from error


def _read(declared: "dataclasses.Field[Any]", hint: object, environ: Mapping[str, str]) -> object:
    text = environ.get(declared.metadata["env"], "")
    if not text:
        if declared.default is dataclasses.MISSING:
            raise ValueError(f"is required: {declared.metadata['help']}")
        return dataclasses.MISSING
    value = _parse(text, _kind(hint))
    check = declared.metadata["check"]
    if check is not None and (mistake := check(value)):
        raise ValueError(mistake)
    return value


def _kind(hint: object) -> type:
    """The type to parse: `int | None` reads as int, because unset means None."""
    if isinstance(hint, types.UnionType):
        (hint,) = (each for each in typing.get_args(hint) if each is not types.NoneType)
    assert isinstance(hint, type)
    return hint


def _parse(text: str, kind: type) -> object:
    if kind is bool:
        return _parse_bool(text)
    if issubclass(kind, Enum):
        return _parse_choice(text, kind)
    assert kind in (str, int, float, Path), f"configuration fields cannot be of type {kind.__name__}"
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a valid {kind.__name__}") from None


def _parse_bool(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError(f"{text!r} is neither true nor false")
    return _WORDS[text.lower()]


def _parse_choice(text: str, kind: type[Enum]) -> Enum:
    try:
        return kind(text)
    except ValueError:
        choices = ", ".join(str(choice.value) for choice in kind)
        raise ValueError(f"{text!r} is not one of {choices}") from None


def _variable(declared: "dataclasses.Field[Any]", hint: object) -> Variable:
    default = declared.default
    required = default is dataclasses.MISSING
    shown = None if required or default is None else str(default.value if isinstance(default, Enum) else default)
    return Variable(declared.metadata["env"], _kind(hint).__name__, declared.metadata["help"], shown, required)
