"""What a part of each kind must be able to do. A part is a file in its room; the file's `part` is an object of one of these shapes.

Rooms are blind to one another. What passes between them: rows, forms, raw outputs, bases, engine specs, replies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from smidgen.core.metrics import Metric
from smidgen.core.progress import Progress
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

Form: TypeAlias = dict[str, Any]
"""What a model answers with, and how its raw output becomes a decision. JSON-ready; stored in the bundle's manifest.

For `classify`: `labels` (list of str, in the order of the logits), `multi_label`, `unknown`, `temperature`, ... For `write`:
`instruction`, `max_tokens`, `attributes`, `lexicon`, `score`. For `extract` of spans: `kinds` (list of str, in the order of their numbers),
`threshold`, `temperature`, ...; of fields: `schema` (JSON schema of the object), `derived`, `instruction`, `temperature`, `shift`, and of a
tagger `tagged`: `kinds`, `choices` (each with its `values`), and how what it finds becomes values.
"""


class Task(Protocol):
    """A kind of job: what outputs look like, how raw outputs become replies, how replies are measured."""

    name: str
    summary: str
    settings: type[Settings]
    students: tuple[str, ...]
    baseline: str
    headline: str

    def parse(self, value: Any, settings: Settings) -> Any:
        """A cell of the output column as the task's own value. Raises ValueError with a reason for one that cannot be."""
        ...

    def form(self, rows: Sequence[Row], settings: Settings) -> Form:
        """What a model of these rows will answer with. Raises DataError where the rows cannot teach the task."""
        ...

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """A key per row by which splits are stratified."""
        ...

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: Form, settings: Settings) -> Form:
        """The form with its decision fitted (temperature, thresholds) on rows that no student was trained on."""
        ...

    def decode(self, raw: Raw, form: Form) -> list[Reply]:
        """One reply per row of the raw output."""
        ...

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: Form) -> dict[str, Metric]:
        """The task's metrics with 95 % intervals."""
        ...

    def content(self, reply: Reply) -> str:
        """The reply as the text of a chat message."""
        ...


@runtime_checkable
class Graded(Protocol):
    """A task whose replies are more or less good, not right or wrong: what a task may be able to do beyond `Task`."""

    def grades(self, rows: Sequence[Row], replies: Sequence[Reply], form: Form) -> list[float]:
        """How good each reply is, one value in 0..1 per row."""
        ...

    def gathered(self, rows: Sequence[Row]) -> list[Row]:
        """Rows of one input merged into one row whose output is the list of all their references, in first-seen order."""
        ...


@runtime_checkable
class ChecksForm(Protocol):
    """A task that can tell whether it can decide by a form, which may come in a bundle from elsewhere: what a task may be able to do beyond
    `Task`. It is asked before anything else is done with the form."""

    def form_fault(self, form: Form, raw: Raw | None = None) -> str:
        """Why the task cannot decide by this form, a clause; empty where it can. `raw`, where it is given, is what the model computes for
        some text, which the form must fit, too."""
        ...


@runtime_checkable
class Stating(Protocol):
    """A task whose replies can be held against their texts alone: what a task may be able to do beyond `Task`."""

    def misses(self, texts: Sequence[Text], outputs: Sequence[Any], form: Form) -> list[float | None]:
        """For each text the share of what it says that its output leaves out or makes up, 0..1; None where that cannot be told of it."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """A task that a larger model can be asked to do: what a task may be able to do beyond `Task`. An answer of the larger model looks like
    `content` of a reply, or as `Quoting` says."""

    def lesson(self, form: Form) -> str:
        """What a larger model is told, once, before it is given texts: what to answer, and in which form."""
        ...

    def heard(self, answer: str, form: Form, text: Text = "") -> Any:
        """A larger model's answer to a text as the task's own value. Raises ValueError with the reason for one that cannot be used."""
        ...


@runtime_checkable
class Quoting(Protocol):
    """A task whose answers look otherwise where a larger model gives them than where its own students do: what a `Teachable` task may be
    able to do beyond that."""

    def quoted(self, output: Any, form: Form, text: Text) -> str:
        """An output for a text as a larger model is to answer it."""
        ...


@runtime_checkable
class Overlapping(Protocol):
    """A task whose outputs may be right in part, and which its headline metric counts in parts: what a `Teachable` task may be able to do
    beyond that. The reasons that its `heard` gives are few, with nothing in them of the answer at hand: they are counted and shown."""

    def overlap(self, one: Any, other: Any) -> float:
        """How much of two outputs is the same, 0..1."""
        ...

    def by_heart(self, rows: Sequence[Row], form: Form) -> list[Any]:
        """For each row the output of someone who knows the other rows by heart and cannot do the job: a teacher must do better."""
        ...


def quoted(task: Task, output: Any, form: Form, text: Text) -> str:
    """An output as a larger model is to answer it."""
    return task.quoted(output, form, text) if isinstance(task, Quoting) else task.content(Reply(output, 1.0))


@runtime_checkable
class Placing(Protocol):
    """A task whose outputs speak of places in their text: what a task may be able to do beyond `Task`."""

    def placed(self, text: Text, output: Any) -> Any:
        """A parsed output brought together with its text. Raises ValueError with a reason for one that does not fit it."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A task that can tell, without knowing the right answer, what is wrong with one. What is wrong is written anew."""

    def attempts(self, form: Form) -> int:
        """How often an answer with a fault is written anew; 0: never."""
        ...

    def checks(self, text: Text, form: Form) -> bool:
        """Whether anything can be found wrong with an answer to this text."""
        ...

    def faults(self, raw: Raw, form: Form) -> list[int]:
        """How much is wrong with each answer of a raw output, which has its `inputs`: 0 where nothing is."""
        ...

    def stand_in(self, text: Text, form: Form) -> Swap | None:
        """A text that the model knows better than this one, to be answered in its place; None where there is none."""
        ...


class Swap(Protocol):
    """A text in place of another, whose answers become answers to that one."""

    @property
    def text(self) -> Text:
        """What the model is shown."""
        ...

    def there(self, answer: str) -> str:
        """An answer to the one as an answer to the other."""
        ...

    def back(self, answer: str) -> str | None:
        """The other way; None where that cannot be."""
        ...


@runtime_checkable
class Comparing(Protocol):
    """A task whose headline metric is no mean over rows, and which can say how sure a change in it is."""

    def change(self, rows: Sequence[Row], before: Sequence[Reply], after: Sequence[Reply], form: Form) -> Metric:
        """What the headline metric changed by from some replies to others on the same rows, with its paired 95 % interval."""
        ...


@runtime_checkable
class Worded(Protocol):
    """A task whose outputs are no texts, and which a model that writes is taught all the same: what a task may be able to do beyond
    `Task`."""

    def worded(self, output: Any, form: Form) -> str:
        """An output as the text that is to be written."""
        ...


@runtime_checkable
class Marking(Protocol):
    """A task whose outputs are no spans, and which a model that tags is taught all the same, where it can be: what a task may be able to
    do beyond `Task`."""

    def marked(self, rows: Sequence[Row], form: Form) -> list[Row]:
        """The rows with outputs that a tagger learns from: `{"spans": [...], "choices": [...]}`, spans with `start`, `end` and `label`, and
        of each choice the number of its value, -1 where that is none of its values."""
        ...

    def barred(self, form: Form) -> Mapping[str, str]:
        """The students that could learn such a task, but not of these rows, by name, each with why, a clause."""
        ...

    def replanned(self, rows: Sequence[Row], form: Form) -> Form:
        """The form with all that these rows, more than it was made of, tell a model that tags. What it answers with stays."""
        ...


@runtime_checkable
class Formed(Protocol):
    """A task that is several: which one it is, its form says. What a task may be able to do beyond `Task`."""

    def formed(self, form: Form) -> Task:
        """The task of this form, with its own students, baseline and metrics."""
        ...


@runtime_checkable
class Recognising(Protocol):
    """A task that can tell whether outputs look like its own, so that it can be guessed. What a task may be able to do beyond `Task`."""

    def likely(self, cells: Sequence[Any]) -> float:
        """How much cells of a column, none of them empty, look like outputs of this task: 0 not at all, 1 surely."""
        ...


@runtime_checkable
class Unaided(Protocol):
    """A student that teaches nothing and helps its base by what it asks it: what a student may be able to do beyond `Student`. `unaided`
    are its settings for asking without that help."""

    unaided: Settings


def formed(task: Task, form: Form) -> Task:
    """The task that a form is of: itself, but for a task that is several."""
    return task.formed(form) if isinstance(task, Formed) else task


def most_columns(task: Task) -> int:
    """The most columns that an output of the task may stand in: its attribute `most_columns`, where it has one."""
    return int(getattr(task, "most_columns", 1))


def writes(task: Task) -> bool:
    """Whether its students write texts, a hundred times as slow as giving a label: then fewer rows are kept apart, no student is taught
    twice, and one answer in other words is not held against the served model."""
    return isinstance(task, Graded | Worded)


def placing(task: Task) -> Callable[[Text, Any], Any] | None:
    """How a task's outputs are brought together with their texts; None where they need not be."""
    return task.placed if isinstance(task, Placing) else None


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
        soft: teacher logits for `rows`, (n, outputs), where another model teaches; else None. (What a larger model's votes came to stands
            in the rows themselves, as `shares`.)
        teacher: folder of an already trained student that may be distilled from; else None.
        guide: a larger decoder whose chances of every token are to be learnt; None where the settings name none.
    """

    rows: Sequence[Row]
    held: Sequence[Row]
    form: Form
    base: Base | None
    settings: Settings
    seed: int = 0
    soft: Any = None
    teacher: Path | None = None
    guide: Base | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where a step works: its folder (what is written there survives a kill and is found again), threads, progress."""

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


class Student(Protocol):
    """A family of small model. May import torch inside its functions; its module must import without it. `base_family` is the family of
    pretrained weights that it starts from (`encoder`, `decoder`), None where it starts from nothing; `engine` names the engine that it is
    exported for, before anything is trained."""

    name: str
    summary: str
    settings: type[Settings]
    base_family: str | None
    engine: str

    def fit(self, training: Training, space: Workspace) -> None:
        """Train, and leave the trained model in `space.folder`. Called again after a kill, it goes on from its last checkpoint there
        and ends with the same weights."""
        ...

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """What the trained model computes for texts, in the framework that trained it: the reference of the parity gate."""
        ...

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Write the trained model into `out` in the files of an engine, at full precision."""
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
        """What models must have in common to be held together: those that give the same text can be. `hashes` are those of a model's files,
        by name."""
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
