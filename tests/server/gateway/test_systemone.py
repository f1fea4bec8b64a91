"""System One's questions at the gateway, over real HTTP: which answers the certificate covers, and that the others say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.certified_bundle import answer, text
from tests.server.conftest import WordModel
from tests.server.gateway.test_certified import PATIENCE, SURE, UNSURE, certify
from tests.server.systemone.test_fields import field_model  # noqa: F401
from tests.upstream_stub import WHOLE, UpstreamStub
from typesafe_sdk import Choice, Noul, RetryPolicy, Score, TypeSafeClient

from smidgen.core.replies import Reply
from smidgen.flows.certify import certification
from smidgen.flows.local_model import Model
from smidgen.gateway.certificate import CertifiedSegment
from smidgen.server.systemone.endpoint import why_uncovered
from smidgen.server.systemone.questions import ChoiceQuestion, NoulQuestion, QuestionLabels, QuestionMatch, answer_to, match_question

SYSTEMONE = "/v1/systemone"
WHICH = {"type": "choice", "criteria": {"yes": None, "no": None}}
IS_YES = {"type": "noul", "criteria": {"true": "yes"}}
HOW_MUCH = {"type": "score", "criteria": ["no", "yes"]}


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    def start(*more: Any, **settings: Any) -> Any:
        return serve(model, *more, patience=PATIENCE, **{"fallback": (upstream.url,), "fallback_model": ("big",), **settings})

    return start


def asking(state: str = SURE, name: str | None = "support", **questions: Any) -> dict[str, Any]:
    return {"state": state, "questions": questions, **({"model": name} if name else {})}


def told(found: Any) -> dict[str, Any]:
    return {name: found.headers.get(f"x-smidgen-{name}") for name in ("answered-by", "model", "certificate", "uncertified")}


def test_what_follows_from_the_certified_answer_bears_the_certificate(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model)
    running = gateway()
    for name in ("support", "auto", None, "support@0.95"):
        found = running.post(SYSTEMONE, asking(SURE, name, which=WHICH, yes=IS_YES))
        assert told(found) == {"answered-by": "local", "model": "support", "certificate": paper.id, "uncertified": None}
        answers = found.json()["answers"]
        assert answers["which"]["choice"] == answer(3) == "yes" and answers["yes"]["noul"] > 0.9
        assert [(one["certificate"], one["uncertified"]) for one in answers.values()] == [(paper.id, None)] * 2
    assert upstream.seen == []


def test_what_does_not_says_so_question_by_question(gateway: Any, model: Model) -> None:
    running = gateway()

    def why(state: str = SURE, name: str = "support", **questions: Any) -> list[str | None]:
        found = running.post(SYSTEMONE, asking(state, name, **questions))
        whys = [one["uncertified"] for one in found.json()["answers"].values()]
        assert [one["certificate"] is None for one in found.json()["answers"].values()] == [said is not None for said in whys]
        without = sum(said is not None for said in whys)
        assert told(found)["uncertified"] == (f"{without} of {len(whys)} questions" if without else None)
        assert (told(found)["certificate"] is None) is bool(without)
        return whys

    assert why(which=WHICH) == ["no certificate"]
    certify(model)
    assert why(which=WHICH, much=HOW_MUCH) == [None, "a score (an expected level is no answer of the bundle's)"]
    assert why(UNSURE, which=WHICH) == ["score (it is under the certificate's threshold)"]
    left_out = "options (they leave out labels of the bundle)"
    assert why(one={"type": "choice", "criteria": {"yes": None}}) == [left_out]
    assert why(name="support@0.99", which=WHICH) == ["quality (0.99 is asked for, and the certificate says 0.95)"]
    certify(
        model,
        id="0" * 31 + "2",
        by="shop",
        answering=(CertifiedSegment(segment="north", threshold=0.5, n=9, answered=9, loss=0.0, bound=0.04),),
    )
    assert why(which=WHICH) == ["segment (its segment is not certified)"]
    certify(model, id="0" * 31 + "3")
    assert why(which=WHICH) == [None]
    certification.revoke(model.folder, "new products")
    assert why(which=WHICH) == ["revoked"]


def test_the_least_quality_of_the_operator_counts_here_too(gateway: Any, model: Model) -> None:
    certify(model)
    running = gateway(quality=0.99)
    for name in ("support", "support@0.5", "auto"):
        assert running.post(SYSTEMONE, asking(SURE, name, which=WHICH)).headers["x-smidgen-uncertified"] == "1 of 1 questions"
    body = {"model": "support@0.9", "messages": [{"role": "user", "content": SURE}]}
    assert running.post("/v1/chat/completions", body).headers["x-smidgen-escalated"].startswith("quality (0.99 is asked for")


def test_the_official_client_reads_marked_answers(gateway: Any, model: Model) -> None:
    paper = certify(model)
    questions = {
        "which": Choice(criteria={"yes": None, "no": None}),
        "yes": Noul(instructions="`yes`"),
        "much": Score(criteria=["no", "yes"]),
    }
    with TypeSafeClient(api_key="any", base_url=gateway().url, model="support", retry=RetryPolicy(max_retries=0)) as client:
        reply = client.system_one(state=text(3, 1), questions=questions)
    assert reply.choices["which"].choice == "yes" and reply.nouls["yes"].noul > 0.9 and reply.scores["much"].score > 0.9
    assert paper.id


def test_a_model_that_is_no_bundle_is_asked_above_and_a_refusal_says_nothing_of_certificates(
    gateway: Any, upstream: UpstreamStub, model: Model
) -> None:
    certify(model)
    running = gateway()
    body = b'{ "model":"some-other-1", "state": "x",  "questions": {}}'
    found = running.client.post(SYSTEMONE, content=body, headers={"content-type": "application/json"})
    assert found.content == WHOLE and [seen.body for seen in upstream.seen] == [body]
    refused = running.post(SYSTEMONE, asking(SURE, which={"type": "choice", "criteria": {"cat": None}}))
    assert refused.status_code == 422 and "x-smidgen-certificate" not in refused.headers
    assert running.client.post(SYSTEMONE, content=b"not json").status_code == 422
    assert len(upstream.seen) == 1


def test_what_would_leave_for_another_model_passes_the_border_and_the_budget_first(
    gateway: Any, upstream: UpstreamStub, error: Any
) -> None:
    body = asking("hello", "some-other-1", which=WHICH)
    assert error(gateway(privacy="card").post(SYSTEMONE, body), 422)["code"] == "redaction_failed"
    assert error(gateway(budget_day=1.0, price_in=1.0, price_out=1.0).post(SYSTEMONE, body), 403)["code"] == "cost_unknown"
    assert upstream.seen == []


def test_without_a_gateway_nothing_is_said_of_certificates(serve: Any, model: Model) -> None:
    certify(model)
    answers = serve(model).post(SYSTEMONE, asking(SURE, which=WHICH)).json()["answers"]
    assert "certificate" not in answers["which"] and "uncertified" not in answers["which"]


def test_two_bundles_are_judged_each_by_its_own(gateway: Any, model: Model, field_model: Any) -> None:  # noqa: F811
    paper = certify(model)
    running = gateway(WordModel("mood", ("bad", "good")), WordModel("tags", ("late", "broken_box"), multi_label=True), field_model())
    mood = {"type": "choice", "criteria": {"bad": None, "good": None}}
    size = {"type": "choice", "criteria": {"S": None, "M": None}}
    late = {"type": "noul", "criteria": {"true": "late"}}
    found = running.post(SYSTEMONE, asking("w03 A S", "auto", which=WHICH, mood=mood, size=size, late=late))
    said = {name: (one["certificate"], one["uncertified"]) for name, one in found.json()["answers"].items()}
    assert said == {
        "which": (paper.id, None),
        "mood": (None, "no certificate"),
        "size": (None, "no certificate"),
        "late": (None, "no certificate"),
    }
    assert told(found)["uncertified"] == "3 of 4 questions" and told(found)["certificate"] is None


CHANCES = {"billing/charge": 0.3, "billing/refund": 0.25, "shipping": 0.45}


@pytest.mark.parametrize(
    ("question", "covered"),
    [
        (ChoiceQuestion(type="choice", criteria={"billing/charge": None, "billing/refund": None, "shipping": None}), True),
        (ChoiceQuestion(type="choice", criteria={"billing": None, "shipping": None}), False),  # together they outweigh the bundle's own
        (ChoiceQuestion(type="choice", criteria={"billing/refund": None, "shipping": None}), False),
        (NoulQuestion.model_validate({"type": "noul", "criteria": {"true": "billing/refund"}}), True),
        (NoulQuestion.model_validate({"type": "noul", "criteria": {"true": "shipping"}}), False),  # its own answer, at 45 %
        (NoulQuestion.model_validate({"type": "noul", "criteria": {"true": "billing", "false": "shipping"}}), False),
        (NoulQuestion.model_validate({"type": "noul", "criteria": {"true": "shipping", "false": "billing/refund"}}), False),
    ],
)
def test_an_answer_that_goes_another_way_than_the_bundles_own_is_not_covered(question: Any, covered: bool) -> None:
    known = QuestionLabels(WordModel())
    found = match_question("q", question, known, True)
    assert isinstance(found, QuestionMatch)
    reply = Reply("shipping", 0.45, chances=CHANCES)
    assert (not why_uncovered(found, known, reply, answer_to(found, CHANCES, False))) is covered


def test_several_labels_and_fields_are_not_covered() -> None:
    several = QuestionLabels(WordModel("tags", ("late", "broken_box"), multi_label=True))
    found = match_question("late", NoulQuestion(type="noul"), several, True)
    assert isinstance(found, QuestionMatch)
    assert why_uncovered(found, several, Reply(["late"], 0.9), {"noul": 0.9}).startswith("one of several labels")
    assert why_uncovered(found, object(), Reply({"size": "S"}, 0.9), {"noul": 0.9}).startswith("a field")
