"""Builds that are taught by a larger model over real HTTP, or by a bundle: what is asked, what is believed, what stops them."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import taught_rows
from tests.recorded_progress import RecordedProgress
from tests.teacher_server import Messages, TeacherServer, teacher_server, words_alone  # noqa: F401

from smidgen.core.errors import BundleError, EngineError, RecipeError, TeacherError
from smidgen.core.rows import Row, joined
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows import redaction_model
from smidgen.flows.build import teachers, teaching
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.work import Work
from smidgen.parts import recipe

MARKS = {"refund": ("refund", "money"), "parcel": ("parcel", "late"), "lamp": ("lamp", "bulb"), "opening": ("open", "sunday")}
FILLER = [f"{word}{number}" for word in ("please", "hello", "thanks", "about", "thing") for number in range(12)]


def text(rng: random.Random, label: str) -> str:
    words = [*rng.sample(FILLER, 4), *MARKS[label]]
    rng.shuffle(words)
    return " ".join(words)


def gold(message: str) -> str:
    """What the texts above are about."""
    return next((label for label, words in MARKS.items() if set(words) <= set(message.split())), "?")


def said(messages: Messages) -> str:
    return gold(messages[-1]["content"])


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    with teacher_server(said) as running:
        yield running


def table(file: Path, rows: list[tuple[str, str]]) -> str:
    file.write_text("\n".join(["text,label", *(f"{text},{label}" for text, label in rows), ""]), encoding="utf-8")
    return str(file)


def made(folder: Path, source: str, pool: list[tuple[str, str]] | None = None, each: int = 8, **teacher: Any) -> recipe.Recipe:
    """A recipe on a few rows of each label, a test file, and a pool of 120 texts whose labels, which stand there, are all wrong."""
    rng = random.Random(0)
    train = [(text(rng, label), label) for label in MARKS for _ in range(each)]
    test = [(text(rng, label), label) for label in MARKS for _ in range(15)]
    pool = [(text(rng, label), "wrong") for label in MARKS for _ in range(30)] if pool is None else pool
    data = {
        "train": table(folder / "train.csv", train),
        "test": table(folder / "test.csv", test),
        "unlabelled": table(folder / "pool.csv", pool),
        "input": "text",
        "label": "label",
        "teacher": {"source": source, "model": "big", **teacher},
    }
    return recipe.make({"name": "taught", "task": "classify", "data": data, "student": {"kind": "linear"}, "gate": {"max_loss": 0.1}})


def taught(wanted: recipe.Recipe, progress: Any = None) -> tuple[Work, Work]:
    """The rows before and after teaching."""
    return taught_rows(wanted, progress)


def test_a_build_learns_from_the_teachers_labels(server: TeacherServer, tmp_path: Path) -> None:
    built = build(made(tmp_path, server.url), tmp_path / "out", threads=1)
    found = built.report.teacher
    assert found is not None and found.quality is not None
    assert (found.pool, found.asked, found.quality.n, found.quality.value, found.unheard) == (120, 120, 32, 1.0, 0)
    assert found.kept + sum(found.dropped.values()) == 120 and found.kept >= 115
    assert (found.questions, found.stored, found.usd, found.local) == (152, 0, None, True)
    assert found.tokens_in + found.tokens_out == server.tokens()
    assert built.report.data.train == 32 + found.kept
    assert built.report.data.test == 60 and built.report.metrics["accuracy"].value > 0.95
    assert "taught by big" in built.report.data.source
    assert json.loads((built.folder / "report.json").read_text(encoding="utf-8"))["teacher"]["model"] == "big"
    system = server.seen[0]["messages"][0]["content"]
    assert all(label in system for label in MARKS) and "wrong" not in json.dumps(server.seen), "outputs of unlabelled rows are not read"
    shown = [message for message in server.seen[0]["messages"] if message["role"] == "assistant"]
    assert len(shown) == 8


def test_held_and_test_rows_stay_the_users_own(server: TeacherServer, tmp_path: Path) -> None:
    before, after = taught(made(tmp_path, server.url))
    assert (after.held, after.test, after.form, after.sha256) == (before.held, before.test, before.form, before.sha256)
    new = [row for row in after.fit if row not in before.fit]
    assert len(new) == len(after.fit) - len(before.fit) >= 115
    assert {row.output for row in new} == set(MARKS)
    assert all(row.output == gold(joined(row.input)) for row in new)
    inside = {joined(row.input) for row in (*before.held, *before.test)}
    assert not inside & {text for body in server.seen for text in _shown(body)}, "no held-out or test row is shown as an example"


def _shown(body: dict[str, Any]) -> list[str]:
    return [message["content"] for message in body["messages"][1:-1] if message["role"] == "user"]


def test_a_teacher_that_cannot_do_the_job_stops_the_build_before_it_is_paid_for(server: TeacherServer, tmp_path: Path) -> None:
    server.answer = lambda messages: random.choice(["refund", "I am not sure", "perhaps parcel?"])
    with pytest.raises(TeacherError, match=r"cannot do this job.*accuracy is .*is needed.*could not be used.*Take a larger model"):
        build(made(tmp_path, server.url, min_quality=0.9), tmp_path / "out", threads=1)
    assert len(server.seen) == 32, "the trial, and no more"
    assert not (tmp_path / "out").exists()


def test_it_needs_no_bar_of_its_own(server: TeacherServer, tmp_path: Path) -> None:
    server.answer = lambda messages: "none of them"
    with pytest.raises(TeacherError, match="what the commonest answer would get"):
        taught(made(tmp_path, server.url))


def test_pool_rows_that_are_labelled_or_measured_on_are_not_asked(server: TeacherServer, tmp_path: Path) -> None:
    rng = random.Random(0)
    train = [text(rng, label) for label in MARKS for _ in range(8)]
    test = [text(rng, label) for label in MARKS for _ in range(15)]
    new = [text(rng, label) for label in MARKS for _ in range(10)]
    pool = [(train[0].upper(), ""), (f"{test[0]}!", ""), (test[1], ""), *((text, "") for text in new), (f"{new[0]} ", ""), ("", "x")]
    before, after = taught(made(tmp_path, server.url, pool))
    found = after.teacher
    assert found is not None
    assert found.pool == 45 and found.asked in (40, 41), "a repeated training row may lie among the held-out ones"
    leaked = 2 if train[0] in {joined(row.input) for row in before.fit} else 3
    assert found.dropped["nearly a row that is measured on"] == leaked
    assert found.dropped["the text is there already"] == 4 - leaked
    assert found.dropped["the text cannot be used"] == 1
    labels = server.asked[32:]
    assert not {f"{test[0]}!", test[1], train[0].upper()} & set(labels)


def test_a_budget_is_planned_for_and_never_passed(server: TeacherServer, tmp_path: Path) -> None:
    before, after = taught(made(tmp_path, server.url, budget_usd=0.09, price_in=5.0, price_out=20.0, concurrency=3))
    found = after.teacher
    assert found is not None and found.usd is not None
    spent = sum(5.0 * bill["prompt_tokens"] + 20.0 * bill["completion_tokens"] for bill in server.bills) / 1e6
    assert found.usd == pytest.approx(spent)
    assert 0.045 < spent <= 0.09
    assert 0 < found.asked < 120
    assert found.dropped["the budget has no room for it"] == 120 - found.asked
    assert len(after.fit) > len(before.fit)
    asked = len(server.seen)
    taught(made(tmp_path, server.url, budget_usd=0.09, price_in=5.0, price_out=20.0, concurrency=3))
    assert len(server.seen) - asked <= 20, "what is left of the budget, and nothing twice"
    again = sum(5.0 * bill["prompt_tokens"] + 20.0 * bill["completion_tokens"] for bill in server.bills) / 1e6
    assert again <= 0.09
    assert max(Counter(json.dumps(body["messages"]) for body in server.seen).values()) == 1


def test_a_budget_too_small_for_the_trial(server: TeacherServer, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="could not be tried"):
        taught(made(tmp_path, server.url, budget_tokens=50))
    with pytest.raises(TeacherError, match="no room for a single label"):
        taught(made(tmp_path, server.url, budget_tokens=3000))
    assert server.tokens() <= 3000


def test_several_votes_become_shares_of_belief(server: TeacherServer, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def wavering(messages: Messages) -> str:
        last = messages[-1]["content"]
        seen[last] += 1
        return "lamp" if "parcel" in last and seen[last] == 2 else gold(last)

    server.answer = wavering
    _, after = taught(made(tmp_path, server.url, votes=3, concurrency=1, doubt=False))
    new = {row.output: row for row in after.fit if row.shares}
    assert set(new) == {"parcel"}
    assert new["parcel"].shares == (("parcel", pytest.approx(2 / 3)), ("lamp", pytest.approx(1 / 3)))
    assert server.seen[-1]["temperature"] == 0.7
    _, strict = taught(made(tmp_path, server.url, votes=3, min_agreement=0.9, doubt=False))
    assert strict.teacher is not None and strict.teacher.dropped == {"the votes do not agree": 30}
    assert max(seen.values()) == 3, "votes are answers of their own, and stored"


def test_wrong_labels_are_looked_for_among_the_others(server: TeacherServer, tmp_path: Path) -> None:
    rng = random.Random(4)
    pool = [(text(rng, label), "") for label in MARKS for _ in range(60)]
    wrong = {text: rng.choice([label for label in MARKS if label != gold(text)]) for text, _ in rng.sample(pool, 24)}
    server.answer = lambda messages: wrong.get(messages[-1]["content"], said(messages))
    before, after = taught(made(tmp_path, server.url, pool))
    new = after.fit[len(before.fit) :]
    left = sum(row.output != gold(joined(row.input)) for row in new)
    found = after.teacher
    assert found is not None
    assert left <= 17, "of 24, judged by a handful of words"
    assert 7 <= found.corrected + found.dropped.get("its label is likely wrong", 0) <= 30
    assert len(new) >= 210
    _, believed = taught(made(tmp_path, server.url, pool, doubt=False))
    assert sum(row.output != gold(joined(row.input)) for row in believed.fit) == 24


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test server counts as one that is not on this machine."""
    monkeypatch.setattr(TeacherSettings, "local", property(lambda self: False))


@pytest.mark.usefixtures("elsewhere")
def test_personal_data_does_not_leave(server: TeacherServer, tmp_path: Path) -> None:
    rng = random.Random(9)
    pool = [(f"{text(rng, label)} from p{n}@example.org", "") for label in MARKS for n in range(5)]
    pool += [(f"{text(rng, 'lamp')} hidden p{n}\u200b@example.org", "") for n in range(3)]
    _, after = taught(made(tmp_path, server.url, pool, budget_tokens=1_000_000, redact="patterns"))
    assert "@" not in json.dumps(server.seen)
    assert sum("[EMAIL_1]" in text for text in server.asked) == 20
    found = after.teacher
    assert found is not None and found.redacted >= 20 and not found.local and found.redaction == "patterns"
    assert found.dropped["personal data could not be redacted"] == 3
    inputs = [joined(row.input) for row in after.fit]
    assert sum("@example.org" in text for text in inputs) >= 18, "the student learns from the texts as they are"


@pytest.mark.usefixtures("elsewhere")
def test_what_a_model_finds_does_not_leave_in_any_question(server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts, the rows that are shown with them, and answers that are to be scored."""
    given: list[tuple[Any, ...]] = []

    def finder(*asked: Any) -> Any:
        given.append(asked)
        return lambda text: [("person", *match.span()) for match in re.finditer(r"\bhello\d+", text)]

    monkeypatch.setattr(redaction_model, "finder", finder)
    server.answer = lambda messages: "9" if "0 to 10" in messages[0]["content"] else said(messages)
    more = {"budget_tokens": 1_000_000, "redact": "model", "redact_kinds": ["person"], "uses": ["label", "score"]}
    _, after = taught(made(tmp_path, server.url, description="hello7 is our manager.", **more))
    assert given == [(None, ("person",), 1)]
    assert len(server.seen) > 250 and "hello" not in json.dumps(server.seen)
    assert sum("[PERSON_" in json.dumps(body) for body in server.seen) > 250
    found = after.teacher
    assert found is not None and found.redaction == "model" and found.redacted > 100 and found.kept > 100
    assert sum("hello" in joined(row.input) for row in after.fit) > 50, "the student learns from the texts as they are"


@pytest.mark.usefixtures("elsewhere")
def test_labels_go_to_a_teacher_whole_or_as_one_stand_in_and_the_build_says_which(server: TeacherServer, tmp_path: Path) -> None:
    """With the model that comes with smidgen, which takes Paris for a place and a part of other labels for a name."""
    named = {"refund": "activate_my_card", "parcel": "Paris", "lamp": "Margaret Holloway", "opening": "help@example.org"}
    server.answer = lambda messages: answers[said(messages)]
    answers = {**named, "lamp": "[PERSON_1]", "opening": "[EMAIL_1]", "?": "?"}
    wanted = made(tmp_path, server.url, [("please1 hello2 thanks3 about4 lamp bulb", "")], budget_tokens=1_000_000, trial_rows=8)
    for name in ("train.csv", "test.csv"):
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        lines = [lines[0], *(",".join([text, named[label]]) for text, label in (line.split(",") for line in lines[1:]))]
        (tmp_path / name).write_text("\n".join([*lines, ""]), encoding="utf-8")
    told = RecordedProgress()
    _, after = taught(wanted, told)
    system = server.seen[0]["messages"][0]["content"]
    assert {"Paris", "activate_my_card", "[EMAIL_1]", "[PERSON_1]"} <= set(system.split("Labels:\n")[1].splitlines())
    assert "Holloway" not in json.dumps(server.seen) and "help@" not in json.dumps(server.seen)
    assert after.teacher is not None and after.teacher.quality is not None and after.teacher.quality.value == 1.0
    assert after.fit[-1].output == "Margaret Holloway"
    assert any("2 names look personal" in line and "Margaret Holloway" in line for line in told.said)


@pytest.mark.usefixtures("elsewhere")
def test_where_the_model_fails_nothing_leaves(server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(text: str) -> Any:
        raise EngineError("the model cannot run on these texts", value="x", todo="Try again.")

    monkeypatch.setattr(redaction_model, "finder", lambda *asked: broken)
    with pytest.raises(EngineError, match="cannot run"):
        taught(made(tmp_path, server.url, budget_tokens=1_000_000, redact="model"))
    monkeypatch.undo()
    monkeypatch.setattr(redaction_model, "SHIPPED", tmp_path / "nowhere")
    monkeypatch.setattr(TeacherSettings, "local", property(lambda self: False))
    monkeypatch.setattr(teaching, "embedder", lambda base=None, threads=None: None)
    with pytest.raises(BundleError, match="does not come with this smidgen"):
        taught(made(tmp_path, server.url, budget_tokens=1_000_000, redact="model"))
    assert server.times == []


@pytest.mark.usefixtures("elsewhere")
def test_a_teacher_elsewhere_needs_a_budget_and_dollars_need_prices(server: TeacherServer, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs a budget"):
        taught(made(tmp_path, server.url))
    with pytest.raises(RecipeError, match="needs the price"):
        taught(made(tmp_path, server.url, budget_usd=1.0))
    assert server.times == []
    listed = made(tmp_path, server.url, budget_usd=1.0).settings(TeacherSettings).model_copy(update={"model": "claude-haiku-5.5"})
    assert teachers._budget(listed).price.tokens_in == pytest.approx(0.1), "a known model has its list price"


def test_the_key_comes_from_the_environment(server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_TEACHER_KEY", "secret-123")
    wanted = made(tmp_path, server.url)
    build(wanted, tmp_path / "out", threads=1)
    assert server.keys == {"Bearer secret-123"}
    written = [file.read_bytes() for file in (tmp_path / "out").iterdir()]
    written += [file.read_bytes() for file in (tmp_path / "own" / "teacher").rglob("*.json")]
    assert len(written) > 100
    assert not any(b"secret-123" in content for content in written)
    monkeypatch.setenv("SMIDGEN_TEACHER_KEY", "two words")
    with pytest.raises(RecipeError, match="SMIDGEN_TEACHER_KEY"):
        taught(wanted)


def test_what_a_teacher_has_nothing_to_do_with(server: TeacherServer, tmp_path: Path) -> None:
    wanted = made(tmp_path, server.url)
    alone = recipe.make(
        {**wanted.given(), "data": {k: v for k, v in wanted.given()["data"].items() if k != "unlabelled"}}, folder=wanted.folder
    )
    with pytest.raises(RecipeError, match="nothing to label"):
        taught(alone)
    without = recipe.make({**wanted.given(), "data.teacher": {}})
    before, after = taught(without)
    assert after is before and server.times == []


CHILD = """
import sys
from pathlib import Path
from smidgen.flows.build import teaching
from smidgen.flows.build.pipeline import build
from smidgen.parts import recipe
teaching.embedder = lambda base=None, threads=None: None
build(recipe.read(Path(sys.argv[1])), Path(sys.argv[2]), threads=1)
"""


@pytest.mark.thorough
@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_a_killed_build_pays_for_nothing_twice(server: TeacherServer, tmp_path: Path) -> None:
    def slow(messages: Messages) -> str:
        time.sleep(0.03)
        return said(messages)

    server.answer = slow
    wanted = made(tmp_path, server.url, concurrency=2)
    file = tmp_path / "smidgen.toml"
    file.write_text(wanted.toml(), encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(file), str(tmp_path / "out")], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(server.seen) < 70 and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    _, err = child.communicate()
    assert 70 <= len(server.seen) < 140, err.decode()
    stored = len(list((tmp_path / "own" / "teacher").rglob("*.json")))
    built = build(recipe.read(file), tmp_path / "out", threads=1)
    found = built.report.teacher
    assert found is not None and found.stored >= stored >= 68
    asked = Counter(json.dumps(body["messages"]) for body in server.seen)
    assert len(asked) == 152
    assert sum(asked.values()) <= 152 + 2, "but for the two that were on their way"
    assert found.tokens_in + found.tokens_out >= server.tokens(), "and those count as spent"


def test_a_bundle_teaches_with_its_chances(tmp_path: Path) -> None:
    rng = random.Random(11)
    many = table(tmp_path / "many.csv", [(text(rng, label), label) for label in MARKS for _ in range(60)])
    large = recipe.make(
        {
            "name": "large",
            "task": "classify",
            "data": {"train": many, "input": "text", "label": "label"},
            "student": {"kind": "linear"},
            "gate": {"max_loss": 0.1},
        }
    )
    folder = build(large, tmp_path / "large", threads=1).folder
    before, after = taught(made(tmp_path, str(folder)))
    found = after.teacher
    assert found is not None and (found.source, found.local, found.questions, found.usd) == ("large", True, 0, None)
    new = after.fit[len(before.fit) :]
    assert len(new) >= 110 and sum(row.output == gold(joined(row.input)) for row in new) >= 0.97 * len(new)
    assert all(row.shares[0][0] == row.output and sum(share for _, share in row.shares) == pytest.approx(1) for row in new if row.shares)
    assert sum(bool(row.shares) for row in new) > 5
    with pytest.raises(RecipeError, match="cannot make examples"):
        taught(made(tmp_path, str(folder), uses=["generate"]))


def test_a_served_bundle_is_a_teacher_like_any_other(tmp_path: Path) -> None:
    """A real model on this machine behind a real URL: what a question asks is its last message."""
    import threading

    import uvicorn

    from smidgen.flows.local_model import load
    from smidgen.server.app import create_app
    from smidgen.server.process import config_of, take_port, url_of
    from smidgen.server.settings import ServeSettings

    rng = random.Random(12)
    many = table(tmp_path / "many.csv", [(text(rng, label), label) for label in MARKS for _ in range(60)])
    data = {"train": many, "input": "text", "label": "label"}
    large = recipe.make({"name": "big", "task": "classify", "data": data, "student": {"kind": "linear"}, "gate": {"max_loss": 0.1}})
    settings = ServeSettings(port=0)
    bound = take_port(settings.listen)
    app = create_app([load(build(large, tmp_path / "large", threads=1).folder, 1)], settings)
    running = uvicorn.Server(config_of(app, settings.limits.drain_seconds))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        _, after = taught(made(tmp_path, f"{url_of(bound)}/v1"))
    finally:
        running.should_exit = True
        thread.join()
    found = after.teacher
    assert found is not None and found.quality is not None
    assert found.quality.value > 0.95 and found.kept >= 110
    # Every question once: what is sent again, because a busy server did not answer, is counted apart.
    assert found.questions - found.retried == 152


def maker(messages: Messages) -> str:
    """Makes new texts where it is asked for them, and labels where it is shown one."""
    if not messages[0]["content"].startswith("You make training examples"):
        return said(messages)
    label = re.search(r"with the label (\w+)", messages[-1]["content"])
    assert label is not None
    rng = random.Random(messages[-1]["content"])
    texts = [text(rng, label[1]) for _ in range(6)]
    # A repeat, one that says something else, one that is far too short.
    return json.dumps([*texts, texts[0], text(rng, "opening" if label[1] != "opening" else "lamp"), "a"])


def test_new_examples_are_made_labelled_again_and_sieved(server: TeacherServer, tmp_path: Path) -> None:
    server.answer = maker
    before, after = taught(made(tmp_path, server.url, uses=["generate"], generate=48, description="Messages to a shop."))
    found = after.teacher
    assert found is not None and found.pool == 0
    new = after.fit[len(before.fit) :]
    assert len(new) == found.generated_kept >= 25
    assert all(row.output == gold(joined(row.input)) for row in new)
    assert found.generated_dropped["the teacher itself answers it otherwise"] >= 4
    assert found.generated_dropped["shorter or longer than any of yours"] >= 4
    assert found.generated_dropped["nearly a row that is there already"] >= 4
    assert found.generated == len(new) + sum(found.generated_dropped.values())
    told = next(body["messages"] for body in server.seen if "training examples" in body["messages"][0]["content"])
    assert "Messages to a shop." in told[0]["content"]
    assert max(Counter(joined(row.input) for row in after.fit).values()) == 1


def test_what_new_examples_cost_is_told_before_any_is_made(server: TeacherServer, tmp_path: Path) -> None:
    class Stopped(RecordedProgress):
        def start(self, step: str, total: int | None = None) -> None:
            if "examples made" in step or "labelled" in step:
                raise InterruptedError(step)

    server.answer = maker
    told, prices = Stopped(), {"price_in": 5.0, "price_out": 20.0}
    with pytest.raises(InterruptedError, match="examples made"):
        taught(made(tmp_path, server.url, uses=["generate", "score"], generate=48, votes=2, budget_usd=0.08, **prices), told)
    assert len(server.seen) == 32, "the trial, and no more"
    line, room, outlook = told.said[-3:]
    found = re.fullmatch(
        r"to make 48 examples and answer them again and mark them takes about 150 requests and ([\d,]+) tokens, about (0\.\d\d) dollars",
        line,
    )
    assert found is not None, line
    assert re.fullmatch(r"the budget has room for about \d+% of that", room)
    assert "with up to 48 examples that it makes, the student is expected between" in outlook
    whole = RecordedProgress()
    with pytest.raises(InterruptedError, match="labelled"):
        taught(made(tmp_path, server.url, uses=["label", "generate"], generate=48), told)
    assert "to make 48 examples and answer them again takes about 54 requests" in told.said[-3]
    assert "to label all 120 inputs takes about 120 requests" in told.said[-2]
    assert "with 120 rows of it and up to 48 examples that it makes" in told.said[-1]
    before = server.tokens()
    taught(made(tmp_path, server.url, uses=["generate"], generate=48), whole)
    stated = next(re.findall(r"and ([\d,]+) tokens", line) for line in whole.said if "to make 48" in line)
    assert 0.5 < int(stated[0].replace(",", "")) / (server.tokens() - before) < 2


def test_a_teacher_that_cannot_make_examples_is_refused_before_it_is_paid(server: TeacherServer, tmp_path: Path) -> None:
    wanted = made(tmp_path, server.url, uses=["label", "generate"])
    several = recipe.make({**wanted.given(), "classify": {"multi_label": True}}, folder=wanted.folder)
    with pytest.raises(RecipeError, match="examples can be made for"):
        taught(several)
    assert server.times == []


def test_new_examples_are_marked_where_answers_are_to_be(server: TeacherServer, tmp_path: Path) -> None:
    def marks(messages: Messages) -> str:
        if messages[0]["content"].startswith("You mark answers"):
            return "2" if "Answer:\nrefund" in messages[-1]["content"] else "8"
        return maker(messages)

    server.answer = marks
    before, after = taught(made(tmp_path, server.url, uses=["generate", "score"], generate=48))
    found, new = after.teacher, after.fit[len(before.fit) :]
    assert found is not None and len(new) == found.generated_kept >= 15
    assert found.generated_dropped["the teacher's mark is too low"] >= 4
    assert found.generated == len(new) + sum(found.generated_dropped.values())
    assert all(row.output != "refund" and row.weight == 0.8 for row in new)


def test_marks_alone_are_of_nothing(server: TeacherServer, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no answers of its own to mark"):
        taught(made(tmp_path, server.url, uses=["score"]))
    assert not server.seen


def writer(folder: Path, source: str, **teacher: Any) -> recipe.Recipe:
    colours = ["red", "blue", "green", "black", "white", "yellow", "brown", "pink"]
    things = ["lamp", "chair", "table", "stool", "shelf", "clock"]
    rows = [(f"a {colour} {thing} of oak", f"This {thing} is {colour} and made of oak.") for colour in colours for thing in things]
    random.Random(0).shuffle(rows)
    data = {
        "train": table(folder / "train.csv", rows[:24]),
        "test": table(folder / "test.csv", rows[24:34]),
        "unlabelled": table(folder / "pool.csv", [(text, "") for text, _ in rows[34:]]),
        "input": "text",
        "label": "label",
        "teacher": {"source": source, **teacher},
    }
    return recipe.make({"task": "write", "data": data})


def describe(message: str) -> str:
    _, colour, thing, *_ = message.split()
    return f"This {thing} is {colour} and made of oak."


def test_a_writer_is_taught_by_the_answer_that_is_nearest_to_all(server: TeacherServer, tmp_path: Path) -> None:
    turn: Counter[str] = Counter()

    def votes(messages: Messages) -> str:
        last = messages[-1]["content"]
        turn[last] += 1
        return "Nothing like it at all" if turn[last] == 2 else describe(last)

    server.answer = votes
    before, after = taught(writer(tmp_path, server.url, votes=3, concurrency=1))
    new = after.fit[len(before.fit) :]
    assert len(new) == 14 and all(row.output == describe(joined(row.input)) for row in new)
    assert all(0.4 < row.weight < 0.7 and not row.shares for row in new)
    assert after.teacher is not None and after.teacher.unit == "rougeL" and after.teacher.alone is None


def test_a_teacher_marks_its_own_answers(server: TeacherServer, tmp_path: Path) -> None:
    def marks(messages: Messages) -> str:
        if messages[0]["content"].startswith("You mark answers"):
            return "2" if "red" in messages[-1]["content"] else "no idea" if "blue" in messages[-1]["content"] else "9"
        return describe(messages[-1]["content"])

    server.answer = marks
    before, after = taught(writer(tmp_path, server.url, uses=["label", "score"]))
    new: list[Row] = after.fit[len(before.fit) :]
    assert all("red" not in joined(row.input) and "blue" not in joined(row.input) and row.weight == 0.9 for row in new)
    found = after.teacher
    assert found is not None and sum(found.dropped.values()) == 14 - len(new) >= 1
    assert set(found.dropped) <= {"the teacher's mark is too low", "the teacher gave no mark"}


def test_a_writer_no_better_than_any_other_answer_is_refused(server: TeacherServer, tmp_path: Path) -> None:
    server.answer = lambda messages: "Nothing like it"
    with pytest.raises(TeacherError, match=r"rougeL.*what the answer to another of your texts would get"):
        taught(writer(tmp_path, server.url))


def test_made_texts_are_kept_where_the_teacher_writes_nearly_the_same_again(server: TeacherServer, tmp_path: Path) -> None:
    def answer(messages: Messages) -> str:
        last = messages[-1]["content"]
        if not messages[0]["content"].startswith("You make training examples"):
            return describe(last)
        rng = random.Random(last)
        names = [" ".join("".join(rng.sample("bdfgklmnprstaeiou", 6)) for _ in range(3)) for _ in range(8)]
        texts = ["a {} {} of {}".format(*name.split()) for name in names]
        near = [describe(text).replace("made of", "made from") for text in texts]
        return json.dumps([{"input": t, "output": near[n] if n % 2 else f"Nothing like {names[n]}."} for n, t in enumerate(texts)])

    server.answer = answer
    before, after = taught(writer(tmp_path, server.url, uses=["generate"], generate=24))
    new, found = after.fit[len(before.fit) :], after.teacher
    assert found is not None and len(new) == found.generated_kept >= 8
    assert found.generated_dropped["the teacher itself answers it otherwise"] >= 8
    assert all(row.output == describe(joined(row.input)) for row in new)


@pytest.mark.usefixtures("elsewhere")
def test_a_stand_in_that_stands_for_nothing_is_not_taught(server: TeacherServer, tmp_path: Path) -> None:
    def answer(messages: Messages) -> str:
        last = messages[-1]["content"]
        number = re.search(r"stool (\d)", last)
        return describe(last) if number is None else f"{describe(last)} Ask [EMAIL_{1 + int(number[1]) % 2}]."

    server.answer = answer
    wanted = writer(tmp_path, server.url, budget_tokens=1_000_000, redact="patterns")
    table(tmp_path / "pool.csv", [(f"a pink stool {n} of p{n}@example.org", "") for n in range(8)])
    before, after = taught(wanted)
    new, found = after.fit[len(before.fit) :], after.teacher
    assert sum("[EMAIL_1]" in text for text in server.asked) == 8
    assert [row.output.split("Ask ")[1] for row in new] == [f"p{n}@example.org." for n in (0, 2, 4, 6)]
    assert found is not None and found.dropped["the answer could not be used"] == 4
