"""Cross-validation over all rows, and what a build says of a small test."""

from __future__ import annotations

import csv
import hashlib
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.cli import main
from smidgen.cli.report_summary import print_report
from smidgen.core.errors import InputError
from smidgen.core.rows import Row
from smidgen.flows.build import candidates, cross_fitting, validation
from smidgen.flows.build.pipeline import BuildResult, build
from smidgen.flows.build.work import PlannedStudent, TrainedFiles, Work
from smidgen.judge.page import render
from smidgen.parts import recipe, registry
from smidgen.stats.intervals import wilson

LABELS = ("billing", "delivery", "returns")
WORDS = {"billing": ("invoice", "charge", "tax"), "delivery": ("parcel", "courier", "van"), "returns": ("refund", "swap", "broken")}
FILLER = [f"word{number}" for number in range(60)]
FLIPPED = 30
"""Rows whose label is wrong: no model that has not seen them can give it."""


def data(file: Path, count: int = 300, seed: int = 0) -> list[int]:
    """Rows whose label a word tells, but for some; the numbers of those."""
    rng = random.Random(seed)
    rows, wrong = [], set(rng.sample(range(count), FLIPPED))
    for number in range(count):
        label = LABELS[number % 3]
        said = [rng.choice(WORDS[label]), *rng.sample(FILLER, 5), f"n{number}"]
        rng.shuffle(said)
        rows.append((" ".join(said), LABELS[(number + 1) % 3] if number in wrong else label))
    with file.open("w", encoding="cp1252", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerows([("text", "intent"), *rows])
    return [number + 1 for number in sorted(wrong)]


def wanted(file: Path, **more: Any) -> Any:
    facts = {"train": str(file), "input": "text", "label": "intent", **more}
    gate = {"max_loss": 0.5, "min_agreement": 0.5}
    return recipe.make({"name": "shop", "task": "classify", "data": facts, "student": {"kind": "linear"}, "gate": gate})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildResult, list[int], Path]:
    folder = tmp_path_factory.mktemp("crossed")
    wrong, out = data(folder / "rows.csv"), folder / "errors.csv"
    return build(wanted(folder / "rows.csv"), folder / "shop", threads=1, errors=str(out)), wrong, out


def test_every_row_is_answered_by_a_model_that_never_saw_it(made: tuple[BuildResult, list[int], Path]) -> None:
    built, wrong, out = made
    crossed = built.report.cross_validation
    assert crossed is not None and crossed.metric is not None
    assert (crossed.folds, crossed.n, crossed.student, crossed.metric.n) == (5, 300, "linear", 300)
    # Whoever had seen a row would know its label by its number alone. A tenth of them has a wrong one.
    assert 0.8 < crossed.metric.value <= 0.91 and crossed.metric.low < 0.9 < crossed.metric.high + 0.02
    assert crossed.metric.high - crossed.metric.low < 0.6 * (built.report.metrics["accuracy"].high - built.report.metrics["accuracy"].low)
    table = list(csv.reader(out.open(encoding="cp1252", newline=""), delimiter=";"))
    assert table[0] == ["text", "intent", "output", "score", "error"]
    assert len(table) - 1 == built.errors == round(300 * (1 - crossed.metric.value))
    found = {int(word[1:]) + 1 for row in table[1:] for word in row[0].split() if word[0] == "n" and word[1:].isdigit()}
    assert len(found & set(wrong)) >= FLIPPED - 2, "the wrong labels are among the errors"


def test_the_interval_allows_for_models_that_share_rows(made: tuple[BuildResult, list[int], Path]) -> None:
    crossed = made[0].report.cross_validation
    assert crossed is not None and crossed.metric is not None and crossed.uncounted == 0
    alone = wilson(round(300 * crossed.metric.value), 300)
    assert crossed.metric.high - crossed.metric.low == pytest.approx(1.5 * (alone[1] - alone[0]), rel=0.01)


def test_a_fold_leaves_out_its_share_of_a_rare_label_too() -> None:
    # Evenly spread, each of four rows would be answered by a model that learnt from the three others, as if nothing were left out.
    rows = [Row(f"{number} {hashlib.sha256(str(number).encode()).hexdigest()}", f"label{number % 60}", number) for number in range(240)]
    folds = cross_fitting.folds(rows, 0)
    assert sorted(row.number for fold in folds for row in fold) == list(range(240)) and len(folds) == 5
    assert all(40 <= len(fold) <= 56 for fold in folds)
    learnt = [4 - sum(other.output == row.output for other in fold) for fold in folds for row in fold]
    assert 2.2 < sum(learnt) / len(learnt) < 2.6


def test_where_labels_are_left_out_a_row_counts_only_if_its_label_has_two_others() -> None:
    rows = [Row(f"text {number}", label, number) for number, label in enumerate(["a"] * 8 + ["b"] * 3 + ["c"] * 2)]
    work = Work(recipe.make({"name": "shop", "task": "classify"}, (), folder=Path()))
    assert list(validation._counted(work, rows)) == list(range(13))
    assert list(validation._counted(replace(work, left_out=("rare",)), rows)) == list(range(11))
    assert len(validation._counted(replace(work, left_out=("rare",)), rows[6:])) == 7, "too few would be left"


def test_the_summary_the_page_and_the_report_say_how_little_the_test_says(
    made: tuple[BuildResult, list[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    report = made[0].report
    metric = report.metrics["accuracy"]
    print_report(report)
    said = " ".join(capsys.readouterr().out.split())
    page = " ".join(render(report).split())
    for text in (said, page):
        assert f"{metric.n} test rows measure little: Accuracy may be anything from" in text
        assert "1,000 test rows (--test FILE) would narrow that to about ±" in text
        assert "Cross-validated over all 300 rows it is" in text


def test_cross_fitted_parts_are_one_output_in_their_order() -> None:
    raws = [
        {"logits": np.full((2, 3), part), "inputs": [f"{part}a", f"{part}b"], "embedding": np.zeros((2, 4 + int(part)))}
        for part in (0.0, 1.0)
    ]
    fitted = cross_fitting.CrossFitted(tuple(([Row(text, "label", 1) for text in raw["inputs"]], raw) for raw in raws), 1.0)
    assert [row.input for row in fitted.rows] == fitted.raw["inputs"] == ["0.0a", "0.0b", "1.0a", "1.0b"]
    assert fitted.raw["logits"].shape == (4, 3) and fitted.raw["logits"][:, 0].tolist() == [0, 0, 1, 1]


def test_nothing_is_cross_fitted_where_all_rows_of_a_label_lie_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_fitting.training, "fit", lambda *given, **more: pytest.fail("there is one label to learn"))
    alike = [Row(f"please send the parcel to my other address in town, thank you {end}", "b", 60) for end in ("", "!")]
    rows = [*(Row(hashlib.sha256(str(number).encode()).hexdigest(), "a", number) for number in range(60)), *alike]
    work = Work(recipe.make({"name": "shop", "task": "classify"}, (), folder=Path()))
    assert cross_fitting.cross_fit(work, None, "linear", rows) is None


def test_a_student_that_another_one_teaches_is_not_cross_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "cross_fit", lambda *given: pytest.fail("its teacher has seen the part"))
    monkeypatch.setattr(cross_fitting, "QUICK", 60.0)
    rows = [Row(f"text {number}", "ab"[number % 2], number) for number in range(40)]
    part = registry.find("students", "static")
    planned = {"static": PlannedStudent(part, part.settings())}
    work = Work(recipe.make({"name": "shop", "task": "classify"}, (), folder=Path()), train=rows, refit=True, students=planned)
    assert candidates._crossed(work, None, TrainedFiles("static", Path(), "", 0.0, None), 0.0) is None


def test_a_student_that_learns_fast_and_answers_slowly_is_not_cross_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "cross_fit", lambda *given: "crossed")
    monkeypatch.setattr(cross_fitting, "QUICK", 60.0)
    rows = [Row(f"text {number}", "ab"[number % 2], number) for number in range(40)]
    part = registry.find("students", "kernel")
    planned = {"kernel": PlannedStudent(part, part.settings())}
    work = Work(recipe.make({"name": "shop", "task": "classify"}, (), folder=Path()), train=rows, refit=True, students=planned)
    files = TrainedFiles("kernel", Path(), "", 2.0, None)
    assert candidates._crossed(work, None, files, 9.0) == "crossed" and candidates._crossed(work, None, files, 11.0) is None


def test_a_small_test_is_cross_validated_unasked_where_that_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data(tmp_path / "rows.csv")
    monkeypatch.setattr(cross_fitting, "QUICK", 3600.0)
    quick = build(wanted(tmp_path / "rows.csv"), tmp_path / "quick", threads=1).report
    assert quick.cross_validation is not None and quick.cross_validation.metric is not None
    assert quick.data.cross_fitted == quick.data.train and "each answered by a model that learnt from the others" in render(quick)
    monkeypatch.setattr(cross_fitting, "QUICK", -1.0)
    slow = build(wanted(tmp_path / "rows.csv"), tmp_path / "slow", threads=1).report
    assert slow.cross_validation is not None and slow.cross_validation.metric is None and slow.cross_validation.n == 300
    assert slow.data.cross_fitted == 0 and "each answered by a model" not in render(slow)
    assert quick.calibration is not None and slow.calibration is not None and quick.calibration.temperature != slow.calibration.temperature
    assert "Cross-validation over all 300 rows (--errors FILE) would narrow it to about ±" in render(slow)


def test_a_large_test_needs_neither(tmp_path: Path) -> None:
    data(tmp_path / "rows.csv"), data(tmp_path / "test.csv", 450, seed=5)
    report = build(wanted(tmp_path / "rows.csv", test=str(tmp_path / "test.csv")), tmp_path / "large", threads=1).report
    assert report.metrics["accuracy"].n >= 400 and report.cross_validation is None
    assert "measure little" not in render(report)


def test_what_cannot_be_cross_validated_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    data(tmp_path / "rows.csv")
    taught = wanted(tmp_path / "rows.csv", teacher={"source": "http://127.0.0.1:9/v1", "uses": ["score"]})
    with pytest.raises(InputError, match="errors over all rows"):
        build(taught, tmp_path / "taught", threads=1, errors=str(tmp_path / "errors.csv"))
    with pytest.raises(InputError, match="cannot be written in this format"):
        build(wanted(tmp_path / "rows.csv"), tmp_path / "shop", threads=1, errors=str(tmp_path / "errors.pdf"))
    assert not (tmp_path / "shop").exists()


def test_eval_says_it_too(made: tuple[BuildResult, list[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data(tmp_path / "few.csv", 90, seed=9)
    assert main.code(["eval", str(made[0].folder), "--data", str(tmp_path / "few.csv")]) == 0
    assert "90 test rows measure little: Accuracy may be anything from" in " ".join(capsys.readouterr().err.split())
    data(tmp_path / "many.csv", 450, seed=9)
    assert main.code(["eval", str(made[0].folder), "--data", str(tmp_path / "many.csv")]) == 0
    assert "measure little" not in capsys.readouterr().err
