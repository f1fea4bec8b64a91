"""The sections of a classifier's report, from its replies on the test rows. Pure: nothing is read, run or written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.forms import Form, LabelForm
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.judge.sections import (
    AtRisk,
    BaselineFacts,
    CalibrationBin,
    CalibrationFacts,
    ClassRow,
    ConfusionPair,
    ConfusionTable,
    CoveragePoint,
    DataFacts,
    Delta,
    LabelCount,
    Measured,
    Mistake,
    OutOfScope,
    RiskCoverage,
    measured,
    shortened,
)
from smidgen.stats import calibration, classification_metrics, risk_coverage_curve
from smidgen.stats.classification_metrics import confusion, label_set, same_labels
from smidgen.stats.field_values import schema_paths, values_by_path
from smidgen.stats.intervals import paired_change, paired_grades

MOST_SHOWN = 48
"""Most labels of a confusion table: more cells cannot be told apart on a screen or page."""


def confusion_table(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str], most: int = MOST_SHOWN) -> ConfusionTable:
    """The confusion table of single-label rows, gold down and predicted across.

    Of more than `most` labels only those with most mistakes are shown, chosen pair by pair so that both labels of a mistake are in it.
    """
    counts = confusion(gold, predicted, labels)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    kept = _most_confused(wrong, most) if len(labels) > most else list(range(len(labels)))
    order = [kept[at] for at in _neighbours_together(wrong[np.ix_(kept, kept)], [labels[at] for at in kept])]
    shown = counts[np.ix_(order, order)]
    return ConfusionTable(
        labels=tuple(labels[at] for at in order),
        counts=tuple(tuple(int(cell) for cell in row) for row in shown),
        left_out=len(labels) - len(order),
        left_out_errors=int(wrong.sum() - wrong[np.ix_(order, order)].sum()),
    )


def _most_confused(wrong: NDArray[np.int64], most: int) -> list[int]:
    both = np.triu(wrong + wrong.T, 1)
    chosen: dict[int, None] = {}
    for flat in np.argsort(-both, axis=None, kind="stable"):
        pair = divmod(int(flat), len(wrong))
        if both[pair] == 0 or len(chosen) >= most:
            break
        for label in pair:
            if len(chosen) < most:
                chosen.setdefault(label)
    for label in range(len(wrong)):
        if len(chosen) >= most:
            break
        chosen.setdefault(label)
    return sorted(chosen)


def _neighbours_together(wrong: NDArray[np.int64], names: Sequence[str]) -> list[int]:
    """An order in which labels mistaken for each other are neighbours: the strongest pairs are joined first, end to end, into chains (the
    greedy edge heuristic for paths); chains are ordered by their number of mistakes, labels without any by name."""
    n = len(wrong)
    both = np.triu(wrong + wrong.T, 1)
    chains: dict[int, list[int]] = {at: [at] for at in range(n)}  # by chain number
    home = list(range(n))
    for flat in np.argsort(-both, axis=None, kind="stable"):
        one, two = divmod(int(flat), n)
        if both[one, two] == 0:
            break
        first, second = chains[home[one]], chains[home[two]]
        if first is second or one not in (first[0], first[-1]) or two not in (second[0], second[-1]):
            continue
        left = first if first[-1] == one else first[::-1]
        right = second if second[0] == two else second[::-1]
        joined, kept, gone = left + right, home[one], home[two]
        chains[kept] = joined
        del chains[gone]
        for label in right:
            home[label] = kept
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    weight = {number: int(mistakes[chain].sum()) for number, chain in chains.items()}
    ranked = sorted(chains, key=lambda number: (-weight[number] / len(chains[number]), names[chains[number][0]]))
    return [label for number in ranked for label in chains[number]]


WANTED_RISKS = (0.01, 0.02, 0.05)
_MISTAKES = 24
LONGEST = 400  # most characters of a text in the report


def classifier_sections(
    rows: Sequence[Row],
    replies: Sequence[Reply],
    form: LabelForm,
    metrics: Mapping[str, Metric],
    *,
    uncalibrated: Sequence[Reply] | None = None,
    train: Sequence[Row] = (),
) -> dict[str, Any]:
    """The sections `metrics`, `per_class`, `confusion_pairs`, `confusion`, `calibration`, `risk_coverage`, `unknown` and `mistakes`, ready
    for `Report(**sections, ...)`.

    Args:
        rows: test rows that the model never saw.
        replies: the served model's replies to them.
        form: the fitted form of the task `classify`.
        metrics: as the task measures them.
        uncalibrated: replies decoded at temperature 1, for the calibration error before; None if not computed.
        train: the training rows, for counts per label.
    """
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    labels = form.every if form.unknown in gold else form.labels
    counts = label_counts(train)
    return {
        "metrics": all_measured(metrics),
        "per_class": class_rows(classification_metrics.per_class(gold, got, labels), counts),
        "confusion_pairs": tuple(
            ConfusionPair(gold=pair.gold, predicted=pair.predicted, count=pair.count, share=pair.share)
            for pair in classification_metrics.confusion_pairs(gold, got)
        ),
        "confusion": None if form.multi_label else confusion_table(gold, got, labels),
        "calibration": calibrated(rows, replies, form, uncalibrated),
        "risk_coverage": risk_coverage(rows, replies),
        "unknown": unknown(form, metrics),
        "mistakes": mistakes(rows, replies),
    }


def label_counts(rows: Sequence[Row]) -> Counter[str]:
    """Rows of each label; a row with several labels counts for each. Spans are counted by label, fields if they have a value."""
    return Counter(str(label) for row in rows for label in _labels(row.output))


def _labels(output: Any) -> Iterable[Any]:
    if isinstance(output, Mapping):
        return values_by_path(output)
    if isinstance(output, list) and output and all(isinstance(one, Mapping) for one in output):
        return [span.get("label") for span in output]
    return label_set(output)


def data_facts(train: Sequence[Row], held: Sequence[Row], test: Sequence[Row], form: Form, **facts: Any) -> DataFacts:
    """Counts of the data in total and per label, with the given `facts` (`sha256`, `licence`, `source`, `test_source`)."""
    split = [label_counts(rows) for rows in (train, held, test)]
    outside = form.labelling.unknown if form.labelling is not None else None
    return DataFacts(
        train=len(train),
        held=len(held),
        test=len(test),
        made=form.made_rows,
        out_of_scope_train=split[0][outside] if outside else 0,
        out_of_scope_test=split[2][outside] if outside else 0,
        labels=tuple(LabelCount(label=label, train=split[0][label], held=split[1][label], test=split[2][label]) for label in _named(form)),
        **facts,
    )


def _named(form: Form) -> Sequence[str]:
    """The names that the data is counted by: labels, kinds of span, or fields."""
    return form.names if form.answer_schema is None else [path for path, _ in schema_paths(form.answer_schema)]


def class_rows(scores: Iterable[classification_metrics.ClassScore], train: Mapping[str, int]) -> tuple[ClassRow, ...]:
    """The report's scores of every label, kind or field, with its number of training rows if known."""
    return tuple(
        ClassRow(
            label=score.label,
            precision=measured(score.precision),
            recall=measured(score.recall),
            f1=measured(score.f1),
            support=score.support,
            predicted=score.predicted,
            train=train.get(score.label, 0) if train else None,
        )
        for score in scores
    )


def calibrated(rows: Sequence[Row], replies: Sequence[Reply], form: Form, uncalibrated: Sequence[Reply] | None = None) -> CalibrationFacts:
    """Reliability of the scores as served, and the calibration error before and after temperature scaling."""
    scores, right = scored(rows, replies)
    before = scored(rows, uncalibrated) if uncalibrated is not None else None
    return CalibrationFacts(
        ece_before=_number(calibration.expected_calibration_error(*before)) if before else None,
        ece_after=_number(calibration.expected_calibration_error(scores, right)),
        brier=_number(calibration.brier(scores, right)),
        temperature=getattr(form, "temperature", None),
        bins=tuple(
            CalibrationBin(confidence=entry.confidence, accuracy=entry.accuracy, low=entry.low, high=entry.high, n=entry.n)
            for entry in calibration.reliability(scores, right)
        ),
    )


def risk_coverage(rows: Sequence[Row], replies: Sequence[Reply]) -> RiskCoverage:
    """The share of rows that could be answered without escalating, at each error rate."""
    scores, right = scored(rows, replies)
    found = [(wanted, risk_coverage_curve.coverage_at_risk(scores, right, wanted)) for wanted in WANTED_RISKS]
    return RiskCoverage(
        points=tuple(point(found) for found in risk_coverage_curve.risk_coverage(scores, right)),
        area=_number(risk_coverage_curve.area_under_risk_coverage(scores, right)),
        at=tuple(AtRisk(wanted=wanted, point=point(one) if one else None) for wanted, one in found),
    )


def unknown(form: LabelForm, metrics: Mapping[str, Metric]) -> OutOfScope | None:
    """The handling of out-of-scope texts; None if the model has no unknown label."""
    if form.unknown is None:
        return None
    examples = form.unknown_examples
    learnt = (
        f"learnt from {examples:,} out-of-scope examples" if examples else "learnt from in-scope rows alone, without out-of-scope examples"
    )
    return OutOfScope(
        label=form.unknown,
        how=f"A text is out of scope when no label is likely enough; the threshold was {learnt}.",
        threshold=form.unknown_threshold,
        oos_recall=measured(metrics.get("oos_recall")),
        in_scope_accuracy=measured(metrics.get("in_scope_accuracy")),
    )


def baseline(
    name: str,
    rows: Sequence[Row],
    replies: Sequence[Reply],
    baseline_replies: Sequence[Reply],
    metrics: Mapping[str, Metric],
    seconds: float | None = None,
    grades: tuple[Sequence[float], Sequence[float]] | None = None,
    moved: Metric | None = None,
) -> BaselineFacts:
    """Compare the model with the baseline on the same rows.

    Args:
        grades: for a graded task, the grades (n,) of the baseline and of the model.
        moved: the change, if the task measures it itself. Otherwise it is that of the mean grade, or of the accuracy, paired by row.
    """
    gold = [row.output for row in rows]
    if grades is not None:
        change = paired_grades(np.asarray(grades[0], dtype=np.float64), np.asarray(grades[1], dtype=np.float64))
    else:
        change = paired_change(
            same_labels(gold, [reply.output for reply in baseline_replies]), same_labels(gold, [reply.output for reply in replies])
        )
    value, low, high = (moved.value, moved.low, moved.high) if moved is not None else (change.value, change.low, change.high)
    p = None if moved is not None else change.p
    return BaselineFacts(
        name=name,
        metrics=all_measured(metrics),
        seconds=seconds,
        change=Delta(value=value, low=low, high=high, p=p, gained=change.gained, lost=change.lost),
    )


def mistakes(rows: Sequence[Row], replies: Sequence[Reply]) -> tuple[Mistake, ...]:
    """Wrong answers worth reading, the surest first; two of each pair of labels at a time, so that one confusion does not fill the list."""
    wrong = [(row, reply) for row, reply in zip(rows, replies, strict=True) if not same_labels([row.output], [reply.output])[0]]
    times = Counter((words(row.output), words(reply.output)) for row, reply in wrong)
    return rank_mistakes(wrong, lambda row, reply: (words(row.output), words(reply.output)), lambda row, reply: _mistake(row, reply, times))


def rank_mistakes(
    wrong: Sequence[tuple[Row, Reply]], kind: Callable[[Row, Reply], Hashable], describe: Callable[[Row, Reply], Mistake]
) -> tuple[Mistake, ...]:
    """The first 24 mistakes, the surest first, but two of each `kind` at a time."""
    seen: Counter[Hashable] = Counter()
    ranked = []
    for place, (row, reply) in enumerate(sorted(wrong, key=lambda pair: -pair[1].score)):
        key = kind(row, reply)
        ranked.append((seen[key] // 2, place, row, reply))
        seen[key] += 1
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(describe(row, reply) for _, _, row, reply in ranked[:_MISTAKES])


def mistake(row: Row, reply: Reply, gold: str, answer: str, why: str, gold_score: float | None = None) -> Mistake:
    """A mistake for the report, its text shortened."""
    return Mistake(
        text=shortened(joined(row.input), LONGEST),
        gold=gold,
        answer=answer,
        score=min(1.0, max(0.0, reply.score)),
        row=row.number or None,
        gold_score=gold_score,
        why=why,
    )


def _mistake(row: Row, reply: Reply, times: Counter[tuple[str, str]]) -> Mistake:
    gold, answer = words(row.output), words(reply.output)
    beside = next((score for label, score in reply.alternatives if label == row.output), None)
    if reply.score >= 0.9:
        why = "Very sure: is the label right?"
    elif beside is not None and reply.score - beside < 0.1:
        why = "A close call: the right label scored nearly as high."
    elif times[gold, answer] > 2:
        why = f"One of {times[gold, answer]} mistakes of this kind."
    else:
        why = ""
    return mistake(row, reply, gold, answer, why, beside)


def scored(rows: Sequence[Row], replies: Sequence[Reply]) -> tuple[Any, Any]:
    """(n,) scores, and (n,) whether each answer was right."""
    right = same_labels([row.output for row in rows], [reply.output for reply in replies])
    return np.array([reply.score for reply in replies], dtype=np.float64), right


def words(output: Any) -> str:
    """An output as text: a label unchanged, None as empty, anything else as JSON."""
    if output is None:
        return ""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def point(found: risk_coverage_curve.RiskCoveragePoint) -> CoveragePoint:
    """A point of the risk-coverage curve for the report."""
    return CoveragePoint(
        threshold=found.threshold, coverage=found.coverage, risk=found.risk, risk_low=found.risk_low, risk_high=found.risk_high
    )


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def all_measured(metrics: Mapping[str, Metric]) -> dict[str, Measured]:
    """The metrics that were measured, for a task without sections of its own."""
    return {name: found for name, metric in metrics.items() if (found := measured(metric)) is not None}
