"""A lexicon learnt from made-up pairs finds what a text states, leaves out and makes up; and knows when it does not know."""

import json
import random

import pytest

from smidgen.text.attribute_lists import attributes
from smidgen.text.lexicon import Lexicon, learn_lexicon
from smidgen.text.words import are_alike, key_words, mentioned, read_words, value_words

NAMES = ("The Eagle", "Aromi", "Café Brazil", "Green Man", "Cotto", "Browns Cambridge", "The Mill", "Wildwood", "Loch Fyne", "Zizzi")
PRICES = {
    "high": ("has high prices", "is expensive", "is in the high price range", "costs a lot"),
    "low": ("has low prices", "is cheap", "is in the low price range"),
    "middling": ("has middling prices", "asks moderate prices"),
}
RATINGS = {"high": ("is highly rated", "has a high customer rating"), "low": ("is poorly rated", "has a low customer rating")}
FAMILY = {
    "yes": ("is family friendly", "welcomes kids", "is child friendly", "is a good place for children"),
    "no": ("is not family-friendly", "isn't child friendly", "is for adults only", "is not a good place for children"),
}
OPENINGS = ("{} is a pub that", "There is a place called {} that", "{}")


def pair(rng):
    """Attributes, and one way to put them in words. One in ten texts leaves an attribute out."""
    given = {"name": rng.choice(NAMES), "price": rng.choice(list(PRICES)), "rating": rng.choice(list(RATINGS))}
    given["familyFriendly"] = rng.choice(list(FAMILY))
    for key in ("price", "rating", "familyFriendly"):
        if rng.random() < 0.25:
            del given[key]
    said = [
        rng.choice(table[given[key]]) for key, table in (("price", PRICES), ("rating", RATINGS), ("familyFriendly", FAMILY)) if key in given
    ]
    if rng.random() < 0.1:
        said = said[1:]
    rng.shuffle(said)
    text = f"{rng.choice(OPENINGS).format(given['name'])} {', '.join(said) or 'is open'}."
    return ", ".join(f"{key}[{value}]" for key, value in given.items()), text


@pytest.fixture(scope="module")
def lexicon():
    rng = random.Random(0)
    made = learn_lexicon([pair(rng) for _ in range(1200)])
    assert made is not None
    return made


def test_every_wording_is_learnt(lexicon):
    source = "name[Aromi], price[{}], rating[{}], familyFriendly[{}]"
    seen = 0
    for price, prices in PRICES.items():
        for rating, ratings in RATINGS.items():
            for family, families in FAMILY.items():
                for number in range(4):
                    said = [options[number % len(options)] for options in (prices, ratings, families)]
                    facts = lexicon.check(source.format(price, rating, family), f"Aromi {said[0]}, {said[1]} and {said[2]}.")
                    seen += 1
                    assert (facts.missing, facts.unsupported) == ((), ()), said
                    assert len(facts.covered) == 4
    assert seen == 48


@pytest.mark.parametrize(
    ("text", "missing", "unsupported"),
    [
        ("Aromi is family friendly and has high prices.", (), ()),
        ("Aromi is not at all family friendly and has high prices.", (("familyFriendly", "yes"),), (("familyFriendly", "no"),)),
        ("Aromi is family friendly.", (("price", "high"),), ()),
        ("Aromi is family friendly, cheap, but also expensive.", (), (("price", "low"),)),
        ("Aromi is family friendly and has a high customer rating.", (("price", "high"),), (("rating", "high"),)),
        ("Cotto is family friendly and has high prices.", (("name", "Aromi"),), (("name", "Cotto"),)),
        ("Arromi is FAMILY-FRIENDLY. High prices!", (), ()),
        ("", (("name", "Aromi"), ("price", "high"), ("familyFriendly", "yes")), ()),
    ],
)
def test_damage_is_found(lexicon, text, missing, unsupported):
    facts = lexicon.check("name[Aromi], price[high], familyFriendly[yes]", text)
    assert (facts.missing, facts.unsupported) == (missing, unsupported)


def test_new_texts_are_faithful_and_swapped_inputs_are_not(lexicon):
    rng = random.Random(1)
    alarms = caught = lost = total = 0
    for _ in range(300):
        source, text = pair(rng)
        facts = lexicon.check(source, text)
        alarms += bool(facts.unsupported)
        given = attributes(source)
        key, value = rng.choice([fact for fact in given if fact in facts.covered])
        others = {"name": NAMES, "price": tuple(PRICES), "rating": tuple(RATINGS), "familyFriendly": tuple(FAMILY)}[key]
        swapped = rng.choice([other for other in others if other != value])
        wrong = lexicon.check(source.replace(f"{key}[{value}]", f"{key}[{swapped}]"), text)
        total += 1
        caught += (key, value) in wrong.unsupported
        lost += (key, swapped) in wrong.missing
    assert total == 300
    assert alarms == 0
    assert caught == lost == total


def test_it_is_json_ready_and_small(lexicon):
    written = json.dumps(lexicon.json())
    again = Lexicon.from_json(json.loads(written))
    assert again.json() == lexicon.json()
    assert len(written) < 20_000
    text = "Cotto isn't child friendly and is cheap."
    assert again.check("name[Aromi]", text) == lexicon.check("name[Aromi]", text)


def test_keys_that_are_never_checked(lexicon):
    assert lexicon.check("name[Aromi], owner[Smith]", "Aromi is open.").missing == ()
    rng = random.Random(2)
    pairs = [(f"{source}, code[{rng.randrange(10**6)}]", text) for source, text in (pair(rng) for _ in range(300))]
    made = learn_lexicon(pairs)
    assert made is not None and not made.keys["code"].checked and made.keys["price"].checked


def test_few_pairs_go_by_the_values_own_words():
    things = ["oak stool", "ash table", "elm bench", "fir shelf", "yew bowl", "fig plate", "box chest", "tin lamp", "tea towel", "bed tray"]
    pairs = [
        (f"name: {thing}; waterproof: {'yes' if n % 2 else 'no'}", f"A {thing}, {'' if n % 2 else 'not '}waterproof.")
        for n, thing in enumerate(things)
    ]
    made = learn_lexicon(pairs)
    assert made is not None
    facts = made.check("name: oak stool; waterproof: yes", "An oak stool that is not waterproof.")
    assert facts.covered == (("name", "oak stool"),)
    assert facts.missing == (("waterproof", "yes"),)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("name: a; colour: b", "a b")] * 3,
        [("A sentence.", "Another one.")] * 50,
        [("name[Aromi]", "Something else altogether.")] * 50,
        [("name[Aromi]", "")] * 50,
    ],
)
def test_what_teaches_no_lexicon(pairs):
    assert learn_lexicon(pairs) is None


def test_long_texts_are_sampled():
    rng = random.Random(3)
    pairs = [pair(rng) for _ in range(200)]
    assert learn_lexicon([(source, text + " And so on." * 2000) for source, text in pairs]) is not None


def test_words():
    read = read_words("It isn't family-friendly, but Brown's Café is: three stars for £20.")
    assert " ".join(read.words) == "it is not family friendly , but browns cafe is : 3 stars for £ 20 ."
    assert [word for word, negated in zip(read.words, read.negated, strict=True) if negated] == ["family", "friendly"]
    assert value_words("The Eagle") == ("eagle",) and value_words("£20-25") == ("£", "20", "25")
    assert key_words("familyFriendly") == key_words("family_friendly") == ("family", "friendly")
    assert are_alike(["fitzbilies", "is", "open"], ("fitzbillies",)) and not are_alike(["fits"], ("fitzbillies",))
    assert mentioned(["soft", "wool", "under", "cotton"], "cotton, wool filling") and not mentioned(["cotton"], "cotton, wool filling")
    assert mentioned(["hob", "is", "a", "kettle"], "Hob Kettle") and not mentioned(["a", "kettle"], "Hob Kettle")
    assert mentioned(["45", "cm", "by", "30"], "45 x 30 cm") and not mentioned(["45", "cm"], "45 x 30 cm")
