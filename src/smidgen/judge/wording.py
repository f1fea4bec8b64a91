"""The report in words: names and values of metrics, the headline, the verdict, and notes on small tests, for the page and the terminal.

A graded report is of a model that writes: its answers are better or worse, not right or wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from smidgen.core.conversations import too_few
from smidgen.core.quantities import NBSP, NOT_MEASURED, duration, of_hundred, percent, points
from smidgen.judge.report import Report
from smidgen.judge.sections import BaselineFacts, CrossValidation, Measured
from smidgen.parts import registry
from smidgen.text.rouge_chrf import METRIC_NAMES, SHARE_METRICS

FEW = 400
"""Test rows below which the report warns. With this many the interval of a share of 0.9 is six points wide."""
MORE = 1_000
"""Test rows that the report recommends instead."""
_TOO_WIDE = 0.04
"""A difference with a wider interval cannot show which of two close models is better."""
_CLEAR = 0.01
"""A sure gain below this counts as small: one point, or 0.01 of a grade."""
_WANTED = (0.75, 0.5, 0.25)
_NEAR = 0.08  # most difference between a selection's share and the wanted share
_LEAST = 20  # least texts for a mean worth showing


def interval(measured: Measured | None, digits: int = 1) -> str:
    """The interval of a share, in points: "93.1 to 94.8"."""
    return NOT_MEASURED if measured is None else f"{100 * measured.low:.{digits}f} to {100 * measured.high:.{digits}f}"


def plain(name: str) -> str:
    """The displayed name of a metric: "macro_f1" as "Macro-F1"."""
    known = {"macro_f1": "Macro-F1", "micro_f1": "Micro-F1", "f1": "F1", "oos_recall": "Out-of-scope recall", "rougeL": "ROUGE-L"}
    return known.get(name, name.replace("_", " ").capitalize())


def name(metric: str, headline: str = "rougeL") -> str:
    """The displayed name of a metric of a graded report with this headline. Written texts have metrics of their own; other names of such a
    report stay unchanged."""
    return METRIC_NAMES.get(metric, (metric, ""))[0] if known(headline) else plain(metric)


def known(metric: str) -> bool:
    """Whether this is a metric of written texts."""
    return metric in METRIC_NAMES


def measure(headline: str) -> str:
    """The displayed name of any task's headline metric."""
    return name(headline) if known(headline) else plain(headline)


def meaning(metric: str) -> str:
    """The meaning of a metric of written texts; empty for another one."""
    return METRIC_NAMES.get(metric, ("", ""))[1]


def ordered(report: Report) -> list[tuple[str, Measured]]:
    """The metrics of a graded report, the headline first, then in the order of `METRIC_NAMES`."""
    known = [report.headline, *(metric for metric in METRIC_NAMES if metric != report.headline)]
    names = [*(metric for metric in known if metric in report.metrics), *(metric for metric in report.metrics if metric not in known)]
    return [(metric, report.metrics[metric]) for metric in names]


def amount(metric: str, value: float | None) -> str:
    """A metric's value: a share in percent, a grade with three digits."""
    if value is None:
        return NOT_MEASURED
    return percent(value) if metric in SHARE_METRICS else f"{value:.3f}"


def span(metric: str, measured: Measured | None) -> str:
    """A metric's interval: "0.671 to 0.694", "96.2 to 97.9"."""
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
    """The result in a sentence, and further sentences on its confidence."""
    found = report.metrics.get(report.headline)
    if found is None:
        return "The model was not measured.", "There were no test rows; give some with --test to learn how good it is."
    if few := too_few(report.headline, found.n):
        return few
    rows = f"{found.n:,} test text{'s' if found.n != 1 else ''} that it never saw"
    if report.graded:
        return _graded_headline(report, found, rows)
    if report.headline != "accuracy":
        return (
            f"{plain(report.headline)} is {found.value:.3f}.",
            f"Between {found.low:.3f} and {found.high:.3f} with 95{NBSP}% confidence, on {rows}.",
        )
    first = f"Answers all {found.n:,} test texts right." if found.value >= 1 else f"Answers {of_hundred(found.value)} right."
    return first, f"Between {100 * found.low:.1f} and {100 * found.high:.1f} of 100 with 95{NBSP}% confidence, on {rows}."


def _graded_headline(report: Report, found: Measured, rows: str) -> tuple[str, str]:
    sure = f"Between {found.low:.3f} and {found.high:.3f} with 95{NBSP}% confidence, on {rows}."
    if not known(report.headline):
        return f"{plain(report.headline)} is {found.value:.3f}.", sure
    sure = f"1 is a wanted text word for word. {sure}"
    said, made = report.metrics.get("coverage"), report.metrics.get("unsupported")
    if said is not None and made is not None:
        sure += (
            f" It says {percent(said.value)} of the attributes that it is given, and makes something up in {percent(made.value)} of texts."
        )
    return f"{name(report.headline)} is {found.value:.3f}.", sure


def other_name(baseline: str) -> str:
    """A baseline in words."""
    return _untaught(baseline) or f"the simple model ({baseline})"


def _untaught(baseline: str) -> str:
    """The words for a baseline that was not trained; empty for one that was."""
    if baseline == "unchanged":
        return "the input given back unchanged"
    words: str = registry.declared("students", baseline, "untaught", "")
    return words


def _the_simple_one(report: Report, name: str) -> str:
    """Why the simple model itself is served: no other was tried, or others were tried and not chosen."""
    tried = sum(row.student != name and not row.baseline for row in report.alternatives)
    if not tried:
        return (
            f"What is served is the simple model itself ({name}), as you asked. No language model was tried, so none is compared with it."
        )
    others = "1 other model was" if tried == 1 else f"{tried} other models were"
    return f"What is served is the simple model itself ({name}). {others} tried and not chosen; the table of alternatives says why."


def verdict(report: Report) -> tuple[str, str]:
    """Whether the model is better than its baseline: `yes`, `barely`, `no` or `open`, and a sentence."""
    if report.graded and known(report.headline):
        return _graded_verdict(report)
    base = report.baseline
    if base is None or base.change is None:
        return "open", "It was not compared with a simple model, so whether it is worth it is open."
    if report.student.kind == base.name:
        return "open", _the_simple_one(report, base.name)
    change, simple = base.change, other_name(base.name)
    spread = f"between {points(change.low)} and {points(change.high)} with 95{NBSP}% confidence"
    cheap = f", which trained in {duration(base.seconds)}" if base.seconds is not None and not _untaught(base.name) else ""
    size = f"{100 * abs(change.value):.1f} points"
    own = "The taught model" if report.graded or _untaught(base.name) else "The language model"
    if change.low > 0 and change.value >= _CLEAR:
        if report.headline == "accuracy":
            return "yes", f"{own} is worth it: {size} more right than {simple}{cheap}; {spread}."
        return "yes", f"{own} is worth it: {plain(report.headline)} is {size} above that of {simple}{cheap}; {spread}."
    if change.low > 0:
        return "barely", f"{own} is ahead of {simple} by only {size}; {spread}. The simple one would nearly do."
    if report.data.made:
        return "open", (
            f"Whether {own[0].lower()}{own[1:]} is better than {simple} is open: the questions were made by rules from the documents' own "
            f"words, which suits {simple}. Write questions as people ask them (--data FILE)."
        )
    if change.high < 0:
        return "no", f"{simple[0].upper()}{simple[1:]} is better by {size}{cheap}; {spread}. Serve that one."
    if change.high - change.low > _TOO_WIDE:
        tests = report.metrics[report.headline].n if report.headline in report.metrics else 0
        return "open", (
            f"Whether {own[0].lower()}{own[1:]} is better than {simple} is open: it differs by {points(change.value)} points, {spread}. "
            f"{tests:,} test texts are too few to tell; add some. (--student {base.name} builds the simple one.)"
        )
    difference = f"the difference is {points(change.value)} points, {spread}"
    return "no", (f"{own} is not shown to be better than {simple}{cheap}: {difference}. Consider the simple one (--student {base.name}).")


def _graded_verdict(report: Report) -> tuple[str, str]:
    base = report.strongest
    if base is None or base.change is None:
        return "open", "It was not compared with the base as it is, so whether teaching it was worth it is open."
    other = other_name(base.name)
    if report.student.kind == base.name:
        return "open", f"What is served is {other} itself: nothing was taught."
    change, metric = base.change, name(report.headline)
    spread = f"between {moved(change.low)} and {moved(change.high)} with 95{NBSP}% confidence"
    size = f"{abs(change.value):.3f}"
    if change.low > 0 and change.value >= _CLEAR:
        return "yes", f"Teaching was worth it: {metric} is {size} above that of {other}; {spread}.{_made_up(report, base)}"
    if change.low > 0:
        return "barely", f"It is ahead of {other} by only {size} in {metric}; {spread}. That would nearly do."
    if change.high < 0:
        return "no", f"It is worse than {other} by {size} in {metric}; {spread}. Give more examples, or look whether they agree."
    if change.high - change.low > _TOO_WIDE:
        tests = report.metrics[report.headline].n if report.headline in report.metrics else 0
        return "open", (
            f"Whether it is better than {other} is open: {metric} differs by {moved(change.value)}, {spread}. "
            f"{tests:,} test texts are too few to tell; add some."
        )
    return "no", f"It is not shown to be better than {other}: {metric} differs by {moved(change.value)}, {spread}."


def _made_up(report: Report, base: BaselineFacts) -> str:
    if base.name == "unchanged":
        return ""
    own, theirs = report.metrics.get("unsupported"), base.metrics.get("unsupported")
    if own is None or theirs is None or theirs.value <= own.value:
        return ""
    return f" The base makes something up in {percent(theirs.value)} of texts."


@dataclass(frozen=True, slots=True)
class SurestTexts:
    """The result of answering only the surest texts: their share, their mean grade with its interval, their lowest score."""

    share: float
    grade: float
    low: float
    high: float
    threshold: float


def selected(report: Report) -> list[SurestTexts]:
    """The results of answering only the surest three quarters, half and quarter; shares with few texts or no near point are left out."""
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
    """The meaning of this model's scores, in a sentence."""
    if report.calibration is None or report.calibration.fitted:
        return f"A score is the {name(report.headline)} to expect of a text."
    return (
        f"Too few texts were kept apart to learn which {name(report.headline)} to expect, so a score is the mean probability of a text's "
        "tokens: higher is surer, and it promises nothing."
    )


def scored(report: Report) -> str:
    """The word before a score beside a grade."""
    return "expected" if report.calibration is None or report.calibration.fitted else "score"


def alone(report: Report) -> str:
    """The effect of escalating the less sure texts, in a sentence; empty if it was not measured."""
    choices, found = selected(report), report.metrics.get(report.headline)
    half = min(choices, key=lambda choice: abs(choice.share - 0.5), default=None)
    if half is None or found is None:
        return ""
    surest, mean = f"the surest {percent(half.share, 0)}", f"the mean {name(report.headline)}"
    if half.low > found.value:
        return f"Answering only {surest} lifts {mean} from {found.value:.3f} to {half.grade:.3f}."
    if half.grade > found.value:
        return f"Answering only {surest} moves {mean} from {found.value:.3f} to {half.grade:.3f}, which chance may explain."
    return f"Its scores do not tell its better texts from its worse ones: {mean} of {surest} is {half.grade:.3f}, of all {found.value:.3f}."


def note_on_test(report: Report) -> str:
    """A note on a small test and on ways to narrow its interval; empty with enough rows, or none."""
    found, crossed = report.metrics.get(report.headline), report.cross_validation
    if found is None or found.n >= FEW or too_few(report.headline, found.n):
        return ""
    said = note_on_few_rows(report.headline, found, "--test FILE")
    if crossed is None:
        return said
    if crossed.metric is not None:
        return f"{said} {_over_all(crossed, crossed.metric, report.headline)}"
    took = f", in about {duration(crossed.seconds)}" if crossed.seconds else ""
    within = _within(report.headline, found, crossed.n / crossed.widening**2)
    return f"{said} Cross-validation over all {crossed.n:,} rows (--errors FILE) would narrow it to about {within}{took}."


def note_on_few_rows(headline: str, found: Measured, flag: str) -> str:
    """A note on few test rows: the headline metric's interval, and its width with `MORE` rows; empty with enough rows.

    Args:
        flag: the option that gives more rows.
    """
    if found.n >= FEW:
        return ""
    many = f"{found.n:,} test rows measure" if found.n != 1 else "1 test row measures"
    return (
        f"{many} little: {measure(headline)} may be anything from {_amount(headline, found.low)} to {_amount(headline, found.high)}. "
        f"{MORE:,} test rows ({flag}) would narrow that to about {_within(headline, found, MORE)}."
    )


def _over_all(crossed: CrossValidation, metric: Measured, headline: str) -> str:
    low, high = _amount(headline, metric.low), _amount(headline, metric.high)
    few = f", but {crossed.uncounted:,} whose label has only one other," if crossed.uncounted else ""
    parts = f"{crossed.folds - 1} of {crossed.folds} parts"
    return (
        f"Cross-validated over all {crossed.n:,} rows{few} it is {_amount(headline, metric.value)} ({low} to {high}). Each row is answered "
        f"by a model ({crossed.student}) that learnt from {parts} without it. That rests on more rows, but each of these models learnt "
        "from fewer than the one that is served, so it may be too low."
    )


def _within(headline: str, found: Measured, rows: float) -> str:
    """Half the width of the interval with `rows` independent rows, in words."""
    half = (found.high - found.low) / 2 * math.sqrt(found.n / rows)
    return f"±{half:.3f}" if _is_grade(headline) else f"±{100 * half:.1f} points"


def _amount(headline: str, value: float) -> str:
    return f"{value:.3f}" if _is_grade(headline) else percent(value)


def _is_grade(headline: str) -> bool:
    return known(headline) and "%" not in amount(headline, 0.5)
