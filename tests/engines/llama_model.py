"""A small decoder for the llama engine's tests: SmolLM2 with the tokenizer that its own file describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smidgen.gguf.header import read_metadata

BEFORE = [1, 4093, 198]  # <|im_start|>user\n
AFTER = [2, 198, 1, 520, 9531, 198]  # <|im_end|>\n<|im_start|>assistant\n
STOP = [2]
ENDLESS = 'root ::= many{100}\nmany ::= "x"{100}'
"""A grammar of nothing but ten thousand letters."""
SPECIAL = 3
"""The kind of special tokens in a GGUF file."""


def options(**more: Any) -> dict[str, Any]:
    """Engine options for few and short answers."""
    return {"before": BEFORE, "after": AFTER, "stop": STOP, "max_tokens": 12, "context": 512, "slots": 4, **more}


def write_tokenizer(gguf: Path, file: Path) -> None:
    """The byte-level BPE of a GGUF file as a `tokenizer.json`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    facts = read_metadata(gguf)
    words, kinds, merges = (facts[f"tokenizer.ggml.{name}"] for name in ("tokens", "token_type", "merges"))
    tokenizer = Tokenizer(models.BPE({word: at for at, word in enumerate(words)}, [tuple(merge.split(" ", 1)) for merge in merges]))
    splits = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(word, special=True, normalized=False) for word, kind in zip(words, kinds, strict=True) if kind == SPECIAL]
    )
    tokenizer.save(str(file))


TOOL_TEMPLATE = """{%- if tools %}<|im_start|>system
You may call one or more functions. You are provided with function signatures within <tools></tools> XML tags:
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools>
For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}{% for message in messages %}{% if message.tool_calls %}<|im_start|>assistant{% for tool_call in message.tool_calls %}
<tool_call>
{"name": "{{ tool_call.function.name }}", "arguments": {{ tool_call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% elif message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A template that knows tools, in the manner of Hermes and Qwen."""


def write_tiny(folder: Path, template: str) -> Path:
    """A decoder of one layer and random weights, that knows bytes: it writes nonsense, within seconds and kilobytes."""
    import numpy as np
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    from gguf import GGUFWriter, TokenType

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), "in"]
    width, inner, heads = 64, 128, 2
    writer = GGUFWriter(folder / "model.gguf", "llama")
    writer.add_block_count(1)
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(words) - 3))
    writer.add_token_merges(["i n"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(template)
    rng = np.random.default_rng(0)
    shapes = {
        "token_embd": (len(words), width),
        "output": (len(words), width),
        **{f"blk.0.attn_{name}": (width, width) for name in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{name}": (inner, width) for name in ("gate", "up")},
        "blk.0.ffn_down": (width, inner),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(0, 0.1, shape).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tokenizer = Tokenizer(models.BPE({word: at for at, word in enumerate(words)}, [("i", "n")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def write_lora(file: Path, seed: int, strength: float, layers: int = 30, width: int = 576, rank: int = 4) -> None:
    """A LoRA adapter of random matrices on the queries; of strength 0 it changes nothing."""
    import numpy as np

    from gguf import GGUFWriter

    writer, rng = GGUFWriter(file, "llama"), np.random.default_rng(seed)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(rank))
    for layer in range(layers):
        down = rng.normal(0, width**-0.5, (rank, width)).astype(np.float32)
        up = rng.normal(0, 1, (width, rank)).astype(np.float32) * strength
        writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_a", down)
        writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_b", up.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
