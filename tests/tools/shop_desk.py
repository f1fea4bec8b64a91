"""The sample shop with its tools, for tests."""

from __future__ import annotations

import contextlib
import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smidgen.desk.demo_shop import DemoShop, demo_shop
from smidgen.store.calls import CallStore
from smidgen.tools.tool_file import read_tools
from smidgen.tools.toolbox import Toolbox, ToolCall, ToolUser

OPEN = {"order": "FH-20953", "contact": "hugh.whitcombe@example.com"}
"""The order that can still be cancelled, and whose it is."""

DELIVERED = {"order": "FH-20103", "contact": "nia.thorne@example.com"}
NIA = ToolUser("conversation-of-nia", "widget", "visitor-1")
OTHER = ToolUser("another-conversation", "widget", "visitor-2")


@dataclass
class Clock:
    """A time that a test moves."""

    time: datetime = field(default_factory=lambda: datetime(2026, 7, 1, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class ShopDesk:
    """A running shop, and its tools."""

    shop: DemoShop
    store: CallStore
    tools: Toolbox
    clock: Clock


@contextlib.contextmanager
def shop_desk(folder: Path) -> Iterator[ShopDesk]:
    """The sample's tools before a running demo shop."""
    clock = Clock()
    file = importlib.resources.files("smidgen") / "samples" / "homeware" / "tools.toml"
    with demo_shop(folder) as shop, importlib.resources.as_file(file) as path:
        store = CallStore(folder / "calls.sqlite3")
        try:
            yield ShopDesk(shop, store, Toolbox(read_tools(path), store, shop.environment, now=clock), clock)
        finally:
            store.close()


def call(tool: str, **arguments: Any) -> ToolCall:
    return ToolCall(tool, arguments)
