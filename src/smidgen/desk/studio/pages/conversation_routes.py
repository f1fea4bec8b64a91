"""`/api/v1/projects/{project}/conversations`: read a desk's conversations, answer in them, and judge what the desk said."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.conversations import Outcome, Status, Turn
from smidgen.desk.store.corrections import CorrectionKind, CorrectionState, DeskCorrection
from smidgen.desk.store.records import ConversationFilter, ConversationHead
from smidgen.desk.studio.desk_conversations import (
    OpenedConversation,
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


class HeadView(BaseModel):
    """A conversation in a list. Times are in seconds since 1970."""

    id: str
    channel: str
    address: str
    subject: str
    language: str
    status: Status
    outcome: str = Field(description="That of the desk's last reply; empty before its first one.")
    turns: int
    created: float
    changed: float
    first: str = Field(description="The beginning of the customer's first message.")


class ConversationsView(BaseModel):
    """Some conversations, and how many a choice leaves. `waiting`: how many a person has, whatever is chosen."""

    total: int
    waiting: int
    masked: bool = Field(description="Whether personal data is hidden, because the role may only look.")
    conversations: list[HeadView]


class CitationView(BaseModel):
    """Words quoted from a document, and the passage around them."""

    title: str
    heading: str
    text: str
    passage: str
    page: int | None
    url: str


class CardView(BaseModel):
    """Facts beside a reply."""

    kind: str
    title: str
    items: list[dict[str, Any]]


class ProposedCallView(BaseModel):
    """A call that waited for the customer's yes."""

    tool: str
    words: str
    arguments: dict[str, Any]


class ReplyView(BaseModel):
    """A reply of the desk, for people of the business."""

    outcome: Outcome
    member: str
    intent: str
    score: float
    why: str
    step: str = Field(description="The policy's step that it comes from; empty if none was needed.")
    passed: list[str] = Field(description="The policy's steps before it that could not answer.")
    email: str = Field(description="Where the customer wants to be written to, if they said so.")
    citations: list[CitationView]
    cards: list[CardView]
    call: ProposedCallView | None
    thumb: Literal["up", "down"] | None
    comment: str


class TurnView(BaseModel):
    """One message of a conversation. `by`: the person's name, if a person said it."""

    id: str
    author: Literal["customer", "desk", "person"]
    by: str
    text: str
    time: float
    reply: ReplyView | None


class LoggedCallView(BaseModel):
    """A call of a tool."""

    time: float
    tool: str
    arguments: dict[str, Any]
    consent: str
    status: str
    reason: str
    seconds: float


class SummaryView(BaseModel):
    """All that a person needs to go on."""

    who: str
    question: str
    passages: list[str]
    tried: list[str]


class LetterView(BaseModel):
    """A message that waits to be delivered, or could not be."""

    id: str
    text: str
    state: str
    attempts: int
    error: str


class ConversationView(BaseModel):
    """A conversation with all that belongs to it."""

    id: str
    channel: str
    address: str
    language: str
    status: Status
    masked: bool
    turns: list[TurnView]
    calls: list[LoggedCallView]
    summary: SummaryView
    undelivered: list[LetterView]


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


class DeskCorrectionView(BaseModel):
    """A correction. Times are in seconds since 1970."""

    id: str
    kind: CorrectionKind
    conversation: str
    channel: str
    question: str
    answer: str
    said: str = Field(description="What the desk said; empty if it said nothing.")
    outcome: str
    intent: str
    comment: str = Field(description="The customer's, beside a thumb down.")
    time: float
    state: CorrectionState
    document: str
    quote: str
    unanswerable: bool
    by: str
    decided: float | None


class CorrectionsView(BaseModel):
    """Some corrections, and how many there are in this state."""

    total: int
    corrections: list[DeskCorrectionView]


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


class FoundQuoteView(BaseModel):
    """Words of a document that may answer."""

    document: str
    title: str
    text: str
    exact: bool


class DeskFiguresView(BaseModel):
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
    ) -> ConversationsView:
        """List conversations, the last changed first. Viewers see no personal data, and cannot search for it."""
        masked = not person.may("edit")
        where = ConversationFilter(channel=channel, status=status, outcome=outcome, thumb=thumb, text="" if masked else text)
        found = list_conversations(store.project(project).id, where, offset, limit, masked)
        heads = [_head(one) for one in found.conversations]
        return ConversationsView(total=found.total, waiting=waiting_for_person(project), masked=masked, conversations=heads)

    @router.get("/conversations/{conversation}")
    def read_conversation(person: Viewer, project: str, conversation: str) -> ConversationView:
        """Read a conversation. Viewers see no personal data."""
        masked = not person.may("edit")
        return _opened(open_conversation(store.project(project).id, conversation, masked), masked)

    @router.post("/conversations/{conversation}/reply")
    def reply_as_person(person: Editor, project: str, conversation: str, body: PersonReply) -> ConversationView:
        """Answer the customer as a person, in the customer's channel. With the question before it, it is a pair to learn from."""
        answer_as_person(store.project(project).id, conversation, body.text, person.name, body.after)
        return _opened(open_conversation(project, conversation, False), False)

    @router.post("/conversations/{conversation}/status")
    def change_status(person: Editor, project: str, conversation: str, body: StatusChange) -> ConversationView:
        """Take a conversation over (`with_person`), give it back to the desk (`open`), or mark it as solved (`closed`)."""
        set_status(store.project(project).id, conversation, body.status)
        return _opened(open_conversation(project, conversation, False), False)

    @router.delete("/conversations/{conversation}", status_code=204)
    def forget_conversation(person: Operator, project: str, conversation: str) -> None:
        """Delete a conversation for good: its turns, messages, calls, and what could be learnt from it."""
        delete_conversation(store.project(project).id, conversation)

    @router.post("/conversations/{conversation}/turns/{turn}/correction")
    def correct_turn(person: Editor, project: str, conversation: str, turn: str, body: TurnJudgement) -> DeskCorrectionView:
        """Say what the desk should have done at one of its turns. It waits in the list of corrections."""
        right = (body.kind, body.question, body.answer, body.document, body.quote, person.name)
        return _correction(propose_correction(store.project(project), conversation, turn, *right))

    @router.get("/quotes")
    def find_desk_quotes(person: Editor, project: str, text: str = Query(min_length=1, max_length=2_000)) -> list[FoundQuoteView]:
        """Find words of the project's documents that may answer a text."""
        return [FoundQuoteView(**asdict(one)) for one in project_quotes(store.project(project), text)]

    @router.get("/corrections")
    def list_desk_corrections(
        person: Viewer,
        project: str,
        state: CorrectionState = "waiting",
        offset: int = Query(0, ge=0, le=10_000_000),
        limit: int = Query(20, ge=1, le=_MOST_LISTED),
    ) -> CorrectionsView:
        """List corrections in a state, the newest first. Viewers see no personal data."""
        found = project_corrections(store.project(project).id, state, offset, limit, not person.may("edit"))
        return CorrectionsView(total=found.total, corrections=[_correction(one) for one in found.corrections])

    @router.post("/corrections/add")
    def add_corrections(person: Editor, project: str) -> AddedCorrections:
        """Add all approved corrections to the files that the desk learns from. They hold from its next build."""
        done = add_project_corrections(store.project(project))
        return AddedCorrections(added=sum(done.counts.values()), left=len(done.left), files=[file.name for file in done.files])

    @router.post("/corrections/{correction}")
    def decide_desk_correction(person: Editor, project: str, correction: str, body: CorrectionDecisionBody) -> DeskCorrectionView:
        """Approve a correction with its words, reject it, or take that back."""
        words: dict[str, Any] = body.model_dump(exclude={"state"}) if body.state == "approved" else {}
        return _correction(decide_correction(store.project(project), correction, body.state, person.name, **words))

    @router.get("/desk-figures")
    def read_desk_figures(person: Viewer, project: str, days: int = Query(1, ge=1, le=_MOST_DAYS)) -> DeskFiguresView:
        """Read the figures of the last days, today (UTC) included."""
        found = figures_since(store.project(project).id, day_ago(days))
        return DeskFiguresView(days=days, waiting=waiting_for_person(project), **asdict(found))

    return router


def _head(one: ConversationHead) -> HeadView:
    return HeadView(**{name: value for name, value in asdict(one).items() if name != "desk"})


def _correction(one: DeskCorrection) -> DeskCorrectionView:
    return DeskCorrectionView(**{name: value for name, value in asdict(one).items() if name != "desk"})


def _opened(found: OpenedConversation, masked: bool) -> ConversationView:
    one, summary = found.conversation, found.summary
    return ConversationView(
        id=one.id,
        channel=one.channel,
        address=one.address if one.channel != "widget" else "",  # of the widget it is the hash of a token
        language=one.language,
        status=one.status,
        masked=masked,
        turns=[_turn(turn, found) for turn in one.turns],
        calls=[
            LoggedCallView(
                time=call.time.timestamp(),
                tool=call.tool,
                arguments=dict(call.arguments),
                consent=call.consent,
                status=call.status,
                reason=call.reason,
                seconds=call.seconds,
            )
            for call in found.calls
        ],
        summary=SummaryView(
            who=one.channel if one.channel == "widget" else summary.who,
            question=summary.question,
            passages=list(summary.passages),
            tried=list(summary.tried),
        ),
        undelivered=[
            LetterView(id=letter.message.id, text=letter.message.text, state=letter.state, attempts=letter.attempts, error=letter.error)
            for letter in found.undelivered
        ],
    )


def _turn(turn: Turn, found: OpenedConversation) -> TurnView:
    reply, thumb = turn.reply, found.thumbs.get(turn.id)
    shown = None
    if reply is not None:
        call = reply.call
        shown = ReplyView(
            outcome=reply.outcome,
            member=reply.member,
            intent=reply.intent,
            score=reply.score,
            why=str(reply.facts.get("why", ""))[:300],
            step=str(reply.facts.get("step", "")),
            passed=[str(step) for step in reply.facts.get("passed", ())],
            email=str(reply.facts.get("email", ""))[:300],
            citations=[
                CitationView(title=one.title, heading=one.heading, text=one.text, passage=one.passage, page=one.page, url=one.url)
                for one in reply.citations
            ],
            cards=[CardView(kind=one.kind, title=one.title, items=[dict(item) for item in one.items]) for one in reply.cards],
            call=None if call is None else ProposedCallView(tool=call.tool, words=call.words, arguments=dict(call.arguments)),
            thumb=None if thumb is None else thumb.verdict,
            comment="" if thumb is None else thumb.comment,
        )
    by = found.authors.get(turn.id, "")
    return TurnView(id=turn.id, author=turn.author, by=by, text=turn.text, time=turn.time.timestamp(), reply=shown)


part = conversation_routes
