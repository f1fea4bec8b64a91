"""Written down: every connection beyond this machine that a Python with this folder on its path tries.

Python imports this module by its name when it starts.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_LOCAL = ("127.", "localhost", "::1", "0.0.0.0")
_LOG = os.environ.get("SMIDGEN_TEST_OUTGOING", "")


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    host: Any = None
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    host = host.decode() if isinstance(host, bytes) else host
    if host and not host.startswith(_LOCAL):
        with open(_LOG, "a", encoding="utf-8") as log:  # noqa: PTH123
            log.write(f"{event} {host} by {sys.argv}\n")


if _LOG:
    sys.addaudithook(_watch)
