"""The report as a page: one HTML file that holds its style, its charts and its script, asks no server for anything, and prints well."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from smidgen.judge import few_rows, phrases, side_by_side, texts
from smidgen.judge.break_even import HOURS_A_MONTH, cheaper_from
from smidgen.judge.charts import heat_map, lines, scatter
from smidgen.judge.cost import BUSY
from smidgen.judge.report import Report
from smidgen.judge.sections import Alternative, ClassRow, Cost


def render(report: Report) -> str:
    """The page's HTML. Everything that came from data is escaped. Sections that were not measured say so."""
    found = _environment().get_template("report.html")
    say = texts if report.graded else phrases
    opening, sureness = say.headline(report)
    worth, sentence = say.verdict(report)
    measure = texts.name(report.headline) if report.graded else phrases.plain(report.headline)
    checked = "coverage" in report.metrics
    return found.render(
        report=report,
        measure=measure,
        texts=texts,
        thing="field" if report.fillings else "label",
        sections=sections(report),
        missing=Markup('<p class="missing">Not measured.</p>'),
        opening=opening,
        sureness=sureness,
        few=few_rows.of_report(report),
        worth=worth,
        sentence=sentence,
        figures=text_figures(report) if report.graded else figures(report),
        style=_asset("report.css"),
        script=_asset("report.js"),
        heat_map=heat_map.draw(report.confusion) if report.confusion and report.confusion_pairs else None,
        heat_map_width=heat_map.size(report.confusion) if report.confusion else 0,
        reliability=lines.reliability(report.calibration, f"Mean {measure}" if report.graded else None) if report.calibration else None,
        risk_coverage=_alone(report, measure),
        learning=lines.learning(report.learning_curve) if report.learning_curve else None,
        scatter=scatter.draw(report.alternatives, measure, graded=report.graded),
        bars=cost_bars(report.cost) if report.cost else [],
        month=own_month(report.cost) if report.cost else None,
        classes=weakest_first(report.per_class),
        alternatives=chosen_first(report.alternatives),
        writes=any(row.tokens_per_second is not None for row in report.alternatives),
        usual=[side_by_side.shown(sample, checked) for sample in side_by_side.usual(report.samples)],
        weakest=[side_by_side.shown(sample, checked) for sample in side_by_side.weakest(report.samples)],
    )


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write `report.json` and `report.html` into a folder, each whole or not at all; returns their paths."""
    files = folder / "report.json", folder / "report.html"
    for file, text in zip(files, (report.json_text(), render(report)), strict=True):
        passing = file.with_name(file.name + ".part")
        passing.write_text(text, encoding="utf-8", newline="\n")
        passing.replace(file)
    return files


def sections(report: Report) -> list[tuple[str, str]]:
    """The page's sections: the mark of each, and its name in the list at the top."""
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
    shown = [name for name in (report.headline, "macro_f1", "micro_f1", "oos_recall") if name in report.metrics]
    rows = [(phrases.plain(name), phrases.percent(report.metrics[name].value), phrases.interval(report.metrics[name])) for name in shown]
    tail = f"99th percentile {phrases.milliseconds(speed.latency_ms_p99)}" if speed.latency_ms_p99 is not None else "one text, median"
    rows.append(("Latency", phrases.milliseconds(speed.latency_ms_p50), tail))
    if speed.texts_per_second is not None:
        rows.append(("Texts a second", phrases.count(speed.texts_per_second), _batch(report)))
    return [*rows, *_what_it_takes(report)]


def text_figures(report: Report) -> list[tuple[str, str, str]]:
    """The same of a model that writes."""
    speed = report.speed
    shown = [name for name in (report.headline, "coverage", "unsupported") if name in report.metrics]
    rows = [(texts.name(name), texts.amount(name, report.metrics[name].value), texts.span(name, report.metrics[name])) for name in shown]
    if speed.tokens_per_second is not None:
        rows.append(("Tokens a second", phrases.count(speed.tokens_per_second), "one text at a time"))
    if speed.tokens_per_second_batched is not None:
        rows.append(("In batches", phrases.count(speed.tokens_per_second_batched), f"tokens a second, {_batch(report)}"))
    rows.append(("One text", phrases.milliseconds(speed.latency_ms_p50), "median, from request to end"))
    return [*rows, *_what_it_takes(report)]


def _batch(report: Report) -> str:
    return f"in batches of {report.speed.batch}" if report.speed.batch else "in batches"


def _what_it_takes(report: Report) -> list[tuple[str, str, str]]:
    speed, training = report.speed, report.training
    rows = []
    memory = f"{phrases.megabytes(speed.peak_memory_mb)} of memory" if speed.peak_memory_mb is not None else ""
    rows.append(("Size", phrases.megabytes(speed.size_mb), memory))
    energy = phrases.watt_hours(training.energy_wh) if training.energy_wh is not None else ""
    rows.append(("Trained in", phrases.duration(training.seconds), energy))
    month = own_month(report.cost) if report.cost else None
    if month is not None:
        rows.append(("A rented machine", phrases.dollars(month.usd), f"a month, for up to {phrases.large(month.texts)} texts"))
    return rows


def weakest_first(rows: tuple[ClassRow, ...]) -> list[ClassRow]:
    """Labels by F1, lowest first; those without test rows last."""
    return sorted(rows, key=lambda row: (row.f1 is None, row.f1.value if row.f1 else 0.0, row.label))


def chosen_first(rows: tuple[Alternative, ...]) -> list[Alternative]:
    """The chosen alternative, then the others by accuracy."""
    return sorted(rows, key=lambda row: (not row.chosen, -(row.accuracy.value if row.accuracy else 0.0), row.name))


class Month(NamedTuple):
    """A rented machine that serves the model: what it costs a month, busy or not, and the texts that it is planned for."""

    usd: float
    texts: float


def own_month(cost: Cost) -> Month | None:
    """The machine's month, as `smidgen cost` reckons it; None where speed or price is not known."""
    if not cost.texts_per_second or cost.machine_usd_per_hour is None:
        return None
    return Month(cost.machine_usd_per_hour * HOURS_A_MONTH, cost.texts_per_second * BUSY * 3600 * HOURS_A_MONTH)


def cost_bars(cost: Cost) -> list[dict[str, Any]]:
    """What the large models take for a million texts, dearest first, on one even scale; `width` is in percent of the widest, and
    `cheaper_from` is the texts a month from which on a rented machine of your own costs less, None where it never does."""
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
    """The chart of what the model could answer alone."""
    if report.risk_coverage is None:
        return None
    if report.graded:
        return lines.grade_coverage(report.risk_coverage, _rows(report), measure)
    return lines.risk_coverage(report.risk_coverage, _rows(report))


def _rows(report: Report) -> int:
    found = report.metrics.get(report.headline)
    return found.n if found else report.data.test or 0


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("smidgen.judge", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters = (
        "percent",
        "interval",
        "points",
        "count",
        "rate",
        "milliseconds",
        "megabytes",
        "duration",
        "dollars",
        "watt_hours",
        "plain",
        "large",
    )
    environment.filters.update({name: getattr(phrases, name) for name in filters}, breakable=breakable)
    return environment


def breakable(label: str) -> Markup:
    """A label with places where its line may break: after underscores, slashes and dots, which browsers take for parts of a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/.])(?=[^_/.])", label))


def _asset(name: str) -> Markup:
    """A style sheet or script of the package, as it is: it holds no data."""
    return Markup(resources.files("smidgen.judge").joinpath("templates", name).read_text(encoding="utf-8"))
