"""A taught decoder on disk: what was learnt, where the base lies that it was learnt on, and how to put the two together."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from smidgen.core.errors import BaseError
from smidgen.students.adapters import Adapters, Change, Matrices, factors, frozen_of, model_of, unfolded
from smidgen.students.decoder_shape import Shape, config_of, shape_of
from smidgen.students.decoder_weights import weights_of
from smidgen.students.facts import FACTS
from smidgen.students.llama import Llama
from smidgen.students.precision import best_dtype
from smidgen.students.trimming import FILES, trim
from smidgen.students.workers import Workers

_CHANGE = "change.safetensors"
LAYER = re.compile(r"model\.layers\.(\d+)\.(.*)")
TABLES = ("model.embed_tokens.weight", "lm_head.weight")


@dataclass(frozen=True)
class Stored:
    """A taught decoder as it lies in a folder: `facts` is what its teaching left (prompt ids, most tokens, context, ...)."""

    folder: Path
    base: Path
    shape: Shape
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    settings: Mapping[str, Any]
    kept: Sequence[int] | None
    layers: Sequence[int] | None = None
    neurons: Sequence[Sequence[int]] | None = None


def described(folder: Path, base: Path, kept: Sequence[int] | None = None) -> None:
    """Put what describes the base into a folder: config, tokenizer, chat template; cut down to the tokens `kept`, where they are given."""
    if kept is not None:
        trim(base, folder, kept)
        return
    for name in FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)


def saved(
    folder: Path,
    base: Path,
    change: Change | None,
    facts: Mapping[str, Any],
    settings: Mapping[str, Any],
    kept: Sequence[int] | None = None,
    layers: Sequence[int] | None = None,
    neurons: Sequence[Sequence[int]] | None = None,
) -> None:
    """Store what was taught, beside what `described` put there; `layers` are those of the base's that are left, `neurons` those of each of
    these layers. The base's own weights are
    not copied: they are verified, and lie where bases lie."""
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


def opened(folder: Path) -> Stored:
    """The decoder in a folder. Raises BaseError where its base is not there any more."""
    told = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    base = Path(told["base"])
    if not base.is_dir():
        raise BaseError("the base that this was taught on is gone", value=str(base), todo="Fetch it again (smidgen pull), or build anew.")
    settings = told["settings"] if told["taught"] else {}
    left = {name: told.get(name) for name in ("kept", "layers", "neurons")}
    return Stored(folder, base, shape_of(folder), config_of(folder), told["facts"], settings, **left)


def base_weights(
    base: Path, kept: Sequence[int] | None, layers: Sequence[int] | None = None, neurons: Sequence[Sequence[int]] | None = None
) -> dict[str, Tensor]:
    """The weights of a base, in 32 bits, its tables cut down to the tokens `kept`, its layers to `layers`, and the feed-forward part of
    each of these to its `neurons`, where they are given."""
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


def _weights(stored: Stored) -> dict[str, Tensor]:
    return base_weights(stored.base, stored.kept, stored.layers, stored.neurons)


def taught(stored: Stored) -> dict[str, Tensor]:
    """All weights by their names in transformers, in 32 bits, with what was learnt."""
    weights = _weights(stored)
    change = _change(stored, weights)
    return weights if change is None else unfolded(weights, change)


def adapter(stored: Stored) -> tuple[dict[str, tuple[Tensor, Tensor]], float] | None:
    """(down, up) by the name in transformers of each matrix, and alpha; None where no adapter was taught."""
    weights = _weights(stored)
    change = _change(stored, weights)
    return (factors(weights, change), change.alpha) if isinstance(change, Adapters) else None


def model_in(stored: Stored, workers: Workers) -> Llama:
    """The decoder to compute with, in the precision that it was taught in."""
    weights = _weights(stored)
    asked = stored.settings.get("precision", "auto")
    dtype = {"auto": best_dtype(), "bf16": torch.bfloat16, "f32": torch.float32}[asked]
    change = _change(stored, weights)
    frozen = change.frozen if change is not None else frozen_of(weights, stored.shape)
    model = model_of(weights, frozen, stored.shape, list(stored.facts["before"]), dtype)
    if change is not None:
        change.merge(model, workers)
    return model


def _change(stored: Stored, weights: dict[str, Tensor]) -> Change | None:
    from safetensors.torch import load_file

    settings = stored.settings
    if not settings:
        return None
    frozen = frozen_of(weights, stored.shape)
    if settings["method"] == "lora":
        nothing = torch.Generator().manual_seed(0)
        change: Change = Adapters(stored.shape, frozen, settings["rank"], settings["alpha"], nothing, torch.float32)
    else:
        change = Matrices(stored.shape, frozen)
    change.load(load_file(str(stored.folder / _CHANGE)))
    change.rounded = bool(stored.facts.get("rounded"))
    return change
