"""The worked examples of the documentation, dropped as they stand into a copy of the source: they work, and nothing else changed."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from .conftest import ROOT, Shell, copy_source

BLOCK = re.compile(r"```python\n# (src/smidgen/\S+\.py)\n(.*?)```", re.DOTALL)
RATED = {
    5: ("loved it", "perfect, would buy again", "brilliant quality", "best lamp we ever had", "wonderful, thank you"),
    4: ("good lamp, small scratch", "nearly perfect", "happy with it overall", "good value", "nice, took a while to arrive"),
    3: ("it is okay", "average, does the job", "neither good nor bad", "fine I suppose", "okay for the price"),
    2: ("disappointed with the finish", "wobbly and thin", "not as in the photo", "poor instructions", "rather flimsy"),
    1: ("broke on the first day", "awful, sent it back", "terrible, never again", "complete waste of money", "rubbish"),
}


def drop(name: str, source: Path) -> str:
    """Put the example of this name where its first line says; return its stem."""
    found = BLOCK.findall((ROOT / "docs/how-to/add-a-part.md").read_text(encoding="utf-8"))
    assert len(found) == 3
    [(place, text)] = [(place, text) for place, text in found if place == f"src/smidgen/{name}"]
    target = source.parent / place
    assert not target.exists(), "the example must be a new file"
    target.write_text(text, encoding="utf-8")
    return target.stem


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the source, to drop files into."""
    return copy_source(tmp_path)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Rated reviews, ten words each at most."""
    file = tmp_path / "reviews.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "stars"])
        for stars, texts in RATED.items():
            writer.writerows(
                [f"{text} {ending}".strip(), f"{stars} stars"] for text in texts for ending in ("", "really", "to be honest", "!!")
            )
    return file


def test_a_dropped_task_is_found_by_everything(source: Path, reviews: Path, tmp_path: Path) -> None:
    with Shell(source, tmp_path, {}) as shell:
        assert "stars" not in shell.run("build", "--help", "--all").stdout
    assert drop("tasks/stars.py", source) == "stars"
    with Shell(source, tmp_path, {}) as shell:
        is_found_by_everything(shell, reviews, tmp_path)


def is_found_by_everything(shell: Shell, reviews: Path, tmp_path: Path) -> None:
    after = " ".join(shell.run("build", "--help", "--all").stdout.split())
    assert ", stars" in after and "--most-stars" in after
    assert ", stars" in " ".join(shell.run("init", "--help").stdout.split())
    shell.run("init", str(tmp_path / "new"), "--task", "stars")
    assert "[stars]" in (tmp_path / "new" / "smidgen.toml").read_text(encoding="utf-8")
    wrong = shell.run("build", "--task", "star", "--data", str(reviews), "--out", str(tmp_path / "x"), ok=2)
    assert "Did you mean 'stars'?" in wrong.stderr

    model = tmp_path / "stars"
    options = ["--task", "stars", "--data", str(reviews), "--input", "text", "--label", "stars", "--student", "linear", "--out", str(model)]
    report = json.loads(shell.run("build", *options, "--json", "--threads", "1").stdout)
    assert report["task"] == "stars"
    assert 0.0 <= report["metrics"]["within_one"]["value"] <= 1.0
    code = f"""
from fastapi.testclient import TestClient
from smidgen.flows.local_model import load
from smidgen.server.app import create_app
model = load({str(model)!r}, threads=1)
with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
    print(client.get("/v1/models").text)
    asked = {{"model": "stars", "messages": [{{"role": "user", "content": "awful, waste of money"}}]}}
    print(client.post("/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"])
"""
    listed, answer = shell.run(script=code).stdout.splitlines()
    assert "stars" in [entry["id"] for entry in json.loads(listed)["data"]]
    assert "star" in answer


def test_a_dropped_student_and_engine_build_and_answer(source: Path, tiny: tuple[Path, Path], tmp_path: Path) -> None:
    assert drop("engines/words.py", source) == "words"
    assert drop("students/bayes.py", source) == "bayes"
    train, test = tiny
    model = tmp_path / "model"
    files = ["--data", str(train), "--test", str(test), "--input", "text", "--label", "intent"]
    options = ["--task", "classify", *files, "--student", "bayes", "--set", "train.smoothing=0.5", "--out", str(model)]
    with Shell(source, tmp_path, {}) as shell:
        report = json.loads(shell.run("build", *options, "--json", "--threads", "1").stdout)
        measured = json.loads(shell.run("eval", str(model), "--data", str(test), "--json").stdout)
        lines = shell.run("predict", str(model), "--data", str(test)).stdout.splitlines()
    assert report["student"]["kind"] == "bayes" and report["student"]["engine"] == "words"
    assert report["metrics"]["accuracy"]["value"] > 0.3, "twelve intents: guessing gives 0.08"
    assert report["parity"]["agreement"]["value"] == 1.0
    assert measured["metrics"]["accuracy"]["value"] == pytest.approx(report["metrics"]["accuracy"]["value"])
    assert len(lines) == measured["n"]
    assert all({"output", "score"} <= json.loads(line).keys() for line in lines)
