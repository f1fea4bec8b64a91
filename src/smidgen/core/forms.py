"""Forms: the kind of a model's answers, and how its raw output becomes a decision. Frozen, and stored as JSON in the bundle's manifest.

Each task may define its own `Form` in its own file. Other code uses a form only through the base class, never through its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

LEAST_TEMPERATURE, MOST_TEMPERATURE = 1e-4, 1e6
_LONGEST_NAME = 1000
_MOST_LABELS, _MOST_KINDS = 20_000, 200
_LONGEST_TEXT = 100_000
_LISTED = 200  # labels that a card lists
_LIKE_ITS_DATA = "Texts should be like those it learnt from."


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a name is there twice")
    return names


Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Temperature = Annotated[Number, Field(ge=LEAST_TEMPERATURE, le=MOST_TEMPERATURE)]
Share = Annotated[Number, Field(ge=0, le=1)]
Coefficient = Annotated[Number, Field(ge=-1e3, le=1e3)]
"""A slope or a shift of a fitted curve."""
Name = Annotated[str, Strict(), Field(min_length=1, max_length=_LONGEST_NAME)]
Names = Annotated[tuple[Name, ...], Field(min_length=1), AfterValidator(_each_once)]


@dataclass(frozen=True, slots=True)
class TagSet:
    """The task of a student that tags: kinds of span, and choices about the whole text, each with `path` and `values`."""

    kinds: tuple[str, ...]
    choices: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class WritingTerms:
    """The task of a student that writes.

    Attributes:
        instruction: part of every prompt; empty for none.
        max_tokens: the most tokens of an answer; 0 to derive it from the training answers.
        schema: the JSON schema that every answer must fit; None for free text.
        lexicon: how texts state attributes; None if there are none.
        reach: where a text is written into a gap between two others, the most characters that are read ahead of it and behind it.
    """

    instruction: str = ""
    max_tokens: int = 0
    schema: dict[str, Any] | None = None
    lexicon: dict[str, Any] | None = None
    reach: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Renaming:
    """How names, running texts, and values of fields are redacted for an outside model."""

    name: Callable[[str], str]
    text: Callable[[str], str]
    value: Callable[[Any], Any]


AnswerShape = Literal["label", "labels", "spans", "fields", "text", "value"]
"""How pages show an answer: a label, a list of labels, spans of the text, fields with values, a text, or JSON."""


@dataclass(frozen=True, slots=True)
class AnswerOutline:
    """How the answers of some rows look, for a person who reads or gives one.

    Attributes:
        shape: how pages show them.
        names: labels, or kinds of span, the most frequent first.
        schema: the JSON schema of the fields; None for answers of another shape, or before any field is known.
    """

    shape: AnswerShape
    names: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TextMark:
    """A place in the text that an answer names: characters from `start` to `end`, its kind or field, and the probability that it is right
    (None if unknown)."""

    start: int
    end: int
    label: str
    score: float | None


class Form(BaseModel):
    """Base of every form. A bundle's form may come from anyone, so fields have bounds, and values out of them are refused.

    An optional field has the default None, and is written only if it has a value.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """The form in a manifest. Raises ValueError, a clause, for one that allows no decision."""
        try:
            return cls.model_validate(dict(facts))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"]) or "the form"
            raise ValueError(f"{where} is {str(first['input'])[:80]!r}: {first['msg']}") from None

    def facts(self) -> dict[str, Any]:
        """The form as JSON, as in the manifest."""
        left_out = {name for name, field in type(self).model_fields.items() if not field.is_required() and getattr(self, name) is None}
        return self.model_dump(mode="json", by_alias=True, exclude=left_out)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that pages list and count by: labels, or kinds of span."""
        return ()

    @property
    def labelling(self) -> LabelForm | None:
        """The fixed set of labels that it answers with; None if answers are of another kind."""
        return None

    @property
    def tagging(self) -> TagSet | None:
        """The task of a student that tags; None if no tagger can learn it."""
        return None

    @property
    def writing(self) -> WritingTerms:
        """The task of a student that writes."""
        return WritingTerms()

    @property
    def unfit_students(self) -> Mapping[str, str]:
        """The students that can learn the task in general, but not answers of this form: by name, the reason as a clause."""
        return {}

    @property
    def options(self) -> tuple[str, ...]:
        """Every label, including the one for out-of-scope texts; empty if answers are of another kind."""
        return self.labelling.every if self.labelling is not None else ()

    @property
    def single_label(self) -> LabelForm | None:
        """The labels, if each text gets one of them; None for several per text, and for answers of another kind."""
        return self.labelling if self.labelling is not None and not self.labelling.multi_label else None

    @property
    def json_answers(self) -> bool:
        """Whether a larger model answers with JSON: lists and objects."""
        return self.labelling is not None and self.labelling.multi_label

    @property
    def answer_schema(self) -> dict[str, Any] | None:
        """The JSON schema that every answer fits; None if answers are not objects."""
        return None

    @property
    def listed(self) -> dict[str, Any]:
        """Its facts in `/v1/models`."""
        return {}

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """Names in the JSON of an answer that are smidgen's own, and stay when the rest is redacted."""
        return ()

    @property
    def pipeline(self) -> str:
        """The kind of model that hubs take one of this form for; empty for none."""
        return ""

    @property
    def page(self) -> str:
        """The kind of browser page that decides as this form does, of `flows.export.onnx_web`; empty where there is none."""
        return ""

    @property
    def shape(self) -> AnswerShape:
        """How pages show an answer."""
        return "value"

    def marks(self, output: Any, facts: Mapping[str, Any]) -> tuple[TextMark, ...]:
        """The places in the text that an answer names, by its output and facts."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of an answer in a table; empty for a single one."""
        return ()

    def cells(self, output: Any, facts: Mapping[str, Any]) -> list[Any]:
        """The cells of an answer in `columns`, by its output and facts. Several values of a cell are joined by semicolons."""
        return []

    def purpose(self, quote: Callable[[str], str]) -> str:
        """On its card, what a model of this form does, with names and texts `quote`d; empty where its task says all."""
        return ""

    @property
    def limits(self) -> tuple[str, ...]:
        """On its card, what a model of this form is not for, beside what none is for."""
        return ()

    @property
    def made_rows(self) -> bool:
        """Whether its rows were made by rules from what it answers from, whose words they share."""
        return False

    @property
    def fitted(self) -> bool:
        """Whether scores were fitted on held-out rows."""
        return True

    def uncalibrated(self) -> Self:
        """The form without any fitted calibration."""
        return self

    def renamed(self, by: Renaming) -> Self:
        """The form, redacted for an outside model."""
        return self


class LabelForm(Form):
    """One label of a fixed set, or several, or the answer that none fits.

    Attributes:
        labels: in the order of the logits.
        multi_label: whether a text may have several.
        temperature: the divisor of the logits.
        unknown: the label of out-of-scope texts.
        unknown_examples: the number of rows with it. A student then has one more output, for it.
        unknown_threshold: the strangeness over which a text gets it.
        threshold: the probability from which a label is given, with several per text.
        class_weights: `balanced` if rare labels count as much as common ones in training.
    """

    labels: Annotated[Names, Field(max_length=_MOST_LABELS)]
    multi_label: StrictBool
    temperature: Temperature
    unknown: Name | None = None
    unknown_examples: StrictInt | None = None
    unknown_threshold: Share | None = None
    threshold: Share | None = None
    class_weights: StrictStr | None = None

    @model_validator(mode="after")
    def _can_decide(self) -> Self:
        if self.multi_label and self.threshold is None:
            raise ValueError("several labels need a threshold")
        if self.unknown is not None and not self.multi_label:
            if self.unknown in self.labels:
                raise ValueError("unknown is one of the labels")
            if self.unknown_threshold is None:
                raise ValueError("unknown needs an unknown_threshold")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The labels."""
        return self.labels

    @property
    def labelling(self) -> LabelForm:
        """Itself."""
        return self

    @property
    def every(self) -> tuple[str, ...]:
        """All labels, the one for out-of-scope texts last."""
        return self.labels if self.unknown is None else (*self.labels, self.unknown)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The label of each logit of a student: the labels, and the unknown one if it has examples."""
        return self.every if self.unknown_examples else self.labels

    def foreign(self, outputs: Iterable[str | Sequence[str] | None]) -> list[str]:
        """The labels that outputs want, in order, if none of them is one of these; else none."""
        wanted = {label for output in outputs for label in ([output] if isinstance(output, str) else output or ())}
        return [] if wanted & {*self.every} else sorted(wanted)

    @property
    def pipeline(self) -> str:
        """A classifier of texts."""
        return "text-classification"

    @property
    def page(self) -> str:
        """A page that shows labels."""
        return "classify"

    @property
    def shape(self) -> AnswerShape:
        """A label, or several."""
        return "labels" if self.multi_label else "label"

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The labels, the first of very many."""
        how = "any number of" if self.multi_label else "one"
        shown = ", ".join(quote(label) for label in self.labels[:_LISTED])
        rest = f", and {len(self.labels) - _LISTED:,} more" if len(self.labels) > _LISTED else ""
        what = f"It gives a text {how} of {len(self.labels):,} labels, with a score from 0 to 1."
        return f"{what} {_LIKE_ITS_DATA}\n\n{shown}{rest}."

    @property
    def limits(self) -> tuple[str, ...]:
        """Texts that no label fits, unless it has a label for them."""
        if self.unknown is not None:
            return ()
        return ("Texts outside all of its labels: it was not trained to recognise them, and always answers with a label.",)

    @property
    def listed(self) -> dict[str, Any]:
        """Labels, whether several per text, and the unknown label."""
        facts = self.facts()
        return {name: facts[name] for name in ("labels", "multi_label", "unknown") if name in facts}

    def uncalibrated(self) -> Self:
        """The form at temperature 1."""
        return self.model_copy(update={"temperature": 1.0})

    def renamed(self, by: Renaming) -> Self:
        """A copy with other labels."""
        changed: dict[str, Any] = {"labels": tuple(by.name(label) for label in self.labels)}
        if self.unknown is not None:
            changed["unknown"] = by.name(self.unknown)
        return self.model_copy(update=changed)


class SpanForm(Form):
    """Spans of the text, each with its kind.

    Attributes:
        kinds: in the order of their numbers.
        only: whether rows may have spans of other kinds, which are ignored.
        threshold: the probability from which a span is given.
        span_slope, span_shift: the curve from a span's probability to the probability that it is right.
        temperature, shift: the curve from the product of these to the probability that the whole answer is right.
    """

    kinds: Annotated[Names, Field(max_length=_MOST_KINDS)]
    only: StrictBool
    threshold: Share
    span_slope: Coefficient
    span_shift: Coefficient
    temperature: Temperature
    shift: Coefficient

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds."""
        return self.kinds

    @property
    def tagging(self) -> TagSet:
        """The kinds."""
        return TagSet(self.kinds)

    @property
    def json_answers(self) -> bool:
        """A list of spans."""
        return True

    @property
    def pipeline(self) -> str:
        """A classifier of words."""
        return "token-classification"

    @property
    def page(self) -> str:
        """A page that marks spans."""
        return "extract"

    @property
    def shape(self) -> AnswerShape:
        """Spans."""
        return "spans"

    def marks(self, output: Any, facts: Mapping[str, Any]) -> tuple[TextMark, ...]:
        """The spans."""
        scores = facts.get("scores") or [None] * len(output or ())
        return tuple(TextMark(span["start"], span["end"], span["label"], score) for span, score in zip(output or (), scores, strict=True))

    @property
    def columns(self) -> tuple[str, ...]:
        """The kinds."""
        return self.kinds

    def cells(self, output: Any, facts: Mapping[str, Any]) -> list[Any]:
        """The words of each kind's spans."""
        words = list(zip(output or (), facts.get("texts") or (), strict=False))
        return ["; ".join(text for span, text in words if span["label"] == kind) for kind in self.kinds]

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The names in a span."""
        return ("text", "label")

    def uncalibrated(self) -> Self:
        """The form in which an answer's probability is the product of its spans'."""
        return self.model_copy(update={"temperature": 1.0, "shift": 0.0})

    def renamed(self, by: Renaming) -> Self:
        """A copy with other kinds."""
        return self.model_copy(update={"kinds": tuple(by.name(kind) for kind in self.kinds)})


class FieldForm(Form):
    """An object with typed fields.

    Attributes:
        json_schema: the schema of every answer; `schema` in the manifest.
        derived: whether it was derived from the rows, and not given.
        instruction: the instruction for a model that writes.
        temperature, shift: the curve from an answer's likelihood to the probability that all of it is right.
        tagged: how a tagger fills in the fields, or why none can; see `tasks.field_tagging`.
    """

    json_schema: dict[str, Any] = Field(alias="schema")
    derived: StrictBool
    instruction: StrictStr
    temperature: Temperature
    shift: Coefficient
    tagged: dict[str, Any] | None = None

    @property
    def tagging(self) -> TagSet | None:
        """The fields that occur in texts, and those that are chosen."""
        plan = self.tagged or {}
        return TagSet(tuple(plan["kinds"]), tuple(plan["choices"])) if "kinds" in plan else None

    @property
    def unfit_students(self) -> Mapping[str, str]:
        """The tagger, if it cannot fill in the schema."""
        return {} if self.tagging is not None else {"tagger": "; ".join((self.tagged or {}).get("against", ()))}

    @property
    def writing(self) -> WritingTerms:
        """The instruction and the schema."""
        return WritingTerms(self.instruction, schema=self.json_schema)

    @property
    def json_answers(self) -> bool:
        """An object."""
        return True

    @property
    def answer_schema(self) -> dict[str, Any]:
        """The schema."""
        return self.json_schema

    @property
    def pipeline(self) -> str:
        """A classifier of words where a tagger may fill in the fields, else a writer."""
        return "text-generation" if self.tagged is None else "token-classification"

    @property
    def shape(self) -> AnswerShape:
        """Fields."""
        return "fields"

    def marks(self, output: Any, facts: Mapping[str, Any]) -> tuple[TextMark, ...]:
        """The places where the text states a value, if a tagger found them."""
        scores = facts.get("scores") or {}
        found = ((start, end, path) for path, places in (facts.get("spans") or {}).items() for start, end in places)
        return tuple(TextMark(start, end, path, scores.get(path)) for start, end, path in sorted(found))

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields; names of nested ones are joined by dots."""
        return tuple(_schema_leaves(self.json_schema, ""))

    def cells(self, output: Any, facts: Mapping[str, Any]) -> list[Any]:
        """The values of the fields."""
        return [_cell_at(output, path.split(".")) for path in self.columns]

    @property
    def page(self) -> str:
        """A page that shows fields, where a tagger fills them in."""
        return "fields" if self.tagging is not None else ""

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The fields, and what becomes of an answer that does not fit the schema."""
        fields = ", ".join(quote(name) for name in self.json_schema.get("properties", {}))
        return (
            f"It answers a text with a JSON object of these fields: {fields}. The object always fits the JSON schema in `smidgen.json` "
            "(`form.schema`); where none can be made that fits, it gives no answer and the score 0. The score is the chance that the whole "
            f"object is right. {_LIKE_ITS_DATA}"
        )

    @property
    def listed(self) -> dict[str, Any]:
        """The schema."""
        return {"schema": self.json_schema}

    def uncalibrated(self) -> Self:
        """The form in which an answer's score is its likelihood."""
        return self.model_copy(update={"temperature": 1.0, "shift": 0.0})

    def renamed(self, by: Renaming) -> Self:
        """A copy with other fields, choices, descriptions and instruction."""
        schema = _renamed_schema(self.json_schema, by)
        return self.model_copy(update={"json_schema": schema, "instruction": by.text(self.instruction)})


class TextForm(Form):
    """A text.

    Attributes:
        instruction: the instruction that the model gets with each text.
        max_tokens: the most tokens of an answer; 0 for somewhat more than the longest training answer.
        max_words: the words of the longest training answer.
        attributes: whether inputs are attributes, which answers are checked against.
        score: how an answer's score is computed; None for the mean probability of its tokens.
        lexicon: which words state which attribute.
        attempts: how often an answer with a fault is written anew.
        copied: values of attributes that answers repeat.
    """

    instruction: StrictStr
    max_tokens: Annotated[StrictInt, Field(ge=0, le=8192)]
    max_words: Annotated[StrictInt, Field(ge=0, le=_LONGEST_TEXT)]
    attributes: StrictBool
    score: dict[str, Any] | None
    lexicon: dict[str, Any] | None = None
    attempts: Annotated[StrictInt, Field(ge=0, le=16)] | None = None
    copied: dict[str, Any] | None = None

    @property
    def shape(self) -> AnswerShape:
        """A text."""
        return "text"

    @property
    def writing(self) -> WritingTerms:
        """The instruction, the length limit, and the lexicon."""
        return WritingTerms(self.instruction, self.max_tokens, lexicon=self.lexicon)

    @property
    def pipeline(self) -> str:
        """A writer."""
        return "text-generation"

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The instruction, and what answers are checked against."""
        what = "It answers a text with a text, as its examples do."
        if told := self.instruction.strip():
            what += f" It was told: “{quote(told)}”"
        if self.attributes:
            what += " Its inputs are attributes; what it writes is checked against them."
        return f"{what} {_LIKE_ITS_DATA}"

    @property
    def limits(self) -> tuple[str, ...]:
        """Facts, and conversation."""
        return (
            "Facts that nobody checks. It may leave out what it was given and state what it was not; Results says how often that was seen.",
            "Conversation: it was taught to answer one message. It can be asked more, and was not measured on that.",
        )

    @property
    def fitted(self) -> bool:
        """Whether a score was fitted."""
        return self.score is not None

    def uncalibrated(self) -> Self:
        """Without a fitted score."""
        return self.model_copy(update={"score": None})

    def renamed(self, by: Renaming) -> Self:
        """A copy with another instruction."""
        return self.model_copy(update={"instruction": by.text(self.instruction)})


def _schema_leaves(schema: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, node in schema.get("properties", {}).items():
        if "properties" in node:
            yield from _schema_leaves(node, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _cell_at(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, list) and not any(isinstance(one, list | Mapping) for one in value):
        return "; ".join(str(one) for one in value)
    return value


def _renamed_schema(node: Any, by: Renaming) -> Any:
    """A redacted schema: fields and choices renamed as names, descriptions as texts, the rest unchanged."""
    if isinstance(node, list):
        return [_renamed_schema(one, by) for one in node]
    if not isinstance(node, Mapping):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            made[key] = {by.name(field): _renamed_schema(inner, by) for field, inner in value.items()}
        elif key == "required":
            made[key] = [by.name(field) for field in value]
        elif key == "enum":
            made[key] = [by.value(one) for one in value]
        elif key == "description":
            made[key] = by.text(value)
        elif key != "pattern" or by.name(value) == value:  # a pattern with placeholders in it would fit nothing
            made[key] = _renamed_schema(value, by)
    return made
