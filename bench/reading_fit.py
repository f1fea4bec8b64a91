"""Fit the weights of sentences and of evidence on questions to businesses, and show what they are worth on businesses left out.

The businesses and their questions were written for it (`bench/reading_businesses`; its folder `de` has German ones): a line of a
`questions*.txt` is a question and the words that answer, or `-` where the document does not say. The printed weights stand in
`search/weights.py`. The sample's questions are only measured on.

    python -m bench.reading_fit                # with minilm
    python -m bench.reading_fit --base e5 --language de
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.answer import told
from bench.reading import opened, search_of
from smidgen.search.candidates import quoted
from smidgen.search.documents.folder import read_documents
from smidgen.search.passage_search import AskedQuestion, FoundPassage, PassageSearch, ReadQuestion
from smidgen.search.weights import EVIDENCE, READER_SIGNS, SENTENCE_SIGNS, SearchWeights
from smidgen.stats import quoted_answers
from smidgen.tasks.answer import USUAL_THRESHOLD

BUSINESSES = Path(__file__).parent / "reading_businesses"
SAMPLE = Path(__file__).parents[1] / "src" / "smidgen" / "samples" / "homeware" / "desk"
_FITTED_SIGNS = ("cosine", "words", "words_around", "kind", "passage", *READER_SIGNS[1:])
"""Signs whose weights are fitted; the others never helped on a business left out, nor the reader's plain mean beside the rest."""
_SENTENCE_RIDGE, _EVIDENCE_RIDGE = 0.03, 10.0
_NULLS, _LEFT_OUT = 0.5, 0.3
"""Weight of all questions without an answer, that of those with one being 1; and of one whose passages were left out, that of one which
people asked without an answer being 1."""
_FOLDS = 5
_OF_A_QUESTION = -1.0
"""Weight of a sentence that is itself a question: too rare here to be fitted."""


@dataclass(frozen=True)
class AskedAndRead:
    """A question with the wanted answer, and what was read for it; the same with the passages left out that have the answer."""

    wanted: dict[str, str] | None
    here: ReadQuestion
    away: ReadQuestion | None


@dataclass(frozen=True)
class BusinessQuestions:
    """A business: its search, and its questions."""

    search: PassageSearch
    asked: list[AskedAndRead]


@dataclass(frozen=True)
class GradedQuestion:
    """The best candidate for a question; whether the quotation is right; and whether the question stands as people asked it, or its
    passages were left out."""

    first: FoundPassage
    right: bool
    null: bool
    natural: bool


def questions_of(folder: Path) -> Iterator[tuple[str, list[tuple[str, dict[str, str] | None]]]]:
    """Each business's file in a folder, and its questions with the wanted answer; None where the file does not say."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("questions*.txt"))]
    for part in (part for text in texts for part in text.split("## ")[1:]):
        name, *lines = part.strip().split("\n")
        pairs = [line.split(" | ", 1) for line in lines if line.strip()]
        yield (
            name,
            [(question.strip(), None if answer.strip() == "-" else {"id": "", "text": answer.strip()}) for question, answer in pairs],
        )


def read_all(search: PassageSearch, asked: Sequence[tuple[str, dict[str, str] | None]]) -> BusinessQuestions:
    """The questions, read once: weights are tried on the signs alone."""
    words = [quoted_answers.words_of(passage.text) for passage in search.passages]
    found = []
    for question, wanted in asked:
        away = frozenset(
            one.id
            for one, text in zip(search.passages, words, strict=True)
            if wanted is not None and quoted_answers.holds(text, wanted["text"])
        )
        without = search.read(AskedQuestion(question, away)) if away else None
        found.append(AskedAndRead(wanted, search.read(AskedQuestion(question)), without))
    return BusinessQuestions(search, found)


def sample_questions() -> list[tuple[str, dict[str, str] | None]]:
    """The sample's questions with the wanted answers."""
    lines = (SAMPLE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["input"], row["output"]) for row in map(json.loads, lines)]


def rankings(business: BusinessQuestions) -> list[tuple[Any, Any]]:
    """For each question with an answer, the signs of the candidates' sentences, and which of them answer."""
    columns = [SENTENCE_SIGNS.index(name) for name in _FITTED_SIGNS]
    found = []
    for one in business.asked:
        if one.wanted is None:
            continue
        tables, right = [], []
        for place, _, _, signs in one.here.candidates:
            passage = business.search.passages[place]
            said = [passage.text] * len(signs) if passage.question else passage.said()  # of a FAQ entry, all is quoted
            tables.append(signs[:, columns])
            right += [quoted_answers.is_right(one.wanted, {"id": passage.document, "text": sentence}) for sentence in said]
        if any(right):
            found.append((np.concatenate(tables), np.array(right)))
    return found


def fit_sentences(rows: Sequence[tuple[Any, Any]]) -> Any:
    """Weights under which the sentences that answer are the likeliest among the candidates', with a ridge on standardised signs."""
    from scipy.optimize import minimize

    spread = np.concatenate([table for table, _ in rows]).std(axis=0)

    def loss(weights: Any) -> tuple[float, Any]:
        total, slopes = 0.0, np.zeros(len(weights))
        for table, right in rows:
            scores = (table / spread) @ weights
            chances = np.exp(scores - scores.max())
            own = chances * right
            total -= np.log(own.sum() / chances.sum())
            slopes += (table / spread).T @ (chances / chances.sum() - own / own.sum())
        ridge = _SENTENCE_RIDGE
        return total / len(rows) + ridge * weights @ weights, slopes / len(rows) + 2 * ridge * weights

    return minimize(loss, np.zeros(len(spread)), jac=True, method="L-BFGS-B").x / spread


def with_sentences(weights: SearchWeights, fitted: Any) -> SearchWeights:
    """The weights with those of sentences."""
    named = {**dict.fromkeys(SENTENCE_SIGNS, 0.0), "question": _OF_A_QUESTION, **dict(zip(_FITTED_SIGNS, map(float, fitted), strict=True))}
    return replace(weights, sentence=tuple(round(named[name], 2) for name in SENTENCE_SIGNS))


def graded(business: BusinessQuestions, weights: SearchWeights) -> list[GradedQuestion]:
    """Each question, and each with an answer again without the passages that have it."""
    search, found = business.search, list[GradedQuestion]()
    search.weights = weights
    for one in business.asked:
        for read in (one.here, one.away):
            candidates = search.choose(read) if read is not None else []
            if not candidates:
                continue
            passage = search.passages[candidates[0].place]
            start, end = quoted(passage, candidates[0].sentence)
            answer = {"id": passage.document, "text": passage.text[start:end]}
            null = one.wanted is None or read is one.away
            found.append(GradedQuestion(candidates[0], not null and quoted_answers.is_right(one.wanted, answer), null, read is one.here))
    return found


def fit_evidence(rows: Sequence[GradedQuestion]) -> Any:
    """Weights of a logistic regression of whether a quotation is right, with a ridge on standardised signs but the constant."""
    from scipy.optimize import minimize

    table, right = np.array([one.first.evidence for one in rows]), np.array([one.right for one in rows])
    nulls = np.array([one.null for one in rows])
    counts = np.where(nulls, np.where([one.natural for one in rows], 1.0, _LEFT_OUT), 0.0)
    count = np.where(nulls, _NULLS * (~nulls).sum() / max(1.0, counts.sum()) * counts, 1.0)
    spread = np.where(table.std(axis=0) > 1e-6, table.std(axis=0), 1.0)
    free = np.array([name != "constant" for name in EVIDENCE])

    def loss(weights: Any) -> tuple[float, Any]:
        odds = (table / spread) @ weights
        slopes = (table / spread).T @ (count * (1 / (1 + np.exp(-odds)) - right))
        value = (count * np.logaddexp(0, np.where(right, -odds, odds))).sum()
        return value + _EVIDENCE_RIDGE * (free * weights**2).sum(), slopes + 2 * _EVIDENCE_RIDGE * free * weights

    return minimize(loss, np.zeros(table.shape[1]), jac=True, method="L-BFGS-B").x / spread


def report(name: str, rows: Sequence[GradedQuestion]) -> None:
    """Print what the answers are worth at the usual threshold."""
    given = 1 / (1 + np.exp(-np.array([one.first.log_odds for one in rows]))) >= USUAL_THRESHOLD
    right, null, natural = (np.array([getattr(one, kind) for one in rows]) for kind in ("right", "null", "natural"))
    print(f"== {name}: {natural.sum()} questions, {(natural & null).sum()} of them without an answer")
    print(f"  quotation right, of those with an answer: {told(right[natural & ~null])}")
    print(f"  treated rightly: {told(np.where(given, right, null)[natural])}")
    print(f"  right among the answers given: {told(right[natural & given])}")
    print(f"  answered: {told(given[natural])}")
    print(f"  nothing answered, asked without an answer: {told(~given[natural & null])}")
    print(f"  nothing answered, passages left out: {told(~given[~natural])}")


def fitted(parts: Sequence[BusinessQuestions], ranked: Sequence[list[tuple[Any, Any]]]) -> SearchWeights:
    """The weights of sentences, and then those of evidence."""
    weights = with_sentences(SearchWeights(), fit_sentences([row for rows in ranked for row in rows]))
    evidence = fit_evidence([row for business in parts for row in graded(business, weights)])
    return replace(weights, evidence=tuple(round(float(value), 2) for value in evidence))


def main() -> None:
    """Fit on four fifths of a language's businesses and measure on the others; then fit on all, and measure on the English sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="minilm")
    parser.add_argument("--language", default="en", choices=("en", "de"))
    asked_for = parser.parse_args()
    base, folder = asked_for.base, BUSINESSES if asked_for.language == "en" else BUSINESSES / asked_for.language
    with tempfile.TemporaryDirectory() as place:
        encoder = opened(base, Path(place))

        def asked_of(folder: Path, asked: Sequence[tuple[str, dict[str, str] | None]]) -> BusinessQuestions:
            return read_all(search_of(read_documents(folder).passages(), encoder, SearchWeights()), asked)

        own = [asked_of(folder / name, asked) for name, asked in questions_of(folder)]
        others = [asked_of(SAMPLE / "documents", sample_questions())] if asked_for.language == "en" else []
    ranked = [rankings(one) for one in own]
    held = list[GradedQuestion]()
    for fold in range(_FOLDS):
        rest = [one for one in range(len(own)) if one % _FOLDS != fold]
        weights = fitted([own[one] for one in rest], [ranked[one] for one in rest])
        held += [row for business in own[fold::_FOLDS] for row in graded(business, weights)]
    report(f"{base}, {len(own)} businesses, each left out", held)
    weights = fitted(own, ranked)
    for other in others:
        report(f"{base}, the sample, fitted on the {len(own)}", graded(other, weights))
    print("sentence:", weights.sentence)
    print("evidence:", weights.evidence)


if __name__ == "__main__":
    main()
