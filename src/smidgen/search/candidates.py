"""The raw output of a search for a task: candidates as JSON, each with the words that it quotes and their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smidgen.core.rows import Text
from smidgen.search.documents.document import Passage
from smidgen.search.passage_search import FoundPassage, PassageSearch, question_of

LONGEST_QUOTE = 400
"""Most characters that a quotation grows to by the sentences around the one that answers."""
_MOST_AFTER = 2
"""Most sentences that are quoted after the one that answers, because they lean on it."""


def candidates_of(search: PassageSearch, texts: Sequence[Text]) -> dict[str, Any]:
    """`candidates`: for each text a list, the best first, of objects with `id` (the document), `passage`, `title`, `heading`, `url`,
    `page`, `question`, `text` (all of the passage), its `start`, the quoted words by `from` and `to`, the best sentence by `first` and
    `last` (characters of the passage), `odds` and `score`."""
    found = search.find([question_of(text) for text in texts])
    return {"candidates": [[_candidate(one, search.passages[one.place]) for one in each] for each in found]}


def _candidate(found: FoundPassage, passage: Passage) -> dict[str, Any]:
    start, end = quoted(passage, found.sentence)
    first, last = passage.sentences[found.sentence]
    return {
        "id": passage.document,
        "passage": passage.id,
        "title": passage.title,
        "heading": passage.heading,
        "url": passage.url,
        "page": passage.page,
        "question": passage.question,
        "text": passage.text,
        "start": passage.start,
        "from": start,
        "to": end,
        "first": first,
        "last": last,
        "odds": round(found.log_odds, 5),
        "score": round(found.score, 5),
    }


def quoted(passage: Passage, sentence: int) -> tuple[int, int]:
    """The characters of a passage to quote for its best sentence: all of a FAQ answer; else the sentence with what it cannot stand without.

    That is the sentence before, if it leans on that; those after that lean on it, as conditions do; after a colon, what follows; and
    before an item of a list, the line that leads to it. It grows to `LONGEST_QUOTE` characters.
    """
    if passage.question:
        return 0, len(passage.text)
    spans = passage.sentences
    first = last = sentence

    def fits(one: int, other: int) -> bool:
        return spans[other][1] - spans[one][0] <= LONGEST_QUOTE

    while passage.leans(first) and fits(first - 1, last):
        first -= 1
    if (lead := _lead(passage, sentence)) is not None and fits(lead, last):
        first = min(first, lead)
    while last + 1 < len(spans) and _ends_in_colon(passage, last) and fits(first, last + 1):
        last += 1
    if last > sentence:  # the first item of a list that a sentence leads to: all of its items
        while last + 1 < len(spans) and _is_item(passage, last + 1) and fits(first, last + 1):
            last += 1
    while last + 1 < len(spans) and last - sentence < _MOST_AFTER and passage.leans(last + 1) and fits(first, last + 1):
        last += 1
    return spans[first][0], spans[last][1]


def _ends_in_colon(passage: Passage, number: int) -> bool:
    start, end = passage.sentences[number]
    return passage.text[start:end].rstrip().endswith(":")


def _is_item(passage: Passage, number: int) -> bool:
    """Whether a sentence begins a line, or follows the numbering of one."""
    return number > 0 and "\n" in passage.text[passage.sentences[number - 1][1] : passage.sentences[number][0]]


def _lead(passage: Passage, number: int) -> int | None:
    """The sentence with a colon that leads to a list, for an item of the list."""
    while _is_item(passage, number):
        number -= 1
        if _ends_in_colon(passage, number):
            return number
    return None
