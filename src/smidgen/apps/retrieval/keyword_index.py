"""A keyword index in memory: SQLite's FTS5 with stemming, headings and questions weighted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from smidgen.apps.documents.document import Passage
from smidgen.apps.retrieval.question_words import words_of

MOST_WORDS = 48
"""Most words of a question that are looked up."""
_WEIGHTS = "3.0, 2.0, 1.0"
"""Weights of a FAQ entry's question, of headings, and of the text."""


class KeywordIndex:
    """The passages by their words. One thread at a time."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        self._base.execute("create virtual table passages using fts5(question, heading, text, tokenize='porter unicode61')")
        self._base.executemany(
            "insert into passages(rowid, question, heading, text) values (?, ?, ?, ?)",
            ((place, one.question, f"{one.title} {one.heading}", one.text) for place, one in enumerate(passages)),
        )

    def find(self, question: str, most: int) -> list[tuple[int, float]]:
        """The best passages by BM25, the best first: place and score, which is higher for better ones. Passages without any of the
        question's words are not there."""
        query = match_query(question)
        if not query:
            return []
        found = self._base.execute(
            f"select rowid, bm25(passages, {_WEIGHTS}) from passages where passages match ? order by 2, 1 limit ?", (query, most)
        )
        return [(int(place), -float(score)) for place, score in found]

    def close(self) -> None:
        """Free the index."""
        self._base.close()


def match_query(question: str) -> str:
    """A question as an FTS5 query: any of its words, each quoted, so that nothing in it is syntax. Empty for one without words."""
    return " OR ".join(f'"{word}"' for word in dict.fromkeys(words_of(question)[:MOST_WORDS]))
