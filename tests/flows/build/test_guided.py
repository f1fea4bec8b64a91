"""A guide by the whole path: named by a flag or a recipe, found, checked, learnt from, told of in the report, part of the step's key."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import context, planned
from tests.forms import text_form
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.cli.main import code
from smidgen.core.errors import BaseError, RecipeError, UnknownPart
from smidgen.core.parts import Base, Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.flows.build import training
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.student_plan import open_guide
from smidgen.judge.report import read
from smidgen.parts.recipe import Recipe, make
from smidgen.students.decoder import DecoderStudent
from smidgen.students.settings import DecoderSettings

COLOURS = ("red", "blue", "green", "black", "white", "grey", "pink", "gold")
THINGS = ("vase", "lamp", "rug", "bowl", "chair", "mug")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, a base, and two larger decoders of its tokens."""
    folder = tmp_path_factory.mktemp("guided")
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["product", "text"])
        writer.writerows([f"colour: {c}; thing: {t}", f"A {c} {t} for your home."] for c in COLOURS for t in THINGS)
    tiny_decoder(folder / "base")
    for name, seed in (("large", 7), ("other", 8)):
        tiny_decoder(folder / name, layers=3, seed=seed)
    return folder


def tree(folder: Path, guide: str | None, **train: Any) -> dict[str, Any]:
    taught = {
        "epochs": 4,
        "learning_rate": 0.01,
        "precision": "f32",
        "vocabulary": "trimmed",
        "frequent_tokens": 1024,
        **({"guide": guide} if guide else {}),
        **train,
    }
    return {
        "name": "texts",
        "task": "write",
        "data": {"train": "train.csv", "input": "product", "label": "text", "holdout": 0.15, "test_share": 0.25},
        "base": {"name": str(folder / "base")},
        "student": {"kind": "decoder", "baseline": "none"},
        "train": taught,
        "compress": {"method": "none"},
        "gate": {"max_loss": 0.5, "min_agreement": 0.0},
        "write": {"instruction": "Write."},
    }


def recipe(folder: Path, guide: str | None, **train: Any) -> Recipe:
    return make(tree(folder, guide, **train), folder=folder)


@pytest.fixture(scope="module")
def bundle(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "texts"
    return build(recipe(folder, "large", guide_share=0.2), out, threads=1).folder


def test_the_report_and_the_card_say_who_guided(bundle: Path, folder: Path) -> None:
    student = read(bundle / "report.json").student
    large = find(str(folder / "large"))
    assert (student.guide, student.guide_sha256) == (large.name, large.sha256)
    card, page = ((bundle / name).read_text(encoding="utf-8") for name in ("README.md", "report.html"))
    assert "guided by" in card and large.sha256 in card and "Guided by" in page
    licences = json.loads((bundle / "smidgen.json").read_text(encoding="utf-8"))["licences"]
    assert [entry["what"].split()[0] for entry in licences] == ["base", "data", "guide"]


def test_a_bundle_guides_by_what_it_was_taught_and_is_left_as_it_was(bundle: Path, folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    base = find(str(folder / "base"))
    said: list[str] = []
    progress = Silent()
    progress.say = said.append  # type: ignore[method-assign]
    found = open_guide(recipe(folder, str(bundle)), base, text_form(instruction="Write."), progress)
    assert found is not None and found.family == "decoder" and found.name == "texts" and not said
    assert found.sha256 == json.loads(before["smidgen.json"])["files"]["model.gguf"]["sha256"]
    assert {file.name: file.read_bytes() for file in bundle.iterdir()} == before
    again = open_guide(recipe(folder, str(bundle)), base, text_form(instruction="Say it."), progress)
    assert again == found and "another instruction ('Write.')" in said[0]
    # Its vocabulary was trimmed: a student that must keep the base's whole one cannot learn of it.
    with pytest.raises(RecipeError, match="tokens are not those of the base"):
        open_guide(recipe(folder, str(bundle), vocabulary="whole"), base, text_form(), progress)
    space = folder / "guided-by-bundle"
    space.mkdir()
    rows = [Row(f"colour: {c}; thing: sofa", f"A {c} sofa.", n) for n, c in enumerate(COLOURS, 1)]
    settings = DecoderSettings(epochs=1, precision="f32", guide=str(bundle))
    DecoderStudent().fit(Training(rows, (), text_form(instruction="Write."), base, settings, guide=found), Workspace(space, 1, progress))
    assert (space / "change.safetensors").is_file()
    assert any("tokens of the guide are kept" in line for line in said)
    tokens = [json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"] for place in (space, bundle)]
    assert tokens[0] == tokens[1] and len(tokens[0]) < 2_048


def test_what_cannot_guide_is_refused_before_anything_is_taught(folder: Path, tmp_path: Path) -> None:
    base = find(str(folder / "base"))
    told = json.loads((folder / "base" / "tokenizer.json").read_text(encoding="utf-8"))
    shutil.copytree(folder / "large", tmp_path / "strange")
    told["added_tokens"][3]["content"] = "<|another|>"
    (tmp_path / "strange" / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"tokens are not those of the base.*same tokens"):
        build(recipe(folder, str(tmp_path / "strange")), tmp_path / "out", threads=1)
    with pytest.raises(UnknownPart, match="nowhere"):
        open_guide(recipe(folder, "nowhere"), base, text_form(), Silent())
    with pytest.raises(BaseError, match="a decoder is needed"):
        open_guide(recipe(folder, "minilm"), base, text_form(), Silent())
    assert open_guide(recipe(folder, None), base, text_form(), Silent()) is None
    assert not (tmp_path / "out").exists()


def test_the_guide_reaches_the_step_and_is_part_of_its_key(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Training] = []

    def fit(self: DecoderStudent, training: Training, space: Workspace) -> None:
        seen.append(training)

    monkeypatch.setattr(DecoderStudent, "fit", fit)
    base = find(str(folder / "base"))
    wanted = recipe(folder, "large")
    settings = wanted.sections["train"]
    guide = open_guide(wanted, base, text_form(), Silent())
    assert guide is not None and guide.folder == folder / "large"
    own = context(tmp_path)

    def key(settings: Settings, guide: Base) -> str:
        work = planned("write", text_form(), "decoder", settings, base=base, guide=guide)
        return training.fit(work, own, "decoder", [Row("a", "b"), Row("c", "d")], (), "teach").key

    keys = [key(settings, guide)]
    assert seen[-1].guide == guide
    # Other weights under the same name are another step.
    other = replace(guide, sha256=find(str(folder / "other")).sha256)
    keys += [key(settings, other), key(settings, other), key(DecoderSettings(), guide)]
    assert seen[-1].guide is None, "settings that name no guide get none"
    assert keys[1] == keys[2] and len(set(keys)) == 3 == len(seen)


def test_the_flags_reach_the_recipe(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Recipe] = []

    def built(wanted: Recipe, out: Path, **named: Any) -> Any:
        seen.append(wanted)
        raise BaseError("stop here", value="x", todo="Nothing.")

    monkeypatch.setattr("smidgen.flows.build.pipeline.build", built)
    words = [
        "build",
        "--task",
        "write",
        "--data",
        str(folder / "train.csv"),
        "--input",
        "product",
        "--label",
        "text",
        "--out",
        str(tmp_path),
    ]
    assert code([*words, "--guide", str(folder / "large"), "--on-policy", "0.3", "--quiet"]) == 1
    train = seen[0].sections["train"]
    assert isinstance(train, DecoderSettings) and (train.guide, train.on_policy) == (str(folder / "large"), 0.3)
