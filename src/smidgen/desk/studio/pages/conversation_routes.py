"""`/api/v1/projects/{project}/conversations`: read a desk's conversations, answer in them, and judge what the desk said."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.conversations import Outcome, Status
from smidgen.desk.flows.corrections import FoundQuote
from smidgen.desk.store.corrections import CorrectionPage, CorrectionState, DeskCorrection
from smidgen.desk.store.records import ConversationFilter, ConversationHead
from smidgen.desk.studio.desk_conversations import (
    ShownConversation,
    answer_as_person,
    day_ago,
    delete_conversation,
    figures_since,
    list_conversations,
    open_conversation,
    set_status,
    waiting_for_person,
)
from smidgen.desk.studio.desk_corrections import (
    CorrectionWay,
    add_project_corrections,
    decide_correction,
    project_corrections,
    project_quotes,
    propose_correction,
)
from smidgen.studio.api.access import Editor, Operator, Viewer
from smidgen.studio.api.host import StudioHost

_MOST_LISTED, _MOST_DAYS = 100, 366


class ConversationList(BaseModel):
    """Some conversations, and how many a choice leaves. `waiting`: how many a person has, whatever is chosen."""

    total: int
    waiting: int
    masked: bool = Field(description="Whether personal data is hidden, because the role may only look.")
    conversations: list[ConversationHead]


class PersonReply(BaseModel):
    """A person's answer. `after`: who answers next."""

    text: str = Field(min_length=1, max_length=20_000)
    after: Status = "with_person"


class StatusChange(BaseModel):
    """Who answers next."""

    status: Status


class TurnJudgement(BaseModel):
    """The right thing to do at one of the desk's turns. An empty question stands for the customer's words."""

    kind: CorrectionWay
    question: str = Field("", max_length=2_000)
    answer: str = Field("", max_length=5_000)
    document: str = Field("", max_length=500)
    quote: str = Field("", max_length=5_000)


class CorrectionDecisionBody(BaseModel):
    """A decision on a correction, with the words as they are to be learnt."""

    state: CorrectionState
    question: str = Field("", max_length=20_000)
    answer: str = Field("", max_length=20_000)
    intent: str = Field("", max_length=500)
    document: str = Field("", max_length=500)
    quote: str = Field("", max_length=20_000)
    unanswerable: bool = False


class AddedCorrections(BaseModel):
    """How many rows were added to the project's files, and how many corrections have no place there."""

    added: int
    left: int
    files: list[str]


class DeskReport(BaseModel):
    """Figures of a desk over some days, today (UTC) included."""

    days: int
    conversations: int
    messages: int
    outcomes: dict[str, int]
    people: int
    handed_over: int
    up: int
    down: int
    waiting: int = Field(description="Conversations that a person has now.")


def conversation_routes(host: StudioHost) -> APIRouter:
    """The routes of conversations."""
    store = host.store
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["desk"])

    @router.get("/conversations")
    def list_desk_conversations(
        person: Viewer,
        project: str,
        outcome: Outcome | None = None,
        channel: str = Query("", max_length=60),
        status: Status | None = None,
        thumb: Literal["up", "down"] | None = None,
        text: str = Query("", max_length=200),
        offset: int = Query(0, ge=0, le=10_000_000),
        limit: int = Query(30, ge=1, le=_MOST_LISTED),
    ) -> ConversationList:
        """List conversations, the last changed first. Viewers see no personal data, and cannot search for it."""
        masked = not person.may("edit")
        where = ConversationFilter(channel=channel, status=status, outcome=outcome, thumb=thumb, text="" if masked else text)
        found = list_conversations(store.project(project).id, where, offset, limit, masked)
        return ConversationList(
            total=found.total, waiting=waiting_for_person(project), masked=masked, conversations=list(found.conversations)
        )

    @router.get("/conversations/{conversation}")
    def read_conversation(person: Viewer, project: str, conversation: str) -> ShownConversation:
        """Read a conversation. Viewers see no personal data."""
        masked = not person.may("edit")
        return open_conversation(store.project(project).id, conversation, masked)

    @router.post("/conversations/{conversation}/reply")
    def reply_as_person(person: Editor, project: str, conversation: str, body: PersonReply) -> ShownConversation:
        """Answer the customer as a person, in the customer's channel. With the question before it, it is a pair to learn from."""
        answer_as_person(store.project(project).id, conversation, body.text, person.name, body.after)
        return open_conversation(project, conversation, False)

    @router.post("/conversations/{conversation}/status")
    def change_status(person: Editor, project: str, conversation: str, body: StatusChange) -> ShownConversation:
        """Take a conversation over (`with_person`), give it back to the desk (`open`), or mark it as solved (`closed`)."""
        set_status(store.project(project).id, conversation, body.status)
        return open_conversation(project, conversation, False)

    @router.delete("/conversations/{conversation}", status_code=204)
    def forget_conversation(person: Operator, project: str, conversation: str) -> None:
        """Delete a conversation for good: its turns, messages, calls, and what could be learnt from it."""
        delete_conversation(store.project(project).id, conversation)

    @router.post("/conversations/{conversation}/turns/{turn}/correction")
    def correct_turn(person: Editor, project: str, conversation: str, turn: str, body: TurnJudgement) -> DeskCorrection:
        """Say what the desk should have done at one of its turns. It waits in the list of corrections."""
        right = (body.kind, body.question, body.answer, body.document, body.quote, person.name)
        return propose_correction(store.project(project), conversation, turn, *right)

    @router.get("/quotes")
    def find_desk_quotes(person: Editor, project: str, text: str = Query(min_length=1, max_length=2_000)) -> list[FoundQuote]:
        """Find words of the project's documents that may answer a text."""
        return project_quotes(store.project(project), text)

    @router.get("/corrections")
    def list_desk_corrections(
        person: Viewer,
        project: str,
        state: CorrectionState = "waiting",
        offset: int = Query(0, ge=0, le=10_000_000),
        limit: int = Query(20, ge=1, le=_MOST_LISTED),
    ) -> CorrectionPage:
        """List corrections in a state, the newest first. Viewers see no personal data."""
        return project_corrections(store.project(project).id, state, offset, limit, not person.may("edit"))

    @router.post("/corrections/add")
    def add_corrections(person: Editor, project: str) -> AddedCorrections:
        """Add all approved corrections to the files that the desk learns from. They hold from its next build."""
        done = add_project_corrections(store.project(project))
        return AddedCorrections(added=sum(done.counts.values()), left=len(done.left), files=[file.name for file in done.files])

    @router.post("/corrections/{correction}")
    def decide_desk_correction(person: Editor, project: str, correction: str, body: CorrectionDecisionBody) -> DeskCorrection:
        """Approve a correction with its words, reject it, or take that back."""
        words: dict[str, Any] = body.model_dump(exclude={"state"}) if body.state == "approved" else {}
        return decide_correction(store.project(project), correction, body.state, person.name, **words)

    @router.get("/desk-figures")
    def read_desk_figures(person: Viewer, project: str, days: int = Query(1, ge=1, le=_MOST_DAYS)) -> DeskReport:
        """Read the figures of the last days, today (UTC) included."""
        found = figures_since(store.project(project).id, day_ago(days))
        return DeskReport(days=days, waiting=waiting_for_person(project), **asdict(found))

    return router


part = conversation_routes
