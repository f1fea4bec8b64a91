"""Decoder architectures that can be trained (Llama, Qwen2, Qwen3, Gemma 3): their sizes, and the names of their tensors.

Sizes come from the config.json beside the weights. Tensors have one name in transformers and another in a GGUF, which also stores the rows
of queries and keys in another order.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from smidgen.core.errors import BaseError

_ACTS = {"llama": "silu", "qwen2": "silu", "qwen3": "silu", "gemma3_text": "gelu_pytorch_tanh"}
"""The supported architectures, each with the one activation of its feed-forward layers."""
GEMMA_FAR = 6
"""Every sixth layer of a Gemma 3 sees all tokens, the others only the nearest; llama.cpp has this number fixed."""
_TODO = "Name another base: smollm2, or a Llama, Qwen2, Qwen3 or Gemma 3 model of text alone."


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """The sizes of a decoder: `layers` blocks of width `width`, `heads` query heads on `kv_heads` keys and values of `head` numbers
    each, an inner layer of `inner`; `context` is the most tokens that it was pretrained on; `tied`: its output shares the token table.

    Differences between architectures:
        stretch: a factor for each rotary pair's period; empty without stretching.
        head_norms: queries and keys are normed by head before the rotation (Qwen3, Gemma 3).
        gemma: norms also after attention and feed-forward, with weights that count from one; token vectors times the root of the width;
            and GELU instead of SiLU.
        near: for each layer whether it sees only the nearest `window` tokens, with rotation base `near_theta`; empty if all see all.
    """

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
    stretch: tuple[float, ...] = ()
    head_norms: bool = False
    gemma: bool = False
    near: tuple[bool, ...] = ()
    window: int = 0
    near_theta: float = 10000.0

    @property
    def group(self) -> int:
        """Query heads that share one key and value."""
        return self.heads // self.kv_heads


def shape_of(folder: Path) -> DecoderShape:
    """The shape of the decoder in `folder`. Raises BaseError for an unsupported architecture or activation."""
    config, name = config_of(folder), str(folder)
    shape, kind = shape_in(config, name), config.get("model_type")
    if kind != "qwen2" and (config.get("attention_bias") or config.get("mlp_bias")):
        raise BaseError("gguf.biases_cannot_be_trained", value=name, kind=kind)
    return shape


def shape_in(config: Mapping[str, Any], name: str) -> DecoderShape:
    """The shape in a config of transformers; `name` is the model's, for errors. Raises as `shape_of`."""
    kind = str(config.get("model_type"))
    if kind not in _ACTS:
        raise BaseError("gguf.architecture_cannot_be_trained", value=name, kind=kind, acts=", ".join(_ACTS))
    act = config.get("hidden_act") or config.get("hidden_activation") or _ACTS[kind]
    if act != _ACTS[kind]:
        raise BaseError("gguf.activation_cannot_be_trained", value=name, kind=kind, act=act, acts=_ACTS[kind])
    heads, gemma, layers = int(config["num_attention_heads"]), kind == "gemma3_text", int(config["num_hidden_layers"])
    head = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
    # Qwen's config states a window that it does not use.
    if not gemma and config.get("use_sliding_window"):
        raise BaseError("gguf.sliding_windows_cannot_be_trained", value=name, kind=kind)
    if gemma:
        _plain_gemma(config, head, name)
    rope = rope_of(config)
    return DecoderShape(
        layers=layers,
        width=int(config["hidden_size"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head=head,
        inner=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        context=int(config["max_position_embeddings"]),
        eps=float(config["rms_norm_eps"]),
        theta=float(rope.get("rope_theta") or 10000.0),
        tied=bool(config.get("tie_word_embeddings", gemma)),
        stretch=stretch_of(config, head, name),
        head_norms=kind in ("qwen3", "gemma3_text"),
        gemma=gemma,
        near=tuple(number % GEMMA_FAR != GEMMA_FAR - 1 for number in range(layers)) if gemma else (),
        window=int(config.get("sliding_window") or 0) if gemma else 0,
        near_theta=float(rope_of(config, "sliding_attention").get("rope_theta") or 10000.0)
        if gemma and "sliding_attention" in (config.get("rope_parameters") or {})
        else float(config.get("rope_local_base_freq") or 10000.0),
    )


def _plain_gemma(config: Mapping[str, Any], head: int, name: str) -> None:
    """Refuse, with BaseError, variants that no published text-only Gemma 3 has, and that llama.cpp would compute differently."""
    kinds = config.get("layer_types") or ()
    far = [number for number, kind in enumerate(kinds) if kind == "full_attention"]
    odd = {
        "softcapped logits": config.get("final_logit_softcapping") or config.get("attn_logit_softcapping"),
        "attention both ways": config.get("use_bidirectional_attention"),
        "attention of another scale": float(config.get("query_pre_attn_scalar") or head) != head,
        "layers that see all in other places": bool(kinds) and far != list(range(GEMMA_FAR - 1, len(kinds), GEMMA_FAR)),
        "layers that see all in other steps": config.get("sliding_window_pattern", GEMMA_FAR) != GEMMA_FAR,
        "no window": not config.get("sliding_window"),
    }
    if found := [what for what, there in odd.items() if there]:
        raise BaseError("gguf.gemma3_variant_cannot_be_trained", value=name, found=found[0])


def rope_of(config: Mapping[str, Any], kind: str = "full_attention") -> dict[str, Any]:
    """The rotary settings: newer configs have them in one place, or in one for each kind of layer, older ones in two."""
    told = dict(config.get("rope_parameters") or {})
    found = dict(config.get("rope_scaling") or {}) | (dict(told[kind] or {}) if kind in told else told)
    if "rope_theta" not in found and config.get("rope_theta") is not None:
        found["rope_theta"] = config["rope_theta"]
    return found


def stretch_of(config: Mapping[str, Any], head: int, name: str) -> tuple[float, ...]:
    """The factor of each pair's period if positions are stretched as in Llama 3.1; empty without stretching.

    Raises BaseError for other kinds of stretching.
    """
    rope = rope_of(config)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return ()
    if kind != "llama3":
        raise BaseError("gguf.rope_scaling_cannot_be_trained", value=name, kind=kind)
    factor, low, high = float(rope["factor"]), float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
    theta, trained = float(rope.get("rope_theta") or 10000.0), float(rope["original_max_position_embeddings"])
    found = []
    for number in range(0, head, 2):
        # Periods much shorter than the trained context stay, much longer ones are stretched fully, those between partly.
        share = min(1.0, max(0.0, (trained / (2 * math.pi * theta ** (number / head)) - low) / (high - low)))
        found.append(1 / ((1 - share) / factor + share))
    return tuple(found)


def config_of(folder: Path) -> Mapping[str, Any]:
    """The config in the form of transformers."""
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
"""The names of architectures: `model_type` in transformers, `general.architecture` in a GGUF."""
GEMMA = "gemma3"

_WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_GEMMA_LAYER = _LAYER | {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
"""A Gemma also norms after attention and feed-forward: `post_attention_layernorm`, elsewhere the feed-forward's norm, is another norm
there."""
_WHOLE_BACK = {short: long for long, short in _WHOLE.items()}
_LAYER_BACK, _GEMMA_BACK = ({short: long for long, short in names.items()} for names in (_LAYER, _GEMMA_LAYER))


def architecture_of(kind: Any) -> str:
    """The GGUF name of an architecture of transformers. Raises BaseError if it is not in `ARCHITECTURES`."""
    if kind not in ARCHITECTURES:
        raise BaseError("gguf.weights_of_architecture_are_unknown", value=str(kind), kind=kind, architectures=", ".join(ARCHITECTURES))
    return ARCHITECTURES[kind]


def known_architecture(architecture: Any) -> str:
    """The architecture that a GGUF names. Raises BaseError if it is not in `ARCHITECTURES`."""
    back = {short: long for long, short in ARCHITECTURES.items()}
    return architecture_of(back.get(architecture, architecture))


def gguf_name(name: str, architecture: str = "llama") -> str:
    """`model.layers.3.self_attn.q_proj.weight` -> `blk.3.attn_q.weight`. Raises BaseError for a name of another model."""
    stem, _, end = name.rpartition(".")
    found = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", stem)
    layer = _GEMMA_LAYER if architecture == GEMMA else _LAYER
    short = layer.get(found[2]) if found else _WHOLE.get(stem)
    if short is None or end not in ("weight", "bias"):
        raise _unknown_tensor(name)
    return f"blk.{found[1]}.{short}.{end}" if found else f"{short}.{end}"


def transformers_name(name: str, architecture: str = "llama") -> str:
    """The reverse of `gguf_name`."""
    stem, _, end = name.rpartition(".")
    found = re.fullmatch(r"blk\.(\d+)\.(.+)", stem)
    layer = _GEMMA_BACK if architecture == GEMMA else _LAYER_BACK
    long = layer.get(found[2]) if found else _WHOLE_BACK.get(stem)
    if long is None or end not in ("weight", "bias"):
        raise _unknown_tensor(name)
    return f"model.layers.{found[1]}.{long}.{end}" if found else f"{long}.{end}"


def rotary_heads(name: str, architecture: str, heads: int, kv_heads: int) -> int:
    """The number of heads of a tensor whose rows a GGUF stores in another order than transformers; else 0.

    Args:
        name: the tensor's name in a GGUF.
    """
    if architecture != "llama":
        return 0
    return {"attn_q": heads, "attn_k": kv_heads}.get(name.split(".")[2] if name.startswith("blk.") else "", 0)


def counted_from_one(name: str, architecture: str) -> bool:
    """Whether a tensor, by its name in a GGUF, holds a norm's weights, which transformers stores minus one."""
    return architecture == GEMMA and name.endswith("_norm.weight")


def interleaved(rows: Tensor, heads: int) -> Tensor:
    """Reorder rows of queries or keys for a Llama's GGUF: the two halves of each head's rotary pairs side by side.

    Args:
        rows: (heads * width of a head) or (heads * width of a head, n), in transformers' order.
    """
    return _by_head(rows, heads, 2, -1)


def halved(rows: Tensor, heads: int) -> Tensor:
    """The reverse of `interleaved`: rows of a GGUF in transformers' order."""
    return _by_head(rows, heads, -1, 2)


def _by_head(rows: Tensor, heads: int, first: int, second: int) -> Tensor:
    if rows.shape[0] % (2 * heads):
        raise BaseError("gguf.rows_of_queries_or_keys_do_not_fit", value=tuple(rows.shape), shape=rows.shape[0], heads=heads)
    width = rows.numel() // rows.shape[0]
    size = rows.shape[0] // heads
    shape = [heads, size // 2 if first == -1 else first, size // 2 if second == -1 else second, width]
    return rows.reshape(shape).transpose(1, 2).reshape(rows.shape)


def heads_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """The number of query heads, and of key and value heads, in a config of transformers."""
    heads = int(config["num_attention_heads"])
    return heads, int(config.get("num_key_value_heads") or heads)


def _unknown_tensor(name: str) -> BaseError:
    return BaseError("gguf.tensor_does_not_belong_to_plain_decoder", value=name, architectures=", ".join(ARCHITECTURES))
