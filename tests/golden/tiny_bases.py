"""An encoder and a decoder of a few thousand numbers, with the words of the golden builds alone: bases that are taught in seconds.

They are written here from a seed, with nothing of smidgen, so that no change of its code changes what builds begin with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

_CHAT = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_WIDTH, _INNER, _LAYERS, _HEADS, _KEYS = 64, 96, 2, 4, 2


def tiny_encoder(folder: Path, words: Sequence[str]) -> Path:
    """Write a BERT of two layers of width 32 whose tokens are these words; the folder."""
    width, inner, layers, places = 32, 64, 2, 64
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    draw = np.random.default_rng(11)

    def matrix(*shape: int) -> np.ndarray[Any, Any]:
        return (draw.standard_normal(shape) * 0.05).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": matrix(len(tokens), width) * 4,
        "embeddings.position_embeddings.weight": matrix(places, width),
        "embeddings.token_type_embeddings.weight": matrix(2, width),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        at = f"encoder.layer.{layer}."
        norms += [f"{at}attention.output.LayerNorm", f"{at}output.LayerNorm"]
        shapes = {f"attention.self.{name}": (width, width) for name in ("query", "key", "value")}
        shapes |= {"attention.output.dense": (width, width), "intermediate.dense": (inner, width), "output.dense": (width, inner)}
        for name, shape in shapes.items():
            tensors[f"{at}{name}.weight"] = matrix(*shape)
            tensors[f"{at}{name}.bias"] = np.zeros(shape[0], dtype=np.float32)
    for name in norms:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = np.ones(width, dtype=np.float32), np.zeros(width, dtype=np.float32)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": len(tokens),
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": inner,
        "max_position_embeddings": places,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }
    special = [{"id": at, "content": token, **_flags()} for at, token in enumerate(tokens[:5])]
    ends = {name: {"id": name, "ids": [at], "tokens": [name]} for at, name in enumerate(tokens) if name in ("[CLS]", "[SEP]")}
    first, second = ({"Sequence": {"id": name, "type_id": at}} for at, name in enumerate("AB"))
    begin, middle, end = ({"SpecialToken": {"id": name, "type_id": at}} for name, at in (("[CLS]", 0), ("[SEP]", 0), ("[SEP]", 1)))
    tokenizer = {
        "version": "1.0",
        "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, first, middle],
            "pair": [begin, first, middle, second, end],
            "special_tokens": ends,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {token: at for at, token in enumerate(tokens)},
        },
    }
    return _written(folder, config, tokenizer, tensors)


def tiny_decoder(folder: Path, words: Sequence[str]) -> Path:
    """Write a Llama of two layers of width 64 whose tokens are bytes and what these words are merged from; the folder."""
    letters = _bytes()
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        for spelt in (f"Ġ{word}", word):
            whole = spelt[0]
            for letter in spelt[1:]:
                merges[whole, letter] = None
                whole += letter
    names = [*_SPECIALS, *letters]
    names += [token for token in dict.fromkeys(left + right for left, right in merges) if token not in letters]
    size = -(-len(names) // 64) * 64
    draw = np.random.default_rng(12)

    def matrix(*shape: int) -> np.ndarray[Any, Any]:
        return (draw.standard_normal(shape) * 0.1).astype(np.float32)

    head = _WIDTH // _HEADS
    tensors = {"model.embed_tokens.weight": matrix(size, _WIDTH) / 2, "model.norm.weight": np.ones(_WIDTH, dtype=np.float32)}
    for layer in range(_LAYERS):
        at = f"model.layers.{layer}."
        for name, rows in (("q", _HEADS * head), ("k", _KEYS * head), ("v", _KEYS * head)):
            tensors[f"{at}self_attn.{name}_proj.weight"] = matrix(rows, _WIDTH)
        tensors[f"{at}self_attn.o_proj.weight"] = matrix(_WIDTH, _HEADS * head)
        for name, shape in (("gate", (_INNER, _WIDTH)), ("up", (_INNER, _WIDTH)), ("down", (_WIDTH, _INNER))):
            tensors[f"{at}mlp.{name}_proj.weight"] = matrix(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{at}{name}.weight"] = np.ones(_WIDTH, dtype=np.float32)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": size,
        "hidden_size": _WIDTH,
        "intermediate_size": _INNER,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": _HEADS,
        "num_key_value_heads": _KEYS,
        "head_dim": head,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [{"id": at, "content": token, **_flags()} for at, token in enumerate(_SPECIALS)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, bytewise]},
        "post_processor": None,
        "decoder": bytewise,
        "model": {"type": "BPE", "vocab": {token: at for at, token in enumerate(names)}, "merges": [list(pair) for pair in merges]},
    }
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|im_end|>",
        "chat_template": _CHAT,
    }
    _written(folder, config, tokenizer, tensors)
    (folder / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def _flags() -> dict[str, bool]:
    return {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def _bytes() -> list[str]:
    """The characters that stand for the 256 bytes in byte-level BPE."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    known = {byte: chr(byte) for byte in shown} | {byte: chr(256 + at) for at, byte in enumerate(hidden)}
    return [known[byte] for byte in range(256)]


def _written(folder: Path, config: dict[str, Any], tokenizer: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    save_file(tensors, folder / "model.safetensors")
    return folder
