"""The tagger: a small pretrained encoder, fully fine-tuned to tag the words of a text, with a linear-chain CRF over the tags.

Fields that are not spans of the text are choices: additional rows of the head score their values, on the mean of all tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Text
from smidgen.students.encoder import need_torch
from smidgen.students.settings import FACTS, TaggerSettings


class TaggerStudent(Student):
    """The student `tagger`."""

    name = "tagger"
    summary = "A small pretrained encoder, fully fine-tuned, that tags the words of a text: finds spans, and fields that stand in it."
    settings = TaggerSettings
    base_family = "encoder"
    engine = "tagger"
    learns = "spans"

    def fit(self, training: Training, space: Workspace) -> None:
        """Fine-tune. A checkpoint after each epoch lets a killed run go on to identical weights.

        Raises:
            MissingExtra: torch is not installed.
            TrainError: the loss becomes infinite or NaN.
        """
        need_torch()
        from smidgen.students.encoder_training.training import remove_checkpoint, train_with_checkpoints
        from smidgen.students.tagger_training import save, trainer_for

        trainer, facts = trainer_for(training, space)
        try:
            train_with_checkpoints(trainer, space, self.name)
        finally:
            trainer.workers.close()
        trainer.use_average()
        save(trainer, training, facts, space.folder)
        remove_checkpoint(space)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`spans`: for each text the likely spans, `[start, end, kind, probability]`, by torch in f32; and its `choices`."""
        from smidgen.students.tagger_training import computed

        return computed(folder, texts, threads)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder and its head as one ONNX graph, the tokenizer, and the chain."""
        from safetensors.numpy import load_file, save_file

        from smidgen.students.encoder_training.onnx_export import export_encoder

        spec = export_encoder(folder, out)
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        save_file({"transitions": load_file(folder / "chain.safetensors")["transitions"]}, out / "chain.safetensors")
        options = {**spec.options, "level": facts["level"], "shaped": facts["shaped"]}
        if facts.get("choices"):
            options["choices"] = facts["choices"]
        return replace(spec, engine="tagger", files=(*spec.files, "chain.safetensors"), options=options)


part = TaggerStudent()
