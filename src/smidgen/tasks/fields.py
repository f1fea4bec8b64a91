"""Extract with fields: from a text to an object that fits a JSON schema. `extract` becomes this task if its form has a schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.abilities import FieldAnswers, PartialCredit, StudentTargets, Teaching
from smidgen.core.errors import DataError, RecipeError
from smidgen.core.forms import FieldForm, Form
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, RowCells, Text, joined
from smidgen.core.settings import Settings
from smidgen.stats import calibration, extraction_metrics, field_values
from smidgen.stats.extraction_metrics import lookup_fields
from smidgen.tasks import field_filling, field_schema, field_tagging, teacher_answers
from smidgen.tasks.field_filling import FieldFiller
from smidgen.tasks.field_parsing import Fits
from smidgen.tasks.field_values import FieldValues, written

MOST_COLUMNS = 200
_REFUSED_SHOWN = 80  # characters of an unusable answer in a message


class FieldCredit(PartialCredit):
    """Each pair of a field and its value counts for itself."""

    def overlap(self, one: Any, other: Any) -> float:
        """F1 of the pairs of a field and its value; 1 if both have none."""
        return field_values.fields_f1(one, other)

    def by_heart(self, rows: Sequence[Row], form: FieldForm) -> list[dict[str, Any]]:
        """The most frequent value of each field."""
        return lookup_fields([row.output for row in rows])


class FieldTeaching(Teaching):
    """A larger model answers with an object by the schema.

    Args:
        values: those of the schema, if it is known already.
    """

    def __init__(self, values: FieldValues | None) -> None:
        self._values = values

    def instruction(self, form: FieldForm) -> str:
        """The fields in words, and the schema that the answer must fit."""
        schema = json.dumps(form.json_schema, ensure_ascii=False)
        return (
            f"{form.instruction} What the text does not say is null, where null is allowed. Answer with a JSON object that fits this "
            f"JSON schema, and nothing else:\n{schema}"
        )

    def read(self, answer: str, form: FieldForm, text: Text = "") -> dict[str, Any]:
        """The object in a larger model's answer, in the order and the types of the schema. Raises ValueError if it is not an object, or
        does not fit: there are no partial answers."""
        values = self._values or FieldValues(form.json_schema)
        found = teacher_answers.json_in(answer)
        if not isinstance(found, Mapping):
            raise ValueError("it is no JSON object")
        try:
            settled = values.settled(found)
        except ValueError:
            raise ValueError("it does not fit the schema") from None
        if values.fault(settled):
            raise ValueError("it does not fit the schema")
        return settled

    def write(self, output: Any, form: FieldForm, text: Text) -> str:
        """The object as JSON; "" for a refused answer."""
        return "" if output is None else json.dumps(output, ensure_ascii=False)


class FieldTargets(StudentTargets):
    """A tagger learns the places that state the values, and the choices; a decoder learns JSON.

    Args:
        values: those of the schema, if it is known already.
    """

    def __init__(self, values: FieldValues | None) -> None:
        self._values = values

    @cached_property
    def fits(self) -> dict[str, Fits] | None:
        """For each field's path a test of its values; None without a schema."""
        return field_tagging.fitting(self._values.schema) if self._values is not None else None

    def spans(self, rows: Sequence[Row], form: FieldForm) -> list[Row]:
        """The rows to train a tagger on: the positions in their texts that state the values, and the choices."""
        return field_tagging.marked_rows(rows, _plan(form), self.fits or field_tagging.fitting(form.json_schema))

    def text(self, output: Any, form: FieldForm) -> str:
        """The object as the model should write it: JSON without blanks, fields in the order of the schema, numbers without an exponent."""
        return written(output)

    def replanned(self, rows: Sequence[Row], form: FieldForm) -> FieldForm:
        """The form with the plan of these rows, for an unchanged schema."""
        plan = field_tagging.plan_for([row.input for row in rows], [row.output for row in rows], form.json_schema)
        return form.model_copy(update={"tagged": plan})


class TableFields(FieldAnswers):
    """Fields with the types of their columns, and with the options of their schema."""

    def typed(self, outputs: Sequence[Any], settings: Settings) -> Sequence[Any]:
        """Rows of cells with the types of their columns: numbers, dates, choices. A row of empty cells is not known: None."""
        cells = [output for output in outputs if isinstance(output, RowCells)]
        if not cells or getattr(settings, "schema_file", None):
            return outputs
        values = FieldValues(field_schema.derived(cells))
        return [_settled(output, values) if isinstance(output, RowCells) else output for output in outputs]

    def options(self, form: Form) -> Mapping[str, Sequence[str]] | None:
        """The values of the fields that a tagger fills in; empty for a decoder, None for spans."""
        return field_filling.known(form) if isinstance(form, FieldForm) else None


class ExtractFields(Task):
    """The task `extract` for fields. Two students can learn it: a decoder, which writes them, and a tagger, which finds values that the
    text states (see `field_tagging`).

    Args:
        form: the form, once it is known: outputs are then converted to the types of its schema.
    """

    name = "extract"
    summary = "Pull typed fields out of each text, as JSON by a schema: order number, product, quantity, problem."
    baseline = "prompted"
    headline = "f1"
    form_type = FieldForm
    most_columns = MOST_COLUMNS
    partial_credit = FieldCredit()
    writes = True
    fields = TableFields()

    def __init__(self, settings: type[Settings], form: FieldForm | None = None) -> None:
        self.settings = settings
        self._values = FieldValues(form.json_schema) if form is not None else None
        self.teaching = FieldTeaching(self._values)
        self.targets: FieldTargets = FieldTargets(self._values)
        self._derived = form is not None and form.derived
        # The tagger first: a recipe that names no student gets the settings of the first.
        able = form is not None and form.tagging is not None
        self.students: tuple[str, ...] = ("tagger", "decoder") if able else ("decoder",)
        # A decoder learns for half an hour and more: a quick build has none where a tagger can do it.
        self.quick = {"student": {"kind": "tagger"}} if able else {"student": {"kind": "decoder"}, "train": {"time_budget": "5m"}}

    def form_fault(self, form: FieldForm, raw: Raw | None = None) -> str:
        """Why a form cannot decide anything: a schema that answers cannot be constrained to, a plan that names fields which the schema
        lacks, or choices that differ from the model's."""
        _, mistakes = field_schema.normal(form.json_schema)
        if mistakes:
            return f"the schema cannot be used ({mistakes[0]})"
        return field_tagging.fault(form.tagged, form.json_schema, raw) if form.tagged is not None else ""

    def parse(self, value: Any, settings: Settings) -> Mapping[str, Any]:
        """As `parsed`."""
        return parsed(value, settings)

    def place(self, text: Text, output: Any) -> dict[str, Any]:
        """The object in the order and the types of the schema. Raises ValueError with the field if it does not fit.

        If the schema was derived from the training rows, other rows may have values that it does not allow: they stay unchanged and count
        against the model.
        """
        assert self._values is not None
        try:
            settled = self._values.settled(_object(output))
            fault = self._values.fault(settled)
        except ValueError as error:
            settled, fault = dict(output), str(error)
        if fault and not self._derived:
            raise ValueError(fault)
        return settled

    def form(self, rows: Sequence[Row], settings: Settings) -> FieldForm:
        """The form: the schema, given or derived from the rows, the instruction for the model, and the plan for a tagger.

        Raises DataError for rows that cannot teach it: none, no values at all, a field of several types, a row that does not fit the given
        schema. Raises RecipeError for a schema that answers cannot be constrained to.
        """
        if not rows:
            raise DataError("tasks.there_are_no_rows_with_fields")
        file = getattr(settings, "schema_file", None)
        schema = field_schema.read(file) if file else self._derive(rows)
        values = FieldValues(schema)
        settled = [_checked(row, values, "extract.schema_file" if file else "the other rows") for row in rows]
        if not any(field_values.values_by_path(output) for output in settled):
            raise DataError("tasks.no_row_has_value", rows=len(rows))
        return FieldForm(
            schema=schema,
            derived=not file,
            instruction=f"Read the message and answer with these fields as JSON: {field_schema.told(schema)}.",
            temperature=1.0,
            shift=0.0,
            tagged=field_tagging.plan_for([row.input for row in rows], settled, schema),
        )

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """The rarest choice of each row among the fields with choices, so that rare ones are split evenly."""
        assert self._values is not None
        every = field_values.schema_paths(self._values.schema)
        chosen = [path for path, node in every if "enum" in node or field_schema.kind_of(node)[0] == "boolean"]
        found = [field_values.values_by_path(row.output) for row in rows]
        keys = [[f"{path}={value}" for path in chosen for value in by_path.get(path, ("",))] for by_path in found]
        counts = Counter(key for row in keys for key in row)
        return [min(row, key=lambda key: (counts[key], key), default="") for row in keys]

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: FieldForm, settings: Settings) -> FieldForm:
        """The form with a curve fitted from the likelihood of an answer to the probability that all of it is right; for a tagger's answers
        also with the threshold of values, and the temperatures of the choices."""
        if "spans" in raw:
            filler = FieldFiller(self._values or FieldValues(form.json_schema), form, self.targets.fits)
            asked: float | None = getattr(settings, "threshold", None)
            fitted = {"threshold": filler.threshold(raw, rows) if asked is None else asked, "temperatures": filler.temperatures(raw, rows)}
            form = form.model_copy(update={"tagged": {**_plan(form), **fitted}})
        else:
            form = form.model_copy(update={"tagged": None})
        plain = self.decode(raw, form.uncalibrated())
        known = [place for place, reply in enumerate(plain) if reply.output is not None]
        right = [field_values.equal_fields(rows[place].output, plain[place].output) for place in known]
        steep, shift = calibration.fit_platt(calibration.logit([plain[place].score for place in known]), right)
        return form.model_copy(update={"temperature": 1 / steep, "shift": shift})

    def decode(self, raw: Raw, form: FieldForm) -> list[Reply]:
        """One reply per text: an object that fits the schema, with the probability that all of it is right as its score; or None with the
        score 0 and the reason as the fact `refused`. Facts: `tokens` of a decoder's answers, `scores` and `spans` of a tagger's."""
        values = self._values or FieldValues(form.json_schema)
        if "spans" in raw:
            return FieldFiller(values, form, self.targets.fits).decode(raw)
        likely = np.asarray(raw["likelihood"], dtype=np.float64)
        scores = calibration.platt_probability(calibration.logit(likely), 1 / form.temperature, form.shift)
        replies = []
        for place, text in enumerate(raw["texts"]):
            facts: dict[str, Any] = {"tokens": int(raw["tokens"][place])}
            output, why = _read(text, bool(raw["finished"][place] >= 0.5), values)
            if why:
                facts["refused"] = why
            replies.append(Reply(output, float(scores[place]) if output is not None else 0.0, facts=facts))
        return replies

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: FieldForm) -> dict[str, Metric]:
        """f1, precision and recall over pairs of a field and its value, and exact_match, the share of texts with all pairs right."""
        return extraction_metrics.measure_fields([row.output for row in rows], [reply.output for reply in replies])

    def change(self, rows: Sequence[Row], before: Sequence[Reply], after: Sequence[Reply], form: FieldForm) -> Metric:
        """The change of f1, with its paired bootstrap interval."""
        return extraction_metrics.field_change(
            [row.output for row in rows], [reply.output for reply in before], [reply.output for reply in after]
        )

    def content(self, reply: Reply) -> str:
        """The object as JSON; "" for a refused answer."""
        return "" if reply.output is None else json.dumps(reply.output, ensure_ascii=False)

    def _derive(self, rows: Sequence[Row]) -> field_schema.Schema:
        try:
            schema, mistakes = field_schema.normal(field_schema.derived([row.output for row in rows]))
        except ValueError as error:
            raise DataError("tasks.no_schema_can_be_derived", error=error, rows=len(rows)) from error
        if mistakes == ["the schema: it has no properties"]:
            return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
        if mistakes:
            raise RecipeError("tasks.no_schema_can_be_derived_from_rows", rows=len(rows), mistakes=mistakes)
        return schema


def _plan(form: FieldForm) -> dict[str, Any]:
    """The plan for a tagger; see `field_tagging`."""
    assert form.tagged is not None
    return form.tagged


def parsed(value: Any, settings: Settings) -> Mapping[str, Any]:
    """Parse an object, JSON of one, or the cells of several columns; {} for an empty cell. If a schema is set, the object must fit it.

    Raises ValueError, and RecipeError for a schema that answers cannot be constrained to.
    """
    filled_in = _object(value)
    file = getattr(settings, "schema_file", None)
    if not file:
        return filled_in
    values = _given(file, Path(file).stat().st_mtime_ns if Path(file).is_file() else 0)
    settled = values.settled(filled_in)
    if fault := values.fault(settled):
        raise ValueError(fault)
    return settled


def _settled(cells: RowCells, values: FieldValues) -> dict[str, Any] | None:
    settled = values.settled(cells)
    return settled if field_values.values_by_path(settled) else None


def outlined(objects: Sequence[Mapping[str, Any]], settings: Settings) -> field_schema.Schema | None:
    """The schema that is given, else that of the objects; None if there are none. Values of several types count as texts."""
    if file := getattr(settings, "schema_file", None):
        return field_schema.read(file)
    if not objects:
        return None
    try:
        return field_schema.derived(objects)
    except ValueError:
        names = dict.fromkeys(name for one in objects for name in one)
        return {"type": "object", "properties": {name: {"type": ["string", "null"]} for name in names}, "required": []}


@lru_cache(4)
def _given(file: str, modified: int) -> FieldValues:
    """The values of the schema in a file, which is read once for all rows; `modified` is its modification time, so a changed file is read
    again."""
    return FieldValues(field_schema.read(file))


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError('a JSON object is expected, such as {"order_number": "FH-20231", "quantity": 2}') from None
    if value is None or value == [] or (isinstance(value, str) and not value.strip()):
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("an object with fields is expected")
    return value


def _checked(row: Row, values: FieldValues, by: str) -> dict[str, Any]:
    """The object of a row in the schema's types. Raises DataError if it does not fit."""
    try:
        settled = values.settled(_object(row.output))
        fault = values.fault(settled)
    except ValueError as error:
        settled, fault = {}, str(error)
    if fault:
        raise DataError("tasks.output_does_not_fit", value=joined(row.input), by=by, cause=fault, row=row.number or None)
    return settled


def _read(text: str, finished: bool, values: FieldValues) -> tuple[dict[str, Any] | None, str]:
    """The object in a model's answer, or the reason for none."""
    if not finished:
        return None, "the answer did not come to its end" if text else "the text is too long, or nothing was written"
    try:
        read = json.loads(text)
        if not isinstance(read, dict):
            raise ValueError("no object")
        settled = values.settled(read)
    except (ValueError, RecursionError) as error:
        shown = text if len(text) <= _REFUSED_SHOWN else text[: _REFUSED_SHOWN - 1] + "…"
        return None, f"what was written cannot be read as the fields ({error}): {shown}"
    fault = values.fault(settled)
    return (None, f"the answer does not fit the schema ({fault})") if fault else (settled, "")
