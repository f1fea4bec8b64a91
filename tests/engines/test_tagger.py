"""The engine of taggers: company changes nothing, no text breaks it, damage is refused. The lexical baseline's engine beside it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.students.test_encoder import tiny_base  # noqa: F401
from tests.students.test_tagger import rows, training

from smidgen.core.errors import EngineError
from smidgen.core.parts import EngineSpec, Workspace
from smidgen.core.progress import Silent
from smidgen.engines import lexical
from smidgen.engines.tagger import part
from smidgen.parts import registry
from smidgen.students.tagger import part as student

TEXTS = [
    "where is my broken lamp",
    "refund money please " * 60,
    "",
    " \n\t",
    "[SEP] [PAD] lamp [CLS]",
    "\N{ZERO WIDTH SPACE}\N{COMBINING ACUTE ACCENT}",
    "LAMP! Lamp? plate.",
    "日本語 lamp émigré 🦄",
    "x" * 5_000,
]


@pytest.fixture(scope="module")
def served(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EngineSpec]:  # noqa: F811
    folder, out = tmp_path_factory.mktemp("tagger"), tmp_path_factory.mktemp("served")
    student.fit(training(tiny_base, rows(300), epochs=12, learning_rate=4e-3), Workspace(folder, 1, Silent()))
    return out, student.export(folder, out)


def test_company_changes_nothing(served: tuple[Path, EngineSpec]) -> None:
    folder, spec = served
    together = part.open(folder, spec.options, 2).run(TEXTS)["spans"]
    one = part.open(folder, spec.options, 1)
    for text, found in zip(TEXTS, together, strict=True):
        (alone,) = one.run([text])["spans"]
        assert [entry[:3] for entry in alone] == [entry[:3] for entry in found]
        assert np.allclose([entry[3] for entry in alone], [entry[3] for entry in found], atol=1e-4)
        assert all(0 <= start < end <= len(text) and text[start:end].strip() == text[start:end] for start, end, _, _ in found)
    assert one.run([]) == {"spans": []}
    assert together[0] and together[1]


def test_what_a_text_says_is_no_special_token(served: tuple[Path, EngineSpec]) -> None:
    """`[SEP]` in a text is a bracket, a word and a bracket."""
    folder, spec = served
    reader = part.open(folder, spec.options, 1)._reader
    (reading,) = reader.read(["[SEP] lamp"])
    assert 3 not in reading.ids and len(reading.units) == 4


@pytest.mark.parametrize("method", ["int8-dynamic", "int8-static"])
def test_it_can_be_made_small(served: tuple[Path, EngineSpec], method: str, tmp_path: Path) -> None:
    folder, spec = served
    made = registry.find("compress", method).apply(spec, folder, tmp_path, [str(row.input) for row in rows(30)])
    texts = [str(row.input) for row in rows(40, seed=3)]
    whole, small = (part.open(place, own.options, 1).run(texts)["spans"] for place, own in ((folder, spec), (tmp_path, made)))
    likely = [[[entry[:3] for entry in own if entry[3] > 0.5] for own in found] for found in (whole, small)]
    assert np.mean([a == b for a, b in zip(*likely, strict=True)]) >= 0.9
    assert made.method == method and (tmp_path / "chain.safetensors").is_file()


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "chain.safetensors"])
def test_a_missing_file_is_named(served: tuple[Path, EngineSpec], name: str, tmp_path: Path) -> None:
    folder, spec = served
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(EngineError, match=name):
        part.open(tmp_path / "copy", spec.options, 1)


@pytest.mark.parametrize("shape", [(5, 5), (7, 7), (9, 5)])
def test_a_chain_of_other_tags_is_refused(served: tuple[Path, EngineSpec], shape: tuple[int, int], tmp_path: Path) -> None:
    folder, spec = served
    shutil.copytree(folder, tmp_path / "copy")
    save_file({"transitions": np.zeros(shape, np.float32)}, tmp_path / "copy" / "chain.safetensors")
    with pytest.raises(EngineError, match=r"transition matrix|chain"):
        part.open(tmp_path / "copy", spec.options, 1)
    with pytest.raises(EngineError, match="level"):
        part.open(folder, {**spec.options, "level": "pages"}, 1)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("{", "cannot be loaded"),
        ("[]", "cannot be loaded"),
        ({"features": ["bias"], "names": {}, "level": "pages"}, "unknown level"),
        ({"features": ["bias", "w=a"], "names": {}, "level": "words"}, "does not fit"),
    ],
)
def test_damaged_features_are_refused(table: Any, reason: str, tmp_path: Path) -> None:
    (tmp_path / "features.json").write_text(table if isinstance(table, str) else json.dumps(table), encoding="utf-8")
    save_file({"weight": np.zeros((1, 5), np.float32), "transitions": np.zeros((5, 5), np.float32)}, tmp_path / "lexical.safetensors")
    with pytest.raises(EngineError, match=reason):
        lexical.part.open(tmp_path, {}, 1)
