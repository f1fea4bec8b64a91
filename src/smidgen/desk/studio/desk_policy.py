"""The policy of a desk as a form and as text, in step; its mistakes at their fields; and what it does with a message."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from smidgen.bundles.open import read_manifest
from smidgen.core.conversations import DeskConversation
from smidgen.core.errors import InputError, RecipeError, SmidgenError
from smidgen.desk.members import ROLES, role_and_language
from smidgen.desk.policy import DeskPolicy, parse_policy
from smidgen.desk.studio.intents import read_kinds
from smidgen.desk.texts import TEXTS
from smidgen.flows.local_model import Model
from smidgen.parts.toml_text import edited
from smidgen.studio.flows.material import material_kinds, member_trees
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.flows.tool_files.text_files import FieldMistake, TextFile, changing, read_text, write_text
from smidgen.studio.flows.tool_files.tools import read_project_tools
from smidgen.studio.store.projects import Project, StudioStore

MOST_BYTES = 200_000
_MOST_INTENTS = 500


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """A policy as text and as a form, with what is wrong in it.

    Attributes:
        form: every setting of the policy with its value; None if the text cannot be read.
        mistakes: what keeps it from being used.
        remarks: steps that can never answer, because their tool or member is not there.
        kept: whether all comments of the text before were kept.
    """

    text: str
    form: Mapping[str, Any] | None
    mistakes: tuple[FieldMistake, ...]
    remarks: tuple[FieldMistake, ...]
    kept: bool = True


@dataclass(frozen=True, slots=True)
class PolicySurroundings:
    """All that a policy may name: the intents of its member, the tools, and the members that the desk has."""

    intents: tuple[str, ...]
    tools: tuple[str, ...]
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriedStep:
    """A step that the policy names for a message. `state`: `answered`, `passed` (it could not answer), `left` (never reached)."""

    step: str
    state: Literal["answered", "passed", "left"]


@dataclass(frozen=True, slots=True)
class TriedMessage:
    """The way of a message through a desk.

    Attributes:
        intent: the intent that was recognised; empty for none.
        label, score: what the member of intents said, sure or not; empty without one.
        pattern: the pattern of the policy that fits; empty where the steps are those of unknown messages.
        steps: those of the policy, each with what came of it.
        outcome, text, facts: of its reply; empty where only the policy was read, because no model was built.
    """

    intent: str
    label: str
    score: float
    pattern: str
    steps: tuple[TriedStep, ...]
    outcome: str
    text: str
    facts: Mapping[str, Any]


def read_project_policy(store: StudioStore, project: Project) -> tuple[TextFile, PolicyDraft, PolicySurroundings]:
    """Read the policy of a project, and what it may name."""
    file = read_text(project, "policy", MOST_BYTES)
    around = surroundings(store, project)
    return file, draft_of(file.text, around), around


def draft_of(text: str, around: PolicySurroundings, kept: bool = True) -> PolicyDraft:
    """A text as a form, with its mistakes."""
    try:
        policy = parse_policy(text, "the policy")
    except RecipeError as error:
        mistakes = tuple(_placed(one) for one in error.mistakes) or (FieldMistake("", error.what),)
        return PolicyDraft(text, _readable(text), mistakes, (), kept)
    missing = sorted(policy.said_by_name() - policy.texts.keys() - TEXTS.keys())
    unsaid = tuple(FieldMistake(f"texts.{name}", "a step says this text, and it is not there") for name in missing)
    return PolicyDraft(text, policy.model_dump(mode="json"), unsaid, tuple(_remarks(policy, around)), kept)


def _readable(text: str) -> Mapping[str, Any] | None:
    """The form of a text with mistakes, as far as its parts can be read by themselves."""
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    form = DeskPolicy().model_dump(mode="json")
    for name, value in tree.items():
        if name in form and isinstance(value, type(form[name])):
            form[name] = {**form[name], **value} if isinstance(value, dict) else value
    form["intents"] = {name: [steps] if isinstance(steps, str) else steps for name, steps in form["intents"].items()}
    form["unknown"] = [form["unknown"]] if isinstance(form["unknown"], str) else form["unknown"]
    return form


def _placed(mistake: str) -> FieldMistake:
    place, _, text = mistake.partition(": ")
    return FieldMistake(place, text) if text else FieldMistake("", place)


def _remarks(policy: DeskPolicy, around: PolicySurroundings) -> Iterator[FieldMistake]:
    named = [("unknown", policy.unknown), *((f"intents.{pattern}", steps) for pattern, steps in policy.intents.items())]
    for place, steps in named:
        for step in steps:
            verb, _, what = step.partition(" ")
            if verb in ROLES and verb not in around.members:
                yield FieldMistake(place, f"the desk has no member {verb}, so this step cannot answer")
            elif verb == "act" and what and what not in around.tools:
                yield FieldMistake(place, f"there is no tool {what}, so this step cannot answer")


def draft_from_form(form: Mapping[str, Any], text: str, around: PolicySurroundings) -> PolicyDraft:
    """The text of a form, in the words of an earlier text where both say the same. Settings at their default are left out."""
    try:
        before = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        before = {}
    made = edited(text, _tree(form, before))
    return draft_of(made.text, around, made.kept)


def _tree(form: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A form as the tree of its file: known settings first, in the order in which the file has them."""
    default = DeskPolicy().model_dump(mode="json")
    unknown = sorted(form.keys() - default.keys())
    if unknown:
        raise InputError("desk.policy_has_no_such_setting", value=unknown[0], default=", ".join(default))
    order = [*(name for name in before if name in default), *(name for name in default if name not in before)]
    tree = {}
    for name in order:
        value, old = form.get(name, default[name]), before.get(name)
        if name == "intents":
            steps = value if isinstance(value, Mapping) else {}
            value = {pattern: _short(one, _of(old, pattern)) for pattern, one in steps.items()}
        elif name == "unknown":
            value = _short(value, old)
        elif isinstance(default[name], Mapping) and isinstance(value, Mapping):
            had = old if isinstance(old, Mapping) else {}
            spare = {key for key, one in value.items() if key in default[name] and one == default[name][key] and key not in had}
            value = {key: value[key] for key in [*(k for k in had if k in value), *(k for k in value if k not in had)] if key not in spare}
        if value != default[name] or old is not None:
            tree[name] = value
    return {name: value for name, value in tree.items() if value != {} or name in before}


def _of(old: Any, name: str) -> Any:
    return old.get(name) if isinstance(old, Mapping) else None


def _short(steps: Any, old: Any) -> Any:
    """One step is written alone, unless the file has it as a list."""
    return steps[0] if isinstance(steps, list) and len(steps) == 1 and not isinstance(old, list) else steps


def save_policy(store: StudioStore, project: Project, draft: PolicyDraft, stamp: str) -> tuple[TextFile, PolicyDraft]:
    """Keep a policy. Raises RecipeError with every mistake in it."""
    if draft.mistakes:
        mistakes = [f"{one.place}: {one.text}" if one.place else one.text for one in draft.mistakes]
        raise RecipeError("desk.edited_policy_has_mistakes", mistakes=mistakes)
    with changing(project, "policy", MOST_BYTES, stamp) as file:
        return write_text(project, file.name, draft.text, MOST_BYTES), draft


# What a policy may name.


def surroundings(store: StudioStore, project: Project) -> PolicySurroundings:
    """Find all that a project's policy may name."""
    try:
        tools = tuple(card.tool.name for card in read_project_tools(project).cards if card.tool is not None)
    except InputError:  # a desk without tools
        tools = ()
    try:
        trees = member_trees(project)
    except SmidgenError:  # a recipe that cannot be read is told on the page of recipes
        trees = {}
    members = tuple(role for role in ROLES if any(role_and_language(name)[0] == role for name in trees))
    taught = [kind.name for kind in read_kinds(project)[1] if not kind.outside] if "intents" in material_kinds(project) else []
    intents = dict.fromkeys([*sorted(taught), *_built_intents(store, project)])
    return PolicySurroundings(tuple(intents)[:_MOST_INTENTS], tools, members)


def _built_intents(store: StudioStore, project: Project) -> tuple[str, ...]:
    """The intents that the newest model knows."""
    for run in models_of(store, project.id)[:1]:
        try:
            options = read_manifest(model_folder(store, project.id, run.id)).engine.options
        except SmidgenError:
            continue
        form = _of(_of(_of(options, "members"), "intents"), "form")
        labels = _of(form, "labels")
        return tuple(map(str, labels)) if isinstance(labels, list) else ()
    return ()


# Steps of a kind of message.


def steps_of(text: str, intents: Sequence[str]) -> dict[str, list[str]]:
    """The steps of each intent by a policy's text; none where that cannot be read."""
    try:
        policy = parse_policy(text, "the policy")
    except RecipeError:
        return {}
    return {intent: list(policy.steps(intent)) for intent in intents}


def change_line(store: StudioStore, project: Project, before: str, name: str, step: str) -> None:
    """Rename the line of an intent, and give it one step; it becomes the first line where there was none. An empty step keeps the steps."""
    file, draft, around = read_project_policy(store, project)
    if draft.form is None or (before == name and not step):
        return
    lines = dict(draft.form["intents"])
    if name in lines or before in lines:
        renamed = {name if pattern == before else pattern: steps for pattern, steps in lines.items()}
        lines = {pattern: [step] if step and pattern == name else steps for pattern, steps in renamed.items()}
    elif step:
        lines = {name: [step], **lines}
    if lines != draft.form["intents"]:
        save_policy(store, project, draft_from_form({**draft.form, "intents": lines}, file.text, around), file.stamp)


# What happens with a message.


def try_message(policy: DeskPolicy, message: str, model: Model | None, intent: str = "", before: Sequence[str] = ()) -> TriedMessage:
    """Find the way of a message through the desk, under a policy that may not be saved yet. No call is made.

    Args:
        policy: the policy.
        message: the customer's words.
        model: the desk that was built; without one only the policy is read, for the `intent` that is given.
        intent: the intent, where there is no model.
        before: earlier messages of the customer.
    """
    desk = getattr(model.runner, "desk", None) if model is not None else None
    if desk is None:
        steps = [TriedStep(step, "left") for step in policy.steps(intent)]
        return TriedMessage(intent, intent, 0.0, _pattern(policy, intent), tuple(steps), "", "", {})
    asked = desk.with_policy(policy)
    conversation = DeskConversation("policy-test", asked.name, "studio")
    for said in before:
        found = asked.rehearse(conversation, said)
        conversation = replace(conversation, state=found.state, status=found.status)
    reply = asked.rehearse(conversation, message).reply
    told = reply.facts.get("intent", {})
    planned = policy.steps(reply.intent)
    passed, by = reply.facts.get("passed", ()), reply.facts.get("step")
    states = [TriedStep(step, "passed" if step in passed else "answered" if step == by else "left") for step in planned]
    return TriedMessage(
        intent=reply.intent,
        label=str(told.get("label", "")),
        score=float(told.get("score", 0.0)),
        pattern=_pattern(policy, reply.intent),
        steps=tuple(states),
        outcome=reply.outcome,
        text=reply.text,
        facts=dict(reply.facts),
    )


def _pattern(policy: DeskPolicy, intent: str) -> str:
    """The pattern by which an intent finds its steps."""
    single = ((pattern, policy.model_copy(update={"intents": {pattern: steps}})) for pattern, steps in policy.intents.items())
    return next((pattern for pattern, alone in single if intent and (alone.is_known(intent) or pattern == "*")), "")
