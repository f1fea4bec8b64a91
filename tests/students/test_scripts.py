"""A base of many scripts keeps those of its texts, and reads them as before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from smidgen.students import scripts
from smidgen.students.scripts import scripts_of, trim_scripts
from smidgen.text import unigram
from smidgen.text.unigram import UnigramTokenizer

PIECES = ["<s>", "<pad>", "</s>", "<unk>", ",", "▁", "a", "ä", "б", "▁ab", "σ", "水", "b", "▁5", "é", "<mask>"]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(scripts, "LEAST_TOKENS", 4)
    folder = tmp_path / "base"
    folder.mkdir()
    added = [
        {"id": PIECES.index(name), "content": name, "single_word": False, "lstrip": name == "<mask>", "rstrip": False, "special": True}
        for name in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    ]
    told = {
        "added_tokens": added,
        "normalizer": unigram.NORMALIZER,
        "pre_tokenizer": unigram.PRE_TOKENIZER,
        "post_processor": unigram.post_processor(0, 2),
        "model": {"type": "Unigram", "unk_id": 3, "vocab": [[piece, -float(at)] for at, piece in enumerate(PIECES)]},
    }
    (folder / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"vocab_size": 20, "pad_token_id": 1}), encoding="utf-8")
    table = np.arange(40, dtype=np.float32).reshape(20, 2)
    save_file({"embeddings.word_embeddings.weight": table, "other": np.ones(3, np.float32)}, folder / "model.safetensors")
    return folder


def test_texts_of_kept_scripts_are_read_as_before(base: Path, tmp_path: Path) -> None:
    out = trim_scripts(base, ["aσ"], tmp_path / "out")
    tables = [load_file(folder / "model.safetensors") for folder in (base, out)]
    cutters = [UnigramTokenizer(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")), 64) for folder in (base, out)]
    texts = ("ab a,äé", "5 σ ab<mask>", "", "abab")
    for text in texts:
        whole, few = (cutter.encode(text) for cutter in cutters)
        assert whole.tokens == few.tokens
        rows = [table["embeddings.word_embeddings.weight"][cut.ids] for table, cut in zip(tables, (whole, few), strict=True)]
        assert np.array_equal(*rows)
    assert len(texts) == 4 and cutters[1].encode("б水").tokens.count("<unk>") == 1
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == len(PIECES) - 2 == len(tables[1]["embeddings.word_embeddings.weight"])
    assert np.array_equal(tables[1]["other"], np.ones(3))


def test_a_base_that_would_lose_nothing_is_used_as_it_is(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trim_scripts(base, ["σ б 水"], tmp_path / "out") == base
    monkeypatch.setattr(scripts, "LEAST_TOKENS", 1000)
    assert trim_scripts(base, ["a"], tmp_path / "out") == base


def test_scripts_are_those_of_letters() -> None:
    assert scripts_of(["Größe 5 €", "１２ＡＢ"]) == {"LATIN"}
    assert scripts_of(["Київ", "水µ"]) == {"CYRILLIC", "CJK", "GREEK"}
    assert scripts_of(["1, 2!"]) == frozenset()
