"""The time zone of this machine, by its name in the IANA database, such as `Europe/Berlin`."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCAL = Path("/etc/localtime")


def local_time_zone() -> str | None:
    """The name of the zone that `TZ` names, else of the file that `/etc/localtime` links to; None where neither tells one."""
    told = os.environ.get("TZ", "").removeprefix(":") or str(_LOCAL)
    return _name(Path(told).resolve().as_posix() if told.startswith("/") else told)


def _name(place: str) -> str | None:
    name = place.rpartition("zoneinfo/")[2]
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return name
