"""How large a decoder's files will be, by the shapes of its base's tensors and the tokens that are kept: known before it is taught."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.sizes import Stored
from smidgen.students.decoder_files import LAYER, TABLES, described
from smidgen.students.decoder_shape import shape_of
from smidgen.students.decoder_weights import opened_weights
from smidgen.students.gguf_vocabulary import vocabulary_of
from smidgen.students.prompts import chat_template
from smidgen.students.shortening import LEAST

_NEURONS = {"mlp.gate_proj.weight": 0, "mlp.up_proj.weight": 0, "mlp.down_proj.weight": 1}
"""The tensors of a layer that have neurons, and in which dimension."""
_ENTRY, _HEAD = 100, 4096
"""Bytes in a GGUF for what a tensor is called, and for all that is told once; rounded up."""


@dataclass(frozen=True)
class Sizes:
    """What a decoder is made of.

    Attributes:
        layers, inner: of the whole base.
        tables: shapes of the tables of token vectors, of the rows that are kept.
        ends: shapes of the other tensors outside of layers.
        layer: shapes of the tensors of a layer by their names there.
        beside: bytes of the tokenizer and of what a GGUF tells of it.
        most_layers: how many can go at the most.
    """

    layers: int
    inner: int
    tables: tuple[tuple[int, ...], ...]
    ends: tuple[tuple[int, ...], ...]
    layer: Mapping[str, tuple[int, ...]]
    beside: int
    most_layers: int

    def megabytes(self, stored: Stored, layers: int, inner: int) -> float:
        """Of the files that serve it, in MB of 10^6 bytes, with so many layers of so many neurons."""
        each = 0
        for name, shape in self.layer.items():
            at = _NEURONS.get(name)
            each += stored([inner if place == at else size for place, size in enumerate(shape)], False) + _ENTRY
        rest = sum(stored(shape, True) for shape in self.tables) + sum(stored(shape, False) for shape in self.ends)
        return (self.beside + rest + layers * each) / 1e6


def sizes_of(base: Path, kept: Sequence[int] | None) -> Sizes:
    """The sizes of the decoder in a folder, of whose tokens only those `kept` stay, where they are given. Raises BaseError for a base that
    cannot be read or taught here."""
    shape, weights = shape_of(base), opened_weights(base)
    rows = shape.vocabulary if kept is None else len(kept)
    tables, ends, layer = [], [], {}
    for name in weights:
        found = LAYER.fullmatch(name)
        if name in TABLES:
            if name == TABLES[0] or not shape.tied:
                tables.append((rows, shape.width))
        elif found is None:
            ends.append(tuple(weights[name].shape))
        elif found[1] == "0":
            layer[found[2]] = tuple(weights[name].shape)
    with tempfile.TemporaryDirectory(prefix="smidgen-") as box:
        folder = Path(box)
        described(folder, base, kept)
        told = vocabulary_of(folder, rows)
        names = sum(8 + len(name.encode("utf-8")) for name in (*told.tokens, *told.merges))
        each = 4 * (len(told.kinds) + len(told.scores))
        template = len((chat_template(folder) or "").encode("utf-8"))
        beside = (folder / "tokenizer.json").stat().st_size + names + each + template + _HEAD
    # Which layers of a Gemma see all tokens goes by their numbers.
    most = 0 if shape.near else max(0, shape.layers - LEAST)
    return Sizes(shape.layers, shape.inner, tuple(tables), tuple(ends), layer, beside, most)
