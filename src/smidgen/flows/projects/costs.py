"""Savings of a project: by the month for a first answer, by the day for a built model, with every assumption in sight."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from smidgen.core.errors import InputError
from smidgen.flows.cost_report import CostReport, LocalShare, local_share, reckon_cost
from smidgen.flows.projects.data.first_answer import shown_point
from smidgen.flows.projects.models.built_models import model_folder, models_of
from smidgen.flows.projects.models.model_report import OPERATING_POINT
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
        requests_per_day: requests on an average day; without it, as many as the first answer's saving assumes.
        model: the large model to compare with, by its name in the price list; `OWN_MODEL` for one with the prices given here.
        price_in, price_out: its prices in dollars per million tokens.
        tokens_in, tokens_out: of one request.
        share: the part that is answered here.
        machine_usd_per_hour: what the machine costs; without it, what a person said beside the first answer, else the usual price.
        watts, usd_per_kwh: power and its price, which come to the machine's cost.
        growth_percent: by how much requests grow in a month.
        months: how far to look.
        bundle_run: the model; the newest without it.
    """

    requests_per_day: float | None = None
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
    requests, machine = _assumed(project)
    if asked.requests_per_day is not None:
        requests = round(asked.requests_per_day * DAYS_A_MONTH)
    if asked.machine_usd_per_hour is not None:
        machine = asked.machine_usd_per_hour
    settings = CostSettings(
        requests_per_month=max(1, requests),
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


def _assumed(project: Project) -> tuple[int, float]:
    """Requests a month and dollars an hour for the machine: what a person said beside the first answer, else the usual ones."""
    said = project.settings.get(SAVING)
    requests, machine = (said.get("requests"), said.get("machine")) if isinstance(said, Mapping) else (None, None)
    if not (isinstance(requests, int | float) and 1 <= requests <= 1e9):
        requests = REQUESTS
    if not (isinstance(machine, int | float) and 0 <= machine <= 1e4):
        machine = cost_estimate.MACHINE_USD_PER_HOUR
    return round(requests), float(machine)


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


REQUESTS = 10_000
"""Requests a month, until somebody says how many there are."""
SAVING = "look"
"""The project's setting with what a person assumes about the first answer's saving."""


@dataclass(frozen=True, slots=True)
class MonthlySaving:
    """A month's cost with the large model alone, and with the small one before it. In US dollars.

    Attributes:
        risk, share: the operating point: at most this share of its answers is wrong, and it answers this share.
        saved: `llm_usd` without `both_usd`; below 0 if both cost more.
        model: the large model; `models` are all of the price list, the cheapest first.
        assumptions: one sentence each.
    """

    risk: float
    share: float
    requests: int
    model: str
    models: tuple[str, ...]
    machine_usd_per_hour: float
    llm_usd: float
    both_usd: float
    saved: float
    assumptions: tuple[str, ...]


def monthly_saving(
    answer: Mapping[str, Any],
    risk: float | None = None,
    requests: int = REQUESTS,
    model: str | None = None,
    machine_usd_per_hour: float = 0.0,
) -> MonthlySaving:
    """Compute the saving of a first answer.

    Args:
        answer: as `first_answer.measure` gives it.
        risk: of the operating point; without it the one that is shown first.
        model: the large model; without it the one in the middle of the price list.
        machine_usd_per_hour: 0 for a machine that is there anyway.

    Raises InputError where the rows cannot show the risk, UnknownPart for a model that is not in the price list.
    """
    point = shown_point(answer["points"], risk)
    if point is None:
        raise InputError(
            "these rows cannot show how few answers would be wrong", value=risk, todo="Allow more wrong answers, or label more rows."
        )
    settings = CostSettings(
        requests_per_month=requests,
        tokens_in=answer["tokens_in"],
        tokens_out=answer["tokens_out"],
        share_local=point["coverage"],
        machine_usd_per_hour=machine_usd_per_hour,
        months=1,
    )
    found = reckon_cost(settings)
    names = tuple(one.model.name for one in found.against)
    chosen = _against(found, settings, model or names[len(names) // 2])
    month = chosen.against[0].found.months[0]
    return MonthlySaving(
        point["risk"], point["coverage"], requests, chosen.against[0].model.name, names, machine_usd_per_hour,
        month.llm_usd, month.hybrid_usd, month.llm_usd - month.hybrid_usd, chosen.assumptions,
    )  # fmt: skip


def _against(found: CostReport, settings: CostSettings, model: str) -> CostReport:
    """The comparison with one model."""
    return found if found.against[0].model.name == model else reckon_cost(settings.model_copy(update={"models": (model,)}))
