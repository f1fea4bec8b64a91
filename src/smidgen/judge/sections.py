"""The sections of a report. `report.py` puts them together.

Every measurement may be missing: None, shown as "not measured". Shares are in 0..1; times name their unit.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from smidgen.core.quantities import Metric


class ReportPart(BaseModel):
    """Base of every part of a report: immutable; fields of newer versions are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Measured(ReportPart):
    """A number with its 95 % interval; `n` is the number of rows it rests on."""

    value: float
    low: float
    high: float
    n: int = 0


class Delta(ReportPart):
    """A change on the same rows with its paired 95 % interval; `p` is the exact p-value of no change, if there is one."""

    value: float
    low: float
    high: float
    p: float | None = None
    gained: int = 0
    lost: int = 0


class LabelCount(ReportPart):
    """Rows of one label."""

    label: str
    train: int = 0
    held: int = 0
    test: int = 0


class DataFacts(ReportPart):
    """The data that a model was made from.

    With `refit` the held-out rows are among the training rows: a first model was judged on them, and the shipped one was trained on them,
    too. `sha256` is of the training data as read, `test_sha256` of a separate test file; `test_source` is the origin of the test rows.
    `made`: rules made the rows from what the model answers from, and they share its words. `left_out`: labels with one row, which the model
    does not know. `cross_fitted`: the training rows that calibrated the scores in place of the held-out ones, each answered by a model that
    learnt from the others.
    """

    train: int | None = None
    held: int | None = None
    cross_fitted: int = 0
    test: int | None = None
    refit: bool = False
    made: bool = False
    out_of_scope_train: int = 0
    out_of_scope_test: int = 0
    sha256: str | None = None
    test_sha256: str | None = None
    licence: str = "unknown"
    source: str = ""
    test_source: str = ""
    labels: tuple[LabelCount, ...] = ()
    left_out: tuple[str, ...] = ()


class ClassRow(ReportPart):
    """One label's scores; None without rows to score. `train` is its number of training rows."""

    label: str
    precision: Measured | None = None
    recall: Measured | None = None
    f1: Measured | None = None
    support: int = 0
    predicted: int = 0
    train: int | None = None


class ConfusionPair(ReportPart):
    """Rows of label `gold` that were given `predicted`; `share` is of the gold label's rows."""

    gold: str
    predicted: str
    count: int
    share: float


class ConfusionTable(ReportPart):
    """Counts, gold down and predicted across, labels ordered so that those mistaken for each other are neighbours.

    With many labels only the most confused are shown. `left_out`: the number of the others; `left_out_errors`: the wrong answers among
    their rows.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    left_out: int = 0
    left_out_errors: int = 0


class CalibrationBin(ReportPart):
    """Rows of similar score: mean score, share right with its interval, number."""

    confidence: float
    accuracy: float
    low: float
    high: float
    n: int


class CalibrationFacts(ReportPart):
    """Calibration of the scores. ECE is over 15 bins of equal size.

    `bins` are of the served scores; for a graded task their `accuracy` is the mean grade. `fitted` is false if too few texts were held out
    to
    fit scores: then a text's score is the mean probability of its tokens, not its expected grade.
    """

    fitted: bool = True
    ece_before: float | None = None
    ece_after: float | None = None
    brier: float | None = None
    temperature: float | None = None
    bins: tuple[CalibrationBin, ...] = ()


class CoveragePoint(ReportPart):
    """The effect of answering only at scores from `threshold`: the share answered and the wrong share of those, with its interval."""

    threshold: float
    coverage: float
    risk: float
    risk_low: float
    risk_high: float


class AtRisk(ReportPart):
    """The most that could be answered at a wanted error rate; None if no threshold reaches it."""

    wanted: float
    point: CoveragePoint | None = None


class RiskCoverage(ReportPart):
    """The share that could be answered without escalating, at each error rate. `area` is AURC; lower is better. For a graded task the risk
    is 1 minus the grade, and `at` is empty."""

    points: tuple[CoveragePoint, ...] = ()
    area: float | None = None
    at: tuple[AtRisk, ...] = ()


class OutOfScope(ReportPart):
    """The handling of out-of-scope texts. `how` is a sentence; `label` is their answer."""

    label: str
    how: str = ""
    threshold: float | None = None
    oos_recall: Measured | None = None
    in_scope_accuracy: Measured | None = None


class CrossValidation(ReportPart):
    """The headline metric over all `n` rows of the training file, each answered by a `student` that learnt from the other folds.

    Without a metric it was not run, and `seconds` is its expected time. `uncounted` rows are not in the metric: where labels with one row
    were left out, those whose label has only one other row. Its interval allows for models that share rows.
    """

    folds: int
    n: int
    student: str
    seconds: float | None = None
    metric: Measured | None = None
    uncounted: int = 0

    @property
    def widening(self) -> float:
        """How many times as wide as for independent rows the interval is (Nadeau and Bengio 2003)."""
        return math.sqrt(1 + self.folds / (self.folds - 1))


class BaselineFacts(ReportPart):
    """The simple model trained beside. `change` is the model's headline metric minus the baseline's, on the same rows."""

    name: str
    metrics: dict[str, Measured] = Field(default_factory=dict)
    seconds: float | None = None
    change: Delta | None = None


class BuildAlternative(ReportPart):
    """One way the model could have been built. `seconds` is training time; `why_not` is a clause, empty for the chosen one."""

    name: str
    student: str = ""
    method: str = ""
    accuracy: Measured | None = None
    latency_ms_p50: float | None = None
    latency_ms_p99: float | None = None
    texts_per_second: float | None = None
    tokens_per_second: float | None = None
    size_mb: float | None = None
    seconds: float | None = None
    chosen: bool = False
    baseline: bool = False
    why_not: str = ""


class ChangedText(ReportPart):
    """A text that the served model answers differently from the trained one."""

    text: str
    gold: str
    trained: str
    served: str


class ParityFacts(ReportPart):
    """The served bundle compared with the trained model, on the same held-out texts.

    If the engine enforces a schema and the trained model writes freely, `unpacked` is the metric of the unpacked weights in that engine,
    and `packing` the change from there: then neither change may be a loss beyond `max_loss`.
    """

    n: int
    agreement: Measured
    metric: str
    trained: Measured | None = None
    served: Measured | None = None
    change: Delta
    unpacked: Measured | None = None
    packing: Delta | None = None
    largest_score_change: float | None = None
    max_loss: float | None = None
    min_agreement: float | None = None
    changed: tuple[ChangedText, ...] = ()
    passed: bool = True


class SpeedFacts(ReportPart):
    """Speed on this machine through the serving engine: one short text at a time, and in batches."""

    latency_ms_p50: float | None = None
    latency_ms_p99: float | None = None
    texts_per_second: float | None = None
    batch: int | None = None
    tokens_per_second: float | None = None
    tokens_per_second_batched: float | None = None
    threads: int | None = None
    peak_memory_mb: float | None = None
    size_mb: float | None = None
    load_seconds: float | None = None


class TrainingFacts(ReportPart):
    """Time and energy of training. `energy_method`: how the energy was measured or estimated."""

    seconds: float | None = None
    energy_wh: float | None = None
    energy_method: str | None = None
    device: str | None = None
    epochs: float | None = None


class ModelPrice(ReportPart):
    """A large model's list price for a million of these texts."""

    name: str
    provider: str
    usd_per_million_texts: float
    input_usd: float
    output_usd: float
    source: str
    date: str
    note: str = ""


class CostFacts(ReportPart):
    """Cost of a million texts. `assumption`: how tokens and machine hours were counted. `own_usd_per_million_texts` is for a machine with
    enough work; an idle one costs as much per hour."""

    as_of: str
    tokens_in: float
    tokens_out: float
    own_usd_per_million_texts: float | None = None
    machine_usd_per_hour: float | None = None
    texts_per_second: float | None = None
    models: tuple[ModelPrice, ...] = ()
    assumption: str = ""


class CurvePoint(ReportPart):
    """A value at a number of training rows, with its interval."""

    n: int
    value: float
    low: float | None = None
    high: float | None = None


class AccuracyForecast(ReportPart):
    """The accuracy expected with `extra` more rows. `gain` is over the fitted value now. `trusted` is False for the reason `why`."""

    extra: int
    n: int
    value: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    trusted: bool = True
    why: str = ""


class LabelWorth(ReportPart):
    """The expected gain in accuracy, `worth`, from `extra` more rows of a label."""

    label: str
    train: int
    support: int
    errors: int
    extra: int
    worth: float


class LearningCurve(ReportPart):
    """Accuracy against training rows: measured points, the fitted curve with its band, and forecasts. `about`: how the points were
    measured."""

    points: tuple[CurvePoint, ...] = ()
    about: str = ""
    fitted: bool = False
    why_not: str = ""
    ceiling: float | None = None
    exponent: float | None = None
    band: tuple[CurvePoint, ...] = ()
    forecasts: tuple[AccuracyForecast, ...] = ()
    labels: tuple[LabelWorth, ...] = ()


class Mistake(ReportPart):
    """A wrong answer worth reading, for the reason `why`. `row` is its row in the test file."""

    text: str
    gold: str
    answer: str
    score: float
    row: int | None = None
    gold_score: float | None = None
    why: str = ""


class Stated(ReportPart):
    """An attribute of an input, or one that a text states."""

    key: str
    value: str


class WrittenSample(ReportPart):
    """A written text beside the `wanted` references, with its `grade`, 0..1.

    `missing` are attributes of the input that the text does not state, `unsupported` those that it states and the input lacks. `cut`: the
    text was cut off. `weak`: it is one of the worst; the other samples are spread evenly. Of a message in a conversation, `earlier` are
    the customer's messages before it, `outcome` is what came of it, and `expected` what was to come of it.
    """

    text: str
    wanted: tuple[str, ...]
    got: str
    grade: float
    score: float
    row: int | None = None
    missing: tuple[Stated, ...] = ()
    unsupported: tuple[Stated, ...] = ()
    cut: bool = False
    weak: bool = False
    earlier: tuple[str, ...] = ()
    outcome: str = ""
    expected: dict[str, Any] | None = None


class FilledField(ReportPart):
    """A field of an answer beside the wanted value, both as text; empty without a value."""

    name: str
    wanted: str = ""
    got: str = ""
    right: bool = True


class Filling(ReportPart):
    """A text with its extracted fields, those with a value on either side. `refused`: why there is no answer."""

    text: str
    fields: tuple[FilledField, ...]
    score: float
    right: bool
    row: int | None = None
    refused: str = ""


class Environment(ReportPart):
    """The machine on which the model was made and measured."""

    cpu: str | None = None
    threads: int | None = None
    memory_gb: float | None = None
    system: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    seed: int | None = None


def shortened(text: str, most: int) -> str:
    """A text cut to at most `most` characters; if it was cut, the last one is an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def measured(metric: Metric | None) -> Measured | None:
    """A metric for the report; None if it could not be measured."""
    if metric is None or not math.isfinite(metric.value):
        return None
    return Measured(value=metric.value, low=metric.low, high=metric.high, n=metric.n)


class StudentFacts(ReportPart):
    """The model. `method` is how it was compressed; `chosen_because` is a sentence; `guide` is the larger decoder whose probabilities it
    learnt."""

    kind: str
    base: str | None = None
    base_licence: str | None = None
    base_sha256: str | None = None
    base_source: str | None = None
    guide: str | None = None
    guide_licence: str | None = None
    guide_sha256: str | None = None
    method: str = "fp32"
    engine: str | None = None
    parameters: int | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    chosen_because: str = ""


class TeacherFacts(ReportPart):
    """The teacher: its quality on the user's own rows, its questions, their cost, and the accepted answers.

    Attributes:
        source: its URL or its bundle's name. `local`: nothing left this machine.
        redacted: texts in which personal data was replaced. `redaction`: by the `model` and the patterns, or by `patterns` alone.
        quality: on the user's rows, in the metric `unit`. `needed`: the quality that it had to be able to reach, for the reason
            `because`. `alone`: the quality of a kernel head on those rows without it.
        expected_low, expected_high: the range expected of the student before it was trained.
        questions, stored, retried: requests sent, answers from earlier runs, requests sent again.
        tokens_in, tokens_out, usd: of all answers, stored ones included.
        pool, asked, kept, corrected: unlabelled inputs; those sent to the teacher; those trained on; those with a corrected label.
        dropped: the other inputs, by reason.
        generated, generated_kept, generated_dropped: new rows in its answers; those trained on; the others by reason.
    """

    source: str
    model: str = ""
    local: bool = False
    uses: tuple[str, ...] = ()
    votes: int = 1
    unit: str = "accuracy"
    quality: Measured | None = None
    unheard: int = 0
    needed: float | None = None
    because: str = ""
    alone: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    questions: int = 0
    stored: int = 0
    retried: int = 0
    redacted: int = 0
    redaction: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = None
    budget_usd: float | None = None
    budget_tokens: int | None = None
    pool: int = 0
    asked: int = 0
    kept: int = 0
    corrected: int = 0
    not_judged: str = ""
    dropped: dict[str, int] = Field(default_factory=dict)
    generated: int = 0
    generated_kept: int = 0
    generated_dropped: dict[str, int] = Field(default_factory=dict)
