"""`/api/v1/projects/{project}/costs`: when the project's model pays, and what it saves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.studio.api.access import Viewer
from smidgen.studio.flows.costs import OWN_MODEL, CostQuestion, PricedModel, ProjectCosts, large_models, project_costs
from smidgen.studio.store.projects import StudioStore


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


def cost_routes(store: StudioStore) -> APIRouter:
    """The routes of costs."""
    router = APIRouter(prefix="/api/v1", tags=["costs"])

    @router.get("/prices")
    def list_prices(person: Viewer) -> list[PricedModel]:
        """List the large models of the shipped price list."""
        return large_models()

    @router.get("/projects/{project}/costs")
    def compute_costs(person: Viewer, project: str, query: Annotated[CostQuery, Query()]) -> ProjectCosts:
        """Compute when the project's model pays, and what it saves."""
        fields = query.model_dump()
        asked = CostQuestion(**{("bundle_run" if name == "run" else name): value for name, value in fields.items()})
        return project_costs(store, store.project(project), asked)

    return router
