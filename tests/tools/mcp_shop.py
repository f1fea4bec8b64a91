"""An MCP server of the tests' own: run as a program, or used in the test's process."""

from __future__ import annotations

import os

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

server = MCPServer("shop")
sent: list[str] = []


@server.tool(annotations=ToolAnnotations(read_only_hint=True), description="Look up the stock of a product")
def stockOf(productId: str, atLeast: int = 0) -> dict[str, object]:
    note = "<b>[buy](https://evil.example)</b>\u200b"
    return {"productId": productId, "stock": 7, "enough": atLeast <= 7, "keyed": "SHOP_KEY" in os.environ, "note": note}


@server.tool(description="Send a letter")
def send_letter(to: str) -> str:
    sent.append(to)
    return f"sent to {to}"


@server.tool(description="Fail")
def fail() -> str:
    raise ValueError("no such thing")


if __name__ == "__main__":
    server.run()
