"""A tokenizer as a GGUF tells it: its tokens in the order of their ids, what kind each is, and how pieces are joined.

Two kinds are known: byte-level BPE (GPT-2, SmolLM, Llama 3, Qwen), which is told by its merges and the name of its split, and
SentencePiece's BPE with a token for each byte (Gemma), which is told by a score for each token: the higher, the sooner two pieces are
joined to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import BaseError

NORMAL, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 3, 4, 5, 6
"""Kinds of token, by llama.cpp's numbers."""

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {_WORDS % "": "qwen2", _WORDS % "{1,3}": "llama-bpe"}
_TODO = "Name a base with a byte-level BPE tokenizer of the GPT-2, SmolLM, Llama 3 or Qwen kind, or one of Gemma's."
SINGLE_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""What a token of a single byte is called in SentencePiece."""
SPACE = "▁"
"""What stands for a space in the tokens of SentencePiece."""
_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`tokens` and `kinds` by id; `merges` as "left right", the strongest first; `pre` names the split (`tokenizer.ggml.pre`), `model` the
    kind (`tokenizer.ggml.model`); `scores` by id for SentencePiece, else empty."""

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    pre: str
    model: str = "gpt2"
    scores: tuple[float, ...] = ()


def bytewise(told: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is byte-level BPE."""
    return (told.get("model") or {}).get("type") == "BPE" and (told.get("decoder") or {}).get("type") == "ByteLevel"


def sentencewise(told: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is SentencePiece's BPE as Gemma has it: spaces become `SPACE`, nothing is put before a text or taken from
    its front, and what is no token falls to tokens of single bytes."""
    model, decoder, normalizer = (told.get(key) or {} for key in ("model", "decoder", "normalizer"))
    steps = [step.get("type") for step in decoder.get("decoders") or ()]
    spaced = normalizer.get("type") == "Replace" and normalizer.get("content") == SPACE
    # A split at spaces does nothing where none are left; Gemma's file has one.
    pre = told.get("pre_tokenizer")
    unsplit = pre is None or (pre.get("type") == "Split" and (pre.get("pattern") or {}).get("String") == " ")
    return bool(
        model.get("type") == "BPE" and model.get("byte_fallback") and spaced and unsplit and steps == ["Replace", "ByteFallback", "Fuse"]
    )


def vocabulary_of(folder: Path, size: int) -> Vocabulary:
    """The tokenizer in a folder: tokenizer.json, and tokenizer_config.json where it names the split (`smidgen_pre`).

    Args:
        size: rows of the model's table of token vectors; ids that no token has become `[PAD...]`.

    Raises:
        BaseError: the tokenizer is not one that a GGUF can tell, or has more tokens than the model has rows.
    """
    file = folder / "tokenizer.json"
    told = _read(file)
    model = told.get("model") or {}
    pieces = sentencewise(told)
    if not pieces and not bytewise(told):
        raise BaseError("the tokenizer is not of a kind that can be written as GGUF", value=str(file), todo=_TODO)
    by_id = {int(number): (token, BYTE if pieces and SINGLE_BYTE.fullmatch(token) else NORMAL) for token, number in model["vocab"].items()}
    for added in told.get("added_tokens") or ():
        by_id[int(added["id"])] = added["content"], CONTROL if added["special"] else USER_DEFINED
    if max(by_id) >= size:
        raise BaseError(f"the tokenizer has ids up to {max(by_id)}, the model {size} rows", value=str(file), todo="Fetch the base anew.")
    entries = [by_id.get(number, (f"[PAD{number}]", UNUSED)) for number in range(size)]
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    tokens, kinds = tuple(token for token, _ in entries), tuple(kind for _, kind in entries)
    if not pieces:
        return Vocabulary(tokens, kinds, merges, _pre(folder, told))
    rank: dict[str, int] = {}
    for at, merge in enumerate(model["merges"]):
        rank.setdefault("".join(merge.split(" ") if isinstance(merge, str) else merge), at)
    return Vocabulary(tokens, kinds, (), "default", "llama", tuple(-float(rank[token]) if token in rank else _NEVER for token in tokens))


def _pre(folder: Path, told: Mapping[str, Any]) -> str:
    """The split's name: the one written down, else the one that the shape of tokenizer.json is known for."""
    file = folder / "tokenizer_config.json"
    named = _read(file).get("smidgen_pre") if file.is_file() else None
    if named:
        return str(named)
    steps = _steps(told.get("pre_tokenizer") or {})
    kinds = [step.get("type") for step in steps]
    last = steps[-1] if steps else {}
    if kinds and kinds[-1] == "ByteLevel" and not last.get("add_prefix_space"):
        by_regex = last.get("use_regex", True)
        if kinds == ["ByteLevel"] and by_regex:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and by_regex and steps[0].get("individual_digits"):
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and not by_regex and steps[0].get("behavior") == "Isolated":
            found = _PATTERNS.get((steps[0].get("pattern") or {}).get("Regex", ""))
            if found is not None:
                return found
    shape = json.dumps(told.get("pre_tokenizer"), ensure_ascii=False)
    raise BaseError("how the tokenizer splits a text before its merges has no name in a GGUF that is known here", value=shape, todo=_TODO)


def _steps(pre: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(pre.get("pretokenizers") or ()) if pre.get("type") == "Sequence" else [pre]


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError(
            f"a file of the tokenizer cannot be read ({error})", value=str(file), todo="Fetch or save the base anew."
        ) from error
    return found if isinstance(found, dict) else {}
