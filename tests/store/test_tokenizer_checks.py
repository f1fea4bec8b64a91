"""A tokenizer that would make a page into gigabytes, or take hours over it, is not used; published ones are."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from smidgen.bases import lookup
from smidgen.core.errors import EngineError
from smidgen.engines.model_files import ModelTokenizer, load_tokenizer
from smidgen.store.tokenizer_checks import tokenizer_fault

PLAIN: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {"[UNK]": 0, "a": 1},
    },
}
DOUBLED = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}


def mapped(text: bytes) -> dict[str, Any]:
    trie = b"\0" * 8
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(struct.pack("<I", len(trie)) + trie + text + b"\0").decode()}


def split(pattern: str) -> dict[str, Any]:
    return {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}}


REFUSED: dict[str, dict[str, Any]] = {
    "doubled thirty times": {"normalizer": {"type": "Sequence", "normalizers": [DOUBLED] * 30}},
    "replaced by a page": {"normalizer": {**DOUBLED, "content": "a" * 5000}},
    "nested sequences": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [DOUBLED] * 5}] * 3}},
    "a long text put before": {"normalizer": {"type": "Prepend", "prepend": "x" * 100_000}},
    "a character that becomes a book": {"normalizer": mapped(b"x" * 100_000)},
    "a table that is cut off": {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(b"\xff\xff\xff\x7f").decode()}
    },
    "an expression of exponential time": split(r"(a+)+$"),
    "another of the kind": split(r"(?:a|aa)*b"),
    "one that is counted": split(r"(a|b?){2,500}c"),
    "words of any length": {"model": {**PLAIN["model"], "max_input_chars_per_word": 10**9}},
    "no vocabulary": {"model": {"type": "WordPiece"}},
    "many tokens around": {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"x": {"id": "x", "ids": [1] * 100_000, "tokens": ["a"] * 100_000}},
        }
    },
    "the text many times": {
        "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 900, "pair": []}
    },
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_explodes_is_refused_before_it_is_used(how: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps({**PLAIN, **REFUSED[how]}), encoding="utf-8")
    with pytest.raises(EngineError, match="cannot be used"):
        load_tokenizer(file)


ORDINARY = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
)


def test_what_published_tokenizers_do_is_allowed(tmp_path: Path) -> None:
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    for told in [*(split(pattern) for pattern in ORDINARY), {"normalizer": spaces}, {"normalizer": mapped("صلى الله عليه وسلم".encode())}]:
        assert tokenizer_fault({**PLAIN, **told}) == ""
    for name in ("minilm", "smollm2"):
        assert load_tokenizer(lookup.find(name).folder / "tokenizer.json").get_vocab_size() > 1000


def test_what_the_library_refuses_is_told_in_our_words(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    told = [json.dumps({"model": {"type": "Nix", "vocab": {}}}), "[" * 100_000, '{"model": 3}', "{"]
    for text in told:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(EngineError, match="tokenizer"):
            load_tokenizer(file)
    assert len(told) == 4


@pytest.mark.parametrize("length", [0, -3, True, "64", 10**12, 2.5, None])
def test_a_length_that_no_model_reads_is_refused(length: Any, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(PLAIN), encoding="utf-8")
    assert ModelTokenizer(tmp_path, 16).max_length == 16
    with pytest.raises(EngineError, match="max_length"):
        ModelTokenizer(tmp_path, length)
