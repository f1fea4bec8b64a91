"""A base with fewer tokens: exact on what was kept, readable on the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from smidgen.bases import lookup
from smidgen.core.errors import TrainError
from smidgen.core.parts import Base, Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.parts import registry
from smidgen.students.encoder_training.bert import FastBert
from smidgen.students.encoder_training.features import encode
from smidgen.students.settings import TaggerSettings
from smidgen.students.tagger import part
from smidgen.students.vocabulary import trim_encoder

KEPT = 4_000
TEXTS = ["Where is my order 4711?", "Jane Doe lives in Geneva, Switzerland.", "The invoice of 12 May was paid twice!"]


@pytest.fixture(scope="module")
def base() -> Path:
    return lookup.find("minilm").folder


@pytest.fixture(scope="module")
def trimmed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trim_encoder(base, TEXTS, KEPT, tmp_path_factory.mktemp("trimmed") / "base")


def tokenizer(folder: Path) -> Tokenizer:
    found = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found.no_padding()
    found.no_truncation()
    return found


def features(folder: Path, texts: list[str]) -> torch.Tensor:
    ids = [entry.ids for entry in tokenizer(folder).encode_batch(texts)]
    return encode(FastBert.load(folder, torch.float32), ids, np.arange(len(ids)))


def test_it_has_as_many_tokens_as_were_asked_for(base: Path, trimmed: Path) -> None:
    config = json.loads((trimmed / "config.json").read_text(encoding="utf-8"))
    model = FastBert.load(trimmed, torch.float32)
    assert tokenizer(trimmed).get_vocab_size() == config["vocab_size"] == len(model.word) == KEPT
    assert tokenizer(base).get_vocab_size() > KEPT


def test_texts_of_kept_pieces_are_read_and_computed_as_before(base: Path, trimmed: Path) -> None:
    common = "this is what we have to say about the house, and there are two more of them"
    texts = [*TEXTS, common]
    before, after = tokenizer(base).encode_batch(texts), tokenizer(trimmed).encode_batch(texts)
    assert [entry.tokens for entry in before] == [entry.tokens for entry in after]
    assert [entry.offsets for entry in before] == [entry.offsets for entry in after]
    assert after[0].tokens[0] == "[CLS]" and after[0].tokens[-1] == "[SEP]"
    assert torch.equal(features(base, texts), features(trimmed, texts))


def test_a_word_whose_piece_is_gone_is_read_by_shorter_ones(base: Path, trimmed: Path) -> None:
    gone = [piece for piece in tokenizer(base).get_vocab() if piece.isalpha() and piece.isascii() and len(piece) > 6]
    reader = tokenizer(trimmed)
    gone = [piece for piece in gone if reader.token_to_id(piece) is None][:500]
    assert len(gone) == 500
    for word in gone:
        tokens = reader.encode(word, add_special_tokens=False).tokens
        assert "[UNK]" not in tokens and len(tokens) > 1
        assert "".join(token.removeprefix("##") for token in tokens) == word


def test_single_characters_all_stay(base: Path, trimmed: Path) -> None:
    single = {piece for piece in tokenizer(base).get_vocab() if len(piece.removeprefix("##")) == 1}
    assert len(single) > 1_000
    assert single <= set(tokenizer(trimmed).get_vocab())


def test_a_base_that_is_small_enough_is_left_as_it_is(base: Path, tmp_path: Path) -> None:
    assert trim_encoder(base, TEXTS, 50_000, tmp_path / "base") == base
    assert not (tmp_path / "base").exists()


def test_too_few_tokens_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"single characters.*1000.*train\.vocabulary"):
        trim_encoder(base, TEXTS, 1_000, tmp_path / "base")


def test_another_kind_of_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {}}}), encoding="utf-8")
    with pytest.raises(TrainError, match=r"not a WordPiece.*BPE"):
        trim_encoder(tmp_path, TEXTS, 5_000, tmp_path / "base")


def test_a_tagger_learns_on_a_trimmed_base_and_is_served_with_it(base: Path, tmp_path: Path) -> None:
    rows = [Row(text, [{"start": 0, "end": 4, "label": "start"}]) for text in TEXTS]
    start = Base("minilm", base, "encoder", "x", "Apache-2.0", "here")
    settings = TaggerSettings(vocabulary=KEPT, epochs=1, precision="f32", max_length=32)
    (tmp_path / "fit").mkdir()
    part.fit(Training(rows, (), {"kinds": ["start"]}, start, settings, 0), Workspace(tmp_path / "fit", 1, Silent()))
    assert not (tmp_path / "fit" / "base").exists(), "what it started from is not kept"
    assert tokenizer(tmp_path / "fit").get_vocab_size() == KEPT
    spec = part.export(tmp_path / "fit", tmp_path / "out")
    served = registry.find("engines", "tagger").open(tmp_path / "out", spec.options, 1).run(TEXTS)["spans"]
    trained = part.raw(tmp_path / "fit", TEXTS, 1)["spans"]
    assert [[entry[:3] for entry in row] for row in served] == [[entry[:3] for entry in row] for row in trained]
    assert np.allclose([entry[3] for row in served for entry in row], [entry[3] for row in trained for entry in row], atol=1e-3)
