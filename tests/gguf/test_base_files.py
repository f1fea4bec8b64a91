"""GGUF bases: what is read of the file, the tokenizer it makes, and what is refused of a file that is not what it says."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from smidgen.bases import lookup
from smidgen.bases.lookup import find
from smidgen.core.errors import BaseError
from smidgen.gguf.config import FILES, config_of, write_missing_files
from smidgen.gguf.header import read_metadata, read_tensor_shapes
from smidgen.gguf.tokenizer import tokenizer_of

TEXTS = (
    "Hello 1234 wörld\n\n  x",
    "I'll pay $3.50, don't WE'LL",
    "\t tabs  and   spaces \r\n",
    "日本語 ¿qué? 👩‍🚀 e\u0301",
    "١٢٣ ½ x²",
    "",
)
Value = tuple[int, bytes]


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def texts(values: list[str]) -> Value:
    return 9, struct.pack("<IQ", 8, len(values)) + b"".join(text(value) for value in values)


def numbers(values: list[int]) -> Value:
    return 9, struct.pack(f"<IQ{len(values)}i", 5, len(values), *values)


def number(value: int) -> Value:
    return 4, struct.pack("<I", value)


def gguf(file: Path, pairs: dict[str, Value], shapes: dict[str, tuple[int, ...]] | None = None) -> Path:
    """A GGUF head, byte by byte."""
    shapes = shapes or {}
    raw = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(pairs))
    raw += b"".join(text(key) + struct.pack("<I", kind) + value for key, (kind, value) in pairs.items())
    for name, shape in shapes.items():
        raw += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), 0, 0)
    file.write_bytes(raw)
    return file


def letters(pre: str, **more: Any) -> dict[str, Any]:
    """Facts of a tokenizer that knows single characters and `ab`, in byte-level letters."""
    from tokenizers import pre_tokenizers

    tokens = ["<s>", "<|end|>", "<tool>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab"]
    kinds = [3, 3, 4, *[1] * (len(tokens) - 3)]
    facts = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": ["a b"]}
    return facts | {"tokenizer.ggml.token_type": kinds, "general.name": "Letters"} | more


@pytest.fixture(scope="module")
def smollm2() -> Path:
    return find("smollm2").folder / "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_the_facts_of_the_starter(smollm2: Path) -> None:
    facts, shapes = read_metadata(smollm2), read_tensor_shapes(smollm2)
    assert (facts["general.architecture"], facts["llama.block_count"], facts["tokenizer.ggml.pre"]) == ("llama", 30, "smollm")
    assert facts["tokenizer.ggml.tokens"][:2] == ["<|endoftext|>", "<|im_start|>"]
    assert len(facts["tokenizer.ggml.tokens"]) == 49152 and len(facts["tokenizer.ggml.merges"]) == 48900
    assert facts["general.languages"] == ["en"] and facts["tokenizer.ggml.add_bos_token"] is False
    assert len(shapes) == 272
    assert shapes["token_embd.weight"] == (49152, 576) and shapes["blk.29.ffn_down.weight"] == (576, 1536)


def test_the_starter_has_what_training_needs(smollm2: Path, tmp_path: Path) -> None:
    write_missing_files(tmp_path, smollm2)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FILES)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    expected = {"architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
    expected |= {"num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64, "rms_norm_eps": 1e-5, "rope_theta": 100000.0}
    expected |= {"vocab_size": 49152, "max_position_embeddings": 8192, "tie_word_embeddings": True, "eos_token_id": 2, "bos_token_id": 1}
    assert config | expected == config
    told = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert told["smidgen_pre"] == "smollm" and told["chat_template"].startswith("{% for message in messages %}")
    assert (told["eos_token"], told["pad_token"]) == ("<|im_end|>", "<|im_end|>")


def test_what_is_there_is_left_as_it_is(smollm2: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    write_missing_files(tmp_path, smollm2)
    assert (tmp_path / "config.json").read_text(encoding="utf-8") == "{}"
    assert (tmp_path / "tokenizer.json").is_file()


def test_the_starter_s_tokenizer(smollm2: Path, tmp_path: Path) -> None:
    write_missing_files(tmp_path, smollm2)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 49152
    assert tokenizer.encode("Hello 1234 wörld\n\n  x").ids == [19556, 216, 33, 34, 35, 36, 267, 29989, 400, 8866, 1792]
    assert tokenizer.encode("<|im_start|>user").ids == [1, 4093]
    tokenizer.encode_special_tokens = True
    assert 1 not in tokenizer.encode("<|im_start|>user").ids
    for written in TEXTS:
        assert tokenizer.decode(tokenizer.encode(written).ids) == written


def test_transformers_takes_the_files(smollm2: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    write_missing_files(tmp_path, smollm2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    assert rendered.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer("<|im_start|>Hi 12")["input_ids"] == [1, 26843, 216, 33, 34]
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert (config.head_dim, config.num_key_value_heads, config.vocab_size) == (64, 3, 49152)


@pytest.mark.parametrize(
    ("pre", "written", "pieces"),
    [
        ("smollm", "we'll pay 123 €!\n\n x", ["we", "'ll", "Ġpay", "Ġ", "1", "2", "3", "ĠâĤ¬!", "ĊĊ", "Ġx"]),
        ("gpt-2", "we'll pay 123 €!\n\n x", ["we", "'ll", "Ġpay", "Ġ123", "ĠâĤ¬!", "ĊĊ", "Ġx"]),
        ("llama-bpe", "we'LL pay 12345 €!\n\n x", ["we", "'LL", "Ġpay", "Ġ", "123", "45", "ĠâĤ¬!ĊĊ", "Ġx"]),
        ("qwen2", "we'LL pay 123 €!\n\n x", ["we", "'LL", "Ġpay", "Ġ", "1", "2", "3", "ĠâĤ¬!ĊĊ", "Ġx"]),
        ("default", "we pay 12345 x.", ["we", "Ġpay", "Ġ", "123", "45", "Ġx", "."]),
    ],
)
def test_each_split(pre: str, written: str, pieces: list[str]) -> None:
    tokenizer = tokenizer_of(letters(pre))
    assert [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(written)] == pieces


def test_kinds_of_token(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(letters("gpt-2", **{"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 0}))
    assert tokenizer.encode("ab<|end|><tool>").tokens == ["<s>", "ab", "<|end|>", "<tool>"]
    assert tokenizer.encode("ab<|end|><tool>", add_special_tokens=False).tokens == ["ab", "<|end|>", "<tool>"]
    tokenizer.encode_special_tokens = True
    assert tokenizer.encode("<|end|>").tokens[1:] == ["<", "|", "e", "n", "d", "|", ">"]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (letters("tekken"), r"not known here; known: default, gpt-2, llama-bpe, qwen2, smollm: 'tekken'"),
        (letters("gpt-2") | {"tokenizer.ggml.model": "llama"}, "of the kind 'llama'"),
        (letters("gpt-2") | {"tokenizer.ggml.merges": ["a zz"]}, "not one of two tokens: 'a zz'"),
        (letters("gpt-2") | {"tokenizer.ggml.merges": []}, "tokens and merges"),
        (letters("gpt-2") | {"tokenizer.ggml.tokens": ["a", "a"]}, "tokens and merges"),
    ],
)
def test_tokenizers_that_are_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(BaseError, match=message):
        tokenizer_of(facts)


ONE = {"general.architecture": (8, text("llama"))}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not a GGUF"),
        (b"PK\x03\x04 something else", "not a GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "version 50331648"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 40), "announces 1099511627776 keys"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0), "tensors; at most"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + text("a") + struct.pack("<I", 4) + b"\0\0", "ends in the middle"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 30), "bytes in a text"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IQ", 8, 1 << 40), "bytes in a text"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 8, 1 << 40), "elements in a list"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1), "list is of the unknown type 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 77), "unknown type 77"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"\xff\xfe"), "not UTF-8"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + 2 * (text("a") + struct.pack("<IB", 0, 1)), "'a' is there twice"),
    ],
)
def test_a_malformed_file_is_refused_by_name(raw: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.gguf"
    file.write_bytes(raw)
    with pytest.raises(BaseError, match=message) as caught:
        read_tensor_shapes(file)
    assert "wrong.gguf" in str(caught.value)


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    whole = gguf(tmp_path / "x.gguf", ONE | {"n": number(7), "t": texts(["a", "b"]), "i": numbers([1, -2])}, {"w": (2, 3)}).read_bytes()
    assert read_metadata(tmp_path / "x.gguf") == {"general.architecture": "llama", "n": 7, "t": ["a", "b"], "i": [1, -2]}
    assert read_tensor_shapes(tmp_path / "x.gguf") == {"w": (2, 3)}
    refused = 0
    for length in range(len(whole)):
        (tmp_path / "cut.gguf").write_bytes(whole[:length])
        with pytest.raises(BaseError):
            read_tensor_shapes(tmp_path / "cut.gguf")
        refused += 1
    assert refused == len(whole) > 100
    with pytest.raises(BaseError, match=r"cannot be opened.*none\.gguf"):
        read_metadata(tmp_path / "none.gguf")


@pytest.mark.parametrize(
    ("facts", "shapes", "message"),
    [
        ({"general.architecture": "mamba"}, {}, "'mamba' is not known here; known: llama, qwen2, qwen3, gemma3"),
        ({"general.architecture": "llama"}, {}, r"token_embd\.weight"),
        ({"general.architecture": "llama"}, {"rope_freqs.weight": (32,)}, "rope scaling"),
        ({"general.architecture": "llama"}, {"token_embd.weight": (9, 4)}, r"llama\.embedding_length"),
        ({"general.architecture": "llama", "llama.embedding_length": "x"}, {"token_embd.weight": (9, 4)}, r"llama\.embedding_length"),
    ],
)
def test_models_that_are_refused(facts: dict[str, Any], shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(BaseError, match=message):
        config_of(facts, shapes)


def test_a_base_of_the_other_family_is_refused() -> None:
    assert find("auto", family="decoder").name == "smollm2"
    assert find("auto", family="encoder").name == find("auto").name == "minilm"
    assert find("smollm2", family="decoder").family == "decoder"
    with pytest.raises(BaseError, match=r"is a decoder; an encoder is needed: 'smollm2'\. Name another: --base minilm"):
        find("smollm2", family="encoder")
    with pytest.raises(BaseError, match=r"is an encoder; a decoder is needed: 'minilm'\. Name another: --base smollm2"):
        find("minilm", family="decoder")


def test_folders_of_decoders(smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    shutil.copyfile(smollm2, mine / "model.gguf")
    found = find(str(mine), family="decoder")
    assert (found.folder, found.family, found.name) == (mine, "decoder", str(mine))
    assert all((mine / name).is_file() for name in FILES) and len(FILES) == 3
    for name in FILES:
        (mine / name).unlink()
    monkeypatch.setattr(lookup.os, "access", lambda *_: False)
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    lent = find(str(mine))
    assert lent.folder.is_relative_to(tmp_path / "home") and lent.sha256 == found.sha256
    assert sorted(file.name for file in lent.folder.iterdir()) == sorted([*FILES, "model.gguf"])
    assert [file.name for file in mine.iterdir()] == ["model.gguf"]


def test_weights_in_several_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"]}', encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"a")
    with pytest.raises(BaseError, match=r"missing: 'model-00002-of-00002\.safetensors'"):
        find(str(tmp_path))
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"b")
    first = find(str(tmp_path))
    assert first.family == "decoder" and len(first.sha256) == 64
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"c")
    assert find(str(tmp_path)).sha256 != first.sha256
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../secret"}}', encoding="utf-8")
    with pytest.raises(BaseError, match="are missing"):
        find(str(tmp_path))
    (tmp_path / "model.safetensors.index.json").write_text("[]", encoding="utf-8")
    with pytest.raises(BaseError, match="index of the weights"):
        find(str(tmp_path))
