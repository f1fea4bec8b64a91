"""A base with fewer tokens: the vectors of words that a job never meets are most of a small encoder.

WordPiece reads a word by the longest pieces that it knows. Pieces that are taken away cannot make a longer one, so a text of kept pieces
alone is read as before, and its features are the same to the bit. A word whose piece is gone is read by shorter ones; single characters
all stay, so that nothing becomes unknown that was known by its letters.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from smidgen.core.errors import TrainError
from smidgen.core.rows import Text, joined
from smidgen.students.trimming import renumber_processor

WORDS = "embeddings.word_embeddings.weight"
"""The name that the table of token vectors ends with."""


def trim(base: Path, texts: Sequence[Text], most: int, out: Path) -> Path:
    """Write a copy of an encoder's folder that knows at most so many tokens, and give its folder back.

    Kept are special tokens and single characters; then, in turns, the piece that the texts have most often and the next in the base's own
    order, in which the common ones of its language come first. A base that knows no more than that is used as it is.

    Args:
        base: folder with `config.json`, `model.safetensors` and `tokenizer.json`.
        texts: what the model will be taught with.
        most: tokens to keep, special ones counted.
        out: the folder to write; what stands there is written anew.

    Raises:
        TrainError: the tokenizer is not a WordPiece, or so few tokens cannot hold its single characters.
    """
    facts: dict[str, Any] = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    model = facts["model"]
    if model.get("type") != "WordPiece":
        raise TrainError(
            "the tokens of this base cannot be trimmed: its tokenizer is not a WordPiece",
            value=model.get("type"),
            todo="Leave train.vocabulary out, or choose another base.",
        )
    vocabulary: dict[str, int] = model["vocab"]
    if len(vocabulary) <= most:
        return base
    kept = keep(vocabulary, _used(base, texts), _always(facts), most, model["continuing_subword_prefix"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(json.dumps(_renumbered(facts, kept), ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = len(kept)
    if config.get("pad_token_id") is not None:
        config["pad_token_id"] = kept.index(config["pad_token_id"])
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    _save_rows(base, kept, out)
    return out


def keep(vocabulary: dict[str, int], used: Counter[int], always: set[int], most: int, prefix: str) -> list[int]:
    """The numbers of the tokens to keep, ascending. Raises TrainError where `always` and the single characters are more than `most`."""
    kept = always | {number for piece, number in vocabulary.items() if len(piece.removeprefix(prefix)) == 1}
    if len(kept) > most:
        raise TrainError(
            "so few tokens cannot hold the single characters of this base", value=most, todo=f"Set train.vocabulary to {len(kept)} or more."
        )
    by_use = iter([number for number, _ in sorted(used.items(), key=lambda entry: (-entry[1], entry[0]))])
    in_order = iter(sorted(vocabulary.values()))
    while len(kept) < most:
        for turn in (by_use, in_order):
            number = next((number for number in turn if number not in kept), None)
            if number is not None and len(kept) < most:
                kept.add(number)
    return sorted(kept)


def _used(base: Path, texts: Sequence[Text]) -> Counter[int]:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found = tokenizer.encode_batch_fast([joined(text) for text in texts], add_special_tokens=False)
    return Counter(number for encoding in found for number in encoding.ids)


def _always(facts: dict[str, Any]) -> set[int]:
    """Tokens that the tokenizer itself speaks of."""
    return {entry["id"] for entry in facts["added_tokens"]} | {facts["model"]["vocab"][facts["model"]["unk_token"]]}


def _renumbered(facts: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The tokenizer with the kept tokens alone, numbered from 0 in their old order."""
    new = {number: place for place, number in enumerate(kept)}
    model = {**facts["model"], "vocab": {piece: new[number] for piece, number in facts["model"]["vocab"].items() if number in new}}
    made = {**facts, "model": model, "added_tokens": [{**entry, "id": new[entry["id"]]} for entry in facts["added_tokens"]]}
    made["post_processor"] = copy.deepcopy(facts.get("post_processor"))
    renumber_processor(made["post_processor"], new)
    if facts.get("padding"):
        made["padding"] = {**facts["padding"], "pad_id": new.get(facts["padding"]["pad_id"], 0)}
    return made


def _save_rows(base: Path, kept: Sequence[int], out: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(str(base / "model.safetensors"))
    rows = torch.tensor(kept)
    for name in [name for name in tensors if name.endswith(WORDS)]:
        tensors[name] = tensors[name][rows].contiguous()
    save_file(tensors, out / "model.safetensors")
