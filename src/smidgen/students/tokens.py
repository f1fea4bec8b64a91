"""Whether two decoders speak of the same tokens: only then can one learn the other's chances of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smidgen.store.hashing import content_hash
from smidgen.students.trimming import falls_to_bytes, pair, read_json, specials, trimmed


def identity(folder: Path) -> str:
    """A hash of the tokenizer in a folder: of every token, special ones with them, by its number, and of the merges in their order.

    Raises BaseError where its tokenizer.json cannot be read.
    """
    return _hash(read_json(folder / "tokenizer.json"))


def kept_as(folder: Path, other: Path) -> list[int] | None:
    """The ids of the tokens in `folder` that the tokenizer in `other` kept of them, where that is this one trimmed; None where it is
    another, or the same."""
    whole, part = read_json(folder / "tokenizer.json"), read_json(other / "tokenizer.json")
    if not (falls_to_bytes(whole) and falls_to_bytes(part)):
        return None
    number = {token: at for at, token in _tokens(whole).items()}
    names = [token for _, token in sorted(_tokens(part).items())]
    if len(names) >= len(number) or not all(name in number for name in names):
        return None
    kept = [number[name] for name in names]
    # Every special token is kept in a trimmed tokenizer; one that lacks some is not this one trimmed.
    if kept != sorted(kept) or not specials(whole) <= set(kept) or _hash(trimmed(whole, kept)) != _hash(part):
        return None
    return kept


def _hash(told: Mapping[str, Any]) -> str:
    merges = [list(pair(merge)) for merge in (told.get("model") or {}).get("merges") or ()]
    return content_hash({"tokens": sorted(_tokens(told).items()), "merges": merges})


def _tokens(told: Mapping[str, Any]) -> dict[int, str]:
    """Every token by its number."""
    vocabulary = (told.get("model") or {}).get("vocab") or {}
    found = {int(at): str(text) for text, at in vocabulary.items()} if isinstance(vocabulary, Mapping) else {}
    if isinstance(vocabulary, list):  # unigram: text and weight, numbered as they stand
        found = {at: str(entry[0]) for at, entry in enumerate(vocabulary)}
    return found | {int(added["id"]): str(added["content"]) for added in told.get("added_tokens") or ()}
