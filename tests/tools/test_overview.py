"""The list of tools for the Studio and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from smidgen.tools.definition import SqlTarget
from smidgen.tools.overview import dry_run_json, tool_overview, tools_overview

from .shop_desk import OPEN, call, shop_desk


def test_tools_are_listed_with_what_is_missing(tmp_path: Path) -> None:
    with shop_desk(tmp_path) as desk:
        found = tools_overview(desk.tools.tools, desk.shop.environment)
        assert [one["name"] for one in found][:3] == ["order_status", "product_search", "stock"] and len(found) == 6
        assert [one["faults"] for one in found] == [[]] * 6 and json.loads(json.dumps(found)) == found
        cancel = found[3]
        assert cancel["source"] == "http" and cancel["waits"] and cancel["required"] == ["order", "contact"]
        assert cancel["variables"] == {"SHOP_URL": True, "SHOP_KEY": True, "SHOP_DATABASE": True}
        assert desk.shop.key not in str(found) and desk.shop.url not in str(found)
        bare = tool_overview(desk.tools.tool("cancel_order"), {"SHOP_URL": "https://shop.example"})
        assert bare["faults"] == [f"the environment variable {name} is not set" for name in ("SHOP_KEY", "SHOP_DATABASE")]
        wrong = replace(desk.tools.tool("stock"), target=SqlTarget("SELECT weight FROM products", "${SHOP_DATABASE}", ""))
        assert "no such column: weight" in tool_overview(wrong, desk.shop.environment)["faults"][0]
        assert tool_overview(replace(wrong, target=None), {})["faults"] == ["it is not known how this tool is called"]
        shown = dry_run_json(desk.tools.dry_run(call("cancel_order", **OPEN), "en"))
        assert shown["call"]["method"] == "POST" and shown["waits"] and json.loads(json.dumps(shown))["missing"] == []
