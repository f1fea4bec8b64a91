"""Make questions from passages by simple rules, to try a search before anybody has asked it: they show that it works, not how well.

They share words with the passages, as people's questions often do not. Every report of a model built on them says so.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from smidgen.core.rows import Row, Text, evenly
from smidgen.search.documents.document import HEADING_JOINT, Passage
from smidgen.search.passage_search import LEAVE_OUT
from smidgen.search.question_words import COMMON, stem, words_of

MOST_ROWS = 1_200
"""Most made questions; of more passages, evenly spread ones are asked about."""
_EVERY = 4
"""Every so many a question is asked again without the passages that answer it."""
_LEAST_WORDS = 3
_MOST_WORDS = 7
_ALIKE = 0.5
"""Share of an answer's telling words with which another passage may answer, too."""
_RULES = (
    (re.compile(r"(?P<x>[A-Z].{2,70}?) costs? (?!nothing)", re.DOTALL), "How much does {x} cost?"),
    (re.compile(r"You (?:can|may) (?P<x>[^,.;:()]{8,90})"), "Can I {x}?"),
    (re.compile(r"You (?:must|need to|have to) (?P<x>[^,.;:()]{8,90})"), "Do I have to {x}?"),
    (re.compile(r"We (?:do not|don't|cannot|can't) (?:currently )?(?P<x>[^,.;:()]{6,90})"), "Do you {x}?"),
    (re.compile(r"We (?:also |normally |usually )?(?P<x>(?!are\b|have\b|will\b|may\b|can\b)[a-z][^,.;:()]{8,90})"), "Do you {x}?"),
    (re.compile(r"To (?P<x>[a-z][^,.;:()]{6,70}), "), "How do I {x}?"),
    (re.compile(r"If (?P<x>[^,.;:()]{8,90}), "), "What if {x}?"),
    (re.compile(r"Sie können (?P<x>[^,.;:()]{8,90})"), "Kann ich {x}?"),
    (re.compile(r"Wir (?P<v>[a-zäöü]+) (?P<x>[^,.;:()]{8,90})"), "{v} Sie {x}?"),
    (re.compile(r"Wenn (?P<x>[^,.;:()]{8,90}), "), "Was ist, wenn {x}?"),
)
_TURNED = {"you": "I", "your": "my", "yours": "mine", "us": "you", "our": "your", "we": "you", "sie": "ich", "ihr": "mein", "ihre": "meine"}


def made_rows(passages: Sequence[Passage]) -> list[Row]:
    """Questions with their answers, `{"id", "text"}`; every fourth also as a pair with the passages that must not answer, and None. Equal
    passages give equal rows."""
    asked = list(_questions(passages))
    asked = list(evenly(asked, MOST_ROWS * _EVERY // (_EVERY + 1)))
    likely = _Likeness(passages)
    rows: list[Row] = []
    for number, (question, place, text) in enumerate(asked):
        passage = passages[place]
        rows.append(Row(question, {"id": passage.document, "text": text}))
        if number % _EVERY == 0:
            away = sorted({passage.id, *(passages[other].id for other in likely.of(text))})
            pair: Text = (question, LEAVE_OUT.join(away))
            rows.append(Row(pair, None))
    return rows


def _questions(passages: Sequence[Passage]) -> Iterator[tuple[str, int, str]]:
    """Each question, the place of its passage, and the words that answer."""
    alone = Counter((passage.document, passage.heading) for passage in passages)
    for place, passage in enumerate(passages):
        chance = random.Random(passage.id)
        if passage.question:
            yield passage.question, place, passage.text
            if shorter := _keywords(passage.question, chance):
                yield shorter, place, passage.text
            continue
        heading = re.sub(r"^[\d.]+\s+", "", passage.heading.split(HEADING_JOINT)[-1])
        if heading and alone[passage.document, passage.heading] == 1 and len(words_of(heading)) <= _MOST_WORDS:
            yield heading, place, passage.text
        for sentence in passage.said():
            made = _by_rule(sentence) if chance.random() < 0.5 else _keywords(sentence, chance)
            if made:
                yield made, place, sentence


def _by_rule(sentence: str) -> str:
    """A question that the sentence answers, by the first rule that fits; empty if none does."""
    for pattern, question in _RULES:
        if found := pattern.match(sentence):
            parts = {name: _turned(part) for name, part in found.groupdict().items()}
            made = question.format(**parts)
            return made[0].upper() + made[1:]
    return ""


def _turned(words: str) -> str:
    """Words from the business as a customer says them: your is my."""
    first, *rest = words.strip().split()
    kept = first if first.isupper() or first in ("I",) else first[0].lower() + first[1:]
    return " ".join(_TURNED.get(word, word) for word in (kept, *rest))


def _keywords(text: str, chance: random.Random) -> str:
    """Some of a text's telling words, as one types them into a search; empty if there are too few."""
    told = [word for word in dict.fromkeys(words_of(text)) if word not in COMMON and (len(word) > 2 or word.isdigit())]
    count = min(_MOST_WORDS, max(_LEAST_WORDS, round(0.5 * len(told))))
    if len(told) <= _LEAST_WORDS:
        return ""
    kept = sorted(chance.sample(range(len(told)), count))
    return " ".join(told[place] for place in kept)


class _Likeness:
    """Which passages share most telling words of a text."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._having: dict[str, set[int]] = defaultdict(set)
        for place, passage in enumerate(passages):
            for word in _telling(f"{passage.question} {passage.text}"):
                self._having[word].add(place)

    def of(self, text: str) -> list[int]:
        words = _telling(text)
        counts = Counter(place for word in words for place in self._having.get(word, ()))
        return [place for place, count in counts.items() if count >= _ALIKE * len(words)]


def _telling(text: str) -> set[str]:
    return {stem(word) for word in words_of(text) if word not in COMMON}
