"""The training loop of encoders, the head, and the weights of training rows.

Everything random is a function of the seed, the epoch and the worker. So a run that is resumed from an epoch's checkpoint ends with the
same weights, bit for bit, as an uninterrupted run with the same number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from smidgen.core.errors import TrainError
from smidgen.core.parts import Workspace
from smidgen.core.rows import Row
from smidgen.students.encoder_training.batches import DropoutBank, PackedBatch, Rows, drop_tokens, encode, pack, plan_epoch, plan_pairs
from smidgen.students.encoder_training.bert import NEGATIVE, FastBert
from smidgen.students.processor import Workers, shares

if TYPE_CHECKING:
    from smidgen.students.encoder_training.transformers_encoder import TransformersEncoder


@dataclass(frozen=True)
class RowBelief:
    """Weights and soft labels of n rows.

    Attributes:
        weights: (n,) f32, the weight of each row.
        shares: (n, classes) f32, soft labels that add up to 1; zeros for a row with a hard label; None if all are hard.
        temperature: of the comparison of soft labels with the model's probabilities.
    """

    weights: Tensor
    shares: Tensor | None = None
    temperature: float = 2.0

    @classmethod
    def of(cls, rows: Sequence[Row], names: Sequence[str], temperature: float) -> RowBelief | None:
        """Weights and soft labels of the rows, for outputs in the order of `names`; None if all weigh 1 and have hard labels."""
        if all(row.weight == 1 and not row.shares for row in rows):
            return None
        index = {name: number for number, name in enumerate(names)}
        shares = torch.zeros(len(rows), len(names)) if any(row.shares for row in rows) else None
        if shares is not None:
            for number, row in enumerate(rows):
                for label, share in row.shares:
                    if label in index:
                        shares[number, index[label]] = share
            shares /= shares.sum(1, keepdim=True).clamp(min=1e-9)
        return cls(torch.tensor([row.weight for row in rows], dtype=torch.float32), shares, temperature)

    def loss(self, logits: Tensor, targets: Tensor, rows: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
        """The weighted mean loss of the given rows: cross entropy; for soft labels the KL divergence of the model's probabilities from
        them, both softened by the temperature, times its square (Hinton, Vinyals and Dean 2015)."""
        loss = F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
        if self.shares is not None:
            shares = self.shares[rows]
            softened = shares ** (1 / self.temperature)
            softened = softened / softened.sum(1, keepdim=True).clamp(min=1e-9)
            apart = F.kl_div(F.log_softmax(logits / self.temperature, 1), softened, reduction="none").sum(1) * self.temperature**2
            loss = torch.where(shares.sum(1) > 0, apart, loss)
        weights = self.weights[rows]
        if class_weights is not None:
            weights = weights * class_weights[targets]
        return (loss * weights).sum() / weights.sum().clamp(min=1e-9)


LossFn: TypeAlias = Callable[[Tensor, Tensor], Tensor]
FEW = 40
"""Most rows per class that count as few: see `default_config`."""

_EMA_EVERY = 4  # steps between two updates of the averaged weights


@dataclass
class EncoderTrainConfig:
    """Settings of a training run. The defaults are the measured recipe.

    Attributes:
        head_scale: factor on the cosines before the softmax.
        pairs: batches are made of pairs of one class.
        cosine: the head's rows have length 1, and it has no bias.
        supcon, supcon_temp: weight and temperature of the contrastive term.
        token_drop: share of tokens dropped at random in training.
        bucket: how finely texts are sorted by length for batches, see `plan_epoch`.
        ema: decay per step of the averaged weights; 0: no average.
    """

    epochs: int = 4
    batch_rows: int = 64
    batch_tokens: int = 8192
    lr: float = 2e-4
    head_lr: float = 1e-3
    warmup: float = 0.1
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    dropout: float = 0.1
    head_dropout: float = 0.1
    head_scale: float = 16.0
    label_smoothing: float = 0.1
    pairs: bool = False
    cosine: bool = False
    supcon: float = 0.0
    supcon_temp: float = 0.1
    token_drop: float = 0.1
    bucket: int = 4
    ema: float = 0.99
    max_length: int = 256
    seed: int = 0
    threads: int = 2


def default_config(rows: int, classes: int, **overrides: Any) -> EncoderTrainConfig:
    """Scale the recipe to a data set by its rows and classes.

    Up to `FEW` rows per class: at least 12 epochs and 100 steps, with batches of pairs of one class and a contrastive term. The cosine head
    has a low scale, so that the softmax stays uncertain with few rows. Each layer's learning rate is 0.7 times the rate of the layer above,
    because few rows would overwrite what the lower layers already know.

    Otherwise: below 4,000 rows, 6 epochs with batches of 32; from 4,000, 6 epochs with batches of 64; from 6,000, 4 epochs; from 20,000, 3
    epochs. More epochs on sets of medium size did harm. The numbers are in docs/log.md.
    """
    if rows <= FEW * classes:
        batch = 64
        epochs = max(12, math.ceil(100 / max(1, round(rows / batch))))
        few = {"pairs": True, "cosine": True, "head_scale": 10.0, "label_smoothing": 0.0, "supcon": 0.3, "ema": 0.0}
        gentle = {"lr": 1.5e-4, "layer_decay": 0.7}
        return EncoderTrainConfig(**({"batch_rows": batch, "epochs": epochs} | few | gentle | overrides))
    batch = 64 if rows >= 4000 else 32
    epochs = 3 if rows >= 20000 else 4 if rows >= 6000 else 6
    return EncoderTrainConfig(**({"batch_rows": batch, "epochs": epochs} | overrides))


@dataclass
class TrainingProgress:
    """The argument of the callback after each step."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    seconds: float


class ClassifierHead:
    """Scaled cosine-like classifier: `scale * unit(features) @ w^T + b`, f32; with `cosine` the rows of w have length 1 and b is 0.

    Unit features make the start from class means a nearest-mean classifier, which all-MiniLM already does well, so no step is lost on a
    random head.
    """

    def __init__(self, hidden: int, classes: int, scale: float, cosine: bool = False) -> None:
        self.cosine = cosine
        self.flat = torch.zeros(classes * (hidden + 1))
        self.w = self.flat[: classes * hidden].view(classes, hidden)
        self.b = self.flat[classes * hidden :]
        self.scale = scale

    def logits(self, features: Tensor, flat: Tensor | None = None) -> Tensor:
        """Scores [rows, classes] of pooled features; `flat` replaces the head's own weights."""
        flat = self.flat if flat is None else flat
        n = self.w.numel()
        units, rows = F.normalize(features, dim=1) * self.scale, flat[:n].view_as(self.w)
        return units @ F.normalize(rows, dim=1).t() if self.cosine else F.linear(units, rows, flat[n:])

    def linear(self) -> tuple[Tensor, Tensor]:
        """Weight [classes, hidden] and bias [classes] of this head as one linear map on unit features."""
        rows = F.normalize(self.w, dim=1) if self.cosine else self.w
        return (rows * self.scale).clone(), torch.zeros_like(self.b) if self.cosine else self.b.clone()

    def set_means(self, features: Tensor, targets: Tensor) -> None:
        """Set the rows to the classes' centred mean directions (0 for classes without rows).

        `targets`: class numbers, or `[rows, classes]` weights (soft, multi-label).
        """
        unit = F.normalize(features, dim=1)
        centre = unit.mean(0)
        weight = F.one_hot(targets, len(self.w)) if targets.ndim == 1 else targets
        weight = weight.float()
        total = weight.sum(0)[:, None]
        if self.cosine:
            self.w.copy_(F.normalize(weight.t() @ unit, dim=1))
            return
        self.w.copy_((weight.t() @ unit - total * centre) / total.clamp(min=1e-6))


class EncoderTrainer:
    """Fine-tunes a `FastBert` and a `ClassifierHead` on labelled token ids."""

    def __init__(
        self,
        model: FastBert | TransformersEncoder,
        ids: Sequence[Sequence[int]],
        targets: Tensor,
        classes: int,
        config: EncoderTrainConfig,
        loss_fn: LossFn | None = None,
        class_weights: Tensor | None = None,
        workers: Workers | None = None,
        head: ClassifierHead | None = None,
        belief: RowBelief | None = None,
    ) -> None:
        self.model, self.ids, self.targets, self.cfg = model, ids, targets, config
        self.belief, self.class_weights = belief, class_weights
        self.lengths = np.array([len(i) for i in ids])
        self.head = head or ClassifierHead(model.hidden, classes, config.head_scale, config.cosine)
        self.loss_fn = loss_fn or (lambda z, y: F.cross_entropy(z, y, weight=class_weights, label_smoothing=config.label_smoothing))
        self.plans = [
            plan_pairs(targets.numpy(), config.seed, e, config.batch_rows)
            if config.pairs
            else plan_epoch(self.lengths, config.seed, e, config.batch_rows, config.batch_tokens, config.bucket)
            for e in range(config.epochs)
        ]
        self.workers = workers or Workers(config.threads)
        count = self.workers.count
        self._replicas = [model] + [model.replica() for _ in range(count - 1)]
        self._parts = shares(model.master.numel(), count)
        self.rngs = [np.random.default_rng([config.seed, i]) for i in range(count)]
        self.banks: list[DropoutBank | None] = [None] * count
        self.generator = torch.Generator()
        self.total_steps = sum(len(p) for p in self.plans)
        self.epoch = self.step = 0
        size = model.master.numel()
        self._grad32 = torch.zeros(size)
        self._moments = [torch.zeros(size), torch.zeros(size)]
        self._head_moments = [torch.zeros_like(self.head.flat) for _ in range(2)]
        self._steps = torch.zeros(())
        self._ema: list[Tensor] | None = None
        self.bank = DropoutBank(config.dropout, config.seed, model.dtype) if config.dropout else None
        self.losses: list[float] = []

    def init_head(self, rows_per_class: int = 16) -> None:
        """Start the head from class means of a few rows each.

        A second of work that saves most of an epoch: with it the untrained all-MiniLM already classifies BANKING77 at 75 %.
        """
        order = np.random.default_rng([self.cfg.seed, 2]).permutation(len(self.ids))
        if self.targets.ndim == 1:
            seen = np.zeros(len(self.head.w), dtype=np.int64)
            picked = []
            for r in order:
                c = int(self.targets[r])
                if seen[c] < rows_per_class:
                    seen[c] += 1
                    picked.append(int(r))
            rows = np.asarray(picked)
        else:
            rows = order[: rows_per_class * len(self.head.w)]
        features = encode(self.model, self.ids, rows, self.workers)
        self.head.set_means(features, self.targets[torch.from_numpy(rows)])

    def _lr_factor(self) -> float:
        warm = max(1, round(self.cfg.warmup * self.total_steps))
        if self.step < warm:
            return (self.step + 1) / warm
        left = (self.total_steps - self.step) / max(1, self.total_steps - warm)
        return left

    def _dropped(self, features: Tensor) -> Tensor:
        if not self.cfg.head_dropout:
            return features
        keep = torch.rand(features.shape, generator=self.generator) >= self.cfg.head_dropout
        return features * keep / (1 - self.cfg.head_dropout)

    def _loss(self, features: Tensor, flat: Tensor, rows: np.ndarray) -> Tensor:
        """The loss of data rows, from their pooled features, in their order."""
        cfg, targets = self.cfg, self.targets[torch.from_numpy(rows)]
        logits = self.head.logits(self._dropped(features), flat)
        if self.belief is None or targets.ndim > 1:
            loss = self.loss_fn(logits, targets)
        else:
            loss = self.belief.loss(logits, targets, torch.from_numpy(rows), cfg.label_smoothing, self.class_weights)
        if cfg.supcon:
            loss = loss + cfg.supcon * supcon_loss(features, targets, cfg.supcon_temp)
        return loss

    def _batch(self, worker: int, rows: np.ndarray) -> PackedBatch:
        """A worker's share of a step's rows, with tokens dropped at random."""
        ids: Rows = self.ids
        if self.cfg.token_drop:
            ids = {int(r): drop_tokens(self.ids[r], self.cfg.token_drop, self.rngs[worker]) for r in rows}
        return pack(ids, rows)

    def train_step(self, rows: np.ndarray) -> float:
        """Take one optimiser step on the given data rows; returns the loss."""
        model = self.model
        # dealing out length-sorted rows in turn gives the workers equal loads
        rows = rows[np.argsort(self.lengths[rows], kind="stable")]
        active = min(self.workers.count, len(rows))
        batches: list[PackedBatch | None] = [None] * self.workers.count

        def forward(i: int) -> Tensor:
            share = rows[i::active] if i < active else rows[:0]
            if not len(share):
                return torch.empty(0, model.hidden)
            batches[i] = batch = self._batch(i, share)
            return self._replicas[i].forward(batch, train=True, dropout=self.banks[i])

        parts = self.workers.map(forward)
        features = torch.cat(parts).requires_grad_()
        order = np.concatenate([b.rows for b in batches if b is not None])
        flat = self.head.flat.detach().requires_grad_()
        loss = self._loss(features, flat, order)
        dfeatures, dhead = torch.autograd.grad(loss, (features, flat))
        cuts = torch.split(dfeatures, [len(p) for p in parts])

        def backward(i: int) -> None:
            if batches[i] is None:
                self._replicas[i].grads.zero_()
            else:
                self._replicas[i].backward(cuts[i])

        self.workers.map(backward)
        self._update(dhead)
        return float(loss.detach())

    @torch.no_grad()
    def _update(self, dhead: Tensor) -> None:
        model, cfg = self.model, self.cfg
        factor = self._lr_factor()
        ema_decay = min(cfg.ema**_EMA_EVERY, (self.step + 1) / (self.step + 11))  # early weights leave the average soon
        averaging = bool(cfg.ema) and self.step % _EMA_EVERY == 0
        if cfg.ema and self._ema is None:
            self._ema = [model.master.clone(), self.head.flat.clone()]

        @torch.no_grad()
        def gather(i: int) -> float:
            part = slice(*self._parts[i])
            self._grad32[part].copy_(self._replicas[0].grads[part])
            for other in self._replicas[1:]:
                self._grad32[part].add_(other.grads[part])
            return float(self._grad32[part].norm()) ** 2 if cfg.clip else 0.0

        norm = math.sqrt(sum(self.workers.map(gather)))
        clip = cfg.clip / norm if cfg.clip and norm > cfg.clip else 1.0

        @torch.no_grad()
        def update(i: int) -> None:
            lo, hi = self._parts[i]
            if clip != 1.0:
                self._grad32[lo:hi].mul_(clip)
            for s in model.slices:
                start, end = max(lo, s.start), min(hi, s.end)
                if start >= end:
                    continue
                lr = cfg.lr * factor * cfg.layer_decay ** (model.layers - 1 - s.depth)
                tensors = (model.master, self._grad32, *self._moments)
                decay = cfg.weight_decay if s.decays else 0.0
                self._adamw([t[start:end] for t in tensors], lr, decay)
            if model.weights is not model.master:
                model.weights[lo:hi].copy_(model.master[lo:hi])
            if averaging and self._ema is not None:
                self._ema[0][lo:hi].lerp_(model.master[lo:hi], 1 - ema_decay)

        self.workers.map(update)
        self._adamw([self.head.flat, dhead, *self._head_moments], cfg.head_lr * factor, 0.0)
        if averaging and self._ema is not None:
            self._ema[1].lerp_(self.head.flat, 1 - ema_decay)
        self._steps += 1
        self.step += 1

    def _adamw(self, tensors: list[Tensor], lr: float, decay: float) -> None:
        p, g, m, v = tensors
        torch._fused_adamw_(
            [p], [g], [m], [v], [], [self._steps + 1], lr=lr, beta1=self.cfg.betas[0],
            beta2=self.cfg.betas[1], weight_decay=decay, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    def _reseed(self) -> None:
        """Make all randomness in this epoch a function of seed and epoch."""
        seed, epoch = self.cfg.seed, self.epoch
        self.generator.manual_seed(int(np.random.default_rng([seed, epoch, 3]).integers(1 << 62)))
        for i in range(self.workers.count):
            self.rngs[i] = np.random.default_rng([seed, epoch, 4, i])
            if self.bank is not None:
                self.banks[i] = self.bank.fork(seed, epoch, 1, i)

    def run(
        self,
        on_step: Callable[[TrainingProgress], None] | None = None,
        on_epoch: Callable[[EncoderTrainer], None] | None = None,
    ) -> None:
        """Train from the current epoch to the last."""
        began = perf_counter()
        while self.epoch < self.cfg.epochs:
            self._reseed()
            for rows in self.plans[self.epoch]:
                loss = self.train_step(rows)
                self.losses.append(loss)
                if on_step is not None:
                    took = perf_counter() - began
                    on_step(TrainingProgress(self.step, self.total_steps, self.epoch, loss, took))
            self.epoch += 1
            if on_epoch is not None:
                on_epoch(self)

    def use_average(self) -> None:
        """Replace the last weights by the averaged ones (does nothing without EMA)."""
        if self._ema is not None:
            self.model.master.copy_(self._ema[0])
            self.head.flat.copy_(self._ema[1])
            self.model.sync()

    def state_dict(self) -> dict[str, Any]:
        """All state that a run resumed at this epoch boundary needs."""
        state = {
            "epoch": self.epoch, "step": self.step, "master": self.model.master,
            "head": self.head.flat, "m": self._moments[0], "v": self._moments[1],
            "head_m": self._head_moments[0], "head_v": self._head_moments[1],
            "steps": self._steps,
        }  # fmt: skip
        if self._ema is not None:
            state["ema_master"], state["ema_head"] = self._ema
        return {k: t.clone() if isinstance(t, Tensor) else t for k, t in state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.model.master.copy_(state["master"])
        self.model.sync()
        self.head.flat.copy_(state["head"])
        for mine, name in zip(self._moments, ("m", "v"), strict=True):
            mine.copy_(state[name])
        for mine, name in zip(self._head_moments, ("head_m", "head_v"), strict=True):
            mine.copy_(state[name])
        self._steps = state["steps"].clone()
        self._ema = None
        if "ema_master" in state:
            self._ema = [state["ema_master"].clone(), state["ema_head"].clone()]


def supcon_loss(features: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) within the batch."""
    z = F.normalize(features, dim=1)
    own = torch.eye(len(z), dtype=torch.bool)
    same = (targets[:, None] == targets[None, :]) & ~own
    scores = (z @ z.t() / temperature).masked_fill(own, NEGATIVE)
    logp = scores - scores.logsumexp(1, keepdim=True)
    count = same.sum(1)
    has = count > 0
    if not bool(has.any()):
        return features.sum() * 0
    return -((logp * same).sum(1)[has] / count[has]).mean()


_NAME = "checkpoint.safetensors"


def train_with_checkpoints(trainer: EncoderTrainer, space: Workspace, student: str) -> None:
    """Train to the end, from the checkpoint in the space's folder if there is one.

    Raises TrainError if the loss becomes infinite or NaN.
    """
    file = space.folder / _NAME
    if file.is_file():
        trainer.load_state_dict(load_file(str(file)))
    else:
        trainer.init_head()
    space.progress.start(f"train {student}", trainer.total_steps)
    if trainer.step:
        space.progress.say(f"going on after epoch {trainer.epoch} of {trainer.cfg.epochs}, where an earlier run stopped")
        space.progress.advance(trainer.step)

    def stepped(now: TrainingProgress) -> None:
        if not np.isfinite(now.loss):
            raise TrainError("students.loss_of_decoder_is_no_longer_number", step=now.step)
        space.progress.advance(1, loss=now.loss, epoch=f"{now.epoch + 1}/{trainer.cfg.epochs}")

    def epoch_done(done: EncoderTrainer) -> None:
        if done.epoch < done.cfg.epochs:
            write_checkpoint(done.state_dict(), file)

    trainer.run(stepped, epoch_done)


def remove_checkpoint(space: Workspace) -> None:
    """Remove the checkpoint, once the trained model is saved."""
    (space.folder / _NAME).unlink(missing_ok=True)


def write_checkpoint(state: Mapping[str, Any], file: Path) -> None:
    """Write tensors and numbers to a new file and rename it over the old checkpoint: a kill while writing loses nothing."""
    tensors = {name: value if isinstance(value, torch.Tensor) else torch.tensor(value) for name, value in state.items()}
    fresh = file.with_suffix(".new")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, fresh)
    fresh.replace(file)
