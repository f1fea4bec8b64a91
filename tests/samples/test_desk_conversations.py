"""The sample's conversations keep what they promise: each wanted fact is in a document, in a table, or in the shop's own answers."""

from __future__ import annotations

import importlib.resources
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import shop
from tests.samples.test_homeware import table

from smidgen.desk.demo_shop import sample_database
from smidgen.desk.policy import read_policy
from smidgen.desk.tasks import read_conversations
from smidgen.tools.definition import SqlTarget, Tool
from smidgen.tools.results import ToolResult, answer_text
from smidgen.tools.sql_calls import run_query
from smidgen.tools.tool_file import read_tools

FOLDER = Path(str(importlib.resources.files("smidgen") / "samples" / "homeware"))
FILE = FOLDER / "desk_conversations.jsonl"
NOT_FOUND = {"find no order", "finde keine Bestellung"}
"""Words of the answer to a look-up whose e-mail address or post code is wrong on purpose."""


@pytest.fixture(scope="module")
def tools() -> Mapping[str, Tool]:
    return {tool.name: tool for tool in read_tools(FOLDER / "tools.toml")}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return {"SHOP_DATABASE": f"sqlite:///{sample_database(tmp_path_factory.mktemp('shop') / 'shop.sqlite3')}"}


def conversations() -> list[list[dict[str, Any]]]:
    return [json.loads(line)["turns"] for line in FILE.read_text(encoding="utf-8").splitlines()]


def expected() -> Iterator[tuple[str, dict[str, Any]]]:
    """What is said, and what is wanted, for each message with a wanted outcome."""
    for turns in conversations():
        for turn in turns:
            if "expect" in turn:
                yield turn["say"], turn["expect"]


def told(tool: Tool, rows: Sequence[Mapping[str, Any]]) -> str:
    """The tool's answer to a customer in each language."""
    result = ToolResult("ok", tuple(rows))
    return "\n".join(answer_text(tool, {}, result, language) for language in ("en", "de"))


def found(tool: Tool, values: Mapping[str, Any], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    assert isinstance(tool.target, SqlTarget)
    return run_query(tool.target, values, environment)


def test_there_are_150_conversations_of_every_outcome() -> None:
    rows = list(read_conversations(FILE))
    assert len(conversations()) == len({row.number for row in rows}) == 150
    assert len(rows) >= 320
    counts = Counter(row.output["outcome"] for row in rows)
    assert set(counts) == {"answered", "asked", "proposed", "done", "cancelled", "failed", "handed_over", "unanswered"}
    assert max(len(turns) for turns in conversations()) <= 6
    messages = [turn["say"] for turns in conversations() for turn in turns if len(turn["say"].split()) > 3]
    assert len(set(messages)) == len(messages)


def test_they_are_written_apart_from_training_data() -> None:
    known = {words(text) for name in ("support_train", "support_test") for text, _ in shop(name)}
    known |= {words(row["question"]) for row in table("faq.csv")}
    questions = [say for say, wanted in expected() if wanted["outcome"] in ("answered", "unanswered", "handed_over")]
    assert len(questions) > 200
    assert not [say for say in questions if words(say) in known]


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def test_what_documents_answer_is_in_them() -> None:
    answers = "\n".join(row["answer"] for row in table("faq.csv"))
    documents = {"policies.md": (FOLDER / "policies.md").read_text(encoding="utf-8"), "faq.csv": answers}
    others = (FOLDER / "desk_policy.toml").read_text(encoding="utf-8") + "\n".join(row["name"] for row in table("products.csv"))
    facts, named = 0, 0
    for say, wanted in expected():
        if wanted["outcome"] != "answered" or "tool" in wanted:
            continue
        for fact in wanted.get("contains", []):
            facts += 1
            if "document" in wanted:
                named += 1
                assert fact.casefold() in documents[wanted["document"]].casefold(), say
            elif fact.casefold() not in others.casefold():
                # Either document may answer, so both have the fact in the same words.
                assert [name for name, text in documents.items() if fact.casefold() not in text.casefold()] == [], (say, fact)
    assert facts >= 140 and named >= 30


def test_the_tools_that_are_named_are_there(tools: Mapping[str, Tool]) -> None:
    assert read_policy(FOLDER / "desk_policy.toml").tools() <= tools.keys()
    named = {wanted["tool"] for _, wanted in expected() if "tool" in wanted}
    assert len(named) == 5 and named <= tools.keys()


def test_orders_that_are_looked_up_exist_or_are_wrong_on_purpose(tools: Mapping[str, Tool], environment: Mapping[str, str]) -> None:
    right = wrong = 0
    for say, wanted in expected():
        if wanted.get("tool") != "order_status" or wanted["outcome"] != "answered":
            continue
        if set(wanted["contains"]) <= NOT_FOUND:
            wrong += 1
            assert wanted["contains"][0] in told(tools["order_status"], []), say
            assert found(tools["order_status"], wanted["arguments"], environment) == [], say
            continue
        right += 1
        (row,) = found(tools["order_status"], wanted["arguments"], environment)
        answer = told(tools["order_status"], [row])
        assert [fact for fact in wanted["contains"] if fact not in answer] == [], say
    assert right >= 20 and wrong >= 5


def proof(contact: str) -> str:
    """An e-mail address or a post code as the shop compares it."""
    return contact.replace(" ", "").upper()


def test_calls_that_change_something_fit_an_order(tools: Mapping[str, Tool]) -> None:
    orders = {row["order_id"]: {proof(row["email"]), proof(row["postcode"])} for row in table("orders.csv")}
    counts: Counter[str] = Counter()
    for say, wanted in expected():
        arguments, tool = wanted.get("arguments", {}), tools.get(wanted.get("tool", ""))
        if tool is None or not tool.owner or tool.name == "order_status":
            continue
        counts[wanted["outcome"]] += 1
        assert arguments.keys() <= tool.properties.keys(), say
        assert "order" not in arguments or arguments["order"] in orders, say
        if wanted["outcome"] == "answered":
            assert set(wanted["contains"]) <= NOT_FOUND and proof(arguments["contact"]) not in orders[arguments["order"]], say
        elif "contact" in arguments and "order" in arguments:
            assert proof(arguments["contact"]) in orders[arguments["order"]], say
        if wanted["outcome"] == "failed":
            assert wanted["contains"][0] in tool.refusals["409"]["en"], say
    assert counts["proposed"] >= 20 and counts["done"] >= 15 and counts["failed"] >= 3 and counts["answered"] >= 3


def test_stock_that_is_told_is_that_of_one_product(tools: Mapping[str, Tool], environment: Mapping[str, str]) -> None:
    count = 0
    for say, wanted in expected():
        if wanted.get("tool") != "stock" or wanted["outcome"] != "answered":
            continue
        count += 1
        (row,) = found(tools["stock"], {"product": wanted["contains"][0]}, environment)
        assert row["name"].casefold() in say.casefold() or row["sku"] in say
        assert [fact for fact in wanted["contains"] if fact not in told(tools["stock"], [row])] == [], say
    assert count >= 10


def test_a_person_takes_over_once_and_after_two_messages_without_an_answer() -> None:
    handed = 0
    for turns in conversations():
        outcomes = [turn.get("expect", {}).get("outcome") for turn in turns]
        handed += outcomes.count("handed_over")
        assert "handed_over" not in outcomes[:-1], turns[0]["say"]
        assert ("unanswered", "unanswered") not in set(itertools.pairwise(outcomes)), turns[0]["say"]
    assert handed >= 10
