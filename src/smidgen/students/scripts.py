"""Keep of a base of many scripts only those that its job needs: half of e5's 250,000 tokens are of other scripts than the Latin one.

A text of the kept scripts is cut into the same tokens as before, so its vectors are the same. A letter of another script is unknown.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from smidgen.students.vocabulary import save_rows
from smidgen.text import unigram

LEAST_TOKENS = 60_000
"""Tokens from which a vocabulary is trimmed."""
_LATIN = "LATIN"
_ALIKE = {"FULLWIDTH": "LATIN", "HALFWIDTH": "KATAKANA"}
_MOST_READ = 2_000_000
"""Characters of the texts that are read."""


def scripts_of(texts: Iterable[str]) -> frozenset[str]:
    """The scripts of the letters in texts, by the first word of the letters' Unicode names: LATIN, CYRILLIC, CJK."""
    letters: set[str] = set()
    read = 0
    for text in texts:
        letters.update(unicodedata.normalize("NFKC", text))
        read += len(text)
        if read > _MOST_READ:
            break
    return frozenset(filter(None, map(_script, letters)))


@functools.cache
def _script(letter: str) -> str:
    """The script of a letter; empty for what is no letter."""
    if not (letter.isalpha() or unicodedata.category(letter).startswith("M")):
        return ""
    name = unicodedata.name(letter, "").split(" ")[0]
    return "" if name == "COMBINING" else _ALIKE.get(name, name)


def trim_scripts(base: Path, texts: Sequence[str], out: Path) -> Path:
    """Write a copy of an encoder's folder without the tokens of scripts that the texts lack, the Latin script always kept; returns the
    folder to use: the base's own, if its vocabulary is small or of another kind than Unigram."""
    told: dict[str, Any] = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    if not unigram.is_readable(told) or len(told["model"]["vocab"]) < LEAST_TOKENS:
        return base
    pieces = told["model"]["vocab"]
    scripts = scripts_of(texts) | {_LATIN}
    special = {int(entry["id"]) for entry in told["added_tokens"]} | {int(told["model"]["unk_id"])}
    kept = [number for number, (piece, _) in enumerate(pieces) if number in special or scripts_of((piece,)) <= scripts]
    if len(kept) == len(pieces):
        return base
    place = {number: at for at, number in enumerate(kept)}
    told["model"]["vocab"] = [pieces[number] for number in kept]
    told["model"]["unk_id"] = place[int(told["model"]["unk_id"])]
    for entry in told["added_tokens"]:
        entry["id"] = place[int(entry["id"])]
    ids = {str(entry["content"]): int(entry["id"]) for entry in told["added_tokens"]}
    told["post_processor"] = unigram.post_processor(ids["<s>"], ids["</s>"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(json.dumps(told, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = len(kept)
    if config.get("pad_token_id") is not None:
        config["pad_token_id"] = place[int(config["pad_token_id"])]
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_rows(base, kept, out)
    return out
