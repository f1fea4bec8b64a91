"""The sizes of a decoder, read from the config.json beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import BaseError

_KNOWN = ("llama", "qwen2")
_ACT = "silu"
"""The one activation that is computed here."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a decoder is made of: `layers` blocks of width `width`, `heads` query heads on `kv_heads` keys and values of `head` numbers
    each, an inner layer of `inner`; `context` is the most tokens that it was pretrained on; `tied`: its output shares the token table."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    inner: int
    vocabulary: int
    context: int
    eps: float
    theta: float
    tied: bool

    @property
    def group(self) -> int:
        """Query heads that share one key and value."""
        return self.heads // self.kv_heads


def shape_of(folder: Path) -> Shape:
    """The shape of the decoder in `folder`. Raises BaseError for an architecture or an activation that is not taught here."""
    config = config_of(folder)
    kind = config.get("model_type")
    if kind not in _KNOWN:
        raise BaseError(
            f"a decoder of the architecture {kind!r} cannot be taught here; those that can: {', '.join(_KNOWN)}",
            value=str(folder),
            todo="Name another base, such as smollm2, or a Llama or Qwen2 model.",
        )
    act = config.get("hidden_act", _ACT)
    if act != _ACT:
        raise BaseError(
            f"a decoder with the activation {act!r} cannot be taught here; those that can have {_ACT!r}",
            value=str(folder),
            todo="Name another base, such as smollm2, or a Llama or Qwen2 model.",
        )
    if kind == "llama" and (config.get("attention_bias") or config.get("mlp_bias")):
        raise BaseError(
            "a Llama with biases in its layers cannot be taught here", value=str(folder), todo="Name another base, such as smollm2."
        )
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    if rope.get("rope_type", rope.get("type", "default")) != "default" or config.get("use_sliding_window") or config.get("sliding_window"):
        raise BaseError(
            "a decoder that stretches its positions or attends in windows cannot be taught here",
            value=str(folder),
            todo="Name another base, such as smollm2.",
        )
    heads = int(config["num_attention_heads"])
    return Shape(
        layers=int(config["num_hidden_layers"]),
        width=int(config["hidden_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head=int(config.get("head_dim") or int(config["hidden_size"]) // heads),
        inner=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        context=int(config["max_position_embeddings"]),
        eps=float(config["rms_norm_eps"]),
        theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def config_of(folder: Path) -> Mapping[str, Any]:
    """The config as transformers has it."""
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found
