"""From an extractor's replies on the test rows to the sections of its report. Pure: nothing is read, run or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.forms import SpanForm
from smidgen.core.metrics import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.judge.classifier_sections import all_measured, calibrated, class_rows, risk_coverage
from smidgen.judge.sections import Mistake
from smidgen.stats import extraction_metrics
from smidgen.stats.extraction_metrics import Spans

_MISTAKES = 24
_LONGEST = 400  # characters of a text that are kept
_NOTHING = "nothing"


def extraction_sections(
    rows: Sequence[Row],
    replies: Sequence[Reply],
    form: SpanForm,
    metrics: Mapping[str, Metric],
    *,
    uncalibrated: Sequence[Reply] | None = None,
    train: Sequence[Row] = (),
) -> dict[str, Any]:
    """The sections `metrics`, `per_class` (a row a kind, counting spans), `calibration`, `risk_coverage` (of whole answers) and `mistakes`,
    ready for `Report(**sections, ...)`.

    Args:
        rows: test rows that the model never saw.
        replies: what is served answers to them.
        form: the fitted form of the task `extract`.
        metrics: as the task measures them.
        uncalibrated: replies decoded at temperature 1, for the calibration error before; None where not computed.
        train: the training rows, for counts of spans per kind.
    """
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    counts = Counter(span["label"] for row in train for span in row.output)
    return {
        "metrics": all_measured(metrics),
        "per_class": class_rows(extraction_metrics.per_label(gold, got, form.kinds), counts),
        "calibration": calibrated(rows, replies, form, uncalibrated),
        "risk_coverage": risk_coverage(rows, replies),
        "mistakes": mistakes(rows, replies),
    }


def mistakes(rows: Sequence[Row], replies: Sequence[Reply], limit: int = _MISTAKES) -> tuple[Mistake, ...]:
    """Wrong answers worth reading, surest first; but no more than two that missed or made up the same words before others have had their
    turn, so that a single name does not fill the list."""
    wrong = [
        (row, reply)
        for row, reply in zip(rows, replies, strict=True)
        if extraction_metrics.span_keys(row.output) != extraction_metrics.span_keys(reply.output)
    ]
    wrong.sort(key=lambda pair: -pair[1].score)
    seen: Counter[str] = Counter()
    ranked = []
    for place, (row, reply) in enumerate(wrong):
        key = "; ".join(sorted(_differing(row, reply)))
        ranked.append((seen[key] // 2, place, row, reply))
        seen[key] += 1
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(_mistake(row, reply) for _, _, row, reply in ranked[:limit])


def _mistake(row: Row, reply: Reply) -> Mistake:
    text = joined(row.input)
    missed, added = _apart(row.output, reply.output), _apart(reply.output, row.output)
    return Mistake(
        text=text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…",
        gold=_words(row.output, text),
        answer=_words(reply.output, text),
        score=min(1.0, max(0.0, reply.score)),
        row=row.number or None,
        why=_why(missed, added, reply.score),
    )


def _why(missed: Spans, added: Spans, score: float) -> str:
    """What is wrong, in a few words."""
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


def _differing(row: Row, reply: Reply) -> list[str]:
    text = joined(row.input)
    return [text[span["start"] : span["end"]].lower() for span in [*_apart(row.output, reply.output), *_apart(reply.output, row.output)]]


def _words(found: Spans, text: str) -> str:
    """Spans as they are read: `date: 3 May; amount: 20 euros`."""
    return "; ".join(f"{span['label']}: {text[span['start'] : span['end']]}" for span in found) or _NOTHING
