"""Vectors of questions move towards the passages that answer, if that finds more on questions that they were not fitted on."""

from __future__ import annotations

import numpy as np

from smidgen.search.documents.document import Passage, SourceDocument, TextBlock
from smidgen.search.documents.passages import passages_of
from smidgen.search.passage_search import PassageVectors, RememberedQuestions
from smidgen.search.question_head import LEAST_QUESTIONS, AnsweredQuestions, learnt_head, remembering_helps
from smidgen.search.vectors import units, with_head

TOPICS, WIDTH, EACH = 8, 32, 12


def made(shift: int, noise: float = 0.05) -> tuple[PassageVectors, AnsweredQuestions]:
    """Passages with a direction each, and questions that point at the one `shift` places on, with noise; `TOPICS` on, at none."""
    rng = np.random.default_rng(0)
    every = np.eye(WIDTH, dtype=np.float32)
    directions = every[:TOPICS]
    asked, questions = [], []
    for topic in range(TOPICS):
        for number in range(EACH):
            asked.append((f"question {topic} {number}", frozenset({topic})))
            questions.append(
                (every[topic + shift] if shift == TOPICS else directions[(topic + shift) % TOPICS]) + noise * rng.normal(size=WIDTH)
            )
    vectors = PassageVectors(directions, np.zeros_like(directions), directions)
    return vectors, AnsweredQuestions(tuple(asked), units(np.array(questions, np.float32)))


NONE = AnsweredQuestions((), np.zeros((0, WIDTH), np.float32))


def passages() -> list[Passage]:
    return [
        passages_of(SourceDocument(f"d{number}", "", (TextBlock(f"Words about subject{number} stand here."),)))[0]
        for number in range(TOPICS)
    ]


def test_a_map_that_helps_is_kept() -> None:
    vectors, people = made(shift=1)
    head, said = learnt_head(passages(), vectors, people, NONE, 0)
    assert head is not None and head.shape == (WIDTH, WIDTH) and "96 questions" in said
    moved = with_head(lambda texts: people.vectors[: len(texts)], head)(["one", "two"])
    assert int(np.argmax(vectors.passages @ moved[0])) == 0 and np.allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-5)


def test_a_map_that_does_not_help_is_dropped() -> None:
    vectors, people = made(shift=0)
    head, said = learnt_head(passages(), vectors, people, NONE, 0)
    assert head is None and "stay as they are" in said


def test_few_questions_teach_nothing() -> None:
    vectors, people = made(shift=1)
    few = AnsweredQuestions(people.asked[: LEAST_QUESTIONS - 1], people.vectors[: LEAST_QUESTIONS - 1])
    assert learnt_head(passages(), vectors, few, people, 0) == (None, "")


def test_made_questions_teach_the_map_only_where_peoples_gain_by_them() -> None:
    vectors, people = made(shift=1, noise=0.6)
    _, alike = made(shift=1, noise=0.01)
    against = AnsweredQuestions(tuple((said, frozenset({(next(iter(right)) + 4) % TOPICS})) for said, right in alike.asked), alike.vectors)
    _, helped = learnt_head(passages(), vectors, people, alike, 0)
    _, unhelped = learnt_head(passages(), vectors, people, against, 0)
    assert "and by 96 made ones" in helped and "better without the made ones" in unhelped


def test_made_questions_are_remembered_only_where_peoples_gain_by_them() -> None:
    vectors, people = made(shift=TOPICS)
    _, alike = made(shift=TOPICS, noise=0.001)
    right = RememberedQuestions(alike.vectors, np.array([(one, one // EACH) for one in range(len(alike.asked))], np.int32))
    wrong = RememberedQuestions(alike.vectors, np.array([(one, (one // EACH + 2) % TOPICS) for one in range(len(alike.asked))], np.int32))
    few = AnsweredQuestions(people.asked[:19], people.vectors[:19])
    assert remembering_helps(passages(), vectors, right, people, 0)[0]
    kept, said = remembering_helps(passages(), vectors, wrong, people, 0)
    assert not kept and "not clearly more" in said
    assert not remembering_helps(passages(), vectors, right, few, 0)[0], "too few to measure by"
