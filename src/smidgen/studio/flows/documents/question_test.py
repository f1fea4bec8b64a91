"""Test a question on a project's documents: the passages considered, their scores, the words to quote, and whether they would be given."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.flows.local_model import Model
from smidgen.search.candidates import quoted
from smidgen.search.documents.document import Passage
from smidgen.search.passage_search import AskedQuestion, FoundPassage, PassageSearch
from smidgen.studio.flows.documents.project_documents import ReadFile, ShownPassage, all_passages, shown_passage

_KEYWORDS, _MEANING = 4, (0, 2)
"""Places of the signs of a passage: its keywords; its vector and that of its FAQ question."""
MEMBER = Path("members") / "answer"
"""Where a desk has the model that answers from documents."""

Verdict: TypeAlias = Literal["answered", "unsure", "nothing", "no_model"]
"""`answered`: the first quotation would be given; `unsure`: its probability is below the threshold; `nothing`: no passage has to do with
the question; `no_model`: found by keywords alone, as there is no model yet."""


@dataclass(frozen=True, slots=True)
class ConsideredPassage:
    """A passage that may answer.

    Attributes:
        passage: the passage.
        start, end: the words to quote, in characters of its text.
        keywords: how well its words fit, 1 for the best passage.
        meaning: how near its vector, or that of its FAQ question, is to the question's, at most 1; None without a model.
    """

    passage: ShownPassage
    start: int
    end: int
    keywords: float
    meaning: float | None


@dataclass(frozen=True, slots=True)
class TestedQuestion:
    """The result: the passages, the best first, and whether the first one is given. `chance`: the probability that it is right; it is
    given from `threshold` on. Both are None without a model."""

    verdict: Verdict
    passages: tuple[ConsideredPassage, ...]
    chance: float | None
    threshold: float | None


class KeywordSearches:
    """Searches by keywords of the documents that were asked last, so that a second question is answered at once. For several threads."""

    def __init__(self, most: int = 4) -> None:
        self._most, self._lock = most, threading.Lock()
        self._held: dict[tuple[Any, ...], PassageSearch] = {}

    def ask(self, files: Sequence[ReadFile], question: str) -> TestedQuestion:
        """Test a question by keywords alone."""
        key = tuple((file.name, file.size, file.changed) for file in files)
        with self._lock:
            search = self._held.pop(key, None)
            if search is None:
                passages = all_passages(files)
                if not passages:
                    raise InputError("studio.there_are_no_documents_that_can_be_read")
                search = PassageSearch(passages)
            self._held[key] = search
            while len(self._held) > self._most:
                self._held.pop(next(iter(self._held))).close()
            (found,) = search.find([AskedQuestion(question)])
            considered = _considered(found, search.passages, with_meaning=False)
        considered = tuple(sorted(considered, key=lambda one: -one.keywords))
        return TestedQuestion("no_model" if considered else "nothing", considered, None, None)


def ask_model(model: Model, question: str) -> TestedQuestion:
    """Test a question with a model that answers from documents. Raises InputError for a model of another kind."""
    search = getattr(model.runner, "search", None)
    if not isinstance(search, PassageSearch):
        raise InputError("studio.this_model_does_not_search_passages", value=model.name)
    with model.turn:
        (found,) = search.find([AskedQuestion(question)])
    (reply,) = model.predict([question])
    threshold = getattr(model.form, "threshold", None)
    if not found:
        return TestedQuestion("nothing", (), None, threshold)
    given = reply.output is not None
    chance = reply.score if given else max((score for _, score in reply.alternatives), default=None)
    return TestedQuestion("answered" if given else "unsure", _considered(found, search.passages, with_meaning=True), chance, threshold)


def _considered(found: Sequence[FoundPassage], passages: Sequence[Passage], *, with_meaning: bool) -> tuple[ConsideredPassage, ...]:
    return tuple(
        ConsideredPassage(
            shown_passage(passages[one.place]),
            *quoted(passages[one.place], one.sentence),
            keywords=one.passage_signs[_KEYWORDS],
            meaning=max(one.passage_signs[place] for place in _MEANING) if with_meaning else None,
        )
        for one in found
    )
