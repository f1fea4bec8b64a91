"""Train taggers: windows of texts with tags, the loss of a linear chain, and saving and loading the model."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from smidgen.core.errors import TrainError
from smidgen.core.parts import Raw, Training, Workspace
from smidgen.core.rows import Row, Text, joined
from smidgen.students.encoder import load_encoder, vocabulary_of, workers_for
from smidgen.students.encoder_training.batches import PackedBatch, chunks, pack, units_of
from smidgen.students.encoder_training.bert import NEGATIVE, FastBert, ShapedBert, positions
from smidgen.students.encoder_training.training import ClassifierHead, EncoderTrainConfig, EncoderTrainer
from smidgen.students.encoder_training.transformers_encoder import TransformersEncoder
from smidgen.students.processor import Workers, best_dtype
from smidgen.students.settings import FACTS, TaggerSettings
from smidgen.students.vocabulary import trim_encoder
from smidgen.text import tagging
from smidgen.text.tagging import CharacterSpan, TagChain, TaggerInput, TaggerReader, tag_count


@dataclass(frozen=True)
class TaggingExamples:
    """The training examples of a tagger, one per window of a text.

    Attributes:
        ids: token numbers with special tokens; a token of shape k has k times the vocabulary's size added.
        pieces: (units, 2) the first piece of each unit, and one past its last, not counting the special tokens before. With choices, a
            last unit holds all tokens of the window, including special ones.
        tags: (units,) the tag of each, without that last unit.
        choices: (choices,) the index of the value of each choice, -1 if it is unknown; empty without choices.
    """

    ids: list[list[int]]
    pieces: list[NDArray[np.int64]]
    tags: list[NDArray[np.int64]]
    choices: list[NDArray[np.int64]]


def tagging_examples(
    reader: TaggerReader, examples: Sequence[tuple[str, Sequence[CharacterSpan]]], choices: Sequence[Sequence[int]] | None = None
) -> TaggingExamples:
    """Windows of texts with the tags of their spans. A span that crosses the edge of a window is tagged inside it; `choices` of a text are
    learnt with each of its windows."""
    made = TaggingExamples([], [], [], [])
    chosen = choices if choices is not None else [()] * len(examples)
    for (_, spans), reading, own in zip(examples, reader.read([text for text, _ in examples]), chosen, strict=True):
        found = [(int(start), int(end)) for start, end in reading.units]
        placed = tagging.unit_spans(found, spans)
        for window in reader.windows(reading):
            seen = np.flatnonzero((reading.pieces[:, 0] >= window.start) & (reading.pieces[:, 1] <= window.end))
            if not len(seen):
                continue
            first, last = int(seen[0]), int(seen[-1])
            clipped = [(max(a, first) - first, min(b, last) - first, kind) for a, b, kind in placed if a <= last and b >= first]
            numbers = reader.numbers(reading, window)
            before = len(reader.before)
            whole = np.array([[-before, len(numbers) - before]] if own else [], dtype=np.int64).reshape(-1, 2)
            made.ids.append(numbers)
            made.pieces.append(np.concatenate([reading.pieces[first : last + 1] - window.start, whole]))
            made.choices.append(np.array(own, dtype=np.int64))
            made.tags.append(tagging.bioes_tags(clipped, last + 1 - first))
    return made


_TINY = 1e-37
"""Weight of an impossible path, so that its logarithm is finite."""


class TagHead(ClassifierHead):
    """The head of a tagger: log weights of tags, linear in a unit's features; of transitions between tags; and of the values of choices,
    linear in the mean of a text's tokens. `flat` holds rows (of tags, then of values), bias and transitions, f32."""

    def __init__(self, hidden: int, tags: int, values: int = 0) -> None:
        rows = tags + values
        super().__init__(hidden, rows, 1.0)
        self.tags = tags
        self.flat = torch.zeros(rows * (hidden + 1) + tags * tags)
        self.w = self.flat[: rows * hidden].view(rows, hidden)
        self.b = self.flat[rows * hidden : rows * (hidden + 1)]
        self.transitions = self.flat[rows * (hidden + 1) :].view(tags, tags)

    def logits(self, features: Tensor, flat: Tensor | None = None) -> Tensor:
        """Log weights [units, tags + values] of features [units, hidden]."""
        flat = self.flat if flat is None else flat
        n = self.w.numel()
        return F.linear(features, flat[:n].view_as(self.w), flat[n : n + len(self.w)])

    def between(self, flat: Tensor) -> Tensor:
        """Log weights [tags, tags] between tags."""
        return flat[len(self.w) * (self.w.shape[1] + 1) :].view(self.tags, self.tags)


class TagTrainer(EncoderTrainer):
    """Fine-tune an encoder and a `TagHead` by the likelihood of tags and choices. `choices` are the numbers of values of each choice; if
    there are any, the last unit of each example is the whole window."""

    def __init__(
        self,
        model: FastBert | TransformersEncoder,
        lessons: TaggingExamples,
        reader: TaggerReader,
        tags: int,
        config: EncoderTrainConfig,
        workers: Workers | None,
        choices: Sequence[int] = (),
    ) -> None:
        head = TagHead(model.hidden, tags, sum(choices))
        super().__init__(model, lessons.ids, torch.zeros(0), tags, config, workers=workers, head=head)
        self.lessons, self.before, self.choices = lessons, len(reader.before), tuple(choices)
        may, opens, closes = (torch.from_numpy(mask) for mask in tagging.allowed_transitions((tags - 1) // 4))
        self._barred = [torch.zeros(mask.shape).masked_fill(~mask, NEGATIVE) for mask in (may, opens, closes)]

    def init_head(self, rows_per_class: int = 16) -> None:
        """Leave the head at zero: every tag is equally likely."""

    def _batch(self, worker: int, rows: np.ndarray) -> PackedBatch:
        batch = pack(self.ids, rows)
        return replace(batch, units=units_of(batch, self.lessons.pieces, self.before))

    def _loss(self, features: Tensor, flat: Tensor, rows: np.ndarray) -> Tensor:
        head = self.head
        assert isinstance(head, TagHead)
        tags = [torch.from_numpy(self.lessons.tags[r]) for r in rows]
        sizes = [len(own) for own in tags]
        logits = head.logits(self._dropped(features), flat)
        chosen = torch.zeros(())
        if self.choices:
            # The last unit of each row is the whole window.
            ends = torch.cumsum(torch.tensor([size + 1 for size in sizes]), 0) - 1
            chosen = choice_loss(
                logits[ends, head.tags :], torch.from_numpy(np.stack([self.lessons.choices[r] for r in rows])), self.choices
            )
            own = torch.ones(len(logits), dtype=torch.bool)
            own[ends] = False
            logits = logits[own, : head.tags]
        grid = torch.nn.utils.rnn.pad_sequence(list(torch.split(logits, sizes)), batch_first=True)
        gold = torch.nn.utils.rnn.pad_sequence(tags, batch_first=True)
        loss = chain_loss(grid, gold, torch.tensor(sizes), head.between(flat) + self._barred[0], self._barred[1], self._barred[2])
        return (loss + chosen) / sum(sizes)


def choice_loss(logits: Tensor, gold: Tensor, choices: Sequence[int]) -> Tensor:
    """Negative log-likelihood of choices, summed over rows and choices.

    Args:
        logits: [rows, values] log weights, choice by choice.
        gold: [rows, choices] indices of the values; -1 if none is right, which adds no loss.
        choices: the number of values of each.
    """
    parts = torch.split(logits, list(choices), dim=1)
    return torch.stack([F.cross_entropy(part, gold[:, place], reduction="sum", ignore_index=-1) for place, part in enumerate(parts)]).sum()


def chain_loss(logits: Tensor, gold: Tensor, sizes: Tensor, between: Tensor, opens: Tensor, closes: Tensor) -> Tensor:
    """Negative log-likelihood of the gold tags under a linear chain, summed over rows.

    Args:
        logits: [rows, units, tags] log weights, padded.
        gold: [rows, units] tags, padded.
        sizes: [rows] units of each row, at least one.
        between: [tags, tags] log weights from one tag to the next; opens, closes: [tags] of the first and the last.
    """
    rows = torch.arange(len(gold))
    there = torch.arange(gold.shape[1])[None, :] < sizes[:, None]
    path = (logits.gather(2, gold[:, :, None])[:, :, 0] * there).sum(1)
    path = path + (between[gold[:, :-1], gold[:, 1:]] * there[:, 1:]).sum(1) + opens[gold[:, 0]] + closes[gold[rows, sizes - 1]]
    alpha, weights = opens + logits[:, 0], between.exp()
    for place in range(1, gold.shape[1]):
        # A matrix product, with each row's maximum subtracted before and added after: for fifty tags it takes a tenth of the time of
        # logsumexp over pairs, which takes longer than the encoder.
        most = alpha.detach().amax(1, keepdim=True)
        stepped = torch.log(((alpha - most).exp() @ weights).clamp_min(_TINY)) + most + logits[:, place]
        alpha = torch.where(there[:, place, None], stepped, alpha)
    return (torch.logsumexp(alpha + closes, 1) - path).sum()


_CHAIN = "chain.safetensors"
_TRIMMED = "base"
_HEAD_RATE = 1e-3
_MANY = 2_000
"""From this many windows of text on, a batch has 32 of them; below, 16."""
_LARGE = 4_000
"""From this many windows of text on, 6 passes suffice; below, 8, or more to reach 400 steps."""
_EPOCHS, _MOST_EPOCHS, _FEWEST_STEPS = 8, 40, 400
_BATCH_TOKENS = 4096


def trainer_for(training: Training, space: Workspace) -> tuple[TagTrainer, dict[str, Any]]:
    """The trainer, and the facts to save beside the model. Raises TrainError if the base cannot learn this."""
    settings = training.settings if isinstance(training.settings, TaggerSettings) else TaggerSettings()
    if training.base is None:
        raise TrainError("students.tagger_needs_base", value="none")
    folder = _base(training, settings, space)
    plan = training.tags
    choices = [len(choice["values"]) for choice in plan.choices]
    examples = _examples(training.rows, plan.kinds)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    shaped = settings.shapes == "on" or (settings.shapes == "auto" and _without_case(tokenizer))
    model = _model(folder, {"auto": best_dtype(), "bf16": torch.bfloat16, "f32": torch.float32}[settings.precision], shaped)
    if isinstance(model, ShapedBert):
        model.learn(tagging.SHAPES)
    facts: dict[str, Any] = {
        "pooling": "tokens",
        "max_length": min(settings.max_length, positions(folder)),
        "level": tagging.coarsest_level(examples),
        "shaped": isinstance(model, ShapedBert),
        "choices": choices,
    }
    reader = _reader(tokenizer, facts, folder)
    taught = tagging_examples(reader, examples, [row.output["choices"] for row in training.rows] if choices else None)
    if not taught.ids:
        raise TrainError("students.tokenizer_of_base_reads_none_of_texts", value=str(folder))
    batch = settings.batch_rows or (32 if len(taught.ids) >= _MANY else 16)
    steps = math.ceil(len(taught.ids) / batch)
    config = EncoderTrainConfig(
        epochs=settings.epochs or _epochs(len(taught.ids), steps),
        batch_rows=batch,
        lr=settings.learning_rate,
        head_lr=_HEAD_RATE,
        token_drop=0.0,
        max_length=facts["max_length"],
        seed=training.seed,
        threads=space.threads,
    )
    tags = tag_count(len(plan.kinds))
    return TagTrainer(model, taught, reader, tags, config, workers_for(model, space.threads), choices), facts


def _epochs(windows: int, steps: int) -> int:
    """Passes over the windows of text, by their number and the steps of each pass."""
    return 6 if windows >= _LARGE else max(_EPOCHS, min(_MOST_EPOCHS, math.ceil(_FEWEST_STEPS / steps)))


def _base(training: Training, settings: TaggerSettings, space: Workspace) -> Path:
    """The folder of the base, with its vocabulary trimmed if the settings ask for it."""
    assert training.base is not None
    if settings.vocabulary is None:
        return training.base.folder
    return trim_encoder(training.base.folder, [row.input for row in training.rows], settings.vocabulary, space.folder / _TRIMMED)


def save(trainer: TagTrainer, training: Training, facts: dict[str, Any], folder: Path) -> None:
    """Save the model under its Hugging Face names, its head, its chain and the facts; delete the trimmed base."""
    assert training.base is not None
    base = folder / _TRIMMED if (folder / _TRIMMED).is_dir() else training.base.folder
    settings = training.settings if isinstance(training.settings, TaggerSettings) else TaggerSettings()
    tensors = _mixed(trainer.model.tensors(), base, settings.base_share)
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


def _mixed(tensors: dict[str, Tensor], base: Path, share: float) -> dict[str, Tensor]:
    """Trained weights with a share of the base's own (Wortsman et al., Robust fine-tuning of zero-shot models, 2022); those that the base
    lacks, or has in another shape, stay."""
    if not share:
        return tensors
    own = {name.removeprefix("bert."): tensor for name, tensor in load_file(str(base / "model.safetensors")).items()}
    if not any(name in own for name in tensors):
        raise TrainError("students.no_trained_weight_belongs_to_base", value=str(base))
    return {
        name: torch.lerp(tensor.float(), own[name].float(), share).to(tensor.dtype)
        if name in own and own[name].shape == tensor.shape
        else tensor
        for name, tensor in tensors.items()
    }


def computed(folder: Path, texts: Sequence[Text], threads: int) -> Raw:
    """`spans` and `choices` of texts by the trained tagger in `folder`, in f32."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    model = _model(folder, torch.float32, facts["shaped"])
    reader = _reader(Tokenizer.from_file(str(folder / "tokenizer.json")), facts, folder)
    chain = TagChain(load_file(str(folder / _CHAIN))["transitions"].numpy())
    head = load_file(str(folder / "model.safetensors"))
    readings = reader.read([joined(text) for text in texts])
    workers = workers_for(model, threads)
    try:
        scores = scores_of(model, reader, readings, head["head.weight"], head["head.bias"], workers)
    finally:
        workers.close()
    return reader.raw(readings, scores, chain, facts.get("choices", ()))


def scores_of(
    model: FastBert | TransformersEncoder,
    reader: TaggerReader,
    readings: Sequence[TaggerInput],
    weight: torch.Tensor,
    bias: torch.Tensor,
    workers: Workers,
) -> list[list[NDArray[np.float32]]]:
    """Log weights (tokens, tags and values of choices) of each window of each text."""
    windows = [(place, window) for place, reading in enumerate(readings) for window in reader.windows(reading)]
    ids = [reader.numbers(readings[place], window) for place, window in windows]
    # Every token is a unit here: the reader joins the tokens of a word.
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


def _examples(rows: Sequence[Row], kinds: Sequence[str]) -> list[tuple[str, list[CharacterSpan]]]:
    """Texts with their spans, with the kinds as numbers."""
    number = {kind: place for place, kind in enumerate(kinds)}
    return [
        (joined(row.input), [(span["start"], span["end"], number[span["label"]]) for span in _spans(row) if span["label"] in number])
        for row in rows
    ]


def _spans(row: Row) -> list[dict[str, Any]]:
    """The spans of a row, which may have choices too."""
    found: list[dict[str, Any]] = row.output["spans"] if isinstance(row.output, dict) else row.output
    return found


def _model(folder: Path, dtype: torch.dtype, shaped: bool) -> FastBert | TransformersEncoder:
    """The encoder in a folder, with word shapes if requested and if its architecture allows them."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return ShapedBert.load(folder, dtype) if shaped and ShapedBert.covers(config) else load_encoder(folder, dtype)


def _reader(tokenizer: Tokenizer, facts: dict[str, Any], folder: Path) -> TaggerReader:
    return TaggerReader.of(tokenizer, facts["max_length"], facts["level"], facts["shaped"], vocabulary_of(folder))


def _without_case(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer ignores case."""
    tokenizer.no_padding()
    return bool(tokenizer.encode("Paris ABC", add_special_tokens=False).ids == tokenizer.encode("paris abc", add_special_tokens=False).ids)
