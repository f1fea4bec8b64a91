"""Planted label noise is found, most of what is named was planted, and a judge that knows too little stays silent."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smidgen.core.rows import Row
from smidgen.data import label_errors
from smidgen.data.findings.mislabels import look, propose_labels
from smidgen.data.inspection import Survey, inspect

SENTENCES = {
    "parcel": "where is my parcel the courier has not come tracking shows nothing delivery late van driver door",
    "refund": "please give me the money back return the goods refund amount credited bank account weeks",
    "login": "cannot sign in password reset link expired account locked code email access page",
    "invoice": "need a bill with vat number company name paper copy of the invoice for taxes accounting",
}
TOPICS = {label: sentence.split() for label, sentence in SENTENCES.items()}


def noisy(share: float, each: int = 80) -> tuple[list[Row], dict[int, str]]:
    """Rows of four topics with some labels flipped; the right labels of the flipped places."""
    random = np.random.default_rng(3)
    rows = [Row(" ".join(random.choice(words, 8)), label, 0) for label, words in TOPICS.items() for _ in range(each)]
    names = list(TOPICS)
    flipped = sorted(random.choice(len(rows), int(share * len(rows)), replace=False).tolist())
    truth = {place: str(rows[place].output) for place in flipped}
    for place in flipped:
        wrong = names[(names.index(truth[place]) + 1 + int(random.integers(3))) % 4]
        rows[place] = Row(rows[place].input, wrong, 0)
    return [Row(row.input, row.output, number) for number, row in enumerate(rows, start=1)], truth


def test_planted_noise_is_found_with_the_right_label() -> None:
    rows, truth = noisy(0.05)
    found = propose_labels(Survey(rows))
    hits = [one for one in found if one.place in truth]
    assert len(truth) == 16
    assert len(hits) >= 0.7 * len(truth)
    assert len(hits) >= 0.85 * len(found)
    assert sum(one.proposed == truth[one.place] for one in hits) >= 0.9 * len(hits)
    assert [one.proposed_chance - one.given_chance for one in found] == sorted(
        (o.proposed_chance - o.given_chance for o in found), reverse=True
    )


def test_clean_labels_are_left_alone() -> None:
    rows, _ = noisy(0.0)
    assert len(propose_labels(Survey(rows))) <= 3


def test_the_finding_lists_what_was_found() -> None:
    rows, _ = noisy(0.05)
    (finding,) = look(Survey(rows))
    assert finding.severity == "warning"
    first = finding.details["proposals"][0]
    assert set(first) == {"row", "text", "label", "proposed", "label_chance", "proposed_chance"}
    assert rows[first["row"] - 1].input == first["text"]
    assert finding.count == len(finding.details["proposals"])


def test_labels_without_sense_are_not_judged() -> None:
    random = np.random.default_rng(0)
    rows = [Row(" ".join(random.choice(TOPICS["parcel"], 8)), random.choice(list("abcd")), number) for number in range(1, 201)]
    (finding,) = look(Survey(rows))
    assert finding.count == 0
    assert "cannot be told apart" in finding.text


def test_a_label_for_none_of_these_is_not_doubted() -> None:
    rows, truth = noisy(0.05)
    names = {str(rows[place].output) for place in truth}
    found = propose_labels(Survey(rows, unknown=frozenset(names)))
    assert names
    assert [one for one in found if one.given in names] == []


def test_vectors_are_asked_for_once_a_row_and_used() -> None:
    rows, truth = noisy(0.05)
    topic = {str(row.input): truth.get(place, str(row.output)) for place, row in enumerate(rows)}
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        noise = np.random.default_rng(len(asked)).normal(0, 0.05, (len(texts), 4))
        return np.array([np.eye(4)[list(TOPICS).index(topic[text])] for text in texts], dtype=np.float32) + noise.astype(np.float32)

    survey = Survey(rows, embed=embed)
    assert {one.place for one in propose_labels(survey)} == set(truth)
    assert len(asked) == len(rows)
    propose_labels(survey)
    assert len(asked) == len(rows)


def test_a_judge_has_not_seen_the_row() -> None:
    """Random labels on distinct vectors: whoever has seen the labels would know them all."""
    random = np.random.default_rng(0)
    labels = [str(number) for number in random.integers(0, 2, 120)]
    vectors = random.normal(size=(120, 40)).astype(np.float32)
    texts = [f"w{number} x{number * 7}" for number in range(120)]
    judgement = label_errors.judge_labels(texts, labels, vectors)
    for chances in (judgement.crossed, judgement.near):
        assert chances.shape == (120, 2)
        assert np.allclose(chances.sum(axis=1), 1, atol=1e-4)
    assert judgement.agreement < 0.65


BANKING = Path(__file__).parents[3] / "shared" / "data" / "banking77" / "train.csv"


@pytest.mark.skipif(not BANKING.is_file(), reason="needs the BANKING77 data")
def test_noise_in_real_messages() -> None:
    with BANKING.open(encoding="utf-8", newline="") as stream:
        pairs = [(line["text"], line["category"]) for line in csv.DictReader(stream)]
    names = sorted({label for _, label in pairs})[::8]
    pairs = [pair for pair in pairs if pair[1] in names]
    random = np.random.default_rng(1)
    flipped = set(random.choice(len(pairs), len(pairs) // 20, replace=False).tolist())
    rows = [
        Row(
            text,
            names[(names.index(label) + 1 + int(random.integers(len(names) - 1))) % len(names)] if place in flipped else label,
            place + 1,
        )
        for place, (text, label) in enumerate(pairs)
    ]
    found = propose_labels(Survey(rows))
    hits = [one for one in found if one.place in flipped]
    assert len(flipped) > 50
    assert len(hits) >= 0.6 * len(flipped)
    assert len(hits) >= 0.8 * len(found)
    assert sum(one.proposed == pairs[one.place][1] for one in hits) >= 0.9 * len(hits)


def test_labels_that_a_model_tells_apart_are_not_offered_for_merging() -> None:
    rows, _ = noisy(0.0, each=30)
    pair = {"parcel": "taxes_in", "refund": "taxes_on"}
    apart = [Row(row.input, pair.get(str(row.output), row.output), row.number) for row in rows]
    alike = [Row(row.input, ("taxes_in", "taxes_on")[row.number % 2] if row.output in pair else row.output, row.number) for row in rows]
    kinds = [{finding.kind for finding in inspect(Survey(made)).findings} for made in (apart, alike)]
    assert "label_names.alike" not in kinds[0] and "label_names.alike" in kinds[1]


def test_people_are_shown_only_the_sure_doubts() -> None:
    rows, _ = noisy(0.2)
    judgement = label_errors.judge_labels([str(row.input) for row in rows], [str(row.output) for row in rows])
    all_doubts, sure = judgement.doubts(), judgement.sure_doubts()
    assert 0 < len(sure) < len(all_doubts)
    assert min(one.proposed_chance for one in sure) >= label_errors.SHOWN > min(one.proposed_chance for one in all_doubts)
