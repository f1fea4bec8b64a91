"""A task whose answers are no labels, spans, fields or texts, and a student of it: two new files in a copy of the source, and no other
file changed. It is taken through all that smidgen does with a model."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Shell, copy_source

DROPPED = (("tasks", "rating.py"), ("students", "ordinal.py"), ("tasks", "mailbox.py"))
SAID = {
    5: ("loved", "perfect", "brilliant", "wonderful", "excellent"),
    4: ("good", "nice", "happy", "pleased", "solid"),
    3: ("okay", "average", "fine", "acceptable", "middling"),
    2: ("disappointing", "wobbly", "thin", "flimsy", "dull"),
    1: ("broke", "awful", "terrible", "rubbish", "useless"),
}
THINGS = ("lamp", "chair", "rug", "table", "mug", "vase", "clock", "shelf", "towel", "basket", "pan", "kettle")
STORY = ("came on time", "for my sister", "in a big box", "colour as shown", "we use it daily", "ordered on Monday", "from your shop")
Run = Callable[..., str]


def reviews(file: Path, count: int, seed: int) -> Path:
    """Rated reviews; of two words that tell the rating, one may be of the rating beside it."""
    rng, seen = random.Random(seed), set[str]()
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "stars"])
        while len(seen) < count:
            stars = rng.randint(1, 5)
            beside = min(5, max(1, stars + rng.choice((-1, 0, 0, 0, 1))))
            words = rng.choice(SAID[stars]), rng.choice(THINGS), rng.choice(SAID[beside]), rng.choice(STORY), rng.choice(STORY)
            text = f"{words[0]} {words[1]}, {words[2]}; {words[3]}, {words[4]} {rng.randint(1, 999)}"
            if text not in seen:
                seen.add(text)
                writer.writerow([text, stars])
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the source in which nothing is new but the two files, and data."""
    folder = tmp_path_factory.mktemp("dropped")
    copy_source(folder)
    for room, name in DROPPED:
        target = folder / "src" / "smidgen" / room / name
        assert not target.exists(), "a dropped file must be a new one"
        shutil.copyfile(ROOT / "tests" / "house" / "dropped" / name, target)
    reviews(folder / "reviews.csv", 400, 1)
    reviews(folder / "fresh.csv", 600, 2)
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Iterator[Run]:
    """Runs smidgen, or a script, with the dropped files, in a folder of its own; returns what it prints."""
    own = {"SMIDGEN_HOME": str(place / "home"), "SMIDGEN_TRAFFIC_URL": f"sqlite:///{place / 'traffic.db'}"}
    with Shell(place / "src", place, own) as shell:

        def smidgen(*arguments: str, code: str = "", ok: int = 0) -> str:
            done = shell.run(*arguments, script=code, ok=ok)
            return done.stdout if ok == 0 else done.stderr

        yield smidgen


COLUMNS = ("--task", "rating", "--data", "reviews.csv", "--input", "text", "--label", "stars", "--threads", "1")


@pytest.fixture(scope="module")
def report(run: Run) -> dict[str, Any]:
    """The report of a model that was built."""
    made: dict[str, Any] = json.loads(run("build", *COLUMNS, "--out", "stars", "--json"))
    return made


def test_a_file_is_checked(run: Run) -> None:
    checked = json.loads(run("check", "reviews.csv", "--task", "rating", "--input", "text", "--label", "stars", "--json"))
    assert checked["rows"] == 400, checked
    assert "--highest" in run("build", "--help", "--all")


def test_it_is_built_and_measured_by_its_own_metrics(report: dict[str, Any], place: Path) -> None:
    assert (report["task"], report["headline"], report["student"]["kind"]) == ("rating", "closeness", "ordinal")
    close, far = report["metrics"]["closeness"], report["metrics"]["mae"]
    assert 0.85 < close["low"] <= close["value"] <= close["high"] <= 1
    assert far["value"] == pytest.approx(4 * (1 - close["value"])) and far["low"] <= far["value"] <= far["high"]
    assert report["parity"]["passed"] and report["parity"]["agreement"]["value"] == 1.0
    assert report["baseline"]["name"] == "linear" and report["baseline"]["change"]["value"] != 0
    assert [row["label"] for row in report["per_class"]] == ["1", "2", "3", "4", "5"]
    assert report["risk_coverage"]["points"] and report["calibration"]["ece_after"] < 0.2 and report["mistakes"]
    form = json.loads((place / "stars" / "smidgen.json").read_text(encoding="utf-8"))["form"]
    assert list(form) == ["low", "high", "spread"] and (form["low"], form["high"]) == (1, 5) and form["spread"] != 1


def test_its_report_and_card_say_what_was_measured_in_its_own_unit(report: dict[str, Any], place: Path) -> None:
    card = (place / "stars" / "README.md").read_text(encoding="utf-8")
    page = (place / "stars" / "report.html").read_text(encoding="utf-8")
    assert f"| mae | {report['metrics']['mae']['value']:.3f} points" in card
    assert "## What it is for\n\nIt rates a text from 1 to 5.\n" in card and "\n- Ratings off its scale.\n" in card
    assert 'pipeline_tag: "text-classification"' in card
    assert "Closeness" in page and "out_of_scope" not in page + card


def test_a_gate_holds_it(run: Run, report: dict[str, Any]) -> None:
    said = run("build", *COLUMNS, "--out", "better", "--set", "gate.min_headline=0.999", ok=1)
    assert "closeness" in said and "0.999" in said and "Nothing was shipped" in said


def test_it_is_evaluated_and_predicts(run: Run, report: dict[str, Any]) -> None:
    found = json.loads(run("eval", "stars", "--data", "fresh.csv", "--json"))
    assert found["n"] == 600 and found["skipped"] == 0 and list(found["metrics"]) == ["closeness", "mae", "accuracy"]
    lines = [json.loads(line) for line in run("predict", "stars", "--data", "fresh.csv").splitlines()]
    assert {line["output"] for line in lines} == {1, 2, 3, 4, 5} and len(lines) == 600


SERVED = """
import json, time
from fastapi.testclient import TestClient
from smidgen.flows.local_model import load
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings
TEXT = "awful lamp, useless; in a big box, for my sister 7"
with TestClient(create_app([load("stars", threads=1)], ServeSettings(capture="answers")), base_url="http://127.0.0.1") as client:
    def post(path, **body):
        return client.post(path, json={"model": "stars", **body}).json()
    said = {"messages": [{"role": "user", "content": TEXT}]}
    levels = {"q": {"type": "score", "criteria": ["1", "2", "3", "4", "5"]}}
    print(json.dumps([
        client.get("/v1/models").json()["data"][0]["smidgen"]["task"],
        post("/v1/chat/completions", **said)["choices"][0]["message"]["content"],
        post("/v1/chat/completions", **said, response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {
            "type": "object", "properties": {"rating": {"enum": ["1", "2", "3", "4", "5"]}}, "required": ["rating"],
            "additionalProperties": False}}})["choices"][0]["message"]["content"],
        post("/v1/classify", input=[TEXT])["results"][0]["output"],
        post("/v1/systemone", state=TEXT, questions=levels)["answers"]["q"]["score"],
    ]))
    assert "1" in client.get("/").text
"""


STORED = """
from smidgen.store.traffic.store import opened
with opened() as store, store._reading() as connection:
    print([row[0] for row in connection.exec_driver_sql("SELECT local_output FROM requests WHERE asked = 'stars'")])
"""


def test_it_is_served_by_chat_and_systemone_and_captured(run: Run, report: dict[str, Any], place: Path) -> None:
    task, said, held, output, score = json.loads(run(code=SERVED).splitlines()[-1])
    assert (task, said, json.loads(held), output) == ("rating", "1", {"rating": "1"}, 1) and 0 <= score < 0.5
    assert run(code=STORED).strip() == "['1', '1']", "what the two requests by chat were answered is captured"


def test_it_is_certified(run: Run, report: dict[str, Any]) -> None:
    found = json.loads(run("certify", "stars", "--data", "fresh.csv", "--alpha", "0.2", "--json"))
    assert found["certified"] and found["certificate"]["task"] == "rating" and found["certificate"]["answering"][0]["answered"] > 100


LEARNT = """
import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from smidgen.flows.learn.cycle import learn
from smidgen.flows.learn.settings import LearnSettings, LineCertificateSettings
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened
rows = [*csv.DictReader(open("fresh.csv")), *csv.DictReader(open("reviews.csv"))]
start = datetime.now(UTC) - timedelta(days=3)
def answered(few, first):
    return [Exchange(id=f"r{n}", time=start + timedelta(minutes=n), asked="line", path="/v1/chat/completions", input=row["text"],
                     answered_by="upstream", model="big", answer=f"{row['stars']} of 5.") for n, row in enumerate(few, first)]
with opened() as store:
    store.add(answered(rows[:700], 0))
ask = LearnSettings(task="rating", certificate=LineCertificateSettings(alpha=0.3), threads=1)
first = learn(Path("line"), ask)
with opened() as store:
    store.add(answered(rows[700:], 700))
again = learn(Path("line"), ask)
print(first.promoted, first.rows["learning"] + first.rows["choosing"] + first.rows["certifying"], first.rows["unusable"],
      again.challenger is not None, again.comparison is not None, again.why)
"""


def test_a_line_learns_it_from_traffic(run: Run, report: dict[str, Any]) -> None:
    said = run(code=LEARNT).splitlines()[-1]
    assert said.startswith("True 700 {} True True "), said


DRIFTED = """
import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from smidgen.flows.drift.check import look_for_drift
from smidgen.flows.drift import DriftSettings
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened
rows = sorted(csv.DictReader(open("fresh.csv")), key=lambda row: -int(row["stars"]))
start = datetime.now(UTC) - timedelta(days=30)
with opened() as store:
    store.add([Exchange(id=f"d{n}", time=start + timedelta(minutes=n), asked="stars", path="/v1/chat/completions", input=row["text"],
                        answered_by="local", answer=row["stars"]) for n, row in enumerate(rows)])
look = look_for_drift(Path("stars"), DriftSettings(recent=200, threads=1))
(found,) = [test for test in look.judgement.tests if test.what == "labels"]
print(found.alarm, found.says)
"""


def test_its_answers_are_looked_at_for_drift(run: Run, report: dict[str, Any]) -> None:
    assert run(code=DRIFTED).startswith("True")


@pytest.mark.parametrize("target", ["hf", "lmstudio", "ollama", "onnx-web"])
def test_what_cannot_take_it_says_so(run: Run, report: dict[str, Any], target: str) -> None:
    said = run("export", "stars", "--to", target, "--out", f"for-{target}", ok=2)
    assert "task rating" in said and "smidgen serve" in said


def test_a_form_that_cannot_be_is_refused(run: Run, report: dict[str, Any], place: Path) -> None:
    code = """
from dataclasses import replace
from pathlib import Path
from smidgen.bundles.open import open_bundle
from smidgen.core.errors import BundleError
from smidgen.flows.local_model import read_task
manifest = open_bundle(Path("stars")).manifest
for change in ({"low": 5}, {"high": "5"}, {"spread": 0}, {"spread": None}, {"high": 999}):
    try:
        read_task(manifest.model_copy(update={"form": {**manifest.form, **change}}))
    except BundleError as error:
        print("refused:", error)
"""
    assert len([line for line in run(code=code).splitlines() if line.startswith("refused:")]) == 5


def mailbox(folder: Path, count: int, seed: int) -> Path:
    """A folder of text files for each kind of review."""
    rng = random.Random(seed)
    for stars, words in SAID.items():
        kind = folder / f"stars-{stars}"
        kind.mkdir(parents=True)
        for number in range(count):
            text = f"{rng.choice(words)} {rng.choice(THINGS)}; {rng.choice(STORY)}, {rng.choice(STORY)} {number}"
            (kind / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


def test_another_learns_from_files_instead_of_a_table(run: Run, place: Path) -> None:
    mailbox(place / "mails", 40, 3)
    mailbox(place / "fresh-mails", 10, 4)
    made = json.loads(run("build", "--task", "mailbox", "--mailbox", "mails", "--threads", "1", "--out", "sorter", "--json"))
    assert made["metrics"]["accuracy"]["value"] > 0.9 and made["student"]["kind"] == "linear"
    found = json.loads(run("eval", "sorter", "--data", "fresh-mails", "--json"))
    assert found["n"] == 50 and found["metrics"]["accuracy"]["value"] > 0.9
