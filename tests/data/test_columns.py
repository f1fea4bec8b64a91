"""The columns of a file of finished texts: the one with the texts, and those that they are written from."""

from __future__ import annotations

import pytest

from smidgen.data.columns import choose_written

LONG = "A stool of oak in its natural colour, that stands as firm as the tree did."


@pytest.mark.parametrize(
    ("rows", "inputs", "label"),
    [
        ([{"sku": "A1", "name": "Oak stool", "colour": "natural", "price": 49, "image": "https://x.example/1.png", "description": LONG}],
         ("name", "colour", "price"), ("description",)),
        ([{"message": LONG + LONG, "summary": LONG}], ("message",), ("summary",)),
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
