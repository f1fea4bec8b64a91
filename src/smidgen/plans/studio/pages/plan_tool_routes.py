"""`/api/v1/projects/{project}/tools/plan`: the tools of a plan for a desk."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.plans.studio.plan_tools import add_plan
from smidgen.studio.api.access import Owner
from smidgen.studio.api.host import StudioHost
from smidgen.studio.api.tool_routes import ShownTools, shown_tools


class PlanChoice(BaseModel):
    """A plan of the Studio, which was made."""

    plan: str = Field(min_length=1, max_length=100)
    stamp: str = Field(max_length=64)


def plan_tool_routes(host: StudioHost) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/api/v1/projects/{project}/tools", tags=["tools"])

    @router.put("/plan")
    def choose_plan(person: Owner, project: str, body: PlanChoice) -> ShownTools:
        """Add the tools of a plan: the desk asks it at once, and changes it after a yes."""
        return shown_tools(host.store, project, *add_plan(host.store.project(project), body.plan, body.stamp))

    return router


part = plan_tool_routes
