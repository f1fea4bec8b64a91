"""Numbers in words: how the page, the terminal and the model card say what was measured."""

from __future__ import annotations

from smidgen.core.quantities import NBSP, NOT_MEASURED, duration, of_hundred, points
from smidgen.judge.report import Report
from smidgen.judge.sections import Measured

_TOO_WIDE = 0.04
"""A difference known to no better than four points tells nothing of two models that are close."""


def interval(measured: Measured | None, digits: int = 1) -> str:
    """The interval of a share, in points: "93.1 to 94.8"."""
    return NOT_MEASURED if measured is None else f"{100 * measured.low:.{digits}f} to {100 * measured.high:.{digits}f}"


def plain(name: str) -> str:
    """The name of a metric as it is read: "macro_f1" as "Macro-F1"."""
    known = {"macro_f1": "Macro-F1", "micro_f1": "Micro-F1", "f1": "F1", "oos_recall": "Out-of-scope recall", "rougeL": "ROUGE-L"}
    return known.get(name, name.replace("_", " ").capitalize())


def headline(report: Report) -> tuple[str, str]:
    """The result in a sentence, and the sentence that says how sure it is."""
    found = report.metrics.get(report.headline)
    if found is None:
        return "The model was not measured.", "There were no test rows; give some with --test to learn how good it is."
    rows = f"{found.n:,} test text{'s' if found.n != 1 else ''} that it never saw"
    if report.headline != "accuracy":
        return (
            f"{plain(report.headline)} is {found.value:.3f}.",
            f"Between {found.low:.3f} and {found.high:.3f} with 95{NBSP}% confidence, on {rows}.",
        )
    first = f"Answers all {found.n:,} test texts right." if found.value >= 1 else f"Answers {of_hundred(found.value)} right."
    return first, f"Between {100 * found.low:.1f} and {100 * found.high:.1f} of 100 with 95{NBSP}% confidence, on {rows}."


_ASKED = "prompted"
"""The baseline that was taught nothing: the base, shown a few examples."""


def other_name(baseline: str) -> str:
    """A baseline as a reader knows it."""
    return "the base asked with examples" if baseline == _ASKED else f"the simple model ({baseline})"


def _the_simple_one(report: Report, name: str) -> str:
    """Why the simple model itself is served: nobody tried another, or others were tried and not taken."""
    tried = sum(row.student != name and not row.baseline for row in report.alternatives)
    if not tried:
        return (
            f"What is served is the simple model itself ({name}), as you asked. No language model was tried, so none is compared with it."
        )
    others = "1 other model was" if tried == 1 else f"{tried} other models were"
    return f"What is served is the simple model itself ({name}). {others} tried and not chosen; the table of alternatives says why."


def verdict(report: Report) -> tuple[str, str]:
    """Whether the language model is worth it over the baseline: `yes`, `barely`, `no` or `open`, and the sentence."""
    base = report.baseline
    if base is None or base.change is None:
        return "open", "It was not compared with a simple model, so whether it is worth it is open."
    if report.student.kind == base.name:
        return "open", _the_simple_one(report, base.name)
    change, simple = base.change, other_name(base.name)
    spread = f"between {points(change.low)} and {points(change.high)} with 95{NBSP}% confidence"
    cheap = f", which trained in {duration(base.seconds)}" if base.seconds is not None and base.name != _ASKED else ""
    size = f"{100 * abs(change.value):.1f} points"
    own = "The taught model" if base.name == _ASKED else "The language model"
    if change.low > 0 and change.value >= 0.01:
        if report.headline == "accuracy":
            return "yes", f"{own} is worth it: {size} more right than {simple}{cheap}; {spread}."
        return "yes", f"{own} is worth it: {plain(report.headline)} is {size} above that of {simple}{cheap}; {spread}."
    if change.low > 0:
        return "barely", f"{own} is ahead of {simple} by only {size}; {spread}. The simple one would nearly do."
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
