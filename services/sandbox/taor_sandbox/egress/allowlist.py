"""Which hosts commands may reach, by name; numbers name none."""

import re
from dataclasses import dataclass

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_LONGEST = 253
_MOST_HOSTS = 500
GIT_HOSTS = ("github.com", "codeload.github.com", "gitlab.com")
GROUPS = {"git": GIT_HOSTS}
"""Words that stand for several hosts. A git host can carry data out: whoever must not risk that leaves it out.

Package registries are named one by one: which ones an installation uses, or mirrors, only its owner knows.
"""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Names, and suffixes under which every name is allowed."""

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is allowed."""
        return not self.names and not self.suffixes

    @property
    def entries(self) -> tuple[str, ...]:
        """The list as it can be written down."""
        return (*sorted(self.names), *(f"*{suffix}" for suffix in self.suffixes))

    @classmethod
    def parse(cls, text: str) -> "AllowList":
        """Read `git, example.org, *.example.org` (the last allows what is below it); raises ValueError."""
        words = [word.strip().lower() for word in text.split(",") if word.strip()]
        entries = [entry for word in words for entry in GROUPS.get(word, (word,))]
        if len(entries) > _MOST_HOSTS:
            raise ValueError(f"more than {_MOST_HOSTS} hosts")
        for entry in entries:
            if not is_host(entry.removeprefix("*.")):
                raise ValueError(f"{entry!r} is neither a host name with a dot, nor *. before one, nor a group")
        suffixes = tuple(sorted(entry[1:] for entry in entries if entry.startswith("*.")))
        return cls(frozenset(entry for entry in entries if not entry.startswith("*.")), suffixes)

    def allows(self, host: str) -> bool:
        """Whether this name, in the form that `normal` gives it, may be reached."""
        return is_host(host) and (host in self.names or host.endswith(self.suffixes))


def normal(host: str) -> str:
    """The form in which names are compared: lower case, without the dot of the root."""
    return host.lower().removesuffix(".")


def is_host(name: str) -> bool:
    """Whether this is a name of several labels; its last one begins with a letter, so that no address looks like it."""
    return len(name) <= _LONGEST and _HOST.fullmatch(name) is not None
