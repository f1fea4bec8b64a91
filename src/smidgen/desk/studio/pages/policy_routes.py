"""`/api/v1/projects/{project}/policy`, `…/intents` and `…/test-conversations`: a desk's policy, its kinds of message, and its tests."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from smidgen.desk.policy import parse_policy
from smidgen.desk.studio import conversation_tests as tests
from smidgen.desk.studio import intents
from smidgen.desk.studio.desk_policy import (
    MOST_BYTES,
    PolicyDraft,
    PolicySurroundings,
    TriedMessage,
    change_line,
    draft_from_form,
    draft_of,
    read_project_policy,
    save_policy,
    steps_of,
    surroundings,
    try_message,
)
from smidgen.desk.studio.redaction_member import Finder, choose_finder, chosen_finder, finders, personal_kinds
from smidgen.desk.texts import TEXTS
from smidgen.studio.api.access import Builder, Editor, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.flows.material import material_kinds
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.flows.table_columns import LEAST_KINDS
from smidgen.studio.flows.tool_files.text_files import FieldMistake, TextFile, read_text
from smidgen.studio.store.projects import Project, StudioStore


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


_LONGEST_MESSAGE = 4_000


class FinderChoice(BaseModel):
    """The model that finds customers' personal data from the next build on."""

    model: str = Field("", max_length=100, description="Its build; empty for the model that comes with smidgen.")


class ShownPolicy(BaseModel):
    """A policy as text and as a form, in step, with its mistakes and what it may name."""

    text: str
    form: dict[str, Any] | None = Field(description="Every setting of the policy; null if the text cannot be read.")
    mistakes: list[FieldMistake]
    remarks: list[FieldMistake] = Field(description="Steps that can never answer, as their tool or member is not there.")
    stamp: str
    intents: list[str] = Field(description="The intents that the desk's member of intents knows.")
    tools: list[str]
    members: list[str]
    texts: dict[str, dict[str, str]] = Field(description="The desk's own texts, which a policy may replace, by name and language.")
    kinds: list[str] = Field(description="The kinds of personal data that the policy may name.")
    finder: Finder | None = Field(description="The desk's own member that finds personal data; null for the model of smidgen itself.")
    finders: list[Finder] = Field(description="The models of this Studio that may be that member.")
    model: bool = Field(description="Whether a desk was built that can try messages.")
    kept_comments: bool


class PolicyForm(BaseModel):
    """A policy in one of its forms. With a form, `text` is the text before, whose comments stay."""

    text: str = Field("", max_length=MOST_BYTES)
    form: dict[str, Any] | None = None
    stamp: str = Field("", max_length=64)


class PolicyQuestion(PolicyForm):
    """A message to try under a policy that may not be saved."""

    message: str = Field("", max_length=_LONGEST_MESSAGE)
    before: list[str] = Field(default_factory=list, max_length=20)
    intent: str = Field("", max_length=200, description="The intent, where no desk was built.")

    @model_validator(mode="after")
    def _asks(self) -> PolicyQuestion:
        if not self.message.strip() and not self.intent:
            raise ValueError("give a message, or an intent")
        return self


class WantedTurn(BaseModel):
    """A message of a test conversation, and what is wanted of the answer."""

    say: str = Field(max_length=_LONGEST_MESSAGE)
    expect: dict[str, Any] | None = None


class ShownTurnResult(BaseModel):
    """The answer of a built desk. `right` is null where that was not measured."""

    right: bool | None
    outcome: str
    text: str
    tool: str
    documents: list[str]


class WantedConversation(BaseModel):
    """A test conversation. `results`: one for each message, where a desk was built; else empty."""

    line: int
    turns: list[WantedTurn]
    mistakes: list[FieldMistake]
    results: list[ShownTurnResult]


class WantedConversations(BaseModel):
    """The test conversations of a project."""

    conversations: list[WantedConversation]
    stamp: str
    model: str = Field(description="The build whose results are shown; empty without one.")
    documents: list[str] = Field(description="The documents that answers quote, as far as results show them.")


class ConversationChange(BaseModel):
    """A conversation in place of that of a line; line 0 adds one."""

    line: int = Field(0, ge=0)
    turns: list[WantedTurn] = Field(min_length=1, max_length=tests.MOST_TURNS)
    stamp: str = Field(max_length=64)


class ConversationRemoval(BaseModel):
    """A conversation to remove."""

    line: int = Field(ge=1)
    stamp: str = Field(max_length=64)


class ConversationImport(BaseModel):
    """Conversations as JSONL, one a line."""

    text: str = Field(min_length=1, max_length=8_000_000)
    replaces: bool = Field(False, description="Whether they take the place of those that are there.")
    stamp: str = Field(max_length=64)


def policy_routes(host: StudioHost) -> APIRouter:
    """The routes of a desk's policy and of its test conversations."""
    store, models = host.store, host.models
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["policy"])

    def newest(project: str) -> str:
        return next((run.id for run in models_of(store, project)), "")

    def draft(body: PolicyForm, around: PolicySurroundings) -> PolicyDraft:
        return draft_of(body.text, around) if body.form is None else draft_from_form(body.form, body.text, around)

    def view(project: Project, found: PolicyDraft, around: PolicySurroundings, stamp: str) -> ShownPolicy:
        return ShownPolicy(
            text=found.text,
            form=None if found.form is None else dict(found.form),
            mistakes=list(found.mistakes),
            remarks=list(found.remarks),
            stamp=stamp,
            intents=list(around.intents),
            tools=list(around.tools),
            members=list(around.members),
            texts={name: dict(words) for name, words in TEXTS.items()},
            kinds=list(personal_kinds(store, project)),
            finder=chosen_finder(store, project),
            finders=list(finders(store)),
            model=bool(newest(project.id)),
            kept_comments=found.kept,
        )

    @router.get("/policy")
    def read_policy(person: Viewer, project: str) -> ShownPolicy:
        """Read the policy of a desk, and what it may name."""
        found = store.project(project)
        file, read, around = read_project_policy(store, found)
        return view(found, read, around, file.stamp)

    @router.post("/policy/check")
    def check_policy(person: Viewer, project: str, body: PolicyForm) -> ShownPolicy:
        """Turn a policy into its other form, and tell every mistake in it. Nothing is stored."""
        found = store.project(project)
        around = surroundings(store, found)
        return view(found, draft(body, around), around, body.stamp)

    @router.put("/policy")
    def write_policy(person: Editor, project: str, body: PolicyForm) -> ShownPolicy:
        """Keep a policy. One with mistakes is refused, with all of them."""
        found = store.project(project)
        around = surroundings(store, found)
        file, saved = save_policy(store, found, draft(body, around), body.stamp)
        return view(found, saved, around, file.stamp)

    @router.put("/policy/finder")
    def write_finder(person: Editor, project: str, body: FinderChoice) -> ShownPolicy:
        """Choose the model that finds customers' personal data. It is copied into the project."""
        found = choose_finder(store, store.project(project), body.model)
        file, read, around = read_project_policy(store, found)
        return view(found, read, around, file.stamp)

    @router.post("/policy/try")
    def try_policy(person: Viewer, project: str, body: PolicyQuestion) -> TriedMessage:
        """Tell what happens with a message under this policy, saved or not. No call is made."""
        found = store.project(project)
        policy = parse_policy(draft(body, surroundings(store, found)).text, "the policy")
        model = newest(project)
        if model and body.message.strip():
            with models.using(model_folder(store, project, model)) as opened:
                return try_message(policy, body.message, opened, body.intent, body.before)
        return try_message(policy, body.message, None, body.intent)

    _conversation_routes(router, store, models)
    return router


def _conversation_routes(router: APIRouter, store: StudioStore, models: OpenModels) -> None:
    """Add the routes of test conversations."""

    def view(project: str, file: TextFile, found: list[tests.TestConversation], now: bool = False) -> WantedConversations:
        model = next((run.id for run in models_of(store, project)), "")
        results: dict[int, list[tests.TurnResult]] = {}
        if model and now:
            with models.using(model_folder(store, project, model)) as opened:
                results = tests.measured_now(opened, found)
        elif model:
            results = tests.built_results(model, found)
        shown = [_conversation(one, results.get(one.line, [])) for one in found]
        quoted = {name for one in shown for result in one.results for name in result.documents}
        wanted = {str(turn.expect["document"]) for one in shown for turn in one.turns if turn.expect and turn.expect.get("document")}
        return WantedConversations(conversations=shown, stamp=file.stamp, model=model, documents=sorted(quoted | wanted))

    @router.get("/test-conversations")
    def read_conversations(person: Viewer, project: str) -> WantedConversations:
        """Read the test conversations, with what the newest build answered to those that it measured."""
        return view(project, *tests.read_conversation_tests(store.project(project)))

    @router.put("/test-conversations")
    def save_conversation(person: Editor, project: str, body: ConversationChange) -> WantedConversations:
        """Add or change a conversation. One with mistakes is refused, with all of them."""
        turns = [turn.model_dump(exclude_none=True) for turn in body.turns]
        return view(project, *tests.save_conversation(store.project(project), body.line, turns, body.stamp))

    @router.post("/test-conversations/delete")
    def delete_conversation(person: Editor, project: str, body: ConversationRemoval) -> WantedConversations:
        """Remove a conversation."""
        return view(project, *tests.delete_conversation(store.project(project), body.line, body.stamp))

    @router.post("/test-conversations/import")
    def import_conversations(person: Editor, project: str, body: ConversationImport) -> WantedConversations:
        """Add conversations of a JSONL file, all of them or none."""
        return view(project, *tests.import_conversations(store.project(project), body.text, body.replaces, body.stamp))

    @router.post("/test-conversations/measure")
    def measure_conversations(person: Builder, project: str) -> WantedConversations:
        """Answer all conversations with the newest build, and compare. Nothing is stored; calls that only read may be made."""
        return view(project, *tests.read_conversation_tests(store.project(project)), now=True)


def _conversation(one: tests.TestConversation, results: list[tests.TurnResult]) -> WantedConversation:
    turns = [WantedTurn(say=str(turn.get("say", ""))[:_LONGEST_MESSAGE], expect=_expected(turn.get("expect"))) for turn in one.turns]
    return WantedConversation(line=one.line, turns=turns, mistakes=list(one.mistakes), results=[_result(found) for found in results])


def _expected(given: Any) -> dict[str, Any] | None:
    return dict(given) if isinstance(given, dict) else None


def _result(found: tests.TurnResult) -> ShownTurnResult:
    answer = found.answer or {}
    call = answer.get("call") or {}
    return ShownTurnResult(
        right=found.right,
        outcome=str(answer.get("outcome", "")),
        text=str(answer.get("text", "")),
        tool=str(call.get("tool", "")),
        documents=[str(cited.get("document", "")) for cited in answer.get("citations", ())],
    )


def policy_pages(host: StudioHost) -> APIRouter:
    """The routes of what a desk does with each kind of message."""
    router = intent_routes(host)
    router.routes.extend(policy_routes(host).routes)
    return router


part = policy_pages
