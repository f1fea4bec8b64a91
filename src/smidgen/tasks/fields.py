"""Extract, of fields: a text in, an object out that fits a JSON schema. `extract` is this task where its form has a schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import DataError, RecipeError
from smidgen.core.forms import FieldForm
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings
from smidgen.stats import calibration, extraction_metrics, field_values
from smidgen.stats.extraction_metrics import lookup_fields
from smidgen.tasks import field_filling, field_schema, field_tagging, teacher_answers
from smidgen.tasks.field_filling import FieldFiller
from smidgen.tasks.field_parsing import Fits
from smidgen.tasks.field_values import FieldValues, written

MOST_COLUMNS = 200
_REFUSED_SHOWN = 80  # characters of an answer that cannot be used


class ExtractFields(Task):
    """The task `extract` for fields. Two students can learn it: a decoder, which writes them, and a tagger, which finds them in the text,
    where they stand there (see `field_tagging`).

    Args:
        form: what it answers with, once that is known: outputs are then brought into the types of its schema.
    """

    name = "extract"
    summary = "Pull typed fields out of each text, as JSON by a schema: order number, product, quantity, problem."
    baseline = "prompted"
    headline = "f1"
    form_type = FieldForm
    most_columns = MOST_COLUMNS
    partial = True
    teachable = True
    writes = True
    placed_in_text = True

    def __init__(self, settings: type[Settings], form: FieldForm | None = None) -> None:
        self.settings = settings
        self._values = FieldValues(form.json_schema) if form is not None else None
        self._derived = form is not None and form.derived
        # The tagger first: its settings are those that a recipe has which names no student.
        able = form is not None and form.tagging is not None
        self.students: tuple[str, ...] = ("tagger", "decoder") if able else ("decoder",)

    def form_fault(self, form: FieldForm, raw: Raw | None = None) -> str:
        """Why nothing can be decided by a form: a schema that answers cannot be held to, a plan that names fields which the schema
        lacks, or choices that the model does not make."""
        _, mistakes = field_schema.normal(form.json_schema)
        if mistakes:
            return f"the schema cannot be used ({mistakes[0]})"
        return field_tagging.fault(form.tagged, form.json_schema, raw) if form.tagged is not None else ""

    def parse(self, value: Any, settings: Settings) -> Mapping[str, Any]:
        """As `parsed`."""
        return parsed(value, settings)

    def placed(self, text: Text, output: Any) -> dict[str, Any]:
        """The object in the order and the types of the schema. Raises ValueError with the field where it does not fit.

        Of a schema that was derived from the training rows, others may hold what no training row does: they are kept as they are, and
        count against the model.
        """
        assert self._values is not None
        try:
            settled = self._values.settled(output)
            fault = self._values.fault(settled)
        except ValueError as error:
            settled, fault = dict(output), str(error)
        if fault and not self._derived:
            raise ValueError(fault)
        return settled

    def form(self, rows: Sequence[Row], settings: Settings) -> FieldForm:
        """The schema that is given, or what the rows show; and what the model is told.

        Raises DataError for rows that cannot teach it: none, no values at all, a field of several types, a row that does not fit the given
        schema. Raises RecipeError for a schema that answers cannot be held to.
        """
        if not rows:
            raise DataError("there are no rows to learn from", value="0 rows", todo="Give a file with texts and their fields.")
        file = getattr(settings, "schema_file", None)
        schema = field_schema.read(file) if file else self._derive(rows)
        values = FieldValues(schema)
        settled = [_checked(row, values, "extract.schema_file" if file else "the other rows") for row in rows]
        if not any(field_values.values_by_path(output) for output in settled):
            raise DataError("no row has a value", value=f"{len(rows)} rows", todo="Is it the right column? Name it with --label.")
        return FieldForm(
            schema=schema,
            derived=not file,
            instruction=f"Read the message and answer with these fields as JSON: {field_schema.told(schema)}.",
            temperature=1.0,
            shift=0.0,
            tagged=field_tagging.plan_for([row.input for row in rows], settled, schema),
        )

    def barred(self, form: FieldForm) -> dict[str, str]:
        """The tagger, where it cannot fill in the schema, and why."""
        return {} if "tagger" in self.students else {"tagger": "; ".join(_plan(form)["against"])}

    def replanned(self, rows: Sequence[Row], form: FieldForm) -> FieldForm:
        """The form with the plan of these rows, by the same schema."""
        plan = field_tagging.plan_for([row.input for row in rows], [row.output for row in rows], form.json_schema)
        return form.model_copy(update={"tagged": plan})

    def marked(self, rows: Sequence[Row], form: FieldForm) -> list[Row]:
        """The rows as a tagger learns from them: the places in their texts that say the values, and the choices."""
        return field_tagging.marked_rows(rows, _plan(form), self._fits or field_tagging.fitting(form.json_schema))

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """The rarest choice of each row among the fields that have some, so that rare ones are spread evenly."""
        assert self._values is not None
        every = field_values.schema_paths(self._values.schema)
        chosen = [path for path, node in every if "enum" in node or field_schema.kind_of(node)[0] == "boolean"]
        found = [field_values.values_by_path(row.output) for row in rows]
        keys = [[f"{path}={value}" for path in chosen for value in by_path.get(path, ("",))] for by_path in found]
        counts = Counter(key for row in keys for key in row)
        return [min(row, key=lambda key: (counts[key], key), default="") for row in keys]

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: FieldForm, settings: Settings) -> FieldForm:
        """The form with the curve fitted that turns the likelihood of an answer into the chance that all of it is right; of a tagger's
        answers also the threshold from which on a value is given, and what makes the chances of choices mean what they say."""
        if "spans" in raw:
            filler = FieldFiller(self._values or FieldValues(form.json_schema), form, self._fits)
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
        """One reply a text: an object that fits the schema, its score the chance that all of it is right; or None with the score 0, where
        what was written or found does not fit, and the fact `refused` says why. Facts: `tokens` of a decoder's answers, `scores` and
        `spans` of a tagger's."""
        values = self._values or FieldValues(form.json_schema)
        if "spans" in raw:
            return FieldFiller(values, form, self._fits).decode(raw)
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
        """f1, precision and recall over pairs of a field and its value, and exact_match, the share of texts with all of them right."""
        return extraction_metrics.measure_fields([row.output for row in rows], [reply.output for reply in replies])

    def change(self, rows: Sequence[Row], before: Sequence[Reply], after: Sequence[Reply], form: FieldForm) -> Metric:
        """The change of f1, with its paired bootstrap interval."""
        return extraction_metrics.field_change(
            [row.output for row in rows], [reply.output for reply in before], [reply.output for reply in after]
        )

    def content(self, reply: Reply) -> str:
        """The object as JSON; nothing for an answer that was refused."""
        return "" if reply.output is None else json.dumps(reply.output, ensure_ascii=False)

    def field_options(self, form: FieldForm) -> Mapping[str, Sequence[str]]:
        """The options of the fields that a tagger fills in; none where a decoder does."""
        return field_filling.known(form)

    def worded(self, output: Any, form: FieldForm) -> str:
        """The object as it is to be written: JSON without blanks, fields in the order of the schema, numbers without an exponent."""
        return written(output)

    @cached_property
    def _fits(self) -> dict[str, Fits] | None:
        """Whether a value may be a field's, by its path; None where there is no schema yet."""
        return field_tagging.fitting(self._values.schema) if self._values is not None else None

    def lesson(self, form: FieldForm) -> str:
        """The fields in words, and the schema that the answer must fit."""
        schema = json.dumps(form.json_schema, ensure_ascii=False)
        return (
            f"{form.instruction} What the text does not say is null, where null is allowed. Answer with a JSON object that fits this "
            f"JSON schema, and nothing else:\n{schema}"
        )

    def heard(self, answer: str, form: FieldForm, text: Text = "") -> dict[str, Any]:
        """The object that a larger model answers with, in the order and the types of the schema. Raises ValueError for one that is no
        object, or does not fit: an answer is whole or none."""
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

    def overlap(self, one: Any, other: Any) -> float:
        """F1 of the pairs of a field and its value; 1 where both have none."""
        return field_values.fields_f1(one, other)

    def by_heart(self, rows: Sequence[Row], form: FieldForm) -> list[dict[str, Any]]:
        """The commonest value of each field."""
        return lookup_fields([row.output for row in rows])

    def _derive(self, rows: Sequence[Row]) -> field_schema.Schema:
        try:
            schema, mistakes = field_schema.normal(field_schema.derived([row.output for row in rows]))
        except ValueError as error:
            raise DataError(
                f"no schema can be derived ({error})", value=f"{len(rows)} rows", todo="Make them alike, or give a schema: --schema FILE."
            ) from error
        if mistakes == ["the schema: it has no properties"]:
            return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
        if mistakes:
            raise RecipeError(
                "no schema can be derived from the rows", value=f"{len(rows)} rows", todo="Give one: --schema FILE.", mistakes=mistakes
            )
        return schema


def _plan(form: FieldForm) -> dict[str, Any]:
    """How a tagger fills in the fields; see `field_tagging`."""
    assert form.tagged is not None
    return form.tagged


def parsed(value: Any, settings: Settings) -> Mapping[str, Any]:
    """An object, JSON of one, or the cells of several columns; an empty one where there is nothing. Where a schema is given it must fit.

    Raises ValueError, and RecipeError for a schema that answers cannot be held to.
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


@lru_cache(4)
def _given(file: str, modified: int) -> FieldValues:
    """The values of the schema in a file, which is read once for all rows; `modified` says which writing of it."""
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
    """The object of a row in the schema's types. Raises DataError where it does not fit."""
    try:
        settled = values.settled(_object(row.output))
        fault = values.fault(settled)
    except ValueError as error:
        settled, fault = {}, str(error)
    if fault:
        raise DataError(f"the output does not fit {by} ({fault})", value=joined(row.input), todo="Correct it.", row=row.number or None)
    return settled


def _read(text: str, finished: bool, values: FieldValues) -> tuple[dict[str, Any] | None, str]:
    """The object that was written, or why there is none."""
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
