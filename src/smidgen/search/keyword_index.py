"""A keyword index in memory: SQLite's FTS5, once by words with English stemming, and once by the letters of words.

The stemming is English. Words of other languages change more, and German joins them: who asks for `Lieferkosten` finds the words
`Kosten der Lieferung` only by the letters that both share. So each word is also looked up by its runs of four letters, in a second table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from smidgen.search.documents.document import Passage
from smidgen.search.question_words import COMMON, words_of

MOST_WORDS = 48
"""Most words of a question that are looked up."""
_MOST_PIECES = 64
_MOST_PASSAGES = 2_000
"""Passages up to which pieces are looked up: with more, a question would take too long."""
_PIECE = 4
"""Letters of a piece. On the development sets (health questions, German questions of ours), runs of three and of five were no better."""
_PIECES_COUNT = 2.0
"""How much the score by pieces counts, that by words being 1."""
_WEIGHTS = "3.0, 2.0, 1.0"
"""Weights of a FAQ entry's question, of headings, and of the text."""


class KeywordIndex:
    """The passages by their words and by pieces of words. One thread at a time."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        for table, tokens in (("words", "porter unicode61"), ("pieces", "trigram")):
            self._base.execute(f"create virtual table {table} using fts5(question, heading, text, tokenize='{tokens}')")
        texts = [(place, one.question, f"{one.title} {one.heading}", one.text) for place, one in enumerate(passages)]
        self._fill("words", [(place, *(text.casefold() for text in three)) for place, *three in texts])  # as questions are: "ß" as "ss"
        if len(texts) <= _MOST_PASSAGES:
            self._fill("pieces", [(place, *(" ".join(words_of(text)) for text in three)) for place, *three in texts])

    def _fill(self, table: str, texts: Sequence[tuple[object, ...]]) -> None:
        self._base.executemany(f"insert into {table}(rowid, question, heading, text) values (?, ?, ?, ?)", texts)

    def find(self, question: str, most: int) -> list[tuple[int, float]]:
        """The best passages, the best first: place and score, which is higher for better ones: that by words and that by pieces, each as a
        share of its best. Passages that share nothing with the question are not there."""
        scores: dict[int, float] = {}
        for found, counts in ((self.by_words(question, most), 1.0), (self._matched("pieces", pieces_query(question), most), _PIECES_COUNT)):
            best = found[0][1] if found else 0.0
            for place, score in found:
                scores[place] = scores.get(place, 0.0) + (counts * score / best if best > 0 else 0.0)
        return sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:most]

    def by_words(self, question: str, most: int) -> list[tuple[int, float]]:
        """The best passages by whole words alone, by BM25."""
        return self._matched("words", match_query(question), most)

    def _matched(self, table: str, query: str, most: int) -> list[tuple[int, float]]:
        if not query:
            return []
        found = self._base.execute(
            f"select rowid, bm25({table}, {_WEIGHTS}) from {table} where {table} match ? order by 2, 1 limit ?", (query, most)
        )
        return [(int(place), -float(score)) for place, score in found]

    def close(self) -> None:
        """Free the index."""
        self._base.close()


def match_query(question: str) -> str:
    """A question as an FTS5 query: any of its words, each quoted, so that nothing in it is syntax. Empty for one without words. Words that
    any text has are left out, unless there are no others."""
    return _any_of(_telling(question))


def pieces_query(question: str) -> str:
    """A question as an FTS5 query: any run of four letters in its words, quoted; words of three letters as they are."""
    words = [word for word in _telling(question) if len(word) >= _PIECE - 1]
    runs = (word[start : start + _PIECE] for word in words for start in range(max(1, len(word) - _PIECE + 1)))
    return _any_of(list(dict.fromkeys(runs))[:_MOST_PIECES])


def _telling(question: str) -> list[str]:
    words = list(dict.fromkeys(words_of(question)))[:MOST_WORDS]
    return [word for word in words if word not in COMMON] or words


def _any_of(words: Sequence[str]) -> str:
    return " OR ".join(f'"{word}"' for word in words)
