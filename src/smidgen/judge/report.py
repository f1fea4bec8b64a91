"""The schema of `report.json`, which the model card, the page and `smidgen eval` read."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from smidgen.core.errors import BundleError
from smidgen.judge.sections import (
    BaselineFacts,
    BuildAlternative,
    CalibrationFacts,
    ClassRow,
    ConfusionPair,
    ConfusionTable,
    CostFacts,
    CrossValidation,
    DataFacts,
    Environment,
    Filling,
    LearningCurve,
    Measured,
    Mistake,
    OutOfScope,
    ParityFacts,
    ReportPart,
    RiskCoverage,
    SpeedFacts,
    StudentFacts,
    TeacherFacts,
    TrainingFacts,
    WrittenSample,
)

FORMAT = 1
_LIMIT_BYTES = 50_000_000


class Report(ReportPart):
    """The whole report.

    `headline` names the metric that decides. `graded`: answers are better or worse, not right or wrong, and the headline is the mean of
    their grades. `created` is ISO 8601 in UTC; `command` builds the model again. `unchanged` is the baseline that returns the input.
    `units` are those of metrics that are not shares in 0..1. `closed`: no text can be out of scope. These two are written only if they are
    set.
    """

    format: int = FORMAT
    name: str
    task: str
    created: str
    headline: str = "accuracy"
    graded: bool = False
    command: str | None = None
    data: DataFacts = DataFacts()
    teacher: TeacherFacts | None = None
    student: StudentFacts
    metrics: dict[str, Measured] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    closed: bool = False
    per_class: tuple[ClassRow, ...] = ()
    confusion_pairs: tuple[ConfusionPair, ...] = ()
    confusion: ConfusionTable | None = None
    calibration: CalibrationFacts | None = None
    risk_coverage: RiskCoverage | None = None
    unknown: OutOfScope | None = None
    cross_validation: CrossValidation | None = None
    baseline: BaselineFacts | None = None
    unchanged: BaselineFacts | None = None
    alternatives: tuple[BuildAlternative, ...] = ()
    parity: ParityFacts | None = None
    speed: SpeedFacts = SpeedFacts()
    training: TrainingFacts = TrainingFacts()
    cost: CostFacts | None = None
    learning_curve: LearningCurve | None = None
    mistakes: tuple[Mistake, ...] = ()
    samples: tuple[WrittenSample, ...] = ()
    fillings: tuple[Filling, ...] = ()
    environment: Environment = Environment()

    @property
    def strongest(self) -> BaselineFacts | None:
        """The better of the baseline and the baseline that returns the input."""
        told = [base for base in (self.baseline, self.unchanged) if base is not None]
        measured = [base for base in told if self.headline in base.metrics]
        return max(measured, key=lambda base: base.metrics[self.headline].value) if measured else next(iter(told), None)

    def json_text(self) -> str:
        """The text of `report.json`: indented, with one trailing newline."""
        return self.model_dump_json(indent=1, exclude={name for name in ("units", "closed") if not getattr(self, name)}) + "\n"


def read(file: Path) -> Report:
    """Read a report. Raises BundleError for a file that is not a report, or of a newer format."""
    if not file.is_file() or file.stat().st_size > _LIMIT_BYTES:
        raise BundleError("judge.there_is_no_report_to_read", value=str(file), file=file.name)
    try:
        report = Report.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise BundleError("judge.report_cannot_be_read", value=str(file), place=place, reason=first["msg"], file=file.name) from None
    if report.format > FORMAT:
        raise BundleError("judge.report_is_of_newer_format", value=report.format, file=file.name)
    return report
