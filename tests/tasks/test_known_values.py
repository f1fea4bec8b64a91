"""Values from a list: which of them a message names, and how a tool says where they are."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.action_examples import TOOLS, call, examples

from smidgen.core.errors import RecipeError
from smidgen.core.rows import Row
from smidgen.tasks import action_tools
from smidgen.tasks.act import ActSettings, part
from smidgen.tasks.known_values import ListedValues

GOODS = ["Oak Stool", "Bracken Cushion", "Brass Lamp Small", "Brass Lamp Large", "Linen Tea Towel", "Dr Anna Weber", "Dr Paul Weber"]
SAID = {
    "is the oak stool in stock": "Oak Stool",
    "any bracken cushions left?": "Bracken Cushion",
    "a bracken cusion": "Bracken Cushion",
    "the large brass lamp": "Brass Lamp Large",
    "anna weber please": "Dr Anna Weber",
    "Haben Sie den Oak-Stool?": "Oak Stool",
    "brass lamp please": None,
    "Dr Weber on Monday": None,
    "an oak table and a metal stool for the garden": None,
    "hello": None,
}


@pytest.mark.parametrize("text", SAID)
def test_a_message_names_a_value(text: str) -> None:
    found = ListedValues(GOODS).named(text)
    assert (found.value if found is not None else None) == SAID[text]


def test_long_messages_and_lists_take_bounded_time() -> None:
    known = ListedValues([f"Dr {first}{second} Weber" for first in "abcdefghij" for second in range(400)])
    began = time.process_time()
    assert known.named("dr weber " * 400) is None
    assert time.process_time() - began < 5


def _tools(folder: Path, values: object) -> str:
    product = {"type": "string", "values_from": values}
    stock = {"name": "stock", "description": "Say what is in stock.", "parameters": {"type": "object", "properties": {"product": product}}}
    (folder / "goods.csv").write_text("sku,name\n" + "".join(f"{n},{name}\n" for n, name in enumerate(GOODS)), encoding="utf-8")
    (folder / "tools.json").write_text(json.dumps([*TOOLS, stock]), encoding="utf-8")
    return str(folder / "tools.json")


def test_a_value_that_no_row_has_is_found(tmp_path: Path) -> None:
    file = _tools(tmp_path, "goods.csv:name")
    said = [*examples(), *((f"any Oak Stool left {n}", call("stock", product="Oak Stool")) for n in range(8))]
    form = part.form([Row(text, output, number) for number, (text, output) in enumerate(said, start=1)], ActSettings(tools=file))
    assert form.tools[3]["values"]["product"] == GOODS and "values" not in form.listed["tools"][3]["function"]
    assert part.form_fault(form) == "" and form.tagged is not None
    values = form.tagged["choices"][0]["values"]
    chances = [0.9 if value == "stock" else 0.1 / (len(values) - 1) for value in values]
    others = [[1 / len(choice["values"])] * len(choice["values"]) for choice in form.tagged["choices"][1:]]
    raw = {"spans": [[]], "choices": [[chances, *others]], "inputs": ["are there linen tea towels"]}
    (reply,) = part.decode(raw, form)
    assert reply.output == call("stock", product="Linen Tea Towel") and reply.facts["spans"] == {"product": [[10, 26]]}


def test_mistakes_in_a_list_are_told(tmp_path: Path) -> None:
    wrong = {"gone.csv:name": "no file", "goods.csv:price": "no column", "/etc/hosts": "no file"}
    for place, why in wrong.items():
        with pytest.raises(RecipeError, match=why):
            action_tools.read(_tools(tmp_path, place))
    assert len(wrong) == 3
    assert action_tools.read(_tools(tmp_path, ["a", "b"]))[3]["values"] == {"product": ["a", "b"]}
