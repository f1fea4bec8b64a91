"""A decoder of a few thousand numbers with the starter's tokenizer: a base that is taught in seconds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from smidgen.bases.finding import find

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "vocab_size": 49152,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tiny_decoder(folder: Path, kind: str = "llama", layers: int = 2, inner: int = 96) -> Path:
    """Write it, and give the folder. `kind` is `llama`, or `qwen2`, which adds biases to queries, keys and values."""
    folder.mkdir(parents=True, exist_ok=True)
    starter = find("smollm2").folder
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(starter / name, folder / name)
    config = CONFIG if kind == "llama" else {**CONFIG, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    config = {**config, "num_hidden_layers": layers, "intermediate_size": inner}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(weights(biased=kind == "qwen2", layers=layers, inner=inner), folder / "model.safetensors")
    return folder


def weights(seed: int = 0, biased: bool = False, layers: int = 2, inner: int = 96) -> dict[str, torch.Tensor]:
    """Random weights by their names in transformers; norms are far from one, so that folding them wrongly shows."""
    random = torch.Generator().manual_seed(seed)
    width, head = CONFIG["hidden_size"], CONFIG["head_dim"]
    q, kv = CONFIG["num_attention_heads"] * head, CONFIG["num_key_value_heads"] * head
    shapes = {
        "self_attn.q_proj": (q, width),
        "self_attn.k_proj": (kv, width),
        "self_attn.v_proj": (kv, width),
        "self_attn.o_proj": (width, q),
    }
    shapes |= {"mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width), "mlp.down_proj": (width, inner)}
    found = {"model.embed_tokens.weight": torch.randn(CONFIG["vocab_size"], width, generator=random) * 0.05}
    for number in range(layers):
        for name, shape in shapes.items():
            found[f"model.layers.{number}.{name}.weight"] = torch.randn(shape, generator=random) * 0.1
            if biased and name[-6] in "qkv" and name.startswith("self_attn"):
                found[f"model.layers.{number}.{name}.bias"] = torch.randn(shape[0], generator=random) * 0.2
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{number}.{name}.weight"] = torch.empty(width).uniform_(0.5, 1.5, generator=random)
    found["model.norm.weight"] = torch.empty(width).uniform_(0.5, 1.5, generator=random)
    return found
