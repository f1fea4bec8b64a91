"""What a decoder's tensors are called in transformers and in a GGUF, and in which order a GGUF keeps the rows of queries and keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from smidgen.core.errors import BaseError

ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3_text": "gemma3"}
"""What is `model_type` in transformers, and `general.architecture` in a GGUF."""
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
"""A Gemma norms behind attention and feed-forward as well: what comes behind attention elsewhere is no norm of the feed-forward there."""
_WHOLE_BACK = {short: long for long, short in _WHOLE.items()}
_LAYER_BACK, _GEMMA_BACK = ({short: long for long, short in names.items()} for names in (_LAYER, _GEMMA_LAYER))


def architecture_of(kind: Any) -> str:
    """The name in a GGUF of an architecture of transformers, if it is one of `ARCHITECTURES`. Raises BaseError otherwise."""
    if kind not in ARCHITECTURES:
        raise BaseError(
            f"weights of the architecture {kind!r} are not known here; known: {', '.join(ARCHITECTURES)}",
            value=str(kind),
            todo="Name a base of one of these: --base smollm2, or hf:owner/name.",
        )
    return ARCHITECTURES[kind]


def known(architecture: Any) -> str:
    """The architecture that a GGUF names, if it is one of `ARCHITECTURES`. Raises BaseError otherwise."""
    back = {short: long for long, short in ARCHITECTURES.items()}
    return architecture_of(back.get(architecture, architecture))


def gguf_name(name: str, architecture: str = "llama") -> str:
    """`model.layers.3.self_attn.q_proj.weight` -> `blk.3.attn_q.weight`. Raises BaseError for a name of another model."""
    stem, _, end = name.rpartition(".")
    found = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", stem)
    layer = _GEMMA_LAYER if architecture == GEMMA else _LAYER
    short = layer.get(found[2]) if found else _WHOLE.get(stem)
    if short is None or end not in ("weight", "bias"):
        raise _stranger(name)
    return f"blk.{found[1]}.{short}.{end}" if found else f"{short}.{end}"


def transformers_name(name: str, architecture: str = "llama") -> str:
    """The way back of `gguf_name`."""
    stem, _, end = name.rpartition(".")
    found = re.fullmatch(r"blk\.(\d+)\.(.+)", stem)
    layer = _GEMMA_BACK if architecture == GEMMA else _LAYER_BACK
    long = layer.get(found[2]) if found else _WHOLE_BACK.get(stem)
    if long is None or end not in ("weight", "bias"):
        raise _stranger(name)
    return f"model.layers.{found[1]}.{long}.{end}" if found else f"{long}.{end}"


def rotary_heads(name: str, architecture: str, heads: int, kv_heads: int) -> int:
    """How many heads the rows of a tensor belong to, where a GGUF keeps its rows in another order than transformers; else 0.

    Args:
        name: the tensor's name in a GGUF.
    """
    if architecture != "llama":
        return 0
    return {"attn_q": heads, "attn_k": kv_heads}.get(name.split(".")[2] if name.startswith("blk.") else "", 0)


def counted_from_one(name: str, architecture: str) -> bool:
    """Whether a tensor, by its name in a GGUF, holds a norm's weights that transformers has less one."""
    return architecture == GEMMA and name.endswith("_norm.weight")


def interleaved(rows: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys as a GGUF of a Llama has them: the two halves of each head's rotary pairs side by side, not far apart.

    Args:
        rows: (heads * width of a head) or (heads * width of a head, n), as transformers has them.
    """
    return _by_head(rows, heads, 2, -1)


def halved(rows: Tensor, heads: int) -> Tensor:
    """The way back of `interleaved`: rows of a GGUF as transformers has them."""
    return _by_head(rows, heads, -1, 2)


def _by_head(rows: Tensor, heads: int, first: int, second: int) -> Tensor:
    if rows.shape[0] % (2 * heads):
        raise BaseError(
            f"{rows.shape[0]} rows of queries or keys do not fit {heads} heads", value=tuple(rows.shape), todo="Fetch the base anew."
        )
    width = rows.numel() // rows.shape[0]
    size = rows.shape[0] // heads
    shape = [heads, size // 2 if first == -1 else first, size // 2 if second == -1 else second, width]
    return rows.reshape(shape).transpose(1, 2).reshape(rows.shape)


def heads_of(config: Mapping[str, Any]) -> tuple[int, int]:
    """Heads of queries, and of keys and values, in a config of transformers."""
    heads = int(config["num_attention_heads"])
    return heads, int(config.get("num_key_value_heads") or heads)


def _stranger(name: str) -> BaseError:
    return BaseError(
        f"the tensor is none of a plain decoder ({', '.join(ARCHITECTURES)})",
        value=name,
        todo="Name a base of one of these architectures, or merge adapters into the weights first.",
    )
