"""Vectors of questions move towards the passages that answer, if that finds more on questions that they were not fitted on."""

from __future__ import annotations

import numpy as np

from smidgen.apps.documents.document import Passage, SourceDocument, TextBlock
from smidgen.apps.documents.passages import passages_of
from smidgen.apps.retrieval.passage_search import Floats32, PassageVectors
from smidgen.apps.retrieval.question_head import LEAST_QUESTIONS, learnt_head
from smidgen.apps.retrieval.vectors import units, with_head
from smidgen.apps.retrieval.weights import SearchWeights

TOPICS, WIDTH, EACH = 8, 32, 12


def made(shift: int) -> tuple[PassageVectors, list[tuple[str, frozenset[int]]], Floats32]:
    """Passages with a direction each, and questions that point at the one `shift` places on, with noise."""
    rng = np.random.default_rng(0)
    directions = np.eye(WIDTH, dtype=np.float32)[:TOPICS]
    asked, questions = [], []
    for topic in range(TOPICS):
        for number in range(EACH):
            asked.append((f"question {topic} {number}", frozenset({topic})))
            questions.append(directions[(topic + shift) % TOPICS] + 0.05 * rng.normal(size=WIDTH))
    vectors = PassageVectors(directions, np.zeros_like(directions), directions)
    return vectors, asked, units(np.array(questions, np.float32))


def passages() -> list[Passage]:
    return [
        passages_of(SourceDocument(f"d{number}", "", (TextBlock(f"Words about subject{number} stand here."),)))[0]
        for number in range(TOPICS)
    ]


def test_a_map_that_helps_is_kept() -> None:
    vectors, asked, questions = made(shift=1)
    head, said = learnt_head(passages(), vectors, asked, questions, SearchWeights(), 0)
    assert head is not None and head.shape == (WIDTH, WIDTH) and "96 questions" in said
    moved = with_head(lambda texts: questions[: len(texts)], head)(["one", "two"])
    assert int(np.argmax(vectors.passages @ moved[0])) == 0 and np.allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)


def test_a_map_that_does_not_help_is_dropped() -> None:
    vectors, asked, questions = made(shift=0)
    head, said = learnt_head(passages(), vectors, asked, questions, SearchWeights(), 0)
    assert head is None and "stay as they are" in said


def test_few_questions_teach_nothing() -> None:
    vectors, asked, questions = made(shift=1)
    few = LEAST_QUESTIONS - 1
    assert learnt_head(passages(), vectors, asked[:few], questions[:few], SearchWeights(), 0) == (None, "")
