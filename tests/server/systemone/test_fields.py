"""System One's questions to a bundle that fills in fields: which it answers, with which probabilities, and which it refuses and why."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tasks.test_field_filling import FORM, SCHEMA
from typesafe_sdk import Choice, Noul, RetryPolicy, Score, TypeSafeClient, TypeSafeUnprocessableEntityError

from smidgen.core.forms import FieldForm
from smidgen.tasks.extract import part

NAMED = {**SCHEMA, "properties": {**SCHEMA["properties"], "name": {"type": "string"}}, "required": ["wish", "name"]}


@pytest.fixture
def field_model(word_model):
    class FieldModel(word_model):
        """A tagger of orders, sure of what it is: `nameless` in a text makes it refuse."""

        def __init__(self, name: str = "orders", form: FieldForm | None = None) -> None:
            super().__init__(name)
            self.form = form or FORM.model_copy(update={"json_schema": NAMED})
            self.task = part.formed(self.form)

        def predict(self, texts):
            self.batches.append(len(texts))
            spans = [[] if "nameless" in text else [[0, 1, 1, 0.9], [2, 3, 0, 0.8]] for text in texts]
            choices = [[[0.7, 0.3], [0.6, 0.1, 0.3], [0.9, 0.1]] for _ in texts]
            return self.task.decode({"spans": spans, "inputs": list(texts), "choices": choices}, self.form)

    return FieldModel


@pytest.fixture
def ask(serve, word_model, field_model):
    server = serve(word_model(), field_model())
    with TypeSafeClient(api_key="any", base_url=server.url, model="auto", retry=RetryPolicy(max_retries=0)) as client:
        yield lambda questions, state="A S", **more: client.system_one(state, questions, **more)


def why(caught: Any) -> str:
    return " ".join(detail["msg"] for detail in caught.value.body["detail"])


def test_a_choice_among_a_fields_values(ask):
    answer = ask({"q": Choice(criteria={"Refund": None, "repair": "mend it"})}).choices["q"]
    assert answer.choice == "Refund" and answer.probabilities["Refund"] == pytest.approx(0.7, abs=1e-5)
    size = ask({"size": Choice(criteria={"S": None, "M": None})}).choices["size"]
    assert size.choice == "S" and size.probabilities["S"] == pytest.approx(1.0, abs=1e-5)


def test_a_score_over_a_fields_values(ask):
    answer = ask({"q": Score(criteria=["refund", "repair"])}, model="orders").scores["q"]
    assert answer.score == pytest.approx(0.3, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "question", "chance"),
    [
        ("paid", Noul(instructions="Has the customer paid?"), 0.6),
        ("q", Noul(instructions="paid"), 0.6),
        ("q", Noul(instructions="Is it `paid` yet?"), 0.6),
        ("q", Noul(instructions="Does the customer want a `repair`?"), 0.3),
        ("wish", Noul(criteria={"true": "repair"}), 0.3),
        ("q", Noul(criteria={"true": "S"}), 0.8),
    ],
)
def test_a_yes_or_no_of_a_field(ask, name, question, chance):
    assert ask({name: question}).nouls[name].noul == pytest.approx(chance, abs=1e-5)


def test_several_questions_are_one_reading_beside_another_bundle(serve, word_model, field_model):
    orders = field_model()
    server = serve(word_model(), orders)
    questions = {
        "wish": {"type": "choice", "criteria": {"refund": None, "repair": None}},
        "paid": {"type": "noul"},
        "size": {"type": "choice", "criteria": {"S": None, "M": None}},
        "topic": {"type": "choice", "criteria": {"shipping": None, "billing": None}},
    }
    reply = server.post("/v1/systemone", {"state": "A S shipping", "questions": questions}).json()
    assert reply["model"] == "orders,support" and orders.batches == [1]
    assert reply["answers"]["size"]["option_mass"] == pytest.approx(0.8, abs=1e-5), "a fifth of it says that there is no size"
    assert reply["answers"]["topic"]["choice"] == "shipping" and reply["answers"]["wish"]["choice"] == "refund"


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (
            Noul(instructions="Is the customer angry?"),
            "no field of orders has these values; fields with a fixed set of values: size, level, paid, wish",
        ),
        (Choice(criteria={"refund": None, "S": None}), "no field of orders has these values"),
        (Choice(instructions="Which `wish`?", criteria={"cat": None, "dog": None}), "wish: 'cat' is not a label of orders"),
    ],
)
def test_what_no_field_can_answer_is_refused(ask, question, reason):
    with pytest.raises(TypeSafeUnprocessableEntityError) as caught:
        ask({"q": question}, model="orders")
    assert reason in why(caught)


def test_two_fields_with_the_same_values_are_told_apart_by_name(serve, field_model):
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "size": {"type": ["string", "null"], "enum": ["refund", "repair", None]}}}
    server = serve(field_model(form=FORM.model_copy(update={"json_schema": schema})))

    def choice(name: str) -> Any:
        question = {"type": "choice", "criteria": {"refund": None, "repair": None}}
        return server.post("/v1/systemone", {"state": "A S", "questions": {name: question}})

    assert choice("wish").json()["answers"]["wish"]["choice"] == "refund"
    refused = choice("q")
    assert refused.status_code == 422 and "several fields of orders fit: size, wish" in refused.json()["detail"][0]["msg"]


def test_a_decoder_is_refused_with_the_reason(serve, field_model):
    form = FORM.model_copy(update={"tagged": None})
    refused = serve(field_model(form=form)).post("/v1/systemone", {"state": "A S", "questions": {"paid": {"type": "noul"}}})
    assert refused.status_code == 422
    assert "orders writes its fields, and has one score for all of them" in refused.json()["detail"][0]["msg"]


def test_a_refused_object_answers_nothing(serve, field_model, error):
    server = serve(field_model())
    found = error(server.post("/v1/systemone", {"state": "nameless", "questions": {"paid": {"type": "noul"}}}), 422)
    assert found["code"] == "unanswerable" and found["param"] == "state" and "name has no value" in found["message"]
