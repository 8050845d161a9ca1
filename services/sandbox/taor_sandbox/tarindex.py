"""Finds the files in tar archives, as `backends.tar.CREATE` makes them: pax (POSIX.1-2001), one behind the other.

The module `tarfile` does this too, in three times the time that hashing and storing a small file takes.
"""

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from taor_sandbox.backends.errors import FileProblem, FileRefused

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_MOST_RECORD_BYTES = 1024 * 1024
_MAGIC = slice(257, 262)
_NAME, _SIZE, _KIND, _TARGET, _PREFIX = (
    slice(0, 100),
    slice(124, 136),
    slice(156, 157),
    slice(157, 257),
    slice(345, 500),
)


class Member(NamedTuple):
    """A regular file, and where in the archives its content is."""

    path: str
    start: int
    size: int


def files_in(descriptor: int) -> Iterator[Member]:
    """The regular files of an open file of archives, by each of their names; raises FileRefused for what is none."""
    place, end = 0, os.fstat(descriptor).st_size
    told: Mapping[bytes, bytes] = {}
    found: dict[str, Member] = {}
    while place < end:
        header = os.pread(descriptor, _BLOCK, place)
        place += _BLOCK
        if header == _ZEROS:  # between two archives, and at the end
            continue
        size = _number(told.get(b"size") or header[_SIZE], 10 if b"size" in told else 8)
        if header[_MAGIC] != b"ustar" or place + size > end:
            raise _broken()
        match header[_KIND]:
            case b"x":
                told = _records(os.pread(descriptor, min(size, _MOST_RECORD_BYTES), place))
            case b"0" | b"\0":
                path = _path(told, header)
                yield found.setdefault(path, Member(path, place, size))
                told = {}
            case b"1":  # another name of a file that came before
                target = found.get(_text(told.get(b"linkpath", header[_TARGET])))
                if target is None:
                    raise _broken()
                yield target._replace(path=_path(told, header))
                told = {}
            case _:
                told = {}
        place += -(-size // _BLOCK) * _BLOCK


def _records(text: bytes) -> Mapping[bytes, bytes]:
    """What comes before a header to replace some of it: `<length> <key>=<value>` and a line feed, each."""
    records: dict[bytes, bytes] = {}
    while text:
        length, _, rest = text.partition(b" ")
        size = _number(length, 10)
        key, equals, value = rest[: size - len(length) - 2].partition(b"=")
        if not equals or size > len(text):
            raise _broken()
        records[key], text = value, text[size:]
    return records


def _path(told: Mapping[bytes, bytes], header: bytes) -> str:
    path = told.get(b"path")
    if path is None:
        prefix, name = header[_PREFIX].rstrip(b"\0"), header[_NAME].rstrip(b"\0")
        path = prefix + b"/" + name if prefix else name
    return _text(path)


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _number(digits: bytes, base: int) -> int:
    try:
        number = int(digits.strip(b" \0") or b"0", base)
    except ValueError:
        raise _broken() from None
    if number < 0:
        raise _broken()
    return number


def _broken() -> FileRefused:
    return FileRefused(FileProblem.FAILED, "what came out of the sandbox is no archive")
