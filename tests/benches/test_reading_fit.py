"""The questions on which the reader's weights are fitted, and the fitting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.reading_fit import BUSINESSES, fit_sentences, questions_of, with_sentences

from smidgen.search.documents.folder import read_documents
from smidgen.search.weights import SENTENCE_SIGNS, SearchWeights
from smidgen.stats import quoted_answers


@pytest.mark.parametrize(("folder", "most", "unsaid"), [(BUSINESSES, 2_510, 595), (BUSINESSES / "de", 793, 143)])
def test_each_wanted_answer_stands_in_its_document(folder: Path, most: int, unsaid: int) -> None:
    seen = nulls = 0
    for name, asked in questions_of(folder):
        words = quoted_answers.words_of(" ".join(document.text for document in read_documents(folder / name).documents))
        for question, wanted in asked:
            seen += 1
            nulls += wanted is None
            assert wanted is None or quoted_answers.holds(words, wanted["text"]), question
    assert seen >= most and nulls >= unsaid


def test_a_sign_that_tells_gets_the_weight() -> None:
    random = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        table, right = random.normal(size=(8, 9)), np.zeros(8, np.bool_)
        right[int(np.argmax(table[:, 0]))] = True
        rows.append((table, right))
    fitted = fit_sentences(rows)
    assert fitted[0] > 1 and abs(fitted[1:]).max() < 0.3 * fitted[0]
    named = dict(zip(SENTENCE_SIGNS, with_sentences(SearchWeights(), fitted).sentence, strict=True))
    assert named["cosine"] > 1 and named["question"] == -1.0 and named["length"] == 0.0
