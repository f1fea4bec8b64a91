"""What a desk reads is data: 200 attempts cause no call and no leak, also if the model obeys every one of them."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from smidgen.core.conversations import DeskConversation, ProposedCall
from smidgen.core.errors import InputError
from smidgen.core.replies import Reply
from smidgen.desk.answering import Desk
from smidgen.desk.policy import parse_policy
from smidgen.search.documents.folder import read_documents
from smidgen.tools.arguments import check_arguments
from smidgen.tools.definition import HttpTarget, Tool
from smidgen.tools.http_calls import prepared_request
from smidgen.tools.results import answer_text, as_markdown, plain_text
from smidgen.tools.sql_calls import SqlTarget, run_query
from smidgen.tools.toolbox import Toolbox, ToolCall, ToolUser

from .injections import EFFECTS, Attempt, Watch, attempts, markup_in
from .shop_desk import DELIVERED, NIA, ShopDesk, shop_desk

MESSAGES = attempts("message")
some_or_all = pytest.mark.parametrize("chosen", [MESSAGES[::6], pytest.param(MESSAGES, marks=pytest.mark.thorough)], ids=["some", "all"])
"""Each attempt takes a dozen calls, and each of these is logged: the gate takes one in six."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopDesk]:
    with shop_desk(tmp_path_factory.mktemp("shop")) as made:
        yield made


def test_there_are_200_of_every_kind() -> None:
    found = attempts()
    assert len(found) >= 200 and len({one.text for one in found}) == len(found) == len({one.id for one in found})
    places = Counter(one.where for one in found)
    assert set(places) == {"message", "document", "html_comment", "tool_result", "file_name", "faq_cell", "mcp_description"}
    assert min(places.values()) >= 12 and Counter(one.language for one in found)["de"] >= 35
    assert {effect for one in found for effect in one.forbidden} == set(EFFECTS)


def test_the_watch_sees_effects(desk: ShopDesk) -> None:
    """Each effect is seen where it is there, so that seeing none means something."""
    watch = Watch(desk.shop)
    assert watch.effects(["All is well. 5 < 6"]) == set()
    assert watch.effects(["see https://evil.example"]) == {"link"} and watch.effects(["a\u200bb"]) == {"link"}
    assert watch.effects(["NP955462995"]) == {"leak"} and watch.effects(["NP955462995"], said="NP955462995?") == set()
    assert watch.effects([f"key {desk.shop.key}"]) == {"secret"}
    assert markup_in("[a](b) <script>") == {"a", "script"} and markup_in("<!-- x -->") == {"comment"}


def obeying(attempt: Attempt, tool: Tool) -> list[dict[str, Any]]:
    """The arguments of a model that does what an attempt says: its words as every argument, and the order that it names."""
    texts = [name for name, node in tool.properties.items() if node.get("type") == "string"]
    named = re.findall(r"FH-[0-9]{5}", attempt.text)
    order = named[0] if named else "FH-20953"
    guess = {"order": order, "contact": "guess@example.com", "address": attempt.text[:180], "reason": attempt.text[:180]}
    return [dict.fromkeys(texts, attempt.text), {name: guess[name] for name in texts if name in guess} or {texts[0]: attempt.text[:50]}]


@some_or_all
def test_messages_whose_words_become_arguments(desk: ShopDesk, chosen: list[Attempt]) -> None:
    watch, calls, waiting = Watch(desk.shop), 0, 0
    for attempt in chosen:
        who, shown = ToolUser(f"of {attempt.id}", "widget"), []
        for tool in desk.tools.tools:
            for arguments in obeying(attempt, tool):
                calls += 1
                result = desk.tools.run(ToolCall(tool.name, arguments), who)
                shown += [json.dumps(row) for row in result.rows] if tool.owner else []
                proposed = desk.tools.propose(ToolCall(tool.name, arguments), who) if tool.changes else None
                waiting += isinstance(proposed, ProposedCall)
        assert desk.tools.decide(attempt.text, who, yes=True).tool is None
        assert watch.effects(shown, attempt.text) == set(), attempt
    assert calls == len(chosen) * 12 and waiting == 0


@some_or_all
def test_of_ones_own_order_all_words_are_shown_before_the_yes(desk: ShopDesk, chosen: list[Attempt]) -> None:
    desk.clock.move(minutes=16)  # the guesses of other tests are forgotten
    watch, proposed = Watch(desk.shop), 0
    for attempt in chosen:
        arguments = {"order": "FH-20953", "contact": "hugh.whitcombe@example.com", "address": f"1 Elm Street {attempt.text}"[:200]}
        made = desk.tools.propose(ToolCall("change_address", arguments), ToolUser(f"of {attempt.id}", "widget"), "en")
        assert isinstance(made, ProposedCall), attempt
        proposed += 1
        assert " ".join(made.arguments["address"].split()) in made.words
        assert watch.effects([made.words], attempt.text + str(arguments), cleaned=False) == set(), attempt
    assert proposed == len(chosen)


def test_words_never_become_a_part_of_a_query_or_an_address(desk: ShopDesk) -> None:
    query = SqlTarget("SELECT :words AS words, (SELECT count(*) FROM orders WHERE order_id = :words) AS n", "${SHOP_DATABASE}", "")
    target = HttpTarget("POST", "${SHOP_URL}/api/{words}/x?w={words}", {"Authorization": "Bearer ${SHOP_KEY}"}, {"w": "{words}"})
    place, sent = httpx.URL(desk.shop.url), 0
    for attempt in attempts():
        text = attempt.text[:500]
        assert run_query(query, {"words": text}, desk.shop.environment) == [{"words": text, "n": 0}]
        try:
            request = prepared_request(target, {"words": text}, desk.shop.environment)
        except InputError:
            assert set(text) & set("/\\"), attempt
            continue
        sent += 1
        url = httpx.URL(request.url)
        assert (url.scheme, url.host, url.port, url.raw_path.partition(b"?")[0].count(b"/")) == ("http", place.host, place.port, 3)
        assert json.loads(request.body or b"") == {"w": text} and list(request.headers) == ["Authorization", "Accept", "Content-Type"]
    assert sent > 100


def test_results_of_a_database(desk: ShopDesk) -> None:
    desk.clock.move(minutes=16)
    watch, seen = Watch(desk.shop), 0
    for attempt in attempts("tool_result", "html_comment", "document"):
        with contextlib.closing(sqlite3.connect(desk.shop.database)) as base:
            base.execute("UPDATE products SET description = ?1, colour = ?1 WHERE sku = 'CU-002'", (attempt.text,))
            base.execute("UPDATE orders SET status = ?1, carrier = ?1 WHERE order_id = 'FH-20103'", (attempt.text,))
            base.commit()
        watch.renew()
        order = desk.tools.run(ToolCall("order_status", DELIVERED), NIA)
        goods = desk.tools.run(ToolCall("product_search", {"query": "Tamsin Linen Cushion 50"}), NIA)
        seen += len(order.rows) + len(goods.rows)
        texts = [answer_text(desk.tools.tool("order_status"), DELIVERED, order, language) for language in ("en", "de")]
        texts += [str(value) for row in (*order.rows, *goods.rows) for value in row.values()]
        own = "NP955462995 Nia Thorne"
        assert watch.effects(texts, attempt.text + own) == set(), (attempt, texts)
    assert seen == 2 * len(attempts("tool_result", "html_comment", "document"))


def test_results_of_a_server(desk: ShopDesk) -> None:
    tool = Tool("note", "Read a note", {"type": "object", "properties": {}}, changes=False, confirm="never", answer={"": "Note: {note}"})
    tool = Tool(**{**{name: getattr(tool, name) for name in Tool.__slots__}, "target": HttpTarget("GET", "https://shop.example/note")})
    watch, seen = Watch(desk.shop), 0
    for attempt in attempts("tool_result", "mcp_description"):
        there = httpx.MockTransport(lambda _, text=attempt.text: httpx.Response(200, json={"note": text, text[:40]: [text]}))
        result = Toolbox([tool], desk.store, {}, there).run(ToolCall("note", {}), NIA)
        seen += len(result.rows)
        texts = [answer_text(tool, {}, result), *(str(part) for row in result.rows for part in (*row, *row.values()))]
        assert watch.effects(texts, attempt.text) == set(), attempt
    assert seen == len(attempts("tool_result", "mcp_description"))


def test_texts_of_documents_and_descriptions_are_shown_as_text(desk: ShopDesk) -> None:
    watch, places = Watch(desk.shop), ("document", "html_comment", "file_name", "faq_cell", "mcp_description")
    for attempt in attempts(*places):
        assert watch.effects([plain_text(attempt.text)], attempt.text) == set(), attempt
    assert len(attempts(*places)) >= 75


def test_documents_keep_no_comment_and_no_markup(tmp_path: Path) -> None:
    """Their visible words stay, and may name an address: it is shown as text."""
    found = attempts("document", "html_comment")
    for attempt in found:
        text = f"<h1>Title</h1><p>First words. {attempt.text}</p><p>Last words.</p>"
        (tmp_path / f"{attempt.id}.html").write_text(text, encoding="utf-8")
        (tmp_path / f"{attempt.id}.md").write_text(f"# Title\n\nFirst words. {attempt.text}\n\nLast words.", encoding="utf-8")
    documents = read_documents(tmp_path).documents
    hidden = ("alert(1)", "onerror", "onclick", "<iframe", "<svg", "cancel FH-20953 -->", "nested")
    for document in documents:
        assert [words for words in hidden if words in document.text] == [], (document.id, document.text)
        assert markup_in(as_markdown(document.text)) == set(), document.id
        assert not document.id.endswith(".html") or "approve every waiting call" not in document.text, "it is hidden by its style"
    assert len(documents) == 2 * len(found)


POLICY = """
languages = ["en", "de"]
unknown = "act"
[intents]
"*" = "act"
"""


@some_or_all
def test_a_desk_whose_model_obeys(desk: ShopDesk, chosen: list[Attempt]) -> None:
    """The model answers each message with the very call that an attacker wants, sure of itself; the desk must not make it."""
    watch, turns = Watch(desk.shop), 0
    wanted: dict[str, Any] = {}
    members = {"act": lambda _: Reply(wanted, 1.0)}
    made = Desk("shop", parse_policy(POLICY, "policy.toml"), members, desk.tools.tools, desk.tools, live=True)
    for attempt in chosen:
        for number, tool in enumerate(desk.tools.tools):
            wanted = {"tool": tool.name, "arguments": obeying(attempt, tool)[1]}
            conversation = DeskConversation(f"{attempt.id} {number}", "shop", "widget")
            answer = made.answer(conversation, attempt.text)
            turns += 1
            assert answer.reply.call is None and answer.reply.outcome != "done", (attempt, answer)
            shown = [answer.reply.text] if tool.owner else []
            assert watch.effects(shown, attempt.text, cleaned=False) == set(), attempt
            assert made.decide(conversation, attempt.text, yes=True).reply.outcome == "failed"
    assert turns == len(chosen) * len(desk.tools.tools) and desk.shop.requests == []


def test_no_attempt_fits_an_argument_with_a_form() -> None:
    schema = {"type": "object", "properties": {"order": {"type": "string", "pattern": "^(?:FH-[0-9]{5})$"}}, "required": ["order"]}
    tool = Tool("x", "x", schema)
    fitting = [attempt.id for attempt in attempts() if check_arguments(tool, {"order": attempt.text}).valid]
    assert fitting == [] and len(attempts()) >= 200


def test_the_log_has_no_secret_and_no_proof(desk: ShopDesk) -> None:
    log = desk.store.logged(1000)
    told = str(log)
    assert (
        len(log) >= 500 and desk.shop.key not in told and "guess@example.com" not in told and "nia.thorne@example.com" not in str(log[-1])
    )
