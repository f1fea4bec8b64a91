"""Trim a base's vocabulary to the tokens that its job uses: decoders (byte-level BPE, SentencePiece) and encoders (WordPiece).

A small decoder's table of token vectors is a fifth of its weights, and its output layer the largest single cost of a token. Of 49,152
tokens a narrow job uses some two thousand. The tokens to keep are those of the job's texts, every token that those are merged from, special
tokens, all single bytes, and the most frequent of the rest (byte-pair encoding learns frequent tokens first, so they have low ranks). Of
SentencePiece's single characters, only those that kept tokens consist of are kept; others are read as bytes.

A text whose tokens are all kept is tokenised as before, because the strongest applicable merge stays the same at every step. Any other
text is read in smaller pieces, at the smallest in bytes, and only gets longer.
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

from tokenizers import Tokenizer

from smidgen.core.errors import BaseError, TrainError
from smidgen.core.parts import Training
from smidgen.core.progress import Progress
from smidgen.core.rows import Text, joined
from smidgen.gguf.tokenizer import SINGLE_BYTE, is_byte_level, is_sentencepiece
from smidgen.store.files import content_hash
from smidgen.students.decoder_training.prompts import plain_ids, prompt_of, tokenizer_of
from smidgen.students.settings import DecoderSettings
from smidgen.text.attribute_lists import copied_values

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""The files that describe a decoder, beside its weights."""
_UNUSED = re.compile(r"<unused\d+>")
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "decoder_start_token_id")


def trimmable(folder: Path) -> bool:
    """Whether the tokenizer in a folder can be trimmed: byte-pair encoding with a fallback to bytes."""
    return falls_to_bytes(read_json(folder / "tokenizer.json"))


def falls_to_bytes(told: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json is byte-pair encoding with a fallback to bytes."""
    return is_byte_level(told) or is_sentencepiece(told)


def trim_decoder(folder: Path, out: Path, kept: Sequence[int]) -> None:
    """Copy the files that describe a decoder to `out`, with only the tokens `kept`, renumbered in their order.

    Raises BaseError if a file cannot be read.
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
            config[key] = _renumbered_added(config[key], new)
    _write(out / "config.json", config)
    if (folder / "tokenizer_config.json").is_file():
        told = read_json(folder / "tokenizer_config.json")
        if "added_tokens_decoder" in told:
            told["added_tokens_decoder"] = {
                str(new[int(at)]): value for at, value in told["added_tokens_decoder"].items() if int(at) in new
            }
        _write(out / "tokenizer_config.json", told)


def trimmed(told: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The tokenizer.json with the kept tokens under their new numbers, and the merges between them."""
    new = {old: at for at, old in enumerate(kept)}
    # Tokens and merges are nearly all of it, and are rebuilt, so they need no copy.
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


def special_tokens(told: Mapping[str, Any]) -> set[int]:
    """The added tokens of a tokenizer.json that are always kept: all but Gemma's thousands of unused ones."""
    return {int(added["id"]) for added in told.get("added_tokens") or () if not _UNUSED.fullmatch(str(added["content"]))}


def renumber_processor(step: Any, new: Mapping[int, int]) -> None:
    """Renumber the ids in a post-processor, in place."""
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


def _renumbered_added(value: Any, new: Mapping[int, int]) -> Any:
    if isinstance(value, list):
        return [new[at] for at in value if at in new]
    return new.get(value) if isinstance(value, int) else value


def pair(merge: Any) -> tuple[str, str]:
    """The two tokens of a merge, which files write as one string or two."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a base's file. Raises BaseError if it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError("students.file_of_base_cannot_be_read", value=str(file), error=error) from error
    return found if isinstance(found, dict) else {}


def _write(file: Path, told: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")


_ROUND = 64  # llama.cpp's fast kernels process rows in groups of eight and sixteen


class MergeTable:
    """The merges of a tokenizer, and the tokens that a job's texts need.

    Args:
        folder: holds a tokenizer.json that is `trimmable`.

    Raises BaseError if the tokenizer cannot be trimmed.
    """

    def __init__(self, folder: Path) -> None:
        told = read_json(folder / "tokenizer.json")
        if not falls_to_bytes(told):
            raise BaseError("students.tokenizer_cannot_be_trimmed", value=str(folder))
        self._number: dict[str, int] = told["model"]["vocab"]
        self._token = {at: text for text, at in self._number.items()}
        self._merges = [pair(merge) for merge in told["model"]["merges"]]
        self._ranks = {pair: rank for rank, pair in enumerate(self._merges)}
        self._always = special_tokens(told) | self._bytes(told)
        self._merged: dict[str, set[int]] = {}

    def kept(self, used: Iterable[int], frequent: int) -> list[int]:
        """The token ids to keep, ascending; filled up to a multiple of 64 if there are enough.

        Args:
            used: ids in the job's texts.
            frequent: the number of strongest merges that are always kept.
        """
        number, wanted = self._number, set(used)
        names = {self._token[at] for at in wanted if at in self._token} | {left + right for left, right in self._merges[:frequent]}
        kept = self._always | {at for at in wanted if at not in self._token}
        for name in names:
            kept |= self._merged_from(name)
        for left, right in itertools.islice(self._merges, frequent, None):
            if len(kept) % _ROUND == 0:
                break
            # Filled up with the next frequent tokens whose parts are already kept.
            if {number.get(left), number.get(right)} <= kept and left + right in number:
                kept.add(number[left + right])
        return sorted(kept)

    def _merged_from(self, name: str) -> set[int]:
        """A token, and those from which it is merged; worked out once, for several numbers of frequent tokens are tried."""
        if name not in self._merged:
            pieces = {self._number[piece] for piece in _pieces(name, self._ranks) if piece in self._number}
            self._merged[name] = pieces | {self._number[name]}
        return self._merged[name]

    def _bytes(self, told: Mapping[str, Any]) -> set[int]:
        """The tokens of single bytes."""
        if is_sentencepiece(told):
            return {at for text, at in self._number.items() if SINGLE_BYTE.fullmatch(text)}
        return {at for text, at in self._number.items() if len(text) == 1}


def _pieces(name: str, ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """All pieces from which a token is merged, when its merges are applied to it alone."""
    parts, found = list(name), set(name)
    while len(parts) > 1:
        pairs = [(ranks.get(pair, len(ranks)), at) for at, pair in enumerate(itertools.pairwise(parts))]
        rank, at = min(pairs)
        if rank == len(ranks):
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        found.add(parts[at])
    return found


def tokenizer_hash(folder: Path) -> str:
    """A hash of the tokenizer in a folder: of every token with its number, special ones included, and of the merges in order.

    Raises BaseError if its tokenizer.json cannot be read.
    """
    return _hash(read_json(folder / "tokenizer.json"))


def ids_kept_of(folder: Path, other: Path) -> list[int] | None:
    """The ids in `folder` of the tokens of the tokenizer in `other`, if that one is trimmed from this one; else None."""
    whole, part = read_json(folder / "tokenizer.json"), read_json(other / "tokenizer.json")
    if not (falls_to_bytes(whole) and falls_to_bytes(part)):
        return None
    number = {token: at for at, token in _tokens(whole).items()}
    names = [token for _, token in sorted(_tokens(part).items())]
    if len(names) >= len(number) or not all(name in number for name in names):
        return None
    kept = [number[name] for name in names]
    # A trimmed tokenizer keeps every special token.
    if kept != sorted(kept) or not special_tokens(whole) <= set(kept) or _hash(trimmed(whole, kept)) != _hash(part):
        return None
    return kept


def _hash(told: Mapping[str, Any]) -> str:
    merges = [list(pair(merge)) for merge in (told.get("model") or {}).get("merges") or ()]
    return content_hash({"tokens": sorted(_tokens(told).items()), "merges": merges})


def _tokens(told: Mapping[str, Any]) -> dict[int, str]:
    """Every token by its number."""
    vocabulary = (told.get("model") or {}).get("vocab") or {}
    found = {int(at): str(text) for text, at in vocabulary.items()} if isinstance(vocabulary, Mapping) else {}
    if isinstance(vocabulary, list):  # unigram: text and weight, numbered in order
        found = {at: str(entry[0]) for at, entry in enumerate(vocabulary)}
    return found | {int(added["id"]): str(added["content"]) for added in told.get("added_tokens") or ()}


FREQUENT = (4096, 8192, 16384)
"""Possible numbers of frequent tokens to keep that no example uses: more are safer, fewer are faster."""
NEWCOMERS = 0.05
"""The most trimmed tokens to expect per new input, or per new value of an attribute: one in twenty."""


def kept_tokens(training: Training, settings: DecoderSettings, progress: Progress) -> list[int] | None:
    """The base's token ids to keep; None for all."""
    assert training.base is not None
    folder = training.base.folder
    if settings.adapter or settings.vocabulary == "whole" or (settings.vocabulary == "auto" and not trimmable(folder)):
        return None
    if training.guide is not None and (own := ids_kept_of(folder, training.guide.folder)) is not None:
        progress.say(f"the {len(own):,} tokens of the guide are kept")
        return own
    table = MergeTable(folder)
    prompt, tokenizer = prompt_of(folder, training.form.writing.instruction), tokenizer_of(folder)
    used = {*prompt.before, *prompt.after, *prompt.stop}
    inputs = [set(plain_ids(tokenizer, text)) for text in {joined(row.input) for row in training.rows}]
    answers = [(joined(row.input), row.output if isinstance(row.output, list) else [row.output]) for row in training.rows]
    pairs = [(text, answer) for text, several in answers for answer in several]
    values = [set(plain_ids(tokenizer, value)) for of_key in copied_values(pairs).values() for value in of_key]
    choices = FREQUENT if settings.frequent_tokens is None else (settings.frequent_tokens,)
    frequent, new = frequent_for(table, (inputs, values), used, choices)
    if frequent is None and settings.vocabulary == "auto":
        progress.say(f"the whole vocabulary is kept: 100 new inputs or values would bring about {100 * new:.0f} tokens that no example has")
        return None
    used.update(*inputs)
    for _, answer in pairs:
        used.update(plain_ids(tokenizer, answer))
    kept = table.kept(used, choices[-1] if frequent is None else frequent)
    progress.say(f"{len(kept):,} of {tokenizer.get_vocab_size():,} tokens are kept")
    return kept


def newcomers(inputs: Iterable[set[int]], kept: set[int]) -> float:
    """The expected number of unseen tokens outside `kept` in one more input, by Good-Turing (Good 1953): tokens outside `kept` that are in
    exactly one input, divided by the number of inputs. 0 without inputs. Of values as of inputs.

    A trimmed token is read in pieces that the base hardly knows, so this shows whether trimming is safe for new texts.
    """
    seen, count = Counter[int](), 0
    for ids in inputs:
        seen.update(ids - kept)
        count += 1
    return sum(times == 1 for times in seen.values()) / count if count else 0.0


def frequent_for(
    table: MergeTable, samples: Sequence[Sequence[set[int]]], used: Collection[int], choices: Sequence[int] = FREQUENT
) -> tuple[int | None, float]:
    """The first of `choices` (numbers of frequent tokens to keep, ascending) with which a new member of no sample is expected to have more
    than `NEWCOMERS` trimmed tokens; and the highest of these expectations. If none suffices, None and that of the last choice.

    Args:
        table: the base's tokens.
        samples: token ids of each known input; and of each known value of those attributes that answers repeat. A few values make many
            inputs, so inputs alone bring hardly anything new, but the next customer's name is new.
        used: ids in every prompt.
        choices: not empty.
    """
    new = 0.0
    for frequent in choices:
        kept = set(table.kept(used, frequent))
        new = max(newcomers(sample, kept) for sample in samples)
        if new <= NEWCOMERS:
            return frequent, new
    return None, new


WORDS = "embeddings.word_embeddings.weight"
"""The end of the name of the table of token vectors."""


def trim_encoder(base: Path, texts: Sequence[Text], most: int, out: Path) -> Path:
    """Write a copy of an encoder's folder with at most `most` tokens; returns the folder to use.

    It keeps special tokens and single characters; then, alternately, the most frequent piece of the texts and the next of the base's own
    order, which begins with frequent pieces. A base with no more than `most` tokens is used unchanged. WordPiece reads a word by the
    longest pieces that it knows, so a text of kept pieces is read as before, and its features are identical; a word whose piece was trimmed
    is read by shorter ones.

    Args:
        base: folder with `config.json`, `model.safetensors` and `tokenizer.json`.
        texts: the training texts.
        most: tokens to keep, special ones included.
        out: the folder to write; existing files are overwritten.

    Raises:
        TrainError: the tokenizer is not a WordPiece, or `most` is too small for its single characters.
    """
    facts: dict[str, Any] = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    model = facts["model"]
    if model.get("type") != "WordPiece":
        raise TrainError("students.tokens_of_this_base_cannot_be_trimmed", value=model.get("type"))
    vocabulary: dict[str, int] = model["vocab"]
    if len(vocabulary) <= most:
        return base
    kept = kept_by_encoder(vocabulary, _used(base, texts), _always(facts), most, model["continuing_subword_prefix"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.json").write_text(
        json.dumps(_renumbered_wordpiece(facts, kept), ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["vocab_size"] = len(kept)
    if config.get("pad_token_id") is not None:
        config["pad_token_id"] = kept.index(config["pad_token_id"])
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_rows(base, kept, out)
    return out


def kept_by_encoder(vocabulary: dict[str, int], used: Counter[int], always: set[int], most: int, prefix: str) -> list[int]:
    """The numbers of the tokens to keep, ascending. Raises TrainError if `always` and the single characters are more than `most`."""
    kept = always | {number for piece, number in vocabulary.items() if len(piece.removeprefix(prefix)) == 1}
    if len(kept) > most:
        raise TrainError("students.too_few_tokens_for_single_characters", value=most, kept=len(kept))
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
    """Tokens that the tokenizer itself refers to."""
    return {entry["id"] for entry in facts["added_tokens"]} | {facts["model"]["vocab"][facts["model"]["unk_token"]]}


def _renumbered_wordpiece(facts: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The tokenizer with only the kept tokens, numbered from 0 in their old order."""
    new = {number: place for place, number in enumerate(kept)}
    model = {**facts["model"], "vocab": {piece: new[number] for piece, number in facts["model"]["vocab"].items() if number in new}}
    made = {**facts, "model": model, "added_tokens": [{**entry, "id": new[entry["id"]]} for entry in facts["added_tokens"]]}
    made["post_processor"] = copy.deepcopy(facts.get("post_processor"))
    renumber_processor(made["post_processor"], new)
    if facts.get("padding"):
        made["padding"] = {**facts["padding"], "pad_id": new.get(facts["padding"]["pad_id"], 0)}
    return made


def save_rows(base: Path, kept: Sequence[int], out: Path) -> None:
    """Write the weights of an encoder with only these rows of its token vectors."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(str(base / "model.safetensors"))
    rows = torch.tensor(kept)
    for name in [name for name in tensors if name.endswith(WORDS)]:
        tensors[name] = tensors[name][rows].contiguous()
    save_file(tensors, out / "model.safetensors")
