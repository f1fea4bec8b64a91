"""Corrections of a project's desk: proposed from its conversations, decided by people, and added to the project's own files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from smidgen.core.errors import InputError, SmidgenError
from smidgen.desk.flows.corrections import (
    DeskDataFiles,
    FoundQuote,
    WrittenCorrections,
    add_approved,
    approve,
    find_quotes,
    list_corrections,
    reject,
    reopen,
    take_back,
)
from smidgen.desk.policy import read_policy
from smidgen.desk.store.corrections import CorrectionDecision, CorrectionPage, CorrectionState, DeskCorrection
from smidgen.desk.studio.desk_conversations import conversations_of, has_conversations, without_personal_data
from smidgen.desk.studio.intents import columns_of
from smidgen.flows.recipe_files import MaterialKind
from smidgen.studio.flows.material import material_kinds, material_path
from smidgen.studio.store.projects import Project

CorrectionWay: TypeAlias = Literal["say", "quote", "person", "nothing"]
"""The right thing to do: say an answer, quote a document, pass it to a person, say that it does not know."""

_MOST_QUOTES = 6
_FOR_PEOPLE = re.compile(r"human|person|people|agent|mensch", re.IGNORECASE)


def project_corrections(project: str, state: CorrectionState, offset: int, limit: int, masked: bool) -> CorrectionPage:
    """Corrections of a project's desk in a state, the newest first; none if it was never served."""
    if not has_conversations(project):
        return CorrectionPage(0, ())
    with conversations_of(project) as store:
        found = list_corrections(store, state, offset=offset, limit=limit)
    return replace(found, corrections=tuple(_masked(one) for one in found.corrections)) if masked else found


def propose_correction(
    project: Project, conversation: str, turn: str, way: CorrectionWay, question: str, answer: str, document: str, quote: str, by: str
) -> DeskCorrection:
    """Say what the desk should have done at one of its turns. It waits until somebody approves it.

    question: the customer's words as anybody would say them; empty for those of the conversation. Raises InputError if the right thing is
    not said.
    """
    if way == "say" and not answer.strip():
        raise InputError("desk.right_answer_is_missing")
    if way == "quote" and not (quote.strip() and document.strip()):
        raise InputError("desk.quotation_is_missing")
    intent = intent_of_people(project) if way == "person" else ""
    proposal = CorrectionDecision(
        "waiting",
        question,
        answer.strip() if way == "say" else "",
        intent,
        document.strip() if way == "quote" else "",
        quote.strip() if way == "quote" else "",
        way == "nothing" or (way == "person" and not intent),
    )
    with conversations_of(project.id) as store:
        return store.corrections.propose(conversation, turn, proposal, by)


def decide_correction(project: Project, id: str, state: CorrectionState, by: str, **words: Any) -> DeskCorrection:
    """Approve a correction with its words as they are to be learnt (`desk.flows.corrections.approve`), reject it, or take that back.

    What was added to the project's files for one that is no longer approved is taken out of them.
    """
    with conversations_of(project.id) as store:
        if state == "approved":
            return approve(store, id, by, **words)
        decided = (reject if state == "rejected" else reopen)(store, id, by)
        take_back(store, desk_data(project))
        return decided


def add_project_corrections(project: Project) -> WrittenCorrections:
    """Add all approved corrections to the project's documents, questions and intents. Repeated calls add nothing twice."""
    with conversations_of(project.id) as store:
        return add_approved(store, desk_data(project))


def project_quotes(project: Project, text: str) -> list[FoundQuote]:
    """Words of the project's documents that may answer a text, the best first; none without documents."""
    documents = _place(project, "documents")
    return find_quotes(documents, text, _MOST_QUOTES) if documents is not None and documents.exists() and text.strip() else []


def desk_data(project: Project) -> DeskDataFiles:
    """The files that a project's desk learns from."""
    return DeskDataFiles(_place(project, "documents"), _place(project, "questions"), _place(project, "intents"), *columns_of(project))


def intent_of_people(project: Project) -> str:
    """The intent that the project's policy passes to a person; empty if there is none that a message can be taught.
    Of several, one whose name is of people: a complaint is no wish to talk to somebody."""
    place = _place(project, "policy")
    if place is None or not place.is_file():
        return ""
    try:
        policy = read_policy(place)
    except SmidgenError:  # the page Policy says what is wrong with it
        return ""
    names = [name for name, steps in policy.intents.items() if steps[0] == "person" and not set("*?[") & set(name)]
    return next((name for name in names if _FOR_PEOPLE.search(name)), names[0] if names else "")


def _place(project: Project, kind: MaterialKind) -> Path | None:
    return material_path(project, kind) if kind in material_kinds(project) else None


def _masked(one: DeskCorrection) -> DeskCorrection:
    return replace(
        one,
        question=without_personal_data(one.question),
        answer=without_personal_data(one.answer),
        said=without_personal_data(one.said),
        comment=without_personal_data(one.comment),
    )
