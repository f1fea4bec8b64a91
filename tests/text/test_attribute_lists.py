"""Attributes are read from texts that are nothing else, and from no other text."""

from __future__ import annotations

import csv
import importlib.resources

import pytest

from smidgen.text.attribute_lists import attributes, copied_values, substitute_values, written


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


NAMES = ("Kindle Box", "Nell Mug", "Arden Lamp", "Fern Bowl")
MATERIALS = ("oak", "brass", "stoneware")
KNOWN = {"kind": ["coffee shop", "inn"], "name": ["The Eagle", "Aromi"], "near": ["Ranch"]}


def pairs(count: int = 24) -> list[tuple[str, str]]:
    made = []
    for n in range(count):
        name, material, price = NAMES[n % 4], MATERIALS[n % 3], ("cheap", "dear")[n % 2]
        source = f"name: {name}; material: {material}; price: {price}; size: {n + 3} cm; washable: yes"
        made.append((source, f"{name} is made of {material} and {n + 3} cm wide, at a {'low' if n % 2 == 0 else 'high'} price."))
    return made


def test_keys_whose_values_are_repeated_are_found_with_their_values() -> None:
    more = [*pairs(), ("name: Fern Bowl; size: 1 cm", "A Fern Bowl.")]
    found = copied_values(more)
    assert set(found) == {"name", "material"}
    assert found["name"][0] == "Fern Bowl" and set(found["name"]) == set(NAMES), "the most frequent first"
    assert copied_values(pairs(12)) == {}, "too few to tell"
    assert copied_values((f"a plain text {n}", "an answer") for n in range(40)) == {}


def test_a_value_that_no_example_had_is_put_back() -> None:
    swap = substitute_values("name[Blue Spice], kind[tavern], area[riverside], near[Ranch]", KNOWN)
    assert swap is not None
    assert swap.text == "name[Aromi], kind[coffee shop], area[riverside], near[Ranch]" or swap.text.startswith("name[The Eagle]")
    name = next(known for known, own in swap.values.items() if own == "Blue Spice")
    assert swap.values == {name: "Blue Spice", "coffee shop": "tavern"}
    assert swap.back(f"{name} is a Coffee shop near Ranch.") == "Blue Spice is a tavern near Ranch."
    assert swap.there("Blue Spice is a tavern near Ranch.") == f"{name} is a coffee shop near Ranch."


@pytest.mark.parametrize("left", ["Aromi serves coffee.", "A coffee-shop-like place.", "You can shop for coffee here."])
def test_words_of_a_stand_in_that_are_left_are_not_given(left: str) -> None:
    swap = substitute_values("kind[tavern]", KNOWN)
    assert swap is not None
    assert swap.back(left) is None
    given = substitute_values("kind[tavern], serves[coffee], other[shop]", KNOWN)
    assert given is not None
    assert given.back("It serves coffee.") == "It serves coffee.", "the input has that word"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("name[The Eagle], kind[inn]", "all are known"),
        ("area[riverside]", "nobody repeats such values"),
        ("name[Tavern], kind[Tavern]", "which of the two would be meant?"),
        ("name[Room 12]", "no words alone"),
        ("near[Oak], area[Ranch]", "the only stand-in is in the input"),
        ("a plain text", "no attributes"),
    ],
)
def test_where_nothing_can_stand_in(source: str, why: str) -> None:
    assert substitute_values(source, KNOWN) is None, why


def test_the_stand_in_asks_for_the_same_article_and_is_as_long() -> None:
    swap = substitute_values("kind[alehouse], name[Nook]", KNOWN)
    assert swap is not None
    assert swap.values == {"inn": "alehouse", "The Eagle": "Nook"}, "a vowel for a vowel, a consonant for a consonant"


def test_values_are_put_back_all_at_once() -> None:
    """What stands for one value may be another value of the input."""
    swap = substitute_values("name[Oak Inn], near[Mill]", {"name": ["Mill House"], "near": ["Oak Inn", "Ranch"]})
    assert swap is not None and len(swap.values) == 2
    shown = {own: known for known, own in swap.values.items()}
    assert swap.text == f"name[{shown['Oak Inn']}], near[{shown['Mill']}]"
    assert swap.back(f"{shown['Oak Inn']} is near {shown['Mill']}.") == "Oak Inn is near Mill."
    assert swap.there("Oak Inn is near Mill.") == f"{shown['Oak Inn']} is near {shown['Mill']}."


def test_a_value_that_stands_elsewhere_in_another_case_is_left_alone() -> None:
    known = {"price": ["High", "Modest"]}
    swap = substitute_values("price[Steep], rating[high]", known)
    assert swap is not None and swap.values == {"Modest": "Steep"}
    assert swap.back("A modest place with a high rating.") == "A Steep place with a high rating."
    assert substitute_values("price[Steep], slope[steep]", known) is None, "which of the two would be meant?"


@pytest.mark.parametrize("left", ["One of the ranches here.", "Ranches are near.", "A RANCHING place."])
def test_words_made_of_a_stand_ins_are_not_given(left: str) -> None:
    swap = substitute_values("near[Grove]", KNOWN)
    assert swap is not None
    assert swap.back(left) is None
    assert swap.back("Near the Ranch.") == "Near the Grove."


@pytest.mark.parametrize("value", ["Größe", "İstanbul", "D’Arcy", "Crème Brûlée"])
def test_letters_of_any_language_are_put_back(value: str) -> None:
    swap = substitute_values(f"near[{value}]", KNOWN)
    assert swap is not None
    assert swap.back("Ranchero is near the ranch, not by Ranch.") is None, "a word that is made of it is left"
    assert swap.back("It is near the ranch.") == f"It is near the {value}."
    assert swap.there(f"It is near {value}.") == "It is near Ranch."


def test_cells_of_a_table_become_a_text_that_is_read_back() -> None:
    cells = [("Product_name", "Oak stool; small"), ("Price (£)", " 49 "), ("Size, in cm", "45 x 45"), ("2 colours", "red"), ("care", "")]
    text = written(cells)
    assert text == "Product name: Oak stool, small; Price: 49; Size in cm: 45 x 45; colours: red"
    assert attributes(text) == [("Product name", "Oak stool, small"), ("Price", "49"), ("Size in cm", "45 x 45"), ("colours", "red")]
    assert written([("care", " ")]) == ""
