"""The report as a page: one HTML file with its style, charts and script, which loads nothing and prints well."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from smidgen.core import quantities
from smidgen.core.conversations import too_few
from smidgen.judge import charts, wording
from smidgen.judge.cost_estimate import BUSY
from smidgen.judge.report import Report
from smidgen.judge.sections import BuildAlternative, ClassRow, CostFacts, Stated, WrittenSample
from smidgen.text.attribute_lists import attributes
from smidgen.usage.break_even import HOURS_A_MONTH, cheaper_from


@dataclass(frozen=True, slots=True)
class ShownAttribute:
    """An attribute of an input. `missed`: the text does not state it."""

    key: str
    value: str
    missed: bool


@dataclass(frozen=True, slots=True)
class ShownSample:
    """A sample of a writer, ready for the page.

    Attributes:
        given: the input's attributes; empty if it has none or they were not checked.
        written: the text, with unsupported values marked.
        elsewhere: unsupported attributes whose values are not literally in the text.
    """

    sample: WrittenSample
    given: tuple[ShownAttribute, ...]
    written: Markup
    elsewhere: tuple[Stated, ...]


def shown_sample(sample: WrittenSample, checked: bool) -> ShownSample:
    """Prepare a sample for the page. `checked`: inputs are attributes, and texts were checked against them."""
    missed = {(fact.key, fact.value) for fact in sample.missing}
    given = attributes(sample.text) if checked else []
    written, found = marked(sample.got, [fact.value for fact in sample.unsupported])
    return ShownSample(
        sample,
        tuple(ShownAttribute(key, value, (key, value) in missed) for key, value in given),
        written,
        tuple(fact for fact in sample.unsupported if fact.value not in found),
    )


def usual(samples: Sequence[WrittenSample]) -> list[WrittenSample]:
    """The samples that are not weak, ordered so that the first few span all grades: every third from the best, then the ones between."""
    ranked = sorted((sample for sample in samples if not sample.weak), key=lambda sample: -sample.grade)
    return [sample for start in range(3) for sample in ranked[start::3]]


def weakest(samples: Sequence[WrittenSample]) -> list[WrittenSample]:
    """The weak samples, worst first; if there are few texts, only those below the best."""
    best = max((sample.grade for sample in samples), default=0.0)
    return sorted((sample for sample in samples if sample.weak and sample.grade < best), key=lambda sample: sample.grade)


def marked(text: str, values: Iterable[str]) -> tuple[Markup, set[str]]:
    """A text with those values marked that occur in it as whole words, in any case; and these values."""
    wanted = sorted({value for value in values if value.strip()}, key=len, reverse=True)
    if not wanted:
        return escape(text), set()
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in wanted), re.IGNORECASE)
    parts: list[Markup] = []
    found: set[str] = set()
    at = 0
    for match in pattern.finditer(text):
        parts += [escape(text[at : match.start()]), Markup("<mark>{}</mark>").format(match[0])]
        found.add(match[0].casefold())
        at = match.end()
    parts.append(escape(text[at:]))
    return Markup("").join(parts), {value for value in wanted if value.casefold() in found}


_NAMED = 30
"""Most labels that a sentence names."""


def render(report: Report) -> str:
    """The page's HTML. All text from data is escaped. Sections that were not measured say so."""
    found = _environment().get_template("report.html")
    opening, sureness = wording.headline(report)
    worth, sentence = wording.verdict(report)
    measure = wording.measure(report.headline)
    checked = "coverage" in report.metrics and wording.known(report.headline)
    return found.render(
        report=report,
        measure=measure,
        texts=wording,
        thing="field" if report.fillings else "label",
        sections=sections(report),
        missing=Markup('<p class="missing">Not measured.</p>'),
        opening=opening,
        sureness=sureness,
        few=wording.note_on_test(report),
        worth=worth,
        sentence=sentence,
        figures=text_figures(report) if report.graded else figures(report),
        style=_asset("report.css"),
        script=_asset("report.js"),
        heat_map=charts.heat_map(report.confusion) if report.confusion and report.confusion_pairs else None,
        heat_map_width=charts.heat_map_width(report.confusion) if report.confusion else 0,
        reliability=charts.reliability(report.calibration, f"Mean {measure}" if report.graded else None) if report.calibration else None,
        risk_coverage=_alone(report, measure),
        learning=charts.learning(report.learning_curve) if report.learning_curve else None,
        scatter=charts.alternatives_chart(report.alternatives, measure, graded=report.graded),
        bars=cost_bars(report.cost) if report.cost else [],
        month=own_month(report.cost) if report.cost else None,
        classes=weakest_first(report.per_class),
        named=_NAMED,
        alternatives=chosen_first(report.alternatives),
        writes=any(row.tokens_per_second is not None for row in report.alternatives),
        usual=[shown_sample(sample, checked) for sample in usual(report.samples)],
        weakest=[shown_sample(sample, checked) for sample in weakest(report.samples)],
    )


def sections(report: Report) -> list[tuple[str, str]]:
    """The page's sections: the anchor of each, and its name in the list at the top."""
    beside = [("fillings", "Side by side")] if report.fillings else []
    taught = [("teacher", "The teacher")] if report.teacher else []
    made = [("alternatives", "Alternatives"), ("cost", "Cost"), *taught, ("served", "Served as measured"), ("made", "How it was made")]
    alone, more = ("alone", "Answering alone"), ("more", "More examples")
    if report.graded:
        curve = [more] if report.learning_curve else []
        return [("samples", "Side by side"), ("measured", "What was measured"), alone, *curve, *made]
    things = "Fields" if report.fillings else "Labels"
    return [*beside, alone, ("mistakes", "Mistakes"), ("labels", things), more, *made]


def figures(report: Report) -> list[tuple[str, str, str]]:
    """The key figures: name, value, and the small print below."""
    speed = report.speed
    few = too_few(report.headline, _rows(report))
    shown = [name for name in (report.headline, "macro_f1", "micro_f1", "oos_recall") if name in report.metrics and not few]
    rows = [(wording.plain(name), quantities.percent(report.metrics[name].value), wording.interval(report.metrics[name])) for name in shown]
    tail = f"99th percentile {quantities.milliseconds(speed.latency_ms_p99)}" if speed.latency_ms_p99 is not None else "one text, median"
    rows.append(("Latency", quantities.milliseconds(speed.latency_ms_p50), tail))
    if speed.texts_per_second is not None:
        rows.append(("Texts a second", quantities.count(speed.texts_per_second), _batch(report)))
    return [*rows, *_what_it_takes(report)]


def text_figures(report: Report) -> list[tuple[str, str, str]]:
    """The key figures of a model whose answers are graded."""
    speed = report.speed
    written = (report.headline, "coverage", "unsupported")
    shown = [name for name in (written if wording.known(report.headline) else report.metrics) if name in report.metrics]
    rows = [
        (
            wording.name(name, report.headline),
            wording.amount(name, report.metrics[name].value),
            wording.span(name, report.metrics[name]),
        )
        for name in shown
    ]
    if speed.tokens_per_second is not None:
        rows.append(("Tokens a second", quantities.count(speed.tokens_per_second), "one text at a time"))
    if speed.tokens_per_second_batched is not None:
        rows.append(("In batches", quantities.count(speed.tokens_per_second_batched), f"tokens a second, {_batch(report)}"))
    rows.append(("One text", quantities.milliseconds(speed.latency_ms_p50), "median, from request to end"))
    return [*rows, *_what_it_takes(report)]


def _batch(report: Report) -> str:
    return f"in batches of {report.speed.batch}" if report.speed.batch else "in batches"


def _what_it_takes(report: Report) -> list[tuple[str, str, str]]:
    speed, training = report.speed, report.training
    rows = []
    memory = f"{quantities.megabytes(speed.peak_memory_mb)} of memory" if speed.peak_memory_mb is not None else ""
    rows.append(("Size", quantities.megabytes(speed.size_mb), memory))
    energy = quantities.watt_hours(training.energy_wh) if training.energy_wh is not None else ""
    rows.append(("Trained in", quantities.duration(training.seconds), energy))
    month = own_month(report.cost) if report.cost else None
    if month is not None:
        rows.append(("A rented machine", quantities.dollars(month.usd), f"a month, for up to {quantities.large(month.texts)} texts"))
    return rows


def weakest_first(rows: tuple[ClassRow, ...]) -> list[ClassRow]:
    """Labels by F1, lowest first; those without test rows last."""
    return sorted(rows, key=lambda row: (row.f1 is None, row.f1.value if row.f1 else 0.0, row.label))


def chosen_first(rows: tuple[BuildAlternative, ...]) -> list[BuildAlternative]:
    """The chosen alternative, then the others by accuracy."""
    return sorted(rows, key=lambda row: (not row.chosen, -(row.accuracy.value if row.accuracy else 0.0), row.name))


class MachineMonth(NamedTuple):
    """A rented machine that serves the model: its cost a month, busy or not, and the texts that it is planned for."""

    usd: float
    texts: float


def own_month(cost: CostFacts) -> MachineMonth | None:
    """The machine's month, as `smidgen cost` computes it; None if speed or price is unknown."""
    if not cost.texts_per_second or cost.machine_usd_per_hour is None:
        return None
    return MachineMonth(cost.machine_usd_per_hour * HOURS_A_MONTH, cost.texts_per_second * BUSY * 3600 * HOURS_A_MONTH)


def cost_bars(cost: CostFacts) -> list[dict[str, Any]]:
    """The large models' prices for a million texts, on one linear scale. `width`: in percent of the widest bar. `cheaper_from`: the texts a
    month from which a rented machine costs less, None if it never does."""
    month = own_month(cost)
    most = max((model.usd_per_million_texts for model in cost.models), default=0.0) or 1.0
    return [
        {
            "name": model.name,
            "by": model.provider,
            "usd": model.usd_per_million_texts,
            "width": 100 * model.usd_per_million_texts / most,
            "cheaper_from": cheaper_from(month.usd, model.usd_per_million_texts / 1e6, month.texts) if month else None,
        }
        for model in cost.models
    ]


def _alone(report: Report, measure: str) -> Markup | None:
    """The chart of the share that the model could answer without escalating."""
    if report.risk_coverage is None:
        return None
    if report.graded:
        return charts.grade_coverage(report.risk_coverage, _rows(report), measure)
    return charts.risk_coverage(report.risk_coverage, _rows(report))


def _rows(report: Report) -> int:
    found = report.metrics.get(report.headline)
    return found.n if found else report.data.test or 0


@functools.cache
def _environment() -> Environment:
    """Where the templates are found, each compiled once."""
    environment = Environment(
        loader=PackageLoader("smidgen.judge", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    words = ("percent", "points", "count", "rate", "milliseconds", "megabytes", "duration", "dollars", "watt_hours", "large")
    filters = {name: getattr(quantities, name) for name in words}
    environment.filters.update(filters, interval=wording.interval, plain=wording.plain, breakable=breakable)
    return environment


def breakable(label: str) -> Markup:
    """A label with line breaks allowed after underscores, slashes and dots."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/.])(?=[^_/.])", label))


def _asset(name: str) -> Markup:
    """A style sheet or script of the package, unescaped: it holds no data."""
    return Markup(resources.files("smidgen.judge").joinpath("templates", name).read_text(encoding="utf-8"))
