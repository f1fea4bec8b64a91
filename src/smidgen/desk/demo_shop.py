"""The sample shop's own system, as far as its tools need one: it cancels orders, changes addresses and starts returns.

It listens on this machine only, wants a key, and writes into its copy of the sample's database. It exists for the demo and for tests.
"""

from __future__ import annotations

import contextlib
import hmac
import importlib.resources
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from smidgen.tools.table_database import database_from_tables

_MOST_BYTES = 10_000
_WHOSE = (
    "SELECT status FROM orders WHERE order_id = ?1 "
    "AND (lower(email) = lower(?2) OR replace(upper(postcode), ' ', '') = replace(upper(?2), ' ', ''))"
)
_NOT_SENT = ("processing", "ready to collect")
_SENT = ("dispatched", "delivered", "collected", "delayed")


def sample_database(out: Path) -> Path:
    """Write the sample shop's database: `orders` and `products`."""
    sample = importlib.resources.files("smidgen") / "samples" / "homeware"
    with importlib.resources.as_file(sample) as folder:
        return database_from_tables([folder / "orders.csv", folder / "products.csv"], out)


class DemoShop:
    """The shop's server. `environment` has what the sample's tool file needs: `SHOP_DATABASE`, `SHOP_URL` and `SHOP_KEY`."""

    def __init__(self, folder: Path) -> None:
        self.database = sample_database(folder / "shop.sqlite3")
        self.key = secrets.token_hex(16)
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self._done: dict[str, tuple[int, dict[str, Any]]] = {}
        self._lock = threading.Lock()
        handler = type("DemoShopHandler", (_ShopHandler,), {"shop": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="demo shop", daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the sample's tool file names."""
        return {"SHOP_DATABASE": f"sqlite:///{self.database}", "SHOP_URL": self.url, "SHOP_KEY": self.key}

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, order: str, verb: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """Do what a request asks; a repeat with the same key gets the first one's answer."""
        with self._lock:
            if key and key in self._done:
                return self._done[key]
            self.requests.append((order, verb, body))
            made = self._changed(order, verb, body)
            if key:
                self._done[key] = made
            return made

    def _changed(self, order: str, verb: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as base:
            row = base.execute(_WHOSE, (order, str(body.get("contact", "")))).fetchone()
            if row is None:
                return 404, {"error": "no such order"}
            status = row[0]
            if verb == "cancel" and status in _NOT_SENT:
                base.execute("UPDATE orders SET status = 'cancelled' WHERE order_id = ?", (order,))
                return 200, {"order_id": order, "status": "cancelled"}
            if verb == "address" and status in _NOT_SENT and body.get("address"):
                return 200, {"order_id": order, "address": str(body["address"])}
            if verb == "returns" and status in _SENT:
                base.execute("UPDATE orders SET status = 'return in progress' WHERE order_id = ?", (order,))
                return 200, {"order_id": order, "return_id": f"R{order[3:]}"}
            return 409, {"error": f"the order is {status}"}


class _ShopHandler(BaseHTTPRequestHandler):
    """`POST /api/orders/ORDER/VERB`."""

    shop: ClassVar[DemoShop]
    timeout = 10

    def do_POST(self) -> None:
        parts = self.path.strip("/").split("/")
        length = int(self.headers.get("Content-Length") or 0)
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given, self.shop.key):
            return self._send(401, {"error": "the key is missing or wrong"})
        if len(parts) != 4 or parts[:2] != ["api", "orders"] or not 0 < length <= _MOST_BYTES:
            return self._send(404, {"error": "not found"})
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            return self._send(400, {"error": "not JSON"})
        return self._send(*self.shop.answer(parts[2], parts[3], body, self.headers.get("Idempotency-Key", "")))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the desk has its own log."""


@contextlib.contextmanager
def demo_shop(folder: Path) -> Iterator[DemoShop]:
    """A shop that runs within the block."""
    shop = DemoShop(folder)
    try:
        yield shop
    finally:
        shop.close()
