"""The tokens of a base, and how they are merged: which of them a job's texts need."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from smidgen.core.errors import BaseError
from smidgen.students.gguf_vocabulary import SINGLE_BYTE, sentencewise
from smidgen.students.trimming import falls_to_bytes, pair, read_json, specials

_ROUND = 64  # llama.cpp's quick kernels take rows by eights and sixteens


class MergeTable:
    """Reads a tokenizer.json once, for as many questions as there are.

    Args:
        folder: holds tokenizer.json, one that is `trimmable`.

    Raises BaseError where the tokenizer cannot be trimmed.
    """

    def __init__(self, folder: Path) -> None:
        told = read_json(folder / "tokenizer.json")
        if not falls_to_bytes(told):
            raise BaseError(
                "the tokenizer is not byte-pair encoding that falls to bytes, the kind that can be trimmed",
                value=str(folder),
                todo="Keep it whole: --set train.vocabulary=whole",
            )
        self._number: dict[str, int] = told["model"]["vocab"]
        self._token = {at: text for text, at in self._number.items()}
        self._merges = [pair(merge) for merge in told["model"]["merges"]]
        self._ranks = {pair: rank for rank, pair in enumerate(self._merges)}
        self._always = specials(told) | self._bytes(told)

    def kept(self, used: Iterable[int], frequent: int) -> list[int]:
        """The token ids to keep, ascending; their number is a multiple of 64 where there are so many.

        Args:
            used: ids of the task's texts.
            frequent: how many of the strongest merges are kept whether used or not.
        """
        number, wanted = self._number, set(used)
        names = {self._token[at] for at in wanted if at in self._token} | {left + right for left, right in self._merges[:frequent]}
        kept = self._always | {at for at in wanted if at not in self._token}
        for name in names:
            kept |= {number[piece] for piece in _pieces(name, self._ranks) if piece in number}
            kept.add(number[name])
        for left, right in itertools.islice(self._merges, frequent, None):
            if len(kept) % _ROUND == 0:
                break
            # The next frequent ones fill up what is rounded to; one whose parts are kept needs no others.
            if {number.get(left), number.get(right)} <= kept and left + right in number:
                kept.add(number[left + right])
        return sorted(kept)

    def _bytes(self, told: Mapping[str, Any]) -> set[int]:
        """The tokens of single bytes."""
        if sentencewise(told):
            return {at for text, at in self._number.items() if SINGLE_BYTE.fullmatch(text)}
        return {at for text, at in self._number.items() if len(text) == 1}


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
