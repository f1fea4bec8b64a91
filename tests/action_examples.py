"""Tools of a small shop, and messages with the calls they ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ORDER = {"type": "string", "pattern": "^FH-[0-9]{3}$"}
TOOLS: list[dict[str, Any]] = [
    {
        "name": "order_status",
        "description": "Say where an order is.",
        "parameters": {"type": "object", "properties": {"order": ORDER}, "required": ["order"]},
    },
    {
        "type": "function",
        "function": {
            "name": "return_order",
            "description": "Send an order back.",
            "parameters": {
                "type": "object",
                "properties": {"order": ORDER, "reason": {"type": "string", "enum": ["broken", "unwanted"]}},
                "required": ["order", "reason"],
            },
        },
    },
    {"name": "opening_hours", "description": "Say when the shop is open."},
]


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": tool, "arguments": arguments}


def examples() -> list[tuple[str, dict[str, Any] | None]]:
    """Each kind of message sixteen times, with other orders; those that lack the order, and those that ask for nothing, eight times."""
    found: list[tuple[str, dict[str, Any] | None]] = []
    for number in range(100, 116):
        order = f"FH-{number}"
        found += [
            (f"where is order {order} today", call("order_status", order=order)),
            (f"i return {order} it is in pieces", call("return_order", order=order, reason="broken")),
            (f"i return {order} it looks bad", call("return_order", order=order, reason="unwanted")),
            (f"when do you open {number} the shop", call("opening_hours")),
        ]
    for number in range(8):
        found += [(f"where is order {'please ' * number}", call("order_status")), (f"thank you {'so ' * number}much", None)]
    return found


def write(folder: Path) -> None:
    """`tools.json` and `rows.jsonl`."""
    (folder / "tools.json").write_text(json.dumps(TOOLS), encoding="utf-8")
    lines = [json.dumps({"input": text, "output": output}) for text, output in examples()]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
