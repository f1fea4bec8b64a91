"""The frozen value that a build's steps pass on: the recipe and all results so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from smidgen.bundles.manifest import Lineage
from smidgen.core.forms import Form
from smidgen.core.parts import Base, EngineSpec, Raw, Student, Task
from smidgen.core.progress import Progress, Silent
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.data.tables import DataTable
from smidgen.flows.build.timing import BaselineSample, Timing
from smidgen.flows.local_model import Model, load
from smidgen.judge.report import Report
from smidgen.judge.sections import CrossValidation, ParityFacts, TeacherFacts
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.store.step_results import StepResults
from smidgen.students.settings import StudentSettings
from smidgen.usage.energy import Energy


@dataclass(frozen=True)
class GivenTables:
    """Training rows, and optionally test rows, that replace the files named in the recipe."""

    train: DataTable
    test: DataTable | None = None


@dataclass(frozen=True)
class PlannedStudent:
    """A student to train, with its settings. `why`: a clause, if the build chose to leave out a part of it."""

    part: Student
    settings: Settings
    why: str = ""


Place: TypeAlias = Path | Callable[[], Path]
"""A folder of files, or how to get it: an earlier build may have removed them, and they are made again only where they are needed."""


def _folder(place: Place) -> Path:
    return place if isinstance(place, Path) else place()


@dataclass(frozen=True)
class TrainedFiles:
    """A trained student on disk, with the seconds and the energy of its training.

    If it combines partners, `partners` are their files, `mix` is their weights, and `place` is the first's.
    """

    student: str
    place: Place
    key: str
    seconds: float
    energy: Energy
    partners: tuple[TrainedFiles, ...] = ()
    mix: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return _folder(self.place)


@dataclass(frozen=True)
class TrainedStudent:
    """A student after its training.

    Attributes:
        files: trained on all the rows it may have.
        form: with its decision fitted on the held-out rows, by a model that never saw them; or on all rows, if they are cross-fitted.
        raw: that model's outputs for the held-out rows.
        metric: its headline metric there.
        cross_fitted: the number of cross-fitted rows; 0 without.
        part_seconds: about how long it takes to learn from most of the rows and to answer the others.
    """

    files: TrainedFiles
    form: Form
    raw: Raw
    metric: Metric
    cross_fitted: int = 0
    part_seconds: float = 0.0


@dataclass(frozen=True)
class StudentVariant:
    """A trained student in the files of an engine, compressed by a method, and timed here. `partners` and `mix`: as in `TrainedFiles`."""

    student: str
    spec: EngineSpec
    place: Place
    key: str
    timing: Timing
    size_mb: float
    partners: tuple[StudentVariant, ...] = ()
    mix: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return _folder(self.place)

    @property
    def bound(self) -> bool:
        """Whether its engine enforces a schema, which the trained model's own writing does not."""
        return bool(self.spec.options.get("schema_of_answers"))

    @property
    def writes(self) -> bool:
        """Whether its answers are written, so that rounding may change a word. Some students of a task may write and others not."""
        return self.timing.tokens_per_second is not None


@dataclass(frozen=True)
class Candidate:
    """A variant that could be shipped.

    Attributes:
        held: the headline metric on held-out rows of the training data; choices are made on it.
        seconds: the student's training time.
        agreement: share of held-out rows with the uncompressed student's answer.
        unfit: why it may not be shipped, a clause; empty if it may.
    """

    variant: StudentVariant
    held: Metric
    seconds: float
    agreement: float = 1.0
    unfit: str = ""
    baseline: bool = False

    @property
    def student(self) -> str:
        """The student's name."""
        return self.variant.student

    @property
    def method(self) -> str:
        """The name of the compression method."""
        return self.variant.spec.method

    @property
    def name(self) -> str:
        """Student and method, as tables show them."""
        return f"{self.student} {self.method}"

    @property
    def p50(self) -> float:
        """Median milliseconds for one text."""
        return self.variant.timing.p50


@dataclass(frozen=True)
class Draft:
    """The chosen candidate, packed and loaded, with its first and its best answers on the test rows, and the `seconds` that these took."""

    chosen: Candidate
    reason: str
    why_not: Mapping[str, str]
    model: Model
    first: list[Reply]
    served: list[Reply]
    seconds: float
    metrics: dict[str, Metric]
    parity: ParityFacts


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A test row with the served model's reply.

    Attributes:
        grade: 1 if the reply is right, 0 if it is wrong; for a graded task its grade between them.
        labels: the wanted and the answered label, if the model gives one label to each text.
    """

    row: Row
    reply: Reply
    grade: float
    labels: tuple[str, str] | None = None


@dataclass(frozen=True)
class Work:
    """A recipe and all results so far. Fields are empty until their step.

    Attributes:
        recipe, out, given, lineage, errors: the arguments of `build`.
        train: rows that the final model may learn from. With `refit`, they include `held`.
        fit: rows that a model may learn from while it is judged on `held`.
        held: rows apart from `fit`: they calibrate, and choose between alternatives. Never the test rows.
        test: rows that are only measured on.
        form: the form of a model of these rows, before calibration.
        left_out: labels with one row, which the model does not know.
        refit: after calibration the model is trained again on all of `train`, because every row counts.
        columns: the names of the input and output columns, for the bundle's manifest.
        sha256, test_sha256: hashes of the training rows as read, and of the test rows, if they came in a separate file.
        source, test_source: the origin of the rows, in words.
        languages: those (ISO 639-1) in which people will write, where the texts of the build do not show it.
        notes: guesses and dropped rows, in words.
        members: the bundles of the models that the new one consists of, by role.
        material: a folder with what students need beside the rows; None if there is nothing.
        teacher: facts of a larger model's teaching, if there was any; its rows are in `train` and `fit`.
        kinds: the students to train, by the names of their parts.
        bases, guide: pretrained weights by family, and the larger decoder that guides another.
        students: the students to train, by their own names.
        trained: those that were trained.
        candidates: the models that may be shipped, and the baseline.
        sample: the number of texts on which a baseline that writes is measured.
        seconds, energy: of all training.
        crossed, answered: the result of cross-validation, and its answer to every row.
    """

    recipe: Recipe
    out: Path = Path()
    given: GivenTables | None = None
    lineage: Lineage | None = None
    errors: str | None = None
    train: Sequence[Row] = ()
    fit: Sequence[Row] = ()
    held: Sequence[Row] = ()
    test: Sequence[Row] = ()
    form: Form = field(default_factory=Form)
    left_out: tuple[str, ...] = ()
    refit: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""
    test_sha256: str | None = None
    source: str = ""
    test_source: str = ""
    languages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    members: Mapping[str, str] = field(default_factory=dict)
    material: Path | None = None
    teacher: TeacherFacts | None = None
    kinds: tuple[str, ...] = ()
    bases: Mapping[str, Base] = field(default_factory=dict)
    guide: Base | None = None
    students: Mapping[str, PlannedStudent] = field(default_factory=dict)
    trained: Mapping[str, TrainedStudent] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    sample: BaselineSample | None = None
    seconds: float = 0.0
    energy: Energy = field(default_factory=lambda: Energy(0.0, ""))
    draft: Draft | None = None
    crossed: CrossValidation | None = None
    answered: tuple[tuple[Row, Reply], ...] = ()
    report: Report | None = None

    @cached_property
    def task(self) -> Task:
        """The task of the form, as far as known."""
        task: Task = registry.find("tasks", self.recipe.task)
        return task if type(self.form) is Form else task.formed(self.form)

    @property
    def packed(self) -> Draft:
        """The draft; it must exist."""
        assert self.draft is not None
        return self.draft

    def wants(self, student: str) -> bool:
        """Whether a student was requested, by name or among all."""
        named = self.recipe.settings(StudentSettings).named
        return not named or student in {registry.find("students", name).name for name in named}

    @property
    def baseline(self) -> str:
        """The student that the others are compared with; empty if the user requested it as the student to ship."""
        return self.task.baseline if self.recipe.settings(StudentSettings).kind != self.task.baseline else ""

    def base(self, student: str) -> Base | None:
        """The pretrained weights that a student starts from."""
        return self.base_of(self.students[student].part)

    def base_of(self, part: Student) -> Base | None:
        """The base of a student's family."""
        return self.bases.get(part.base_family) if part.base_family else None


@dataclass(frozen=True)
class BuildContext:
    """The shared context of all steps: where results are stored, threads, progress, and models to close in the end.

    `scratch` is a folder for this run alone; `fresh`: repeat every step; `build`: builds the model of another recipe into a folder, for
    people who write in some languages.
    """

    steps: StepResults
    scratch: Path
    threads: int = 1
    progress: Progress = field(default_factory=Silent)
    fresh: bool = False
    models: ExitStack = field(default_factory=ExitStack)
    build: Callable[[Recipe, Path, Sequence[str]], object] | None = None

    def loaded(self, folder: Path) -> Model:
        """A bundle of this build, loaded as it will be served; closed with the build."""
        model = load(folder, threads=self.threads)
        self.models.callback(model.close)
        return model


Step: TypeAlias = Callable[[Work, BuildContext], Work]
