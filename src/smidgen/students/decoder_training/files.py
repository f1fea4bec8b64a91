"""Decoders on disk: the weights of a base (GGUF or safetensors), a trained decoder, a guide, and the sizes of the served files.

A trained decoder's folder holds the trained change and the path of its base; this module joins the two.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smidgen.core.errors import BaseError, TrainError
from smidgen.core.parts import TensorBytes
from smidgen.gguf.architectures import DecoderShape, config_of, shape_of
from smidgen.gguf.tokenizer import vocabulary_of
from smidgen.store.weight_files import weight_files
from smidgen.students.decoder_training.adapters import (
    FullMatrices,
    LoraAdapters,
    WeightChange,
    ends,
    factors,
    frozen_of,
    fused,
    model_of,
    unfolded,
)
from smidgen.students.decoder_training.model import DecoderLayer, LlamaModel
from smidgen.students.decoder_training.prompts import chat_template
from smidgen.students.processor import Workers, best_dtype
from smidgen.students.settings import FACTS
from smidgen.students.vocabulary import FILES, tokenizer_hash, trim_decoder


class LazyWeights(Mapping[str, torch.Tensor]):
    """All weights of a decoder as float32 by their names in transformers, read at each access and not cached."""

    def __init__(self, readers: Mapping[str, Callable[[], torch.Tensor]]) -> None:
        self._readers = readers

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._readers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """All weights as float32 by their names in transformers. Raises BaseError if the folder has no weights."""
    return dict(opened_weights(folder))


def opened_weights(folder: Path) -> LazyWeights:
    """The weights of a base, read one by one, from the files that its hash covers. Raises BaseError if the folder has no weights."""
    files = weight_files(folder)
    if not files:
        raise BaseError("students.base_has_no_weights", value=str(folder))
    if files[0].suffix == ".gguf":
        from smidgen.gguf.weights import readers

        return LazyWeights(readers(files[0]))
    from safetensors import safe_open

    found: dict[str, Callable[[], torch.Tensor]] = {}
    for file in files:
        with safe_open(str(file), framework="pt") as opened:
            found |= {name: functools.partial(_read, file, name) for name in opened.keys()}  # noqa: SIM118
    return LazyWeights(found)


def _read(file: Path, name: str) -> torch.Tensor:
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as opened:
        tensor: torch.Tensor = opened.get_tensor(name)
        return tensor.float()


_CHANGE = "change.safetensors"
LAYER = re.compile(r"model\.layers\.(\d+)\.(.*)")
TABLES = ("model.embed_tokens.weight", "lm_head.weight")


@dataclass(frozen=True)
class StoredDecoder:
    """A trained decoder in a folder. `facts`: prompt ids, most tokens, context, and more."""

    folder: Path
    base: Path
    shape: DecoderShape
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    kept: Sequence[int] | None
    layers: Sequence[int] | None = None
    neurons: Sequence[Sequence[int]] | None = None


def describe_base(folder: Path, base: Path, kept: Sequence[int] | None = None) -> None:
    """Copy the base's config, tokenizer and chat template into a folder, with only the tokens `kept`, if given."""
    if kept is not None:
        trim_decoder(base, folder, kept)
        return
    for name in FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)


def save_taught(
    folder: Path,
    base: Path,
    change: WeightChange | None,
    facts: Mapping[str, Any],
    settings: Mapping[str, Any],
    kept: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    neurons: Sequence[Sequence[int]] | None = None,
) -> None:
    """Store the trained change beside the files of `describe_base`. The base's weights are not copied.

    Args:
        kept, layers, neurons: the remaining tokens and layers of the base, and the remaining neurons of each of these layers; None for
            all.
    """
    from safetensors.torch import save_file

    state = change.state() if change is not None else {}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / _CHANGE)
    told = {"base": str(base), "facts": dict(facts), "settings": dict(settings), "taught": change is not None}
    told |= {} if kept is None else {"kept": list(kept)}
    if layers is not None or neurons is not None:
        config = dict(config_of(folder))
        if layers is not None:
            told["layers"] = list(layers)
            config["num_hidden_layers"] = len(layers)
        if neurons is not None:
            told["neurons"] = [list(kept) for kept in neurons]
            config["intermediate_size"] = len(neurons[0])
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / FACTS).write_text(json.dumps(told), encoding="utf-8")


def open_decoder(folder: Path) -> StoredDecoder:
    """Open the decoder in a folder. Raises BaseError if its base is gone."""
    told = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    base = Path(told["base"])
    if not base.is_dir():
        raise BaseError("students.base_of_this_model_is_gone", value=str(base))
    settings = told["settings"] if told["taught"] else {}
    left = {name: told.get(name) for name in ("kept", "layers", "neurons")}
    return StoredDecoder(folder, base, shape_of(folder), config_of(folder), told["facts"], settings, **left)


def base_weights(
    base: Path, kept: Sequence[int] | None, layers: Sequence[int] | None = None, neurons: Sequence[Sequence[int]] | None = None
) -> dict[str, Tensor]:
    """The weights of a base in 32 bits, with only the tokens `kept`, the `layers`, and the `neurons` of each of these, if given."""
    weights = weights_of(base)
    if layers is not None:
        number = {old: new for new, old in enumerate(layers)}
        parts = {name: LAYER.match(name) for name in weights}
        weights = {
            name if found is None else f"model.layers.{number[int(found[1])]}.{found[2]}": weights[name]
            for name, found in parts.items()
            if found is None or int(found[1]) in number
        }
    for place, left in enumerate(neurons or ()):
        at, some = f"model.layers.{place}.mlp.", torch.tensor(list(left))
        weights |= {at + name: weights[at + name][some] for name in ("gate_proj.weight", "up_proj.weight")}
        weights[at + "down_proj.weight"] = weights[at + "down_proj.weight"][:, some]
    if kept is not None:
        rows = torch.tensor(list(kept))
        weights |= {name: weights[name][rows] for name in TABLES if name in weights}
    return weights


def _weights(stored: StoredDecoder) -> dict[str, Tensor]:
    return base_weights(stored.base, stored.kept, stored.layers, stored.neurons)


def taught(stored: StoredDecoder) -> dict[str, Tensor]:
    """All trained weights by their names in transformers, in 32 bits."""
    weights = _weights(stored)
    change = _change(stored, weights)
    return weights if change is None else unfolded(weights, change)


def adapter(stored: StoredDecoder) -> tuple[dict[str, tuple[Tensor, Tensor]], float] | None:
    """(down, up) of each matrix by its name in transformers, and alpha; None if no adapter was trained."""
    weights = _weights(stored)
    change = _change(stored, weights)
    return (factors(weights, change), change.alpha) if isinstance(change, LoraAdapters) else None


def model_in(stored: StoredDecoder, workers: Workers) -> LlamaModel:
    """The decoder to compute with, in the precision of its training."""
    weights = _weights(stored)
    asked = stored.settings.get("precision", "auto")
    dtype = {"auto": best_dtype(), "bf16": torch.bfloat16, "f32": torch.float32}[asked]
    change = _change(stored, weights)
    frozen = change.frozen if change is not None else frozen_of(weights, stored.shape)
    model = model_of(weights, frozen, stored.shape, list(stored.facts["before"]), dtype)
    if change is not None:
        change.merge(model, workers)
    return model


def _change(stored: StoredDecoder, weights: dict[str, Tensor]) -> WeightChange | None:
    from safetensors.torch import load_file

    settings = stored.settings
    if not settings:
        return None
    frozen = frozen_of(weights, stored.shape)
    if settings["method"] == "lora":
        nothing = torch.Generator().manual_seed(0)
        change: WeightChange = LoraAdapters(stored.shape, frozen, settings["rank"], settings["alpha"], nothing, torch.float32)
    else:
        change = FullMatrices(stored.shape, frozen)
    change.load(load_file(str(stored.folder / _CHANGE)))
    change.rounded = bool(stored.facts.get("rounded"))
    return change


def guide_model(guide: Path, base: Path, student: Path, kept: Sequence[int] | None, before: list[int], dtype: torch.dtype) -> LlamaModel:
    """Load a guide, the larger decoder that a student learns from, restricted to the student's tokens: their probabilities add up to 1.

    Weights are read layer by layer, so that memory holds them in `dtype` and, in 32 bits, one layer or three times the table of tokens.

    Args:
        guide, base: folders of decoders; `student`: the folder of the student's tokenizer.
        kept: the base's ids of the student's tokens, in their order; None for all.
        before: ids of the tokens that all rows begin with.

    Raises:
        TrainError: the guide has other tokens.
        BaseError: its architecture is not supported.
    """
    own, rows = tokenizer_hash(guide), None
    if own == tokenizer_hash(base):
        rows = kept
    elif own != tokenizer_hash(student):
        raise TrainError("students.guide_has_other_tokens", value=str(guide))
    shape, weights = shape_of(guide), opened_weights(guide)
    count = len(rows) if rows is not None else shape_of(student).vocabulary
    places = torch.arange(count) if rows is None else torch.tensor(list(rows))
    if int(places.max()) >= shape.vocabulary:
        raise TrainError("students.guide_table_of_tokens_is_smaller", vocabulary=shape.vocabulary)
    layers = []
    for number in range(shape.layers):
        matrices, _, beside = fused(weights, shape, number)
        layers.append(DecoderLayer(**{place: matrix.to(dtype) for place, matrix in matrices.items()}, beside=beside.to(dtype)))
    table, output = ends(weights, shape, places)
    return LlamaModel(replace(shape, vocabulary=count), table.to(dtype), output.to(dtype), layers, torch.tensor(before, dtype=torch.long))


_NEURONS = {"mlp.gate_proj.weight": 0, "mlp.up_proj.weight": 0, "mlp.down_proj.weight": 1}
"""The tensors of a layer that have neurons, and their dimension."""
_ENTRY, _HEAD = 100, 4096
"""Bytes in a GGUF of a tensor's header, and of the file's own header; rounded up."""


LEAST_LAYERS = 3
"""The fewest layers that pruning leaves."""


@dataclass(frozen=True)
class DecoderSizes:
    """The tensor shapes of a decoder, from which the sizes of its files are computed before training.

    Attributes:
        layers, inner: the base's layers, and neurons of each.
        tables: shapes of the tables of token vectors, with only the kept rows.
        ends: shapes of the other tensors outside of layers.
        layer: shapes of the tensors of a layer by their names in it.
        beside: bytes of the tokenizer, in its file and in the GGUF.
        most_layers: the number of layers that can be removed.
    """

    layers: int
    inner: int
    tables: tuple[tuple[int, ...], ...]
    ends: tuple[tuple[int, ...], ...]
    layer: Mapping[str, tuple[int, ...]]
    beside: int
    most_layers: int

    def megabytes(self, stored: TensorBytes, layers: int, inner: int) -> float:
        """Megabytes (10^6 bytes) of the served files, by the numbers of layers and of neurons in each."""
        each = 0
        for name, shape in self.layer.items():
            at = _NEURONS.get(name)
            each += stored([inner if place == at else size for place, size in enumerate(shape)], False) + _ENTRY
        rest = sum(stored(shape, True) for shape in self.tables) + sum(stored(shape, False) for shape in self.ends)
        return (self.beside + rest + layers * each) / 1e6


def sizes_of(base: Path, kept: Sequence[int] | None) -> DecoderSizes:
    """The sizes of the decoder in a folder, with only the tokens `kept`, if given. Raises BaseError for a base that cannot be read or
    trained here."""
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
        describe_base(folder, base, kept)
        told = vocabulary_of(folder, rows)
        names = sum(8 + len(name.encode("utf-8")) for name in (*told.tokens, *told.merges))
        each = 4 * (len(told.kinds) + len(told.scores))
        template = len((chat_template(folder) or "").encode("utf-8"))
        beside = (folder / "tokenizer.json").stat().st_size + names + each + template + _HEAD
    # In a Gemma the number of a layer decides whether it sees all tokens, so no layer can be removed.
    most = 0 if shape.near else max(0, shape.layers - LEAST_LAYERS)
    return DecoderSizes(shape.layers, shape.inner, tuple(tables), tuple(ends), layer, beside, most)
