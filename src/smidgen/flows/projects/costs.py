"""Savings of a project's model: the break-even of `smidgen cost`, asked for by the day, with defaults from the project and its model."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from smidgen.flows.cost_report import CostReport, LocalShare, local_share, reckon_cost
from smidgen.flows.projects.model_report import OPERATING_POINT
from smidgen.flows.projects.models import model_folder, models_of
from smidgen.judge import cost_estimate
from smidgen.judge.report import Report
from smidgen.judge.report import read as read_bundle_report
from smidgen.store.studio.store import Project, StudioStore
from smidgen.usage import price_list
from smidgen.usage.break_even import HOURS_A_MONTH, CostSettings

DAYS_A_MONTH = HOURS_A_MONTH / 24
OWN_MODEL = "own"
"""The name of a large model whose prices are given by hand."""
_RISK = 0.05
_SAMPLE_ROWS = 200
_REQUEST = (200.0, 20.0)
"""Tokens in and out of a request, where nothing is known about them."""
Source = Literal["given", "certificate", "operating_point", "report", "rows", "assumed"]


@dataclass(frozen=True, slots=True)
class CostQuestion:
    """A question about costs; None stands for what is not said.

    Attributes:
        requests_per_day: requests on an average day.
        model: the large model to compare with, by its name in the price list; `OWN_MODEL` for one with the prices given here.
        price_in, price_out: its prices in dollars per million tokens.
        tokens_in, tokens_out: of one request.
        share: the part that is answered here.
        machine_usd_per_hour: what the machine costs.
        watts, usd_per_kwh: power and its price, which come to the machine's cost.
        growth_percent: by how much requests grow in a month.
        months: how far to look.
        bundle_run: the model; the newest without it.
    """

    requests_per_day: float
    model: str | None = None
    price_in: float | None = None
    price_out: float | None = None
    tokens_in: float | None = None
    tokens_out: float | None = None
    share: float | None = None
    machine_usd_per_hour: float | None = None
    watts: float = 0.0
    usd_per_kwh: float = 0.0
    growth_percent: float = 0.0
    months: int = 12
    bundle_run: str | None = None


@dataclass(frozen=True, slots=True)
class CostAnswer:
    """The break-even, and where each figure comes from.

    Attributes:
        report: what `smidgen cost` computes. Its first model is the one compared with.
        sources: where share and tokens come from.
        machine_usd_per_month: machine and energy together, for one machine.
        energy_usd_per_month: the energy's part of it.
        saved_per_month: in the first month, with large and small model together.
        saved_so_far: together, by the end of each month, building included.
    """

    report: CostReport
    sources: Mapping[str, Source]
    machine_usd_per_month: float
    energy_usd_per_month: float
    saved_per_month: float
    saved_so_far: tuple[float, ...]


def project_costs(store: StudioStore, project: Project, asked: CostQuestion) -> CostAnswer:
    """Compute what a project's model saves. Raises InputError for a model that the project does not have, UnknownPart for a large model
    that the price list does not have."""
    folder = _bundle(store, project, asked.bundle_run)
    report = read_bundle_report(folder / "report.json") if folder is not None else None
    share, share_from = _share(project, asked, folder, report)
    tokens_in, tokens_out, tokens_from = _tokens(store, project, asked, report)
    energy = asked.watts / 1000 * asked.usd_per_kwh
    machine = asked.machine_usd_per_hour if asked.machine_usd_per_hour is not None else cost_estimate.MACHINE_USD_PER_HOUR
    settings = CostSettings(
        requests_per_month=max(1, round(asked.requests_per_day * DAYS_A_MONTH)),
        bundle=folder,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        models=(asked.model,) if asked.model is not None else (),
        share_local=share,
        machine_usd_per_hour=machine + energy,
        growth_percent=asked.growth_percent,
        months=asked.months,
    )
    found = reckon_cost(settings, table=_own_prices(asked) if asked.model == OWN_MODEL else None)
    first = found.against[0].found
    saved = [month.llm_usd - month.hybrid_usd for month in first.months]
    return CostAnswer(
        report=found,
        sources={"share": share_from, "tokens": tokens_from},
        machine_usd_per_month=(machine + energy) * HOURS_A_MONTH,
        energy_usd_per_month=energy * HOURS_A_MONTH,
        saved_per_month=saved[0],
        saved_so_far=tuple(itertools.accumulate(saved, initial=-first.build_usd))[1:],
    )


def _bundle(store: StudioStore, project: Project, run: str | None) -> Path | None:
    if run is None:
        newest = next(iter(models_of(store, project.id)), None)
        run = newest.id if newest is not None else None
    return None if run is None else model_folder(store, project.id, run)


def _share(project: Project, asked: CostQuestion, folder: Path | None, report: Report | None) -> tuple[float, Source]:
    """The share that is answered here: as said, as certified, at the chosen operating point, else with five wrong answers in a hundred."""
    if asked.share is not None:
        return asked.share, "given"
    local: LocalShare = local_share(None, folder)
    if local.source == "certificate":
        return local.share, "certificate"
    chosen = project.settings.get(OPERATING_POINT)
    if isinstance(chosen, Mapping) and isinstance(chosen.get("coverage"), int | float):
        return float(chosen["coverage"]), "operating_point"
    at = report.risk_coverage.at if report is not None and report.risk_coverage else ()
    point = next((entry.point for entry in at if abs(entry.wanted - _RISK) < 1e-9), None)
    return (point.coverage, "report") if point is not None else (local.share, "assumed")


def _tokens(store: StudioStore, project: Project, asked: CostQuestion, report: Report | None) -> tuple[float, float, Source]:
    if asked.tokens_in is not None and asked.tokens_out is not None:
        return asked.tokens_in, asked.tokens_out, "given"
    source: Source
    if report is not None and report.cost is not None and report.cost.tokens_in is not None and report.cost.tokens_out is not None:
        counted, source = (report.cost.tokens_in, report.cost.tokens_out), "report"
    else:
        counted, source = _tokens_of_rows(store, project)
    return (
        asked.tokens_in if asked.tokens_in is not None else counted[0],
        asked.tokens_out if asked.tokens_out is not None else counted[1],
        source,
    )


def _tokens_of_rows(store: StudioStore, project: Project) -> tuple[tuple[float, float], Source]:
    rows = store.rows(project.id).page(0, _SAMPLE_ROWS) if project.version else []
    if not rows:
        return _REQUEST, "assumed"
    labels = sorted({row.output for row in rows if isinstance(row.output, str)})
    repeated = len(labels) <= len(rows) / 2
    answers = [str(row.output) for row in rows if row.output is not None]
    counted = cost_estimate.tokens([row.input for row in rows], labels if repeated else (), answers)
    return counted, "rows"


def _own_prices(asked: CostQuestion) -> dict[str, Any]:
    today = datetime.date.today().isoformat()
    entry = {"name": OWN_MODEL, "input": asked.price_in or 0.0, "output": asked.price_out or 0.0, "date": today}
    return {"as_of": today, "models": [{"provider": "", "source": "", "note": "", **entry}]}


def large_models() -> list[dict[str, Any]]:
    """The shipped price list: name, provider, prices in dollars per million tokens, date."""
    return list(price_list.read()["models"])
