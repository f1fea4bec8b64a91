"""Tool files: what they may say, and every mistake at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import RecipeError
from smidgen.tools.arguments import check_arguments, schema_mistakes
from smidgen.tools.definition import HttpTarget, SqlTarget, Tool, from_json, to_json
from smidgen.tools.tool_file import read_tools

SHOP = """
database = "sqlite:///orders.db"

[tools.order_status]
description = "Look up an order"
words = { en = "Look up order {order}", de = "Bestellung {order} nachsehen" }
changes = false
confirm = "never"
owner = ["order", "email"]
nothing = "I find no order with this number and this e-mail address."
sql = "SELECT status FROM orders WHERE order_id = :order AND lower(email) = lower(:email)"
examples = [{ message = "where is FH-20103", arguments = { order = "FH-20103" } }]

[tools.order_status.arguments]
order = { type = "string", pattern = "FH-[0-9]{5}", title = "order number" }
email = { type = "string", format = "email", title = "e-mail address" }

[tools.note]
description = "Leave a note"
words = "Leave a note with order {order}"
[tools.note.http]
method = "POST"
url = "${SHOP_URL}/api/orders/{order}/notes"
headers = { Authorization = "Bearer ${SHOP_KEY}" }
body = { text = "{text}" }
[tools.note.arguments]
order = { type = "string", pattern = "FH-[0-9]{5}" }
text = { type = "string", maxLength = 300 }
gift = { type = "boolean", required = false }
"""


def tools(folder: Path, text: str = SHOP) -> dict[str, Tool]:
    file = folder / "tools.toml"
    file.write_text(text, encoding="utf-8")
    return {tool.name: tool for tool in read_tools(file)}


def mistakes(folder: Path, old: str, new: str) -> str:
    assert SHOP.count(old) >= 1
    with pytest.raises(RecipeError) as caught:
        tools(folder, SHOP.replace(old, new, 1))
    return str(caught.value)


def test_tools_are_read(tmp_path: Path) -> None:
    found = tools(tmp_path)
    order, note = found["order_status"], found["note"]
    assert order.required == ("order", "email") and note.required == ("order", "text")
    assert not order.waits and note.waits
    assert order.properties["order"]["pattern"] == "^(?:FH-[0-9]{5})$"
    assert isinstance(order.target, SqlTarget) and order.target.folder == str(tmp_path.resolve())
    assert isinstance(note.target, HttpTarget) and note.target.method == "POST"
    assert order.examples[0].arguments == {"order": "FH-20103"}


def test_words_show_every_argument(tmp_path: Path) -> None:
    found = tools(tmp_path)
    assert found["order_status"].wording({"order": "FH-20103"}, "de-AT") == "Bestellung FH-20103 nachsehen"
    said = found["note"].wording({"order": "FH-20103", "text": "{order} x" + "y" * 300, "gift": True})
    assert said == "Leave a note with order FH-20103 (text: {order} x" + "y" * 300 + ", gift: yes)"


def test_a_tool_in_a_bundle_does_not_say_how_it_is_called(tmp_path: Path) -> None:
    for tool in tools(tmp_path).values():
        told = to_json(tool)
        assert "SELECT" not in str(told) and "SHOP_KEY" not in str(told)
        again = from_json(told)
        assert to_json(again) == told and again.target is None
    assert len(tools(tmp_path)) == 2
    with pytest.raises(ValueError, match="not a tool"):
        from_json({"name": "x"})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gift = {", "Gift = {", "lower-case letters"),
        (':email)"', ':mail)"', ":mail is no argument"),
        ("{ en =", "{ english =", "is no language"),
        ("order {order}", "order {order.__class__}", "is not a name"),
        ("changes = false", "changes = true", "sql only reads"),
        ('owner = ["order", "email"]', 'owner = ["order", "postcode"]', "postcode is no argument"),
        ("this number and", "{order} and", "must not name anything"),
        ("FH-[0-9]{5}", "(F+)+", "take very long"),
        ("Bearer ${SHOP_KEY}", "Bearer {order}", "no argument may stand in a header"),
        ("${SHOP_URL}/api", "https://{order}.example/api", "begins with https://HOST/"),
        ("${SHOP_URL}/api", "https://a@shop.example/api", "begins with https://HOST/"),
        ("{text}", "{words}", "{words} is no argument"),
        ('database = "sqlite:///orders.db"', "", "no database is named"),
        ("maxLength = 300", "maxLength = 99999", "maxLength is at most"),
        ('message = "where', 'massage = "where', "is unknown here"),
        ('type = "boolean"', '"$ref" = "http://evil.example/x"', "reference is not allowed"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in mistakes(tmp_path, old, new)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        tools(tmp_path, SHOP.replace("FH-[0-9]{5}", "(F+)+").replace("{text}", "{words}"))
    assert len(caught.value.mistakes) >= 3


def given(folder: Path, **values: Any) -> Any:
    return check_arguments(tools(folder)["order_status"], values)


def test_arguments_are_cleaned_and_held_to_the_schema(tmp_path: Path) -> None:
    fits = given(tmp_path, order=" FH-\u200b20103\u202e\n", email="nia@example.com")
    assert fits.valid and fits.values == {"order": "FH-20103", "email": "nia@example.com"}
    assert given(tmp_path, order="FH-20103").missing == ("email",)
    assert given(tmp_path, order="", email=None).missing == ("order", "email")
    wrong = given(tmp_path, order="FH-20103' OR '1'='1", email="nia@example.com", admin=True)
    assert wrong.mistakes == {"order": "it does not have the expected form", "admin": "the tool has no such argument"}
    assert given(tmp_path, order=20103, email="nia@example.com").mistakes.keys() == {"order"}
    assert given(tmp_path, order="F" * 100_000, email="a@b.example").mistakes["order"].startswith("it is longer")


def test_numbers_and_depth_are_bounded(tmp_path: Path) -> None:
    tool = tools(tmp_path)["note"]
    base = {"order": "FH-20103", "text": "hi"}
    assert check_arguments(tool, {**base, "gift": True}).valid
    assert "gift" in check_arguments(tool, {**base, "gift": float("nan")}).mistakes
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    assert "text" in check_arguments(tool, {**base, "text": deep}).mistakes
    assert schema_mistakes({"type": "array"}) and not schema_mistakes(tool.schema)


def test_the_tools_of_the_how_to_page_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "give-a-desk-tools.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    own = "\n".join(block for block in blocks if "[openapi" not in block)
    found = tools(tmp_path, own)
    assert set(found) == {"order_status", "cancel_order"} and len(blocks) == 3
    assert found["cancel_order"].waits and not found["order_status"].waits
