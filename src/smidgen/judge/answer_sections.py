"""The sections of a report that depend on the form of answers: labels, spans, fields. Pure: nothing is read, run or written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from smidgen.core.forms import FieldForm, Form, SpanForm
from smidgen.core.parts import Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.judge import classifier_sections
from smidgen.judge.classifier_sections import (
    LONGEST,
    all_measured,
    calibrated,
    class_rows,
    label_counts,
    mistake,
    point,
    rank_mistakes,
    risk_coverage,
    words,
)
from smidgen.judge.sections import (
    CalibrationBin,
    CalibrationFacts,
    FilledField,
    Filling,
    Mistake,
    RiskCoverage,
    Stated,
    WrittenSample,
    shortened,
)
from smidgen.stats import calibration, extraction_metrics, field_values, risk_coverage_curve
from smidgen.stats.extraction_metrics import Spans

_FILLINGS = 18
_LONGEST_VALUE = 160
_NOTHING = "nothing"


def answer_sections(
    task: Task,
    form: Form,
    rows: Sequence[Row],
    replies: Sequence[Reply],
    metrics: Mapping[str, Metric],
    *,
    uncalibrated: Sequence[Reply] | None = None,
    train: Sequence[Row] = (),
) -> dict[str, Any]:
    """The sections for answers that are right or wrong, ready for `Report(**sections, ...)`: spans, fields, labels, and other tasks'
    answers. Arguments as in `classifier_sections`."""
    if isinstance(form, SpanForm):
        return extraction_sections(rows, replies, form, metrics, uncalibrated=uncalibrated, train=train)
    if isinstance(form, FieldForm):
        return filling_sections(rows, replies, form, metrics, uncalibrated=uncalibrated, train=train)
    if form.labelling is None:
        settled = _settled(task, rows, replies, form)
        found = calibrated(settled, replies, form)
        plain = calibrated(_settled(task, rows, uncalibrated, form), uncalibrated, form) if uncalibrated is not None else None
        return {
            "metrics": all_measured(metrics),
            "calibration": found.model_copy(update={"ece_before": plain.ece_after if plain is not None else None}),
            "risk_coverage": risk_coverage(settled, replies),
            "mistakes": classifier_sections.mistakes(settled, replies),
        }
    rows, train = ([replace(row, output=task.labelled(row.output, form)) for row in some] for some in (rows, train))
    named = [_labelled(task, reply, form) for reply in replies]
    before = [_labelled(task, reply, form) for reply in uncalibrated] if uncalibrated is not None else None
    return classifier_sections.classifier_sections(rows, named, form.labelling, metrics, uncalibrated=before, train=train)


def _settled(task: Task, rows: Sequence[Row], replies: Sequence[Reply], form: Form) -> Sequence[Row]:
    """The rows, each with the reply's own output where that counts as right, if the task is the judge of that."""
    if task.correctness is None:
        return rows
    right = task.correctness.right(rows, replies, form)
    return [replace(row, output=reply.output) if good else row for row, reply, good in zip(rows, replies, right, strict=True)]


def _labelled(task: Task, reply: Reply, form: Form) -> Reply:
    """The reply with its outputs as labels."""
    others = tuple((task.labelled(output, form), score) for output, score in reply.alternatives)
    return replace(reply, output=task.labelled(reply.output, form), alternatives=others)


def extraction_sections(
    rows: Sequence[Row],
    replies: Sequence[Reply],
    form: SpanForm,
    metrics: Mapping[str, Metric],
    *,
    uncalibrated: Sequence[Reply] | None = None,
    train: Sequence[Row] = (),
) -> dict[str, Any]:
    """The sections `metrics`, `per_class` (a row per kind, counting spans), `calibration`, `risk_coverage` (of whole answers) and
    `mistakes`, ready for `Report(**sections, ...)`.

    Args:
        rows: test rows that the model never saw.
        replies: the served model's replies to them.
        form: the fitted form of the task `extract`.
        metrics: as the task measures them.
        uncalibrated: replies decoded at temperature 1, for the calibration error before; None if not computed.
        train: the training rows, for counts of spans per kind.
    """
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    counts = Counter(span["label"] for row in train for span in row.output)
    return {
        "metrics": all_measured(metrics),
        "per_class": class_rows(extraction_metrics.per_label(gold, got, form.kinds), counts),
        "calibration": calibrated(rows, replies, form, uncalibrated),
        "risk_coverage": risk_coverage(rows, replies),
        "mistakes": span_mistakes(rows, replies),
    }


def span_mistakes(rows: Sequence[Row], replies: Sequence[Reply]) -> tuple[Mistake, ...]:
    """Wrong answers worth reading, the surest first. Of those that differ in the same words, two at a time, so that one name does not fill
    the list."""
    keys = extraction_metrics.span_keys
    wrong = [(row, reply) for row, reply in zip(rows, replies, strict=True) if keys(row.output) != keys(reply.output)]
    return rank_mistakes(wrong, _differing_words, _span_mistake)


def _span_mistake(row: Row, reply: Reply) -> Mistake:
    text = joined(row.input)
    missed, added = _apart(row.output, reply.output), _apart(reply.output, row.output)
    return mistake(row, reply, _span_words(row.output, text), _span_words(reply.output, text), _why_spans(missed, added, reply.score))


def _why_spans(missed: Spans, added: Spans, score: float) -> str:
    """The fault of a wrong answer, in a few words."""
    if score >= 0.9:
        return "Very sure: is the data right?"
    places = {(span["start"], span["end"]) for span in missed}
    if any((span["start"], span["end"]) in places for span in added):
        return "The right words with another label."
    if any(one["start"] < other["end"] and other["start"] < one["end"] for one in missed for other in added):
        return "Found, but its edges are elsewhere."
    if missed and added:
        return "Some missed, some too many."
    return "Missed." if missed else "Too many."


def _apart(spans_of: Spans, others: Spans) -> list[Mapping[str, Any]]:
    there = extraction_metrics.span_keys(others)
    return [span for span in spans_of if (span["start"], span["end"], span["label"]) not in there]


def _differing_words(row: Row, reply: Reply) -> str:
    text = joined(row.input)
    apart = [*_apart(row.output, reply.output), *_apart(reply.output, row.output)]
    return "; ".join(sorted(text[span["start"] : span["end"]].lower() for span in apart))


def _span_words(found: Spans, text: str) -> str:
    """Spans as readable text: `date: 3 May; amount: 20 euros`."""
    return "; ".join(f"{span['label']}: {text[span['start'] : span['end']]}" for span in found) or _NOTHING


def filling_sections(
    rows: Sequence[Row],
    replies: Sequence[Reply],
    form: FieldForm,
    metrics: Mapping[str, Metric],
    *,
    uncalibrated: Sequence[Reply] | None = None,
    train: Sequence[Row] = (),
) -> dict[str, Any]:
    """The sections `metrics`, `per_class` (a row per field, counting values), `calibration`, `risk_coverage` (of whole answers), `mistakes`
    and `fillings` (side by side), ready for `Report(**sections, ...)`.

    Args:
        rows: test rows that the model never saw.
        replies: the served model's replies to them.
        form: the fitted form of the task `extract` with its schema.
        metrics: as the task measures them.
        uncalibrated: replies decoded at temperature 1, for the calibration error before; None if not computed.
        train: the training rows, for the number of rows with a value of each field.
    """
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    paths = [path for path, _ in field_values.schema_paths(form.json_schema)]
    counts = label_counts(train)
    return {
        "metrics": all_measured(metrics),
        "per_class": class_rows(extraction_metrics.per_field(gold, got, paths), counts),
        "calibration": calibrated(rows, replies, form, uncalibrated),
        "risk_coverage": risk_coverage(rows, replies),
        "mistakes": field_mistakes(rows, replies),
        "fillings": fillings(rows, replies),
    }


def fillings(rows: Sequence[Row], replies: Sequence[Reply], limit: int = _FILLINGS) -> tuple[Filling, ...]:
    """Texts with wanted and extracted fields, evenly spread from the worst to the best, so that usual ones are shown too."""
    worth = [field_values.fields_f1(row.output, reply.output) for row, reply in zip(rows, replies, strict=True)]
    order = sorted(range(len(rows)), key=lambda place: (worth[place], place))
    chosen = [order[round(step * (len(order) - 1) / max(1, limit - 1))] for step in range(limit)] if len(order) > limit else order
    return tuple(_filling(rows[place], replies[place]) for place in dict.fromkeys(chosen))


def field_mistakes(rows: Sequence[Row], replies: Sequence[Reply]) -> tuple[Mistake, ...]:
    """Wrong answers worth reading, the surest first; two with the same wrong fields at a time. Only wrong fields are shown."""
    wrong = [(row, reply) for row, reply in zip(rows, replies, strict=True) if not field_values.equal_fields(row.output, reply.output)]
    return rank_mistakes(wrong, lambda row, reply: ";".join(field.name for field in _wrong_fields(row, reply)), _field_mistake)


def _field_mistake(row: Row, reply: Reply) -> Mistake:
    wrong = _wrong_fields(row, reply)
    refused = str(reply.facts.get("refused", ""))
    gold = "; ".join(f"{field.name}: {field.wanted or _NOTHING}" for field in wrong)
    answer = _NOTHING if refused else "; ".join(f"{field.name}: {field.got or _NOTHING}" for field in wrong)
    why = f"Refused: {refused}." if refused else "Very sure: is the data right?" if reply.score >= 0.9 else _why_fields(wrong)
    return mistake(row, reply, gold, answer, why)


def _wrong_fields(row: Row, reply: Reply) -> list[FilledField]:
    return [field for field in _fields(row, reply) if not field.right]


def _why_fields(wrong: Sequence[FilledField]) -> str:
    """The fault of a wrong answer, in a few words."""
    if all(not field.got for field in wrong):
        return "Missed."
    if all(not field.wanted for field in wrong):
        return "Not in the text."
    return "Another value." if all(field.got and field.wanted for field in wrong) else "Some missed, some otherwise."


def _filling(row: Row, reply: Reply) -> Filling:
    return Filling(
        text=shortened(joined(row.input), LONGEST),
        fields=tuple(_fields(row, reply)),
        score=min(1.0, max(0.0, reply.score)),
        right=field_values.equal_fields(row.output, reply.output),
        row=row.number or None,
        refused=str(reply.facts.get("refused", "")),
    )


def _fields(row: Row, reply: Reply) -> list[FilledField]:
    wanted, got = field_values.values_by_path(row.output), field_values.values_by_path(reply.output)
    return [
        FilledField(
            name=path,
            wanted=_value_words(wanted.get(path, ())),
            got=_value_words(got.get(path, ())),
            right=field_values.equal_fields({path: wanted.get(path)}, {path: got.get(path)}),
        )
        for path in dict.fromkeys([*wanted, *got])
    ]


def _value_words(values: Sequence[Any]) -> str:
    said = ", ".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in values)
    return shortened(said, _LONGEST_VALUE)


_SAMPLES = 18
_LONGEST = 1_500  # most characters of a text in the report
_REFERENCES = 3


def writer_sections(
    rows: Sequence[Row],
    replies: Sequence[Reply],
    grades: Sequence[float],
    metrics: Mapping[str, Metric],
    fitted: bool = True,
) -> dict[str, Any]:
    """The sections `metrics`, `calibration`, `risk_coverage` and `samples`, ready for `Report(**sections, ...)`.

    Args:
        rows: test rows that the model never saw, each with all its references.
        replies: the served model's replies to them.
        grades: the grade of each reply, 0..1; the risk is 1 minus the grade.
        metrics: as the task measures them.
        fitted: whether scores are expected grades, fitted on held-out rows; else they are the mean probability of tokens.
    """
    scores = np.array([reply.score for reply in replies], dtype=np.float64)
    worth = np.asarray(grades, dtype=np.float64)
    area = risk_coverage_curve.area_under_risk_coverage(scores, worth)
    off = calibration.expected_calibration_error(scores, worth)
    return {
        "graded": True,
        "metrics": all_measured(metrics),
        "calibration": CalibrationFacts(
            fitted=fitted,
            ece_after=off if np.isfinite(off) else None,
            bins=tuple(CalibrationBin(**asdict(found)) for found in calibration.reliability(scores, worth)),
        ),
        "risk_coverage": RiskCoverage(
            points=tuple(point(found) for found in risk_coverage_curve.risk_coverage(scores, worth)),
            area=area if np.isfinite(area) else None,
        ),
        "samples": samples(rows, replies, grades),
    }


def samples(
    rows: Sequence[Row],
    replies: Sequence[Reply],
    grades: Sequence[float],
    limit: int = _SAMPLES,
) -> tuple[WrittenSample, ...]:
    """Written texts beside the wanted ones: a third are the worst, the others spread evenly from worst to best, so that usual ones are
    shown."""
    order = np.argsort(np.asarray(grades, dtype=np.float64), kind="stable")
    worst = order[: limit // 3]
    rest = order[len(worst) :]
    spread = rest[np.unique(np.linspace(0, len(rest) - 1, limit - len(worst)).round().astype(int))] if len(rest) else rest
    return tuple(
        _sample(rows[place], replies[place], grades[place], weak=weak)
        for places, weak in ((worst, True), (spread, False))
        for place in places.tolist()
    )


def _sample(row: Row, reply: Reply, grade: float, weak: bool) -> WrittenSample:
    wanted = row.output if isinstance(row.output, list) else [row.output]
    return WrittenSample(
        text=shortened(joined(row.input), _LONGEST),
        wanted=tuple(shortened(words(one), _LONGEST) for one in wanted[:_REFERENCES]),
        got=shortened(words(reply.output), _LONGEST),
        grade=float(grade),
        score=min(1.0, max(0.0, reply.score)),
        row=row.number or None,
        missing=_stated(reply, "missing"),
        unsupported=_stated(reply, "unsupported"),
        cut=reply.facts.get("finished") is False,
        weak=weak,
    )


def _stated(reply: Reply, name: str) -> tuple[Stated, ...]:
    return tuple(Stated(key=entry["key"], value=entry["value"]) for entry in reply.facts.get(name, ()))
