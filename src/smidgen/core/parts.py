"""The interface of each kind of part. A part is a file in its room; the file's `part` is an object of one of these classes.

Rooms do not import one another. They exchange rows, forms, raw outputs, bases, engine specs and replies.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from smidgen.core.abilities import (
    AnswerChecks,
    Correctness,
    Dialogue,
    ExampleTable,
    FieldAnswers,
    Grading,
    Members,
    PartialCredit,
    ProjectFiles,
    StudentTargets,
    TaskPage,
    TeacherSources,
    Teaching,
    ToolCalls,
)
from smidgen.core.errors import TrainError
from smidgen.core.forms import Form, LabelForm, TagSet
from smidgen.core.progress import Progress
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Base:
    """A base on this machine.

    Attributes:
        name: the user's name for it: `minilm`, `hf:owner/name`, a folder.
        folder: the folder of config.json, tokenizer.json and the weights.
        sha256: hash of the weights file, hex.
        licence: SPDX identifier, or "unknown".
        source: where it came from, for the model card.
        family: `encoder` or `decoder`.
        prefixes: what it wants before a text, by the text's role in a search: `query` or `passage`. Empty for most.
        max_length: tokens of a text that are worth reading; None if that is not known.
        cosines: the cosine of texts that have nothing in common, and that of texts that say the same.
    """

    name: str
    folder: Path
    sha256: str
    licence: str
    source: str
    family: str = "encoder"
    prefixes: Mapping[str, str] = field(default_factory=dict)
    max_length: int | None = None
    cosines: tuple[float, float] = (0.0, 1.0)


Raw: TypeAlias = Mapping[str, Any]
"""A model's output for n texts, before any decision: named values, each with n rows; float32 arrays except texts.

A classifier yields `logits` (n, outputs), not yet calibrated, and may yield `embedding` (n, width), the pooled features.

A writer yields `texts`, a list of n strings, and float32 arrays (n,): `probability`, the mean probability of the tokens it chose (0..1; 0
for an empty text), `likelihood`, the product of these probabilities, `tokens`, their number, and `finished`, 1 if the text came to its
end and 0 if it was cut. It may yield `inputs`, a list of the n input texts.

A tagger yields `spans`, a list with an entry for each text: all its possible spans, each `[start, end, kind, probability]`, start and end
in characters, the end exclusive, the kind by its number. Spans of one text may overlap; the task decides between them. One that also
makes choices about the whole text yields `choices`, for each text a list of choices, each the probabilities of its values.
"""


class Serving(Protocol):
    """How models that talk with customers are served. Its methods load what they need only when they are called."""

    def settings(self, settings: Any, models: Sequence[Any]) -> Any:
        """Return the server's settings with what the models' own policies add, such as privacy before a fallback."""

    def prepare(self, model: Any) -> None:
        """Make a loaded model ready for customers."""

    def shown(self, file: Path, models: Sequence[Any]) -> AbstractContextManager[Sequence[Any]]:
        """Show the models of a desk file to customers until the block ends.

        Raises InputError unless exactly one of the models fits the file.
        """

    def warnings(self, models: Sequence[Any], shown: Sequence[Any]) -> list[str]:
        """Return a line for each model that cannot do all it has learnt on this machine."""

    def tried_out(self, runner: Runner, texts: Sequence[Text], settings: Any) -> Raw | None:
        """Return the outputs for texts of a loaded model as it works when it is served, with calls made in the test copy that the task's
        settings name; None without a copy."""

    def replies(self, model: Any, texts: Sequence[Text], copy: str | None = None, tools: Path | None = None) -> list[Reply] | None:
        """Return the replies to conversations, with calls made in a test copy of the business's systems; None without a copy.

        Args:
            copy: the environment variables of the copy; by default those of the recipe, where the model was built on this machine.
            tools: the tool file; by default the one that the model was built with.
        """


class Task(ABC):
    """A kind of job: the form of its outputs, how raw outputs become replies, how replies are measured.

    A task describes itself by plain attributes. An ability that only some tasks have is an object, or None. A task's methods take its own
    class of forms, and its own class of settings.

    Attributes:
        name: its name in recipes and bundles: that of its file.
        summary: one line for help pages.
        settings: its settings class.
        students: the students that can learn it, the one that `[train]` belongs to first.
        baseline: the student that the others are compared with.
        headline: the main metric of a model, in 0..1; more is better.
        form_type: the class of its forms.
        units: for metrics that are not shares in 0..1, their units by name.
        loss_words: the loss of an answer in a certificate, in words: that it is wrong, or the part of its grade that is missing.
        most_columns: the most columns of an output.
        several: the settings by which a text may have several labels; empty if they make no difference.
        rows_name_labels: labels are known from the rows only: a label that occurs once cannot be learnt, and new ones appear.
        reads_attributes: several columns may be one input, a list of attributes: `name: Oak stool; colour: red`.
        pair: the names of the two texts of an input, for a task that makes its examples as pairs; None for any other.
        multilingual: its encoders begin with a starter for the languages of its texts, not with the English one in any case.
        decoder: the starter that its decoders begin with where none is named; None for the usual one.
        quick: settings of a build that is quick rather than thorough; empty where there is no quicker way.
        writes: its students write texts, a hundred times slower than giving a label: then fewer rows are held out, no student is taught
            twice, and an answer of the served model in other words does not count as an error.
        streams: an answer may be given piece by piece, while it is written.
        answer_kinds: the forms of a large model's answers to such a job, for recognising unknown jobs: `labels`, `fields`, `spans`, `text`;
            empty if the form shows nothing.
        not_foreseen: why a small model's agreement with a large one cannot be predicted, a clause; empty if it can.
        member_files: the setting that names each kind of file, where its model is a member of another's and its own projects are tables.

        grading: grades for replies that are more or less good, not right or wrong.
        correctness: which replies are right, if not only those that equal the reference.
        partial_credit: credit for the parts of an output that may be partly right.
        change: the change of the headline metric from some replies to others on the same rows, with its paired 95 % interval; None if the
            metric is the mean over rows of right answers, or of grades.
        checks: checks of an answer that need no reference.
        teaching: how a larger model is asked to do it; None if none can.
        teacher_sources: the sources that a larger model needs beside a text.
        targets: its outputs as students of each kind learn them; None if as they are.
        files: the files and folders that its projects consist of; None for a task whose projects are tables of inputs and outputs.
        examples: how the rows of a table become examples; None if they are examples.
        place: joins a parsed output with its text, and raises ValueError with a reason if it does not fit; None if outputs need no text.
        page: how its answers look to a person; None for JSON.
        fields: answers may be objects with fields.
        dialogue: how a conversation becomes one text; None for a task that reads the last message alone.
        calls: answers are calls of tools, which a request may bring with it.
        members: the models that it consists of; None for a model of its own.
        serving: how a model that talks with customers is served; None for any other.
    """

    name: str
    summary: str
    settings: type[Settings]
    students: tuple[str, ...]
    baseline: str
    headline: str
    form_type: type[Form]
    units: Mapping[str, str] = MappingProxyType({})
    loss_words = "the answer is not exactly the reference"
    most_columns = 1
    several: Mapping[str, Any] = MappingProxyType({})
    rows_name_labels = False
    reads_attributes = False
    pair: tuple[str, str] | None = None
    multilingual = False
    decoder: str | None = None
    quick: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    writes = False
    streams = False
    answer_kinds: tuple[str, ...] = ()
    not_foreseen = "not predicted: whether a small model answers as the large one does, only a trained one shows"
    member_files: Mapping[str, str] = MappingProxyType({})

    grading: Grading | None = None
    correctness: Correctness | None = None
    partial_credit: PartialCredit | None = None
    change: Callable[[Sequence[Row], Sequence[Reply], Sequence[Reply], Any], Metric] | None = None
    checks: AnswerChecks | None = None
    teaching: Teaching | None = None
    teacher_sources: TeacherSources | None = None
    targets: StudentTargets | None = None
    files: ProjectFiles | None = None
    examples: ExampleTable | None = None
    place: Callable[[Text, Any], Any] | None = None
    page: TaskPage | None = None
    fields: FieldAnswers | None = None
    dialogue: Dialogue | None = None
    calls: ToolCalls | None = None
    members: Members | None = None
    serving: Serving | None = None

    @abstractmethod
    def parse(self, value: Any, settings: Any) -> Any:
        """A cell of the output column as the task's own value. Raises ValueError with a reason for an unusable cell."""

    @abstractmethod
    def form(self, rows: Sequence[Row], settings: Any) -> Form:
        """The form of a model of these rows. Raises DataError if the rows cannot teach the task."""

    def read_form(self, facts: Mapping[str, Any]) -> Form:
        """The form in a manifest. Raises ValueError, a clause, for one that allows no decision."""
        return self.form_type.read(facts)

    def form_fault(self, form: Any, raw: Raw | None = None) -> str:
        """Why the task cannot decide by a form, a clause; empty if it can. `raw`: optional, a model's output for some text, which the form
        must fit, too."""
        return ""

    def formed(self, form: Form) -> Task:
        """The task of this form, with its own students, baseline and metrics. Returns itself, unless a task comprises several."""
        return self

    def cell_settings(self, form: Any) -> Settings:
        """The settings for parsing the cells of a file for a finished model, whose recipe is not available any more."""
        return self.settings()

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """A key per row by which splits are stratified."""
        return [""] * len(rows)

    def split(self, rows: Sequence[Row], settings: Any, seed: int) -> DividedRows | None:
        """Rows of a table made into examples and split, if the task does that itself; None to split them by stratum."""
        return None

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: Any, settings: Any) -> Form:
        """The form with its decision fitted (temperature, thresholds) on rows that no student was trained on."""
        made: Form = form
        return made

    @abstractmethod
    def decode(self, raw: Raw, form: Any) -> list[Reply]:
        """One reply per row of the raw output."""

    @abstractmethod
    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> dict[str, Metric]:
        """The task's metrics with 95 % intervals."""

    def content(self, reply: Reply) -> str:
        """The reply as the text of a chat message."""
        return reply.output if isinstance(reply.output, str) else json.dumps(reply.output, ensure_ascii=False)

    def labelled(self, output: Any, form: Any) -> Any:
        """Convert an output to the label, or the labels, for training a model of `Form.labelling`."""
        return output


@dataclass(frozen=True, slots=True)
class DividedRows:
    """Examples of a task that splits its rows itself.

    Attributes:
        fit: for learning.
        held: for calibration and for choosing between students; apart from `fit`.
        test: only measured on.
        how: how they were split, in words.
    """

    fit: Sequence[Row]
    held: Sequence[Row]
    test: Sequence[Row]
    how: str


def own_grades(task: Task, rows: Sequence[Row], replies: Sequence[Reply], form: Form) -> list[float] | None:
    """A grade in 0..1 for each reply by the task's own measure; None if replies are only compared with the references."""
    if task.grading is not None:
        return task.grading.grades(rows, replies, form)
    if task.correctness is not None:
        return list(map(float, task.correctness.right(rows, replies, form)))
    return None


def merged_rows(task: Task, rows: Sequence[Row]) -> list[Row]:
    """The rows with those of one input merged, if the task's grades allow several references."""
    return task.grading.merged(rows) if task.grading is not None else list(rows)


def dialogue_text(task: Task, messages: Sequence[Mapping[str, Any]]) -> Text | None:
    """The conversation as one text; None for a task, or a conversation, of which the last message is enough."""
    return task.dialogue.text(messages) if task.dialogue is not None else None


@dataclass(frozen=True, slots=True)
class Training:
    """The input of a student's training.

    Attributes:
        rows: the rows to learn from.
        held: held-out rows: for choosing when to stop, never for gradients.
        form: the form of the answers; see `Form`.
        base: the verified pretrained weights; None for students that need none.
        settings: the student's own settings.
        seed: the only source of randomness.
        teacher: folder of the trained student that this one names as its `teacher`; else None. (The votes of a larger model are
            in the rows themselves, as `shares`.)
        guide: a larger decoder whose token probabilities are the targets; None if the settings name none.
        material: the folder with the files that students need beside the rows (`ProjectFiles.for_students`); None if there are none. It is
            gone after the build: a student copies what its model needs.
    """

    rows: Sequence[Row]
    held: Sequence[Row]
    form: Form
    base: Base | None
    settings: Settings
    seed: int = 0
    teacher: Path | None = None
    guide: Base | None = None
    material: Path | None = None

    @property
    def labels(self) -> LabelForm:
        """The labels to answer with. Raises TrainError for a job of another kind."""
        if self.form.labelling is None:
            raise TrainError("core.student_only_gives_labels", value="--student")
        return self.form.labelling

    @property
    def tags(self) -> TagSet:
        """The spans to find in texts. Raises TrainError for a job of another kind."""
        if self.form.tagging is None:
            raise TrainError("core.student_only_finds_spans", value="--student")
        return self.form.tagging


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace of a step: its folder (files there survive a kill and are found again), threads, progress."""

    folder: Path
    threads: int
    progress: Progress


PLAIN = "fp32"
"""The method of unquantised weights."""
HALF = "f16"
"""The method of a decoder's unquantised weights: llama.cpp computes with half precision at most."""
PUBLISHED = "published"
"""The method of a decoder's weights that are the base's own file, with what was learnt beside them."""
WHOLE = (PLAIN, HALF, PUBLISHED)
"""The methods of weights as they were trained."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How to run a set of files; part of the manifest.

    Attributes:
        engine: name of the engine part (`onnx`, `static`).
        files: names of the files, relative to their folder, that the engine needs.
        options: the engine's options (max_length, ...); JSON-ready.
        method: how it was compressed (`fp32`, `int8-dynamic`, ...), for tables.
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
        frozen: its base stays as it is, so that it also reads languages that its rows lack, if the base does.
        base_family: the family of pretrained weights that it starts from, `encoder` or `decoder`; None where it starts from nothing.
        learns: what rows are to hold that it is given: `labels`, `spans`, `texts`, or `outputs` as the task has them; see `Task.labelled`,
            `StudentTargets`.
        teacher: the student that it is distilled from, which is trained before it; None where none is.
        untaught: of one that teaches nothing and helps its base by what it asks, what it is in words; empty for one that is trained.
        unaided: the settings of such a one for asking its base without help; None for one that is trained.
        shrinks: something of it can be left out to make it as small as was asked: `fitted` is its own.
        partners: of one that adds up what other students compute and has nothing to train of its own, these students: it is made after
            them, where all of them were trained, and made small by making the first small. `mix`, `add` and `joined` are its own.
        embeds: a base that it exports with an idle head makes vectors of texts.
        forecasts: it learns labels from words alone in a moment: what a small model could answer of traffic is foretold by it.
    """

    name: str
    summary: str
    settings: type[Settings]
    engine: str
    base_family: str | None = None
    frozen: bool = False
    learns: Literal["labels", "spans", "texts", "outputs"] = "labels"
    teacher: str | None = None
    untaught = ""
    unaided: Settings | None = None
    shrinks = False
    partners: tuple[str, ...] = ()
    embeds = False
    forecasts = False

    def why_not(self, form: Form) -> str:
        """Why it cannot learn all that answers of this form hold, a clause; empty if it can."""
        return ""

    @abstractmethod
    def fit(self, training: Training, space: Workspace) -> None:
        """Train, and leave the trained model in `space.folder`. Called again after a kill, it continues from its last checkpoint there
        and ends with equal weights."""

    @abstractmethod
    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """The trained model's output for texts, in the framework that trained it: the reference of the parity gate."""

    @abstractmethod
    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Write the trained model into `out` in the files of an engine, at full precision."""

    def fitted(self, training: Training, forms: Mapping[str, TensorBytes], most: float, progress: Progress, other: str) -> FittedSettings:
        """The settings that leave out enough for at most `most` MB in one of the forms. Raises GateError if that would be too much.
        `other`: an alternative for the reader, a clause."""
        return FittedSettings(training.settings)

    def mix(self, raws: Sequence[Raw], rows: Sequence[Row], form: Form) -> Mapping[str, Any] | None:
        """The weight of each partner, JSON-ready, fitted on their outputs for rows that none was trained on; None if together they are no
        better than the first alone."""
        return None

    def add(self, raws: Sequence[Raw], mix: Mapping[str, Any]) -> Raw:
        """Add up the partners' outputs for the same texts."""
        return raws[0]

    def joined(self, specs: Sequence[EngineSpec], mix: Mapping[str, Any]) -> EngineSpec:
        """The partners' files in one folder, as one model."""
        return specs[0]


class FittedSettings(NamedTuple):
    """A student's settings, and the reason, a clause, if they leave out a part of it that the user did not ask to leave out."""

    settings: Settings
    why: str = ""


TensorBytes: TypeAlias = Callable[[Sequence[int], bool], int]
"""Bytes of a decoder's tensor of this shape, norms and biases included. The flag: whether it is a table of token vectors, or the output
layer."""


def bytes_in_16_bits(shape: Sequence[int], table: bool) -> int:
    """In 16 bits, as a decoder is exported; norms and biases in 32. See `TensorBytes`."""
    return math.prod(shape) * (2 if len(shape) > 1 else 4)


class Compressor(ABC):
    """A way to make an exported model smaller or faster.

    Attributes:
        name: as recipes name it.
        summary: one line for help pages.
        engines: whose files it makes small.
        bits: of a number in a matrix, its share of a scale not counted, where it is known beforehand how large files will be; else 0.
    """

    name: str
    summary: str
    engines: tuple[str, ...]
    bits = 0

    @abstractmethod
    def apply(self, spec: EngineSpec, source: Path, out: Path, sample: Sequence[Text]) -> EngineSpec:
        """Write a compressed copy of the model in `source` into `out`. `sample`: training texts, for static calibration."""

    def stored(self, shape: Sequence[int], table: bool) -> int:
        """As `TensorBytes`, of a method that has `bits`; as much as in 16 bits of another."""
        return bytes_in_16_bits(shape, table)


class Engine(ABC):
    """Runs a model's files. Never imports torch. `name` is that of its file."""

    name: str

    @abstractmethod
    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> Runner:
        """Load the files of a model. Raises EngineError if they cannot be loaded."""

    def shares(self, options: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
        """A text that is equal for models that can be loaded together; empty for one that cannot. `hashes`: those of a model's files, by
        name."""
        return ""

    def together(self, models: Sequence[tuple[Path, Mapping[str, Any]]], threads: int) -> Sequence[Runner]:
        """Load models, each by folder and options, for which `shares` is equal; returns a runner for each, in order. Raises EngineError if
        one cannot be loaded."""
        return [self.open(folder, options, threads) for folder, options in models]


class Runner(Protocol):
    """A loaded model: safe for one thread at a time, or for several if its attribute `concurrent` is true."""

    def run(self, texts: Sequence[Text]) -> Raw:
        """Raw outputs for texts, in their order."""
        ...
