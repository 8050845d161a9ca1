"""The machine's time zone by its IANA name: the days of a budget at home are the days of its owner."""

import os
import zoneinfo
from collections.abc import Mapping
from pathlib import Path

LOCALTIME = Path("/etc/localtime")


def local_time_zone(environment: Mapping[str, str], localtime: Path = LOCALTIME) -> str:
    """Read the name from TZ, else from where /etc/localtime points; UTC when neither names a zone."""
    candidates = (environment.get("TZ", "").removeprefix(":"), _linked(localtime))
    known = zoneinfo.available_timezones()
    return next((name for name in candidates if name in known), "UTC")


def _linked(localtime: Path) -> str:
    target = os.fspath(localtime.resolve())
    return target.rpartition("/zoneinfo/")[2]
