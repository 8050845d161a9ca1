"""What reflection can look up: also the methods of a service, which people describe by name."""

from typing import Any

from google.protobuf import descriptor_pool


class Symbols:
    """The process's contracts, asked the way the reflection service asks a descriptor pool."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802 - the pool's own name
        """The file that a symbol stands in; Python's pool knows no methods, so their service is asked for."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            parent, _, _ = symbol.rpartition(".")
            if not parent:
                raise
            return self._pool.FindFileContainingSymbol(parent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)
