"""Words for the report of a model that writes: its metrics, its verdict, what passing on is worth."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.core.quantities import NBSP, NOT_MEASURED, percent
from smidgen.judge.report import Report
from smidgen.judge.sections import BaselineFacts, Measured
from smidgen.text.rouge_chrf import METRIC_NAMES, SHARE_METRICS

_WANTED = (0.75, 0.5, 0.25)
_NEAR = 0.08  # how far the share of a selection may be from the one it stands for
_LEAST = 20  # texts of which a mean is worth telling
_CLEAR = 0.01
_TOO_WIDE = 0.04


def name(metric: str) -> str:
    """A metric's name as it is read."""
    return METRIC_NAMES.get(metric, (metric, ""))[0]


def known(metric: str) -> bool:
    """Whether it is a metric of written texts."""
    return metric in METRIC_NAMES


def meaning(metric: str) -> str:
    """What a metric counts; empty for one that is not known here."""
    return METRIC_NAMES.get(metric, ("", ""))[1]


def ordered(report: Report) -> list[tuple[str, Measured]]:
    """The metrics, the headline first, then as they are told of here."""
    known = [report.headline, *(metric for metric in METRIC_NAMES if metric != report.headline)]
    names = [*(metric for metric in known if metric in report.metrics), *(metric for metric in report.metrics if metric not in known)]
    return [(metric, report.metrics[metric]) for metric in names]


def amount(metric: str, value: float | None) -> str:
    """A metric's value: a share in percent, a grade with three digits."""
    if value is None:
        return NOT_MEASURED
    return percent(value) if metric in SHARE_METRICS else f"{value:.3f}"


def span(metric: str, measured: Measured | None) -> str:
    """Its interval: "0.671 to 0.694", "96.2 to 97.9"."""
    if measured is None:
        return NOT_MEASURED
    low, high = (100 * measured.low, 100 * measured.high) if metric in SHARE_METRICS else (measured.low, measured.high)
    digits = 1 if metric in SHARE_METRICS else 3
    return f"{low:.{digits}f} to {high:.{digits}f}"


def moved(change: float) -> str:
    """A change of a grade with its sign: "+0.081", "−0.002"."""
    text = f"{abs(change):.3f}"
    return text if float(text) == 0 else ("+" if change > 0 else "−") + text


def headline(report: Report) -> tuple[str, str]:
    """The result in a sentence, and the sentences that say how sure it is and what the texts get right and wrong."""
    found = report.metrics.get(report.headline)
    if found is None:
        return "The model was not measured.", "There were no test rows; give some with --test to learn how good it is."
    texts = f"{found.n:,} test text{'s' if found.n != 1 else ''} that it never saw"
    sure = f"1 is a wanted text word for word. Between {found.low:.3f} and {found.high:.3f} with 95{NBSP}% confidence, on {texts}."
    said, made = report.metrics.get("coverage"), report.metrics.get("unsupported")
    if said is not None and made is not None:
        sure += (
            f" It says {percent(said.value)} of the attributes that it is given, and makes something up in {percent(made.value)} of texts."
        )
    return f"{name(report.headline)} is {found.value:.3f}.", sure


def verdict(report: Report) -> tuple[str, str]:
    """Whether teaching was worth it over the baseline: `yes`, `barely`, `no` or `open`, and the sentence."""
    base = report.strongest
    if base is None or base.change is None:
        return "open", "It was not compared with the base as it is, so whether teaching it was worth it is open."
    other = other_name(base)
    if report.student.kind == base.name:
        return "open", f"What is served is {other} itself: nothing was taught."
    change, measure = base.change, name(report.headline)
    spread = f"between {moved(change.low)} and {moved(change.high)} with 95{NBSP}% confidence"
    size = f"{abs(change.value):.3f}"
    if change.low > 0 and change.value >= _CLEAR:
        return "yes", f"Teaching was worth it: {measure} is {size} above that of {other}; {spread}.{_made_up(report, base)}"
    if change.low > 0:
        return "barely", f"It is ahead of {other} by only {size} in {measure}; {spread}. That would nearly do."
    if change.high < 0:
        return "no", f"It is worse than {other} by {size} in {measure}; {spread}. Give more examples, or look whether they agree."
    if change.high - change.low > _TOO_WIDE:
        tests = report.metrics[report.headline].n if report.headline in report.metrics else 0
        return "open", (
            f"Whether it is better than {other} is open: {measure} differs by {moved(change.value)}, {spread}. "
            f"{tests:,} test texts are too few to tell; add some."
        )
    return "no", f"It is not shown to be better than {other}: {measure} differs by {moved(change.value)}, {spread}."


def other_name(base: BaselineFacts) -> str:
    """The baseline as a reader knows it."""
    if base.name == "unchanged":
        return "the input given back unchanged"
    return "the base asked with examples" if base.name == "prompted" else f"the simple model ({base.name})"


def _made_up(report: Report, base: BaselineFacts) -> str:
    if base.name == "unchanged":
        return ""
    own, theirs = report.metrics.get("unsupported"), base.metrics.get("unsupported")
    if own is None or theirs is None or theirs.value <= own.value:
        return ""
    return f" The base makes something up in {percent(theirs.value)} of texts."


@dataclass(frozen=True, slots=True)
class SurestTexts:
    """Answering only the surest texts: the share, the mean grade of those with its interval, the least score among them."""

    share: float
    grade: float
    low: float
    high: float
    threshold: float


def selected(report: Report) -> list[SurestTexts]:
    """What answering the surest three quarters, half and quarter is worth; those that cannot be told apart or are too few are left out."""
    curve = report.risk_coverage
    found = report.metrics.get(report.headline)
    if curve is None or not curve.points or found is None:
        return []
    chosen: list[SurestTexts] = []
    for wanted in _WANTED:
        point = min(curve.points, key=lambda point: abs(point.coverage - wanted))
        if abs(point.coverage - wanted) <= _NEAR and point.coverage * found.n >= _LEAST:
            chosen.append(SurestTexts(point.coverage, 1 - point.risk, 1 - point.risk_high, 1 - point.risk_low, point.threshold))
    return chosen


def score(report: Report) -> str:
    """What a score of this model is, in a sentence."""
    if report.calibration is None or report.calibration.fitted:
        return f"A score is the {name(report.headline)} to expect of a text."
    return (
        f"Too few texts were kept apart to learn which {name(report.headline)} to expect, so a score is the mean probability of a text's "
        "tokens: higher is surer, and it promises nothing."
    )


def scored(report: Report) -> str:
    """The word before a score that stands beside a grade."""
    return "expected" if report.calibration is None or report.calibration.fitted else "score"


def alone(report: Report) -> str:
    """What passing on the less sure texts would bring, in a sentence; empty where it was not measured."""
    choices, found = selected(report), report.metrics.get(report.headline)
    half = min(choices, key=lambda choice: abs(choice.share - 0.5), default=None)
    if half is None or found is None:
        return ""
    surest, measure = f"the surest {percent(half.share, 0)}", f"the mean {name(report.headline)}"
    if half.low > found.value:
        return f"Answering only {surest} lifts {measure} from {found.value:.3f} to {half.grade:.3f}."
    if half.grade > found.value:
        return f"Answering only {surest} moves {measure} from {found.value:.3f} to {half.grade:.3f}, which chance may explain."
    return (
        f"Its scores do not tell its better texts from its worse ones: {measure} of {surest} is {half.grade:.3f}, of all {found.value:.3f}."
    )
