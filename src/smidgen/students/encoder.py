"""The encoder student: full fine-tuning of a small pretrained encoder with a classification head."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from smidgen.core.errors import MissingExtra, TrainError
from smidgen.core.parts import EngineSpec, Form, Raw, Training, Workspace
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings, setting

if TYPE_CHECKING:
    from smidgen.students.finetuning import Trainer

_CHECKPOINT = "checkpoint.safetensors"


class EncoderSettings(Settings):
    """How the encoder is trained. Settings left at None follow the data by a rule; see `docs/students.md`."""

    epochs: int | None = setting(None, "Passes over the training rows (default: by the number of rows).", flag="--epochs", ge=1, le=200)
    learning_rate: float | None = setting(None, "Peak learning rate of the encoder.", gt=0, le=0.01)
    batch_rows: int | None = setting(None, "Rows of one optimiser step (default: by the number of rows).", ge=2, le=1024)
    max_length: int = setting(128, "Tokens read of a text; longer texts are cut.", ge=8, le=512)
    precision: Literal["auto", "bf16", "f32"] = setting("auto", "auto: bf16 where the processor has it.")


class Encoder:
    """The student `encoder`."""

    name = "encoder"
    summary = "A small pretrained encoder, fully fine-tuned, with a classification head: the most accurate."
    settings = EncoderSettings
    needs_base = True

    def fit(self, training: Training, space: Workspace) -> None:
        """Fine-tune. A checkpoint after each epoch lets a killed run go on, to the same weights."""
        tuning = _tuning()
        trainer = _trainer(training, space)
        file = space.folder / _CHECKPOINT
        if file.is_file():
            _resume(trainer, file)
        else:
            trainer.init_head()
        total = trainer.total_steps
        space.progress.start("train encoder", total)
        if trainer.step:
            space.progress.advance(trainer.step)

        def stepped(now: Any) -> None:
            if not np.isfinite(now.loss):
                raise TrainError(
                    "the loss is no longer a number",
                    value=f"step {now.step}",
                    todo="Lower the learning rate: --set train.learning_rate=1e-4",
                )
            space.progress.advance(1, loss=now.loss, epoch=f"{now.epoch + 1}/{trainer.cfg.epochs}")

        def epoch_done(done: Trainer) -> None:
            if done.epoch < done.cfg.epochs:
                _checkpoint(done, file)

        trainer.run(stepped, epoch_done)
        trainer.use_average()
        _save(trainer, training, space.folder)
        file.unlink(missing_ok=True)
        del tuning

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`logits` (n, outputs) and `embedding` (n, width) in the precision that the model was trained in."""
        import torch
        from safetensors.torch import load_file

        tuning = _tuning()
        facts = json.loads((folder / "smidgen_student.json").read_text(encoding="utf-8"))
        torch.set_num_threads(threads)
        model = tuning.FastBert.load(folder, torch.float32)
        model.pooling = facts["pooling"]
        head = load_file(str(folder / "model.safetensors"))
        ids = tuning.tokenize(folder / "tokenizer.json", list(texts), facts["max_length"])
        with torch.no_grad():
            features = tuning.encode(model, ids, np.arange(len(ids)))
            units = torch.nn.functional.normalize(features, dim=1) if facts["normalize"] else features
            logits = units @ head["head.weight"].T + head["head.bias"]
        return {"logits": logits.numpy(), "embedding": features.numpy()}

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder and its head as one ONNX graph, and the tokenizer."""
        from smidgen.students.onnx_graph import export_encoder

        return export_encoder(folder, out)


def outputs(form: Form) -> list[str]:
    """The labels in the order of the logits: the unknown label comes last where the data has rows of it."""
    unknown = [form["unknown"]] if form.get("unknown_examples") else []
    return [*form["labels"], *unknown]


def _tuning() -> Any:
    try:
        from smidgen.students import finetuning
    except ImportError:
        raise MissingExtra("torch", "train") from None
    return finetuning


def _trainer(training: Training, space: Workspace) -> Trainer:
    import torch

    tuning = _tuning()
    settings = training.settings if isinstance(training.settings, EncoderSettings) else EncoderSettings()
    if training.base is None:
        raise TrainError("an encoder needs a base", value="none", todo="Name one: --base minilm")
    dtype = {"auto": tuning.best_dtype(), "bf16": torch.bfloat16, "f32": torch.float32}[settings.precision]
    tuning.pin_threads(space.threads)
    model = tuning.FastBert.load(training.base.folder, dtype)
    ids = tuning.tokenize(training.base.folder / "tokenizer.json", [row.input for row in training.rows], settings.max_length)
    given = {"epochs": settings.epochs, "lr": settings.learning_rate, "batch_rows": settings.batch_rows}
    config = tuning.default_config(
        len(ids),
        seed=training.seed,
        threads=space.threads,
        max_length=settings.max_length,
        **{k: v for k, v in given.items() if v is not None},
    )
    names = outputs(training.form)
    return tuning.Trainer(model, ids, _targets(training.rows, names, training.form["multi_label"]), len(names), config, **_loss(training))


def _targets(rows: Sequence[Row], names: list[str], multi_label: bool) -> Any:
    import torch

    index = {name: number for number, name in enumerate(names)}
    if not multi_label:
        return torch.tensor([index[row.output] for row in rows])
    targets = torch.zeros(len(rows), len(names))
    for number, row in enumerate(rows):
        for label in row.output:
            targets[number, index[label]] = 1.0
    return targets


def _loss(training: Training) -> dict[str, Any]:
    import torch

    if training.form["multi_label"]:
        return {"loss_fn": torch.nn.functional.binary_cross_entropy_with_logits}
    return {}


def _checkpoint(trainer: Trainer, file: Path) -> None:
    """Write the state beside the old checkpoint and rename it over: a kill while writing loses nothing."""
    import torch
    from safetensors.torch import save_file

    state = {k: v if isinstance(v, torch.Tensor) else torch.tensor(v) for k, v in trainer.state_dict().items()}
    fresh = file.with_suffix(".new")
    save_file({k: v.contiguous() for k, v in state.items()}, fresh)
    fresh.replace(file)


def _resume(trainer: Trainer, file: Path) -> None:
    from safetensors.torch import load_file

    trainer.load_state_dict(load_file(str(file)))


def _save(trainer: Trainer, training: Training, folder: Path) -> None:
    """The trained model under its Hugging Face names, with the head folded into one linear map on unit features."""
    from safetensors.torch import load_file, save_file

    assert training.base is not None
    tensors = {
        name.removeprefix("bert."): tensor.float()
        for name, tensor in load_file(str(training.base.folder / "model.safetensors")).items()
        if "embeddings." in name and "position_ids" not in name
    }
    tensors |= {name.removeprefix("bert."): tensor for name, tensor in trainer.model.tensors().items()}
    tensors["head.weight"] = (trainer.head.w * trainer.head.scale).clone()
    tensors["head.bias"] = trainer.head.b.clone()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(training.base.folder / name, folder / name)
    facts = {"pooling": trainer.model.pooling, "normalize": True, "scale": None, "max_length": trainer.cfg.max_length}
    (folder / "smidgen_student.json").write_text(json.dumps(facts), encoding="utf-8")


part = Encoder()
