"""Written down: every connection beyond this machine that a Python with this folder on its path tries.

Python imports this module by its name when it starts.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

_LOG = os.environ.get("SMIDGEN_TEST_OUTGOING", "")
_NAMED = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_ADDRESSED = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getnameinfo")


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    host: Any = None
    if event in _NAMED:
        host = arguments[0]
    elif event in _ADDRESSED and isinstance(address := arguments[-1], tuple):
        host = address[0]
    host = host.decode() if isinstance(host, bytes) else host
    if host and not _is_local(host):
        with open(_LOG, "a", encoding="utf-8") as log:  # noqa: PTH123
            log.write(f"{event} {host} by {sys.argv}\n")


if _LOG:
    sys.addaudithook(_watch)
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # its connections raise no audit event: uvicorn takes asyncio's loop instead
