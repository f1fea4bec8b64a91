"""Trims a decoder's vocabulary to what its task's language uses.

A small decoder's table of token vectors is a fifth of its weights, and its output layer the largest single cost of a token. Of 49,152
tokens a narrow job uses some two thousand. What is kept: the tokens of the task's texts, every token that those are merged from, the
special ones, all single bytes, and the most frequent of the rest (byte-pair encoding learns the frequent ones first, so theirs are the
low ranks).

Two kinds can be trimmed: byte-level byte-pair encoding, and SentencePiece's with a token for each byte. Of the latter's single characters,
some ten thousand of all scripts, those are kept that the kept tokens are made of: any other falls to its bytes.

A text all of whose tokens are kept is tokenised as before: its merges are a part of those that are left, and the strongest merge that
applies is the same at every step. Any other text falls to smaller pieces, at the smallest to bytes, and loses nothing but length.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.core.errors import BaseError
from smidgen.students.gguf_vocabulary import SINGLE_BYTE, bytewise, sentencewise

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""What describes a decoder, beside its weights."""
_ROUND = 64  # llama.cpp's quick kernels take rows by eights and sixteens
FREQUENT = (4096, 8192, 16384)
"""How many of the most frequent tokens may be kept though no example uses them: more are surer, fewer are quicker to write with."""
NEWCOMERS = 0.05
"""Tokens trimmed away that one new input may be expected to bring: one in twenty inputs."""
_UNUSED = re.compile(r"<unused\d+>")
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "decoder_start_token_id")


def trimmable(folder: Path) -> bool:
    """Whether the tokenizer in a folder is of a kind that can be trimmed: byte-pair encoding that falls to bytes."""
    told = read_json(folder / "tokenizer.json")
    return bytewise(told) or sentencewise(told)


def newcomers(inputs: Iterable[set[int]], kept: set[int]) -> float:
    """Tokens outside of `kept`, and in none of the inputs, that one more input is expected to bring: the number of such tokens that stand
    in exactly one input, by the number of inputs (Good 1953, as Good-Turing). 0 where there are no inputs.

    What is trimmed away is read in pieces that the base hardly knows, so this says whether trimming is safe for texts to come.
    """
    seen, count = Counter[int](), 0
    for ids in inputs:
        seen.update(ids - kept)
        count += 1
    return sum(times == 1 for times in seen.values()) / count if count else 0.0


def frequent_for(
    folder: Path, inputs: Collection[set[int]], used: Collection[int], choices: Sequence[int] = FREQUENT
) -> tuple[int | None, float]:
    """The first of `choices`, ascending numbers of frequent tokens to keep, with which a new input may be expected to bring at most
    `NEWCOMERS` tokens that are not kept; and how many it would bring then. None, and how many with the last, where there is no such.

    Args:
        folder: holds tokenizer.json, one that is `trimmable`.
        inputs: token ids of each input that is known.
        used: ids that every prompt has.
        choices: not empty.

    Raises BaseError where the tokenizer cannot be trimmed.
    """
    new = 0.0
    for frequent in choices:
        new = newcomers(inputs, set(kept_ids(folder, used, frequent)))
        if new <= NEWCOMERS:
            return frequent, new
    return None, new


def kept_ids(folder: Path, used: Iterable[int], frequent: int) -> list[int]:
    """The token ids to keep, ascending; their number is a multiple of 64 where there are so many.

    Args:
        folder: holds tokenizer.json, one that is `trimmable`.
        used: ids of the task's texts.
        frequent: how many of the strongest merges are kept whether used or not.

    Raises BaseError where the tokenizer cannot be trimmed.
    """
    told = read_json(folder / "tokenizer.json")
    if not trimmable(folder):
        raise BaseError(
            "the tokenizer is not byte-pair encoding that falls to bytes, the kind that can be trimmed", value=str(folder), todo=_WHOLE
        )
    model = told["model"]
    number: dict[str, int] = model["vocab"]
    token = {at: text for text, at in number.items()}
    merges = [pair(merge) for merge in model["merges"]]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    kept = specials(told)
    kept |= {at for text, at in number.items() if (SINGLE_BYTE.fullmatch(text) if sentencewise(told) else len(text) == 1)}
    names = {token[at] for at in used if at in token} | {left + right for left, right in merges[:frequent]}
    kept |= {at for at in used if at not in token}
    for name in names:
        kept |= {number[piece] for piece in _pieces(name, ranks) if piece in number}
        kept.add(number[name])
    for left, right in merges[frequent:]:
        if len(kept) % _ROUND == 0:
            break
        # The next frequent ones fill up what is rounded to; one whose parts are kept needs no others.
        if {number.get(left), number.get(right)} <= kept and left + right in number:
            kept.add(number[left + right])
    return sorted(kept)


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


_WHOLE = "Keep it whole: --set train.vocabulary=whole"


def trimmed(told: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """tokenizer.json with the kept tokens under their new numbers, and the merges that make one of them of two of them."""
    new = {old: at for at, old in enumerate(kept)}
    made = copy.deepcopy(dict(told))
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


def _pieces(name: str, ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """All that a token is merged from, by the merges as they are applied to it alone."""
    parts, found = list(name), set(name)
    while len(parts) > 1:
        pairs = [(ranks.get(pair, len(ranks)), at) for at, pair in enumerate(itertools.pairwise(parts))]
        rank, at = min(pairs)
        if rank == len(ranks):
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        found.add(parts[at])
    return found


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
