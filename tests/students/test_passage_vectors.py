"""Vectors of documents that have not changed are not made again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smidgen.search.documents.document import SourceDocument, TextBlock
from smidgen.search.documents.passages import passages_of
from smidgen.search.passage_search import Floats32
from smidgen.students.passage_vectors import kept_vectors


def test_a_changed_document_costs_its_own_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    read: list[str] = []

    def embed(texts: Sequence[str]) -> Floats32:
        read.extend(texts)
        return np.array([[len(text), text.count("e")] for text in texts], np.float32) / 1000

    def of(*texts: str) -> list[Floats32]:
        read.clear()
        documents = [SourceDocument(f"d{n}", "", (TextBlock(text), TextBlock("Yes.", question="Is it?"))) for n, text in enumerate(texts)]
        found = kept_vectors([one for document in documents for one in passages_of(document)], "encoder", embed, embed)
        return [found.passages, found.questions, found.sentences]

    first = of("One here. Two there.", "Three everywhere.")
    assert len(read) == 4 + 2 + 5 and [len(table) for table in first] == [4, 4, 5]
    again = of("One here. Two there.", "Three everywhere.")
    assert read == [] and all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    changed = of("One here. Two there.", "Four somewhere else.")
    assert set(read) == {"Four somewhere else.", "Is it?\nYes.", "Is it?", "Is it? Yes."} and np.array_equal(changed[0][:2], first[0][:2])
    (damaged, *_) = sorted((tmp_path / "vectors").iterdir())
    damaged.write_bytes(b"junk")
    assert np.array_equal(of("One here. Two there.", "Three everywhere.")[2], first[2])
