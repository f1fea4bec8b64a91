"""The static student: a bag of token and pair vectors with a small head, distilled from the fine-tuned encoder; microseconds per text.

Token vectors start as in Model2Vec, from the encoder; then vectors and head are trained end to end on the labels and the encoder's soft
labels.
"""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra, TrainError
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.students.encoder import targets_of
from smidgen.students.settings import FACTS

if TYPE_CHECKING:
    import torch


Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class StaticVocabulary:
    """The tokens of the training texts and their frequent pairs, each with a row of the table of vectors.

    Pairs are looked up, not hashed into buckets: an unseen pair adds nothing, while a bucket would add another pair's vector.

    Attributes:
        token_ids: tokenizer number of each token row, (tokens,).
        token_rows: row of each tokenizer number, -1 for none, (vocabulary,).
        pair_keys: `row * tokens + next row` of each pair, ascending, (pairs,).
        frequencies: share of each token row among the tokens of the texts, (tokens,).
    """

    token_ids: Ints
    token_rows: NDArray[np.int32]
    pair_keys: Ints
    frequencies: Floats

    def rows(self, ids: Sequence[int]) -> Ints:
        """Rows of the table for a text's token numbers: its tokens, then its pairs."""
        found = self.token_rows[np.asarray(ids, dtype=np.int64)].astype(np.int64)
        found = found[found >= 0]
        if len(found) < 2 or not len(self.pair_keys):
            return found
        tokens = len(self.token_ids)
        keys = found[:-1] * tokens + found[1:]
        at = self.pair_keys.searchsorted(keys)
        at[at == len(self.pair_keys)] = 0
        return np.concatenate((found, at[self.pair_keys[at] == keys] + tokens))


def build_vocabulary(ids: Sequence[Sequence[int]], size: int, least: int, most: int) -> StaticVocabulary:
    """The vocabulary of texts given as token numbers.

    Args:
        ids: token numbers of each text.
        size: of the tokenizer's vocabulary.
        least: the least number of texts in which a pair must occur.
        most: the number of pairs to keep, the most frequent ones.
    """
    counts = Counter(number for row in ids for number in row)
    token_ids = np.array(sorted(counts), dtype=np.int64)
    rows = np.full(size, -1, dtype=np.int32)
    rows[token_ids] = np.arange(len(token_ids), dtype=np.int32)
    pairs: Counter[int] = Counter()
    for row in ids:
        own = rows[np.asarray(row, dtype=np.int64)].astype(np.int64)
        pairs.update(set((own[:-1] * len(token_ids) + own[1:]).tolist()))
    kept = sorted((key for key, count in pairs.items() if count >= least), key=lambda key: (-pairs[key], key))[:most]
    total = max(1, sum(counts.values()))
    shares = np.array([counts[int(number)] / total for number in token_ids], dtype=np.float32)
    return StaticVocabulary(token_ids, rows, np.array(sorted(kept), dtype=np.int64), shares)


def start_vectors(features: Floats, frequencies: Floats, dims: int, zipf: float) -> Floats:
    """The start of Model2Vec (Tulkens & van Dongen 2024): unit features of each token alone, principal components, SIF weights
    a / (a + p(token)) (Arora et al. 2017). (tokens, width) in, (tokens, dims) out."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    centred = unit - unit.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    weights = zipf / (zipf + frequencies)
    return np.asarray(centred @ axes[:dims].T * weights[:, None], dtype=np.float32)


def quantise_rows(vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
    """int8 rows and an f32 scale for each: vectors are rows times scale."""
    scales = np.maximum(np.abs(vectors).max(1), 1e-12).astype(np.float32) / 127
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales


_FLOOR = 1e-6


class StaticSettings(Settings):
    """Settings of the training of the static student."""

    dims: int = setting(256, "Width of the vectors.", ge=16, le=1024)
    hidden: int = setting(512, "Width of the hidden layer.", ge=16, le=4096)
    epochs: int = setting(16, "Passes over the training rows.", ge=1, le=200)
    learning_rate: float = setting(3e-3, "Peak learning rate.", gt=0, le=0.1)
    batch_rows: int = setting(128, "Rows of one optimiser step.", ge=2, le=4096)
    token_dropout: float = setting(0.25, "Share of tokens and pairs left out at each step.", ge=0, lt=1)
    feature_dropout: float = setting(0.3, "Dropout before the last layer.", ge=0, lt=1)
    teacher_weight: float = setting(0.7, "Weight of the encoder's soft labels against the labels.", ge=0, le=1)
    temperature: float = setting(2.0, "Temperature of the soft labels.", gt=0)
    label_smoothing: float = setting(0.1, "Label smoothing.", ge=0, lt=1)
    max_pairs: int = setting(20_000, "Most pairs of tokens that get a vector.", ge=0)
    max_length: int | None = setting(
        None, "Tokens read of a text (default: what 95 of 100 training texts need, from 128 to 512).", ge=8, le=4096
    )


class StaticStudent(Student):
    """The student `static`."""

    name = "static"
    summary = "Token vectors distilled from the fine-tuned encoder, with a small head: microseconds a text, a few megabytes."
    settings = StaticSettings
    base_family = "encoder"
    engine = "static"
    teacher = "encoder"

    def fit(self, training: Training, space: Workspace) -> None:
        """Distil and train; takes seconds, so there is no checkpoint."""
        try:
            import torch
        except ImportError:
            raise MissingExtra("torch", "train") from None
        from smidgen.students.encoder_training.batches import tokens_to_read

        if training.base is None:
            raise TrainError("students.static_student_needs_base", value="none")
        settings = training.settings if isinstance(training.settings, StaticSettings) else StaticSettings()
        torch.set_num_threads(space.threads)
        source = training.teacher or training.base.folder
        texts = [joined(row.input) for row in training.rows]
        length = settings.max_length or tokens_to_read(source / "tokenizer.json", texts)
        ids = _token_numbers(source / "tokenizer.json", texts, length)
        known = build_vocabulary(ids, _size(source / "tokenizer.json"), 2, settings.max_pairs)
        soft = _teacher_logits(training, space.threads)
        student = _train(training, settings, known, ids, _token_features(source, known.token_ids, space.threads), soft, space)
        _save(student, known, length, source, space.folder)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`logits` (n, outputs) of the trained f32 vectors, by torch: the reference for the int8 vectors that are served."""
        import torch
        import torch.nn.functional as F
        from safetensors.torch import load_file

        torch.set_num_threads(threads)
        found = load_file(str(folder / "trained.safetensors"))
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        known = StaticVocabulary(
            found["token_ids"].numpy(), found["token_rows"].numpy(), found["pair_keys"].numpy(), np.zeros(0, np.float32)
        )
        bags = [known.rows(ids) for ids in _token_numbers(folder / "tokenizer.json", [joined(t) for t in texts], facts["max_length"])]
        flat, offsets = _flat(bags)
        unit = F.normalize(
            F.embedding_bag(torch.from_numpy(flat), found["vectors"], torch.from_numpy(offsets[:-1]), mode="sum"), dim=1, eps=_FLOOR
        )
        inner = torch.relu(unit @ found["hidden.weight"].T + found["hidden.bias"])
        logits = torch.cat((unit, inner), 1) @ found["head.weight"].T + found["head.bias"]
        return {"logits": logits.numpy(), "embedding": unit.numpy()}

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """int8 vectors with one scale per row, f16 layers, and the tokenizer."""
        from safetensors.numpy import load_file, save_file

        out.mkdir(parents=True, exist_ok=True)
        found = load_file(folder / "trained.safetensors")
        rows, scales = quantise_rows(found.pop("vectors"))
        found.pop("token_ids")
        tensors = {"vectors": rows, "vectors.scale": scales, **{n: t.astype(np.float16) if ".weight" in n else t for n, t in found.items()}}
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, out / "static.safetensors")
        shutil.copyfile(folder / "tokenizer.json", out / "tokenizer.json")
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        options = {"max_length": facts["max_length"], "pooling": "sum", "normalize": True}
        return EngineSpec("static", ("static.safetensors", "tokenizer.json"), options, "int8")


def _token_numbers(tokenizer_file: Path, texts: Sequence[str], max_length: int) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def _size(tokenizer_file: Path) -> int:
    from tokenizers import Tokenizer

    return int(Tokenizer.from_file(str(tokenizer_file)).get_vocab_size())


def _teacher_logits(training: Training, threads: int) -> Any:
    """The teacher's soft labels for the training rows, or None."""
    if training.teacher is None:
        return None
    from smidgen.students.encoder import computed

    return computed(training.teacher, [row.input for row in training.rows], threads, quick=True)["logits"]


def _token_features(source: Path, token_ids: Ints, threads: int) -> Floats:
    """Pooled feature (tokens, width) of each token alone, between the tokenizer's special tokens."""
    from smidgen.students.encoder import features_of_tokens

    return features_of_tokens(source, token_ids.tolist(), threads)


def _flat(bags: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Bags end to end, and the start of each and the end of the last."""
    lengths = np.array([len(bag) for bag in bags], dtype=np.int64)
    return np.concatenate([*bags, np.zeros(0, np.int64)]), np.concatenate(([0], np.cumsum(lengths)))


def _train(
    training: Training,
    settings: StaticSettings,
    known: StaticVocabulary,
    ids: Sequence[Sequence[int]],
    features: Floats,
    soft: Any,
    space: Workspace,
) -> dict[str, torch.Tensor]:
    """Train vectors and layers end to end. Torch's global generator is seeded, so that the result depends only on the seed."""
    import torch
    import torch.nn.functional as F

    names, multi = training.labels.outputs, training.labels.multi_label
    targets = targets_of(training.rows, names, multi)
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 11])
    dims = min(settings.dims, features.shape[1], len(features))
    start = start_vectors(features, known.frequencies, dims, 1e-3)
    table = np.concatenate((start, np.zeros((len(known.pair_keys), dims), dtype=np.float32)))
    table /= max(float(np.linalg.norm(start, axis=1).mean()), 1e-9)
    flat, offsets = _flat([known.rows(row) for row in ids])
    vectors = torch.from_numpy(table.copy()).requires_grad_()
    means = _class_means(torch.from_numpy(table), flat, offsets, targets, len(names))
    w1 = (torch.randn(settings.hidden, dims) / math.sqrt(dims) * 3).requires_grad_()
    b1 = torch.zeros(settings.hidden, requires_grad=True)
    w2 = torch.cat((12.0 * means, torch.zeros(len(names), settings.hidden)), 1).requires_grad_()
    b2 = torch.zeros(len(names), requires_grad=True)
    rate = settings.learning_rate
    optimiser = torch.optim.AdamW(
        [{"params": [vectors], "lr": rate, "weight_decay": 0.0}, {"params": [w1, b1, w2, b2], "lr": rate, "weight_decay": 0.02}],
        betas=(0.9, 0.99),
        fused=True,
    )
    teacher = None if soft is None else torch.from_numpy(np.asarray(soft))
    per_epoch = math.ceil(len(ids) / settings.batch_rows)
    total, step = settings.epochs * per_epoch, 0
    space.progress.start("train static", total)
    for _ in range(settings.epochs):
        order = rng.permutation(len(ids))
        for at in range(0, len(order), settings.batch_rows):
            rows = order[at : at + settings.batch_rows]
            for group in optimiser.param_groups:
                group["lr"] = rate * min((step + 1) / max(1.0, 0.05 * total), 1 - step / total)
            picked, starts = _drawn(flat, offsets, rows, settings.token_dropout, rng)
            bag = F.embedding_bag(torch.from_numpy(picked), vectors, torch.from_numpy(starts), mode="sum")
            unit = F.dropout(F.normalize(bag, dim=1, eps=_FLOOR), settings.feature_dropout / 2)
            inner = F.dropout(torch.relu(unit @ w1.T + b1), settings.feature_dropout)
            scores = torch.cat((unit, inner), 1) @ w2.T + b2
            index = torch.from_numpy(rows)
            loss = _loss(scores, targets[index], None if teacher is None else teacher[index], settings, multi)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
            space.progress.advance(1, loss=float(loss.detach()))
    trained = {"vectors": vectors, "hidden.weight": w1, "hidden.bias": b1, "head.weight": w2, "head.bias": b2}
    return {name: tensor.detach() for name, tensor in trained.items()}


def _class_means(table: torch.Tensor, flat: Ints, offsets: Ints, targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Centred unit means of the bags of each class, (classes, dims), from which the head starts."""
    import torch
    import torch.nn.functional as F

    unit = F.normalize(F.embedding_bag(torch.from_numpy(flat), table, torch.from_numpy(offsets[:-1]), mode="sum"), dim=1, eps=_FLOOR)
    belongs = targets if targets.ndim == 2 else F.one_hot(targets, classes).float()
    means = belongs.T @ unit / belongs.sum(0).clamp(min=1)[:, None]
    return F.normalize(means - unit.mean(0), dim=1)


def _drawn(flat: Ints, offsets: Ints, rows: Ints, dropout: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Table rows of the given bags end to end, each left out with probability `dropout`, and the start of each bag."""
    lengths = offsets[rows + 1] - offsets[rows]
    starts = np.cumsum(lengths) - lengths
    picked = flat[np.repeat(offsets[rows] - starts, lengths) + np.arange(int(lengths.sum()))]
    if dropout:
        keep = rng.random(len(picked)) >= dropout
        kept = np.bincount(np.repeat(np.arange(len(rows)), lengths)[keep], minlength=len(rows))
        picked, starts = picked[keep], np.cumsum(kept) - kept
    return picked, starts.astype(np.int64)


def _loss(scores: torch.Tensor, targets: torch.Tensor, soft: torch.Tensor | None, settings: StaticSettings, multi: bool) -> torch.Tensor:
    """Loss of labels and soft labels: cross entropy and KL (Hinton et al. 2015), or their binary forms if a text may have several
    labels."""
    import torch
    import torch.nn.functional as F

    warmth = settings.temperature
    if multi:
        hard = F.binary_cross_entropy_with_logits(scores, targets)
        if soft is None:
            return hard
        distance = F.binary_cross_entropy_with_logits(scores / warmth, torch.sigmoid(soft / warmth))
    else:
        hard = F.cross_entropy(scores, targets, label_smoothing=settings.label_smoothing)
        if soft is None:
            return hard
        wanted, got = F.log_softmax(soft / warmth, 1), F.log_softmax(scores / warmth, 1)
        distance = F.kl_div(got, wanted, log_target=True, reduction="batchmean") * warmth**2
    return (1 - settings.teacher_weight) * hard + settings.teacher_weight * distance


def _save(student: dict[str, torch.Tensor], known: StaticVocabulary, max_length: int, source: Path, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in student.items()}
    for name, array in (("token_ids", known.token_ids), ("token_rows", known.token_rows), ("pair_keys", known.pair_keys)):
        tensors[name] = torch.from_numpy(array)
    save_file(tensors, folder / "trained.safetensors")
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    (folder / FACTS).write_text(json.dumps({"max_length": max_length}), encoding="utf-8")


part = StaticStudent()
