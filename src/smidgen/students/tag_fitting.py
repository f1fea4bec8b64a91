"""The tagger's model and trainer from what a build gives, and the trained model on disk and back."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from smidgen.core.errors import TrainError
from smidgen.core.parts import Raw, Training, Workspace
from smidgen.core.rows import Row, Text, joined
from smidgen.stats import tagging
from smidgen.stats.chains import Chain, count
from smidgen.stats.tag_reader import Reader
from smidgen.stats.tagging import Reading, Span
from smidgen.students.any_encoder import AnyEncoder
from smidgen.students.bert import FastBert
from smidgen.students.encoder import load_encoder, vocabulary_of, workers_for
from smidgen.students.encoder_trimming import trim
from smidgen.students.facts import FACTS
from smidgen.students.finetuning import TrainConfig
from smidgen.students.lengths import positions
from smidgen.students.packing import chunks, pack, units_of
from smidgen.students.precision import best_dtype
from smidgen.students.shaped_bert import ShapedBert
from smidgen.students.tag_lessons import lessons
from smidgen.students.tag_training import TagHead, TagTrainer
from smidgen.students.tagger_settings import TaggerSettings
from smidgen.students.workers import Workers

_CHAIN = "chain.safetensors"
_TRIMMED = "base"
_HEAD_RATE = 1e-3
_MANY = 2_000
"""Windows of text from which on a batch has 32 of them; below it has 16."""

_LARGE = 4_000
"""Windows of text from which on 6 passes are enough; below it are 8, and more where those would be fewer than 400 steps."""

_EPOCHS, _MOST_EPOCHS, _FEWEST_STEPS = 8, 40, 400
_BATCH_TOKENS = 4096


def trainer_for(training: Training, space: Workspace) -> tuple[TagTrainer, dict[str, Any]]:
    """The trainer, and the facts that go to disk with what it makes. Raises TrainError where the base cannot learn this."""
    settings = training.settings if isinstance(training.settings, TaggerSettings) else TaggerSettings()
    if training.base is None:
        raise TrainError("a tagger needs a base", value="none", todo="Name one: --base minilm")
    folder = _base(training, settings, space)
    plan = training.form.get("tagged", training.form)
    choices = [len(choice["values"]) for choice in plan.get("choices", ())]
    examples = _examples(training.rows, plan["kinds"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    shaped = settings.shapes == "on" or (settings.shapes == "auto" and _without_case(tokenizer))
    model = _model(folder, {"auto": best_dtype(), "bf16": torch.bfloat16, "f32": torch.float32}[settings.precision], shaped)
    if isinstance(model, ShapedBert):
        model.learn(tagging.SHAPES)
    facts: dict[str, Any] = {
        "pooling": "tokens",
        "max_length": min(settings.max_length, positions(folder)),
        "level": tagging.level_of(examples),
        "shaped": isinstance(model, ShapedBert),
        "choices": choices,
    }
    reader = _reader(tokenizer, facts, folder)
    taught = lessons(reader, examples, [row.output["choices"] for row in training.rows] if choices else None)
    if not taught.ids:
        raise TrainError("the tokenizer of the base reads none of the texts", value=str(folder), todo="Choose another base.")
    batch = settings.batch_rows or (32 if len(taught.ids) >= _MANY else 16)
    steps = math.ceil(len(taught.ids) / batch)
    config = TrainConfig(
        epochs=settings.epochs or _epochs(len(taught.ids), steps),
        batch_rows=batch,
        lr=settings.learning_rate,
        head_lr=_HEAD_RATE,
        token_drop=0.0,
        max_length=facts["max_length"],
        seed=training.seed,
        threads=space.threads,
    )
    tags = count(len(plan["kinds"]))
    return TagTrainer(model, taught, reader, tags, config, workers_for(model, space.threads), choices), facts


def _epochs(windows: int, steps: int) -> int:
    """Passes over so many windows of text, of so many steps each."""
    return 6 if windows >= _LARGE else max(_EPOCHS, min(_MOST_EPOCHS, math.ceil(_FEWEST_STEPS / steps)))


def _base(training: Training, settings: TaggerSettings, space: Workspace) -> Path:
    """The folder of the base, trimmed where that is asked for."""
    assert training.base is not None
    if settings.vocabulary is None:
        return training.base.folder
    return trim(training.base.folder, [row.input for row in training.rows], settings.vocabulary, space.folder / _TRIMMED)


def save(trainer: TagTrainer, training: Training, facts: dict[str, Any], folder: Path) -> None:
    """The trained model under its Hugging Face names, its head, its chain, and the facts. What was trimmed to start from is not kept."""
    assert training.base is not None
    base = folder / _TRIMMED if (folder / _TRIMMED).is_dir() else training.base.folder
    tensors = trainer.model.tensors()
    tensors["head.weight"], tensors["head.bias"] = trainer.head.linear()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    assert isinstance(trainer.head, TagHead)
    save_file({"transitions": trainer.head.transitions.clone()}, folder / _CHAIN)
    shutil.copyfile(base / "tokenizer.json", folder / "tokenizer.json")
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    if facts["shaped"]:
        config["type_vocab_size"] = tagging.SHAPES
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    shutil.rmtree(folder / _TRIMMED, ignore_errors=True)


def computed(folder: Path, texts: Sequence[Text], threads: int) -> Raw:
    """What the trained tagger in `folder` finds in texts, in f32."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    model = _model(folder, torch.float32, facts["shaped"])
    reader = _reader(Tokenizer.from_file(str(folder / "tokenizer.json")), facts, folder)
    chain = Chain(load_file(str(folder / _CHAIN))["transitions"].numpy())
    head = load_file(str(folder / "model.safetensors"))
    readings = reader.read([joined(text) for text in texts])
    workers = workers_for(model, threads)
    try:
        scores = _scores(model, reader, readings, head["head.weight"], head["head.bias"], workers)
    finally:
        workers.close()
    return reader.raw(readings, scores, chain, facts.get("choices", ()))


def _scores(
    model: FastBert | AnyEncoder, reader: Reader, readings: Sequence[Reading], weight: torch.Tensor, bias: torch.Tensor, workers: Workers
) -> list[list[NDArray[np.float32]]]:
    """Log weights (tokens, tags), of the values of choices too, of each window of each text."""
    windows = [(place, window) for place, reading in enumerate(readings) for window in reader.windows(reading)]
    ids = [reader.numbers(readings[place], window) for place, window in windows]
    # Every token is a unit here: those of a word are brought together where the windows are.
    pieces = [np.stack([np.arange(len(own)), np.arange(1, len(own) + 1)], axis=1) for own in ids]
    parts = list(chunks(ids, np.arange(len(ids)), _BATCH_TOKENS))
    found: dict[int, NDArray[np.float32]] = {}

    @torch.no_grad()
    def work(share: int) -> None:
        for part in parts[share :: workers.count]:
            batch = pack(ids, part)
            logits = torch.nn.functional.linear(model.forward(replace(batch, units=units_of(batch, pieces, 0))), weight, bias)
            tables = torch.split(logits, [len(ids[row]) for row in batch.rows])
            found.update({int(row): table.numpy() for row, table in zip(batch.rows, tables, strict=True)})

    workers.map(work)
    scores: list[list[NDArray[np.float32]]] = [[] for _ in readings]
    for row, (place, _) in enumerate(windows):
        scores[place].append(found[row])
    return scores


def _examples(rows: Sequence[Row], kinds: Sequence[str]) -> list[tuple[str, list[Span]]]:
    """Texts with their spans, kinds as numbers."""
    number = {kind: place for place, kind in enumerate(kinds)}
    return [
        (joined(row.input), [(span["start"], span["end"], number[span["label"]]) for span in _spans(row) if span["label"] in number])
        for row in rows
    ]


def _spans(row: Row) -> list[dict[str, Any]]:
    """The spans of a row, beside which there may be choices."""
    found: list[dict[str, Any]] = row.output["spans"] if isinstance(row.output, dict) else row.output
    return found


def _model(folder: Path, dtype: torch.dtype, shaped: bool) -> FastBert | AnyEncoder:
    """The encoder in a folder; one that can have shapes, where they are asked for and it is of that kind."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return ShapedBert.load(folder, dtype) if shaped and ShapedBert.covers(config) else load_encoder(folder, dtype)


def _reader(tokenizer: Tokenizer, facts: dict[str, Any], folder: Path) -> Reader:
    return Reader.of(tokenizer, facts["max_length"], facts["level"], facts["shaped"], vocabulary_of(folder))


def _without_case(tokenizer: Tokenizer) -> bool:
    """Whether large and small letters read the same."""
    tokenizer.no_padding()
    return bool(tokenizer.encode("Paris ABC", add_special_tokens=False).ids == tokenizer.encode("paris abc", add_special_tokens=False).ids)
