"""A bundle whose answers and scores are known: a linear classifier of a hundred words, each with a label and a score, and its report."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from smidgen.bundles.manifest import Columns, DataEntry, EngineEntry, Manifest
from smidgen.bundles.pack import pack
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge import classifier_sections
from smidgen.judge.report import Report
from smidgen.judge.sections import DataFacts, Mistake, StudentFacts
from smidgen.store.files import home, rows_hash

WORDS = [f"w{number:02d}" for number in range(100)]
MARGINS = np.linspace(6.0, 0.05, 100)
LABELS = ("no", "yes")


def answer(word: int) -> str:
    """What the bundle answers to a text with this word."""
    return LABELS[word % 2]


def score(word: int) -> float:
    """The score of that answer."""
    return float(1 / (1 + np.exp(-MARGINS[word])))


def text(word: int, number: int) -> str:
    """One of the texts with this word."""
    return f"{WORDS[word]} message number {number}"


def pairs(n: int, seed: int, wrong: float = 0.0, worst: float = 0.4, start: int = 0) -> list[tuple[str, str]]:
    """Texts with gold labels: the answer is wrong with a probability from `wrong` for the surest word to `worst` for the least sure one, by
    its square."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 100, n).tolist()
    rate = [wrong + (worst - wrong) * (word / 99) ** 2 for word in words]
    return [
        (text(word, start + number), LABELS[(word + int(rng.random() < share)) % 2])
        for number, (word, share) in enumerate(zip(words, rate, strict=True))
    ]


def write_pairs(file: Path, rows: list[tuple[str, str]], column: list[str] | None = None) -> Path:
    """The pairs as a CSV, with a column `shop` where one is given."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "intent", *(["shop"] if column else [])])
        writer.writerows([*row, *([column[place]] if column else [])] for place, row in enumerate(rows))
    return file


def unlooked() -> None:
    """Forget who looked at which rows, so that a test may compare terms on the same ones."""
    shutil.rmtree(home() / "looks", ignore_errors=True)


def make(folder: Path, name: str = "support", recipe: str = "", seed: int = 0, labels: tuple[str, str] = LABELS) -> Path:
    """Pack it into `folder/name`, its labels called otherwise if wanted. It says that it was trained on `pairs(200, 1)`, and tested on
    `pairs(600, 2, start=10_000)`."""
    source = folder / f"{name}-source"
    source.mkdir(parents=True)
    margins = np.where(np.arange(100) % 2, MARGINS, -MARGINS).astype(np.float32)
    save_file(
        {
            "weight": np.stack([np.zeros(100, dtype=np.float32), margins]),
            "bias": np.zeros(2, dtype=np.float32),
            "words.idf": np.ones(100, dtype=np.float32),
            "letters.idf": np.zeros(0, dtype=np.float32),
        },
        source / "linear.safetensors",
    )
    (source / "terms.json").write_text(json.dumps({"words": WORDS, "letters": []}), encoding="utf-8")
    tests = pairs(600, 2, start=10_000)
    rows = [Row(given, wanted) for given, wanted in tests]
    words = [WORDS.index(given.split()[0]) for given, _ in tests]
    report = Report(
        name=name,
        task="classify",
        created="2026-01-01T00:00:00+00:00",
        student=StudentFacts(kind="linear"),
        data=DataFacts(test=len(tests), sha256=rows_hash(pairs(200, 1)), test_sha256=rows_hash(tests)),
        risk_coverage=classifier_sections.risk_coverage(rows, [Reply(answer(word), score(word)) for word in words]),
        mistakes=(Mistake(text=tests[0][0], gold="yes", answer="no", score=0.5),),
    )
    (source / "report.json").write_text(report.json_text(), encoding="utf-8")
    if recipe:
        (source / "recipe.toml").write_text(recipe, encoding="utf-8")
    manifest = Manifest(
        name=name,
        created="2026-01-01T00:00:00+00:00",
        smidgen_version="0.1.0",
        task="classify",
        form={"labels": list(labels), "multi_label": False, "temperature": 1.0, "seed": seed},
        engine=EngineEntry(engine="linear", files=("terms.json", "linear.safetensors")),
        columns=Columns(input="text", label="intent"),
        data=DataEntry(sha256=rows_hash(pairs(200, 1))),
        student="linear",
        headline="accuracy",
    )
    pack(source, manifest, folder / name)
    return folder / name


@pytest.fixture
def certified_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One in a folder of its own, with a home of its own."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    return make(tmp_path / "models")
