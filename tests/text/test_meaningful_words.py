"""Two texts get one answer only if no difference between them matters."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from smidgen.text.meaningful_words import differ

ALIKE = [
    ("Where is my card?", "where is the card"),
    ("Please cancel my order", "could you cancel the order, please?"),
    ("I want a refund", "I would like a refund!"),
    ("Can you tell me what the exchange rate is?", "what is the exchange rate"),
    ("I can't log in.", "i cannot log in"),
    ("How do I link a new card?", "How can I link my new cards?"),
    ("Is [PERSON_1] here?", "is [PERSON_1] here"),
    ("I am here at 12:30.", "I'm here at 12:30"),
]
UNLIKE = [
    ("Where is order 123?", "Where is order 124?"),
    ("Where is order A-123?", "Where is order B-123?"),
    ("It costs 1.50", "It costs 1.05"),
    ("Send 5 to 3", "Send 3 to 5"),
    ("a refund of $50", "a refund of €50"),
    ("a refund of 50", "a refund of -50"),
    ("2026-01-02 please", "2026-02-01 please"),
    ("cancel dinner this saturday", "cancel dinner this friday"),
    ("on 3 May", "on 3 March"),
    ("two cards", "three cards"),
    ("call me tomorrow", "call me today"),
    ("My card works", "My card does not work"),
    ("My card works", "My card doesn't work"),
    ("I can't verify it", "I won't verify it"),
    ("I can't verify it", "I couldn't verify it"),
    ("I did not order X but Y", "I did order X but not Y"),
    ("with a receipt", "without a receipt"),
    ("Is Anna in?", "Is Bert in?"),
    ("fly to paris", "fly to london"),
    ("from paris to london", "from london to paris"),
    ("pay in usd", "pay in eur"),
    ("for US customers", "for us customers"),
    ("when does Will come", "when does he come"),
    ("activate my card", "deactivate my card"),
    ("change my name", "change your name"),
    ("what do I call you", "what do you call me"),
    ("put milk on the list", "did I put milk on the list"),
    ("What are disposable cards?", "What do disposable cards do?"),
    ("My card works", "My card works?"),
    ("you hit it", "it hit you"),
    ("I cancelled my order", "Cancel my order"),
    ("Can I cancel the contract?", "I will cancel the contract."),
    ("[PERSON_1] owes [PERSON_2]", "[PERSON_2] owes [PERSON_1]"),
    ("good 👍", "good 👎"),
    ("C++ or C", "C or C"),
    ("Ich kann zahlen", "Ich kann nicht zahlen"),
    ("订单一", "订单二"),
    ("please", "hello"),
    ("", ""),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_courtesy_articles_and_plurals_may_differ(one: str, other: str) -> None:
    assert not differ(one, other) and not differ(other, one)


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_words_that_tell_may_not(one: str, other: str) -> None:
    assert differ(one, other) and differ(other, one)


TELLING = (
    *("124", "3.5", "12:30", "2026-11-26", "$5", "50%", "not", "never", "without"),
    *("friday", "june", "London", "visa", "eur", "two", "[PERSON_2]", "é", "中"),
)


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.sampled_from(["where", "is", "my", "card", "please", "order", "the"]), min_size=1, max_size=6), st.data())
def test_a_telling_word_put_in_anywhere_is_seen(said: list[str], data: st.DataObject) -> None:
    word, other = (data.draw(st.sampled_from(TELLING)) for _ in range(2))
    place = data.draw(st.integers(0, len(said)))
    text = " ".join(said)
    more = " ".join([*said[:place], word, *said[place:]])
    instead = " ".join([*said[:place], other, *said[place:]])
    assert differ(text, more) and differ(more, text)
    assert differ(more, instead) or word == other


def test_the_cases_are_many() -> None:
    assert len(list(itertools.chain(ALIKE, UNLIKE))) > 40
