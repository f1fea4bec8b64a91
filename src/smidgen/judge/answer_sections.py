"""The sections of a report that depend on what a model answers with. Pure: nothing is read, run or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smidgen.core.forms import FieldForm, Form, SpanForm
from smidgen.core.metrics import Metric
from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge import classifier_sections, field_sections, span_sections


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
    """The sections of answers that are right or wrong, ready for `Report(**sections, ...)`: spans, fields, labels, and what a task of
    another kind makes of them. Arguments as `classifier_sections` has them."""
    if isinstance(form, SpanForm):
        return span_sections.extraction_sections(rows, replies, form, metrics, uncalibrated=uncalibrated, train=train)
    if isinstance(form, FieldForm):
        return field_sections.filling_sections(rows, replies, form, metrics, uncalibrated=uncalibrated, train=train)
    if form.labelling is None:
        return {
            "metrics": classifier_sections.all_measured(metrics),
            "calibration": classifier_sections.calibrated(rows, replies, form, uncalibrated),
            "risk_coverage": classifier_sections.risk_coverage(rows, replies),
            "mistakes": classifier_sections.mistakes(rows, replies),
        }
    rows, train = ([replace(row, output=task.labelled(row.output, form)) for row in some] for some in (rows, train))
    named = [_labelled(task, reply, form) for reply in replies]
    before = [_labelled(task, reply, form) for reply in uncalibrated] if uncalibrated is not None else None
    return classifier_sections.classifier_sections(rows, named, form.labelling, metrics, uncalibrated=before, train=train)


def _labelled(task: Task, reply: Reply, form: Form) -> Reply:
    """The reply with its outputs as labels."""
    others = tuple((task.labelled(output, form), score) for output, score in reply.alternatives)
    return replace(reply, output=task.labelled(reply.output, form), alternatives=others)
