"""Classify: give a text, or a pair of texts, one label of a fixed set, several labels, or the answer that no label fits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from smidgen.core.abilities import TaskPage, Teaching
from smidgen.core.errors import DataError
from smidgen.core.forms import AnswerOutline, LabelForm
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings, setting
from smidgen.stats import calibration, classification_metrics
from smidgen.stats.intervals import wilson
from smidgen.tasks import teacher_answers

UNKNOWN_NAMES = ("oos", "out_of_scope", "out-of-scope", "out of scope", "unknown")
_RUNNERS_UP = 3
_ENOUGH_OUTSIDE = 30
_IN_SCOPE_LOSS = 0.01
_MOST_LABELS = 20_000
_LONGEST_LABEL = 200
_AGAIN, _SHORT = 0.2, 60
"""A column whose share of repeated cells is at least the first number, and whose mean length is at most the second, looks like labels."""


class ClassifySettings(Settings):
    """Settings of a classifier: its labels, and its answer to texts outside them."""

    multi_label: bool = setting(
        False, "A text may have several labels: write them as a JSON list, or with | between them.", flag="--multi-label"
    )
    unknown: str = setting(
        "auto",
        "The label for texts outside all others. auto: oos, out_of_scope or unknown, if the data has one. none: no such label. Any "
        "other name: that label, learnt from its rows, or from the other rows alone if it has none.",
        flag="--unknown",
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none", "none: each row counts the same in training. balanced: each label does.", flag="--class-weights"
    )
    max_in_scope_loss: float | None = setting(
        None,
        "Largest share of in-scope texts that may lose their right answer to the out-of-scope label (90 % confidence, held-out rows). "
        "Without one: 0.01, or more where that makes more answers right.",
        ge=0.0,
        le=0.5,
    )


class LabelTeaching(Teaching):
    """A larger model names labels."""

    def instruction(self, form: LabelForm) -> str:
        """The labels, and the form of the answer."""
        return teacher_answers.label_instructions(form.labels, form.multi_label, form.unknown)

    def read(self, answer: str, form: LabelForm, text: Text = "") -> Any:
        """The label that an answer names, or the labels. Raises ValueError if it names none."""
        allowed = list(form.every)
        if not form.multi_label:
            return teacher_answers.label_in(answer, allowed)
        return sorted({teacher_answers.label_in(str(piece), allowed) for piece in teacher_answers.label_list_in(answer)})


class LabelPage(TaskPage):
    """Labels, or lists of labels."""

    def outline(self, outputs: Sequence[Any], settings: ClassifySettings) -> AnswerOutline:
        """The labels, the most frequent first."""
        counts = Counter(label for output in outputs for label in _as_list(output))
        names = tuple(sorted(counts, key=lambda label: (-counts[label], label)))
        return AnswerOutline("labels" if settings.multi_label else "label", names)

    def likely(self, cells: Sequence[Any]) -> float:
        """The share of repeated cells; 0 if the cells do not look like labels, which are short, no objects, and repeat often."""
        told = [str(cell).strip() for cell in cells if isinstance(cell, str | int | bool)]
        if len(told) < len(cells) or len(told) < 2 or len(set(told)) < 2 or all(cell.startswith("{") for cell in told):
            return 0.0
        again = 1 - len(set(told)) / len(told)
        length = sum(map(len, told)) / len(told)
        return again if again >= _AGAIN and length <= _SHORT else 0.0


class Classify(Task):
    """The task `classify`."""

    name = "classify"
    summary = "Give each text a label: sort tickets, route messages, detect intent, topic or sentiment."
    settings = ClassifySettings
    students = ("encoder", "static", "blend")
    baseline = "linear"
    headline = "accuracy"
    form_type = LabelForm
    rows_name_labels = True
    answer_kinds = ("labels",)
    quick = MappingProxyType({"student": {"kind": "kernel"}, "compress": {"method": "none"}})
    several = MappingProxyType({"multi_label": True})
    multilingual = True
    member_files = MappingProxyType({"intents": "data.train"})
    not_foreseen = ""
    teaching = LabelTeaching()
    page = LabelPage()
    loss_words = "the answer is not the reference's"

    def parse(self, value: Any, settings: ClassifySettings) -> Any:
        """A label, or a list of labels if the task is multi-label. Raises ValueError with the reason."""
        return _labels(value) if settings.multi_label else _label(value)

    def form(self, rows: Sequence[Row], settings: ClassifySettings) -> LabelForm:
        """The labels in sorted order, and the decision settings known before training.

        Raises DataError for data that cannot teach a classifier: no rows, only one label, a label seen once.
        """
        counts = Counter(label for row in rows for label in _as_list(row.output))
        unknown = _unknown(settings.unknown, counts)
        in_scope = sorted(label for label in counts if label != unknown)
        _check(rows, in_scope, counts, settings.multi_label)
        outside = None if settings.multi_label else unknown
        return LabelForm(
            labels=tuple(in_scope),
            multi_label=settings.multi_label,
            temperature=1.0,
            unknown=outside,
            unknown_examples=None if outside is None else counts[outside],
            unknown_threshold=None if outside is None else 1.0,
            threshold=0.5 if settings.multi_label else None,
            class_weights=None if settings.class_weights == "none" else settings.class_weights,
        )

    def cell_settings(self, form: LabelForm) -> ClassifySettings:
        """Several labels per cell for a multi-label form."""
        return ClassifySettings(multi_label=form.multi_label)

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """The label of each row; for several labels the rarest, so that rare labels are split evenly."""
        counts = Counter(label for row in rows for label in _as_list(row.output))
        return [min(_as_list(row.output), key=lambda label: (counts[label], label), default="") for row in rows]

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: LabelForm, settings: ClassifySettings) -> LabelForm:
        """Fit the temperature (Guo et al. 2017) on in-scope rows, then the decision threshold. For several labels: the threshold with the
        best micro-F1. For the unknown answer: the lowest threshold at which at most a set share of in-scope rows loses the right answer;
        where no share was set, a lower one that makes more of the rows' answers right."""
        index = {label: number for number, label in enumerate(form.labels)}
        logits = np.asarray(raw["logits"], dtype=np.float64)
        fitted: dict[str, Any] = {}
        if form.multi_label:
            targets = np.zeros(logits.shape)
            for number, row in enumerate(rows):
                for label in _as_list(row.output):
                    if label in index:
                        targets[number, index[label]] = 1.0
            fitted["temperature"] = calibration.fit_temperature_multi_label(logits, targets)
            fitted["threshold"] = _best_threshold(calibration.sigmoid(logits, fitted["temperature"]), targets)
            return form.model_copy(update=fitted)
        inside = np.array([row.output in index for row in rows], dtype=bool)
        if inside.any():
            gold = np.array([index[row.output] for row, known in zip(rows, inside, strict=True) if known])
            fitted["temperature"] = calibration.fit_temperature(logits[inside][:, : len(index)], gold)
        if form.unknown is not None:
            best = [form.labels[number] for number in logits[:, : len(index)].argmax(axis=1)]
            right = np.array([label == row.output for label, row in zip(best, rows, strict=True)], dtype=bool)
            strange, most = strangeness(raw, form.model_copy(update=fitted)), settings.max_in_scope_loss
            threshold = _unknown_threshold(strange, inside, right, _IN_SCOPE_LOSS if most is None else most)
            fitted["unknown_threshold"] = _most_right(strange, inside, right, threshold) if most is None else threshold
        return form.model_copy(update=fitted)

    def decode(self, raw: Raw, form: LabelForm) -> list[Reply]:
        """One reply per row: the most likely label with its calibrated probability and the runners-up, or the unknown label."""
        labels = form.labels
        logits = np.asarray(raw["logits"], dtype=np.float64)
        if form.multi_label:
            assert form.threshold is not None
            chances = calibration.sigmoid(logits, form.temperature)
            return [_several(row, labels, form.threshold) for row in chances]
        chances = calibration.softmax(logits[:, : len(labels)], form.temperature)
        unknown, threshold = form.unknown, form.unknown_threshold
        if unknown is None or threshold is None:
            return [_one(row, labels) for row in chances]
        strange, known = strangeness(raw, form), _known(logits, form)
        return [
            _outside(row, labels, unknown, float(odd), threshold, float(share))
            if odd > threshold
            else _one(row, labels, (unknown, 0.5 * float(odd) / max(1e-9, threshold)), float(share))
            for row, odd, share in zip(chances, strange, known, strict=True)
        ]

    def form_fault(self, form: LabelForm, raw: Raw | None = None) -> str:
        """Why a form cannot decide anything: the number of its labels differs from the number of the model's outputs."""
        if raw is not None:
            labels, outputs = len(form.labels), np.asarray(raw.get("logits", np.zeros(0))).shape[-1]
            if outputs != labels and not (form.unknown is not None and not form.multi_label and outputs == labels + 1):
                return f"the model has {outputs} outputs and the form names {labels} labels"
        return ""

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: LabelForm) -> dict[str, Metric]:
        """accuracy (all labels right) and macro_f1; micro_f1 for several labels; oos_recall and in_scope_accuracy if there are out-of-scope
        rows; parent_accuracy if labels share a part before their last slash (`billing/refund` and `billing/price`, but not `n/a`)."""
        gold, got = [row.output for row in rows], [reply.output for reply in replies]
        unknown = form.unknown
        labels = [*form.labels, unknown] if unknown is not None and unknown in gold else list(form.labels)
        metrics = {"accuracy": classification_metrics.accuracy(gold, got), "macro_f1": classification_metrics.macro_f1(gold, got, labels)}
        if form.multi_label:
            metrics["micro_f1"] = classification_metrics.micro_f1(gold, got, labels)
        elif unknown is not None and unknown in gold:
            metrics["oos_recall"] = classification_metrics.oos_recall(gold, got, unknown)
            metrics["in_scope_accuracy"] = classification_metrics.in_scope_accuracy(gold, got, unknown)
        if not form.multi_label and len({parent(label) for label in labels}) < len(labels):
            metrics["parent_accuracy"] = classification_metrics.accuracy([parent(g) for g in gold], [parent(g) for g in got])
        return metrics


def strangeness(raw: Raw, form: LabelForm) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How unlike all labels each text is, (n,) in 0..1: the entropy of its calibrated probabilities, divided by the entropy of K equal
    ones.

    If an output for the unknown label was trained, its probability is shared out evenly over the K labels: a text that is surely out of
    scope is as strange as one that could be anything. On CLINC150's validation rows the entropy separates better than the largest
    probability, the largest logit or the energy, and within 0.3 points of AUROC of mixes with distances to the classes (docs/log.md).
    """
    labels = len(form.labels)
    chances = calibration.softmax(np.asarray(raw["logits"], dtype=np.float64), form.temperature)
    inside = chances[:, :labels] + chances[:, labels:].sum(axis=1, keepdims=True) / labels
    entropy = -(inside * np.log(np.maximum(inside, 1e-12))).sum(axis=1) / np.log(max(2, labels))
    return np.asarray(np.clip(entropy, 0.0, 1.0))


def _known(logits: Any, form: LabelForm) -> Any:
    """The probability that a text is in scope, (n,): 1 minus that of the trained unknown output, or 1 without such an output. A label is
    right only if the text is in scope and the label fits."""
    labels = len(form.labels)
    return 1.0 - calibration.softmax(logits, form.temperature)[:, labels:].sum(axis=1)


def parent(label: Any) -> Any:
    """The parent of a hierarchical label: `billing` for `billing/refund`; a label without a slash is its own parent."""
    return label.rpartition("/")[0] or label if isinstance(label, str) else label


def _label(value: Any) -> str:
    if isinstance(value, list | dict):
        raise ValueError("a single label is expected; for several labels a text use --multi-label")
    text = "" if value is None else str(value).strip()
    if not text:
        raise ValueError("the label is empty")
    if len(text) > _LONGEST_LABEL:
        raise ValueError(f"the label has {len(text)} characters; a label is a short name (is this the right column?)")
    return text


def _labels(value: Any) -> list[str]:
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"the cell looks like a JSON list but is not one ({error.msg})") from None
    if isinstance(value, str):
        value = [piece for piece in value.split("|") if piece.strip()]
    if value is None:
        return []
    if not isinstance(value, list):
        value = [value]
    return sorted({_label(piece) for piece in value})


def _as_list(output: Any) -> list[str]:
    if output is None:
        return []
    return output if isinstance(output, list) else [output]


def _unknown(asked: str, counts: Counter[str]) -> str | None:
    if asked == "none":
        return None
    if asked != "auto":
        return asked
    return next((label for label in counts if label.strip().lower() in UNKNOWN_NAMES), None)


def _check(rows: Sequence[Row], in_scope: list[str], counts: Counter[str], multi_label: bool) -> None:
    if not rows:
        raise DataError("tasks.there_are_no_labelled_rows")
    if len(in_scope) < 2 and not (multi_label and in_scope):
        raise DataError("tasks.data_has_one_label_only", value=in_scope[0] if in_scope else "none")
    if len(in_scope) > _MOST_LABELS:
        raise DataError("tasks.label_column_has_too_many_values", value=len(in_scope))
    once = [label for label in in_scope if counts[label] < 2]
    if once:
        row = next(row for row in rows if once[0] in _as_list(row.output))
        raise DataError(
            "tasks.several_labels_are_seen_once" if len(once) > 1 else "tasks.one_label_is_seen_once",
            value=once[0],
            once=len(once),
            row=row.number,
        )


class Chances(Mapping[str, float]):
    """The probability of every label, computed from the model's output at the first read.

    With an unknown answer, its probability is 0.5 at the decision threshold, and the labels share the rest.
    """

    __slots__ = ("_labels", "_read", "_row", "_unknown")

    def __init__(self, labels: Sequence[str], row: Any, unknown: tuple[str, float] | None = None) -> None:
        self._labels, self._row, self._unknown = labels, row, unknown
        self._read: dict[str, float] | None = None

    def _all(self) -> dict[str, float]:
        if self._read is None:
            rest = 1.0 - self._unknown[1] if self._unknown else 1.0
            self._read = {label: float(chance) * rest for label, chance in zip(self._labels, self._row, strict=True)}
            if self._unknown:
                self._read[self._unknown[0]] = self._unknown[1]
        return self._read

    def __getitem__(self, label: str) -> float:
        return self._all()[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._labels) + (self._unknown is not None)


def _one(chances: Any, labels: Sequence[str], unknown: tuple[str, float] | None = None, known: float = 1.0) -> Reply:
    """The most likely label. `known`: the probability that the text is in scope, if the model was trained to tell."""
    order = np.argsort(-chances, kind="stable")[: _RUNNERS_UP + 1]
    best = labels[order[0]]
    runners = tuple((labels[number], known * float(chances[number])) for number in order[1:])
    facts: dict[str, Any] = {}
    if "/" in best:
        above = parent(best)
        together = sum(c for label, c in zip(labels, chances, strict=True) if parent(label) == above)
        facts = {"parent": above, "parent_score": known * float(together)}
    return Reply(best, known * float(chances[order[0]]), runners, facts, chances=Chances(labels, chances, unknown))


def _several(chances: Any, labels: Sequence[str], threshold: float) -> Reply:
    """All labels at or over the threshold; the score is the probability that all of these decisions are right."""
    order = np.argsort(-chances, kind="stable")
    given = [labels[number] for number in order if chances[number] >= threshold]
    rest = tuple((labels[number], float(chances[number])) for number in order if chances[number] < threshold)[:_RUNNERS_UP]
    sure = np.where(chances >= threshold, chances, 1 - chances)
    facts = {"scores": {label: float(chances[labels.index(label)]) for label in given}}
    return Reply(sorted(given), float(np.prod(sure)), rest, facts, chances=Chances(labels, chances))


def _outside(chances: Any, labels: Sequence[str], unknown: str, odd: float, threshold: float, known: float) -> Reply:
    """The unknown answer. Its score is 0.5 at the threshold and 1 for a text of maximal strangeness."""
    inside = _one(chances, labels, known=known)
    score = 0.5 + 0.5 * (odd - threshold) / max(1e-9, 1 - threshold)
    # The labels share what the score of the unknown answer leaves of 1.
    share = 1.0 - float(score)
    runners = tuple((label, share * float(chance)) for label, chance in ((inside.output, inside.score), *inside.alternatives[:-1]))
    return Reply(unknown, float(score), runners, {"out_of_scope": odd}, chances=Chances(labels, chances, (unknown, float(score))))


def _best_threshold(chances: Any, targets: Any) -> float:
    """The threshold in 0.2..0.8 with the best micro-F1; 0.5 if all are equal."""
    best, best_score = 0.5, -1.0
    for threshold in sorted(np.linspace(0.2, 0.8, 25), key=lambda t: abs(t - 0.5)):
        given = chances >= threshold
        right = float((given * targets).sum())
        score = 2 * right / max(1.0, float(given.sum() + targets.sum()))
        if score > best_score + 1e-9:
            best, best_score = float(threshold), score
    return best


def _unknown_threshold(strange: Any, inside: Any, right: Any, most: float) -> float:
    """The strangeness over which a text is out of scope: the lowest at which, with 90 % confidence (Wilson's one-sided bound), at most
    `most` of the in-scope texts lose a right answer. The bound is needed because held-out rows come from the same writers as the training
    rows, so their bare count is too optimistic for new texts.

    With enough held-out out-of-scope rows the threshold moves up to halfway to the least strange one above it, so no more of them are
    missed.
    """
    kept = np.sort(strange[inside & right])[::-1]
    rows = int(inside.sum())
    allowed = 0
    while allowed < rows and wilson(allowed + 1, rows, 0.8)[1] <= most:
        allowed += 1
    if allowed >= len(kept):
        return 1.0
    floor = float(kept[allowed])
    above = np.sort(strange[~inside & (strange > floor)])
    return float((floor + above[0]) / 2) if (~inside).sum() >= _ENOUGH_OUTSIDE and len(above) else floor


def _most_right(strange: Any, inside: Any, right: Any, highest: float) -> float:
    """The threshold, at most `highest`, at which most rows are answered right; the highest of equal ones. A lower one lies halfway between
    two rows."""
    kept, outside, steps = np.sort(strange[inside & right]), np.sort(strange[~inside]), np.unique(strange)
    halfway = (steps[:-1] + steps[1:]) / 2
    tried = np.concatenate(([highest], halfway[halfway < highest][::-1]))
    answered = np.searchsorted(kept, tried, side="right") + len(outside) - np.searchsorted(outside, tried, side="right")
    return float(tried[int(np.argmax(answered))])


part = Classify()
