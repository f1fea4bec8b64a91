"""GGUF files that are written here: llama.cpp loads them and writes what transformers writes, token for token."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf.quants import dequantize, quantize
from tests.llama import told
from tests.students.tiny_decoder import LLAMA3

from smidgen.bases.lookup import find
from smidgen.core.errors import BaseError, TrainError
from smidgen.gguf.architectures import gguf_name, halved, interleaved, rotary_heads, transformers_name
from smidgen.gguf.header import read_header, read_metadata, read_tensor_shapes
from smidgen.gguf.tokenizer import (
    tokenizer_of,
    vocabulary_of,
)
from smidgen.gguf.weights import (
    read,
    readers,
    with_adapter,
    write,
    write_adapter,
)

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("gguf")
pytest.importorskip("xllamacpp")


TEXTS = (
    "I'll pay $3.50 on 2024-05-06, WE'LL see",
    "\t tabs  and   spaces \r\n\n x",
    "日本語 ¿qué? 👩‍🚀 e\u0301 ١٢٣ ½",
    "<|im_start|>user\nHi<|im_end|>",
)
PIECES = (
    "the ",
    "I'll",
    "'S",
    "'RE ",
    "'ve",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "1",
    "23",
    "456",
    "７",
    "½",
    "²",
    "é",
    "e\u0301",
    "日本",
    "한",
    "🙂",
    "$",
    "€",
)
PIECES += (
    "...",
    "!?",
    "_",
    "-",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\u200b",
    "א",
    "٣",
    "न्",
    "<|im_end|>",
    "<",
    "|",
    "^",
    "`",
    "=",
    "\x00",
    "\x85",
    "ſ",
    "K",
)
SMALL = {"vocab_size": 300, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GEMMA3 = {"tie_word_embeddings": True, "num_hidden_layers": 7, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 16}
SHAPES = {
    "llama": ("llama", {"tie_word_embeddings": False}),
    "llama-biased": ("llama", {"tie_word_embeddings": True, "attention_bias": True}),
    "llama-stretched": ("llama", {"tie_word_embeddings": True, "rope_parameters": LLAMA3}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"tie_word_embeddings": False, "head_dim": 16}),
    # A prompt of 40 tokens is longer than the window.
    "gemma3": ("gemma3_text", GEMMA3),
}


def letters(folder: Path) -> Path:
    """A small tokenizer with three special tokens, saved in a folder. Every token is whole characters."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = ["<s>", "<|im_start|>", "<|im_end|>", "a", "b", "ab", *(f"w{number}" for number in range(6, 260))]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, [("a", "b")]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in tokens[:3]])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def made(kind: str, **more: Any) -> Any:
    """A small model with random weights that are far apart: no two tokens are nearly as likely."""
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(kind, **(SMALL | more))
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(torch.randn_like(tensor) * (0.3 if tensor.dim() > 1 else 0.2) + (0 if tensor.dim() > 1 else 1))
    return model


def greedy(model: Any, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """What transformers writes after a prompt, and how likely each token was (log), by the plain softmax."""
    ids, likely = list(prompt), []
    with torch.inference_mode():
        for _ in range(count):
            logits = model(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1)
            ids.append(int(logits.argmax()))
            likely.append(float(logits.max()))
            if ids[-1] == 2:
                break
    return ids[len(prompt) :], likely


@pytest.mark.parametrize("shape", SHAPES)
def test_llama_cpp_computes_what_transformers_does(shape: str, tmp_path: Path) -> None:
    kind, more = SHAPES[shape]
    model = made(kind, **more)
    weights, config = model.state_dict(), model.config.to_dict()
    write(tmp_path / "model.gguf", weights, config, letters(tmp_path), kind="f32", template=None, eos_id=2, name="small")
    prompts = [[5, 9, 200, 31], [1, 77], list(range(10, 90, 2))]
    answers = told(tmp_path / "model.gguf", prompts, count=8).written
    assert len(answers) == 3
    for prompt, (ids, likely, _) in zip(prompts, answers, strict=True):
        expected = greedy(model, prompt, len(likely))
        assert ids == expected[0][: len(ids)]
        # llama.cpp looks GELU up in a table of 16 bits.
        assert likely == pytest.approx(expected[1][: len(ids)], abs=5e-3 if kind == "gemma3_text" else 1e-4)
    back = read(tmp_path / "model.gguf") if "stretched" not in shape else {}
    for name, tensor in back.items():
        # A Gemma's norms are stored with one added.
        assert torch.allclose(tensor, weights[name], rtol=0, atol=1e-6) if kind == "gemma3_text" else torch.equal(tensor, weights[name]), (
            name
        )
    assert len(back) in (0, len(weights) - bool(more["tie_word_embeddings"]))


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Path]:
    """The starter's folder; its weights in 16 bits; their GGUF."""
    folder, out = find("smollm2").folder, tmp_path_factory.mktemp("smollm2")
    (file,) = folder.glob("*.gguf")
    weights = {name: tensor.half().float() for name, tensor in read(file).items()}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    template = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    write(out / "model.gguf", weights, config, folder, template=template, eos_id=2, name="shop-writer")
    return folder, weights, out / "model.gguf"


def test_the_starter_is_written_as_it_came(smollm2: tuple[Path, dict[str, Any], Path]) -> None:
    folder, _, file = smollm2
    (source,) = folder.glob("*.gguf")
    before, after = read_metadata(source), read_metadata(file)
    assert len(before["tokenizer.ggml.tokens"]) == 49152
    same = [key for key in before if key.startswith(("llama.", "tokenizer.")) and key != "tokenizer.ggml.unknown_token_id"]
    assert len(same) > 18
    assert [key for key in same if after[key] != before[key]] == []
    assert (after["general.name"], after["general.file_type"], after["general.size_label"]) == ("shop-writer", 1, "135M")
    assert read_tensor_shapes(file) == read_tensor_shapes(source)


@pytest.mark.thorough
def test_the_starter_writes_the_same_in_both(smollm2: tuple[Path, dict[str, Any], Path]) -> None:
    folder, weights, file = smollm2
    model = transformers.LlamaForCausalLM(transformers.AutoConfig.from_pretrained(folder)).eval()
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    asked = ("What is the capital of France?", "Write a line about a red lamp.")
    chat = [[{"role": "user", "content": question}] for question in asked]
    prompts = [tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False) for turn in chat]
    prompts.append(tokenizer("Once upon a time")["input_ids"])
    answers = told(file, prompts, count=16, texts=TEXTS)
    assert len(answers.written) == 3
    for prompt, (ids, likely, _) in zip(prompts, answers.written, strict=True):
        expected = greedy(model, prompt, len(likely))
        assert ids == expected[0][: len(ids)] and len(ids) >= 5
        assert likely == pytest.approx(expected[1], abs=0.05)
    assert "Paris" in answers.written[0][2]
    assert answers.split == [tokenizer(text)["input_ids"] for text in TEXTS]


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "llama-bpe", "qwen2", "default"])
def test_each_split_is_llama_cpp_s(pre: str, tmp_path: Path) -> None:
    """The starter's tokens under every split: a tokenizer that is drawn from a GGUF gives llama.cpp's ids for odd texts."""
    (file,) = find("smollm2").folder.glob("*.gguf")
    tokenizer = tokenizer_of(read_metadata(file) | {"tokenizer.ggml.pre": pre})
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"smidgen_pre": pre}), encoding="utf-8")
    model = made("llama", tie_word_embeddings=True, vocab_size=49152, hidden_size=32, head_dim=8, num_hidden_layers=1)
    write(tmp_path / "model.gguf", model.state_dict(), model.config.to_dict(), tmp_path, template=None, eos_id=2, name="small")
    chance = random.Random(1)
    texts = [*TEXTS, *("".join(chance.choices(PIECES, k=chance.randint(1, 14))) for _ in range(300))]
    if pre == "qwen2":  # whose tokenizer composes accents first, which llama.cpp leaves to its callers
        texts = [unicodedata.normalize("NFC", text) for text in texts]
    split = told(tmp_path / "model.gguf", texts=texts).split
    assert len(split) == 304
    assert [text for text, ids in zip(texts, split, strict=True) if ids != tokenizer.encode(text).ids] == []


def test_an_adapter_does_what_merged_weights_do(tmp_path: Path) -> None:
    model = made("llama", tie_word_embeddings=True)
    config, folder = model.config.to_dict(), letters(tmp_path)
    write(tmp_path / "model.gguf", model.state_dict(), config, folder, kind="f32", template=None, eos_id=2, name="small")
    factors, alpha, rank = {}, 6.0, 4
    changed = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")
    for name, tensor in model.state_dict().items():
        if name.removesuffix(".weight").endswith(changed):
            factors[name] = torch.randn(rank, tensor.shape[1]) * 0.3, torch.randn(tensor.shape[0], rank) * 0.3
    write_adapter(tmp_path / "adapter.gguf", factors, config, alpha=alpha, name="tone")
    prompt = [5, 9, 200, 31]
    plain = told(tmp_path / "model.gguf", [prompt], count=8).written[0]
    (ids, likely, _) = told(tmp_path / "model.gguf", [prompt], count=8, adapter=tmp_path / "adapter.gguf").written[0]
    for name, (first, second) in factors.items():
        model.state_dict()[name].add_(alpha / rank * second @ first)
    expected = greedy(model, prompt, len(likely))
    assert len(factors) == 12 and ids == expected[0][: len(ids)] != plain[0]
    assert likely == pytest.approx(expected[1][: len(ids)], abs=1e-4)


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    model = made("llama", tie_word_embeddings=True)
    weights, config, folder = model.state_dict(), model.config.to_dict(), letters(tmp_path)
    options: dict[str, Any] = {"template": None, "eos_id": 2, "name": "small"}
    out = tmp_path / "model.gguf"
    with pytest.raises(BaseError, match="'mamba' are not known here"):
        write(out, weights, config | {"model_type": "mamba"}, folder, **options)
    with pytest.raises(BaseError, match=r"1 weights of the model are missing: 'blk\.1\.ffn_up\.weight'"):
        write(out, {name: weights[name] for name in weights if "layers.1.mlp.up" not in name}, config, folder, **options)
    with pytest.raises(BaseError, match="stretches its positions"):
        write(out, weights, config | {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, folder, **options)
    with pytest.raises(BaseError, match="windows"):
        write(out, weights, config | {"use_sliding_window": True}, folder, **options)
    with pytest.raises(TrainError, match=r"too large to be stored as F16.*blk\.0\.ffn_up\.weight"):
        write(out, weights | {"model.layers.0.mlp.up_proj.weight": torch.full((80, 48), 7e4)}, config, folder, **options)
    with pytest.raises(BaseError, match="do not fit"):
        write_adapter(out, {"model.layers.0.mlp.up_proj.weight": (torch.ones(2, 48), torch.ones(80, 3))}, config, alpha=1, name="x")


def test_the_split_is_found_by_its_shape(tmp_path: Path) -> None:
    letters(tmp_path)
    told_by = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": False}
    digits = {"type": "Digits", "individual_digits": True}
    shapes = {
        "smollm": [digits, last | {"use_regex": True}],
        "llama-bpe": [split, last],
        "qwen2": [split | {"pattern": {"Regex": words.replace("{1,3}", "")}}, last],
        "gpt-2": [last | {"use_regex": True}],
    }
    for pre, steps in shapes.items():
        told_by["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
        (tmp_path / "tokenizer.json").write_text(json.dumps(told_by), encoding="utf-8")
        found = vocabulary_of(tmp_path, 262)
        assert (found.pre, found.merges, found.tokens[-2:], found.kinds[-3:]) == (pre, ("a b",), ("[PAD260]", "[PAD261]"), (1, 5, 5))
    assert len(shapes) == 4
    told_by["pre_tokenizer"] = {"type": "Metaspace"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(told_by), encoding="utf-8")
    with pytest.raises(BaseError, match=r"no name in a GGUF.*Metaspace"):
        vocabulary_of(tmp_path, 300)
    (tmp_path / "tokenizer_config.json").write_text('{"smidgen_pre": "qwen2"}', encoding="utf-8")
    assert vocabulary_of(tmp_path, 300).pre == "qwen2"
    with pytest.raises(BaseError, match="ids up to 259, but the model has only 200 rows"):
        vocabulary_of(tmp_path, 200)


gguf = pytest.importorskip("gguf")


@pytest.mark.thorough
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
        with pytest.raises(BaseError, match="does not belong to a plain decoder"):
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


def gguf_file(file: Path, kind: str, numbers: np.ndarray, **facts: int) -> Path:
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
    file = gguf_file(tmp_path / "model.gguf", kind, numbers)
    found = read(file)
    there = {entry.name: dequantize(entry.data, entry.tensor_type) for entry in gguf.GGUFReader(file).tensors}
    assert np.array_equal(found["lm_head.weight"].numpy(), there["output.weight"]) and len(there) == 2
    assert np.abs(there["output.weight"] - numbers).max() < 0.2
    assert found["model.norm.weight"].tolist() == [0, 1, 2]


def test_what_is_not_all_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    file = gguf_file(tmp_path / "model.gguf", "F32", np.ones((5, 64), np.float32))
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
        read(gguf_file(tmp_path / "odd.gguf", "F32", numbers, **{"general.alignment": 48}))
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
