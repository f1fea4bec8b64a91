"""What a Python with this folder on its path does differently in tests: every connection beyond this machine that it tries is written
down, and builds measure for a moment only.

Python imports this module by its name when it starts.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
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


_FOOTPRINT = "smidgen.flows.build.footprint"


class _Quick:
    """Gives modules other values as soon as they are imported: what tests/conftest.py gives them in its own process."""

    def __init__(self, values: Sequence[tuple[str, str, Any]]) -> None:
        self._values: dict[str, dict[str, Any]] = {_FOOTPRINT: {}}
        for module, name, value in values:
            self._values.setdefault(module, {})[name] = value

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        values = self._values.pop(name, None)
        found = None if values is None else importlib.util.find_spec(name)
        if found is None or found.loader is None:
            return None
        execute = found.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            vars(module).update(values or {})
            if name == _FOOTPRINT:
                module.measure_footprint = lambda bundle, threads: module.Footprint(0.5, 200.0)  # type: ignore[attr-defined]

        found.loader.exec_module = executed  # type: ignore[method-assign]
        return found


if _QUICK := os.environ.get("SMIDGEN_TEST_QUICK_BUILDS"):
    sys.meta_path.insert(0, _Quick(json.loads(_QUICK)))  # type: ignore[arg-type]
