"""Numbers in words: how the page, the terminal and the model card say what was measured."""

from __future__ import annotations

import math

from smidgen.judge.report import Report
from smidgen.judge.sections import Measured

NOT_MEASURED = "not measured"
_TOO_WIDE = 0.04
"""A difference known to no better than four points tells nothing of two models that are close."""

NBSP = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, so that no line breaks there."""


def percent(share: float | None, digits: int = 1) -> str:
    """0.9412 as "94.1 %". A share that is not whole is never rounded to 0 or 100."""
    if share is None or not math.isfinite(share):
        return NOT_MEASURED
    least = 10.0**-digits
    value = 100 * share
    if 0 < value < least / 2:
        return f"under {least:g}{NBSP}%"
    if 100 - least / 2 < value < 100:
        return f"over {100 - least:g}{NBSP}%"
    return f"{value:.{digits}f}{NBSP}%"


def interval(measured: Measured | None, digits: int = 1) -> str:
    """The interval of a share, in points: "93.1 to 94.8"."""
    return NOT_MEASURED if measured is None else f"{100 * measured.low:.{digits}f} to {100 * measured.high:.{digits}f}"


def points(change: float, digits: int = 1) -> str:
    """A change of a share, in points with its sign: "+2.4", "−0.3", "0.0"."""
    text = f"{abs(100 * change):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if change > 0 else "−") + text


def of_hundred(share: float) -> str:
    """A share as a person would say it: "94 of 100", "more than 99 of 100"."""
    whole = round(100 * share)
    if whole == 100 and share < 1:
        return "more than 99 of 100"
    if whole == 0 and share > 0:
        return "fewer than 1 of 100"
    return f"{whole} of 100"


def count(number: float | None) -> str:
    """12345 as "12,345"."""
    return NOT_MEASURED if number is None else f"{number:,.0f}"


def rate(number: float | None) -> str:
    """So many a second: "1,330", "4.2"."""
    return NOT_MEASURED if number is None else f"{number:,.0f}" if number >= 20 else f"{number:.1f}"


def milliseconds(value: float | None) -> str:
    """A latency with two digits that count: "0.08 ms", "1.3 ms", "120 ms"."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.2f}{NBSP}ms" if value < 1 else f"{value:.1f}{NBSP}ms" if value < 10 else f"{value:,.0f}{NBSP}ms"


def large(number: float | None) -> str:
    """A large number, with two digits that count: "587,000", "5.9 million", "2.4 billion"."""
    if number is None:
        return NOT_MEASURED
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= 0.9995 * size:
            parts = number / size
            return f"{parts:,.0f}{NBSP}{name}" if parts >= 9.95 else f"{parts:.1f}{NBSP}{name}"
    return f"{number:,.0f}" if number < 1000 else f"{round(number, -3):,.0f}"


def megabytes(value: float | None) -> str:
    """A size: "0.4 MB", "23 MB", "1.2 GB"."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.1f}{NBSP}MB" if value < 10 else f"{value:,.0f}{NBSP}MB" if value < 1000 else f"{value / 1000:.1f}{NBSP}GB"


def duration(seconds: float | None) -> str:
    """A time: "0.8 s", "43 s", "4 min 24 s", "2 h 5 min"."""
    if seconds is None:
        return NOT_MEASURED
    if seconds < 10:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole}{NBSP}s"
    if whole < 7200:
        return f"{whole // 60}{NBSP}min {whole % 60}{NBSP}s" if whole % 60 else f"{whole // 60}{NBSP}min"
    return f"{whole // 3600}{NBSP}h {whole % 3600 // 60}{NBSP}min"


def dollars(value: float | None) -> str:
    """An amount: "under $0.01", "$0.07", "$12.40", "$1,240"."""
    if value is None:
        return NOT_MEASURED
    if 0 < value < 0.01:
        return "under $0.01"
    return f"${value:,.2f}" if value < 100 else f"${value:,.0f}"


def watt_hours(value: float | None) -> str:
    """An amount of energy: "0.8 Wh", "1.2 kWh"."""
    if value is None:
        return NOT_MEASURED
    return f"{value / 1000:.1f}{NBSP}kWh" if value >= 1000 else f"{value:.0f}{NBSP}Wh" if value >= 10 else f"{value:.1f}{NBSP}Wh"


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
