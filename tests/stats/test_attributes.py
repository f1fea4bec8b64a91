"""Attributes are read from texts that are nothing else, and from no other text."""

import csv
import importlib.resources

import pytest

from smidgen.text.attribute_lists import attributes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name[Alimentum], area[city centre], familyFriendly[no]",
            [("name", "Alimentum"), ("area", "city centre"), ("familyFriendly", "no")],
        ),
        ("priceRange[£20-25]", [("priceRange", "£20-25")]),
        ("name[Café Rouge]; customer rating[5 out of 5]\nnear[]", [("name", "Café Rouge"), ("customer rating", "5 out of 5")]),
        (
            "name: Oak Stool\ncolour: natural, oiled\n\n- size: 45 cm",
            [("name", "Oak Stool"), ("colour", "natural, oiled"), ("size", "45 cm")],
        ),
        ("name: Oak Stool; colour: red; size=45 cm;", [("name", "Oak Stool"), ("colour", "red"), ("size", "45 cm")]),
        ("name=Oak|use=", [("name", "Oak")]),
        (
            "name: Moss Cushion, material: cotton velvet, feather filling, colour: green",
            [("name", "Moss Cushion"), ("material", "cotton velvet, feather filling"), ("colour", "green")],
        ),
        ("url: https://x.org/a?b=1; time: 10:30", [("url", "https://x.org/a?b=1"), ("time", "10:30")]),
        ("имя: Стул; цвет: белый", [("имя", "Стул"), ("цвет", "белый")]),
        (
            '{"name": "Oak", "in stock": true, "size": {"width": 45}, "tags": ["a", "b"], "none": null}',
            [("name", "Oak"), ("in stock", "yes"), ("size.width", "45"), ("tags", "a"), ("tags", "b")],
        ),
    ],
)
def test_attributes(text, expected):
    assert attributes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "A cosy pub in the city centre.",
        "Note: we close at six.",
        "Hi: I would like to return a lamp. It came broken, reason: the box was wet.",
        "Dear team; the lamp broke; please send another",
        "Question: where is my parcel? It was due on Monday.\nAnswer: on its way.\nThanks!",
        "See [1] and [2].",
        "name[Aromi] is a pub",
        "see https://example.org, or http://example.com",
        "[1, 2]",
        '{"name": ',
        "{}",
        "{" * 5000,
        "a: b" * 10000,
        "a:" + " " * 19_000 + "b",
        '{"a":' + "[" * 3000 + "]" * 3000 + "}",
        ", " + "a " * 9_000,
    ],
)
def test_prose_has_none(text):
    assert attributes(text) == []


def test_no_message_of_the_sample_shop_is_taken_for_attributes():
    file = importlib.resources.files("smidgen") / "samples" / "homeware" / "support_train.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    assert len(texts) > 500
    assert [text for text in texts if attributes(text)] == []
