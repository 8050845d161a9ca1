"""What this process remembers of the last snapshot of each build, so that the next one need not read it again.

The listing has the files of the snapshot with the times that they had when they were last seen.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

from taor_sandbox.listing import Listing
from taor_sandbox.records import BuildKey

MOST_PATHS = 100_000
"""Of all builds together: up to a hundred megabytes."""


@dataclass(frozen=True, slots=True)
class Last:
    """A build's last snapshot, as far as this process knows it."""

    listing: Listing
    confirmed_seconds: float = -math.inf
    """On the monotonic clock: when the store had all of it for certain."""


class Memory:
    """Keeps what was used most recently; forgetting costs a look into the store, and nothing else."""

    def __init__(self, most_paths: int = MOST_PATHS) -> None:
        self._most_paths, self._paths = most_paths, 0
        self._lasts: OrderedDict[BuildKey, tuple[bytes, Last]] = OrderedDict()

    def of(self, key: BuildKey, manifest_sha256: bytes) -> Last | None:
        """The last snapshot of a build, if it is the one with this manifest."""
        remembered = self._lasts.get(key)
        if remembered is None or remembered[0] != manifest_sha256:
            return None
        self._lasts.move_to_end(key)
        return remembered[1]

    def keep(self, key: BuildKey, manifest_sha256: bytes, last: Last) -> None:
        """Remember it instead of the one before; what is too large by itself is not remembered."""
        self.forget(key)
        self._lasts[key] = manifest_sha256, last
        self._paths += len(last.listing.manifest.entries)
        while self._paths > self._most_paths:
            self.forget(next(iter(self._lasts)))

    def forget(self, key: BuildKey) -> None:
        """Remember nothing of a build."""
        if (remembered := self._lasts.pop(key, None)) is not None:
            self._paths -= len(remembered[1].listing.manifest.entries)
