"""Values that answers repeat, and known ones in place of those that no example had."""

from __future__ import annotations

import pytest

from smidgen.text.attribute_lists import copied_values, substitute_values

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
