"""A search finds the passage and the sentence that answer; what a question says is data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from smidgen.search.candidates import candidates_of, quoted
from smidgen.search.documents.document import Passage, SourceDocument, TextBlock
from smidgen.search.documents.passages import passages_of
from smidgen.search.documents.sentences import sentence_spans
from smidgen.search.keyword_index import KeywordIndex, match_query, pieces_query
from smidgen.search.made_questions import made_rows
from smidgen.search.passage_search import AskedQuestion, Floats32, PassageSearch, RememberedQuestions, question_of, vectors_of
from smidgen.search.question_words import kind_fits
from smidgen.search.vectors import units
from smidgen.search.weights import (
    EVIDENCE,
    KEYWORDS_ALONE,
    OF_NEAR_COSINES,
    WITHOUT_READER,
    SearchWeights,
    read_cosines,
    read_weights,
    weights_for,
)

TEXTS = (
    TextBlock("Delivery", level=1),
    TextBlock("Standard delivery costs 4 euros. It takes three days. We do not deliver to Norway."),
    TextBlock("Returns", level=1),
    TextBlock("You may return things within 30 days. They must be unused. A lost label can be printed again."),
    TextBlock("Our shop opens at nine o'clock from Monday to Friday.", question="When do you open?"),
)
PASSAGES = passages_of(SourceDocument("shop.md", "Shop", TEXTS))


def embed(texts: Sequence[str]) -> Floats32:
    """Vectors of the letters' pairs: alike for texts alike."""
    made = np.zeros((len(texts), 512), np.float32)
    for row, text in enumerate(texts):
        for first, second in zip(text.lower(), text.lower()[1:], strict=False):
            made[row, (ord(first) * 31 + ord(second)) % 512] += 1
    return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)


@pytest.fixture(scope="module", params=["vectors", "keywords"])
def search(request: pytest.FixtureRequest) -> PassageSearch:
    if request.param == "keywords":
        return PassageSearch(PASSAGES, weights=KEYWORDS_ALONE)
    return PassageSearch(PASSAGES, vectors_of(PASSAGES, embed, embed), embed)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("what does standard delivery cost", "Standard delivery costs 4 euros. It takes three days."),
        ("do you deliver to Norway?", "We do not deliver to Norway."),
        ("how many days to return things", "You may return things within 30 days. They must be unused."),
        ("when do you open", "Our shop opens at nine o'clock from Monday to Friday."),
    ],
)
def test_the_sentence_that_answers_is_quoted(search: PassageSearch, asked: str, wanted: str) -> None:
    ((first, *_),) = candidates_of(search, [asked])["candidates"]
    assert first["text"][first["from"] : first["to"]] == wanted and first["id"] == "shop.md"


def test_a_question_like_one_that_people_asked_gets_its_sentence() -> None:
    asked = "how long until my mugs get here"
    (found,) = PassageSearch(PASSAGES, vectors_of(PASSAGES, embed, embed), embed).find([AskedQuestion("how long until the mugs get here")])
    said = [sentence for passage in PASSAGES for sentence in passage.said()]
    number = next(place for place, sentence in enumerate(said) if "three days" in sentence)
    remembered = RememberedQuestions(embed([asked]), np.array([[0, number]], np.int32))
    taught = PassageSearch(PASSAGES, replace(vectors_of(PASSAGES, embed, embed), remembered=remembered), embed)
    (first, *_) = taught.find([AskedQuestion("how long until the mugs get here")])[0]
    passage = PASSAGES[first.place]
    assert "three days" in passage.said()[first.sentence]
    assert first.log_odds > found[0].log_odds
    left_out = taught.find([AskedQuestion(asked, frozenset([passage.id]))])[0]
    assert passage.id not in {PASSAGES[one.place].id for one in left_out}
    other = "when do you open"
    assert PASSAGES[taught.find([AskedQuestion(other)])[0][0].place].question == "When do you open?"


@pytest.mark.parametrize(
    "asked",
    ['"', "a OR b) NOT c", "text: *", "NEAR(delivery, 2)", "'; drop table passages; --", "{heading}: x ^", "", "?!", "\ud83d", "x " * 5000],
)
def test_a_question_is_never_syntax(search: PassageSearch, asked: str) -> None:
    (found,) = search.find([question_of(asked)])
    assert len(found) <= len(PASSAGES)
    assert all(
        piece.startswith('"') and piece.endswith('"') and piece.count('"') == 2
        for query in (match_query(asked), pieces_query(asked))
        for piece in query.split(" OR ")
        if piece
    )


def test_passages_are_left_out_on_request(search: PassageSearch) -> None:
    asked = "what does standard delivery cost"
    first = PASSAGES[search.find([AskedQuestion(asked)])[0][0].place]
    others = search.find([question_of((asked, first.id))])[0]
    assert first.id not in {PASSAGES[one.place].id for one in others}
    assert search.find([AskedQuestion(asked, frozenset(one.id for one in PASSAGES))]) == [[]]


def test_a_sentence_that_leans_on_another_is_quoted_with_it() -> None:
    passage = next(one for one in PASSAGES if one.heading == "Returns")
    start, end = quoted(passage, 1)
    assert passage.text[start:end] == "You may return things within 30 days. They must be unused."


def test_an_item_of_a_list_is_quoted_with_the_line_that_leads_to_it() -> None:
    text = "Bring these:\n\nthe receipt\n\nthe goods\n\nWe are glad to help. Ask us."
    passage = Passage("a", 1, "", "", text, 0, len(text), sentences=tuple(sentence_spans(text)))
    found = {text[start:end] for start, end in (quoted(passage, number) for number in range(1, 3))}
    assert found == {"Bring these:\n\nthe receipt", "Bring these:\n\nthe receipt\n\nthe goods"}
    start, end = quoted(passage, 0)
    assert text[start:end].startswith("Bring these:\n\nthe receipt\n\nthe goods")
    long = f"{'Bring this ' * 60}:\n\nthe receipt"
    passage = Passage("a", 1, "", "", long, 0, len(long), sentences=tuple(sentence_spans(long)))
    assert quoted(passage, 1) == passage.sentences[1]


def test_questions_are_made_with_and_without_answers() -> None:
    rows = made_rows(PASSAGES)
    assert rows == made_rows(PASSAGES) and len(rows) >= 5
    asked = {row.input: row.output for row in rows if isinstance(row.input, str)}
    assert asked["When do you open?"] == {"id": "shop.md", "text": "Our shop opens at nine o'clock from Monday to Friday."}
    nulls = [row for row in rows if row.output is None]
    assert nulls and all(isinstance(row.input, tuple) and row.input[1].startswith("shop.md#") for row in nulls)


def test_a_sentence_of_the_asked_kind_is_seen() -> None:
    assert kind_fits("How much is it?", "It costs £4.") == 1 and kind_fits("Was kostet das?", "Es ist rot.") == -1
    assert kind_fits("Wann öffnet ihr?", "Ab 9 Uhr.") == 1 and kind_fits("Is it red?", "It is.") == 0


def test_joined_words_are_found_by_their_letters() -> None:
    index = KeywordIndex(
        passages_of(
            SourceDocument(
                "laden.md",
                "Laden",
                (
                    TextBlock("A", level=1),
                    TextBlock("Rückgabe ist binnen 30 Tagen möglich."),
                    TextBlock("B", level=1),
                    TextBlock("Die Kosten der Lieferung betragen in jeder Straße vier Euro."),
                ),
            )
        )
    )
    assert [place for place, _ in index.find("Lieferkosten", 5)] == [1]
    assert [place for place, _ in index.find("Rückgabefrist?", 5)] == [0]
    assert index.by_words("Lieferkosten", 5) == [] and index.find("xyz", 5) == []
    assert [place for place, _ in index.by_words("welche Straße?", 5)] == [1]


def test_cosines_of_a_narrow_encoder_count_as_those_of_a_wide_one() -> None:
    narrow = lambda texts: units(np.concatenate([embed(texts), np.full((len(texts), 1), 2.0, np.float32)], axis=1))  # noqa: E731
    least = 4 / 5
    wide = PassageSearch(PASSAGES, vectors_of(PASSAGES, embed, embed), embed)
    other = PassageSearch(PASSAGES, vectors_of(PASSAGES, narrow, narrow), narrow, cosines=(least, 1.0))
    asked = [AskedQuestion("what does standard delivery cost"), AskedQuestion("do you deliver to Norway?")]
    for one, same in zip(wide.find(asked), other.find(asked), strict=True):
        assert one[0].place == same[0].place and one[0].log_odds == pytest.approx(same[0].log_odds, abs=1e-3)
    assert len(asked) == 2


def test_cosines_of_another_shape_are_refused() -> None:
    assert read_cosines([0.8, 0.925]) == (0.8, 0.925)
    for wrong in ([0.8], [0.9, 0.8], [0.5, 0.5], ["a", 1], None, [float("nan"), 1]):
        with pytest.raises(ValueError, match="cosines are"):
            read_cosines(wrong)


def test_an_encoder_of_near_cosines_has_weights_of_its_own() -> None:
    assert weights_for((0.0, 1.0), True) == SearchWeights() and weights_for((0.8, 0.925), True) == OF_NEAR_COSINES
    assert weights_for((0.0, 1.0), False) == weights_for((0.8, 0.925), False) == WITHOUT_READER


def test_a_sentence_has_a_chance_among_those_of_all_candidates_and_a_faq_entry_that_of_its_sentences() -> None:
    entry = TextBlock("Our shop opens at nine o'clock. We are closed on Sunday.", question="When do you open?")
    passages = passages_of(SourceDocument("shop.md", "Shop", (*TEXTS[:-1], entry)))
    search = PassageSearch(passages, weights=replace(KEYWORDS_ALONE, sentence=(0.0,) * len(KEYWORDS_ALONE.sentence)))
    found = search.find([AskedQuestion("When do you open the shop, and do you deliver and return things?")])[0]
    counts = {one.place: len(passages[one.place].said()) for one in found}
    assert len(found) == 3 and sum(counts.values()) == 8
    for one in found:
        share = (counts[one.place] if passages[one.place].question else 1) / 8
        assert one.evidence[EVIDENCE.index("chance")] == pytest.approx(math.log(share), abs=1e-2)


def test_weights_of_another_shape_are_refused() -> None:
    told = SearchWeights().json()
    assert read_weights(told) == SearchWeights()
    assert read_weights({**told, "sentence": [2.0] * 9}).sentence == (*(2.0,) * 9, 1.0, *(0.0,) * 4), "of an older bundle"
    assert read_weights({**told, "sentence": [2.0] * 10}).sentence == (*(2.0,) * 10, *(0.0,) * 4)
    assert read_weights({**told, "evidence": [1.0] * 15 + [-3.0]}).evidence == (*(1.0,) * 15, *(0.0,) * 10, -3.0), "of an older bundle"
    assert read_weights({**told, "evidence": [1.0] * 20 + [-3.0]}).evidence == (*(1.0,) * 20, *(0.0,) * 5, -3.0), "without the chance"
    for wrong in ({}, {**told, "passage": [1.0]}, {**told, "evidence": [float("nan")] * 16}, {**told, "sentence": ["1"] * 9}, None):
        with pytest.raises(ValueError, match="weights are"):
            read_weights(wrong)
