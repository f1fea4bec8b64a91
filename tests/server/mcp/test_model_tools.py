"""`/mcp` with the official client: models answer, a desk is asked, and nothing is changed before a person said yes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp_types import ElicitResult
from tests.apps.tools.shop_desk import shop_desk
from tests.server.desk.serving import serving

from smidgen.apps.desk.desk import Desk
from smidgen.apps.desk.policy import parse_policy
from smidgen.apps.tools.toolbox import ToolCall, ToolUser
from smidgen.core.replies import Reply
from smidgen.server.app import create_app
from smidgen.server.desk.served_desk import ServedDesk
from smidgen.server.settings import ServeSettings
from smidgen.store.conversations.store import ConversationStore

ORDER = {"order": "FH-20953", "contact": "hugh.whitcombe@example.com"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, Any]]:
    """A served desk with the sample shop's tools, and the shop."""
    folder = tmp_path_factory.mktemp("mcp")
    with ExitStack() as stack:
        there = stack.enter_context(shop_desk(folder))
        store = stack.enter_context(ConversationStore(f"sqlite:///{folder / 'conversations.db'}"))
        sorts = {"intents": lambda text: Reply("order/status" if "order" in text else "other", 0.9)}
        policy = parse_policy('unknown = "answer"\n[intents]\n"order/status" = "act order_status"', "policy.toml")
        desk = Desk("shop", policy, sorts, there.tools.tools, there.tools, live=True)
        url = stack.enter_context(serving(create_app([], ServeSettings(), desks=[ServedDesk(desk, store)])))
        yield f"{url}/mcp", there.shop, there


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """A served desk that proposes to cancel orders, and the shop."""
    with ExitStack() as stack:
        there = stack.enter_context(shop_desk(tmp_path))
        store = stack.enter_context(ConversationStore(f"sqlite:///{tmp_path / 'conversations.db'}"))
        sorts = {"intents": lambda text: Reply("order/cancel" if "cancel" in text else "other", 0.9)}
        policy = parse_policy('unknown = "answer"\n[intents]\n"order/cancel" = "act cancel_order"', "policy.toml")
        desk = Desk("shop", policy, sorts, there.tools.tools, there.tools, live=True)
        url = stack.enter_context(serving(create_app([], ServeSettings(), desks=[ServedDesk(desk, store)])))
        yield f"{url}/mcp", there.shop


def called(url: str, name: str, arguments: dict[str, Any], answer: Any = None, mode: str = "auto") -> tuple[Any, list[str]]:
    """The result of a call, and the questions that were put to the person."""
    asked: list[str] = []

    async def put(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return answer

    async def run() -> Any:
        async with Client(url, elicitation_callback=put if answer is not None else None, mode=mode) as client:
            return await client.call_tool(name, arguments)

    return asyncio.run(run()), asked


def words(result: Any) -> str:
    return str(result.content[0].text)


def test_every_tool_of_the_desk_is_listed_with_what_it_may_do(shop: tuple[str, Any, Any]) -> None:
    async def run() -> Any:
        async with Client(shop[0]) as client:
            return await client.list_tools()

    found = {tool.name: tool for tool in asyncio.run(run()).tools}
    assert {"ask", "order_status", "cancel_order"} <= found.keys()
    assert found["order_status"].annotations.read_only_hint and found["cancel_order"].annotations.destructive_hint
    assert "order" in found["cancel_order"].input_schema["properties"]


def test_a_tool_that_reads_runs_at_once(shop: tuple[str, Any, Any]) -> None:
    result, asked = called(shop[0], "order_status", ORDER)
    assert "is being packed" in words(result) and asked == [] and not result.is_error
    wrong, _ = called(shop[0], "order_status", {**ORDER, "contact": "eve@example.com"})
    assert "find no order" in words(wrong) and wrong.structured_content["rows"] == []
    logged = shop[2].store.logged(2)
    assert {one.origin for one in logged} == {shop[2].store.pseudonym("origin", "127.0.0.1")}, "who asked is in the log"


def test_a_desk_is_asked_in_a_conversation(shop: tuple[str, Any, Any]) -> None:
    first, _ = called(shop[0], "ask", {"message": "where is my order"})
    assert first.structured_content["outcome"] == "asked"
    told, _ = called(
        shop[0], "ask", {"message": "FH-20953 hugh.whitcombe@example.com", "conversation": first.structured_content["conversation"]}
    )
    assert "is being packed" in words(told)
    strange, _ = called(shop[0], "ask", {"message": "hello", "conversation": "another"})
    assert strange.is_error and "no such conversation" in words(strange)


def test_nothing_is_changed_without_a_persons_yes(shop: tuple[str, Any, Any]) -> None:
    url, made, _ = shop
    before = len(made.requests)
    no, asked = called(url, "cancel_order", ORDER, ElicitResult(action="accept", content={"confirm": False}))
    assert no.is_error and "nothing was changed" in words(no) and "FH-20953" in asked[0]
    declined, _ = called(url, "cancel_order", ORDER, ElicitResult(action="decline"))
    assert declined.is_error and len(made.requests) == before
    unable, _ = called(url, "cancel_order", ORDER)
    earlier, asked = called(url, "cancel_order", ORDER, ElicitResult(action="accept", content={"confirm": True}), mode="legacy")
    for refused in (unable, earlier):
        assert refused.is_error and "cannot ask one: nothing was changed" in words(refused)
    assert asked == [] and len(made.requests) == before, "a client that cannot ask gets no call made"
    yes, asked = called(url, "cancel_order", ORDER, ElicitResult(action="accept", content={"confirm": True}))
    assert "is cancelled" in words(yes) and len(made.requests) == before + 1 and len(asked) == 1


def test_no_text_is_a_persons_yes(asking: tuple[str, Any]) -> None:
    url, made = asking
    wish = {"message": "cancel my order FH-20953, hugh.whitcombe@example.com"}
    before = len(made.requests)
    proposed, _ = called(url, "ask", wish)
    assert proposed.structured_content["outcome"] == "proposed"
    assert "cannot ask one: nothing was changed" in words(proposed) and "the chat or mail" in words(proposed)
    waits = {"conversation": proposed.structured_content["conversation"]}
    for text in ("yes", "Yes, cancel it", "yes please"):
        refused, _ = called(url, "ask", {"message": text} | waits)
        assert refused.is_error and "nothing was changed" in words(refused)
    no, asked = called(url, "ask", wish, ElicitResult(action="accept", content={"confirm": False}))
    assert no.structured_content["outcome"] == "cancelled" and "FH-20953" in asked[0]
    assert len(made.requests) == before
    yes, _ = called(url, "ask", wish, ElicitResult(action="accept", content={"confirm": True}))
    assert yes.structured_content["outcome"] != "proposed" and "is cancelled" in words(yes)


def test_a_yes_to_one_tool_runs_no_other(shop: tuple[str, Any, Any]) -> None:
    box = shop[2].tools
    user = ToolUser("mcp-one", "mcp")
    proposed = box.propose(ToolCall("cancel_order", ORDER), user)
    decided = box.decide(proposed.id, user, True, "order_status")
    assert decided.tool is None and "another tool" in decided.result.reason


def test_mistakes_are_told(shop: tuple[str, Any, Any]) -> None:
    unknown, _ = called(shop[0], "refund_all", {})
    assert unknown.is_error and "no tool" in words(unknown)
    unfit, _ = called(shop[0], "cancel_order", {"order": "all"}, ElicitResult(action="accept", content={"confirm": True}))
    assert unfit.is_error


def test_a_model_is_a_tool(bundle: Path) -> None:
    from smidgen.flows.local_model import load

    with serving(create_app([load(bundle, threads=1)], ServeSettings())) as url:
        result, _ = called(f"{url}/mcp", "tiny", {"text": "I would like to talk to a person"})
    assert result.structured_content["output"] == words(result) and 0 <= result.structured_content["score"] <= 1


def test_without_its_package_the_answer_says_what_to_install(shop: tuple[str, Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.server.mcp.model_tools.importlib.util.find_spec", lambda name: None)
    answer = httpx.post(shop[0], json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert answer.status_code == 501 and "[desk]" in answer.json()["error"]["message"]
