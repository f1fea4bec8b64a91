"""`/api/v1/projects/{project}/intents`: the kinds of message that a desk tells apart, with their examples."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.desk.studio import intents
from smidgen.desk.studio.desk_policy import MOST_BYTES, change_line, steps_of
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.flows.material import material_kinds
from smidgen.studio.flows.table_columns import LEAST_KINDS
from smidgen.studio.flows.tool_files.text_files import read_text
from smidgen.studio.store.projects import Project


class MessageKindSteps(BaseModel):
    """A kind of message. `steps`: what the policy does with it; empty if the policy cannot be read."""

    name: str
    examples: list[str]
    outside: bool = Field(description="Whether it is the kind of messages that are none of the others.")
    steps: list[str]


class MessageKinds(BaseModel):
    """All kinds of message of a desk."""

    kinds: list[MessageKindSteps]
    stamp: str
    least_kinds: int = Field(description="With fewer, no kinds are told apart.")


class MessageKindChange(BaseModel):
    """A kind in place of the one named `before`, or one more where that is empty."""

    before: str = Field("", max_length=500)
    name: str = Field(max_length=500)
    examples: list[str] = Field(min_length=1, max_length=intents.MOST_EXAMPLES)
    step: str = Field("", max_length=200, description="The policy's one step for it from now on; empty leaves the policy as it is.")
    stamp: str = Field(max_length=64)


class MessageKindRemoval(BaseModel):
    """A kind to remove, with its examples."""

    name: str = Field(min_length=1, max_length=500)
    stamp: str = Field(max_length=64)


def intent_routes(host: StudioHost) -> APIRouter:
    """The routes of the kinds of message."""
    store = host.store
    router = APIRouter(prefix="/api/v1/projects/{project}/intents", tags=["policy"])

    def view(project: Project) -> MessageKinds:
        file, kinds = intents.read_kinds(project)
        policy = read_text(project, "policy", MOST_BYTES).text if "policy" in material_kinds(project) else ""
        steps = steps_of(policy, [kind.name for kind in kinds])
        views = [
            MessageKindSteps(name=kind.name, examples=list(kind.examples), outside=kind.outside, steps=steps.get(kind.name, []))
            for kind in kinds
        ]
        return MessageKinds(kinds=views, stamp=file.stamp, least_kinds=LEAST_KINDS)

    @router.get("")
    def read_intents(person: Viewer, project: str) -> MessageKinds:
        """Read the kinds of message, with their examples."""
        return view(store.project(project))

    @router.put("")
    def save_intent(person: Editor, project: str, body: MessageKindChange) -> MessageKinds:
        """Add or change a kind of message. The policy's line for it keeps up with its name."""
        found = store.project(project)
        intents.save_kind(found, body.before, body.name, body.examples, body.stamp)
        if "policy" in material_kinds(found):
            name = " ".join(body.name.split())
            change_line(store, found, body.before or name, name, body.step)
        return view(found)

    @router.post("/delete")
    def delete_intent(person: Editor, project: str, body: MessageKindRemoval) -> MessageKinds:
        """Remove a kind of message with its examples. The policy stays as it is."""
        found = store.project(project)
        intents.save_kind(found, body.name, body.name, (), body.stamp)
        return view(found)

    return router


part = intent_routes
