"""The protocols of parts: what a part of each kind must be able to do. A part is a file in its room, whose `part` is such an object.

Rooms do not know each other. They exchange rows, forms, raw outputs, bases, engine specs and replies.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from smidgen.core.errors import TrainError
from smidgen.core.forms import Form, LabelForm, TagSet
from smidgen.core.progress import Progress
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings

# Pretrained weights, found and verified.


@dataclass(frozen=True, slots=True)
class Base:
    """A base on this machine.

    Attributes:
        name: how the user names it: `minilm`, `hf:owner/name`, a folder.
        folder: where config.json, tokenizer.json and the weights lie.
        sha256: hash of the weights file, hex.
        licence: SPDX identifier, or "unknown".
        source: where it came from, for the model card.
        family: `encoder` or `decoder`.
    """

    name: str
    folder: Path
    sha256: str
    licence: str
    source: str
    family: str = "encoder"


Raw: TypeAlias = Mapping[str, Any]
"""What a model computes for n texts, before any decision: named values, each with n rows; float32 arrays but for texts.

A classifier yields `logits` (n, outputs), not yet calibrated, and may yield `embedding` (n, width), the pooled features.

A writer yields `texts`, a list of n strings, and float32 arrays (n,): `probability`, the mean probability of the tokens it chose (0..1; 0
where nothing was written), `likelihood`, the product of these probabilities, `tokens`, how many they are, and `finished`, 1 where the text
came to its end and 0 where it was cut. It may yield `inputs`, a list of the n texts that were asked.

A tagger yields `spans`, a list with an entry for each text: all that may be spans of it, each `[start, end, kind, probability]`, start and
end in characters, the end exclusive, the kind by its number. Spans of one text may overlap; the task decides between them. One that
also makes choices by the whole text yields `choices`, for each text a list of choices, each the probabilities of its values.
"""


class Task(ABC):
    """A kind of job: what outputs look like, how raw outputs become replies, how replies are measured.

    A task says what it can do beyond that by plain attributes, and has a method of its own where the default does not do.

    Attributes:
        name: as recipes and bundles name it: that of its file.
        summary: one line for help pages.
        settings: what can be asked of it.
        students: who can learn it, the one that `[train]` belongs to first.
        baseline: the student that the others are compared with.
        headline: the metric that stands for a model, in 0..1; more is better.
        units: of metrics that are no shares in 0..1, by name, what they count.
        form_type: the class of its forms.
        most_columns: the most columns that an output may stand in.
        graded: replies are more or less good, not right or wrong: `grades` and `gathered` are its own.
        partial: outputs may be right in part, and the headline metric counts the parts: `overlap` and `by_heart` are its own. The reasons
            that its `heard` gives are few, with nothing in them of the answer at hand: they are counted and shown.
        rows_name_labels: outputs are labels that nobody knows but by the rows: one that stands once cannot be learnt, and new ones come up.
        teachable: a larger model can be asked to do it: `lesson` and `heard` are its own.
        writes: its students write texts, a hundred times as slow as giving a label: then fewer rows are kept apart, no student is taught
            twice, and one answer in other words is not held against the served model.
        streams: an answer may be given piece by piece, as it is written.
        loss_words: what the loss of an answer is, in a certificate: that it is wrong, or what is missing of its grade.
        answer_kinds: what a large model's answers to such a job look like, where requests of unknown jobs are looked through: `labels`,
            `fields`, `spans`, `text`; none where they show nothing.
        not_foreseen: why it cannot be told beforehand how often a small model would agree with a large one, a clause; empty where it can.
        nothing: the output that says that nothing was found.
        placed_in_text: outputs are brought together with their texts: `placed` is its own.
    """

    name: str
    summary: str
    settings: type[Settings]
    students: tuple[str, ...]
    baseline: str
    headline: str
    form_type: type[Form]
    units: Mapping[str, str] = MappingProxyType({})
    most_columns = 1
    graded = False
    partial = False
    rows_name_labels = False
    teachable = False
    writes = False
    streams = False
    answer_kinds: tuple[str, ...] = ()
    not_foreseen = "not predicted: whether a small model answers as the large one does, only a trained one shows"
    nothing: Any = None
    loss_words = "the answer is not exactly the reference"
    placed_in_text = False

    # Rows and their form.

    @abstractmethod
    def parse(self, value: Any, settings: Settings) -> Any:
        """A cell of the output column as the task's own value. Raises ValueError with a reason for one that cannot be."""

    @abstractmethod
    def form(self, rows: Sequence[Row], settings: Settings) -> Form:
        """The form of the answers of a model of these rows. Raises DataError where the rows cannot teach the task."""

    def read_form(self, facts: Mapping[str, Any]) -> Form:
        """The form of a manifest. Raises ValueError, a clause, for one that nothing can be decided by."""
        return self.form_type.read(facts)

    def form_fault(self, form: Any, raw: Raw | None = None) -> str:
        """Why the task cannot decide by a form that was read, a clause; empty where it can. `raw`, where it is given, is what the model
        computes for some text, which the form must fit, too."""
        return ""

    def formed(self, form: Form) -> Task:
        """The task of this form, with its own students, baseline and metrics: itself, but for a task that is several."""
        return self

    def cell_settings(self, form: Any) -> Settings:
        """The settings by which the cells of a file are parsed for a finished model, whose recipe is not at hand any more."""
        return self.settings()

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """A key per row by which splits are stratified."""
        return [""] * len(rows)

    def likely(self, cells: Sequence[Any]) -> float:
        """How much cells of a column, none of them empty, look like outputs of this task, so that it can be guessed: 0 not at all, 1
        surely."""
        return 0.0

    def placed(self, text: Text, output: Any) -> Any:
        """A parsed output brought together with its text. Raises ValueError with a reason for one that does not fit it."""
        return output

    def gathered(self, rows: Sequence[Row]) -> list[Row]:
        """Rows of one input merged into one row whose output is the list of all their references, in first-seen order."""
        return list(rows)

    # From raw outputs to replies.

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: Any, settings: Settings) -> Form:
        """The form with its decision fitted (temperature, thresholds) on rows that no student was trained on."""
        made: Form = form
        return made

    @abstractmethod
    def decode(self, raw: Raw, form: Any) -> list[Reply]:
        """One reply per row of the raw output."""

    @abstractmethod
    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> dict[str, Metric]:
        """The task's metrics with 95 % intervals."""

    def grades(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> list[float]:
        """How good each reply is, one value in 0..1 per row."""
        return [float(row.output == reply.output) for row, reply in zip(rows, replies, strict=True)]

    def change(self, rows: Sequence[Row], before: Sequence[Reply], after: Sequence[Reply], form: Any) -> Metric | None:
        """The change of the headline metric between two sets of replies to the same rows, with its paired 95 % interval. None where it is
        the mean over rows of what is right, or of grades."""
        return None

    def states(self, form: Any) -> bool:
        """Whether `misses` can tell anything."""
        return False

    def misses(self, texts: Sequence[Text], outputs: Sequence[Any], form: Any) -> list[float | None]:
        """The share of each text's facts that its output leaves out or makes up, 0..1; None where that cannot be told."""
        return [None] * len(texts)

    def content(self, reply: Reply) -> str:
        """The reply as the text of a chat message."""
        return reply.output if isinstance(reply.output, str) else json.dumps(reply.output, ensure_ascii=False)

    def field_options(self, form: Any) -> Mapping[str, Sequence[str]] | None:
        """The values of each field that has a fixed set of them, by its path, where answers are objects and `Reply.chances` has the chance
        of each; None where answers are no objects."""
        return None

    # How students of each kind are taught it.

    def labelled(self, output: Any, form: Any) -> Any:
        """An output as the label, or the labels, that a model of `Form.labelling` is taught."""
        return output

    def worded(self, output: Any, form: Any) -> Any:
        """An output as the text that a model that writes is taught."""
        return output

    def marked(self, rows: Sequence[Row], form: Any) -> Sequence[Row]:
        """The rows with outputs that a tagger learns from: `{"spans": [...], "choices": [...]}`, spans with `start`, `end` and `label`, and
        of each choice the number of its value, -1 where that is none of its values."""
        return rows

    def barred(self, form: Any) -> Mapping[str, str]:
        """The students that could learn such a task, but not of these rows, by name, each with why, a clause."""
        return {}

    def replanned(self, rows: Sequence[Row], form: Any) -> Form:
        """The form with all that these rows, more than it was made of, tell a student. What it answers with stays."""
        made: Form = form
        return made

    # A larger model that teaches it, or answers in its place.

    def lesson(self, form: Any) -> str:
        """The instruction to a larger model, given once before the texts: what to answer, and in which form."""
        return ""

    def heard(self, answer: str, form: Any, text: Text = "") -> Any:
        """A larger model's answer to a text as the task's own value. Raises ValueError with the reason for one that cannot be used."""
        raise ValueError("no larger model can be asked to do this task")

    def quoted(self, output: Any, form: Any, text: Text) -> str:
        """An output for a text as a larger model is to answer it."""
        return self.content(Reply(output, 1.0))

    def adopted(self, output: Any, form: Any, text: Text) -> Any:
        """An output that another model of this task gave for a text as this form has it. Raises ValueError for one that does not fit."""
        return self.heard(self.quoted(output, form, text), form, text)

    def overlap(self, one: Any, other: Any) -> float:
        """How much of two outputs is the same, 0..1."""
        return float(one == other)

    def by_heart(self, rows: Sequence[Row], form: Any) -> list[Any]:
        """The output for each row by lookup in the other rows, without any skill: a teacher must do better."""
        return [None] * len(rows)

    # Faults that can be seen without knowing the right answer. What has one is written anew.

    def attempts(self, form: Any) -> int:
        """How often an answer with a fault is written anew; 0: never."""
        return 0

    def checks(self, text: Text, form: Any) -> bool:
        """Whether anything can be found wrong with an answer to this text."""
        return False

    def faults(self, raw: Raw, form: Any) -> list[int]:
        """How much is wrong with each answer of a raw output, which has its `inputs`: 0 where nothing is."""
        return [0] * len(raw["inputs"])

    def stand_in(self, text: Text, form: Any) -> Swap | None:
        """A text that the model knows better than this one, to be answered in its place; None where there is none."""
        return None


class Swap(Protocol):
    """A text in place of another, whose answers become answers to that one."""

    @property
    def text(self) -> Text:
        """The text that the model is shown."""
        ...

    def there(self, answer: str) -> str:
        """An answer to the one as an answer to the other."""
        ...

    def back(self, answer: str) -> str | None:
        """The other way; None where that cannot be."""
        ...


def placing(task: Task) -> Callable[[Text, Any], Any] | None:
    """How a task's outputs are brought together with their texts; None where they need not be."""
    return task.placed if task.placed_in_text else None


@dataclass(frozen=True, slots=True)
class Training:
    """All that a student is given to learn from.

    Attributes:
        rows: the rows to learn from.
        held: rows kept apart: for choosing when to stop, never for gradients.
        form: what to answer with; see `Form`.
        base: the verified pretrained weights; None for students that need none.
        settings: the student's own settings.
        seed: the only source of randomness.
        teacher: folder of the trained student that this one names as its `teacher`; else None. (What a larger model's votes came to
            stands in the rows themselves, as `shares`.)
        guide: a larger decoder whose chances of every token are to be learnt; None where the settings name none.
    """

    rows: Sequence[Row]
    held: Sequence[Row]
    form: Form
    base: Base | None
    settings: Settings
    seed: int = 0
    teacher: Path | None = None
    guide: Base | None = None

    @property
    def labels(self) -> LabelForm:
        """The labels to answer with. Raises TrainError for a job of another kind."""
        if self.form.labelling is None:
            raise TrainError(
                "this student only gives labels, and the task needs something else", value="--student", todo="Use --student auto."
            )
        return self.form.labelling

    @property
    def tags(self) -> TagSet:
        """The spans to find in texts. Raises TrainError for a job of another kind."""
        if self.form.tagging is None:
            raise TrainError(
                "this student only finds spans, and the task needs something else", value="--student", todo="Use --student auto."
            )
        return self.form.tagging


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace of a step: its folder (files there survive a kill and are found again), threads, progress."""

    folder: Path
    threads: int
    progress: Progress


PLAIN = "fp32"
"""The method of weights that were not made small."""
HALF = "f16"
"""The method of a decoder's weights that were not made small: llama.cpp computes with half precision at most."""
WHOLE = (PLAIN, HALF)
"""The methods of weights as they were trained."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How a set of files is to be run: goes into the manifest.

    Attributes:
        engine: name of the engine part (`onnx`, `static`).
        files: names of the files, relative to their folder, that the engine needs.
        options: what the engine needs to know (max_length, ...); JSON-ready.
        method: how it was made small (`fp32`, `int8-dynamic`, ...), for tables.
    """

    engine: str
    files: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    method: str = PLAIN


class Student(ABC):
    """A family of small model. May import torch inside its functions; its module must import without it.

    Attributes:
        name: that of its file.
        summary: one line for help pages.
        settings: its section `[train]`.
        engine: the engine that it is exported for.
        base_family: the family of pretrained weights that it starts from, `encoder` or `decoder`; None where it starts from nothing.
        learns: what rows are to hold that it is given: `labels`, `spans`, `texts`, or `outputs` as the task has them; see `Task.labelled`,
            `Task.marked` and `Task.worded`.
        teacher: the student that it is distilled from, which is trained before it; None where none is.
        unaided: its settings for asking its base without help, where it teaches nothing and helps the base by what it asks.
    """

    name: str
    summary: str
    settings: type[Settings]
    engine: str
    base_family: str | None = None
    learns: Literal["labels", "spans", "texts", "outputs"] = "labels"
    teacher: str | None = None
    unaided: Settings | None = None

    @abstractmethod
    def fit(self, training: Training, space: Workspace) -> None:
        """Train, and leave the trained model in `space.folder`. Called again after a kill, it goes on from its last checkpoint there
        and ends with the same weights."""

    @abstractmethod
    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """Raw outputs of the trained model for texts, in the framework that trained it: the reference of the parity gate."""

    @abstractmethod
    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Write the trained model into `out` in the files of an engine, at full precision."""


class FittedSettings(NamedTuple):
    """A student's settings, and in a clause why they leave something of it out that nobody asked to be left out."""

    settings: Settings
    why: str = ""


@runtime_checkable
class Shrinking(Protocol):
    """A student of which something can be left out to make it as small as was asked: what a student may be able to do beyond `Student`."""

    def fitted(self, training: Training, forms: Mapping[str, TensorBytes], most: float, progress: Progress, other: str) -> FittedSettings:
        """The settings, with as much left out as is needed for at most `most` MB in one of the forms. Raises GateError where that would be
        too much; `other` is what else its reader can do, a clause."""
        ...


@runtime_checkable
class JointStudent(Protocol):
    """A student that adds up what its partners compute, with nothing to train of its own. `partners` are students by name: it is made after
    them, where all of them were trained. It is made small by making the first of them small."""

    partners: tuple[str, ...]

    def mix(self, raws: Sequence[Raw], rows: Sequence[Row], form: Form) -> Mapping[str, Any] | None:
        """How much each partner counts, JSON-ready, fitted on what they computed for rows that none was trained on; None where together
        they are no better than the first alone."""
        ...

    def add(self, raws: Sequence[Raw], mix: Mapping[str, Any]) -> Raw:
        """The sum of the partners' raw outputs for the same texts."""
        ...

    def joined(self, specs: Sequence[EngineSpec], mix: Mapping[str, Any]) -> EngineSpec:
        """The partners' files in one folder, as one model."""
        ...


class Compressor(Protocol):
    """A way to make an exported model smaller or faster."""

    name: str
    summary: str
    engines: tuple[str, ...]

    def apply(self, spec: EngineSpec, source: Path, out: Path, sample: Sequence[Text]) -> EngineSpec:
        """Write a compressed copy of the model in `source` into `out`. `sample` are training texts, for static calibration."""
        ...


class Engine(Protocol):
    """Runs a model's files. Never imports torch."""

    name: str

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> Runner:
        """Load the files of a model. Raises EngineError where they cannot be loaded."""
        ...


@runtime_checkable
class Sharing(Protocol):
    """An engine that can hold weights once for several models: what an engine may be able to do beyond `Engine`."""

    def shares(self, options: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
        """A key of what models can share in memory: models with the same key can be held together. `hashes`: of its files, by name."""
        ...

    def together(self, models: Sequence[tuple[Path, Mapping[str, Any]]], threads: int) -> Sequence[Runner]:
        """Load models, folder and options each, that have in common what `shares` says; a runner each, in their order. Raises EngineError
        where one cannot be loaded."""
        ...


class Runner(Protocol):
    """A loaded model: safe to call from one thread at a time, and from several where it has the attribute `concurrent`, true."""

    def run(self, texts: Sequence[Text]) -> Raw:
        """Raw outputs for texts, in their order."""
        ...


# How many bytes tensors take in a form, known before there is a model to weigh.

TensorBytes: TypeAlias = Callable[[Sequence[int], bool], int]
"""Bytes of a decoder's tensor of this shape, norms and biases included; whether it is a table of token vectors, or the output layer."""


@runtime_checkable
class PredictsSize(Protocol):
    """A compressor that knows how large its files will be: what a compressor may be able to do beyond `Compressor`. `bits` are those of a
    number in a matrix, its share of a scale not counted."""

    bits: int

    def stored(self, shape: Sequence[int], table: bool) -> int:
        """See `Stored`."""
        ...


def bytes_in_16_bits(shape: Sequence[int], table: bool) -> int:
    """In 16 bits, as a decoder is exported; norms and biases in 32. See `Stored`."""
    return math.prod(shape) * (2 if len(shape) > 1 else 4)
