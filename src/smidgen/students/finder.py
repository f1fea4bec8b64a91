"""The finder: an encoder as it comes, and the passages of the user's documents with their vectors. It is ready in seconds.

Nothing of the encoder is trained. Questions that people asked are remembered with the sentences that answer them. Enough of them move the
vectors of questions, if that helps on held-out ones. Questions that a larger model made do both only where they help with people's.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from smidgen.core.errors import TrainError
from smidgen.core.forms import Form
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.search.candidates import candidates_of
from smidgen.search.documents.document import Passage, read_passages
from smidgen.search.passage_search import (
    LONGEST_QUESTION,
    MOST_REMEMBERED,
    Embed,
    Floats32,
    PassageSearch,
    PassageVectors,
    RememberedQuestions,
)
from smidgen.search.question_head import AnsweredQuestions, learnt_head, remembering_helps
from smidgen.search.token_matching import TokenMatchReader
from smidgen.search.vectors import units, with_head
from smidgen.search.weights import read_cosines, read_weights, weights_for
from smidgen.stats import quoted_answers
from smidgen.store.weight_files import described_hashes
from smidgen.students.encoder import features_of, load_encoder, need_torch, token_encoder
from smidgen.students.passage_vectors import kept_vectors
from smidgen.students.scripts import trim_scripts
from smidgen.students.settings import FACTS, HEAD

PASSAGES, VECTORS, FINDER = "passages.json", "vectors.safetensors", "finder.json"
_KEPT = 4_096


class FinderSettings(Settings):
    """Settings of a finder."""

    max_length: int = setting(256, "Tokens read of a passage or a question; longer ones are cut.", ge=8, le=8192)
    reader: Literal["tokens", "none"] = setting(
        "tokens", "tokens: the sentence that answers is chosen by the states of all tokens, too. none: by vectors and words alone."
    )
    vocabulary: Literal["scripts", "whole"] = setting(
        "scripts",
        "Of a base with many scripts: scripts: keep the tokens of the Latin script and of those in your texts, for half the memory. "
        "whole: keep all.",
    )


class FinderStudent(Student):
    """The student `finder`."""

    name = "finder"
    summary = "A small pretrained encoder as it comes, with the vectors of your documents' passages, beside a search by keywords."
    settings = FinderSettings
    base_family = "encoder"
    frozen = True
    engine = "finder"
    learns = "outputs"

    def why_not(self, form: Form) -> str:
        """Nothing: a job without documents has no passages, and `fit` says so."""
        return ""

    def fit(self, training: Training, space: Workspace) -> None:
        """Make the vectors of all passages; it takes seconds to minutes, so there is no checkpoint.

        Raises:
            MissingExtra: torch is not installed.
            TrainError: there is no base, or no documents.
        """
        need_torch()
        if training.base is None:
            raise TrainError("students.finder_needs_base", value="none")
        settings = training.settings if isinstance(training.settings, FinderSettings) else FinderSettings()
        passages = given_passages(training)
        base = training.base
        texts = [one.described for one in passages] + [joined(row.input) for row in training.rows if row.number]
        reads = settings.reader == "tokens" and _is_bert(base.folder)
        with tempfile.TemporaryDirectory() as box:
            needed = trim_scripts(base.folder, texts, Path(box)) if settings.vocabulary == "scripts" else base.folder
            length = _copy_base(needed, settings.max_length, reads, space.folder)
        prefix = base.prefixes.get("query", "")
        space.progress.start("read the passages", len(passages))
        embeds = [_embed_by(space.folder, length, space.threads, before) for before in (base.prefixes.get("passage", ""), prefix)]
        encoder = [base.sha256, described_hashes(base.folder), length, dict(base.prefixes)]
        vectors = kept_vectors(passages, encoder, *embeds)
        space.progress.advance(len(passages))
        space.progress.say(f"{len(passages):,} passages, {len(vectors.sentences):,} sentences")
        head, remembered = _learnt(training, space, passages, vectors, embeds[1])
        _save(replace(vectors, remembered=remembered), head, space.folder)
        assert training.material is not None
        shutil.copyfile(training.material / PASSAGES, space.folder / PASSAGES)
        weights = weights_for(base.cosines, reads)
        told = {
            "max_length": length,
            "prefix": prefix,
            "reader": "tokens" if reads else "",
            "weights": weights.json(),
            "cosines": list(base.cosines),
        }
        (space.folder / FINDER).write_text(json.dumps(told), encoding="utf-8")

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`candidates`, with vectors by torch in f32; see `search/candidates.py`."""
        from safetensors.numpy import load_file

        told = json.loads((folder / FINDER).read_text(encoding="utf-8"))
        tables = {name: np.asarray(table, np.float32) for name, table in load_file(folder / VECTORS).items()}
        vectors = PassageVectors(tables["passages"], tables["questions"], tables["sentences"], _read_remembered(tables))
        embed = with_head(_embed_by(folder, told["max_length"], threads, told["prefix"]), tables.get("head"))
        reader = TokenMatchReader(token_encoder(folder, told["max_length"]), _KEPT) if told["reader"] else None
        weights, cosines = read_weights(told["weights"]), read_cosines(told["cosines"])
        return searched(texts, PassageSearch(stored_passages(folder), vectors, embed, weights, reader, cosines))

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder as an ONNX graph, the tokenizer, the passages and their vectors."""
        from smidgen.students.encoder_training.onnx_export import export_encoder

        spec = export_encoder(folder, out)
        for name in (PASSAGES, VECTORS):
            shutil.copyfile(folder / name, out / name)
        told = json.loads((folder / FINDER).read_text(encoding="utf-8"))
        return EngineSpec("finder", (*spec.files, PASSAGES, VECTORS), told)


def _learnt(
    training: Training, space: Workspace, passages: Sequence[Passage], vectors: PassageVectors, embed: Embed
) -> tuple[Floats32 | None, RememberedQuestions | None]:
    """The map for questions, and the questions to remember, by those that people asked and those that a larger model made. The made ones
    count only where they help with people's, and without people's they teach nothing."""
    assert training.base is not None
    asked, made = (_asked([row for row in training.rows if row.taught == taught], passages) for taught in (False, True))
    if not asked:
        return None, None
    own, more = (_questions(some, embed) for some in (asked, made))
    head, said = learnt_head(passages, vectors, own, more, training.seed, training.base.cosines)
    if said:
        space.progress.say(said)
    kept = asked
    if made:
        known = _remembered(more.vectors, [answers for _, answers in made], passages)
        helps, told = remembering_helps(passages, vectors, known, own, training.seed, training.base.cosines)
        space.progress.say(told)
        kept = [*made, *asked] if helps else asked
    questions = np.concatenate([more.vectors, own.vectors]) if len(kept) > len(asked) else own.vectors
    moved = questions if head is None else units(questions + questions @ head)
    return head, _remembered(moved, [answers for _, answers in kept], passages)


def _questions(asked: Sequence[tuple[str, frozenset[tuple[int, int]]]], embed: Embed) -> AnsweredQuestions:
    places = tuple((question, frozenset(place for place, _ in answers)) for question, answers in asked)
    return AnsweredQuestions(places, embed([question for question, _ in asked]) if asked else np.zeros((0, 0), np.float32))


def _asked(rows: Sequence[Row], passages: Sequence[Passage]) -> list[tuple[str, frozenset[tuple[int, int]]]]:
    """The questions of people, or of a larger model, each once, with what answers it: the places of passages, and the sentences of
    these. Those that were made by rules are none."""
    words = [quoted_answers.words_of(passage.text) for passage in passages]
    places: dict[str, list[int]] = {"": list(range(len(passages)))}
    for place, passage in enumerate(passages):
        places.setdefault(passage.document, []).append(place)
    found: dict[str, frozenset[tuple[int, int]]] = {}
    for row in rows:
        if row.output is None or not (row.number or row.taught) or not isinstance(row.input, str):
            continue
        name, wanted = row.output["id"], quoted_answers.words_of(row.output["text"])
        right = frozenset(
            (one, sentence)
            for one in places.get(name, ())
            if quoted_answers.holds(words[one], row.output["text"]) or quoted_answers.contains(wanted, words[one])
            for sentence in _sentences_of(passages[one], row.output["text"])
        )
        if right:
            found[row.input[:LONGEST_QUESTION]] = right
    return list(found.items())


def _sentences_of(passage: Passage, wanted: str) -> list[int]:
    """The sentences of a passage that answer as the wanted words do; all where the words lie across sentences."""
    right = {"id": passage.document, "text": wanted}
    said = passage.said()
    own = [number for number, one in enumerate(said) if quoted_answers.is_right(right, {"id": passage.document, "text": one})]
    return own or list(range(len(said)))


def _remembered(questions: Floats32, answers: Sequence[frozenset[tuple[int, int]]], passages: Sequence[Passage]) -> RememberedQuestions:
    """The latest questions, with the sentences that answer them."""
    firsts = np.concatenate([[0], np.cumsum([len(passage.sentences) for passage in passages])])
    kept = answers[-MOST_REMEMBERED:]
    pairs = [(number, int(firsts[place]) + sentence) for number, own in enumerate(kept) for place, sentence in sorted(own)]
    return RememberedQuestions(questions[-MOST_REMEMBERED:], np.array(pairs, np.int32))


def given_passages(training: Training) -> list[Passage]:
    """The passages that the task gathered. Raises TrainError if there are none."""
    if training.material is None or not (training.material / PASSAGES).is_file():
        raise TrainError("students.documents_are_missing", value="--documents")
    return read_passages(json.loads((training.material / PASSAGES).read_text(encoding="utf-8")))


def stored_passages(folder: Path) -> list[Passage]:
    """The passages of a trained model."""
    return read_passages(json.loads((folder / PASSAGES).read_text(encoding="utf-8")))


def searched(texts: Sequence[Text], search: PassageSearch) -> Raw:
    """The candidates of texts by a search, which is closed."""
    try:
        return candidates_of(search, texts)
    finally:
        search.close()


def _is_bert(folder: Path) -> bool:
    return bool(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") == "bert")


def _copy_base(base: Path, most: int, states: bool, folder: Path) -> int:
    """Save the base unchanged, with an idle head that the exporter needs. Returns the tokens that it reads."""
    import torch
    from safetensors.torch import save_file

    from smidgen.students.encoder_training.bert import positions

    length = min(most, positions(base))
    model = load_encoder(base, torch.float32)
    tensors = {name: tensor.contiguous() for name, tensor in model.tensors().items()}
    width = int(json.loads((base / "config.json").read_text(encoding="utf-8"))["hidden_size"])
    save_file(tensors, folder / "model.safetensors")
    save_file({"head.weight": torch.zeros((1, width)), "head.bias": torch.zeros(1)}, folder / HEAD)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(base / name, folder / name)
    facts = {"pooling": model.pooling, "normalize": True, "scale": None, "max_length": length, "states": states}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return length


def _embed_by(folder: Path, length: int, threads: int, prefix: str) -> Embed:
    def embed(texts: Sequence[str]) -> Floats32:
        return units(features_of(folder, [prefix + text for text in texts], length, threads).numpy())

    return embed


def _save(vectors: PassageVectors, head: Any, folder: Path) -> None:
    """Save the vectors in 16 bits: half the size, with an error that changes no rank that matters."""
    from safetensors.numpy import save_file

    tables = {
        **({"head": head} if head is not None else {}),
        "passages": vectors.passages,
        "questions": vectors.questions,
        "sentences": vectors.sentences,
        **({"remembered": vectors.remembered.vectors} if vectors.remembered is not None else {}),
    }
    short = {name: np.ascontiguousarray(table, np.float16) for name, table in tables.items()}
    answers = {"answers": vectors.remembered.answers} if vectors.remembered is not None else {}
    save_file({**short, **answers}, folder / VECTORS)


def _read_remembered(tables: Mapping[str, Any]) -> RememberedQuestions | None:
    return RememberedQuestions(tables["remembered"], tables["answers"].astype(np.int32)) if "remembered" in tables else None


part = FinderStudent()
