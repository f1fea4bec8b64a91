"""How much is read of a text follows from the texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.students.test_encoder import tiny_base  # noqa: F401

from smidgen.students.encoder_training.batches import tokens_to_read
from smidgen.students.encoder_training.bert import positions


@pytest.mark.parametrize(
    ("words", "of", "expected"),
    [
        (5, 100, 128),  # short texts
        (150, 100, 192),  # all long: 150 and two special tokens, by 64s
        (150, 6, 192),  # six of a hundred are long: the longest twentieth is not left out
        (150, 4, 128),  # four of a hundred are
        (5_000, 100, 512),  # no more than most
    ],
)
def test_as_many_as_95_of_100_texts_need(tiny_base: Path, words: int, of: int, expected: int) -> None:  # noqa: F811
    texts = [" ".join(["a"] * words)] * of + ["a a a"] * (100 - of)
    assert tokens_to_read(tiny_base / "tokenizer.json", texts) == expected
    assert tokens_to_read(tiny_base / "tokenizer.json", [(text, "a") for text in texts]) >= expected
    assert tokens_to_read(tiny_base / "tokenizer.json", texts, 100) <= 100


def test_no_more_texts_are_encoded_together_than_can_be_held(
    tiny_base: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tokenizers

    real, batches = tokenizers.Tokenizer, list[int]()

    class Counting:
        def __init__(self, file: str) -> None:
            self.one = real.from_file(file)

        from_file = classmethod(lambda cls, file: cls(file))

        def encode_batch(self, texts: list[str]) -> object:
            batches.append(len(texts))
            return self.one.encode_batch(texts)

        def __getattr__(self, name: str) -> object:
            return getattr(self.one, name)

    monkeypatch.setattr(tokenizers, "Tokenizer", Counting)
    texts = ["a a"] * 1_100 + [" ".join(["a"] * 150)] * 100
    assert tokens_to_read(tiny_base / "tokenizer.json", texts) == 192
    assert batches == [512, 512, 176]


def test_nothing_to_learn_from_reads_the_least(tiny_base: Path) -> None:  # noqa: F811
    assert tokens_to_read(tiny_base / "tokenizer.json", []) == 128


def test_no_more_than_the_encoder_can_read(tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    config = json.loads((tiny_base / "config.json").read_text(encoding="utf-8"))
    assert positions(tiny_base) == config["max_position_embeddings"]
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta", "max_position_embeddings": 514}), encoding="utf-8")
    assert positions(tmp_path) == 512
