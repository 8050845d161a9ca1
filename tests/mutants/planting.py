"""Plants a bug into a function of Python for a while."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Generic, TypeVar

Test = TypeVar("Test")


@dataclass(frozen=True, slots=True)
class Mutant(Generic[Test]):
    """A change of the source of one function, and the test that must fail with it."""

    bug: str
    function: Callable[..., object]
    old: str
    new: str
    caught_by: Test

    def planted(self) -> AbstractContextManager[None]:
        """The bug is there inside the block."""
        return planted(self.function, self.old, self.new)


@contextmanager
def planted(function: Callable[..., object], old: str, new: str) -> Iterator[None]:
    """Whoever calls the function meets the bug; everybody holds the same function, so its code is exchanged."""
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, "the place of the bug has changed: plant it anew"
    sound = function.__code__
    function.__code__ = _code(source.replace(old, new), function)
    try:
        yield
    finally:
        function.__code__ = sound


def _code(source: str, function: FunctionType) -> CodeType:
    module = compile(f"from __future__ import annotations\n{source}", inspect.getfile(function), "exec")
    return next(each for each in module.co_consts if isinstance(each, CodeType) and each.co_name == function.__name__)
