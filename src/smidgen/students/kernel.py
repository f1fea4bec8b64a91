"""The kernel student: a frozen pretrained encoder with a kernel head that is fitted in closed form, in seconds.

Instead of fine-tuning the encoder, the kernel compares a text with the training rows themselves.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from smidgen.core.errors import TrainError
from smidgen.core.forms import LabelForm
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.stats import kernel_ridge
from smidgen.stats.kernel_ridge import Floats32
from smidgen.students.encoder import computed, features_of, load_encoder, names_as_rows, need_torch, targets_of
from smidgen.students.scripts import trim_scripts
from smidgen.students.settings import FACTS, HEAD

FEW = 40
"""Up to this many rows per label count as few, as for the encoder."""


class KernelSettings(Settings):
    """Settings of the fit of the head."""

    gamma: float | None = setting(
        None, "How fast likeness falls off between two texts (default: 2; more for a base whose vectors lie close together).", gt=0, le=50
    )
    ridge: float = setting(kernel_ridge.RIDGE, "Regularisation: larger trusts single rows less.", gt=0, le=1000)
    landmarks: int = setting(
        kernel_ridge.LANDMARKS, "Most training rows that a text is compared with when it is answered.", ge=2, le=20_000
    )
    max_length: int | None = setting(
        None, "Tokens read of a text; longer texts are cut (default: what 95 of 100 training texts need, from 128 to 512).", ge=8, le=8192
    )
    vocabulary: Literal["scripts", "whole"] = setting(
        "scripts",
        "Of a base with many scripts: scripts: keep the tokens of the Latin script and of those in your texts, for half the memory. "
        "whole: keep all.",
    )


class KernelStudent(Student):
    """The student `kernel`."""

    name = "kernel"
    summary = "A small pretrained encoder as it comes, with a kernel head: taught in seconds, near to a fine-tuned one where rows are many."
    settings = KernelSettings
    base_family = "encoder"
    frozen = True
    engine = "onnx"

    def fit(self, training: Training, space: Workspace) -> None:
        """Fit the head; it takes seconds, so there is no checkpoint.

        Raises:
            MissingExtra: torch is not installed.
            TrainError: there is no base.
        """
        need_torch()
        from smidgen.students.encoder_training.batches import MOST, tokens_to_read
        from smidgen.students.encoder_training.bert import positions

        if training.base is None:
            raise TrainError("students.kernel_student_needs_base", value="none")
        settings = training.settings if isinstance(training.settings, KernelSettings) else KernelSettings()
        base = training.base.folder
        rows = [*training.rows, *(names_as_rows(training.labels) if _few(training) else [])]
        texts = [row.input for row in rows]
        most = positions(base)
        length = min(settings.max_length or tokens_to_read(base / "tokenizer.json", texts, min(MOST, most)), most)
        space.progress.start("read texts")
        found = features_of(base, texts, length, space.threads, quick=True).numpy()
        space.progress.say(f"a kernel head on {len(rows):,} texts")
        head = kernel_ridge.fit(
            found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12),
            _targets(rows, training.labels),
            weights=_weights(rows, training.labels),
            gamma=settings.gamma or kernel_ridge.gamma_for(*training.base.cosines),
            ridge=settings.ridge,
            landmarks=settings.landmarks,
            seed=training.seed,
        )
        with tempfile.TemporaryDirectory() as box:
            needed = trim_scripts(base, [joined(text) for text in texts], Path(box)) if settings.vocabulary == "scripts" else base
            _save(head, needed, length, training.labels.multi_label, space.folder)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`logits` (n, outputs) and `embedding` (n, width) in f32, by torch."""
        return computed(folder, texts, threads)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder and its head as one ONNX graph, and the tokenizer."""
        from smidgen.students.encoder_training.onnx_export import export_encoder

        return export_encoder(folder, out)


def _few(training: Training) -> bool:
    """Whether labels have few enough rows that their names help as additional rows."""
    return not training.labels.multi_label and len(training.rows) <= FEW * len(training.labels.outputs)


def _targets(rows: Sequence[Row], form: LabelForm) -> Floats32:
    """(n, outputs) 1 for each label of a row, else 0; for a row with soft labels, their shares."""
    names = form.outputs
    targets = targets_of(rows, names, form.multi_label).numpy()
    table = np.asarray(targets if targets.ndim == 2 else np.eye(len(names))[targets], np.float32)
    index = {name: number for number, name in enumerate(names)}
    for number, row in enumerate(rows):
        shares = [(index[label], share) for label, share in row.shares if label in index]
        if total := sum(share for _, share in shares):
            table[number] = 0
            for place, share in shares:
                table[number, place] = share / total
    return table


def _weights(rows: Sequence[Row], form: LabelForm) -> Floats32:
    """(n,) the weight of each row; with balanced classes, every label has the same total weight."""
    weights = np.array([row.weight for row in rows], np.float32)
    if form.class_weights == "balanced" and not form.multi_label:
        _, places, counts = np.unique([row.output for row in rows], return_inverse=True, return_counts=True)
        weights *= (len(rows) / (len(counts) * counts))[places].astype(np.float32)
    return weights


def _save(head: kernel_ridge.KernelRidge, base: Path, length: int, multi_label: bool, folder: Path) -> None:
    """Save the base unchanged, under its Hugging Face names, and the head in a file of its own: students of one base share the first.

    For single labels the head gives the argument of the arsinh in `kernel_ridge.logits`; for several labels, each output is a separate yes
    or no, with probability 0.5 half-way between its targets.
    """
    import torch
    from safetensors.torch import save_file

    model = load_encoder(base, torch.float32)
    outputs = head.weights.shape[1]
    sharp = kernel_ridge.SHARP if multi_label else kernel_ridge.steepness(outputs)
    own = {"head.landmarks": torch.from_numpy(np.ascontiguousarray(head.landmarks))}
    own["head.weight"] = torch.from_numpy(np.ascontiguousarray(sharp * head.weights.T))
    own["head.bias"] = torch.full((outputs,), -sharp / 2 if multi_label else 0.0)
    save_file({name: tensor.contiguous() for name, tensor in model.tensors().items()}, folder / "model.safetensors")
    save_file(own, folder / HEAD)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(base / name, folder / name)
    facts = {"pooling": model.pooling, "normalize": True, "scale": None, "kernel": head.gamma, "max_length": length}
    facts["arsinh"] = None if multi_label else kernel_ridge.GAIN
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


part = KernelStudent()
