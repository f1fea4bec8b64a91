"""From the replies of a model that fills in fields to the sections of its report. Pure: nothing is read, run or written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.forms import FieldForm
from smidgen.core.metrics import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.judge.classifier_sections import all_measured, calibrated, class_rows, label_counts, risk_coverage
from smidgen.judge.sections import FilledField, Filling, Mistake
from smidgen.stats import extraction_metrics, field_values

_MISTAKES = 24
_FILLINGS = 18
_LONGEST = 400  # characters of a text that are kept
_LONGEST_VALUE = 160
_NOTHING = "nothing"


def filling_sections(
    rows: Sequence[Row],
    replies: Sequence[Reply],
    form: FieldForm,
    metrics: Mapping[str, Metric],
    *,
    uncalibrated: Sequence[Reply] | None = None,
    train: Sequence[Row] = (),
) -> dict[str, Any]:
    """The sections `metrics`, `per_class` (a row a field, counting values), `calibration`, `risk_coverage` (of whole answers), `mistakes`
    and `fillings` (side by side), ready for `Report(**sections, ...)`.

    Args:
        rows: test rows that the model never saw.
        replies: what is served answers to them.
        form: the fitted form of the task `extract` with its schema.
        metrics: as the task measures them.
        uncalibrated: replies decoded at temperature 1, for the calibration error before; None where not computed.
        train: the training rows, for how many have a value of each field.
    """
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    paths = [path for path, _ in field_values.schema_paths(form.json_schema)]
    counts = label_counts(train)
    return {
        "metrics": all_measured(metrics),
        "per_class": class_rows(extraction_metrics.per_field(gold, got, paths), counts),
        "calibration": calibrated(rows, replies, form, uncalibrated),
        "risk_coverage": risk_coverage(rows, replies),
        "mistakes": mistakes(rows, replies),
        "fillings": fillings(rows, replies),
    }


def fillings(rows: Sequence[Row], replies: Sequence[Reply], limit: int = _FILLINGS) -> tuple[Filling, ...]:
    """Texts beside what was wanted and what was got, from the worst to the best, spread evenly: what is usual is seen, too."""
    worth = [field_values.fields_f1(row.output, reply.output) for row, reply in zip(rows, replies, strict=True)]
    order = sorted(range(len(rows)), key=lambda place: (worth[place], place))
    chosen = [order[round(step * (len(order) - 1) / max(1, limit - 1))] for step in range(limit)] if len(order) > limit else order
    return tuple(_filling(rows[place], replies[place]) for place in dict.fromkeys(chosen))


def mistakes(rows: Sequence[Row], replies: Sequence[Reply], limit: int = _MISTAKES) -> tuple[Mistake, ...]:
    """Wrong answers worth reading, surest first; but no more than two that are wrong in the same fields before others have had their turn.
    Only what differs is told."""
    wrong = [(row, reply) for row, reply in zip(rows, replies, strict=True) if not field_values.equal_fields(row.output, reply.output)]
    wrong.sort(key=lambda pair: -pair[1].score)
    seen: Counter[str] = Counter()
    ranked = []
    for place, (row, reply) in enumerate(wrong):
        key = ";".join(field.name for field in _fields(row, reply) if not field.right)
        ranked.append((seen[key] // 2, place, row, reply))
        seen[key] += 1
    ranked.sort(key=lambda entry: entry[:2])
    return tuple(_mistake(row, reply) for _, _, row, reply in ranked[:limit])


def _mistake(row: Row, reply: Reply) -> Mistake:
    wrong = [field for field in _fields(row, reply) if not field.right]
    refused = str(reply.facts.get("refused", ""))
    return Mistake(
        text=_short(joined(row.input), _LONGEST),
        gold="; ".join(f"{field.name}: {field.wanted or _NOTHING}" for field in wrong),
        answer=_NOTHING if refused else "; ".join(f"{field.name}: {field.got or _NOTHING}" for field in wrong),
        score=min(1.0, max(0.0, reply.score)),
        row=row.number or None,
        why=f"Refused: {refused}." if refused else "Very sure: is the data right?" if reply.score >= 0.9 else _why(wrong),
    )


def _why(wrong: Sequence[FilledField]) -> str:
    """What is wrong, in a few words."""
    if all(not field.got for field in wrong):
        return "Missed."
    if all(not field.wanted for field in wrong):
        return "Not in the text."
    return "Another value." if all(field.got and field.wanted for field in wrong) else "Some missed, some otherwise."


def _filling(row: Row, reply: Reply) -> Filling:
    return Filling(
        text=_short(joined(row.input), _LONGEST),
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
            wanted=_words(wanted.get(path, ())),
            got=_words(got.get(path, ())),
            right=field_values.equal_fields({path: wanted.get(path)}, {path: got.get(path)}),
        )
        for path in dict.fromkeys([*wanted, *got])
    ]


def _words(values: Sequence[Any]) -> str:
    """Values as they are read."""
    return _short(", ".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in values), _LONGEST_VALUE)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
