"""A model whose answers copy is built, measured and shipped with drafting, by the whole path."""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

import pytest
from tests.recorded_progress import RecordedProgress
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bundles.open import open_bundle
from smidgen.flows.build.pipeline import build
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.parts.recipe import make

MARKS = ("nice", "old", "new", "red", "blue", "small")


@pytest.mark.thorough
def test_drafting_is_chosen_said_and_shipped(tmp_path: Path) -> None:
    random = Random(0)
    names = ["".join(random.choice("abcdefghilmnoprstu") for _ in range(5)) for _ in range(200)]
    texts = [" ".join([*random.sample(names, 12), random.choice(MARKS)]) for _ in range(40)]
    with (tmp_path / "train.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["draft", "corrected"])
        writer.writerows((text, text.replace("nice", "fine")) for text in texts)
    recipe = make(
        {
            "name": "corrections",
            "task": "write",
            "data": {"train": str(tmp_path / "train.csv"), "input": "draft", "label": "corrected", "holdout": 0.15, "test_share": 0.25},
            "base": {"name": str(tiny_decoder(tmp_path / "base"))},
            "train": {"epochs": 6, "learning_rate": 0.02, "precision": "f32"},
            "compress": {"method": "q8-0"},
            "gate": {"max_loss": 0.5},
            "write": {"instruction": "Correct."},
        }
    )
    heard = RecordedProgress()
    build(recipe, tmp_path / "out", threads=1, progress=heard)
    (said,) = [text for text in heard.said if text.startswith("drafting: ")]
    options = open_bundle(tmp_path / "out").manifest.engine.options
    assert options["draft"] == "lookup"
    assert said.startswith(f"drafting: lookup, up to {options['draft_most']} tokens guessed after {options['draft_after']} that stand")
    report = read(tmp_path / "out" / "report.json")
    assert report.parity is not None and report.parity.passed and report.speed.tokens_per_second
    model = load(tmp_path / "out", 1)
    try:
        # Which of them the little model copies is a matter of its processor.
        pieces = [reply.piece for text in texts[:10] for reply in model.write(text)]
    finally:
        model.close()
    assert sum(len(piece.tokens) for piece in pieces) < sum(piece.count for piece in pieces), "no guess, no test"
