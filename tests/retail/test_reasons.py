"""Each reason is of the orders or the catalogue, in the customer's language."""

from __future__ import annotations

from tests.retail.shelf import GOODS

from smidgen.retail.goods import Product
from smidgen.retail.reasons import Evidence, reason
from smidgen.retail.words import WordIndex

MUG, BOWL, LAMP, *_ = GOODS
RANGES = frozenset({"Kelp"})


def test_the_strongest_reason_is_told() -> None:
    cases = [
        (BOWL, Evidence((MUG, 4), MUG, buyers=9), "4 customers bought it and Kelp Mug"),
        (BOWL, Evidence((MUG, 1), MUG, buyers=9), "like Kelp Mug: Kelp, ceramics, stoneware"),
        (LAMP, Evidence((MUG, 1), None, buyers=9), "bought together with Kelp Mug before"),
        (LAMP, Evidence(None, MUG, buyers=9), "similar to Kelp Mug"),
        (LAMP, Evidence(buyers=9), "popular: bought by 9 customers"),
        (LAMP, Evidence(buyers=2), "bought before by other customers"),
        (LAMP, Evidence(), "in the catalogue"),
        (MUG, Evidence(words=["green", "mug"]), "matches your words: green, mug"),
        (LAMP, Evidence(words=[]), "its description is close to your words"),
    ]
    said = [reason(product, evidence, RANGES) for product, evidence, _ in cases]
    assert said == [wanted for *_, wanted in cases]
    assert len(cases) == 9


def test_in_german() -> None:
    assert reason(BOWL, Evidence((MUG, 4)), RANGES, "de") == "4 Kunden kauften es und auch Kelp Mug"
    assert reason(BOWL, Evidence(buyers=3), RANGES, "de") == "beliebt: 3 Kunden kauften es"


def test_few_customers_are_not_counted() -> None:
    plain = Product("x", "Thing", {})
    assert "2" not in reason(plain, Evidence((LAMP, 2), buyers=2), RANGES)


def test_words_are_found_in_the_plural_too_and_not_made_up() -> None:
    index = WordIndex([product.name for product in GOODS], [product.text for product in GOODS])
    assert index.shared("wood, with gold, for lamps", 2) == ["lamps", "wood"]
    scores = index.scores("an alder lamp")
    assert scores.argmax() == 2 and scores[2] == 1 and scores[3] == 0
    assert not index.scores("please give me something").any()
