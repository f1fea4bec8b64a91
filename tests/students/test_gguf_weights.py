"""Weights out of a GGUF: the starter writes sense in transformers, rows of queries and keys come back in order, others are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen.bases.lookup import find
from smidgen.core.errors import BaseError
from smidgen.gguf.header import read_header

torch = pytest.importorskip("torch")
gguf = pytest.importorskip("gguf")

from gguf.quants import dequantize, quantize  # noqa: E402

from smidgen.gguf.architectures import gguf_name, halved, interleaved, rotary_heads, transformers_name  # noqa: E402
from smidgen.gguf.weights import read, readers, with_adapter  # noqa: E402


def test_the_starter_writes_sense_in_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    base = find("smollm2")
    (file,) = base.folder.glob("*.gguf")
    weights = read(file)
    assert len(weights) == 272 and all(tensor.dtype == torch.float32 for tensor in weights.values())
    assert weights["model.layers.29.mlp.down_proj.weight"].shape == (576, 1536)
    model = transformers.LlamaForCausalLM(transformers.AutoConfig.from_pretrained(base.folder)).eval()
    left = model.load_state_dict(weights, strict=False)
    assert (left.missing_keys, left.unexpected_keys) == (["lm_head.weight"], [])
    model.tie_weights()
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.folder)
    asked = tokenizer("The capital of France is", return_tensors="pt")
    with torch.inference_mode():
        written = model.generate(**asked, max_new_tokens=3, do_sample=False)
    assert tokenizer.decode(written[0]).startswith("The capital of France is Paris")


def test_rows_of_queries_come_back_in_order() -> None:
    rows = torch.arange(24 * 5, dtype=torch.float32).view(24, 5)
    mixed = interleaved(rows, 3)
    assert mixed[:8, 0].tolist() == rows[[0, 4, 1, 5, 2, 6, 3, 7], 0].tolist()
    assert torch.equal(halved(mixed, 3), rows)
    assert torch.equal(halved(interleaved(rows[:, 0], 3), 3), rows[:, 0])
    with pytest.raises(BaseError, match="24 rows of queries or keys do not fit 5 heads"):
        halved(rows, 5)


def test_names_go_there_and_back() -> None:
    pairs = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
        "blk.12.attn_q.bias": "model.layers.12.self_attn.q_proj.bias",
        "blk.0.attn_k_norm.weight": "model.layers.0.self_attn.k_norm.weight",
        "blk.3.ffn_norm.weight": "model.layers.3.post_attention_layernorm.weight",
    }
    for short, long in pairs.items():
        assert (gguf_name(long), transformers_name(short)) == (short, long)
    assert len(pairs) == 6
    for name in ("model.layers.0.mlp.experts.0.w1.weight", "model.layers.0.self_attn.q_proj.lora_A.weight", "weight"):
        with pytest.raises(BaseError, match="none of a plain decoder"):
            gguf_name(name)
    with pytest.raises(BaseError, match=r"rope_freqs\.weight"):
        transformers_name("rope_freqs.weight")


def test_only_a_llama_has_its_rows_mixed() -> None:
    assert rotary_heads("blk.3.attn_q.weight", "llama", 9, 3) == 9
    assert rotary_heads("blk.3.attn_k.weight", "llama", 9, 3) == 3
    assert rotary_heads("blk.3.attn_v.weight", "llama", 9, 3) == rotary_heads("blk.3.attn_q.weight", "qwen2", 9, 3) == 0
    assert rotary_heads("token_embd.weight", "llama", 9, 3) == 0


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.gguf").write_bytes(b"GGUF" + b"\x03\0\0\0" + b"\xff" * 40)
    with pytest.raises(BaseError, match=r"announces 18446744073709551615 tensors.*wrong\.gguf"):
        read(tmp_path / "wrong.gguf")
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((2, 2), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(BaseError, match="'mamba' are not known here; known: llama, qwen2, qwen3"):
        read(tmp_path / "other.gguf")


def made(file: Path, kind: str, numbers: np.ndarray, **facts: int) -> Path:
    """A Llama of one matrix, and a norm of three numbers before it, so that the matrix lies where the next step of 32 bytes begins."""
    writer, stored = gguf.GGUFWriter(file, "llama"), gguf.GGMLQuantizationType[kind]
    writer.add_head_count(4)
    for name, value in facts.items():
        writer.add_uint32(name, value)
    writer.add_tensor("output_norm.weight", np.arange(3, dtype=np.float32))
    data = numbers.astype({"F32": np.float32, "F16": np.float16}[kind]) if kind in ("F32", "F16") else quantize(numbers, stored)
    writer.add_tensor("output.weight", data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_1"])
def test_a_matrix_of_every_type_is_read_as_the_library_of_the_format_reads_it(kind: str, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    file = made(tmp_path / "model.gguf", kind, numbers)
    found = read(file)
    there = {entry.name: dequantize(entry.data, entry.tensor_type) for entry in gguf.GGUFReader(file).tensors}
    assert np.array_equal(found["lm_head.weight"].numpy(), there["output.weight"]) and len(there) == 2
    assert np.abs(there["output.weight"] - numbers).max() < 0.2
    assert found["model.norm.weight"].tolist() == [0, 1, 2]


def test_what_is_not_all_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    file = made(tmp_path / "model.gguf", "F32", np.ones((5, 64), np.float32))
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) - 32])
    with pytest.raises(BaseError, match=r"output\.weight lies beyond its end.*model\.gguf"):
        readers(file)
    file.write_bytes(raw)
    found = readers(file)
    file.write_bytes(raw[: len(raw) - 32])
    with pytest.raises(BaseError, match=r"cannot be read.*model\.gguf"):
        found["lm_head.weight"]()
    name = b"output.weight"
    place = raw.index(name) + len(name) + 4 + 16
    file.write_bytes(raw[:place] + (99).to_bytes(4, "little") + raw[place + 4 :])
    with pytest.raises(BaseError, match=r"cannot be read.*99"):
        readers(file)


def test_tensors_lie_in_steps_of_the_size_that_the_file_says(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).normal(size=(2, 64)).astype(np.float32)
    with pytest.raises(BaseError, match=r"general\.alignment is 48, which is no power of two"):
        read(made(tmp_path / "odd.gguf", "F32", numbers, **{"general.alignment": 48}))
    file = tmp_path / "wide.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_head_count(4)
    writer.add_custom_alignment(256)
    writer.add_tensor("output_norm.weight", np.arange(3, dtype=np.float32))
    writer.add_tensor("output.weight", numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert np.array_equal(read(file)["lm_head.weight"].numpy(), numbers)
    assert read_header(file)[1]["output.weight"].start % 256 == 0


def test_a_damaged_adapter_is_named_and_nothing_is_made_for_what_it_announces(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "adapter.gguf", "llama")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    for name, shape in (("lora_a", (2, 6)), ("lora_b", (4, 2))):
        writer.add_tensor(f"output.weight.{name}", np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file, weights = tmp_path / "adapter.gguf", {"lm_head.weight": torch.zeros(4, 6)}
    assert with_adapter(weights, file, (1, 1))["lm_head.weight"].tolist() == [[2.0] * 6] * 4
    raw = file.read_bytes()
    place = raw.index(b"lora_a") + len("lora_a") + 4
    large = raw[:place] + (1 << 42).to_bytes(8, "little") + raw[place + 8 :]
    for damaged in (large, raw[:-40], raw[:60], b"PK" + raw):
        file.write_bytes(damaged)
        with pytest.raises(BaseError, match=r"adapter cannot be laid over the model.*adapter\.gguf.*Build the bundle again"):
            with_adapter(weights, file, (1, 1))
    assert weights["lm_head.weight"].sum() == 0
