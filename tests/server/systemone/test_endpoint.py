"""System One's protocol: its official client against a real server, and how questions are matched."""

from __future__ import annotations

import math

import pytest
from typesafe_sdk import Choice, Noul, RetryPolicy, Score, TypeSafeClient, TypeSafeUnprocessableEntityError

from smidgen.server.systemone.questions import (
    ChoiceQuestion,
    NoulQuestion,
    QuestionLabels,
    QuestionMatch,
    ScoreQuestion,
    answer_to,
    match_question,
)

ONE_HOT = math.exp(3) / (math.exp(3) + 2)
"""What WordModel gives a label of three whose one word was met."""


@pytest.fixture
def ask(serve, word_model):
    server = serve(
        word_model(),
        word_model("mood", ("bad", "good")),
        word_model("stars", ("1", "2", "3")),
        word_model("urgent", ("no", "yes")),
        word_model("tags", ("late", "broken_box"), multi_label=True),
    )
    with TypeSafeClient(api_key="any", base_url=server.url, model="auto", retry=RetryPolicy(max_retries=0)) as client:
        yield lambda state, questions, **more: client.system_one(state, questions, **more)


def test_choice(ask):
    reply = ask("where is my shipping", {"topic": Choice(instructions="Topic?", criteria={"billing/refund": None, "shipping": "parcels"})})
    answer = reply.choices["topic"]
    assert answer.choice == "shipping"
    assert list(answer.probabilities) == ["billing/refund", "shipping"]
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert answer.probabilities["shipping"] == pytest.approx(math.exp(3) / (math.exp(3) + 1), abs=1e-5)
    assert answer.confidence == pytest.approx(2 * answer.probabilities["shipping"] - 1, abs=1e-5)
    assert reply.model == "support"
    assert reply.usage.input_tokens > 0 and reply.usage.output_tokens == 0


def test_choice_over_the_hierarchy(ask):
    answer = ask("shipping", {"area": Choice(criteria={"Billing": None, "shipping": None})}).choices["area"]
    assert answer.choice == "shipping"
    assert answer.probabilities["Billing"] == pytest.approx(1 - ONE_HOT, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("q", Noul(criteria={"true": "shipping"})),
        ("q", Noul(instructions="Shipping")),
        ("q", Noul(instructions="Is this about `shipping`, please?")),
        ("shipping", Noul(instructions="Is this about a parcel?")),
    ],
)
def test_noul_by_label(ask, name, question):
    assert ask("shipping", {name: question}).nouls[name].noul == pytest.approx(ONE_HOT, abs=1e-5)


def test_noul_against_another_label(ask):
    answer = ask("shipping", {"q": Noul(criteria={"true": "shipping", "false": "billing/charge"})}).nouls["q"]
    assert answer.noul == pytest.approx(math.exp(3) / (math.exp(3) + 1), abs=1e-5)


def test_noul_by_a_yes_or_no_bundle(ask):
    yes = math.exp(3) / (math.exp(3) + 1)
    assert ask("yes", {"urgent": Noul(instructions="Is it urgent?")}).nouls["urgent"].noul == pytest.approx(yes, abs=1e-5)
    assert ask("yes", {"q": Noul(instructions="Is it?")}, model="urgent").nouls["q"].noul == pytest.approx(yes, abs=1e-5)
    with pytest.raises(TypeSafeUnprocessableEntityError):
        ask("yes", {"q": Noul(instructions="Is it spam?")})


def test_score(ask):
    answer = ask("good", {"mood": Score(instructions="How happy?", criteria=["bad", "good"])}).scores["mood"]
    assert answer.score == answer.probabilities[1] == pytest.approx(math.exp(3) / (math.exp(3) + 1), abs=1e-5)
    assert answer.legend == {0: "bad", 1: "good"}
    described = ask("3", {"q": Score(criteria=["awful", "so so", {"what": "great"}])}, model="stars").scores["q"]
    assert described.score > 1.8 and described.legend[2] == {"what": "great"}


def test_several_bundles_answer_one_request(ask):
    questions = {
        "topic": Choice(criteria={"billing/refund": None, "billing/charge": None, "shipping": None}),
        "mood": Score(criteria=["bad", "good"]),
        "late": Noul(instructions="Is it late?"),
    }
    reply = ask({"subject": "late shipping", "body": ["bad", 3, None]}, questions)
    assert reply.choices["topic"].choice == "shipping"
    assert reply.scores["mood"].score < 0.1
    assert reply.nouls["late"].noul == pytest.approx(0.5, abs=1e-5)
    assert reply.model == "support,mood,tags"


def test_what_no_bundle_can_answer_is_refused(ask):
    with pytest.raises(TypeSafeUnprocessableEntityError) as caught:
        ask("shipping", {"fine": Noul(instructions="shipping"), "cats": Choice(criteria={"cat": None, "dog": None})})
    (detail,) = caught.value.body["detail"]
    assert detail["loc"] == ["body", "questions", "cats", "choice"]
    assert "'cat' is not a label of support" in detail["msg"]
    assert {"message", "type", "param", "code"} <= set(caught.value.body["error"])
    assert caught.value.body["error"]["code"] == "unanswerable"


def test_validation_errors_have_the_protocols_detail(serve, error):
    response = serve().post("/v1/systemone", {"state": "x", "questions": {"q": {"type": "score", "criteria": []}}})
    assert error(response, 422)["param"] == "questions.q.score.criteria"
    assert response.json()["detail"][0]["loc"] == ["body", "questions", "q", "score", "criteria"]


def test_models_are_listed_its_way(ask, serve):
    with TypeSafeClient(api_key="any", base_url=serve().url) as client:
        (card,) = client.models.list().models
    assert card.name == "support" and len(card.release_date) == 10


def test_an_unknown_answer_takes_part(word_model):
    model = word_model(unknown="oos")
    labels = QuestionLabels(model)
    for text, least, most in (("hello", 0.5, 1.0), ("shipping", 0.0, 0.2)):
        (reply,) = model.predict([text])
        found = match_question("q", NoulQuestion(type="noul", instructions="oos"), labels, False)
        assert isinstance(found, QuestionMatch)
        assert least <= answer_to(found, reply.chances, False)["noul"] <= most
        assert sum(reply.chances.values()) == pytest.approx(1)
        everything = match_question("q", ChoiceQuestion(type="choice", criteria=dict.fromkeys([*labels.all])), labels, False)
        assert isinstance(everything, QuestionMatch)
        answer = answer_to(everything, reply.chances, False)
        assert answer["option_mass"] == 1
        assert answer["choice"] == reply.output


def test_matching_refuses_rather_than_guesses(word_model):
    labels = QuestionLabels(word_model(labels=("Billing", "billing", "a/b", "a/c", "a")))
    choice = lambda *options: match_question("q", ChoiceQuestion(type="choice", criteria=dict.fromkeys(options)), labels, True)  # noqa: E731
    assert "not a label" in choice("BILLING", "a")  # two labels are as near
    assert "same label" in choice("A", "a")
    assert choice("a", "a/b").groups == (("a",), ("a/b",))
    assert "label of support" in match_question("q", NoulQuestion(type="noul", instructions="`a/b` or `a/c`?"), labels, True)
    assert "noul question for each" in match_question(
        "q", ScoreQuestion(type="score", criteria=["x"]), QuestionLabels(word_model(labels=("x", "y"), multi_label=True)), True
    )


def test_options_without_any_chance_are_even(word_model):
    labels = QuestionLabels(word_model(labels=("a", "b", "c")))
    found = match_question("q", ChoiceQuestion(type="choice", criteria={"a": None, "b": None}), labels, False)
    answer = answer_to(found, {"a": 0.0, "b": 0.0, "c": 1.0}, False)
    assert answer["probabilities"] == {"a": 0.5, "b": 0.5} and answer["confidence"] == 0 and answer["option_mass"] == 0
