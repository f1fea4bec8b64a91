"""The baseline of answers from documents: a search by keywords alone (BM25), and the sentence with most of the question's words."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Text
from smidgen.core.settings import Settings
from smidgen.search.passage_search import PassageSearch
from smidgen.search.weights import KEYWORDS_ALONE
from smidgen.students.finder import PASSAGES, given_passages, searched, stored_passages


class KeywordSettings(Settings):
    """A search by keywords has no settings."""


class KeywordStudent(Student):
    """The student `keywords`."""

    name = "keywords"
    summary = "A search by keywords alone (SQLite FTS5, BM25): the baseline of answers from documents."
    settings = KeywordSettings
    engine = "keywords"
    learns = "outputs"

    def fit(self, training: Training, space: Workspace) -> None:
        """Keep the passages: there is nothing to learn. Raises TrainError without documents."""
        given_passages(training)
        assert training.material is not None
        shutil.copyfile(training.material / PASSAGES, space.folder / PASSAGES)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`candidates` by keywords alone."""
        return searched(texts, PassageSearch(stored_passages(folder), weights=KEYWORDS_ALONE))

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The passages."""
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / PASSAGES, out / PASSAGES)
        return EngineSpec("keywords", (PASSAGES,), {"weights": KEYWORDS_ALONE.json()})


part = KeywordStudent()
