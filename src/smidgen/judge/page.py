"""The report as a page: one HTML file that holds its style, its charts and its script, asks no server for anything, and prints well."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from smidgen.judge import phrases, side_by_side, texts
from smidgen.judge.charts import heat_map, lines, scatter
from smidgen.judge.report import Report
from smidgen.judge.sections import Alternative, ClassRow, Cost


def render(report: Report) -> str:
    """The page's HTML. Everything that came from data is escaped. Sections that were not measured say so."""
    found = _environment().get_template("report.html")
    say = texts if report.graded else phrases
    opening, sureness = say.headline(report)
    worth, sentence = say.verdict(report)
    measure = texts.name(report.headline) if report.graded else "Accuracy"
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
    if report.cost and report.cost.own_usd_per_million_texts is not None:
        rows.append(("A million texts", phrases.dollars(report.cost.own_usd_per_million_texts), "on this machine"))
    return rows


def weakest_first(rows: tuple[ClassRow, ...]) -> list[ClassRow]:
    """Labels by F1, lowest first; those without test rows last."""
    return sorted(rows, key=lambda row: (row.f1 is None, row.f1.value if row.f1 else 0.0, row.label))


def chosen_first(rows: tuple[Alternative, ...]) -> list[Alternative]:
    """The chosen alternative, then the others by accuracy."""
    return sorted(rows, key=lambda row: (not row.chosen, -(row.accuracy.value if row.accuracy else 0.0), row.name))


def cost_bars(cost: Cost) -> list[dict[str, Any]]:
    """Bars of cost on one even scale, dearest first, with this model last; `width` is in percent of the widest."""
    rows = [(model.name, model.provider, model.usd_per_million_texts, False) for model in cost.models]
    if cost.own_usd_per_million_texts is not None:
        rows.append(("This model", "your machine", cost.own_usd_per_million_texts, True))
    most = max((row[2] for row in rows), default=0.0) or 1.0
    return [{"name": name, "by": by, "usd": usd, "own": own, "width": 100 * usd / most} for name, by, usd, own in rows]


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
    filters = ("percent", "interval", "points", "count", "rate", "milliseconds", "megabytes", "duration", "dollars", "watt_hours", "plain")
    environment.filters.update({name: getattr(phrases, name) for name in filters}, breakable=breakable)
    return environment


def breakable(label: str) -> Markup:
    """A label with places where its line may break: after underscores, slashes and dots, which browsers take for parts of a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/.])(?=[^_/.])", label))


def _asset(name: str) -> Markup:
    """A style sheet or script of the package, as it is: it holds no data."""
    return Markup(resources.files("smidgen.judge").joinpath("templates", name).read_text(encoding="utf-8"))
