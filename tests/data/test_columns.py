"""The columns of a file of finished texts: the one with the texts, and those that they are written from; labels that are numbers."""

from __future__ import annotations

import pytest

from smidgen.core.errors import DataError
from smidgen.data.columns import NoHeader, choose_label, choose_written, resolve

LONG = "A stool of oak in its natural colour, that stands as firm as the tree did."


@pytest.mark.parametrize(
    ("rows", "inputs", "label"),
    [
        ([{"sku": "A1", "name": "Oak stool", "colour": "natural", "price": 49, "image": "https://x.example/1.png", "description": LONG}],
         ("name", "colour", "price"), ("description",)),
        ([{"message": LONG + LONG, "summary": LONG}], ("message",), ("summary",)),
        ([{"id": "7", "section": "history", "notes": LONG, "dialogue": LONG * 3}], ("dialogue",), ("notes",)),
        ([{"source": [LONG, LONG], "title": "Of stools", "short": [LONG]}], ("source",), ("short",)),
        ([{"draft": LONG, "corrected": LONG}], ("draft",), ("corrected",)),
        ([{"attributes": "name: Oak stool; colour: natural; price: 49 pounds", "description": LONG}], ("attributes",), ("description",)),
        ([{"Name": "Eichenhocker", "Farbe": "natur", "Produkttext": LONG}], ("Name", "Farbe"), ("Produkttext",)),
        ([{"name": "Oak stool", "colour": "natural", "price": 49}], ("name", "colour", "price"), ()),
    ],
)  # fmt: skip
def test_finished_texts_and_what_they_are_written_from_are_told_apart(
    rows: list[dict[str, object]], inputs: tuple[str, ...], label: tuple[str, ...]
) -> None:
    assert choose_written(tuple(rows[0]), rows * 3) == (inputs, label)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", "5", "3", "5", "1", "3"] * 4, True),
        ([True, False, False] * 4, True),
        ([str(number) for number in range(24)], False),
        (["12.50", "3.99"] * 12, False),
        (["1"] * 24, False),
    ],
)
def test_labels_may_be_written_as_numbers(values: list[object], found: bool) -> None:
    rows = [{"review": f"{LONG} {place}", "stars": value} for place, value in enumerate(values)]
    label = choose_label(("review", "stars"), rows, "a.csv", None, None, ("review",))
    assert (label is not None and label.names == ("stars",)) == found


def test_a_first_row_of_a_text_and_a_number_is_no_header() -> None:
    rows = [{LONG: f"{LONG} {place}", "5": str(place % 3 + 3)} for place in range(24)]
    with pytest.raises(NoHeader, match="looks like an example"):
        choose_label((LONG, "5"), rows, "a.csv", None, None, (LONG,))


def test_of_an_intent_and_its_category_the_intent_is_the_label() -> None:
    rows = [{"utterance": LONG, "category": "ORDER", "intent": f"order_{place % 3}"} for place in range(9)]
    label = choose_label(("utterance", "category", "intent"), rows, "a.csv", None, None, ("utterance",))
    assert label is not None and label.names == ("intent",)


def test_a_column_whose_name_holds_commas_is_named_among_others() -> None:
    columns = ("text", "Name, first", "Name, first, last", "size")
    assert resolve("Name, first,size", columns, "a.csv", "--label", 9) == ("Name, first", "size")
    assert resolve("size, Name, first, last , text", columns, "a.csv", "--label", 9) == ("size", "Name, first, last", "text")
    found = choose_label(columns, [], "a.csv", None, "Name, first,size", ("text",), 9)
    assert found is not None and found.names == ("Name, first", "size") and found.how == "remembered"
    with pytest.raises(DataError, match="'first'"):
        resolve("first,size", columns, "a.csv", "--label", 9)
