"""The raw output of a search for a task: candidates as JSON, each with the words that it quotes and their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from smidgen.apps.documents.document import Passage
from smidgen.apps.retrieval.passage_search import FoundPassage, PassageSearch, question_of
from smidgen.core.rows import Text

_LEANS = re.compile(
    r"(?:it|its|they|their|them|this|that|these|those|he|she|his|her|such|otherwise|however|then|if it|if not|er|sie|es|dies\w*|"
    r"diese\w*|dabei|dafür|sonst|dann|jedoch|ihr\w*)\b",
    re.IGNORECASE,
)
"""How a sentence begins that leans on the one before."""


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
    """The characters of a passage to quote for its best sentence: all of a FAQ answer; else the sentence, with the one before if it leans
    on that, and with the one after if it ends in a colon."""
    if passage.question:
        return 0, len(passage.text)
    spans = passage.sentences
    first = last = sentence
    if first and _LEANS.match(passage.text, spans[first][0]) and "\n" not in passage.text[spans[first - 1][1] : spans[first][0]]:
        first -= 1
    if last + 1 < len(spans) and passage.text[spans[last][0] : spans[last][1]].rstrip().endswith(":"):
        last += 1
    return spans[first][0], spans[last][1]
