"""Sentences are scored by how well each token of the question is met in them; and the engine's states are the trainer's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smidgen.apps.reading.token_matching import TokenMatchReader, TokenStates, match_sentences
from smidgen.core.errors import EngineError

NOTHING = TokenStates(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))


def letters(text: str) -> TokenStates:
    """A toy encoder: each word is a token, whose state tells its first letter."""
    states, starts, ends, place = [], [], [], 0
    for word in text.split(" "):
        states.append(np.eye(26, dtype=np.float32)[ord(word[0].lower()) - 97] * len(word))
        starts.append(place)
        ends.append(place + len(word))
        place += len(word) + 1
    return TokenStates(np.array(states), np.array(starts), np.array(ends))


def test_a_score_is_the_share_of_the_questions_tokens_that_are_met() -> None:
    passage = "apples cost two euros bread costs three"
    spans = [(0, 21), (22, len(passage))]
    assert match_sentences(letters("bread costs"), letters(passage), spans).tolist() == [0.5, 1.0]
    assert match_sentences(letters("apples bread"), letters(passage), spans).tolist() == [0.5, 0.5]


def test_what_the_encoder_did_not_read_scores_nothing() -> None:
    assert match_sentences(letters("bread"), letters("bread"), [(0, 5), (6, 20)]).tolist() == [1.0, 0.0]
    assert match_sentences(NOTHING, letters("bread"), [(0, 5)]).tolist() == [0.0]
    assert match_sentences(letters("bread"), NOTHING, [(0, 5)]).tolist() == [0.0]
    assert match_sentences(letters("bread"), letters("bread"), []).tolist() == []


def test_a_reader_keeps_what_it_read_and_forgets_the_oldest() -> None:
    read: list[str] = []

    def encode(texts: Sequence[str]) -> list[TokenStates]:
        read.extend(texts)
        return [letters(text) for text in texts]

    reader = TokenMatchReader(encode, passages=2)
    first, second, third = ["apples cost", "bread costs"], ["cold dishes", "egg"], ["figs"]
    assert reader.score_sentences("bread", first) == [0.0, 1.0]
    assert reader.score_sentences("bread", second) == [0.0, 0.0]
    assert reader.score_sentences("apples", first) == [1.0, 0.0]
    assert read == ["bread", "apples cost bread costs", "cold dishes egg", "apples"]
    assert reader.score_sentences("apples", third) == [0.0]
    assert reader.score_sentences("apples", second) == [0.0, 0.0], "it was used before the first, so it was forgotten"
    assert read[4:] == ["figs", "cold dishes egg"]
    assert reader.score_sentences("  ", first) == [0.0, 0.0] and reader.score_sentences("egg", []) == []


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short encoder as a student with an idle head that yields the states of tokens."""
    from safetensors.numpy import load_file, save_file
    from tests.short_base import short_base

    folder = short_base(tmp_path_factory.mktemp("student"))
    tensors = load_file(folder / "model.safetensors")
    width = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    save_file(
        {**tensors, "head.weight": np.zeros((1, width), np.float32), "head.bias": np.zeros(1, np.float32)}, folder / "model.safetensors"
    )
    facts = {"pooling": "mean", "normalize": True, "scale": None, "max_length": 64, "states": True}
    (folder / "smidgen_student.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_the_engines_states_are_the_trainers_and_small_ones_are_near(student: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from smidgen.engines.onnx import OnnxEngine
    from smidgen.parts import registry
    from smidgen.students.encoder import token_encoder
    from smidgen.students.encoder_training.onnx_export import export_encoder

    spec = export_encoder(student, tmp_path / "whole")
    small = registry.find("compress", "int8-dynamic").apply(spec, tmp_path / "whole", tmp_path / "small", ())
    texts = ["Does the lamp come with a bulb?", "A bulb is included. The shade is linen, and it can be washed.", ""]
    trained = token_encoder(student, 64)(texts)
    whole, little = (OnnxEngine().open(tmp_path / name, spec.options, 1).token_states(texts) for name in ("whole", "small"))
    assert len(trained) == len(whole) == len(little) == 3 and small.options == spec.options
    for want, got, near in zip(trained[:2], whole[:2], little[:2], strict=True):
        assert want.starts.tolist() == got.starts.tolist() and want.ends.tolist() == got.ends.tolist()
        assert np.allclose(want.states, got.states, atol=1e-3)
        assert float((unit_rows(got.states) * unit_rows(near.states)).sum(1).min()) > 0.95
    assert trained[1].ends[-1] == len(texts[1]) and len(trained[2].states) == len(whole[2].states) == 0
    assert texts[1][trained[1].starts[0] : trained[1].ends[0]] == "A"


def unit_rows(states: np.ndarray) -> np.ndarray:
    return np.asarray(states / np.linalg.norm(states, axis=1, keepdims=True))


def test_an_encoder_without_states_is_refused(student: Path, tmp_path: Path) -> None:
    from smidgen.engines.onnx import OnnxEngine
    from smidgen.students.encoder_training.onnx_export import export_encoder

    shutil.copytree(student, tmp_path / "plain")
    facts = json.loads((student / "smidgen_student.json").read_text(encoding="utf-8"))
    (tmp_path / "plain" / "smidgen_student.json").write_text(json.dumps(facts | {"states": False}), encoding="utf-8")
    spec = export_encoder(tmp_path / "plain", tmp_path / "out")
    with pytest.raises(EngineError, match="does not yield the states"):
        OnnxEngine().open(tmp_path / "out", spec.options, 1).token_states(["lamp"])
