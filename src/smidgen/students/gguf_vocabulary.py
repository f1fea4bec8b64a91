"""A tokenizer as a GGUF tells it: its tokens in the order of their ids, what kind each is, the merges, and the name of its split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import BaseError

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Kinds of token, by llama.cpp's numbers."""

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {_WORDS % "": "qwen2", _WORDS % "{1,3}": "llama-bpe"}
_TODO = "Name a base with a byte-level BPE tokenizer of the GPT-2, SmolLM, Llama 3 or Qwen 2 kind."


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`tokens` and `kinds` by id; `merges` as "left right", the strongest first; `pre` names the split (`tokenizer.ggml.pre`)."""

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    pre: str


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
    if model.get("type") != "BPE" or (told.get("decoder") or {}).get("type") != "ByteLevel":
        raise BaseError("the tokenizer is not byte-level BPE, the only kind that can be written as GGUF", value=str(file), todo=_TODO)
    by_id = {int(number): (token, NORMAL) for token, number in model["vocab"].items()}
    for added in told.get("added_tokens") or ():
        by_id[int(added["id"])] = added["content"], CONTROL if added["special"] else USER_DEFINED
    if max(by_id) >= size:
        raise BaseError(f"the tokenizer has ids up to {max(by_id)}, the model {size} rows", value=str(file), todo="Fetch the base anew.")
    entries = [by_id.get(number, (f"[PAD{number}]", UNUSED)) for number in range(size)]
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    return Vocabulary(tuple(token for token, _ in entries), tuple(kind for _, kind in entries), merges, _pre(folder, told))


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
