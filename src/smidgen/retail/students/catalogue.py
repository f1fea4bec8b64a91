"""The student `catalogue`: goods are alike whose texts are alike; with orders enough, added to what was bought together.

It knows goods that nobody has bought yet, and answers words.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import TrainError
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Text
from smidgen.core.settings import setting
from smidgen.parts import registry
from smidgen.retail.answers import copied_spec, ranked_by
from smidgen.retail.ranking import Floats, GoodsRanking, write_ranking
from smidgen.retail.students.ease import EaseSettings, history_ranking
from smidgen.retail.students.purchases import Purchases, best_on_held_out, read_purchases, shown_gains
from smidgen.students.settings import FACTS

_LENGTH = 128
_USUAL_NEAR, _NEARS = 0.1, (0.01, 0.03, 0.3, 1.0)
"""Weights of likeness by texts: the usual one, and others to try."""
_ENCODER = ("model.onnx", "tokenizer.json")


class CatalogueSettings(EaseSettings):
    """Settings of the closed form, of the transformer, and of the texts of goods."""

    near: float | None = setting(
        None, "Weight of text similarity, beside joint purchases (default: chosen on held-out rows).", gt=0, le=100
    )
    max_length: int = setting(_LENGTH, "Tokens read of an item's text, and of a request's words.", ge=8, le=512)


class CatalogueStudent(Student):
    """A recommender by the texts of the goods, mixed with joint purchases where orders suffice."""

    name = "catalogue"
    summary = "Goods are alike whose texts are alike, added to what was bought together: knows new goods, and answers words."
    settings = CatalogueSettings
    base_family = "encoder"
    learns = "outputs"
    engine = "goods"

    def fit(self, training: Training, space: Workspace) -> None:
        """Make vectors of all texts, and choose the weight of likeness on held-out rows. Raises TrainError if there is no base."""
        settings = training.settings if isinstance(training.settings, CatalogueSettings) else CatalogueSettings()
        if training.base is None:
            raise TrainError("retail.comparing_texts_needs_base", value="none")
        purchases = read_purchases(training)
        encoder = _write_encoder(training.base.folder, space.folder, settings.max_length)
        space.progress.start("read the texts of the goods")
        vectors = _text_vectors(purchases, space.folder, encoder, space.threads)
        space.progress.finish(f"{len(vectors):,} goods")
        ranking = _best_mixture(history_ranking(purchases, settings, space, training.seed), purchases, vectors, settings, space.progress)
        write_ranking(ranking, space.folder, {"engine": encoder.engine, "options": encoder.options})

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """The rankings, as the engine computes them. Words are not in the rows that it is compared on."""
        return ranked_by(folder, texts)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Copy its files, and those of the encoder."""
        return copied_spec(folder, out, _ENCODER)


def _best_mixture(
    bought: GoodsRanking, purchases: Purchases, vectors: Floats, settings: CatalogueSettings, progress: Progress
) -> GoodsRanking:
    """The mixture of texts and purchases, or texts alone: the usual weight unless held-out rows show that another is better."""
    own, tables = bought.weights, replace(bought.tables, vectors=vectors)
    tried = [replace(own, near=_USUAL_NEAR if settings.near is None else settings.near)]
    if settings.near is None:
        tried += [*(replace(own, near=near) for near in _NEARS), replace(own, bought=0.0, near=1.0)]
    progress.start("weigh texts and purchases", len(tried))
    best, gains = best_on_held_out((bought.replaced(tables, weights) for weights in tried), purchases, progress)
    progress.finish(f"likeness {best.weights.near:g} beside purchases {best.weights.bought:g}: {shown_gains(gains)}")
    return best


def _text_vectors(purchases: Purchases, folder: Path, encoder: EngineSpec, threads: int) -> Floats:
    """(n, width) unit vectors of the texts; zeros without a text, so that it is similar to nothing."""
    runner = registry.find("engines", encoder.engine).open(folder, encoder.options, threads)
    found = np.asarray(runner.run([text or "-" for text in purchases.texts])["embedding"], dtype=np.float32)
    found /= np.maximum(1e-9, np.linalg.norm(found, axis=1, keepdims=True))
    found[[not text for text in purchases.texts]] = 0
    return found.astype(np.float16).astype(np.float32)  # as they are kept


def _write_encoder(base: Path, folder: Path, length: int) -> EngineSpec:
    """Write the base as an int8 encoder of the engine. Its head is required by the export and not used."""
    from safetensors.numpy import load_file, save_file

    from smidgen.students.encoder import need_torch
    from smidgen.students.encoder_training.onnx_export import export_encoder

    need_torch()
    config: dict[str, Any] = json.loads((base / "config.json").read_text(encoding="utf-8"))
    student, whole = folder / "encoder", folder / "encoder-whole"
    for old in (student, whole):
        shutil.rmtree(old, ignore_errors=True)
    student.mkdir(parents=True)
    width = int(config["hidden_size"])
    tensors = {name.removeprefix("bert."): tensor for name, tensor in load_file(base / "model.safetensors").items()}
    save_file(
        {**tensors, "head.weight": np.zeros((1, width), np.float32), "head.bias": np.zeros(1, np.float32)}, student / "model.safetensors"
    )
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(base / name, student / name)
    facts = {"pooling": "mean", "normalize": True, "scale": None, "max_length": length}
    (student / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    spec = export_encoder(student, whole)
    small: EngineSpec = registry.find("compress", "int8-dynamic").apply(spec, whole, folder, ())
    for old in (student, whole):
        shutil.rmtree(old)
    return small


part = CatalogueStudent()
