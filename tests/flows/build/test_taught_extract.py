"""Spans and fields taught by a larger model over real HTTP: what is asked, what is found in the text, what is believed, what stops it."""

from __future__ import annotations

import csv
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import taught_rows
from tests.teacher_server import Messages, TeacherServer, teacher_server, words_alone  # noqa: F401

from smidgen.core.errors import TeacherError
from smidgen.core.rows import joined
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows import redaction_model
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.work import Work
from smidgen.parts import recipe

THINGS = ("lamp", "chair", "table", "stool", "shelf", "clock", "mug", "bowl")
COLOURS = ("red", "blue", "green", "black")


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    with teacher_server(lambda messages: spans_of(messages[-1]["content"])) as running:
        yield running


def message(rng: random.Random) -> str:
    words = rng.sample(["please", "hello", "again", "now", "soon", "there", "thanks", "still", "about", "today"], 3)
    return f"{words[0]} the {rng.choice(COLOURS)} {rng.choice(THINGS)} of order FH-{rng.randrange(10000, 99999)} {words[1]} {words[2]}"


def found(text: str) -> list[dict[str, str]]:
    """What the messages above hold."""
    order = re.search(r"FH-\d+", text)
    thing = re.search("|".join(THINGS), text)
    assert order is not None and thing is not None, text
    return [{"text": thing[0], "label": "product"}, {"text": order[0], "label": "order"}]


def spans_of(text: str) -> str:
    return json.dumps(found(text))


def fields_of(text: str) -> dict[str, Any]:
    return {"order": found(text)[1]["text"], "thing": found(text)[0]["text"], "colour": next(c for c in COLOURS if c in text)}


def rows(file: Path, texts: list[str], output: Any) -> str:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "wanted"])
        writer.writerows([text, output(text)] for text in texts)
    return str(file)


def made(folder: Path, source: str, output: Any = spans_of, student: str = "lexical", **teacher: Any) -> recipe.Recipe:
    rng = random.Random(0)
    texts = list(dict.fromkeys(message(rng) for _ in range(120)))
    data = {
        "train": rows(folder / "train.csv", texts[:36], output),
        "test": rows(folder / "test.csv", texts[36:56], output),
        "unlabelled": rows(folder / "pool.csv", texts[56:], lambda text: ""),
        "input": "text",
        "label": "wanted",
        "teacher": {"source": source, "model": "big", **teacher},
    }
    return recipe.make({"name": "taught", "task": "extract", "data": data, "student": {"kind": student}, "gate": {"max_loss": 0.2}})


def taught(wanted: recipe.Recipe) -> tuple[Work, Work]:
    """The rows before and after teaching."""
    return taught_rows(wanted)


def words(row: Any) -> list[tuple[str, str]]:
    text = joined(row.input)
    return [(text[span["start"] : span["end"]], span["label"]) for span in row.output]


def test_a_build_learns_spans_from_a_teacher(server: TeacherServer, tmp_path: Path) -> None:
    built = build(made(tmp_path, server.url), tmp_path / "out", threads=1)
    facts = built.report.teacher
    assert facts is not None and facts.quality is not None
    assert (facts.unit, facts.quality.value, facts.unheard) == ("f1", 1.0, 0)
    assert facts.quality.low < 1.0 == facts.quality.high
    assert facts.because == "what knowing your rows by heart would get" and facts.needed is not None and 0.3 < facts.needed < 0.9
    assert facts.kept == facts.asked == built.report.data.train - 36 >= 50
    system, *shown = server.seen[0]["messages"]
    assert "product" in system["content"] and "letter for letter" in system["content"]
    answers = [json.loads(entry["content"]) for entry in shown if entry["role"] == "assistant"]
    assert len(answers) == 8 and all(set(entry) == {"text", "label"} for answer in answers for entry in answer)
    assert "response_format" not in server.seen[0]
    assert built.report.metrics["f1"].value > 0.8


def test_what_is_not_in_the_text_letter_for_letter_is_left_out_with_its_reason(server: TeacherServer, tmp_path: Path) -> None:
    def careless(messages: Messages) -> str:
        text = messages[-1]["content"]
        if "clock" in text:
            return spans_of(text).replace("FH-", "fh-")
        if "mug" in text:
            return f"I found these: {spans_of(text)}"
        return spans_of(text).replace("product", "price") if "bowl" in text else spans_of(text)

    server.answer = careless
    before, after = taught(made(tmp_path, server.url))
    facts, new = after.teacher, after.fit[len(before.fit) :]
    assert facts is not None and facts.quality is not None and 0.4 < facts.quality.value < 1 and facts.unheard > 0
    assert facts.quality.low < facts.quality.value < facts.quality.high
    left = {reason: count for reason, count in facts.dropped.items() if "could not be used" in reason}
    assert set(left) == {
        "the answer could not be used: a span is not in the text letter for letter",
        "the answer could not be used: it is not JSON",
        "the answer could not be used: a span has a label that is not one of yours",
    }
    assert len(new) == facts.kept and facts.kept + sum(facts.dropped.values()) == facts.pool
    assert len(new) > 20 and all(words(row) == [(entry["text"], entry["label"]) for entry in found(joined(row.input))] for row in new)
    assert not any(word in joined(row.input) for row in new for word in ("clock", "mug", "bowl"))
    assert (after.held, after.test) == (before.held, before.test)


def test_of_several_votes_the_answer_nearest_to_all_is_taken_and_weighs_by_it(server: TeacherServer, tmp_path: Path) -> None:
    turn: Counter[str] = Counter()

    def votes(messages: Messages) -> str:
        text = messages[-1]["content"]
        turn[text] += 1
        every = found(text)
        return json.dumps([every[:1], every, every][turn[text] % 3] if "red" in text else every)

    server.answer = votes
    before, after = taught(made(tmp_path, server.url, votes=3, concurrency=1))
    new = after.fit[len(before.fit) :]
    weights = {round(row.weight, 3) for row in new if "red" in joined(row.input)}
    # Of three answers two have both spans and one has the half: (1 + 2/3) / 2.
    assert weights == {0.833} and {row.weight for row in new if "red" not in joined(row.input)} == {1.0}
    assert all(len(row.output) == 2 and not row.shares for row in new) and len(new) >= 50
    _, strict = taught(made(tmp_path, server.url, votes=3, min_agreement=0.9))
    assert strict.teacher is not None and strict.teacher.dropped["the votes do not agree"] > 5


def test_a_teacher_that_finds_less_than_a_list_of_names_stops_the_build(server: TeacherServer, tmp_path: Path) -> None:
    server.answer = lambda messages: "[]"
    with pytest.raises(TeacherError, match=r"its f1 is .*is needed \(what knowing your rows by heart would get\)"):
        build(made(tmp_path, server.url), tmp_path / "out", threads=1)
    assert len(server.seen) <= 36 and not (tmp_path / "out").exists()


def maker(messages: Messages) -> str:
    """Makes messages with their spans where it is asked for some, and finds them where it is shown one."""
    if not messages[0]["content"].startswith("You make training examples"):
        return spans_of(messages[-1]["content"])
    rng = random.Random(messages[-1]["content"])
    texts = [message(rng) for _ in range(6)]
    entries: list[dict[str, Any]] = [{"input": text, "output": found(text)} for text in texts[:4]]
    entries.append({"input": texts[4], "output": [{"text": "nowhere", "label": "product"}]})
    entries.append({"input": texts[5], "output": [{"text": "the", "label": "product"}]})
    return json.dumps(entries)


def test_new_examples_with_spans_are_made_answered_again_and_sieved(server: TeacherServer, tmp_path: Path) -> None:
    server.answer = maker
    before, after = taught(made(tmp_path, server.url, uses=["generate"], generate=48))
    facts, new = after.teacher, after.fit[len(before.fit) :]
    assert facts is not None and len(new) == facts.generated_kept >= 15
    assert all(words(row) == [(entry["text"], entry["label"]) for entry in found(joined(row.input))] for row in new)
    assert facts.generated_dropped["not of the form that was asked for"] >= 4
    assert facts.generated_dropped["the teacher itself answers it otherwise"] >= 4
    asked = next(body["messages"][-1]["content"] for body in server.seen if "training examples" in body["messages"][0]["content"])
    assert '"output": [{"text": ' in asked, "spans are shown as they are to be given"


def test_fields_are_asked_for_by_their_schema_and_checked_against_it(server: TeacherServer, tmp_path: Path) -> None:
    def filled(messages: Messages) -> str:
        text = messages[-1]["content"]
        wanted = {**fields_of(text), **({"colour": "mauve"} if "mug" in text else {})}
        return "none" if "bowl" in text else json.dumps(wanted)

    server.answer = filled
    wanted = made(tmp_path, server.url, lambda text: json.dumps(fields_of(text)), "decoder")
    before, after = taught(wanted)
    facts, new = after.teacher, after.fit[len(before.fit) :]
    assert before.form.answer_schema is not None and facts is not None and facts.quality is not None
    assert facts.unit == "f1" and 0.5 < facts.quality.low < facts.quality.value < facts.quality.high < 1.0
    assert facts.needed is not None and facts.needed < facts.quality.low
    assert facts.dropped["the answer could not be used: it does not fit the schema"] > 2
    assert facts.dropped["the answer could not be used: it is not JSON"] > 2
    assert len(new) > 20 and all(row.output == fields_of(joined(row.input)) for row in new)
    body = server.seen[0]
    assert body["response_format"]["json_schema"]["schema"] == before.form.json_schema and body["response_format"]["json_schema"]["strict"]
    assert json.dumps(before.form.json_schema) in body["messages"][0]["content"]
    assert json.loads(body["messages"][2]["content"]).keys() == {"order", "thing", "colour"}


def test_a_server_without_schemas_fills_in_fields_all_the_same(server: TeacherServer, tmp_path: Path) -> None:
    server.schemas = False
    server.answer = lambda messages: json.dumps(fields_of(messages[-1]["content"]))
    wanted = made(tmp_path, server.url, lambda text: json.dumps(fields_of(text)), "decoder", concurrency=1)
    before, after = taught(wanted)
    assert after.teacher is not None and after.teacher.quality is not None and after.teacher.quality.value == 1.0
    assert len(server.refused) == 1 and len(after.fit) - len(before.fit) >= 50


def test_fields_can_be_voted_on_marked_and_made(server: TeacherServer, tmp_path: Path) -> None:
    turn: Counter[str] = Counter()

    def answer(messages: Messages) -> str:
        system, text = messages[0]["content"], messages[-1]["content"]
        if system.startswith("You mark answers"):
            assert json.loads(text.split("Answer:\n")[1].split("\n\nMark:")[0]).keys() == {"order", "thing", "colour"}
            return "3" if "red" in text else "10"
        if system.startswith("You make training examples"):
            rng = random.Random(text)
            return json.dumps([{"input": one, "output": fields_of(one)} for one in (message(rng) for _ in range(6))])
        turn[text] += 1
        return json.dumps({**fields_of(text), **({"thing": "sofa"} if turn[text] == 2 else {})})

    server.answer = answer
    output = lambda text: json.dumps(fields_of(text))  # noqa: E731
    wanted = made(tmp_path, server.url, output, "decoder", votes=3, concurrency=1, uses=["label", "score", "generate"], generate=24)
    before, after = taught(wanted)
    new = after.fit[len(before.fit) :]
    facts = after.teacher
    assert facts is not None and facts.dropped["the teacher's mark is too low"] > 5 and facts.generated_kept > 5
    assert len(new) == facts.kept + facts.generated_kept and all(row.output == fields_of(joined(row.input)) for row in new)
    assert {round(row.weight, 3) for row in new[: facts.kept]} == {round((1 + 2 / 3) / 2, 3)}


def test_made_fields_that_hold_a_stand_in_are_left_out_with_the_reason(server: TeacherServer, tmp_path: Path) -> None:
    """What the teacher was shown was `[ID_1]`; said of a text that it made, it stands for nothing."""

    def answer(messages: Messages) -> str:
        text = messages[-1]["content"]
        if not messages[0]["content"].startswith("You make training examples"):
            return json.dumps(fields_of(text))
        rng = random.Random(text)
        made_up = [{"input": one, "output": fields_of(one)} for one in (message(rng) for _ in range(6))]
        made_up[0]["output"]["order"] = "[ID_1]"
        return json.dumps(made_up)

    server.answer = answer
    output = lambda text: json.dumps(fields_of(text))  # noqa: E731
    before, after = taught(made(tmp_path, server.url, output, "decoder", uses=["generate"], generate=24))
    facts, new = after.teacher, after.fit[len(before.fit) :]
    assert facts is not None and len(new) == facts.generated_kept > 5
    assert facts.generated_dropped["its output holds a stand-in"] == 3, "one of each answer"
    assert not any("[" in row.output["order"] for row in new)


def test_a_bundle_of_spans_teaches_spans_and_not_fields(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    large = build(made_alone(folder), tmp_path / "large", threads=1).folder
    before, after = taught(made(tmp_path, str(large)))
    new = after.fit[len(before.fit) :]
    assert after.teacher is not None and after.teacher.unit == "f1" and len(new) >= 45
    right = sum(words(row) == [(entry["text"], entry["label"]) for entry in found(joined(row.input))] for row in new)
    assert right >= 0.9 * len(new)
    with pytest.raises(Exception, match="in another shape"):
        taught(made(tmp_path, str(large), lambda text: json.dumps(fields_of(text)), "decoder"))


def made_alone(folder: Path) -> recipe.Recipe:
    """Many rows of the same job, and no teacher."""
    rng = random.Random(5)
    data = {"train": rows(folder / "train.csv", [message(rng) for _ in range(200)], spans_of), "input": "text", "label": "wanted"}
    return recipe.make({"name": "large", "task": "extract", "data": data, "student": {"kind": "lexical"}, "gate": {"max_loss": 0.2}})


def test_json_is_redacted_and_put_back_text_by_text(server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses over two lines, in answers that are shown, answers that come back, marks and seeds."""
    monkeypatch.setattr(TeacherSettings, "local", property(lambda self: False))
    monkeypatch.setattr(
        redaction_model, "finder", lambda *asked: lambda text: [("address", *m.span()) for m in re.finditer(r"\b12 \w+\n\w+", text)]
    )
    place = re.compile(r"12 \w+\n\w+|\[ADDRESS_\d+\]")

    def spans(text: str) -> str:
        return json.dumps([{"text": match[0], "label": "address"} for match in place.finditer(text)])

    def answer(messages: Messages) -> str:
        if messages[0]["content"].startswith("You mark"):
            return "9"
        return "[]" if messages[0]["content"].startswith("You make training") else spans(messages[-1]["content"])

    server.answer = answer
    rng = random.Random(3)
    streets = ["Mill", "Elm", "Kiln", "Ford", "Vale"]
    texts = [f"{' '.join(rng.sample(FILL, 4))} to:\n12 {rng.choice(streets)}\nYork {number}x" for number in range(60)]
    task = recipe.make(
        {
            "task": "extract",
            "data": {
                "train": rows(tmp_path / "train.csv", texts[:30], spans),
                "test": rows(tmp_path / "test.csv", texts[30:40], spans),
                "unlabelled": rows(tmp_path / "pool.csv", texts[40:], lambda text: ""),
                "input": "text",
                "label": "wanted",
                "teacher": {"source": server.url, "model": "big", "budget_tokens": 1_000_000, "uses": ["label", "score", "generate"]},
            },
        }
    )
    before, after = taught(task)
    new = after.fit[len(before.fit) :]
    assert len(new) >= 15 and all(words(row)[0][0].count("\n") == 1 for row in new)
    sent = json.dumps(server.seen)
    assert not any(f"12 {street}" in sent for street in streets) and len(server.seen) > 40
    assert sum("You mark" in body["messages"][0]["content"] for body in server.seen) >= 15
    assert sum("training examples" in body["messages"][0]["content"] for body in server.seen) >= 1


FILL = ["please", "hello", "again", "now", "soon", "there", "thanks", "still", "about", "today", "send", "bring", "parcel", "order", "late"]
