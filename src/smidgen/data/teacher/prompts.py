"""How a teacher is asked: what it is told stands in the system message, your own rows come as a conversation that went well, and the text
is the last message, alone. So a server whose model knows the job by heart can answer it, too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import RedactionError
from smidgen.core.rows import Row, joined
from smidgen.data import near
from smidgen.data.teacher.exchange import Question
from smidgen.data.teacher.privacy import Find, Redactor, nothing

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""n texts to (n, width) vectors of length one."""

_BYTES_PER_TOKEN = 2
_HEADROOM = 16
_WIDTH = 4096
_CHUNK = 512


@dataclass(frozen=True)
class Prompts:
    """Makes questions.

    Attributes:
        system: what the teacher is told.
        rows: the user's own rows that may be shown with a question.
        answers: what the answer to each would look like.
        shown: how many are shown.
        max_tokens: of an answer.
        temperature: of sampling.
        private: whether personal data is redacted, because the text leaves this machine.
        embed: makes vectors of texts; without it, rows are near where their words are.
        find: finds the personal data that has no form.
        schema: JSON of the schema that answers are to fit; empty for none.
    """

    system: str
    rows: Sequence[Row]
    answers: Sequence[str]
    shown: int
    max_tokens: int
    temperature: float
    private: bool
    embed: Embed | None
    find: Find = nothing
    schema: str = ""

    def ask(self, rows: Sequence[Row], votes: int) -> list[tuple[list[Question], Redactor]]:
        """For each row its question, as often as there are votes, and what was redacted in it. A row is not shown to itself.

        A row whose text cannot be made safe has no question.
        """
        near_rows = self._near([joined(row.input) for row in rows])
        return [self._one(row, places, votes) for row, places in zip(rows, near_rows, strict=True)]

    def _one(self, row: Row, places: Sequence[int], votes: int) -> tuple[list[Question], Redactor]:
        redactor = Redactor(self.find)
        safe: Callable[[str], str] = redactor.mask if self.private else str
        text = joined(row.input)
        try:
            last = safe(text)
            messages = [("system", safe(self.system))]
            # A schema with stand-ins in it would hold answers to them; then the words alone must do.
            schema = self.schema if safe(self.schema) == self.schema else ""
        except RedactionError:
            return [], redactor
        turns: list[tuple[str, str]] = []
        for place in places:
            shown = joined(self.rows[place].input)
            if shown == text or len(turns) >= 2 * self.shown:
                continue
            try:
                turns = [("user", safe(shown)), ("assistant", safe(self.answers[place])), *turns]
            except RedactionError:  # one row less is shown
                continue
        asked = (*messages, *turns, ("user", last))
        return [Question(asked, self.max_tokens, self.temperature, vote, schema) for vote in range(votes)], redactor

    def _near(self, texts: Sequence[str]) -> list[list[int]]:
        """For each text the places of the rows that are nearest to it, nearest first: a few more than are shown."""
        if not self.shown or not self.rows:
            return [[] for _ in texts]
        embed = self.embed or bag_of_words
        known = embed([joined(row.input) for row in self.rows])
        most = min(len(self.rows), self.shown + 4)
        found: list[list[int]] = []
        for start in range(0, len(texts), _CHUNK):
            scores = embed(texts[start : start + _CHUNK]) @ known.T
            found += np.argsort(-scores, axis=1, kind="stable")[:, :most].tolist()
        return found


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """(n, width) vectors of length one that are near where texts share words: each word counts in a place that its letters choose."""
    table = np.zeros((len(texts), _WIDTH), dtype=np.float32)
    for number, text in enumerate(texts):
        for word in near.folded(text).split():
            place = 0
            for letter in word:
                place = (place * 31 + ord(letter)) % 2147483647
            table[number, place % _WIDTH] += 1.0
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9))


def answer_tokens(answers: Sequence[str]) -> int:
    """Tokens that the longest of these answers may take, and somewhat more."""
    longest = max((len(answer.encode("utf-8", "replace")) for answer in answers), default=0)
    return math.ceil(longest / _BYTES_PER_TOKEN) + _HEADROOM
