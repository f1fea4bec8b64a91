"""The finder: an encoder as it comes, and the passages of the user's documents with their vectors. It is ready in seconds.

Nothing of the encoder is trained. Enough questions of the user's own move the vectors of questions, if that helps on held-out ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.apps.documents.document import Passage, read_passages
from smidgen.apps.retrieval.candidates import candidates_of
from smidgen.apps.retrieval.passage_search import Embed, Floats32, PassageSearch, PassageVectors, vectors_of
from smidgen.apps.retrieval.vectors import units, with_head
from smidgen.apps.retrieval.weights import SearchWeights, read_weights
from smidgen.core.errors import TrainError
from smidgen.core.forms import Form
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Text
from smidgen.core.settings import Settings, setting
from smidgen.students.encoder import features_of, load_encoder, need_torch
from smidgen.students.settings import FACTS

PASSAGES, VECTORS, FINDER = "passages.json", "vectors.safetensors", "finder.json"


class FinderSettings(Settings):
    """Settings of a finder."""

    max_length: int = setting(256, "Tokens read of a passage or a question; longer ones are cut.", ge=8, le=8192)


class FinderStudent(Student):
    """The student `finder`."""

    name = "finder"
    summary = "A small pretrained encoder as it comes, with the vectors of your documents' passages, beside a search by keywords."
    settings = FinderSettings
    base_family = "encoder"
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
            raise TrainError("a finder needs a base", value="none", todo="Name one: --base minilm")
        settings = training.settings if isinstance(training.settings, FinderSettings) else FinderSettings()
        passages = given_passages(training)
        length = _copy_base(training.base.folder, settings.max_length, space.folder)
        space.progress.start("read the passages", len(passages))
        vectors = vectors_of(passages, _embed_by(space.folder, length, space.threads))
        space.progress.advance(len(passages))
        space.progress.say(f"{len(passages):,} passages, {len(vectors.sentences):,} sentences")
        _save(vectors, None, space.folder)
        assert training.material is not None
        shutil.copyfile(training.material / PASSAGES, space.folder / PASSAGES)
        told = {"max_length": length, "weights": SearchWeights().json()}
        (space.folder / FINDER).write_text(json.dumps(told), encoding="utf-8")

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`candidates`, with vectors by torch in f32; see `apps/retrieval/candidates.py`."""
        from safetensors.numpy import load_file

        told = json.loads((folder / FINDER).read_text(encoding="utf-8"))
        tables = {name: np.asarray(table, np.float32) for name, table in load_file(folder / VECTORS).items()}
        vectors = PassageVectors(tables["passages"], tables["questions"], tables["sentences"])
        embed = with_head(_embed_by(folder, told["max_length"], threads), tables.get("head"))
        return searched(folder, texts, PassageSearch(stored_passages(folder), vectors, embed, read_weights(told["weights"])))

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder as an ONNX graph, the tokenizer, the passages and their vectors."""
        from smidgen.students.encoder_training.onnx_export import export_encoder

        spec = export_encoder(folder, out)
        for name in (PASSAGES, VECTORS):
            shutil.copyfile(folder / name, out / name)
        told = json.loads((folder / FINDER).read_text(encoding="utf-8"))
        return EngineSpec("finder", (*spec.files, PASSAGES, VECTORS), told)


def given_passages(training: Training) -> list[Passage]:
    """The passages that the task gathered. Raises TrainError if there are none."""
    if training.material is None or not (training.material / PASSAGES).is_file():
        raise TrainError("this student answers from documents, and there are none", value="--documents", todo="Name them: --documents PATH")
    return read_passages(json.loads((training.material / PASSAGES).read_text(encoding="utf-8")))


def stored_passages(folder: Path) -> list[Passage]:
    """The passages of a trained model."""
    return read_passages(json.loads((folder / PASSAGES).read_text(encoding="utf-8")))


def searched(folder: Path, texts: Sequence[Text], search: PassageSearch) -> Raw:
    """The candidates of texts by a search, which is closed."""
    try:
        return candidates_of(search, texts)
    finally:
        search.close()


def _copy_base(base: Path, most: int, folder: Path) -> int:
    """Save the base unchanged, with an idle head that the exporter needs. Returns the tokens that it reads."""
    import torch
    from safetensors.torch import save_file

    from smidgen.students.encoder_training.bert import positions

    length = min(most, positions(base))
    model = load_encoder(base, torch.float32)
    tensors = {name: tensor.contiguous() for name, tensor in model.tensors().items()}
    width = int(json.loads((base / "config.json").read_text(encoding="utf-8"))["hidden_size"])
    tensors["head.weight"], tensors["head.bias"] = torch.zeros((1, width)), torch.zeros(1)
    save_file(tensors, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(base / name, folder / name)
    facts = {"pooling": model.pooling, "normalize": True, "scale": None, "max_length": length}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return length


def _embed_by(folder: Path, length: int, threads: int) -> Embed:
    def embed(texts: Sequence[str]) -> Floats32:
        return units(features_of(folder, list(texts), length, threads).numpy())

    return embed


def _save(vectors: PassageVectors, head: Any, folder: Path) -> None:
    """Save the vectors in 16 bits: half the size, with an error that changes no rank that matters."""
    from safetensors.numpy import save_file

    tables = {"passages": vectors.passages, "questions": vectors.questions, "sentences": vectors.sentences}
    save_file({name: np.ascontiguousarray(table, np.float16) for name, table in tables.items()}, folder / VECTORS)


part = FinderStudent()
