"""Vectors of passages, kept in smidgen's home: a document that has not changed is not read again, in this build or the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.search.documents.document import Passage
from smidgen.search.passage_search import Embed, PassageVectors, vectors_of
from smidgen.store.files import content_hash, home, write

_MOST_DOCUMENTS = 2_000
"""Documents of a build whose vectors are kept; of more, none: they would be as many files."""
_MOST_KEPT = 20_000
_KINDS = ("passages", "questions", "sentences")


def kept_vectors(passages: Sequence[Passage], encoder: Any, embed: Embed, embed_questions: Embed) -> PassageVectors:
    """The vectors of passages, from the store where a document's are there, and put there where not. `encoder`: what decides the vectors
    beside the texts, JSON-ready."""
    documents: dict[str, list[Passage]] = {}
    for passage in passages:
        documents.setdefault(passage.document, []).append(passage)
    together = [passage for own in documents.values() for passage in own] == list(passages)
    if len(documents) > _MOST_DOCUMENTS or not together:
        return vectors_of(passages, embed, embed_questions)
    folder = home() / "vectors"
    folder.mkdir(mode=0o700, exist_ok=True)
    files = {
        name: folder / f"{content_hash([encoder, [[one.described, one.question, one.said_in_place()] for one in own]])}.safetensors"
        for name, own in documents.items()
    }
    found = {name: held for name, own in documents.items() if (held := _held(files[name], own)) is not None}
    missing = [name for name in documents if name not in found]
    if missing:
        fresh = [passage for name in missing for passage in documents[name]]
        made = vectors_of(fresh, embed, embed_questions)
        first = line = 0
        for name in missing:
            last, end = first + len(documents[name]), line + sum(len(one.sentences) for one in documents[name])
            found[name] = PassageVectors(made.passages[first:last], made.questions[first:last], made.sentences[line:end])
            first, line = last, end
            found[name] = _keep(files[name], found[name])
        _prune(folder)
    return _of_tables({kind: np.concatenate([getattr(found[name], kind) for name in documents]) for kind in _KINDS})


def _held(file: Path, passages: Sequence[Passage]) -> PassageVectors | None:
    """Stored vectors, if they are there and whole."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tables = load(file.read_bytes())
        file.touch()
        made = _of_tables(tables)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    counts = len(passages), len(passages), sum(len(one.sentences) for one in passages)
    return made if (len(made.passages), len(made.questions), len(made.sentences)) == counts else None


def _keep(file: Path, vectors: PassageVectors) -> PassageVectors:
    """Store vectors; returns them as they will be read again, in 16 bits."""
    from safetensors.numpy import save

    tables = {"passages": vectors.passages, "questions": vectors.questions, "sentences": vectors.sentences}
    short = {name: np.ascontiguousarray(table, np.float16) for name, table in tables.items()}
    write(file, save(short), 0o600)
    return _of_tables(short)


def _of_tables(tables: Mapping[str, Any]) -> PassageVectors:
    passages, questions, sentences = (np.asarray(tables[kind], np.float32) for kind in _KINDS)
    return PassageVectors(passages, questions, sentences)


def _prune(folder: Path) -> None:
    kept = list(folder.glob("*.safetensors"))
    if len(kept) > _MOST_KEPT:
        for old in sorted(kept, key=lambda file: file.stat().st_mtime)[: len(kept) - _MOST_KEPT]:
            old.unlink(missing_ok=True)
