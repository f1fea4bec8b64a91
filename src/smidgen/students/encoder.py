"""The encoder student: full fine-tuning of a small pretrained encoder with a classification head."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra, TrainError
from smidgen.core.forms import LabelForm
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings, setting
from smidgen.search.token_matching import EncodeTokens, TokenStates
from smidgen.students.settings import FACTS, HEAD

if TYPE_CHECKING:
    import torch

    from smidgen.students.encoder_training.bert import FastBert
    from smidgen.students.encoder_training.training import EncoderTrainer
    from smidgen.students.encoder_training.transformers_encoder import TransformersEncoder


class EncoderSettings(Settings):
    """How the encoder is trained. Settings left at their default of None follow the number of rows."""

    epochs: int | None = setting(None, "Passes over the training rows (default: by the number of rows).", flag="--epochs", ge=1, le=200)
    learning_rate: float | None = setting(
        None, "Peak learning rate of the encoder (default: 2e-4; with few rows a class 1.5e-4).", gt=0, le=0.01
    )
    batch_rows: int | None = setting(None, "Rows of one optimiser step (default: by the number of rows).", ge=2, le=1024)
    token_drop: float = setting(0.1, "Share of tokens left out at random in training.", ge=0, lt=0.9)
    label_smoothing: float | None = setting(None, "Label smoothing (default: 0.1; with few rows a class 0).", ge=0, lt=1)
    soft_temperature: float = setting(
        2.0, "Temperature at which a teacher's shares of belief and the model's own are compared.", ge=0.5, le=20.0
    )
    max_length: int | None = setting(
        None, "Tokens read of a text; longer texts are cut (default: what 95 of 100 training texts need, from 128 to 512).", ge=8, le=8192
    )
    precision: Literal["auto", "bf16", "f32"] = setting("auto", "auto: bf16 where the processor has it.")


class EncoderStudent(Student):
    """The student `encoder`."""

    name = "encoder"
    summary = "A small pretrained encoder, fully fine-tuned, with a classification head: the most accurate."
    settings = EncoderSettings
    base_family = "encoder"
    embeds = True
    engine = "onnx"

    def fit(self, training: Training, space: Workspace) -> None:
        """Fine-tune. A checkpoint after each epoch lets a killed run go on to identical weights.

        Raises:
            MissingExtra: torch is not installed.
            TrainError: the loss becomes infinite or NaN.
        """
        need_torch()
        from smidgen.students.encoder_training.training import remove_checkpoint, train_with_checkpoints

        trainer = _trainer(training, space)
        try:
            train_with_checkpoints(trainer, space, self.name)
        finally:
            trainer.workers.close()
        trainer.use_average()
        _save(trainer, training, space.folder)
        remove_checkpoint(space)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`logits` (n, outputs) and `embedding` (n, width) in f32, by torch."""
        return computed(folder, texts, threads)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder and its head as one ONNX graph, and the tokenizer."""
        from smidgen.students.encoder_training.onnx_export import export_encoder

        return export_encoder(folder, out)


def targets_of(rows: Sequence[Row], names: Sequence[str], multi_label: bool) -> torch.Tensor:
    """The index in `names` of each row's label, (n,) int64; for several labels (n, outputs) f32 of zeros and ones."""
    import torch

    index = {name: number for number, name in enumerate(names)}
    if not multi_label:
        return torch.tensor([index[row.output] for row in rows])
    targets = torch.zeros(len(rows), len(names))
    for number, row in enumerate(rows):
        for label in row.output:
            targets[number, index[label]] = 1.0
    return targets


def computed(folder: Path, texts: Sequence[Text], threads: int, quick: bool = False) -> Raw:
    """`logits` and `embedding` of texts by the trained encoder in `folder`. `quick` computes in bf16 if the processor is fast at it:
    good enough for soft labels, not for evaluation."""
    import torch
    from safetensors.torch import load_file

    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    features = features_of(folder, texts, facts["max_length"], threads, pooling=facts["pooling"], quick=quick)
    own = folder / HEAD
    head = load_file(str(own if own.is_file() else folder / "model.safetensors"))
    seen = torch.nn.functional.normalize(features, dim=1)
    if facts.get("kernel"):
        seen = torch.exp(facts["kernel"] * (seen @ head["head.landmarks"].T - 1))
    logits = seen @ head["head.weight"].T + head["head.bias"]
    if facts.get("arsinh"):
        logits = facts["arsinh"] * torch.asinh(logits)
    return {"logits": logits.numpy(), "embedding": features.numpy()}


def features_of(
    folder: Path, texts: Sequence[Text], max_length: int, threads: int, *, pooling: str | None = None, quick: bool = False
) -> torch.Tensor:
    """Pooled features (n, width) in f32 of texts by the encoder in `folder`; `pooling` None uses its own. `quick`: see `computed`."""
    import torch

    from smidgen.students.encoder_training.batches import encode, tokenize
    from smidgen.students.processor import best_dtype

    model = load_encoder(folder, best_dtype() if quick else torch.float32)
    model.pooling = pooling or model.pooling
    ids = tokenize(folder / "tokenizer.json", texts, max_length, vocabulary_of(folder))
    workers = workers_for(model, threads)
    try:
        with torch.no_grad():
            return encode(model, ids, np.arange(len(ids)), workers)
    finally:
        workers.close()


def token_encoder(folder: Path, max_length: int) -> EncodeTokens:
    """A function that gives the states of texts' tokens, f32, by the encoder in `folder`. Raises TrainError if it is no BERT."""
    import torch
    from tokenizers import Tokenizer

    from smidgen.students.encoder_training.batches import pack, units_of
    from smidgen.students.encoder_training.bert import FastBert

    model = load_encoder(folder, torch.float32)
    if not isinstance(model, FastBert):
        raise TrainError("students.token_states_need_bert", value=folder.name)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)

    def encode(texts: Sequence[str]) -> list[TokenStates]:
        found = []
        for encoding in tokenizer.encode_batch(list(texts)):
            batch = pack([encoding.ids], np.array([0]))
            each = np.arange(len(encoding.ids))
            states = model.forward(replace(batch, units=units_of(batch, [np.stack([each, each + 1], axis=1)], 0))).numpy()
            own = np.array([not special for special in encoding.special_tokens_mask], dtype=np.bool_)
            places = np.array(encoding.offsets, np.int64).reshape(-1, 2)[own]
            found.append(TokenStates(states[own], places[:, 0], places[:, 1]))
        return found

    return encode


def features_of_tokens(folder: Path, token_ids: Sequence[int], threads: int) -> NDArray[np.float32]:
    """Pooled features (tokens, width) of single tokens, each between the tokenizer's special tokens."""
    from tokenizers import Tokenizer

    from smidgen.students.encoder_training.batches import encode
    from smidgen.students.processor import best_dtype

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    around = tokenizer.encode("").ids
    before, after = around[: len(around) // 2], around[len(around) // 2 :]
    ids = [[*before, int(number), *after] for number in token_ids]
    model = load_encoder(folder, best_dtype())
    workers = workers_for(model, threads)
    try:
        features: NDArray[np.float32] = encode(model, ids, np.arange(len(ids)), workers).numpy()
    finally:
        workers.close()
    return features


def load_encoder(folder: Path, dtype: torch.dtype) -> FastBert | TransformersEncoder:
    """The encoder in a folder: `FastBert` if it covers the architecture, else a `TransformersEncoder`."""
    from smidgen.students.encoder_training.bert import FastBert

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if FastBert.covers(config):
        return FastBert.load(folder, dtype)
    from smidgen.students.encoder_training.transformers_encoder import TransformersEncoder

    return TransformersEncoder(folder, dtype)


def need_torch() -> None:
    """Raise MissingExtra if torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtra("torch", "train") from None


def workers_for(model: FastBert | TransformersEncoder, threads: int) -> Any:
    """One worker per core for `FastBert`; torch's own threads for the others."""
    import torch

    from smidgen.students.encoder_training.bert import FastBert
    from smidgen.students.processor import Workers

    if isinstance(model, FastBert):
        return Workers(threads)
    torch.set_num_threads(threads)
    return Workers(1, own_threads=threads)


def vocabulary_of(folder: Path) -> int:
    """The vocabulary size of the encoder in a folder."""
    return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"])


def _trainer(training: Training, space: Workspace) -> EncoderTrainer:
    import torch

    from smidgen.students.encoder_training.batches import MOST, tokenize, tokens_to_read
    from smidgen.students.encoder_training.bert import positions
    from smidgen.students.encoder_training.training import FEW, EncoderTrainer, RowBelief, default_config
    from smidgen.students.processor import best_dtype

    settings = training.settings if isinstance(training.settings, EncoderSettings) else EncoderSettings()
    if training.base is None:
        raise TrainError("students.encoder_needs_base", value="none")
    folder = training.base.folder
    model = load_encoder(folder, {"auto": best_dtype(), "bf16": torch.bfloat16, "f32": torch.float32}[settings.precision])
    names, multi = training.labels.outputs, training.labels.multi_label
    asked = {"epochs": "epochs", "batch_rows": "batch_rows", "lr": "learning_rate", "label_smoothing": "label_smoothing"}
    given = {name: value for name, setting in asked.items() if (value := getattr(settings, setting)) is not None}
    # The recipe for few rows per class pairs rows by class, which needs one label per text.
    count = len(training.rows) if not multi else max(len(training.rows), (FEW + 1) * len(names))
    file, most = folder / "tokenizer.json", positions(folder)
    asked_length = settings.max_length or tokens_to_read(file, [row.input for row in training.rows], min(MOST, most))
    config = default_config(
        count,
        len(names),
        token_drop=settings.token_drop,
        max_length=min(asked_length, most),
        seed=training.seed,
        threads=space.threads,
        **given,
    )
    rows = [*training.rows, *names_as_rows(training.labels)] if config.pairs else training.rows
    ids = tokenize(file, [row.input for row in rows], config.max_length, vocabulary_of(folder))
    targets = targets_of(rows, names, multi)
    balanced = training.labels.class_weights == "balanced"
    weights = _class_weights(targets, len(names)) if balanced else None
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=weights) if multi else None
    belief = None if multi else RowBelief.of(rows, names, settings.soft_temperature)
    return EncoderTrainer(
        model, ids, targets, len(names), config, loss, None if multi else weights, workers_for(model, space.threads), belief=belief
    )


def names_as_rows(form: LabelForm) -> list[Row]:
    """Label names as additional rows: `card_arrival` gives "card arrival". Names without words (`3`, `c07`) give none, nor does the
    out-of-scope label, whose name does not describe its texts."""
    found = [(label, _in_words(label)) for label in form.labels]
    return [Row(words, label) for label, words in found if words]


def _in_words(name: str) -> str | None:
    words = re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip().lower()
    return words if re.search(r"[^\W\d_]{2,}", words) else None


def _class_weights(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Weights (outputs,) that balance labels: n / (classes * count); for several labels per text, negatives per positive."""
    import torch

    if targets.ndim == 2:
        positive = targets.sum(0).clamp(min=1)
        return ((len(targets) - positive) / positive).clamp(1, 100)
    counts = torch.bincount(targets, minlength=classes).clamp(min=1)
    return len(targets) / (classes * counts.float())


def _save(trainer: EncoderTrainer, training: Training, folder: Path) -> None:
    """Save the model under its Hugging Face names, with the head as one linear map on unit features."""
    from safetensors.torch import save_file

    assert training.base is not None
    tensors = trainer.model.tensors()
    tensors["head.weight"], tensors["head.bias"] = trainer.head.linear()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(training.base.folder / name, folder / name)
    facts = {"pooling": trainer.model.pooling, "normalize": True, "scale": None, "max_length": trainer.cfg.max_length}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


part = EncoderStudent()
