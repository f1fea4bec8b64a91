"""Find the passages that answer a question: candidates by keywords and vectors, ranked by what both say, with the sentence that answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.core.rows import Text
from smidgen.search.documents.document import Passage
from smidgen.search.keyword_index import KeywordIndex
from smidgen.search.question_words import TellingWords, asks_yes_or_no, is_telling, kind_fits, stems_of
from smidgen.search.weights import EVIDENCE, PASSAGE_SIGNS, READER_SIGNS, SENTENCE_SIGNS, SearchWeights

Floats32: TypeAlias = NDArray[np.float32]
Embed: TypeAlias = Callable[[Sequence[str]], Floats32]
"""Unit vectors of texts, (n, width)."""

DEPTH = 30
"""Candidates by keywords, and as many by vectors, that are ranked."""
KEPT = 6
"""Candidates of an answer."""
LEAST_REMEMBERED = 0.85
"""The cosine from which a question that people asked counts for one like it. From a lower one, its answer draws others of its subject."""
MOST_REMEMBERED = 20_000
"""Questions that people asked, at most."""
_FAR_AHEAD = 5.0
"""The most that counts of how far a sentence is ahead of another."""
_SAME = 0.6
"""Share of a sentence's words, by their weights, with which another passage counts as saying it, too."""
_READER = SENTENCE_SIGNS.index("reader")
_LEAST_CHANCE = 1e-4
"""Added to a sentence's chance, so that one without any counts as a small one."""
_MOST_ASKED = 12
"""Telling words of a question that count as many."""
LEAVE_OUT = "\n"
"""Between the ids of passages that must not answer."""
LONGEST_QUESTION = 2_000


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question, and ids of passages that must not answer it: so is measured what is said of a question without an answer."""

    text: str
    without: frozenset[str] = frozenset()


def question_of(text: Text) -> AskedQuestion:
    """A model's input as a question; of a pair, the second text has the ids of passages that must not answer, a line each."""
    if isinstance(text, str):
        return AskedQuestion(text[:LONGEST_QUESTION])
    return AskedQuestion(text[0][:LONGEST_QUESTION], frozenset(text[1].split(LEAVE_OUT)))


class SentenceReader(Protocol):
    """Says how likely each sentence of a passage answers a question."""

    def score_sentences(self, question: str, sentences: Sequence[str]) -> Floats32:
        """Scores of each sentence, (sentences, `READER_SIGNS`); higher is likelier."""
        ...


@dataclass(frozen=True, slots=True)
class RememberedQuestions:
    """Questions that people asked, with the sentences that answer them.

    Attributes:
        vectors: (n, width) their unit vectors.
        answers: (m, 2) pairs of a question's number and the number of a sentence that answers it, counted over all passages.
    """

    vectors: Floats32
    answers: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """Unit vectors: one for each passage (`passages`), for each FAQ entry's question (`questions`, zeros for other passages), and for each
    sentence, passage after passage (`sentences`); and the questions that people asked, if any are remembered."""

    passages: Floats32
    questions: Floats32
    sentences: Floats32
    remembered: RememberedQuestions | None = None


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A candidate: a passage, its rank score, its best sentence and how sure the search is that this answers.

    Attributes:
        place: the passage's place among all.
        score: by which candidates are ranked; higher is better.
        sentence: the number of its best sentence, from 0.
        passage_signs, sentence_signs: the measurements behind the scores.
        evidence: measurements of whether this candidate answers at all, given the other candidates; only the first one's count.
        log_odds: of the answer being right, by `evidence`.
    """

    place: int
    score: float
    sentence: int
    passage_signs: tuple[float, ...]
    sentence_signs: tuple[float, ...]
    evidence: tuple[float, ...]
    log_odds: float


@dataclass(frozen=True, slots=True)
class ReadQuestion:
    """A question with its stems; and its candidates, the best passage first: place, score, signs, and the signs of each sentence,
    (sentences, signs)."""

    text: str
    stems: Sequence[str]
    candidates: Sequence[tuple[int, float, tuple[float, ...], NDArray[np.float64]]]


@dataclass(frozen=True, slots=True)
class _BestSentence:
    """The best sentence of a passage, its score, and by how much that is ahead of the second's. `passage`: the score of the passage."""

    place: int
    passage: float
    passage_signs: tuple[float, ...]
    sentence: int
    sentence_signs: tuple[float, ...]
    score: float
    ahead: float


def vectors_of(passages: Sequence[Passage], embed: Embed, embed_questions: Embed) -> PassageVectors:
    """The vectors of passages and their sentences by one function, those of FAQ entries' questions by the one for questions."""
    made = embed([passage.described for passage in passages])
    asked = [place for place, passage in enumerate(passages) if passage.question]
    questions = np.zeros_like(made)
    if asked:
        questions[asked] = embed_questions([passages[place].question for place in asked])
    sentences = embed([sentence for passage in passages for sentence in passage.said_in_place()])
    return PassageVectors(made, questions, sentences)


class PassageSearch:
    """Passages, ready to be asked. One thread at a time.

    Args:
        passages: all of them.
        vectors: their vectors; None for a search by keywords alone.
        embed: makes the vector of a question; None for a search by keywords alone.
        weights: how much each sign counts.
        reader: scores sentences; None to choose them by vectors and words.
        cosines: the encoder's cosine of texts that have nothing in common, and of those that say the same. They count as 0 and 1.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        vectors: PassageVectors | None = None,
        embed: Embed | None = None,
        weights: SearchWeights | None = None,
        reader: SentenceReader | None = None,
        cosines: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        self._least, self._range = cosines[0], cosines[1] - cosines[0]
        self.passages, self._vectors, self._embed, self._reader = passages, vectors, embed, reader
        self.weights = weights or SearchWeights()
        self._index = KeywordIndex(passages)
        self._places = {passage.id: place for place, passage in enumerate(passages)}
        self._above = [frozenset(stems_of(f"{one.title} {one.heading} {one.question}")) for one in passages]
        self._asked = [frozenset(stems_of(one.question)) for one in passages]
        self._stems = [[frozenset(stems_of(said)) for said in one.said()] for one in passages]
        whole = [above.union(*own) for above, own in zip(self._above, self._stems, strict=True)]
        self._whole = whole
        self._telling = TellingWords(whole)
        counts = [len(own) for own in self._stems]
        self._firsts = np.concatenate([[0], np.cumsum(counts)]).astype(int)
        self._of_sentence = np.repeat(np.arange(len(counts)), counts)

    def find(self, questions: Sequence[AskedQuestion]) -> list[list[FoundPassage]]:
        """For each question its best candidates, the best first; none where no passage has to do with it."""
        vectors = self._vectors_of(questions)
        return [self.choose(self._read(question, vector)) for question, vector in zip(questions, vectors, strict=True)]

    def _vectors_of(self, questions: Sequence[AskedQuestion]) -> Sequence[Any]:
        if self._embed is None or self._vectors is None or not questions:
            return [None] * len(questions)
        return list(self._embed([question.text for question in questions]))

    def rank(self, questions: Sequence[AskedQuestion]) -> list[int]:
        """For each question the place of its best passage, without reading its sentences; -1 where there is none."""
        vectors = self._vectors_of(questions)
        rated = [self._rated(question, vector)[1] for question, vector in zip(questions, vectors, strict=True)]
        return [found[0][1] if found else -1 for found in rated]

    def by_keywords(self, question: AskedQuestion) -> list[int]:
        """The places of the best passages by keywords alone."""
        away = {self._places[name] for name in question.without if name in self._places}
        return [place for place, _ in self._index.find(question.text, DEPTH + len(away)) if place not in away][:DEPTH]

    def read(self, question: AskedQuestion) -> ReadQuestion:
        """All signs of the candidates and their sentences, before any of a sentence's is weighed: what weights are fitted on."""
        (vector,) = self._vectors_of([question])
        return self._read(question, vector)

    def _read(self, question: AskedQuestion, vector: Any) -> ReadQuestion:
        stems, rated = self._rated(question, vector)
        kept = [
            (place, score, signs, self._sentence_signs(question.text, stems, score, place, alike))
            for score, place, signs, alike in rated[:KEPT]
        ]
        return ReadQuestion(question.text, stems, kept)

    def choose(self, read: ReadQuestion) -> list[FoundPassage]:
        """The candidates by their best sentences: a passage that is only near the question does not hide one that answers it."""
        chosen = [self._best_sentence(*one) for one in read.candidates]
        chosen.sort(key=lambda one: -one.score)
        return [self._candidate(number, read, chosen) for number in range(len(chosen))]

    def _rated(self, question: AskedQuestion, vector: Any) -> tuple[list[str], list[tuple[float, int, tuple[float, ...], Any]]]:
        """The question's stems; and the candidates, the best first: score, place, signs, and how near each sentence is."""
        away = {self._places[name] for name in question.without if name in self._places}
        words = {place: score for place, score in self._index.find(question.text, DEPTH + len(away)) if place not in away}
        stems = stems_of(question.text)
        near: Any = None
        candidates = set(words)
        known = self._remembered(vector)
        if vector is not None and self._vectors is not None:
            near = np.maximum(self._vectors.passages @ vector, self._vectors.questions @ vector)
            candidates |= {int(place) for place in self._of_sentence[known > 0]} - away
            near[list(away)] = -1.0
            most = min(DEPTH, len(near))
            candidates |= {int(place) for place in np.argpartition(-near, most - 1)[:most] if place not in away}
        best = max(words.values(), default=0.0)
        rated = []
        for place in sorted(candidates):
            relative = words.get(place, 0.0) / best if best > 0 else 0.0
            signs, alike = self._passage_signs(place, stems, vector, relative, known)
            rated.append((float(np.dot(self.weights.passage, signs)), place, signs, alike))
        rated.sort(key=lambda one: (-one[0], one[1]))
        return stems, rated

    def _remembered(self, vector: Any) -> Any:
        """For each sentence, how near the question is to one that people asked and that this sentence answers; 0 where none is near."""
        known = np.zeros(len(self._of_sentence), np.float32)
        remembered = self._vectors.remembered if self._vectors is not None else None
        if vector is not None and remembered is not None:
            alike = self._scaled(remembered.vectors @ vector)
            number, sentence = remembered.answers.T
            np.maximum.at(known, sentence, np.where(alike >= LEAST_REMEMBERED, alike, 0.0)[number])
        return known

    def _passage_signs(self, place: int, stems: Sequence[str], vector: Any, relative: float, known: Any) -> tuple[tuple[float, ...], Any]:
        """The signs of a passage, and how near each of its sentences is to the question. A question that people asked counts for its
        sentence as a FAQ entry's does for its answer."""
        alike = np.zeros(len(self._stems[place]), np.float32)
        whole = asked = nearest = 0.0
        faq = float(bool(self.passages[place].question))
        if vector is not None and self._vectors is not None:
            alike = self._scaled(self._vectors.sentences[self._firsts[place] : self._firsts[place + 1]] @ vector)
            whole = float(self._scaled(self._vectors.passages[place] @ vector))
            asked = float(self._scaled(self._vectors.questions[place] @ vector)) if faq else 0.0
            nearest = float(alike.max())
            own = known[self._firsts[place] : self._firsts[place + 1]]
            if faq:
                alike = np.maximum(alike, asked)  # what answers the entry's question answers one like it
            alike, asked = np.maximum(alike, own), max(asked, float(own.max()))
        said = self._telling.covered(stems, self._whole[place])
        back = self._telling.covered(tuple(self._asked[place]), frozenset(stems)) if faq else 0.0
        named = self._telling.covered(stems, self._above[place])
        return (whole, nearest, asked, faq, relative, said, named, back), alike

    def _scaled(self, cosines: Any) -> Any:
        return (cosines - self._least) / self._range

    def _sentence_signs(self, question: str, stems: Sequence[str], passage: float, place: int, alike: Any) -> NDArray[np.float64]:
        said = self.passages[place].said()
        own = self._stems[place]
        read = self._reader.score_sentences(question, said) if self._reader is not None else np.zeros((len(said), len(READER_SIGNS)))
        signs = []
        for number, sentence in enumerate(said):
            around = own[number].union(*(own[other] for other in (number - 1, number + 1) if 0 <= other < len(own)))
            cosine = float(alike[number])
            signs.append((
                cosine,
                cosine - float(alike.mean()),
                self._telling.covered(stems, own[number]),
                self._telling.covered(stems, around),
                kind_fits(question, sentence),
                min(1.0, len(sentence.split()) / 30),
                float(number == 0),
                float(sentence.rstrip().endswith("?")),
                float(read[number][0]),
                passage,
                *map(float, read[number][1:]),
            ))  # fmt: skip
        return np.array(signs)

    def _best_sentence(self, place: int, passage: float, signs: tuple[float, ...], sentences: NDArray[np.float64]) -> _BestSentence:
        scores = sentences @ np.array(self.weights.sentence)
        order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        ahead = float(scores[best] - scores[order[1]]) if len(order) > 1 else _FAR_AHEAD
        return _BestSentence(place, passage, signs, best, tuple(float(sign) for sign in sentences[best]), float(scores[best]), ahead)

    def _candidate(self, number: int, read: ReadQuestion, chosen: Sequence[_BestSentence]) -> FoundPassage:
        one = chosen[number]
        own = one.sentence_signs
        rivals = [other.score for rank, other in enumerate(chosen) if rank != number and not self._says(other.place, one)]
        margin = min(_FAR_AHEAD, one.score - max(rivals, default=one.score - _FAR_AHEAD))
        among = np.concatenate([sentences[:, _READER] for _, _, _, sentences in read.candidates])
        evidence = (
            *one.passage_signs,
            *(own[SENTENCE_SIGNS.index(name)] for name in ("cosine", "words", "kind", "reader")),
            one.passage,
            margin,
            min(_FAR_AHEAD, one.ahead),
            self._telling.most_missing(read.stems, self._whole[one.place]),
            min(1.0, sum(map(is_telling, read.stems)) / _MOST_ASKED),
            asks_yes_or_no(read.text),
            own[SENTENCE_SIGNS.index("length")],
            (own[_READER] - float(among.mean())) / (float(among.std()) + 1e-3),
            *(own[SENTENCE_SIGNS.index(name)] for name in READER_SIGNS[1:]),
            math.log(_LEAST_CHANCE + self._chance(one, read)),
            1.0,
        )
        odds = float(np.dot(self.weights.evidence, evidence))
        return FoundPassage(one.place, one.score, one.sentence, one.passage_signs, own, evidence, odds)

    def _chance(self, one: _BestSentence, read: ReadQuestion) -> float:
        """How likely this sentence answers, if one of all the candidates' does: the softmax of their scores. Of a FAQ entry, all answer."""
        scores = {place: sentences @ np.array(self.weights.sentence) for place, _, _, sentences in read.candidates}
        most = max(float(own.max()) for own in scores.values())
        total = sum(float(np.exp(own - most).sum()) for own in scores.values())
        answers = scores[one.place] if self.passages[one.place].question else scores[one.place][one.sentence]
        return float(np.exp(answers - most).sum()) / total

    def _says(self, other: int, one: _BestSentence) -> bool:
        """Whether another passage says most of what a sentence says: it is then no rival of the sentence's passage."""
        return self._telling.covered(tuple(self._stems[one.place][one.sentence]), self._whole[other]) >= _SAME

    def close(self) -> None:
        """Free the index."""
        self._index.close()


assert len(SENTENCE_SIGNS) == 14 and len(PASSAGE_SIGNS) == 8 and len(EVIDENCE) == 26
