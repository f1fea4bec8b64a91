"""A decoder of a few thousand numbers with the most frequent of the starter's tokens, or all: a base that is taught in seconds."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from smidgen.bases.lookup import find
from smidgen.core.rows import Row
from smidgen.students.vocabulary import MergeTable, trim_decoder

FREQUENT = 3072
"""How many of the starter's merges the tokens come from, where not all are wanted: with all of them, what is done to the table of tokens
takes most of a test's time."""
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
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA3 |= {"original_max_position_embeddings": 32}
KINDS: dict[str, dict[str, object]] = {
    "llama": {},
    "llama3": {"rope_parameters": LLAMA3},
    # As Qwen 2.5 has it: a window that is not used.
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "sliding_window": 32, "use_sliding_window": False},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"},
    "gemma3": {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 16,
        "sliding_window": 4,
        "rope_theta": 1e6,
        "rope_local_base_freq": 10000.0,
    },
}
LAYERS = {"gemma3": 7}
"""Every sixth layer of a Gemma sees all tokens."""


def tiny_decoder(
    folder: Path, kind: str = "llama", layers: int | None = None, inner: int = 96, *, whole: bool = False, seed: int = 0
) -> Path:
    """Write one of `KINDS`, and give the folder. `whole`: with all of the starter's tokens, so that there is something to trim."""
    folder.mkdir(parents=True, exist_ok=True)
    described = find("smollm2").folder if whole else _frequent()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(described / name, folder / name)
    rows = json.loads((described / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    layers = layers or LAYERS.get(kind, 2)
    config = {**CONFIG, **KINDS[kind], "num_hidden_layers": layers, "intermediate_size": inner, "vocab_size": rows}
    if kind == "gemma3":
        del config["hidden_act"]
        config["layer_types"] = ["sliding_attention" if number % 6 != 5 else "full_attention" for number in range(layers)]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(weights(seed, kind=kind, layers=layers, inner=inner, rows=rows), folder / "model.safetensors")
    return folder


@functools.cache
def _frequent() -> Path:
    """A folder with what describes the starter, its tokens cut down to the most frequent."""
    starter, out = find("smollm2").folder, Path(tempfile.mkdtemp(prefix="smidgen-frequent-"))
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    trim_decoder(starter, out, MergeTable(starter).kept((), FREQUENT))
    return out


def copying_rows() -> list[Row]:
    """Rows whose answers are their inputs but for one word: what is guessed from the input is mostly right."""
    words = ["the", "red", "vase", "on", "our", "old", "table", "is", "nice", "and", "a", "blue", "lamp", "by", "my", "new", "door"]
    texts = [" ".join(words[(number + place) % len(words)] for place in range(24)) for number in range(16)]
    return [Row(text, text.replace("nice", "fine"), number) for number, text in enumerate(texts, 1)]


def weights(seed: int = 0, kind: str = "llama", layers: int = 2, inner: int = 96, rows: int = 49152) -> dict[str, torch.Tensor]:
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
    less = 1.0 if kind == "gemma3" else 0.0

    def norm(size: int) -> torch.Tensor:
        return torch.empty(size).uniform_(0.5, 1.5, generator=random) - less

    found = {"model.embed_tokens.weight": torch.randn(rows, width, generator=random) * 0.05}
    for number in range(layers):
        for name, shape in shapes.items():
            found[f"model.layers.{number}.{name}.weight"] = torch.randn(shape, generator=random) * 0.1
            if kind == "qwen2" and name[-6] in "qkv" and name.startswith("self_attn"):
                found[f"model.layers.{number}.{name}.bias"] = torch.randn(shape[0], generator=random) * 0.2
        names = ["input_layernorm", "post_attention_layernorm"]
        names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"] if kind == "gemma3" else []
        for name in names:
            found[f"model.layers.{number}.{name}.weight"] = norm(width)
        for name in ("q_norm", "k_norm") if kind in ("qwen3", "gemma3") else ():
            found[f"model.layers.{number}.self_attn.{name}.weight"] = norm(head)
    found["model.norm.weight"] = norm(width)
    return found
