"""Sentences are scored by how well each token of the question is met in them; and the engine's states are the trainer's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.search.token_matching import SCORES, TokenMatchReader, TokenStates, match_sentences, telling_tokens

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


def match(question: str, passage: str, spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """The scores of the sentences of a passage, by the toy encoder."""
    asked = letters(question)
    return match_sentences(asked, telling_tokens(question, asked), letters(passage), spans)


def test_a_score_is_the_share_of_the_questions_tokens_that_are_met() -> None:
    passage = "apples cost two euros bread costs three"
    spans = [(0, 21), (22, len(passage))]
    assert match("bread costs", passage, spans)[:, 0].tolist() == [0.5, 1.0]
    assert match("apples bread", passage, spans)[:, 0].tolist() == [0.5, 0.5]


def test_the_other_scores_see_telling_words_neighbours_and_the_way_back() -> None:
    passage = "apples cost four euros. bread sells. eggs go"
    spans = [(0, 23), (24, 36), (37, len(passage))]
    found = match("which apples sell", passage, spans)
    assert SCORES == ("mean", "telling", "around", "back", "least")
    assert found[0, 1] == pytest.approx(1 / 2.2) and found[0, 0] == pytest.approx(1 / 3), "`which` counts little"
    assert found[:, 2] == pytest.approx([2 / 3, 2 / 3, 1 / 3]), "a word of the sentence before or after is met, too"
    assert found[:, 3] == pytest.approx([1 / 4, 1 / 2, 0.0])
    assert found[:, 4].tolist() == [0.0, 0.0, 0.0] and match("apples cost", passage, spans)[0, 4] == 1.0


def test_what_the_encoder_did_not_read_scores_nothing() -> None:
    bread, telling = letters("bread"), np.ones(1, np.float32)
    assert match_sentences(bread, telling, bread, [(0, 5), (6, 20)]).tolist() == [[1.0] * 5, [0.0] * 5]
    assert match_sentences(NOTHING, telling[:0], bread, [(0, 5)]).tolist() == [[0.0] * 5]
    assert match_sentences(bread, telling, NOTHING, [(0, 5)]).tolist() == [[0.0] * 5]
    assert match_sentences(bread, telling, bread, []).tolist() == []


def test_a_reader_keeps_what_it_read_and_forgets_the_oldest() -> None:
    read: list[str] = []

    def encode(texts: Sequence[str]) -> list[TokenStates]:
        read.extend(texts)
        return [letters(text) for text in texts]

    reader = TokenMatchReader(encode, passages=2)

    def means(question: str, sentences: Sequence[str]) -> list[float]:
        return [float(scores[0]) for scores in reader.score_sentences(question, sentences)]

    first, second, third = ["apples cost", "bread costs"], ["cold dishes", "egg"], ["figs"]
    assert means("bread", first) == [0.0, 1.0]
    assert means("bread", second) == [0.0, 0.0]
    assert means("apples", first) == [1.0, 0.0]
    assert read == ["bread", "apples cost bread costs", "cold dishes egg", "apples"]
    assert means("apples", third) == [0.0]
    assert means("apples", second) == [0.0, 0.0], "it was used before the first, so it was forgotten"
    assert read[4:] == ["figs", "cold dishes egg"]
    assert means("  ", first) == [0.0, 0.0] and means("egg", []) == []


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
