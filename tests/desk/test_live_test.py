"""What a test copy must be before the calls of test conversations are made in it."""

from __future__ import annotations

import pytest

from smidgen.core.errors import InputError
from smidgen.desk.live_test import _check
from smidgen.tools.definition import McpTarget, Tool


def plan_tool(*command: str, changes: bool = True) -> Tool:
    """A tool of a plan, whose server is started by a command."""
    target = McpTarget("change", ("smidgen", "solve", *command, "--mcp"))
    return Tool("change_plan", "Change the plan", {"type": "object", "properties": {}}, changes=changes, target=target)


def test_a_started_server_that_changes_something_works_on_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="works on no test copy"):
        _check([plan_tool("plan")], {})
    _check([plan_tool("plan", changes=False)], {})
    with pytest.raises(InputError, match="lacks a variable"):
        _check([plan_tool("${STOCK_PLAN}")], {})
    _check([plan_tool("${STOCK_PLAN}")], {"STOCK_PLAN": "plan-copy"})
    monkeypatch.setenv("STOCK_PLAN", "plan")
    with pytest.raises(InputError, match="the address of the real system"):
        _check([plan_tool("${STOCK_PLAN}")], {"STOCK_PLAN": "plan"})
