"""Extract: find the spans of a text that are names, numbers, dates, ..., each with its label; or fill in typed fields, see `fields`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smidgen.core.abilities import PartialCredit, TaskPage, Teaching
from smidgen.core.errors import DataError
from smidgen.core.forms import AnswerOutline, FieldForm, Form, SpanForm
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.stats import calibration, extraction_metrics
from smidgen.stats.extraction_metrics import Likely, lookup_spans
from smidgen.tasks import teacher_answers
from smidgen.tasks.fields import MOST_COLUMNS, ExtractFields, TableFields, outlined, parsed

_MOST_KINDS = 200
_LONGEST_KIND = 200
_FIELDS = {"start", "end", "label", "text"}
_NAMES_ELSEWHERE = {
    "entity_type": "label", "type": "label", "start_position": "start", "start_offset": "start",
    "end_position": "end", "end_offset": "end", "entity_value": "text", "value": "text",
}  # fmt: skip
"""Names of the parts of a span in other tools."""
_PLATEAU = 0.003
"""Thresholds whose F1 is within this of the best count as equally good."""

Span = dict[str, Any]


class ExtractSettings(Settings):
    """Settings of an extractor: the spans or fields to find, and the threshold."""

    kinds: tuple[str, ...] = setting(
        (), "Kinds of span to find, by their labels; other kinds are ignored. Empty: all kinds in the data.", flag="--kind"
    )
    threshold: float | None = setting(
        None,
        "Smallest probability of a span, or of a field's value that a tagger finds. A lower threshold finds more, and more of it is wrong "
        "(default: the one with the best F1 on held-out rows).",
        gt=0,
        lt=1,
    )
    schema_file: str | None = setting(
        None, "File with the JSON schema of the fields to extract (default: derived from the examples).", flag="--schema", file=True
    )


class SpanCredit(PartialCredit):
    """Each span counts for itself."""

    empty = ()

    def overlap(self, one: Any, other: Any) -> float:
        """F1 of two lists of spans; 1 if both are empty."""
        return extraction_metrics.count_exact([one], [other]) if one or other else 1.0

    def by_heart(self, rows: Sequence[Row], form: SpanForm) -> list[list[Span]]:
        """Spans looked up in the other rows."""
        return lookup_spans([joined(row.input) for row in rows], _gold(rows, form))


class SpanTeaching(Teaching):
    """A larger model names the words of each span, and their kind."""

    def instruction(self, form: SpanForm) -> str:
        """The kinds, and the instruction to answer with the words of their spans."""
        return teacher_answers.span_instructions(form.kinds)

    def read(self, answer: str, form: SpanForm, text: Text = "") -> list[Span]:
        """The spans that a larger model names, with their positions in the text. Raises ValueError; see `teacher_answers.spans_in`."""
        return teacher_answers.spans_in(answer, form.kinds, joined(text))

    def write(self, output: Any, form: SpanForm, text: Text) -> str:
        """The words and kinds of the spans as JSON."""
        return teacher_answers.spans_as_answer(output, joined(text))

    def convert(self, output: Any, form: SpanForm, text: Text) -> list[Span]:
        """The spans in this form's kinds. Each span is read from its own words alone, because its position is known and must not be
        searched."""
        settled, whole = [], joined(text)
        for span in output:
            words = whole[span["start"] : span["end"]]
            alone = self.write([{**span, "start": 0, "end": len(words)}], form, words)
            settled += [
                {**found, "start": span["start"] + found["start"], "end": span["start"] + found["end"]}
                for found in self.read(alone, form, words)
            ]
        return settled


class SpanPage(TaskPage):
    """Spans, or objects with fields."""

    def outline(self, outputs: Sequence[Any], settings: ExtractSettings) -> AnswerOutline:
        """The fields, by the given schema or the values; else the kinds of span."""
        objects = [output for output in outputs if isinstance(output, Mapping)]
        spans = [span for output in outputs if isinstance(output, list) for span in output]
        if objects or not spans or settings.schema_file:
            return AnswerOutline("fields", schema=outlined(objects, settings))
        counts = Counter(str(span["label"]) for span in spans)
        return AnswerOutline("spans", tuple(sorted(counts, key=lambda kind: (-counts[kind], kind))))

    def likely(self, cells: Sequence[Any]) -> float:
        """The share of cells that are lists or objects, or JSON of them; a little less, as some of these are answers of another task."""
        found = 0
        for cell in cells:
            if isinstance(cell, str) and cell.lstrip()[:1] not in ("[", "{"):
                continue
            try:
                found += isinstance(part.parse(cell, ExtractSettings()), list | Mapping)
            except (ValueError, TypeError):
                continue
        return 0.9 * found / len(cells) if cells else 0.0


class Extract(Task):
    """The task `extract`."""

    name = "extract"
    summary = "Find the names, numbers, dates, ... in each text, as spans or as typed fields: order numbers, products, amounts."
    settings = ExtractSettings
    students = ("tagger",)
    baseline = "lexical"
    headline = "f1"
    form_type = SpanForm
    most_columns = MOST_COLUMNS
    partial_credit = SpanCredit()
    teaching = SpanTeaching()
    page = SpanPage()
    fields = TableFields()
    answer_kinds = ("fields", "spans")
    not_foreseen = "not predicted: whether a small model fills in fields as the large one does, only a trained one shows"

    def formed(self, form: Form) -> Task:
        """The task of spans, or that of fields if the form has a schema."""
        return ExtractFields(ExtractSettings, form) if isinstance(form, FieldForm) else self

    def read_form(self, facts: Mapping[str, Any]) -> SpanForm | FieldForm:
        """A form of spans, or of fields. Raises ValueError."""
        return FieldForm.read(facts) if "schema" in facts else SpanForm.read(facts)

    def form_fault(self, form: SpanForm | FieldForm, raw: Raw | None = None) -> str:
        """Why a form cannot decide anything: the model finds a span of a kind that the form does not name. For fields see
        `ExtractFields.form_fault`."""
        if isinstance(form, FieldForm):
            return ExtractFields(ExtractSettings).form_fault(form, raw)
        odd = [span for found in (raw or {}).get("spans", ()) for span in found if not 0 <= span[2] < len(form.kinds)]
        return f"the model finds spans of a kind with the number {odd[0][2]:g}, and the form names {len(form.kinds)}" if odd else ""

    def parse(self, value: Any, settings: ExtractSettings) -> list[Span] | Mapping[str, Any]:
        """A list of spans, or JSON of one; empty for an empty cell. A span has `start`, `end` (exclusive) and `label`, or `text` in place
        of the two numbers. Any other object is read as fields. Raises ValueError with the reason."""
        if settings.schema_file:
            return parsed(value, settings)
        value = _loaded(value)
        if isinstance(value, Mapping) and not (isinstance(value.get("label"), str) and set(value) <= _FIELDS):
            return value
        kinds = settings.kinds
        found = [_span(entry) for entry in _listed(value)]
        found = [span for span in found if not kinds or span["label"] in kinds]
        return _in_order(found) if all("start" in span for span in found) else found

    def place(self, text: Text, output: Any) -> Any:
        """The spans with their positions in the text; fields unchanged. Raises ValueError if a span lies outside the text, or its words
        occur in it never or more than once."""
        if isinstance(output, Mapping):
            return output
        whole = joined(text)
        return _in_order([_place(span, whole) for span in output])

    def form(self, rows: Sequence[Row], settings: ExtractSettings) -> SpanForm | FieldForm:
        """The kinds in sorted order. Raises DataError for data that cannot teach them: no rows, no spans, a kind seen once, a span that is
        not in its text, spans in some rows and fields in others."""
        if _of_fields(rows, settings):
            return ExtractFields(ExtractSettings).form(rows, settings)
        counts: Counter[str] = Counter()
        for row in rows:
            try:
                counts.update(span["label"] for span in self.place(row.input, row.output))
            except ValueError as error:
                raise DataError(
                    "tasks.output_does_not_fit_its_text", value=joined(row.input), error=error, row=row.number or None
                ) from error
        _check(rows, counts, settings.kinds)
        return SpanForm(
            kinds=tuple(sorted(counts)),
            only=bool(settings.kinds),
            threshold=0.5,
            span_slope=1.0,
            span_shift=0.0,
            temperature=1.0,
            shift=0.0,
        )

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """The rarest kind of each row, so that rare kinds are split evenly; "" for rows without spans."""
        counts = Counter(span["label"] for row in rows for span in row.output)
        return [min((span["label"] for span in row.output), key=lambda kind: (counts[kind], kind), default="") for row in rows]

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: SpanForm, settings: ExtractSettings) -> SpanForm:
        """The form with its decision fitted on held-out rows: the threshold with the best F1 unless one is set, then the curves from the
        model's probabilities to the share of right spans, and of right whole answers."""
        kinds = form.kinds
        gold = [extraction_metrics.span_keys(row.output) for row in rows]
        likely: list[Likely] = raw["spans"]
        right = [
            (chance, (int(start), int(end), kinds[int(kind)]) in own)
            for found, own in zip(likely, gold, strict=True)
            for start, end, kind, chance in found
        ]
        slope, shift = calibration.fit_platt(calibration.logit([chance for chance, _ in right]), [met for _, met in right])
        fitted: dict[str, Any] = {"span_slope": slope, "span_shift": shift}
        fitted["threshold"] = settings.threshold if settings.threshold is not None else _best_threshold(likely, rows, kinds)
        plain = self.decode(raw, form.model_copy(update=fitted).uncalibrated())
        whole = [extraction_metrics.span_keys(reply.output) == own for reply, own in zip(plain, gold, strict=True)]
        steep, fitted["shift"] = calibration.fit_platt(calibration.logit([reply.score for reply in plain]), whole)
        fitted["temperature"] = 1 / steep
        return form.model_copy(update=fitted)

    def decode(self, raw: Raw, form: SpanForm) -> list[Reply]:
        """One reply per text: its spans in order. The score is the probability that they are exactly the right ones.

        Facts: `scores`, for each span the probability that it is right, and `texts`, its words, if `raw` has the `inputs`.
        """
        texts = raw.get("inputs") or [None] * len(raw["spans"])
        return [_reply(found, text, form) for found, text in zip(raw["spans"], texts, strict=True)]

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: SpanForm) -> dict[str, Metric]:
        """f1, precision and recall over spans, which must match to the character, and exact_match, the share of texts whose spans are
        exactly the gold ones."""
        return extraction_metrics.measure_spans(_gold(rows, form), [reply.output for reply in replies])

    def change(self, rows: Sequence[Row], before: Sequence[Reply], after: Sequence[Reply], form: SpanForm) -> Metric:
        """The change of f1, with its paired bootstrap interval."""
        return extraction_metrics.span_change(_gold(rows, form), [reply.output for reply in before], [reply.output for reply in after])


def _gold(rows: Sequence[Row], form: SpanForm) -> list[list[Span]]:
    """The spans to find: only those of the requested kinds, if kinds were requested."""
    known = set(form.kinds)
    return [[span for span in row.output if not form.only or span["label"] in known] for row in rows]


def _of_fields(rows: Sequence[Row], settings: ExtractSettings) -> bool:
    """Whether the rows hold fields, not spans. Raises DataError if the rows mix both."""
    if settings.schema_file:
        return True
    objects = [row for row in rows if isinstance(row.output, Mapping)]
    spans_in = next((row for row in rows if isinstance(row.output, list) and row.output), None)
    if objects and spans_in is not None:
        raise DataError(
            "tasks.rows_mix_spans_and_fields",
            span_row=spans_in.number,
            field_row=objects[0].number,
            row=spans_in.number or None,
        )
    if objects and settings.kinds:
        raise DataError("tasks.rows_have_fields_which_have_no_kinds", value=", ".join(settings.kinds))
    return bool(objects)


def _loaded(value: Any) -> Any:
    if not (isinstance(value, str) and value.strip()):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError('a JSON list of spans is expected, such as [{"start": 0, "end": 4, "label": "name"}], or an object') from None


def _listed(value: Any) -> list[Any]:
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        raise ValueError("a list of spans is expected")
    return value


def _span(entry: Any) -> Span:
    if not isinstance(entry, Mapping):
        raise ValueError("a span is an object with start, end and label")
    entry = {_NAMES_ELSEWHERE.get(name, name): value for name, value in entry.items()}
    strange = set(entry) - _FIELDS
    if strange:
        raise ValueError(f"a span has start, end, label and text, not {sorted(strange)[0]!r}")
    label = entry.get("label")
    if not isinstance(label, str) or not label.strip():
        raise ValueError("a span has no label")
    if len(label) > _LONGEST_KIND:
        raise ValueError(f"a label has {len(label)} characters; it is a short name")
    if "start" not in entry and "end" not in entry:
        text = entry.get("text")
        if not isinstance(text, str) or not text.strip():
            raise ValueError("a span has neither start and end nor text")
        return {"text": text.strip(), "label": label.strip()}
    start, end = (_whole(entry.get(name), name) for name in ("start", "end"))
    if not 0 <= start < end:
        raise ValueError(f"a span from {start} to {end} holds no characters")
    span: Span = {"start": start, "end": end, "label": label.strip()}
    if isinstance(entry.get("text"), str):
        span["text"] = entry["text"]
    return span


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"the {name} of a span is a whole number of characters, not {value!r}")
    return int(value)


def _place(span: Span, text: str) -> Span:
    """A span reduced to its position in a text and its label."""
    if "start" not in span:
        words = span["text"]
        start = text.find(words)
        if start < 0:
            raise ValueError(f"{words!r} is not in the text")
        if text.find(words, start + 1) >= 0:
            raise ValueError(f"{words!r} is in the text more than once: give start and end")
        return {"start": start, "end": start + len(words), "label": span["label"]}
    start, end = span["start"], span["end"]
    if end > len(text):
        raise ValueError(f"a span ends at {end}, and the text has {len(text)} characters")
    if not text[start:end].strip():
        raise ValueError(f"the span from {start} to {end} is blank")
    if "text" in span and span["text"] != text[start:end]:
        raise ValueError(f"the text from {start} to {end} is {text[start:end]!r}, not {span['text']!r}")
    return {"start": start, "end": end, "label": span["label"]}


def _in_order(found: Sequence[Span]) -> list[Span]:
    """Spans by position, without duplicates. Raises ValueError if two overlap."""
    ordered: list[Span] = []
    for span in sorted(found, key=lambda span: (span["start"], span["end"], span["label"])):
        if ordered and span == ordered[-1]:
            continue
        if ordered and span["start"] < ordered[-1]["end"]:
            before = ordered[-1]
            raise ValueError(f"spans overlap: {before['start']} to {before['end']} and {span['start']} to {span['end']}")
        ordered.append(span)
    return ordered


def _check(rows: Sequence[Row], counts: Counter[str], asked: Sequence[str]) -> None:
    if not rows:
        raise DataError("tasks.there_are_no_rows_with_spans")
    missing = [kind for kind in asked if kind not in counts]
    if missing:
        raise DataError("tasks.no_row_has_span_of_requested_kind", value=missing[0])
    if not counts:
        raise DataError("tasks.no_row_has_span", rows=len(rows))
    if len(counts) > _MOST_KINDS:
        raise DataError("tasks.there_are_too_many_kinds_of_span", value=len(counts), most_kinds=_MOST_KINDS)
    once = [kind for kind in sorted(counts) if counts[kind] < 2]
    if once:
        row = next(row for row in rows if any(span["label"] == once[0] for span in row.output))
        raise DataError(
            "tasks.several_kinds_of_span_are_seen_once" if len(once) > 1 else "tasks.one_kind_of_span_is_seen_once",
            value=once[0],
            once=len(once),
            row=row.number or None,
        )


def _reply(found: Likely, text: str | None, form: SpanForm) -> Reply:
    kept, rest = extraction_metrics.decide_spans(found, form.threshold)
    chances = calibration.platt_probability(calibration.logit([entry[3] for entry in [*kept, *rest]]), form.span_slope, form.span_shift)
    sure, unsure = chances[: len(kept)], chances[len(kept) :]
    # Each decision counts as independent: for each span that is given, and against each that is not.
    whole = float(np.exp(np.log(np.maximum(sure, 1e-9)).sum() + np.log1p(-np.minimum(unsure, 1 - 1e-9)).sum()))
    score = float(calibration.platt_probability(calibration.logit([whole]), 1 / form.temperature, form.shift)[0])
    order = sorted(range(len(kept)), key=lambda place: kept[place][0])
    output = _spans([kept[place] for place in order], form.kinds)
    facts: dict[str, Any] = {}
    if output:
        facts["scores"] = [round(float(sure[place]), 6) for place in order]
        if text is not None:
            facts["texts"] = [text[span["start"] : span["end"]] for span in output]
    return Reply(output, score, facts=facts)


def _spans(kept: Likely, kinds: Sequence[str]) -> list[Span]:
    return [{"start": int(start), "end": int(end), "label": kinds[int(kind)]} for start, end, kind, _ in kept]


def _best_threshold(likely: Sequence[Likely], rows: Sequence[Row], kinds: Sequence[str]) -> float:
    """The middle of the thresholds in 0.2..0.8 that give the best F1, or nearly."""
    grid = np.linspace(0.2, 0.8, 25)
    scores = []
    for threshold in grid:
        outputs = [_spans(extraction_metrics.decide_spans(found, float(threshold))[0], kinds) for found in likely]
        scores.append(extraction_metrics.count_exact([row.output for row in rows], outputs))
    near = grid[np.array(scores) >= max(scores) - _PLATEAU]
    return float(near[np.abs(near - np.median(near)).argmin()]) if max(scores) > 0 else 0.5


part = Extract()
