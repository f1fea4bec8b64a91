"""Tokenizers in a GGUF: convert from a GGUF to the library `tokenizers`, and from tokenizer.json to a GGUF.

Two kinds are known: byte-level BPE (GPT-2, SmolLM, Llama 3, Qwen) and SentencePiece's BPE with a token for each byte (Gemma).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from smidgen.core.errors import BaseError

# A GGUF names its split (`tokenizer.ggml.pre`); llama.cpp defines the rule behind each name (llama-vocab.cpp). Rules here are written as in
# the model's own tokenizer.json if that is known.

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PUNCTUATION = r"[\p{P}\$\+<=>\^~\|]+"
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # values of tokenizer.ggml.token_type


def tokenizer_of(facts: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that a GGUF's metadata describes; ids are those of the file. Control tokens are special, user-defined ones are added.

    Args:
        facts: the result of `gguf.header.read_metadata`.

    Raises:
        BaseError: another kind of tokenizer, an unknown split, or lists that do not fit together.
    """
    name = str(facts.get("general.name", "GGUF"))
    kind, pre = facts.get("tokenizer.ggml.model"), pre_of(facts)
    if kind == "llama" and facts.get("general.architecture") == "gemma3":
        return _of_pieces(facts, name)
    if kind != "gpt2":
        raise BaseError("gguf.tokenizer_is_not_byte_level_bpe", value=name, name=name, kind=kind)
    if pre not in _SPLITS:
        known = ", ".join(sorted(_SPLITS))
        raise BaseError("gguf.pre_tokenizer_is_unknown", value=pre, name=name, known=known)
    tokens, merges = _texts(facts, "tokens"), _texts(facts, "merges")
    if not tokens or not merges or len(set(tokens)) != len(tokens):
        raise BaseError("gguf.token_and_merge_lists_are_invalid", value=name)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs = [_pair(merge, vocabulary, name) for merge in merges]
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=pre == "llama-bpe"))
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _SPLITS[pre]()
    tokenizer.decoder = decoders.ByteLevel()
    _add(tokenizer, tokens, facts.get("tokenizer.ggml.token_type") or [])
    _begin(tokenizer, tokens, facts)
    return tokenizer


def _of_pieces(facts: Mapping[str, Any], name: str) -> Tokenizer:
    """SentencePiece's BPE, as in transformers' converter: each way to divide a token in two is a merge, those of high scores first."""
    tokens, scores = _texts(facts, "tokens"), facts.get("tokenizer.ggml.scores")
    kinds = facts.get("tokenizer.ggml.token_type") or []
    if not tokens or not isinstance(scores, list) or not len(scores) == len(tokens) == len(kinds) == len(set(tokens)):
        raise BaseError("gguf.token_and_score_lists_do_not_match", value=name)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    plain = [number for number, kind in enumerate(kinds) if kind == _NORMAL]
    merges = [
        (left, right)
        for number in sorted(plain, key=lambda number: (-scores[number], number))
        for left, right in _halves(tokens[number], vocabulary)
    ]
    unknown = facts.get("tokenizer.ggml.unknown_token_id")
    fallback = tokens[unknown] if isinstance(unknown, int) and 0 <= unknown < len(tokens) else None
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=fallback, fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    _add(tokenizer, tokens, kinds)
    _begin(tokenizer, tokens, facts)
    return tokenizer


def _halves(token: str, vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """All ways to divide a token in two, those of low numbers first."""
    cuts = [(token[:at], token[at:]) for at in range(1, len(token))]
    known = [(left, right) for left, right in cuts if left in vocabulary and right in vocabulary]
    return sorted(known, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))


def pre_of(facts: Mapping[str, Any]) -> str:
    """The name of the split; "default" if the file has none, as in old files."""
    pre = str(facts.get("tokenizer.ggml.pre", "default"))
    return _SAME.get(pre, pre)


def _add(tokenizer: Tokenizer, tokens: list[str], kinds: list[int]) -> None:
    special = [token for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL]
    plain = [token for token, kind in zip(tokens, kinds, strict=False) if kind == _USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in plain])


def _begin(tokenizer: Tokenizer, tokens: list[str], facts: Mapping[str, Any]) -> None:
    """Begin a text with the file's BOS token if the file says so, unless special tokens are left out when it is encoded."""
    first = facts.get("tokenizer.ggml.bos_token_id")
    if not facts.get("tokenizer.ggml.add_bos_token", False) or not isinstance(first, int) or first >= len(tokens):
        return
    tokenizer.post_processor = processors.TemplateProcessing(
        single="first $A", pair="first $A first:1 $B:1", special_tokens=[{"id": "first", "ids": [first], "tokens": [tokens[first]]}]
    )


def _pair(merge: str, vocabulary: Mapping[str, int], name: str) -> tuple[str, str]:
    """The two halves of a merge. The space between them is never the first character."""
    cut = merge.find(" ", 1)
    left, right = merge[:cut], merge[cut + 1 :]
    if cut < 1 or left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
        raise BaseError("gguf.merge_is_not_of_two_tokens", value=merge, name=name)
    return left, right


def _texts(facts: Mapping[str, Any], which: str) -> list[str]:
    value = facts.get(f"tokenizer.ggml.{which}")
    return value if isinstance(value, list) and value and isinstance(value[0], str) else []


def _bytes(*before: Any, use_regex: bool = False) -> Callable[[], Any]:
    def make() -> Any:
        return pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)])

    return make


def _split(pattern: str) -> Any:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


_SPLITS: dict[str, Callable[[], Any]] = {
    "smollm": _bytes(pre_tokenizers.Digits(individual_digits=True), use_regex=True),
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    "llama-bpe": _bytes(_split(_LLAMA3)),
    "qwen2": _bytes(_split(_QWEN2)),
    "default": _bytes(_split(_PUNCTUATION), _split(_GPT2), _split(r"\p{N}+"), _split("[0-9][0-9][0-9]")),
}
_SAME = {"llama3": "llama-bpe", "llama-v3": "llama-bpe", "gpt2": "gpt-2"}


# Two kinds of tokenizer.json are known: byte-level BPE (GPT-2, SmolLM, Llama 3, Qwen), described by its merges and the name of its
# split; and SentencePiece's BPE with a token for each byte (Gemma), described by a score for each token: higher scores are joined first.

NORMAL, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 3, 4, 5, 6
"""Kinds of token, by llama.cpp's numbers."""

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {_WORDS % "": "qwen2", _WORDS % "{1,3}": "llama-bpe"}
_TODO = "Name a base with a byte-level BPE tokenizer of the GPT-2, SmolLM, Llama 3 or Qwen kind, or one of Gemma's."
SINGLE_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""Pattern of a single byte's token in SentencePiece."""
SPACE = "▁"
"""The sign for a space in the tokens of SentencePiece."""
_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class GgufVocabulary:
    """`tokens` and `kinds` by id; `merges` as "left right", the strongest first; `pre` names the split (`tokenizer.ggml.pre`), `model` the
    kind (`tokenizer.ggml.model`); `scores` by id for SentencePiece, else empty."""

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    pre: str
    model: str = "gpt2"
    scores: tuple[float, ...] = ()


def is_byte_level(told: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is byte-level BPE."""
    return (told.get("model") or {}).get("type") == "BPE" and (told.get("decoder") or {}).get("type") == "ByteLevel"


def is_sentencepiece(told: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is SentencePiece's BPE as in Gemma: spaces become `SPACE`, nothing is added to or removed from the front of
    a text, and unknown text becomes tokens of single bytes."""
    model, decoder, normalizer = (told.get(key) or {} for key in ("model", "decoder", "normalizer"))
    steps = [step.get("type") for step in decoder.get("decoders") or ()]
    spaced = normalizer.get("type") == "Replace" and normalizer.get("content") == SPACE
    # A split at spaces has no effect because none are left; Gemma's file has one.
    pre = told.get("pre_tokenizer")
    unsplit = pre is None or (pre.get("type") == "Split" and (pre.get("pattern") or {}).get("String") == " ")
    return bool(
        model.get("type") == "BPE" and model.get("byte_fallback") and spaced and unsplit and steps == ["Replace", "ByteFallback", "Fuse"]
    )


def vocabulary_of(folder: Path, size: int) -> GgufVocabulary:
    """The tokenizer in a folder: tokenizer.json, and tokenizer_config.json if it names the split (`smidgen_pre`).

    Args:
        size: rows of the model's table of token vectors; unused ids become `[PAD...]`.

    Raises:
        BaseError: a GGUF cannot represent the tokenizer, or it has more tokens than the model has rows.
    """
    file = folder / "tokenizer.json"
    told = _read_json(file)
    model = told.get("model") or {}
    pieces = is_sentencepiece(told)
    if not pieces and not is_byte_level(told):
        raise BaseError("gguf.tokenizer_cannot_be_written_as_gguf", value=str(file))
    by_id = {int(number): (token, BYTE if pieces and SINGLE_BYTE.fullmatch(token) else NORMAL) for token, number in model["vocab"].items()}
    for added in told.get("added_tokens") or ():
        by_id[int(added["id"])] = added["content"], CONTROL if added["special"] else USER_DEFINED
    if max(by_id) >= size:
        raise BaseError("gguf.tokenizer_has_more_ids_than_model_rows", value=str(file), by_id=max(by_id), size=size)
    entries = [by_id.get(number, (f"[PAD{number}]", UNUSED)) for number in range(size)]
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    tokens, kinds = tuple(token for token, _ in entries), tuple(kind for _, kind in entries)
    if not pieces:
        return GgufVocabulary(tokens, kinds, merges, _pre(folder, told))
    rank: dict[str, int] = {}
    for at, merge in enumerate(model["merges"]):
        rank.setdefault("".join(merge.split(" ") if isinstance(merge, str) else merge), at)
    return GgufVocabulary(
        tokens, kinds, (), "default", "llama", tuple(-float(rank[token]) if token in rank else _NEVER for token in tokens)
    )


def _pre(folder: Path, told: Mapping[str, Any]) -> str:
    """The split's name: the stored one, else the one known for this form of tokenizer.json."""
    file = folder / "tokenizer_config.json"
    named = _read_json(file).get("smidgen_pre") if file.is_file() else None
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
    raise BaseError("gguf.pre_tokenizer_has_no_gguf_name", value=shape)


def _steps(pre: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(pre.get("pretokenizers") or ()) if pre.get("type") == "Sequence" else [pre]


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError("gguf.file_of_tokenizer_cannot_be_read", value=str(file), error=error) from error
    return found if isinstance(found, dict) else {}
