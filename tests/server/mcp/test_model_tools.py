"""`/mcp` with the official client: models answer, a desk is asked, and nothing is changed before a person said yes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp_types import ElicitResult
from tests.desk.routes.serving import serving
from tests.eventually import eventually
from tests.tools.shop_desk import shop_desk

from smidgen.core.replies import Reply
from smidgen.desk.answering import Desk
from smidgen.desk.policy import parse_policy
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.server.app import create_app
from smidgen.server.mcp.caller_sessions import CallerSessions
from smidgen.server.settings import ServeSettings
from smidgen.tools.toolbox import ToolCall, ToolUser

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
        url = stack.enter_context(serving(create_app([], ServeSettings(), shown=[ServedDesk(desk, store)])))
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
        url = stack.enter_context(serving(create_app([], ServeSettings(), shown=[ServedDesk(desk, store)])))
        yield f"{url}/mcp", there.shop


def called(url: str, name: str, arguments: dict[str, Any], answer: Any = None, mode: str = "auto") -> tuple[Any, list[str]]:
    """The result of a call, and the questions that were put to the person. `answer`: the person's, or a function that returns it."""
    asked: list[str] = []

    async def put(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return await answer() if callable(answer) else answer

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
    for mode in ("auto", "legacy"):
        unable, _ = called(url, "cancel_order", ORDER, mode=mode)
        assert unable.is_error and "cannot ask one: nothing was changed" in words(unable)
    assert len(made.requests) == before, "a client that cannot ask gets no call made"
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


@pytest.mark.parametrize("version", ["2025-06-18", "2025-11-25"])
def test_clients_of_earlier_protocols_ask_a_person_too(asking: tuple[str, Any], version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp.client.session.LATEST_HANDSHAKE_VERSION", version)
    url, made = asking
    before = len(made.requests)
    wish = {"message": "cancel my order FH-20953, hugh.whitcombe@example.com"}
    for tool, arguments in (("cancel_order", ORDER), ("ask", wish)):
        for answer in (ElicitResult(action="decline"), ElicitResult(action="accept", content={"confirm": False})):
            no, asked = called(url, tool, arguments, answer, mode="legacy")
            assert len(asked) == 1 and "FH-20953" in asked[0]
            assert no.structured_content["outcome"] == "cancelled" if tool == "ask" else "person said no" in words(no)
        unable, _ = called(url, tool, arguments, mode="legacy")
        assert "cannot ask one: nothing was changed" in words(unable).lower()
    assert len(made.requests) == before
    yes, asked = called(url, "ask", wish, ElicitResult(action="accept", content={"confirm": True}), mode="legacy")
    assert "is cancelled" in words(yes) and len(asked) == 1 and len(made.requests) == before + 1


def test_a_question_without_an_answer_changes_nothing(asking: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.server.mcp.model_tools._ANSWER_SECONDS", 0.05)
    url, made = asking
    before = len(made.requests)

    async def late() -> ElicitResult:
        await asyncio.sleep(30)
        return ElicitResult(action="accept", content={"confirm": True})

    none, asked = called(url, "cancel_order", ORDER, late, mode="legacy")
    assert none.is_error and "no person answered: nothing was changed" in words(none).lower()
    assert len(asked) == 1 and len(made.requests) == before


def test_a_yes_to_one_tool_runs_no_other(shop: tuple[str, Any, Any]) -> None:
    box = shop[2].tools
    user = ToolUser("mcp-one", "mcp")
    proposed = box.propose(ToolCall("cancel_order", ORDER), user)
    decided = box.decide(proposed.id, user, True, "order_status")
    assert decided.tool is None and "another tool" in decided.result.reason


def opened(url: str, key: str, **abilities: Any) -> httpx.Response:
    """The answer to a client of protocol 2025-06-18 that connects."""
    told = {"protocolVersion": "2025-06-18", "capabilities": abilities, "clientInfo": {"name": "client", "version": "1"}}
    return sent(url, key, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": told})


def sent(url: str, key: str, body: dict[str, Any], session: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}", "accept": "application/json, text/event-stream"}
    return httpx.post(url, json=body, headers=headers | ({"mcp-session-id": session} if session else {}), timeout=20)


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """A served desk that two keys may call, and the shop."""
    with ExitStack() as stack:
        there = stack.enter_context(shop_desk(tmp_path))
        store = stack.enter_context(ConversationStore(f"sqlite:///{tmp_path / 'conversations.db'}"))
        desk = Desk("shop", parse_policy('unknown = "answer"', "policy.toml"), {}, there.tools.tools, there.tools, live=True)
        settings = ServeSettings(api_key=("alpha-alpha-alpha", "beta-beta-beta"))
        yield f"{stack.enter_context(serving(create_app([], settings, shown=[ServedDesk(desk, store)])))}/mcp", there.shop


def test_a_session_exists_for_its_own_key_alone(keyed: tuple[str, Any]) -> None:
    url, made = keyed
    before = len(made.requests)
    own, other = "alpha-alpha-alpha", "beta-beta-beta"
    session = opened(url, own, elicitation={}).headers["mcp-session-id"]
    assert opened(url, other, elicitation={}).headers["mcp-session-id"] != session
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert sent(url, own, listing, session).status_code == 200
    assert sent(url, other, listing, session).status_code == 404 == sent(url, other, listing, "f" * 32).status_code
    call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "cancel_order", "arguments": ORDER}}
    headers = {"authorization": f"Bearer {own}", "accept": "application/json, text/event-stream", "mcp-session-id": session}
    with httpx.stream("POST", url, json=call, headers=headers, timeout=20) as waiting:
        lines = (json.loads(line[6:]) for line in waiting.iter_lines() if line.startswith("data: "))
        question = next(lines)
        assert question["method"] == "elicitation/create" and "FH-20953" in question["params"]["message"]
        yes = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"confirm": True}}}
        assert sent(url, other, yes, session).status_code == 404
        assert sent(url, other, yes, opened(url, other, elicitation={}).headers["mcp-session-id"]).status_code == 202
        no = yes | {"result": {"action": "decline"}}
        assert sent(url, own, no, session).status_code == 202
        assert "said no; nothing was changed" in next(lines)["result"]["content"][0]["text"]
    assert len(made.requests) == before


def test_sessions_are_bounded_and_only_for_clients_that_can_ask(keyed: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.server.mcp.caller_sessions.MOST_SESSIONS", 2)
    monkeypatch.setattr("smidgen.server.mcp.caller_sessions.MOST_KEYS", 1)
    url = keyed[0]
    assert "mcp-session-id" not in opened(url, "alpha-alpha-alpha").headers
    found = [opened(url, "alpha-alpha-alpha", elicitation={}) for _ in range(3)]
    assert [one.status_code for one in found] == [200, 200, 503]
    ended = {"authorization": "Bearer alpha-alpha-alpha", "mcp-session-id": found[0].headers["mcp-session-id"]}
    assert httpx.delete(url, headers=ended).status_code == 200
    assert opened(url, "alpha-alpha-alpha", elicitation={}).status_code == 200
    beyond = opened(url, "beta-beta-beta", elicitation={})
    assert beyond.status_code == 200 and "mcp-session-id" not in beyond.headers
    monkeypatch.setattr("smidgen.server.mcp.caller_sessions.IDLE_SECONDS", 1e-6)
    assert "mcp-session-id" in opened(url, "beta-beta-beta", elicitation={}).headers, "a key without sessions makes room"


def test_an_idle_session_ends_and_all_end_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.server.mcp.caller_sessions.IDLE_SECONDS", 0.001)
    tasks: list[Any] = []
    close = CallerSessions.close

    async def closed(self: CallerSessions) -> None:
        tasks.extend(kept.task for kept in self._of.values())
        await close(self)

    monkeypatch.setattr(CallerSessions, "close", closed)
    with ConversationStore(f"sqlite:///{tmp_path / 'conversations.db'}") as store:
        desk = Desk("shop", parse_policy('unknown = "answer"', "policy.toml"), {}, ())
        with serving(create_app([], ServeSettings(), shown=[ServedDesk(desk, store)])) as url:
            session = opened(f"{url}/mcp", "any", elicitation={}).headers["mcp-session-id"]
            listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
            eventually(lambda: sent(f"{url}/mcp", "any", listing, session).status_code == 404)
    assert len(tasks) == 1 and tasks[0].done()


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
