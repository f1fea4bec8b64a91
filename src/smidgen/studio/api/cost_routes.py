"""`/api/v1/projects/{project}/costs`: when the project's model pays, and what it saves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.studio.api.access import Viewer
from smidgen.studio.api.report_routes import OperatingPointView, point_view
from smidgen.studio.flows.costs import DAYS_A_MONTH, OWN_MODEL, CostAnswer, CostQuestion, Source, large_models, project_costs
from smidgen.studio.store.projects import StudioStore
from smidgen.usage.break_even import PaybackOutcome


class CostQuery(BaseModel):
    """A question about costs; what is left out comes from the project and its model."""

    requests_per_day: float | None = Field(None, gt=0, le=1e9)
    model: str | None = Field(None, max_length=200, description=f"The large model to compare with; {OWN_MODEL!r} takes the prices here.")
    price_in: float | None = Field(None, ge=0, le=1e6, description="Dollars per million tokens that it reads.")
    price_out: float | None = Field(None, ge=0, le=1e6, description="Dollars per million tokens that it writes.")
    tokens_in: float | None = Field(None, ge=0, le=1e7)
    tokens_out: float | None = Field(None, ge=0, le=1e7)
    share: float | None = Field(None, ge=0, le=1, description="Part of the requests that is answered here.")
    machine_usd_per_hour: float | None = Field(None, ge=0, le=1e4)
    watts: float = Field(0.0, ge=0, le=1e5, description="Power that the machine takes.")
    usd_per_kwh: float = Field(0.0, ge=0, le=100)
    growth_percent: float = Field(0.0, ge=-50, le=100, description="By how much requests grow in a month.")
    months: int = Field(12, ge=1, le=60)
    run: str | None = Field(None, max_length=50, description="The model; the newest without it.")


class CostMonth(BaseModel):
    """A month: its requests, and what they cost with the large model alone, the small one alone, and both."""

    number: int
    requests: float
    machines: int
    llm_usd: float
    slm_usd: float
    hybrid_usd: float
    saved_so_far_usd: float = Field(description="With both, by its end, building included.")


class PaybackView(BaseModel):
    """The outcome of one way over all months."""

    total_usd: float
    saved_usd: float
    payback_month: int | None = Field(description="From this month on it has paid; null: never.")
    from_requests: int | None = Field(description="Requests a month from which on a month costs less; null: at no number.")


class LargeModelView(BaseModel):
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


class CostView(BaseModel):
    """The break-even of a project's model. `against` begins with the large model that all other figures are about."""

    requests_per_day: float
    requests_per_month: int
    tokens_in: float
    tokens_out: float
    tokens_from: Source
    share: float
    share_from: Source
    point: OperatingPointView | None = Field(description="The operating point of the model; null without one.")
    machine_usd_per_hour: float = Field(description="Without energy.")
    machine_usd_per_month: float = Field(description="With energy.")
    energy_usd_per_month: float
    texts_per_second: float
    build_usd: float
    months: list[CostMonth]
    llm_usd: float
    alone: PaybackView
    both: PaybackView
    saved_per_month_usd: float = Field(description="In the first month, with both.")
    against: list[LargeModelView]
    prices_as_of: str
    training_wh: float | None = Field(description="Measured energy of the training; null where it was not measured.")
    answers: list[str]
    assumptions: list[str]


class PriceView(BaseModel):
    """An entry of the shipped price list."""

    name: str
    provider: str
    input: float = Field(description="US dollars per million tokens that it reads.")
    output: float = Field(description="US dollars per million tokens that it writes.")
    date: str


def cost_routes(store: StudioStore) -> APIRouter:
    """The routes of costs."""
    router = APIRouter(prefix="/api/v1", tags=["costs"])

    @router.get("/prices")
    def list_prices(person: Viewer) -> list[PriceView]:
        """List the large models of the shipped price list."""
        return [PriceView(**{name: entry[name] for name in PriceView.model_fields}) for entry in large_models()]

    @router.get("/projects/{project}/costs")
    def compute_costs(person: Viewer, project: str, query: Annotated[CostQuery, Query()]) -> CostView:
        """Compute when the project's model pays, and what it saves."""
        fields = query.model_dump()
        asked = CostQuestion(**{("bundle_run" if name == "run" else name): value for name, value in fields.items()})
        return _view(asked, project_costs(store, store.project(project), asked))

    return router


def _view(asked: CostQuestion, answer: CostAnswer) -> CostView:
    report = answer.report
    full, first = report.asked, report.against[0].found
    energy_hour = asked.watts / 1000 * asked.usd_per_kwh
    months = [
        CostMonth(
            number=month.number,
            requests=month.requests,
            machines=month.machines,
            llm_usd=month.llm_usd,
            slm_usd=month.slm_usd,
            hybrid_usd=month.hybrid_usd,
            saved_so_far_usd=saved,
        )
        for month, saved in zip(first.months, answer.saved_so_far, strict=True)
    ]
    against = [
        LargeModelView(
            **one.model.model_dump(include={"name", "provider", "input_usd", "output_usd", "date"}),
            usd_per_request=one.usd_per_request,
            llm_usd=one.found.llm_usd,
            saved_usd=one.found.hybrid.saved_usd,
            payback_month=one.found.hybrid.payback_month,
        )
        for one in report.against
    ]
    return CostView(
        requests_per_day=asked.requests_per_day or full.requests_per_month / DAYS_A_MONTH,
        requests_per_month=full.requests_per_month,
        tokens_in=full.tokens_in or 0.0,
        tokens_out=full.tokens_out or 0.0,
        tokens_from=answer.sources["tokens"],
        share=full.share_local or 0.0,
        share_from=answer.sources["share"],
        point=point_view(answer.point),
        machine_usd_per_hour=(full.machine_usd_per_hour or 0.0) - energy_hour,
        machine_usd_per_month=answer.machine_usd_per_month,
        energy_usd_per_month=answer.energy_usd_per_month,
        texts_per_second=full.texts_per_second or 0.0,
        build_usd=first.build_usd,
        months=months,
        llm_usd=first.llm_usd,
        alone=_payback(first.slm),
        both=_payback(first.hybrid),
        saved_per_month_usd=answer.saved_per_month,
        against=against,
        prices_as_of=report.as_of,
        training_wh=report.energy["training_wh"] if report.energy else None,
        answers=list(report.answers),
        assumptions=list(report.assumptions),
    )


def _payback(outcome: PaybackOutcome) -> PaybackView:
    return PaybackView(
        total_usd=outcome.total_usd,
        saved_usd=outcome.saved_usd,
        payback_month=outcome.payback_month,
        from_requests=outcome.from_requests,
    )
