"""The small reader of Unigram vocabularies cuts texts as the `tokenizers` library does, whatever they hold."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from smidgen.bases.starter import starters
from smidgen.core.errors import EngineError
from smidgen.core.rows import Text
from smidgen.engines import model_files
from smidgen.engines.model_files import ModelTokenizer
from smidgen.text.unigram import NORMALIZER, PRE_TOKENIZER, UnigramTokenizer, is_readable, post_processor

ODD = (
    "a<s>b",
    "x <mask> la",
    " </s>",
    "ｌａ　ｍｐ ½ la",
    "e\u0301te\u0301",
    "lampslamps laa",
    "\u200blamp\u200blamp",
    "tab\tla\nmp",
    "ﬁla",
    "😀😀😀 la",
    ">\ufeff<",
    "\u00a0la\u00a0mp",
    "a\x00b\x07c",
    "①② 12",
    "<unk> <pad>",
    "\u2581la\u2581\u2581mp",
    "",
    "   ",
)


def told(seed: int = 0) -> dict[str, Any]:
    """A tokenizer.json of the shape, of pieces of a few letters with random scores."""
    rng = random.Random(seed)
    letters = list("▁lampse1é2⁄")
    pieces = {piece for _ in range(120) for piece in ["".join(rng.choices(letters, k=rng.randint(1, 4)))]} | {
        "▁",
        "l",
        "a",
        "m",
        "p",
        "s",
        "1",
        "é",
    }
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    scored = [[piece, rng.randint(-800, -100) / 64] for piece in sorted(pieces)]
    vocabulary = [*([name, 0.0] for name in names), *scored, ["<mask>", 0.0]]
    added = [
        {"id": at, "content": name, "single_word": False, "lstrip": name == "<mask>", "rstrip": False, "normalized": False, "special": True}
        for name, at in [*zip(names, range(4), strict=True), ("<mask>", len(vocabulary) - 1)]
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": NORMALIZER,
        "pre_tokenizer": PRE_TOKENIZER,
        "post_processor": post_processor(0, 2),
        "decoder": None,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": False},
    }


def made_texts(count: int) -> list[str]:
    """Texts of known and unknown characters of many scripts."""
    rng, found = random.Random(1), list(ODD)
    while len(found) < count:
        kinds = (
            rng.choice("lampse1é2 "),
            chr(rng.randrange(160, 0x600)),
            chr(rng.randrange(0x2000, 0x3100)),
            " ",
            "laps"[rng.randrange(4)],
        )
        found.append("".join(rng.choice(kinds) for _ in range(rng.randrange(30))))
    return found


def test_texts_and_pairs_are_cut_as_the_library_cuts_them() -> None:
    from tokenizers import Tokenizer

    texts = made_texts(400)
    for most in (5, 12, 200):
        library = Tokenizer.from_str(json.dumps(told()))
        library.enable_truncation(most, strategy="longest_first")
        ours = UnigramTokenizer(told(), most)
        for text in texts:
            assert ours.encode(text).ids == library.encode(text).ids, repr(text)
            assert ours.encode(text, special=False).ids == library.encode(text, add_special_tokens=False).ids, repr(text)
        pairs = list(zip(texts, reversed(texts), strict=True))
        assert len(pairs) == len(texts) == 400
        for one, other in pairs:
            assert ours.encode(one, other).ids == library.encode(one, other).ids, (one, other)


def test_tokens_know_their_characters() -> None:
    from tokenizers import Tokenizer

    library, ours = Tokenizer.from_str(json.dumps(told())), UnigramTokenizer(told(), 200)
    plain = ["lamps la 1", "  é  lamp", "lamp <s> la"]
    assert len(plain) == 3
    for text in plain:
        want, got = library.encode(text), ours.encode(text)
        assert got.offsets == want.offsets and got.tokens == want.tokens and got.type_ids == want.type_ids
    assert ours.encode("lamp").special_tokens_mask[0] == ours.encode("lamp").special_tokens_mask[-1] == 1
    half = ours.encode("la ½")
    assert set(half.offsets[1:-1]) >= {(3, 4)} and "la ½"[3:4] == "½", "a word that NFKC changes is covered as a whole"


def test_other_shapes_and_damage_are_not_read() -> None:
    assert is_readable(told())
    changes: tuple[dict[str, Any], ...] = (
        {"normalizer": None},
        {"pre_tokenizer": None},
        {"post_processor": None},
        {"added_tokens": []},
        {"model": {"type": "BPE"}},
        {"model": {**told()["model"], "byte_fallback": True}},
    )
    assert [is_readable(told() | change) for change in changes] == [False] * 6
    faults = (["a"], ["a", "b"], [1, 2.0], ["<s>", -1.0], ["new", float("nan")])
    refused = 0
    for entry in faults:
        damaged = told()
        damaged["model"]["vocab"].append(entry)
        with pytest.raises(ValueError, match="piece"):
            UnigramTokenizer(damaged, 10)
        refused += 1
    assert refused == 5


def test_a_large_vocabulary_is_read_so_and_damage_is_an_engines_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(told()), encoding="utf-8")
    texts = made_texts(60)
    library = ModelTokenizer(tmp_path, 9)
    monkeypatch.setattr(model_files, "LARGE", 50)
    ours = ModelTokenizer(tmp_path, 9)
    assert library._unigram is None and ours._unigram is not None and library.pad == ours.pad == 1
    pairs: list[Text] = [*texts, ("lamp", "la mp la")]
    assert [found.ids for found in ours.encode(pairs)] == [found.ids for found in library.encode(pairs)]
    damaged = told()
    damaged["model"]["vocab"][5] = ["", None]
    (tmp_path / "tokenizer.json").write_text(json.dumps(damaged), encoding="utf-8")
    with pytest.raises(EngineError, match="cannot be read"):
        ModelTokenizer(tmp_path, 9)


@pytest.mark.thorough
@pytest.mark.skipif(not starters()["e5"].here(), reason="smidgen pull e5")
def test_the_real_vocabulary_cuts_many_scripts_as_the_library_does() -> None:
    from tokenizers import Tokenizer

    content = (starters()["e5"].folder / "tokenizer.json").read_text(encoding="utf-8")
    library, ours = Tokenizer.from_str(content), UnigramTokenizer(json.loads(content), 512)
    texts = [*made_texts(2000), "Übermäßige Größe für 12,99 €", "日本語のテキスト", "¿Dónde está mi pedido?", "Где мой заказ?", "أين طلبي؟"]
    assert sum(ours.encode(text).ids == library.encode(text).ids for text in texts) == len(texts) == 2005
