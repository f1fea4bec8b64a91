"""A decoder that would be larger than was asked is narrowed by what its sizes say, or refused, before anything is taught."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import context, rows_of
from tests.recorded_progress import RecordedProgress
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.errors import GateError
from smidgen.flows.build import student_plan, training
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.student_plan import fit_students
from smidgen.flows.build.work import PlannedStudent, Work
from smidgen.judge.report import Report, read
from smidgen.parts.recipe import Recipe, make
from smidgen.students.decoder_training.pruning import MOST_LAYERS, MOST_NEURONS
from smidgen.students.settings import DecoderSettings

COLOURS = ("red", "blue", "green", "black", "white", "grey", "pink", "gold")
THINGS = ("vase", "lamp", "rug", "bowl", "chair", "mug")
LAYERS, INNER = 6, 1024


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitting")
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["product", "text"])
        writer.writerows([f"colour: {c}; thing: {t}", f"A {c} {t} for your home."] for c in COLOURS for t in THINGS)
    tiny_decoder(folder / "base", layers=LAYERS, inner=INNER)
    return folder


def recipe(place: Path, most: float | None = None, method: str = "auto", **train: Any) -> Recipe:
    return make(
        {
            "task": "write",
            "data": {"train": str(place / "train.csv"), "input": "product", "label": "text", "holdout": 0.15, "test_share": 0.25},
            "base": {"name": str(place / "base")},
            "student": {"baseline": "none", **({} if most is None else {"max_size_mb": most})},
            "train": {"epochs": 1, "precision": "f32", "vocabulary": "trimmed", "frequent_tokens": 1024, **train},
            "compress": {"method": method},
            "gate": {"max_loss": 1.0},
            "write": {"instruction": "Write."},
        }
    )


def fitted(place: Path, asked: Recipe, tmp_path: Path) -> tuple[PlannedStudent, list[str]]:
    """How the decoder would be taught, and what was said."""
    heard, base = RecordedProgress(), find(str(place / "base"), family="decoder")
    work = replace(rows_of(asked, tmp_path), bases={"decoder": base}, kinds=("decoder", "prompted"))
    found = fit_students(work, context(tmp_path, heard))
    assert found["prompted"].why == ""
    return found["decoder"], heard.said


def whole_mb(place: Path, tmp_path: Path, method: str = "q4-0") -> float:
    """What the whole model is said to be, where no limit can be kept."""
    with pytest.raises(GateError) as caught:
        fitted(place, recipe(place, 0.01, method, drop_neurons=1 / 16), tmp_path)
    return float(str(caught.value.value).split(" would be ")[1].split()[0])


@pytest.fixture(scope="module")
def built(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Recipe, Path, float]:
    """A build that is asked for less than the model is."""
    home = tmp_path_factory.mktemp("built")
    limit = whole_mb(place, home) - 0.15
    asked = recipe(place, limit, "q4-0")
    out = home / "texts"
    build(asked, out, threads=1)
    return read(out / "report.json"), asked, out, limit


@pytest.mark.thorough
def test_what_would_be_too_large_is_narrowed_and_the_report_says_so(built: tuple[Report, Recipe, Path, float]) -> None:
    report, _, out, limit = built
    assert report.student.method == "q4-0" and report.speed.size_mb is not None and report.speed.size_mb <= limit
    share = report.student.settings["drop_neurons"]
    assert 0.05 < share <= MOST_NEURONS and report.student.settings["drop_layers"] == 0
    assert f"{share:.0%} of the feed-forward neurons are left out" in report.student.chosen_because
    assert f"the limit is {limit:g} MB" in report.student.chosen_because
    assert json.loads((out / "smidgen.json").read_text(encoding="utf-8"))["settings"]["drop_neurons"] == share
    # The recipe stays what was asked for: with other rows another share may be right.
    assert "drop_neurons = 0.0" in (out / "recipe.toml").read_text(encoding="utf-8")


def test_sizes_are_foretold(built: tuple[Report, Recipe, Path, float], place: Path, tmp_path: Path) -> None:
    report, asked, _, _ = built
    found, _ = fitted(place, asked, tmp_path)
    told = float(found.why.split("makes about ")[1].split()[0])
    assert report.speed.size_mb == pytest.approx(told, abs=0.06)
    assert report.speed.size_mb <= told + 0.05, "it is foretold a little too large rather than too small"


def test_as_few_neurons_go_as_the_size_needs(place: Path, tmp_path: Path) -> None:
    whole = whole_mb(place, tmp_path)
    shares = []
    for less in (0.1, 0.3):
        found, said = fitted(place, recipe(place, whole - less), tmp_path)
        assert isinstance(found.settings, DecoderSettings) and found.settings.drop_layers == 0
        assert any(found.why in line for line in said)
        shares.append(found.settings.drop_neurons)
    assert 0 < shares[0] < shares[1] <= MOST_NEURONS


def test_what_fits_stays_whole(place: Path, tmp_path: Path) -> None:
    whole = whole_mb(place, tmp_path)
    for asked in (recipe(place), recipe(place, whole + 0.2), recipe(place, 1000.0, "none")):
        found, said = fitted(place, asked, tmp_path)
        assert isinstance(found.settings, DecoderSettings) and not found.settings.pruned
        assert not found.why and not said


def test_a_larger_form_needs_more_to_go(place: Path, tmp_path: Path) -> None:
    limit = whole_mb(place, tmp_path, "q8-0") - 0.15
    auto, eight = (fitted(place, recipe(place, limit, method), tmp_path)[0].settings for method in ("auto", "q8-0"))
    assert isinstance(auto, DecoderSettings) and isinstance(eight, DecoderSettings)
    assert not auto.pruned, "its smallest form fits"
    assert eight.drop_neurons > 0


def test_what_cannot_be_is_refused_before_teaching(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[Any] = []
    monkeypatch.setattr(training, "fit", lambda *given, **named: taught.append(given))
    with pytest.raises(GateError, match=r"at most 0.05 MB; q4-0 would be .* MB with .* neurons and 2 of 6 layers left out") as caught:
        build(recipe(place, 0.05), tmp_path / "never", threads=1)
    assert "--max-size-mb" in str(caught.value) and "--compress" not in str(caught.value)
    for asked, told in (
        (recipe(place, 0.05, "none"), "--compress auto"),
        (recipe(place, 0.05, drop_neurons=0.5), "Leave drop_layers and drop_neurons to the build"),
        (recipe(place, 0.05, adapter=True, vocabulary="auto"), "without an adapter"),
    ):
        with pytest.raises(GateError, match=told):
            build(asked, tmp_path / "never", threads=1)
    assert not taught and not (tmp_path / "never").exists()


def test_layers_go_where_neurons_alone_would_not_do_down_to_what_the_hint_says(place: Path, tmp_path: Path) -> None:
    with pytest.raises(GateError) as caught:
        fitted(place, recipe(place, 0.05), tmp_path)
    enough = float(caught.value.todo.split("--max-size-mb ")[1].split(")")[0])
    found = fitted(place, recipe(place, enough), tmp_path)[0].settings
    assert isinstance(found, DecoderSettings)
    assert 0 < found.drop_layers <= MOST_LAYERS * LAYERS
    assert 0.3 < found.drop_neurons <= MOST_NEURONS


@pytest.mark.parametrize(("method", "qat"), [("auto", "auto"), ("q4-0", "auto"), ("q5-1", "auto"), ("q8-0", "none"), ("none", "none")])
def test_what_is_left_to_the_build_is_rounded_where_few_bits_may_be_shipped(place: Path, method: str, qat: str) -> None:
    settings = student_plan.settings_of(Work(recipe(place, method=method)), "decoder")
    assert isinstance(settings, DecoderSettings) and settings.qat == qat
    for asked in ("none", "q4-0"):
        settings = student_plan.settings_of(Work(recipe(place, method=method, qat=asked)), "decoder")
        assert isinstance(settings, DecoderSettings) and settings.qat == asked
