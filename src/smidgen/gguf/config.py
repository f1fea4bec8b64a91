"""Config and tokenizer files for a decoder that comes as a GGUF: config.json, tokenizer.json, tokenizer_config.json.

Training needs all three. They are derived from the GGUF's own metadata, in transformers' form.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smidgen.core.errors import BaseError
from smidgen.gguf.header import read_metadata, read_tensor_shapes
from smidgen.gguf.tokenizer import pre_of, tokenizer_of

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
_FAMILIES = {
    "llama": ("LlamaForCausalLM", "llama"),
    "qwen2": ("Qwen2ForCausalLM", "qwen2"),
    "qwen3": ("Qwen3ForCausalLM", "qwen3"),
    "gemma3": ("Gemma3ForCausalLM", "gemma3_text"),
}
_STRETCH = "smidgen.rope_scaling"
"""A key of a GGUF's metadata: how a model stretches its positions, as JSON; the stored factors alone are incomplete."""


def write_missing_files(folder: Path, gguf: Path) -> None:
    """Write the files that are missing in `folder`. Each appears whole or not at all.

    Raises:
        BaseError: the GGUF is malformed, its architecture or tokenizer is unknown, or the folder cannot be written to.
    """
    if all((folder / name).is_file() for name in FILES):
        return
    facts = read_metadata(gguf)
    texts = {
        "config.json": _json(config_of(facts, read_tensor_shapes(gguf), str(gguf))),
        "tokenizer.json": tokenizer_of(facts).to_str(),
        "tokenizer_config.json": _json(_tokenizer_config(facts)),
    }
    for name in FILES:
        if not (folder / name).is_file():
            _write(folder / name, texts[name])


def config_of(facts: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], name: str = "GGUF") -> dict[str, Any]:
    """The model's config in transformers' form.

    Args:
        facts: the metadata of a GGUF; `gguf.header.read_metadata`.
        shapes: shapes of its tensors by name; `gguf.header.read_tensor_shapes`.
        name: the model's name, for error messages.

    Raises:
        BaseError: the architecture is unknown, or a number is missing.
    """
    kind = str(facts.get("general.architecture", "none"))
    if kind not in _FAMILIES:
        raise BaseError("gguf.architecture_is_unknown", value=name, kind=kind, families=", ".join(_FAMILIES))
    stretch = facts.get(_STRETCH)
    if ("rope_freqs.weight" in shapes and not stretch) or facts.get(f"{kind}.rope.scaling.type", "none") != "none":
        raise BaseError("gguf.rope_scaling_cannot_be_read", value=name)
    table = shapes.get("token_embd.weight", ())
    if len(table) != 2:
        raise BaseError("gguf.file_has_no_table_of_token_vectors", value=name)
    architecture, model_type = _FAMILIES[kind]
    width, heads = _number(facts, f"{kind}.embedding_length", name), _number(facts, f"{kind}.attention.head_count", name)
    beginning, end = _id(facts, "bos"), _id(facts, "eos")
    padding = _id(facts, "padding")
    layers, head = int(_number(facts, f"{kind}.block_count", name)), int(facts.get(f"{kind}.attention.key_length", width // heads))
    config = {
        "architectures": [architecture],
        "model_type": model_type,
        "hidden_size": int(width),
        "intermediate_size": int(_number(facts, f"{kind}.feed_forward_length", name)),
        "num_hidden_layers": layers,
        "num_attention_heads": int(heads),
        "num_key_value_heads": int(facts.get(f"{kind}.attention.head_count_kv", heads)),
        "head_dim": head,
        "hidden_act": "silu",
        "rms_norm_eps": _short(_number(facts, f"{kind}.attention.layer_norm_rms_epsilon", name)),
        "rope_theta": _short(facts.get(f"{kind}.rope.freq_base", 10000.0)),
        "vocab_size": table[0],
        "max_position_embeddings": int(_number(facts, f"{kind}.context_length", name)),
        "tie_word_embeddings": "output.weight" not in shapes,
        "bos_token_id": beginning,
        "eos_token_id": end,
        "pad_token_id": end if padding is None else padding,
    }
    if stretch:
        config["rope_scaling"] = json.loads(str(stretch))
    if kind == "gemma3":
        config |= _gemma(facts, head, layers, name)
        del config["hidden_act"]
    if kind == "llama":
        config["attention_bias"] = "blk.0.attn_q.bias" in shapes
        config["mlp_bias"] = "blk.0.ffn_gate.bias" in shapes
    return config


def _gemma(facts: Mapping[str, Any], head: int, layers: int, name: str) -> dict[str, Any]:
    """The further keys of a text-only Gemma 3. llama.cpp has fixed which layers see only the nearest tokens."""
    return {
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": head,
        "sliding_window": int(_number(facts, "gemma3.attention.sliding_window", name)),
        "rope_local_base_freq": _short(facts.get("gemma3.rope.freq_base_swa", 10000.0)),
        "layer_types": ["full_attention" if number % 6 == 5 else "sliding_attention" for number in range(layers)],
    }


def _tokenizer_config(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The tokenizer's config for transformers, with the GGUF name of its split."""
    tokens = facts["tokenizer.ggml.tokens"]
    named = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": bool(facts.get("tokenizer.ggml.add_bos_token", False)),
        "model_max_length": facts.get(f"{facts['general.architecture']}.context_length"),
        "smidgen_pre": pre_of(facts),
    }
    for key, name in named.items():
        number = _id(facts, name)
        if number is not None and number < len(tokens):
            config[key] = tokens[number]
    if "pad_token" not in config and "eos_token" in config:
        config["pad_token"] = config["eos_token"]
    if facts.get("tokenizer.chat_template"):
        config["chat_template"] = facts["tokenizer.chat_template"]
    return config


def _number(facts: Mapping[str, Any], key: str, name: str) -> float:
    value = facts.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise BaseError("gguf.metadata_number_is_missing", value=name, key=key)
    return value


def _id(facts: Mapping[str, Any], which: str) -> int | None:
    value = facts.get(f"tokenizer.ggml.{which}_token_id")
    return value if isinstance(value, int) else None


def _short(value: float) -> float:
    """Round a float32 to its shortest decimal: 1e-05, not 9.999999747378752e-06."""
    return float(f"{value:.7g}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _write(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(file)
    except OSError as error:
        raise BaseError("gguf.base_files_cannot_be_written", value=str(file), strerror=error.strerror) from error
