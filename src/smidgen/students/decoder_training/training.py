"""Train a decoder: batches, the optimiser, the learning rate, held-out examples, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from smidgen.core.errors import TrainError
from smidgen.core.rows import evenly
from smidgen.students.decoder_training.adapters import WeightChange
from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.generation import Group, OwnAnswers
from smidgen.students.decoder_training.model import DecoderGuide, LlamaModel, RowBlock, WorkerGradients
from smidgen.students.processor import Workers

_LEAST = 16
"""Least number of held-out examples to keep of many."""


def tokens_of(groups: Sequence[Group]) -> int:
    """Tokens of groups, each in one row."""
    return sum(length_of(group) for group in groups)


def spread_evenly(lessons: Sequence[DecoderExample], tokens: float) -> Sequence[DecoderExample]:
    """Held-out examples with about this many tokens in total, evenly spread; at least a few."""
    every = sum(len(lesson.ids) for lesson in lessons)
    return lessons if every <= tokens else evenly(lessons, max(_LEAST, int(len(lessons) * tokens / every)))


def grouped(lessons: Sequence[DecoderExample], most: int) -> list[Group]:
    """Group examples by input, in the order of the first of each; no group has more than `most` tokens, unless it is a single example."""
    by_input: dict[bytes, list[list[DecoderExample]]] = {}
    for lesson in lessons:
        groups = by_input.setdefault(lesson.ids[: len(lesson.ids) - lesson.answer].tobytes(), [])
        if groups and length_of(groups[-1]) + lesson.answer <= most:
            groups[-1].append(lesson)
        else:
            groups.append([lesson])
    return [tuple(group) for groups in by_input.values() for group in groups]


def length_of(group: Sequence[DecoderExample]) -> int:
    """Tokens of a group in one row: the input once, and every answer."""
    return len(group[0].ids) + sum(lesson.answer for lesson in group[1:])


def block_of(groups: Sequence[Group]) -> RowBlock:
    """Groups as a block of rows, each an input and its answers, padded on the right with token 0, to which no token attends."""
    length = max(length_of(group) for group in groups)
    ids, parts, positions = (np.zeros((len(groups), length), dtype=np.int64) for _ in range(3))
    answers, targets, weights, drawn = [], [], [], []
    for row, group in enumerate(groups):
        source = len(group[0].ids) - group[0].answer
        ids[row, :source] = group[0].ids[:source]
        positions[row, :source] = np.arange(source)
        at = source
        for number, lesson in enumerate(group, start=1):
            own = slice(at, at + lesson.answer)
            ids[row, own] = lesson.ids[source:]
            parts[row, own] = number
            positions[row, own] = np.arange(source, source + lesson.answer)
            # The input's last token predicts the answer's first, and so on: the end token predicts nothing.
            answers.append(np.concatenate([[source - 1], np.arange(at, at + lesson.answer - 1)]) + row * length)
            targets.append(lesson.ids[source:])
            weights.append(lesson.weights)
            drawn.append(np.full(lesson.answer, lesson.drawn, dtype=np.bool_))
            at += lesson.answer
        parts[row, at:] = len(group) + 1
    alone = all(len(group) == 1 for group in groups)
    return RowBlock(
        torch.from_numpy(ids),
        torch.from_numpy(np.concatenate(answers)),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.concatenate(weights)),
        None if alone else torch.from_numpy(parts),
        None if alone else torch.from_numpy(positions),
        torch.from_numpy(np.concatenate(drawn)) if any(lesson.drawn for group in groups for lesson in group) else None,
    )


@dataclass(frozen=True)
class DecoderTrainConfig:
    """The plan of a training run.

    Attributes:
        steps: total number of optimiser steps.
        batch: examples per step.
        rate: peak learning rate; it rises over the first `warmup` share of the steps and falls linearly to 0.
        block_tokens: tokens that one worker computes at once; bounds memory (about 16 kB per token and layer of a 135 M model).
        seed: of the order.
        checks: the number of held-out measurements, evenly over the steps.
        patience: measurements without a lower loss after which training stops.
        shared: whether an input is computed once for several answers.
        rounded_from: the share of the steps after which matrices are rounded to their stored values; None for never.
        rounding_costs: the most by which rounding may raise the held-out loss (nats per token), else it is undone; None for no limit.
    """

    steps: int
    batch: int = 32
    rate: float = 2e-3
    warmup: float = 0.05
    decay: float = 0.01
    block_tokens: int = 512
    seed: int = 0
    checks: int = 4
    patience: int = 2
    shared: bool = True
    rounded_from: float | None = None
    rounding_costs: float | None = None


@dataclass(frozen=True)
class DecoderProgress:
    """Progress after `step` of `steps`: the batch's loss (nats per token), and tokens per second so far in this run."""

    step: int
    steps: int
    loss: float
    tokens_per_second: float


_LOOKING = 0.15
"""The most of the training time to spend on measuring the held-out loss."""
_READ = 1 / 3
"""Time to measure a token, as a share of the time to train on it; 0.26 in two long runs."""
_HOPELESS = 3
"""Rounding is undone early if, at the next measurement, it costs this many times the limit."""
_HELD_STEPS = 2
"""Held-out tokens to measure at once, in training steps; more would hardly improve the estimate."""


class DecoderTrainer:
    """Train `change` on `lessons`. The result is the weights with the lowest loss on `held`, even those at the start; without `held`, the
    last weights."""

    def __init__(
        self,
        model: LlamaModel,
        change: WeightChange,
        lessons: Sequence[DecoderExample],
        held: Sequence[DecoderExample],
        course: DecoderTrainConfig,
        workers: Workers,
        guide: DecoderGuide | None = None,
        drawing: OwnAnswers | None = None,
    ) -> None:
        self.model, self.change, self.course, self.workers = model, change, course, workers
        self.guide, self.drawing = guide, drawing
        most = course.block_tokens if course.shared else 0
        self.groups, self._lessons = grouped(lessons, most), len(lessons)
        self.held = grouped(spread_evenly(held, _HELD_STEPS * course.batch * tokens_of(self.groups) / max(1, len(lessons))), most)
        self._groups_a_step = self._groups_of(course.batch)
        # Steps of one group that take as long as a measurement.
        self._look_groups = _READ * tokens_of(self.held) * len(self.groups) / max(1, tokens_of(self.groups))
        self.parameters = change.parameters()
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=course.rate, betas=(0.9, 0.98), eps=1e-8, weight_decay=course.decay, fused=True
        )
        self.step = self._looked = 0
        self.losses: list[float] = []
        self.best: dict[str, Tensor] | None = None
        self.done = False
        self._first_loss = 0  # index of the first loss to compare: losses with and without rounding are not comparable
        self._plain: dict[str, Tensor] | None = None  # the best weights before matrices were rounded
        self.rounding_given_up = False

    @property
    def unmoved(self) -> bool:
        """Whether no step beat the start on the held-out examples: the base, or the best weights after rounding."""
        counted = self.losses[self._first_loss :]
        return len(counted) > 1 and counted[0] < min(counted[1:])

    def run(self, stepped: Callable[[DecoderProgress], None], rested: Callable[[], None] = lambda: None) -> None:
        """Train to the end. `stepped` is called with the progress of every step; `rested` between steps, when the state may be stored.

        Raises TrainError if the loss becomes infinite or NaN.
        """
        began, tokens = time.perf_counter(), 0
        if self.step == 0 and self.held and not self.losses:
            self._look()
        while self.step < self.course.steps and not self.done:
            if self._rounding_due(self.step):
                self._round()
            self.change.merge(self.model, self.workers)
            batch = self.taught(self.step)
            loss = self._learn(batch)
            if not math.isfinite(loss):
                raise TrainError("students.loss_is_no_longer_number", step=self.step)
            self.step += 1
            tokens += sum(len(lesson.ids) + len(self.model.before) for group in batch for lesson in group)
            if self.held and self._due():
                self._looked = self.step
                self._look()
            stepped(DecoderProgress(self.step, self.course.steps, loss, tokens / (time.perf_counter() - began)))
            rested()
        if self.held and self._looked < self.step and not self.done:
            self._look()  # the number of steps was reduced during training
        if self._rounding_costs():
            self._give_rounding_up()
        if self.best is not None:
            self.change.load(self.best)
        self.change.merge(self.model, self.workers)

    def seconds_a_step(self, tries: int = 2) -> float:
        """Seconds of a step, the shortest of some tries, without an update of the weights."""
        self.change.merge(self.model, self.workers)
        took = []
        for number in range(tries + 1):
            began = time.perf_counter()
            self.change.merge(self.model, self.workers)
            self._gradients(self.taught(number))
            took.append(time.perf_counter() - began)
        return min(took[1:])

    def limit(self, steps: int) -> None:
        """Set the number of steps."""
        self.course = replace(self.course, steps=max(1, steps))

    def regroup(self, batch: int) -> None:
        """Set the number of examples per step, and change the number of steps accordingly."""
        steps = math.ceil(self.course.steps * self.course.batch / batch)
        self.course = replace(self.course, batch=batch, steps=max(1, steps))
        self._groups_a_step = self._groups_of(batch)

    def _groups_of(self, batch: int) -> int:
        """The number of groups of a step that has `batch` examples on average."""
        return min(len(self.groups), max(1, round(batch * len(self.groups) / max(1, self._lessons))))

    def held_loss(self) -> float:
        """Mean cross-entropy (nats a token) of the held-out answers, with the weights merged last."""
        sums = self._spread(self.held, None, 1.0)
        return sum(total for total, _ in sums) / max(1e-9, sum(weight for _, weight in sums))

    def influences(self, most: int = 256) -> Tensor:
        """(layers,) the mean influence of each layer on the answers of up to `most` groups; see `LlamaModel.influences`."""
        return self._seen(self.model.influences, most)

    def activity(self, most: int = 256) -> Tensor:
        """(layers, inner) the mean activity of each neuron on the answers of up to `most` groups; see `LlamaModel.activity`."""
        return self._seen(self.model.activity, most)

    def _seen(self, of: Callable[[RowBlock], Tensor], most: int) -> Tensor:
        """A measure of blocks, summed over them and divided by their answer tokens."""
        some = self.groups[:: math.ceil(len(self.groups) / most)]
        hands = [some[worker :: self.workers.count] for worker in range(self.workers.count)]

        def work(worker: int) -> Tensor | None:
            with torch.no_grad():
                seen = [of(block_of(part)) for part in self._cut(sorted(hands[worker], key=length_of, reverse=True))]
                return torch.stack(seen).sum(0) if seen else None

        answers = sum(lesson.answer for group in some for lesson in group)
        return torch.stack([found for found in self.workers.map(work) if found is not None]).sum(0) / answers

    def state(self) -> dict[str, Tensor]:
        """All tensors that a resumed run needs, for a file."""
        state = {f"now.{name}": tensor for name, tensor in self.change.state().items()}
        state |= {f"best.{name}": tensor for name, tensor in (self.best or {}).items()}
        state |= {f"plain.{name}": tensor for name, tensor in (self._plain or {}).items()}
        for at, parameter in enumerate(self.parameters):
            found = self.optimizer.state.get(parameter, {})
            state |= {f"optimizer.{at}.{name}": value for name, value in found.items()}
        state["step"], state["steps"] = torch.tensor(self.step), torch.tensor(self.course.steps)
        state["batch"] = torch.tensor(self.course.batch)
        state["rounded"], state["first_loss"] = torch.tensor(int(self.change.rounded)), torch.tensor(self._first_loss)
        state["looked"] = torch.tensor(self._looked)
        state["given_up"] = torch.tensor(int(self.rounding_given_up))
        state["losses"], state["done"] = torch.tensor(self.losses, dtype=torch.float64), torch.tensor(int(self.done))
        return state

    def resume(self, state: dict[str, Tensor]) -> None:
        """Resume from a `state`."""
        self.change.load({name.removeprefix("now."): tensor for name, tensor in state.items() if name.startswith("now.")})
        best = {name.removeprefix("best."): tensor for name, tensor in state.items() if name.startswith("best.")}
        self.best = best or None
        plain = {name.removeprefix("plain."): tensor for name, tensor in state.items() if name.startswith("plain.")}
        self._plain = plain or None
        if "batch" in state:  # checkpoints older than adjustable steps have none
            self.regroup(int(state["batch"]))
        for at, parameter in enumerate(self.parameters):
            prefix = f"optimizer.{at}."
            found = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
            if found:
                self.optimizer.state[parameter] = found
        self.step, self.losses, self.done = int(state["step"]), state["losses"].tolist(), bool(int(state["done"]))
        self.change.rounded, self._first_loss = bool(int(state["rounded"])), int(state["first_loss"])
        self.rounding_given_up = bool(int(state.get("given_up", torch.tensor(0))))
        self._looked = int(state.get("looked", state["step"]))
        self.limit(int(state["steps"]))

    def _due(self) -> bool:
        affordable = math.ceil(self._look_groups / (_LOOKING * self._groups_a_step))
        every = max(1, self.course.steps // self.course.checks, affordable)
        # Counted from the last measurement, because the number of steps may change during training.
        return self.step - self._looked >= every or self.step == self.course.steps

    def _look(self) -> None:
        """Measure the held-out loss, keep the best weights, and stop after `patience` measurements without a lower loss."""
        self.change.merge(self.model, self.workers)
        loss = self.held_loss()
        self.losses.append(loss)
        counted = self.losses[self._first_loss :]
        if loss <= min(counted):
            self._keep()
        if len(counted) > 1 and self._rounding_costs(_HOPELESS):
            self._give_rounding_up()
            del self.losses[-len(counted) :]  # losses of a discarded model
            return
        over = len(counted) - 1 - int(np.argmin(counted)) >= self.course.patience
        if over and self._rounding_due(self.course.steps):
            self.step = self._rounding_step()  # training without rounding brings nothing more
        else:
            self.done = over

    def _keep(self) -> None:
        """Store the present weights as the best, over the former best: a third copy of all matrices would be too large."""
        if self.best is None:
            self.best = {name: tensor.clone() for name, tensor in self.change.state().items()}
            return
        for name, tensor in self.change.state().items():
            self.best[name].copy_(tensor)

    def _rounding_step(self) -> int:
        """The step from which matrices are rounded."""
        return round((self.course.rounded_from or 0.0) * self.course.steps)

    def _rounding_due(self, step: int) -> bool:
        due = self.course.rounded_from is not None and not self.change.rounded and step >= self._rounding_step()
        return due and not self.rounding_given_up

    def _round(self) -> None:
        """Continue from the best weights, with rounded matrices."""
        if self.best is not None:
            self.change.load(self.best)
            if self.course.rounding_costs is not None:
                self._plain = {name: tensor.clone() for name, tensor in self.best.items()}
        self.change.rounded, self._first_loss = True, len(self.losses)
        if self.held:
            self._look()  # the best weights, rounded: further training has to beat these

    def _rounding_costs(self, times: float = 1) -> bool:
        """Whether rounding raised the best held-out loss by more than `times` times the limit."""
        most, counted = self.course.rounding_costs, self.losses[self._first_loss :]
        if most is None or self._plain is None or not counted:
            return False
        return min(counted) - min(self.losses[: self._first_loss]) > times * most

    def _give_rounding_up(self) -> None:
        """Go back to the best weights before rounding."""
        assert self._plain is not None
        self.change.load(self._plain)
        self.best, self._plain, self.change.rounded = self._plain, None, False
        self._first_loss, self.rounding_given_up = 0, True

    def batch(self, step: int) -> list[Group]:
        """The examples of a step: every epoch in its own order; a step may hold the end of one epoch and the start of the next."""
        n, size = len(self.groups), self._groups_a_step
        places = range(step * size, (step + 1) * size)
        orders = {epoch: np.random.default_rng([self.course.seed, 5, epoch]).permutation(n) for epoch in {place // n for place in places}}
        return [self.groups[orders[place // n][place % n]] for place in places]

    def taught(self, step: int) -> list[Group]:
        """The examples of a step, some with answers that the model samples itself."""
        batch = self.batch(step)
        return batch if self.drawing is None else self.drawing.put(self.model, batch, step, self.workers)

    def _learn(self, batch: Sequence[Group]) -> float:
        total, weight, gradients = self._gradients(batch)
        grads = [tensor for group in gradients.sums.values() for tensor in group]
        for parameter, grad in zip(self.parameters, grads, strict=True):
            parameter.grad = grad
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = self.course.rate * self._share()
        self.optimizer.step()
        return total / weight

    def _gradients(self, batch: Sequence[Group]) -> tuple[float, float, WorkerGradients]:
        weight = sum(lesson.mass for group in batch for lesson in group)
        collected = [self.change.empty_gradients() for _ in range(self.workers.count)]
        sums = self._spread(batch, collected, 1.0 / weight)
        first = collected[0]
        for other in collected[1:]:
            for key, group in first.sums.items():
                for mine, theirs in zip(group, other.sums[key], strict=True):
                    mine += theirs
        return sum(total for total, _ in sums), weight, first

    def _share(self) -> float:
        """The share of the peak rate at this step."""
        steps, warmup = self.course.steps, max(1, round(self.course.warmup * self.course.steps))
        if self.step < warmup:
            return (self.step + 1) / warmup
        return max(0.0, (steps - self.step) / max(1, steps - warmup))

    def _spread(self, groups: Sequence[Group], collected: Sequence[WorkerGradients] | None, rate: float) -> list[tuple[float, float]]:
        """The summed loss and weight of each worker's share. Groups are dealt out by length, for equal shares and little padding."""
        order = sorted(range(len(groups)), key=lambda place: -length_of(groups[place]))
        hands = [[groups[place] for place in order[worker :: self.workers.count]] for worker in range(self.workers.count)]

        def work(worker: int) -> tuple[float, float]:
            total = weight = 0.0
            with torch.no_grad():
                for part in self._cut(hands[worker]):
                    gradients = collected[worker] if collected is not None else None
                    taught, guide = (self.change, self.guide) if collected is not None else (None, None)
                    found = self.model.loss(block_of(part), gradients, taught, rate, guide)
                    total, weight = total + found[0], weight + found[1]
            return total, weight

        return self.workers.map(work)

    def _cut(self, groups: Sequence[Group]) -> list[Sequence[Group]]:
        """Blocks of at most `block_tokens` tokens, padding included; groups come longest first."""
        blocks: list[Sequence[Group]] = []
        at = 0
        while at < len(groups):
            rows = max(1, self.course.block_tokens // length_of(groups[at]))
            blocks.append(groups[at : at + rows])
            at += rows
        return blocks
