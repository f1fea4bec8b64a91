"""Trims a decoder's vocabulary to what its task's language uses.

A small decoder's table of token vectors is a fifth of its weights, and its output layer the largest single cost of a token. Of 49,152
tokens a narrow job uses some two thousand. What is kept (`merge_table.py` finds them, `keeping.py` how many): the tokens of the task's
texts, every token that those are merged from, the special ones, all single bytes, and the most frequent of the rest (byte-pair encoding
learns the frequent ones first, so theirs are the low ranks).

Two kinds can be trimmed: byte-level byte-pair encoding, and SentencePiece's with a token for each byte. Of the latter's single characters,
some ten thousand of all scripts, those are kept that the kept tokens are made of: any other falls to its bytes.

A text all of whose tokens are kept is tokenised as before: its merges are a part of those that are left, and the strongest merge that
applies is the same at every step. Any other text falls to smaller pieces, at the smallest to bytes, and loses nothing but length.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.core.errors import BaseError
from smidgen.students.gguf_vocabulary import bytewise, sentencewise

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""What describes a decoder, beside its weights."""
_UNUSED = re.compile(r"<unused\d+>")
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "decoder_start_token_id")


def trimmable(folder: Path) -> bool:
    """Whether the tokenizer in a folder is of a kind that can be trimmed: byte-pair encoding that falls to bytes."""
    return falls_to_bytes(read_json(folder / "tokenizer.json"))


def falls_to_bytes(told: Mapping[str, Any]) -> bool:
    """The same of a tokenizer.json that was read."""
    return bytewise(told) or sentencewise(told)


def trim(folder: Path, out: Path, kept: Sequence[int]) -> None:
    """Copy what describes a decoder to `out`, its tokens cut down to `kept` and numbered anew in their order.

    Raises BaseError where a file cannot be read.
    """
    new = {old: at for at, old in enumerate(kept)}
    out.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    _write(out / "tokenizer.json", trimmed(read_json(folder / "tokenizer.json"), kept))
    config = read_json(folder / "config.json")
    config["vocab_size"] = len(kept)
    for key in _IDS:
        if key in config:
            config[key] = _renumbered(config[key], new)
    _write(out / "config.json", config)
    if (folder / "tokenizer_config.json").is_file():
        told = read_json(folder / "tokenizer_config.json")
        if "added_tokens_decoder" in told:
            told["added_tokens_decoder"] = {
                str(new[int(at)]): value for at, value in told["added_tokens_decoder"].items() if int(at) in new
            }
        _write(out / "tokenizer_config.json", told)


def trimmed(told: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """tokenizer.json with the kept tokens under their new numbers, and the merges that make one of them of two of them."""
    new = {old: at for at, old in enumerate(kept)}
    # Tokens and merges, which are nearly all of it, are made anew and need no copy.
    made = {key: dict(value) if key == "model" else copy.deepcopy(value) for key, value in told.items()}
    model = made["model"]
    model["vocab"] = {text: new[at] for text, at in sorted(model["vocab"].items(), key=lambda entry: entry[1]) if at in new}
    left_over = model["vocab"].keys()
    pairs = [(merge, pair(merge)) for merge in model["merges"]]
    model["merges"] = [merge for merge, (a, b) in pairs if a in left_over and b in left_over and a + b in left_over]
    if made.get("added_tokens"):
        made["added_tokens"] = [{**added, "id": new[int(added["id"])]} for added in made["added_tokens"] if int(added["id"]) in new]
    renumber_processor(made.get("post_processor"), new)
    return made


def specials(told: Mapping[str, Any]) -> set[int]:
    """The added tokens of a tokenizer.json that are kept whether used or not: all but the thousands that Gemma holds ready unused."""
    return {int(added["id"]) for added in told.get("added_tokens") or () if not _UNUSED.fullmatch(str(added["content"]))}


def renumber_processor(step: Any, new: Mapping[int, int]) -> None:
    """The ids that a post-processor carries, in place."""
    if not isinstance(step, dict):
        return
    for inner in step.get("processors") or ():
        renumber_processor(inner, new)
    special = step.get("special_tokens")
    for entry in special.values() if isinstance(special, dict) else ():
        entry["ids"] = [new[int(at)] for at in entry["ids"]]
    for key in ("sep", "cls"):
        if isinstance(step.get(key), list):
            step[key] = [step[key][0], new[int(step[key][1])]]


def _renumbered(value: Any, new: Mapping[int, int]) -> Any:
    if isinstance(value, list):
        return [new[at] for at in value if at in new]
    return new.get(value) if isinstance(value, int) else value


def pair(merge: Any) -> tuple[str, str]:
    """The two tokens of a merge, which files write as one text or as two."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def read_json(file: Path) -> dict[str, Any]:
    """An object out of a file of a base. Raises BaseError where it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError(f"a file of the base cannot be read ({error})", value=str(file), todo="Fetch the base anew.") from error
    return found if isinstance(found, dict) else {}


def _write(file: Path, told: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
