"""A model that writes, by the whole path: taught, exported, gated, packed, opened; and each way of spoiling it on the way is caught."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.flows.build.served_bundle import ServedBundle
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bundles.open import open_bundle
from smidgen.cli.main import code
from smidgen.core.errors import GateError
from smidgen.core.forms import Form
from smidgen.core.parts import EngineSpec, Raw
from smidgen.core.progress import Silent
from smidgen.core.rows import Text
from smidgen.flows.build import timing, training
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.reporting import UNAIDED
from smidgen.flows.build.work import BuildContext, StudentVariant, Work
from smidgen.gguf import weights
from smidgen.gguf.header import read_metadata
from smidgen.judge.report import read
from smidgen.parts.recipe import Recipe, make
from smidgen.students.decoder import DecoderStudent
from smidgen.text.repetition import LEAST_REPETITION

COLOURS = ("red", "blue", "green", "black", "white", "grey", "pink", "gold")
THINGS = ("vase", "lamp", "rug", "bowl", "chair", "mug")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("write")
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["product", "text"])
        for colour in COLOURS:
            for thing in THINGS:
                writer.writerow([f"colour: {colour}; thing: {thing}", f"A {colour} {thing} for your home."])
    return make(
        {
            "name": "texts",
            "task": "write",
            "data": {"train": str(folder / "train.csv"), "input": "product", "label": "text", "holdout": 0.15, "test_share": 0.25},
            "base": {"name": str(tiny_decoder(folder / "base"))},
            "train": {"epochs": 30, "learning_rate": 0.01, "precision": "f32", "vocabulary": "trimmed", "frequent_tokens": 1024},
            "compress": {"method": "none"},
            # Teaching takes a moment here: a tenth of that is no time to ask the base in.
            "student": {"baseline": "full"},
            "write": {"instruction": "Write."},
        }
    )


@pytest.fixture(scope="module")
def bundle(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "texts"
    build(recipe, out, threads=1)
    return out


def test_the_report_says_how_good_it_is(bundle: Path) -> None:
    report = read(bundle / "report.json")
    assert report.headline == "rougeL" and set(report.metrics) >= {"rouge1", "rouge2", "rougeL", "rougeLsum", "chrf"}
    assert report.metrics["rougeL"].value > 0.5
    assert report.parity is not None and report.parity.passed and report.parity.metric == "rougeL"
    assert report.baseline is not None and report.baseline.name == "prompted" and report.baseline.change is not None
    assert report.samples and all(sample.wanted and 0 <= sample.grade <= 1 for sample in report.samples)
    assert report.speed.tokens_per_second is None or report.speed.tokens_per_second > 0
    assert report.calibration is not None and not report.calibration.fitted, "seven rows are kept apart, too few to fit a score"
    assert report.student.kind == "decoder" and report.student.method == "f16" and report.student.base is not None
    assert open_bundle(bundle).manifest.engine.options["loop"] == LEAST_REPETITION, "none of the examples goes round in circles"
    assert 1024 < len(read_metadata(bundle / "model.gguf")["tokenizer.ggml.tokens"]) < 2048, "the base has 3,328"


def test_the_report_says_what_the_base_does_without_examples(bundle: Path) -> None:
    report = read(bundle / "report.json")
    rows = {row.name: row for row in report.alternatives}
    unaided, few = rows[UNAIDED], rows["prompted f16"]
    assert unaided.accuracy is not None and few.accuracy is not None and rows["decoder f16"].accuracy is not None
    assert unaided.accuracy.n == few.accuracy.n == rows["decoder f16"].accuracy.n > 0
    assert unaided.accuracy.value < rows["decoder f16"].accuracy.value
    assert unaided.baseline and not unaided.chosen and unaided.why_not and unaided.tokens_per_second
    assert report.baseline is not None and report.baseline.name == "prompted", "what teaching is held against stays the asked base"
    page = (bundle / "report.html").read_text(encoding="utf-8")
    assert f'<th scope="row">{UNAIDED}</th>' in page and "the base as it is, for comparison" in page


class CountedSteps(Silent):
    """Progress that keeps for each step the number of texts that it is to write, and of those that were told as written."""

    def __init__(self) -> None:
        self.steps: dict[str, list[int | None]] = {}
        self._counts: list[Any] = [None, 0]

    def start(self, step: str, total: int | None = None) -> None:
        self._counts = self.steps[step] = [total, 0]

    def advance(self, units: int = 1, **facts: float | str) -> None:
        self._counts[1] += units


def test_the_base_is_asked_without_examples(recipe: Recipe, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its prompt holds the instruction and no example, and it writes for no more rows than the alternatives are shown on."""
    assert bundle.is_dir(), "its steps are stored, so that here only what is asked anew is done"
    asked: list[tuple[StudentVariant, int]] = []
    served = training.served

    def told(work: Work, own: BuildContext, variant: StudentVariant, texts: Sequence[Text], form: Form | None = None) -> Raw:
        asked.append((variant, len(texts)))
        return served(work, own, variant, texts, form)

    monkeypatch.setattr(training, "served", told)
    monkeypatch.setattr(timing, "MOST_COMPARED", 4)
    counted = CountedSteps()
    report = build(recipe, tmp_path / "texts", threads=1, progress=counted).report
    prompts = {len(variant.spec.options["before"]) for variant, _ in asked if variant.student == "prompted"}
    (unaided, count) = asked[-1]
    assert unaided.student == "prompted" and len(unaided.spec.options["before"]) == min(prompts)
    assert max(prompts) > 2 * min(prompts), "the other one has examples in its prompt"
    assert 0 < count <= 4
    tested = report.metrics["rougeL"].n
    told = ("measure the packed bundle on the test rows", "compare the alternatives", "measure the base without examples")
    assert tested > 4 and [counted.steps[step] for step in told] == [[tested, tested], [4, 4], [4, 4]], "the time left can be told"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("later") / "later.jsonl"
    rows = [{"product": "colour: red; thing: vase", "text": ["A red vase for your home.", "A vase."]}, {"product": "x", "text": "y"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


class TestServed(ServedBundle):
    text = "colour: red; thing: vase"
    heavy = ServedBundle.heavy - {"onnx"}


def test_predict_on_the_command_line(bundle: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "in.csv", tmp_path / "out.csv"
    data.write_text("product\ncolour: red; thing: vase\ncolour: gold; thing: mug\n", encoding="utf-8")
    assert code(["predict", str(bundle), "--data", str(data), "--out", str(out), "--threads", "1"]) == 0
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["product"] for row in rows] == ["colour: red; thing: vase", "colour: gold; thing: mug"]
    assert all(row["text"].startswith("A ") for row in rows), "the answer stands under the name of the column that was learnt"


def _wrong_template(spec: EngineSpec, out: Path) -> EngineSpec:
    """The turn of the one who answers is never opened."""
    return EngineSpec(spec.engine, spec.files, {**spec.options, "after": []}, spec.method)


def _no_end(spec: EngineSpec, out: Path) -> EngineSpec:
    """The end token is a letter like any other: nothing stops what is written."""
    return EngineSpec(spec.engine, spec.files, {**spec.options, "stop": []}, spec.method)


def _as_it_is(spec: EngineSpec, out: Path) -> EngineSpec:
    return spec


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No step of another build is found again here: what is spoiled must be made."""
    from smidgen.store.files import home

    shared = home() / "bases"
    own = tmp_path / "home"
    own.mkdir()
    (own / "bases").symlink_to(shared, target_is_directory=True)
    monkeypatch.setenv("SMIDGEN_HOME", str(own))
    yield


@pytest.mark.usefixtures("own_home")
@pytest.mark.parametrize(
    "fault", [pytest.param("template", marks=pytest.mark.thorough), pytest.param("end", marks=pytest.mark.thorough), "permutation"]
)
def test_what_is_spoiled_on_the_way_is_not_shipped(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    spoil: Callable[[EngineSpec, Path], EngineSpec] = {"template": _wrong_template, "end": _no_end, "permutation": _as_it_is}[fault]
    export, write, vocabulary_of = DecoderStudent.export, weights.write, weights.vocabulary_of

    def spoiled(self: DecoderStudent, folder: Path, out: Path) -> EngineSpec:
        return spoil(export(self, folder, out), out)

    def without_end(*args: Any, **named: Any) -> None:
        write(*args, **{**named, "eos_id": 17})

    def unnamed(folder: Path, size: int) -> Any:
        # llama.cpp knows the usual end tokens by their names, too.
        found = vocabulary_of(folder, size)
        return replace(found, tokens=[name.replace("<|im_end|>", "<|im_fin|>") for name in found.tokens])

    monkeypatch.setattr(DecoderStudent, "export", spoiled)
    if fault == "permutation":
        monkeypatch.setattr(weights, "interleaved", lambda tensor, heads: tensor)
    if fault == "end":
        monkeypatch.setattr(weights, "write", without_end)
        monkeypatch.setattr(weights, "vocabulary_of", unnamed)
    with pytest.raises(GateError) as caught:
        build(recipe, tmp_path / "never", threads=1)
    assert "points" in str(caught.value) or any("points" in line for line in caught.value.changed)
    assert not (tmp_path / "never").exists()


def test_the_memory_of_the_engines_own_process_counts(bundle: Path) -> None:
    from smidgen.flows.build import footprint

    found = footprint.measure_footprint(bundle, 1)
    assert found is not None and found.peak_memory_mb is not None
    alone = subprocess.run(
        [sys.executable, "-c", "import smidgen.flows.local_model; from smidgen.machine.memory import peak_mb; print(peak_mb())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.peak_memory_mb > float(alone.stdout) + (bundle / "model.gguf").stat().st_size / 1e6
