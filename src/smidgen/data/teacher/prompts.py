"""How a teacher is asked: what it is told stands in the system message, your own rows come as a conversation that went well, and the text
is the last message, alone. So a server whose model knows the job by heart can answer it, too."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import RedactionError
from smidgen.core.rows import Row, joined
from smidgen.data import near
from smidgen.data.teacher.exchange import Question
from smidgen.data.teacher.opening import Opening
from smidgen.data.teacher.privacy import Redactor

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
        system: what the teacher is told, safe to be sent.
        rows: the user's own rows that may be shown with a question.
        answers: what the answer to each would look like: a text, or what JSON can hold.
        shown: how many are shown.
        max_tokens: of an answer.
        temperature: of sampling.
        opening: what conversations begin with, and whether personal data is redacted, because they leave this machine.
        embed: makes vectors of texts; without it, rows are near where their words are.
        schema: JSON of the schema that answers are to fit; empty for none.
    """

    system: str
    rows: Sequence[Row]
    answers: Sequence[Any]
    shown: int
    max_tokens: int
    temperature: float
    opening: Opening
    embed: Embed | None
    schema: str = ""

    def ask(self, rows: Sequence[Row], votes: int) -> list[tuple[list[Question], Redactor]]:
        """For each row its question, as often as there are votes, and what was redacted in it. A row is not shown to itself.

        A row whose text cannot be made safe has no question.
        """
        near_rows = self._near([joined(row.input) for row in rows])
        return [self._one(row, places, votes) for row, places in zip(rows, near_rows, strict=True)]

    def _one(self, row: Row, places: Sequence[int], votes: int) -> tuple[list[Question], Redactor]:
        redactor = self.opening.begun()
        try:
            turns = redactor.twice(functools.partial(self._turns, joined(row.input), places, self.opening.safe(redactor)))
        except RedactionError:
            return [], redactor
        asked = (("system", self.system), *turns)
        return [Question(asked, self.max_tokens, self.temperature, vote, self.schema) for vote in range(votes)], redactor

    def _turns(self, text: str, places: Sequence[int], safe: Callable[[Any], Any]) -> list[tuple[str, str]]:
        """The rows that are shown, the nearest one last, and the text. Raises RedactionError where that cannot be made safe."""
        last = safe(text)
        turns: list[tuple[str, str]] = []
        for place in places:
            shown = joined(self.rows[place].input)
            if shown == text or len(turns) >= 2 * self.shown:
                continue
            try:
                turns = [("user", safe(shown)), ("assistant", written(safe(self.answers[place]))), *turns]
            except RedactionError:  # one row less is shown
                continue
        return [*turns, ("user", last)]

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


def written(answer: Any) -> str:
    """An answer as it is shown: a text as it is, anything else as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


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
