"""The tagger: a small pretrained encoder, fully fine-tuned to tag the words of a text, with a linear chain over the tags."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from smidgen.core.parts import EngineSpec, Raw, Training, Workspace
from smidgen.core.rows import Text
from smidgen.core.settings import Settings, setting
from smidgen.students.encoder import need_torch

_FACTS = "smidgen_student.json"


class TaggerSettings(Settings):
    """How the tagger is trained. Settings left at their default of None follow the number of rows."""

    epochs: int | None = setting(None, "Passes over the training rows (default: by the number of rows).", flag="--epochs", ge=1, le=200)
    learning_rate: float = setting(2e-4, "Peak learning rate of the encoder.", gt=0, le=0.01)
    batch_rows: int | None = setting(None, "Rows of one optimiser step (default: by the number of rows).", ge=1, le=1024)
    token_hide: float = setting(0.0, "Share of tokens hidden at random in training.", ge=0, lt=0.9)
    max_length: int = setting(
        256, "Tokens of a window; longer texts are read in windows that share half with their neighbours.", ge=16, le=512
    )
    shapes: Literal["auto", "on", "off"] = setting(
        "auto", "Whether the model is told how words are written. auto: where its tokens have no case."
    )
    precision: Literal["auto", "bf16", "f32"] = setting("auto", "auto: bf16 where the processor has it.")


class Tagger:
    """The student `tagger`."""

    name = "tagger"
    summary = "A small pretrained encoder, fully fine-tuned, that tags the words of a text: finds spans."
    settings = TaggerSettings
    base_family = "encoder"

    def fit(self, training: Training, space: Workspace) -> None:
        """Fine-tune. A checkpoint after each epoch lets a killed run go on, to the same weights.

        Raises:
            MissingExtra: torch is not installed.
            TrainError: the loss is no longer a number.
        """
        need_torch()
        from smidgen.students.checkpoints import forget, train
        from smidgen.students.tag_fitting import save, trainer_for

        trainer, facts = trainer_for(training, space)
        try:
            train(trainer, space, self.name)
        finally:
            trainer.workers.close()
        trainer.use_average()
        save(trainer, training, facts, space.folder)
        forget(space)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`spans`: for each text what may be spans, `[start, end, kind, probability]`, in f32, by torch."""
        from smidgen.students.tag_fitting import computed

        return computed(folder, texts, threads)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder and its head as one ONNX graph, the tokenizer, and the chain."""
        from safetensors.numpy import load_file, save_file

        from smidgen.students.onnx_graph import export_encoder

        spec = export_encoder(folder, out)
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        save_file({"transitions": load_file(folder / "chain.safetensors")["transitions"]}, out / "chain.safetensors")
        options = {**spec.options, "level": facts["level"], "shaped": facts["shaped"]}
        return replace(spec, engine="tagger", files=(*spec.files, "chain.safetensors"), options=options)


part = Tagger()
