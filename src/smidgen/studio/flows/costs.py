"""Savings of a project: by the month for a first answer, by the day for a built model, with every assumption in sight."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.flows.cost_report import ASSUMED, LargeModelCost, reckon_cost
from smidgen.flows.operating_point import OperatingPoint, answers_nothing
from smidgen.judge import cost_estimate
from smidgen.judge.report import Report
from smidgen.judge.report import read as read_bundle_report
from smidgen.studio.flows.data.first_answer import shown_point
from smidgen.studio.flows.look import ANSWER, newest_look, read_look
from smidgen.studio.flows.models.built_models import model_folder
from smidgen.studio.flows.models.project_point import newest_model, project_point
from smidgen.studio.frozen import FrozenModel
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.usage import price_list
from smidgen.usage.break_even import HOURS_A_MONTH, CostSettings, PaybackOutcome

DAYS_A_MONTH = HOURS_A_MONTH / 24
OWN_MODEL = "own"
"""The name of a large model whose prices are given by hand."""
_SAMPLE_ROWS = 200
_REQUEST = (200.0, 20.0)
"""Tokens in and out of a request, where nothing is known about them."""
Source = Literal["given", "certificate", "operating_point", "report", "rows", "assumed"]


@dataclass(frozen=True, slots=True)
class CostQuestion:
    """A question about costs; None stands for what is not said.

    Attributes:
        requests_per_day: requests on an average day; without it, as the project assumes.
        model: the large model to compare with, by its name in the price list; `OWN_MODEL` for one with the prices given here; without it
            as the project assumes, else the one in the middle of the list.
        price_in, price_out: its prices in dollars per million tokens.
        tokens_in, tokens_out: of one request.
        share: the part that is answered here.
        machine_usd_per_hour: what the machine costs; without it as the project assumes, else nothing.
        watts, usd_per_kwh: power and its price, which come to the machine's cost.
        growth_percent: by how much requests grow in a month.
        months: how far to look.
        bundle_run: the model; the newest without it.
        risk: without a model, the share of wrong answers at which the first answer's share is read.
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
    risk: float | None = None


class CostMonth(FrozenModel):
    """A month: its requests, and what they cost with the large model alone, the small one alone, and both."""

    number: int
    requests: float
    machines: int
    llm_usd: float
    slm_usd: float
    hybrid_usd: float
    saved_so_far_usd: float = Field(description="With both, by its end, building included.")


class Payback(FrozenModel):
    """The outcome of one way over all months."""

    total_usd: float
    saved_usd: float
    payback_month: int | None = Field(description="From this month on it has paid; null: never.")
    from_requests: int | None = Field(description="Requests a month from which on a month costs less; null: at no number.")


class LargeModelSaving(FrozenModel):
    """A large model that one could use instead. Prices are in US dollars."""

    name: str
    provider: str
    input_usd: float = Field(description="Per million tokens that it reads.")
    output_usd: float = Field(description="Per million tokens that it writes.")
    date: str
    usd_per_request: float
    llm_usd: float = Field(description="It alone, over all months.")
    saved_usd: float = Field(description="Both together against it alone, over all months.")
    payback_month: int | None


class ProjectCosts(FrozenModel):
    """The break-even of a project's model. `against` begins with the large model that all other figures are about."""

    requests_per_day: float
    requests_per_month: int
    tokens_in: float
    tokens_out: float
    tokens_from: Source
    share: float
    share_from: Source
    point: OperatingPoint | None = Field(description="The operating point of the model; null without one.")
    machine_usd_per_hour: float = Field(description="Without energy.")
    machine_usd_per_month: float = Field(description="With energy.")
    energy_usd_per_month: float
    texts_per_second: float
    build_usd: float
    months: list[CostMonth]
    llm_usd: float
    alone: Payback
    both: Payback
    saved_per_month_usd: float = Field(description="In the first month, with large and small model together.")
    against: list[LargeModelSaving]
    prices_as_of: str
    training_wh: float | None = Field(description="Measured energy of the training; null where it was not measured.")
    answers: list[str]
    assumptions: list[str]


class PricedModel(FrozenModel):
    """An entry of the shipped price list."""

    name: str
    provider: str
    input: float = Field(description="US dollars per million tokens that it reads.")
    output: float = Field(description="US dollars per million tokens that it writes.")
    date: str


def project_costs(store: StudioStore, project: Project, asked: CostQuestion) -> ProjectCosts:
    """Compute what a project's model saves. Raises InputError for a model that the project does not have, UnknownPart for a large model
    that the price list does not have."""
    run = asked.bundle_run or newest_model(store, project.id)
    folder = None if run is None else model_folder(store, project.id, run)
    measured = read_bundle_report(folder / "report.json") if folder is not None else None
    assumed = _assumed(project)
    point = None if run is None else project_point(store, project, run)
    share, share_from = _share(store, project, asked, point, measured, asked.risk if asked.risk is not None else assumed.get("risk"))
    asked = replace(
        asked,
        tokens_in=asked.tokens_in if asked.tokens_in is not None else assumed.get("tokens_in"),
        tokens_out=asked.tokens_out if asked.tokens_out is not None else assumed.get("tokens_out"),
    )
    tokens_in, tokens_out, tokens_from = _tokens(store, project, asked, measured)
    energy = asked.watts / 1000 * asked.usd_per_kwh
    requests = assumed.get("requests", REQUESTS) if asked.requests_per_day is None else asked.requests_per_day * DAYS_A_MONTH
    machine = assumed.get("machine", 0.0) if asked.machine_usd_per_hour is None else asked.machine_usd_per_hour
    model = asked.model or assumed.get("model")
    settings = CostSettings(
        requests_per_month=max(1, round(requests)),
        bundle=folder,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        models=(model,) if model is not None else (),
        share_local=None if share_from in ("report", "certificate", "assumed") else share,
        machine_usd_per_hour=machine + energy,
        growth_percent=asked.growth_percent,
        months=asked.months,
    )
    report = reckon_cost(settings, table=_own_prices(asked) if asked.model == OWN_MODEL else None)
    full, first = report.asked, report.against[0].found
    saved = [month.llm_usd - month.hybrid_usd for month in first.months]
    in_all = itertools.accumulate(saved[1:], initial=saved[0] - first.build_usd)
    return ProjectCosts(
        requests_per_day=asked.requests_per_day or full.requests_per_month / DAYS_A_MONTH,
        requests_per_month=full.requests_per_month,
        tokens_in=full.tokens_in or 0.0,
        tokens_out=full.tokens_out or 0.0,
        tokens_from=tokens_from,
        share=full.share_local or 0.0,
        share_from=share_from,
        point=point,
        machine_usd_per_hour=(full.machine_usd_per_hour or 0.0) - energy,
        machine_usd_per_month=(machine + energy) * HOURS_A_MONTH,
        energy_usd_per_month=energy * HOURS_A_MONTH,
        texts_per_second=full.texts_per_second or 0.0,
        build_usd=first.build_usd,
        months=[CostMonth(**asdict(month), saved_so_far_usd=total) for month, total in zip(first.months, in_all, strict=True)],
        llm_usd=first.llm_usd,
        alone=_payback(first.slm),
        both=_payback(first.hybrid),
        saved_per_month_usd=saved[0],
        against=[_against(one) for one in report.against],
        prices_as_of=report.as_of,
        training_wh=report.energy["training_wh"] if report.energy else None,
        answers=list(report.answers),
        assumptions=list(report.assumptions),
    )


def _against(one: LargeModelCost) -> LargeModelSaving:
    return LargeModelSaving(
        **one.model.model_dump(include={"name", "provider", "input_usd", "output_usd", "date"}),
        usd_per_request=one.usd_per_request,
        llm_usd=one.found.llm_usd,
        saved_usd=one.found.hybrid.saved_usd,
        payback_month=one.found.hybrid.payback_month,
    )


def _payback(outcome: PaybackOutcome) -> Payback:
    return Payback(
        total_usd=outcome.total_usd,
        saved_usd=outcome.saved_usd,
        payback_month=outcome.payback_month,
        from_requests=outcome.from_requests,
    )


def _assumed(project: Project) -> Mapping[str, Any]:
    """The assumptions that a person wrote down, of the kinds and sizes that they can have."""
    said = project.settings.get(SAVING)
    found = dict(said) if isinstance(said, Mapping) else {}
    least_and_most = {"requests": (1, 1e9), "machine": (0, 1e4), "tokens_in": (0, 1e7), "tokens_out": (0, 1e7), "risk": (0, 1)}
    good = {
        name: float(value)
        for name, (least, most) in least_and_most.items()
        if isinstance(value := found.get(name), int | float) and least <= value <= most
    }
    names = [entry.name for entry in large_models()]
    return {**good, "model": found["model"]} if found.get("model") in names else good


def _share(
    store: StudioStore, project: Project, asked: CostQuestion, point: OperatingPoint | None, report: Report | None, risk: float | None
) -> tuple[float, Source]:
    """The share that is answered here: as said, at the model's operating point, else as the first answer from the data says."""
    if asked.share is not None:
        return asked.share, "given"
    if point is not None:
        sources: dict[str, Source] = {"certificate": "certificate", "user": "operating_point", "default": "report"}
        return point.share, sources[point.chosen_by]
    if answers_nothing(report):
        return 0.0, "report"
    answer = _first_answer(store, project)
    points = [] if answer is None else answer["points"]
    first = shown_point(points, risk)
    if first is None and asked.risk is None:
        first = shown_point(points)
    if first is None and asked.risk is not None:
        raise InputError("studio.rows_cannot_show_this_risk", value=asked.risk)
    return (first["coverage"], "rows") if first is not None else (ASSUMED, "assumed")


def _first_answer(store: StudioStore, project: Project) -> Mapping[str, Any] | None:
    told = newest_look(store, project.id)[1]
    found = read_look(told, ANSWER) if told is not None else None
    answer = found.get("answer") if isinstance(found, Mapping) else None
    return answer if isinstance(answer, Mapping) else None


def _tokens(store: StudioStore, project: Project, asked: CostQuestion, report: Report | None) -> tuple[float, float, Source]:
    answer = _first_answer(store, project)
    if asked.tokens_in is not None and asked.tokens_out is not None:
        return asked.tokens_in, asked.tokens_out, "given"
    source: Source
    if report is not None and report.cost is not None and report.cost.tokens_in is not None and report.cost.tokens_out is not None:
        counted, source = (report.cost.tokens_in, report.cost.tokens_out), "report"
    elif answer is not None:
        counted, source = (answer["tokens_in"], answer["tokens_out"]), "rows"
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


def large_models() -> list[PricedModel]:
    """The shipped price list."""
    return [PricedModel(**{name: entry[name] for name in PricedModel.model_fields}) for entry in price_list.read()["models"]]


REQUESTS = 10_000
"""Requests a month, until somebody says how many there are."""
SAVING = "look"
"""The project's setting with its assumptions: `requests` a month, `model`, `machine` in dollars an hour, `tokens_in`, `tokens_out`, and
`risk`, the share of wrong answers that the first answer may have."""


@dataclass(frozen=True, slots=True)
class MonthlySaving:
    """A month's cost with the large model alone, and with the small one before it. In US dollars.

    Attributes:
        share: the share of requests that the small model answers, and where it comes from.
        saved: `llm_usd` without `both_usd`; below 0 if both cost more.
        model: the large model; `models` are all of the price list, the cheapest first.
        assumptions: one sentence each.
    """

    share: float
    share_from: Source
    requests: int
    model: str
    models: tuple[str, ...]
    machine_usd_per_hour: float
    llm_usd: float
    both_usd: float
    saved: float
    assumptions: tuple[str, ...]


def monthly_saving(store: StudioStore, project: Project, asked: CostQuestion) -> MonthlySaving:
    """Compute what a project saves in a month: the first month of `project_costs`. Raises as that does."""
    answer = project_costs(store, project, replace(asked, months=1))
    month = answer.months[0]
    names = tuple(entry.name for entry in sorted(large_models(), key=lambda entry: entry.input))
    return MonthlySaving(
        share=answer.share,
        share_from=answer.share_from,
        requests=answer.requests_per_month,
        model=answer.against[0].name,
        models=names,
        machine_usd_per_hour=answer.machine_usd_per_hour,
        llm_usd=month.llm_usd,
        both_usd=month.hybrid_usd,
        saved=month.llm_usd - month.hybrid_usd,
        assumptions=tuple(answer.assumptions),
    )
