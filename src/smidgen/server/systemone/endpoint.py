"""`/v1/systemone`: typed questions about a state, answered with calibrated probabilities.

The protocol is TypeSafe AI's, as in their OpenAPI document and SDK: `state`, `model`, and named `questions` of type `choice`, `noul` or
`score`. The module `questions` decides which questions a bundle can answer. Errors have the protocol's `detail` list beside OpenAI's
`error`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from smidgen.core.errors import EngineError, RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.gateway.headers import answer_headers
from smidgen.gateway.route import RoutingDecision
from smidgen.server.errors import DetailedRefusal
from smidgen.server.models import ServedBundle, takes_pairs
from smidgen.server.reply_json import answer, token_count
from smidgen.server.request import face_request, face_router
from smidgen.server.service import Service
from smidgen.server.systemone.questions import (
    ChoiceQuestion,
    Content,
    NoulQuestion,
    Question,
    QuestionFields,
    QuestionLabels,
    QuestionMatch,
    answer_to,
    field_options,
    match_question,
)

_HALF = 0.5


def why_uncovered(found: QuestionMatch, known: object, reply: Reply, answered: Mapping[str, Any]) -> str:
    """Return in a few words why the bundle's certificate does not cover this answer; empty if it does.

    A certificate is about the bundle's own answer: its one label out of all its labels. If that label is right, so are the option that
    contains it, and the yes or no to it. If a question leaves out labels, its texts differ from those that the certificate is about. An
    expected level, a single probability, and a field of an object are not answers of the bundle.

    Args:
        found: how the question is answered.
        known: the labels or fields of the bundle.
        reply: the bundle's own answer.
        answered: the answer to the question.
    """
    if not isinstance(known, QuestionLabels):
        return "a field (the certificate is of the whole object)"
    if known.several or not isinstance(reply.output, str):
        return "one of several labels (the certificate is of all together)"
    if isinstance(found.question, NoulQuestion):
        yes, no = found.groups
        if no and not known.leaves_none_out((yes, no)):
            return "options (they leave out labels of the bundle)"
        chance = answered["noul"]
        follows = chance > _HALF if reply.output in yes else chance < _HALF
        return "" if follows else "another answer than the bundle's own"
    if not isinstance(found.question, ChoiceQuestion):
        return "a score (an expected level is no answer of the bundle's)"
    if not known.leaves_none_out(found.groups):
        return "options (they leave out labels of the bundle)"
    chosen = found.groups[list(found.question.criteria).index(answered["choice"])]
    return "" if reply.output in chosen else "another answer than the bundle's own"


Known = QuestionLabels | QuestionFields
"""The labels or fields of a bundle that questions can be about."""

AUTO = "auto"
"""The model name that lets the questions choose the bundle, for clients that must send a name."""

_MAX_QUESTIONS = 64
_MAX_DEPTH = 50


class SystemOneRequest(BaseModel):
    """Questions about a state."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "state": "My parcel has not come.",
                "questions": {
                    "topic": {"type": "choice", "instructions": "What is it about?", "criteria": {"delivery": "", "payment": ""}}
                },
            }
        }
    )

    state: Content = Field(description="What the questions are about. Of structured data, the texts in it are read, one a line.")
    questions: dict[str, Question] = Field(
        min_length=1, max_length=_MAX_QUESTIONS, description="Named questions; answers bear the same names."
    )
    model: str | None = Field(
        None, description="The name of a bundle. Without one, or with 'auto', each question goes to the bundle it fits."
    )
    assets: dict[str, Any] | None = Field(None, description="Images. Bundles read text only: refused.")


class Covered(BaseModel):
    """Whether the bundle's certificate covers an answer. Only at a gateway."""

    certificate: str | None = Field(None, description="The id of the certificate that covers this answer; null where none does.")
    uncertified: str | None = Field(None, description="Why none does; null where one does.")


class NoulAnswer(Covered):
    """The probability of yes."""

    type: Literal["noul"]
    noul: float


class ChoiceAnswer(Covered):
    """The chosen option, and the probability of each."""

    type: Literal["choice"]
    choice: str
    probabilities: dict[str, float]
    confidence: float
    option_mass: float = Field(description="The share of the bundle's whole probability that the options had.")


class ScoreAnswer(Covered):
    """The expected level, and the probability of each level."""

    type: Literal["score"]
    score: float
    legend: dict[str, Any]
    probabilities: dict[str, float]
    confidence: float
    option_mass: float


class SystemOneUsage(BaseModel):
    """Sizes; see `Usage`. Nothing is generated."""

    input_tokens: int
    output_tokens: int


class SystemOneReply(BaseModel):
    """Answers by the names of their questions."""

    model: str
    answers: dict[str, NoulAnswer | ChoiceAnswer | ScoreAnswer]
    usage: SystemOneUsage
    smidgen: dict[str, str] = Field(description="The hash of the bundle that answered each question.")


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("System One")

    def labels_of(model: ServedBundle) -> Known:
        """Return a bundle's labels or fields, computed once per bundle; another bundle may have its name later."""
        return service.noted(model, "labels", _known)

    @router.post("/v1/systemone", response_model=SystemOneReply, summary="Answer typed questions with calibrated probabilities")
    async def systemone(body: SystemOneRequest, request: Request) -> Response:
        if body.assets:
            raise RequestError("server.bundles_read_text_only", assets=len(body.assets), param="assets")
        came = face_request(request)
        named = None if body.model in (None, AUTO) else service.find(body.model, came)
        meant = [named] if named else [service.find(name, came) for name in service.models]
        matches = _matched(body, [labels_of(model) for model in meant], named is not None)
        asked = {model.name: model for model, _ in matches.values()}
        texts = {name: _text(body.state, takes_pairs(model)) for name, model in asked.items()}
        replies = await asyncio.gather(*(service.ask(model, [texts[name]], came, "state") for name, model in asked.items()))
        by_model = {name: reply for name, (reply,) in zip(asked, replies, strict=True)}
        answers = {name: _answered(found, labels_of(model), by_model[model.name]) for name, (model, found) in matches.items()}
        headers: dict[str, str] = {}
        if (judge := came.judge) is not None:
            rulings = {name: await judge.ruling(asked[name], reply) for name, reply in by_model.items()}
            for name, (model, found) in matches.items():
                why = why_uncovered(found, labels_of(model), by_model[model.name], answers[name])
                answers[name] |= _covered(rulings[model.name], why)
            headers = _said(list(asked), answers)
        size = sum(token_count(joined(text)) for text in texts.values())
        return answer(
            {
                "model": ",".join(asked),
                "answers": answers,
                "usage": {"input_tokens": size, "output_tokens": 0},
                "smidgen": {name: model.id for name, (model, _) in matches.items()},
            },
            headers=headers,
        )

    return router


def _known(model: ServedBundle) -> Known:
    return QuestionFields(model) if field_options(model) is not None else QuestionLabels(model)


def _matched(body: SystemOneRequest, models: Sequence[Known], named: bool) -> dict[str, tuple[ServedBundle, QuestionMatch]]:
    """Find the bundle for each question, and how it answers. Raises DetailedRefusal with every question without exactly one bundle."""
    matches: dict[str, tuple[ServedBundle, QuestionMatch]] = {}
    detail: list[dict[str, Any]] = []
    for name, question in body.questions.items():
        tried = [(known.model, _match(name, question, known, named)) for known in models]
        fits = [(model, found) for model, found in tried if isinstance(found, QuestionMatch)]
        if len(fits) == 1:
            matches[name] = fits[0]
            continue
        reasons = "; ".join(found for _, found in tried if isinstance(found, str))
        why = f"several models could answer: {', '.join(model.name for model, _ in fits)}; name one in model" if fits else reasons
        detail.append({"loc": ["body", "questions", name, question.type], "msg": why, "type": "unanswerable"})
    if detail:
        first = detail[0]
        raise DetailedRefusal(
            "server.no_model_here_can_answer_question",
            value=first["msg"],
            question=str(first["loc"][2])[:100],
            beside={"detail": detail},
            code="unanswerable",
            param=f"questions.{first['loc'][2]}",
        )
    return matches


def _match(name: str, question: Question, known: Known, named: bool) -> QuestionMatch | str:
    return known.match(name, question, named) if isinstance(known, QuestionFields) else match_question(name, question, known, named)


def _answered(found: QuestionMatch, known: Known, reply: Reply) -> dict[str, Any]:
    model = known.model
    if reason := reply.facts.get("refused"):
        raise RequestError("server.state_gives_no_answer", value=model.name, reason=reason, code="unanswerable", param="state")
    if reply.chances is None:
        raise EngineError("server.task_gives_no_probabilities", value=model.task.name)
    chances = known.chances(found.field, reply.chances) if isinstance(known, QuestionFields) else reply.chances
    return answer_to(found, chances, model.form.labelling is not None and model.form.labelling.multi_label)


def _covered(ruling: RoutingDecision, why: str) -> dict[str, str | None]:
    """Return the fields of `Covered`."""
    if ruling.local and not why:
        return {"certificate": ruling.certificate, "uncertified": None}
    return {"certificate": None, "uncertified": ruling.explanation or why}


def _said(bundles: Sequence[str], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the headers: the certificates of all answers, or that some have none."""
    without = sum(found["certificate"] is None for found in answers.values())
    papers = dict.fromkeys(str(found["certificate"]) for found in answers.values())
    whole = RoutingDecision(certificate=",".join(papers)) if not without else None
    told = answer_headers("local", ",".join(bundles), whole, f"{without} of {len(answers)} questions" if without else "")
    return {name.decode("ascii"): value.decode("ascii") for name, value in told}


def _text(state: Content, pair: bool) -> Text:
    """Return a state as a bundle's input: the text, or the texts in the data, one per line; for a bundle of pairs, its two texts."""
    texts = [state] if isinstance(state, str) else list(_texts(state, 0))
    if pair and len(texts) == 2:
        return texts[0], texts[1]
    return "\n".join(texts)


def _texts(value: Any, depth: int) -> Iterable[str]:
    if depth > _MAX_DEPTH:
        raise RequestError("server.state_is_nested_too_deep", depth=depth, param="state")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner, depth + 1)
    elif value is not None:
        yield value if isinstance(value, str) else str(value)


part = face
