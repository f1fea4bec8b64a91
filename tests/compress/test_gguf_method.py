"""Packed GGUF files: closer to the original than the usual packer's, the metadata as it was, and a model that still makes sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.llama import told

from smidgen.bases.lookup import find
from smidgen.core.errors import EngineError
from smidgen.core.parts import EngineSpec
from smidgen.gguf import quantisation
from smidgen.gguf.header import read_header, read_metadata, read_tensor_shapes
from smidgen.gguf.quantisation import Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, BlockFormat, pack
from smidgen.parts import registry

gguf = pytest.importorskip("gguf")
from gguf.quants import dequantize, quantize  # noqa: E402

# Largest error relative to the numbers' own size (root mean squares), and least gain over the usual packer, for the weights below.
BOUNDS = {Q8_0: (0.0055, 0.05), Q5_1: (0.036, 0.09), Q5_0: (0.043, 0.04), Q4_1: (0.074, 0.08), Q4_0: (0.086, 0.04)}
METHODS = {"q8-0": 7, "q5-1": 9, "q4-1": 3, "q4-0": 2}
SPEC = EngineSpec("llama", ("model.gguf", "tokenizer.json"), {"model": "model.gguf", "stop": [2]}, "f16")


def unpacked(packed: np.ndarray, kind: BlockFormat) -> np.ndarray:
    return np.asarray(dequantize(packed, gguf.GGMLQuantizationType[kind.name]))


def error(packed: np.ndarray, kind: BlockFormat, numbers: np.ndarray) -> float:
    """Root mean square of what packing changed, relative to that of the numbers."""
    wanted = numbers.astype(np.float64)
    return float(np.sqrt(((unpacked(packed, kind) - wanted) ** 2).mean() / (wanted**2).mean()))


@pytest.fixture(scope="module")
def trained() -> np.ndarray:
    """The matrices of a real encoder's layers, one below the other: trained weights that were never rounded."""
    from safetensors.numpy import load_file

    tensors = load_file(find("minilm").folder / "model.safetensors")
    rows = [tensor.reshape(-1, 384) for name, tensor in tensors.items() if "encoder.layer.2" in name and tensor.ndim == 2]
    return np.concatenate(rows).astype(np.float16)


@pytest.mark.parametrize("kind", BOUNDS, ids=lambda kind: kind.name)
def test_closer_than_the_usual_packer(kind: BlockFormat, trained: np.ndarray) -> None:
    most, gain = BOUNDS[kind]
    found = error(pack(trained, kind), kind, trained)
    usual = error(quantize(trained.astype(np.float32), gguf.GGMLQuantizationType[kind.name]), kind, trained)
    assert pack(trained, kind).shape == (len(trained), 384 // 32 * kind.size)
    assert found < most
    assert found < (1 - gain) * usual


@pytest.mark.parametrize("kind", BOUNDS, ids=lambda kind: kind.name)
def test_hard_blocks(kind: BlockFormat) -> None:
    blocks = np.zeros((8, 32), np.float32)
    blocks[1] = 0.25
    blocks[2] = -3.0
    blocks[3, 5] = 7.0
    blocks[4] = np.linspace(-1, 2, 32)
    blocks[5] = 1e-8  # below what 16 bits can say of a scale
    blocks[6] = np.linspace(-60000, 60000, 32)
    blocks[7] = np.where(np.arange(32) == 31, -1000, 0.001)
    back = unpacked(pack(blocks, kind), kind)
    assert np.isfinite(back).all()
    assert np.abs(back[0]).max() == 0
    steps = kind.high - kind.low
    assert np.abs(back - blocks)[1:4].max() < 0.02
    for row in (4, 6, 7):
        assert np.abs(back[row] - blocks[row]).max() <= 1.01 * np.ptp(blocks[row]) / steps * (1 if kind.floor else 2)
    assert np.abs(back[5] - blocks[5]).max() <= 1e-7


@pytest.mark.parametrize("kind", [Q4_0, Q4_1, Q5_0, Q5_1], ids=lambda kind: kind.name)
def test_numbers_that_fit_are_kept(kind: BlockFormat) -> None:
    """What was packed in the same way before comes through unchanged: an untrained matrix of a quantised base loses nothing twice."""
    rng = np.random.default_rng(3)
    rounded = rng.integers(kind.low, kind.high + 1, (512, 32))
    rounded[:, 0], rounded[:, 1] = kind.low, kind.high
    once = rounded * 0.03125 + (0.5 if kind.floor else 0.0)
    assert np.array_equal(unpacked(pack(once.astype(np.float32), kind), kind), once)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(1).normal(size=(37, 96)).astype(np.float32)
    whole = pack(numbers, Q5_1)
    monkeypatch.setattr(quantisation, "_CHUNK", 10)
    assert np.array_equal(pack(numbers, Q5_1), whole)


def stored(file: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Each tensor's type and what is stored: numbers, or rows of the bytes of blocks. (The format's own library takes seconds to read past
    the starter's tokens; that both find the same is held in `students/test_gguf_weights.py`.)"""
    whole, found = np.memmap(file, np.uint8, "r"), {}
    for name, placed in read_header(file)[1].items():
        kind = gguf.GGMLQuantizationType(placed.kind)
        block, size = gguf.GGML_QUANT_SIZES[kind]
        raw = whole[placed.start : placed.start + int(np.prod(placed.shape)) // block * size]
        plain = {"F32": np.float32, "F16": np.float16}.get(kind.name, np.uint8)
        found[name] = kind.name, np.asarray(raw).view(plain).reshape(*placed.shape[:-1], -1)
    return found


def written(out: Path, layers: int) -> Path:
    """A folder with the starter's first layers in 16 bits, its matrices moved off the 4-bit grid that they came on, as training does."""
    torch = pytest.importorskip("torch")
    from smidgen.gguf.weights import readers, write

    base = find("smollm2").folder
    (file,) = base.glob("*.gguf")
    torch.manual_seed(0)
    weights = {name: read() for name, read in readers(file).items() if ".layers." not in name or int(name.split(".")[2]) < layers}
    weights = {name: tensor + torch.randn_like(tensor) * tensor.std() * 0.02 * (tensor.dim() > 1) for name, tensor in weights.items()}
    config = json.loads((base / "config.json").read_text(encoding="utf-8")) | {"num_hidden_layers": layers}
    write(out / "model.gguf", weights, config, base, template="{{ messages }}", eos_id=2, name="shop-writer")
    (out / "tokenizer.json").write_bytes((base / "tokenizer.json").read_bytes())
    return out


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers, which are packed in a moment."""
    return written(tmp_path_factory.mktemp("source"), 2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the starter, which knows something."""
    return written(tmp_path_factory.mktemp("whole"), 30)


@pytest.fixture(scope="module")
def before(source: Path) -> dict[str, np.ndarray]:
    """The tensors of one layer before they are packed."""
    return {name: data for name, (_, data) in stored(source / "model.gguf").items() if "blk.1." in name}


@pytest.mark.parametrize("method", [pytest.param(each, marks=[pytest.mark.thorough] if each != "q4-1" else []) for each in METHODS])
def test_a_packed_model_is_the_same_but_smaller(method: str, source: Path, before: dict[str, np.ndarray], tmp_path: Path) -> None:
    made = registry.find("compress", method).apply(SPEC, source, tmp_path, ())
    assert made == EngineSpec("llama", SPEC.files, SPEC.options, method)
    assert (tmp_path / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    file, whole = tmp_path / "model.gguf", source / "model.gguf"
    assert read_metadata(file) == read_metadata(whole) | {"general.file_type": METHODS[method]}
    assert list(read_metadata(file)) == list(read_metadata(whole))
    assert read_tensor_shapes(file) == read_tensor_shapes(whole)

    named = method.upper().replace("-", "_")
    seen = 0
    for name, (found, data) in stored(file).items():
        wanted = "F32" if "norm" in name else "Q8_0" if name == "token_embd.weight" else named
        assert found == wanted
        if "blk.1." in name:
            kind = None if wanted == "F32" else getattr(quantisation, wanted)
            original = before[name]
            assert np.array_equal(data, original) if kind is None else error(data, kind, original) < BOUNDS[kind][0] * 1.3
        seen += 1
    assert seen == 20


@pytest.mark.thorough
@pytest.mark.parametrize("method", METHODS)
def test_a_packed_model_still_makes_sense(method: str, whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    from tokenizers import Tokenizer

    registry.find("compress", method).apply(SPEC, whole, tmp_path, ())
    question = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    asked = Tokenizer.from_file(str(whole / "tokenizer.json")).encode(question).ids
    assert "Paris" in told(tmp_path / "model.gguf", [asked], count=12).written[0][2]


def small(file: Path, **tensors: np.ndarray) -> Path:
    """A GGUF without the numbers that say what kind of file it is."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "é", ""])
    writer.add_float64("x.y", 0.5)
    for name, tensor in tensors.items():
        bf16 = gguf.GGMLQuantizationType.BF16 if tensor.dtype == np.uint8 else None
        writer.add_tensor(name, tensor, raw_dtype=bf16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_other_files_and_other_floats(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide, odd = rng.normal(size=(6, 64)).astype(np.float32), rng.normal(size=(3, 20)).astype(np.float16)
    halved = quantize(wide, gguf.GGMLQuantizationType.BF16)
    small(tmp_path / "model.gguf", **{"output.weight": wide, "a.weight": wide, "b.weight": halved, "c.weight": odd, "n": wide[0]})
    spec = EngineSpec("llama", ("model.gguf",), {"model": "model.gguf"})
    registry.find("compress", "q4-0").apply(spec, tmp_path, tmp_path / "out", ())
    found = {entry.name: entry for entry in gguf.GGUFReader(tmp_path / "out" / "model.gguf").tensors}
    kinds = {name: entry.tensor_type.name for name, entry in found.items()}
    assert kinds == {"output.weight": "Q8_0", "a.weight": "Q4_0", "b.weight": "Q4_0", "c.weight": "F16", "n": "F32"}
    assert np.array_equal(found["c.weight"].data, odd) and np.array_equal(found["n"].data, wide[0])
    assert error(found["b.weight"].data, Q4_0, wide) < 0.1
    facts = read_metadata(tmp_path / "out" / "model.gguf")
    added = {"general.file_type": 2, "general.quantization_version": 2}
    assert facts == read_metadata(tmp_path / "model.gguf") | added and facts["tokenizer.ggml.tokens"] == ["a", "é", ""]


def test_what_cannot_be_packed_is_named(tmp_path: Path) -> None:
    part: Any = registry.find("compress", "q4-0")
    spec = EngineSpec("llama", ("model.gguf",), {"model": "model.gguf"})
    whole = small(tmp_path / "model.gguf", **{"a.weight": np.ones((4, 64), np.float32)})
    part.apply(spec, tmp_path, tmp_path / "once", ())
    with pytest.raises(EngineError, match=r"a\.weight is quantised already"):
        part.apply(spec, tmp_path / "once", tmp_path / "twice", ())
    raw = whole.read_bytes()
    refused = 0
    for length in (0, 3, 20, 40, 100, len(raw) - 700):
        whole.write_bytes(raw[:length])
        with pytest.raises(EngineError, match=r"cannot be read.*model\.gguf"):
            part.apply(spec, tmp_path, tmp_path / "out", ())
        refused += 1
    assert refused == 6
