"""Sentences end where they end, in English and German, and passages keep them whole."""

from __future__ import annotations

import pytest

from smidgen.search.documents.document import SourceDocument, TextBlock
from smidgen.search.documents.passages import LEAST_WORDS, MOST_WORDS, passages_of
from smidgen.search.documents.sentences import sentence_spans


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Large items cost £39. We send them.", ["Large items cost £39.", "We send them."]),
        ("4.2 To return, ask us. Use one label.", ["To return, ask us.", "Use one label."]),
        ("Am 3. Mai kommt z. B. Herr Dr. Meier. Er bleibt.", ["Am 3. Mai kommt z. B. Herr Dr. Meier.", "Er bleibt."]),
        ("Really?! Yes. The U.S. Army came in 1990. It left.", ["Really?!", "Yes.", "The U.S. Army came in 1990.", "It left."]),
        ("It isn't. A bag costs 50 p. Ask J. Smith, see p. 12.", ["It isn't.", "A bag costs 50 p.", "Ask J. Smith, see p. 12."]),
        ("A1. You pay monthly. B2) It ends.", ["You pay monthly.", "It ends."]),
        ("- First item\n- Second item", ["First item", "Second item"]),
        ("It costs 9.95 euros... or less", ["It costs 9.95 euros... or less"]),
        (" \n ... \n", []),
    ],
)
def test_sentences(text: str, wanted: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == wanted


def test_passages_are_of_some_words_and_never_across_headings() -> None:
    sentence = "This is a sentence with exactly ten words in it."
    blocks = (TextBlock("One", level=1), TextBlock(" ".join([sentence] * 40)), TextBlock("Two", level=2), TextBlock(sentence))
    made = passages_of(SourceDocument("a.md", "A", blocks))
    assert [passage.number for passage in made] == list(range(1, len(made) + 1)) and len(made) == 4
    for passage in made[:-1]:
        assert LEAST_WORDS <= len(passage.text.split()) <= MOST_WORDS and set(passage.said()) == {sentence}
    assert (made[-1].heading, made[-1].text) == ("One > Two", sentence)


def test_a_text_without_an_end_is_cut() -> None:
    made = passages_of(SourceDocument("a.txt", "A", (TextBlock("word " * 3000),)))
    assert all(len(said) <= 2000 for passage in made for said in passage.said()) and len(made) > 5
