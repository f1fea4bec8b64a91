"""The packed multilingual base: a file of the format that the test writes itself is read number by number, and damage is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from smidgen.bases import lookup
from smidgen.bases import starter as starter_module
from smidgen.bases.conversions.e5s1 import convert
from smidgen.bases.starter import Starter, same_starter, starters
from smidgen.core.errors import BaseError

WIDTH, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁lamp", "s", "▁la", "mp", "é", "1", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -3.0, -4.0, -2.0, -3.5, -3.5, -5.0, -4.0, 0.0]


def blocks(rng: np.random.Generator, rows: int, columns: int) -> tuple[bytes, np.ndarray]:
    """A random matrix in 4 bits, as bytes and as the numbers that it stands for."""
    packed, numbers = b"", []
    for _ in range(rows * columns // 32):
        scale = np.float16(rng.uniform(0.001, 0.1))
        halves = rng.integers(0, 16, 32)
        packed += struct.pack("<e", scale) + bytes(int(halves[j]) | int(halves[j + 16]) << 4 for j in range(16))
        numbers += [(int(half) - 8) * float(scale) for half in halves]
    return packed, np.array(numbers, np.float32).reshape(rows, columns)


def packed_base(seed: int = 0) -> tuple[bytes, dict[str, np.ndarray]]:
    """A whole file of the format, and its tensors by their names there."""
    rng = np.random.default_rng(seed)
    stored: dict[str, tuple[int, bytes]] = {}
    numbers: dict[str, np.ndarray] = {}

    def floats(name: str, *shape: int) -> None:
        numbers[name] = rng.normal(float("ln.w" in name), 0.1, shape).astype(np.float32)
        stored[name] = (0, numbers[name].tobytes())

    def matrix(name: str, rows: int, columns: int) -> None:
        data, numbers[name] = blocks(rng, rows, columns)
        stored[name] = (1, data)

    matrix("emb.word", len(PIECES), WIDTH)
    floats("emb.pos", POSITIONS, WIDTH)
    floats("emb.type", 2, WIDTH)
    for name in ("emb.ln.w", "emb.ln.b"):
        floats(name, WIDTH)
    for layer in range(LAYERS):
        for part, rows, columns in (("q", WIDTH, WIDTH), ("k", WIDTH, WIDTH), ("v", WIDTH, WIDTH), ("ao", WIDTH, WIDTH)):
            matrix(f"l{layer}.{part}.w", rows, columns)
            floats(f"l{layer}.{part}.b", rows)
        matrix(f"l{layer}.fi.w", INNER, WIDTH)
        floats(f"l{layer}.fi.b", INNER)
        matrix(f"l{layer}.fo.w", WIDTH, INNER)
        floats(f"l{layer}.fo.b", WIDTH)
        for norm in ("aln", "oln"):
            floats(f"l{layer}.{norm}.w", WIDTH)
            floats(f"l{layer}.{norm}.b", WIDTH)
    texts = [piece.encode() for piece in PIECES]
    ends = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, WIDTH, LAYERS, HEADS, INNER, len(PIECES), POSITIONS, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(ends[-1])) + ends.tobytes() + np.array(SCORES, "<f4").tobytes()
    head += b"".join(texts) + struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xA0, 1, 0x20)
    directory = struct.pack("<i", len(stored))
    place = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 8 + 8 for name in stored)
    data = b""
    for name, (kind, content) in stored.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, numbers[name].size, place + len(data), len(content))
        data += content
    return head + directory + data, numbers


@pytest.fixture
def converted(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    content, numbers = packed_base()
    (tmp_path / "packed.bin").write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    convert(tmp_path / "packed.bin", out)
    return out, numbers


def test_every_number_is_read_under_its_hugging_face_name(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    from safetensors.numpy import load_file

    folder, numbers = converted
    tensors = load_file(folder / "model.safetensors")
    assert len(tensors) == len(numbers) == 5 + 16 * LAYERS
    pairs = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.0.attention.self.value.weight": "l0.v.w",
        "encoder.layer.1.intermediate.dense.weight": "l1.fi.w",
        "encoder.layer.1.output.dense.weight": "l1.fo.w",
        "encoder.layer.1.attention.output.LayerNorm.weight": "l1.aln.w",
        "encoder.layer.0.output.LayerNorm.bias": "l0.oln.b",
    }
    for name, own in pairs.items():
        assert tensors[name].shape == numbers[own].shape
        assert np.allclose(tensors[name], numbers[own], rtol=1e-3, atol=1e-7), name


def test_the_model_computes_what_transformers_computes(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    """The trainer's own passes and the exported graph agree on a text, so config, tensors and tokenizer fit each other."""
    torch = pytest.importorskip("torch")
    from smidgen.flows.embedding import embedder
    from smidgen.students.encoder import features_of

    folder, _ = converted
    base = lookup.find(str(folder))
    embed = embedder(base, 1)
    assert embed is not None
    texts = ["lamps", "lamp é 1"]
    trained = torch.nn.functional.normalize(features_of(folder, texts, 16, 1), dim=1).numpy()
    alike = np.sum(embed(texts) * trained, axis=1)  # the graph has 8 bits, and rounds by the kind of processor; swapped matrices give 0.2
    assert alike.min() > 0.85, alike


def test_its_tokenizer_reads_by_the_likeliest_pieces(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(converted[0] / "tokenizer.json"))
    cases = {
        "lamps": ["<s>", "▁lamp", "s", "</s>"],
        "  lamp   1 ": ["<s>", "▁lamp", "▁", "1", "</s>"],
        "ｌａｍｐ １": ["<s>", "▁lamp", "▁", "1", "</s>"],
        "e\u0301": ["<s>", "▁", "é", "</s>"],
        "": ["<s>", "</s>"],
    }
    for text, tokens in cases.items():
        assert tokenizer.encode(text).tokens == tokens
    assert tokenizer.encode("lamp €").ids == [0, 5, 4, 3, 2]
    assert tokenizer.encode("lamp", "1").tokens == ["<s>", "▁lamp", "</s>", "</s>", "▁", "1", "</s>"]


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    (tmp_path / "again").mkdir()
    convert(tmp_path / "packed.bin", tmp_path / "again")
    assert len(list(converted[0].iterdir())) == 3
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (converted[0] / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    content, _ = packed_base()
    refused = 0
    for end in [0, 3, 4, 7, 30, 44, 60, 90, 200, 300, 1000, 3000, len(content) // 2, len(content) - 1]:
        file = tmp_path / "cut.bin"
        file.write_bytes(content[:end])
        with pytest.raises(BaseError, match="cannot be read"):
            convert(file, tmp_path)
        refused += 1
    assert refused == 14 and not (tmp_path / "config.json").exists()


def test_impossible_facts_are_refused(tmp_path: Path) -> None:
    content, _ = packed_base()
    tokens = 44
    cases = {
        0: b"GGUF",
        4: struct.pack("<I", 2),
        8: struct.pack("<i", 33),
        12: struct.pack("<i", 2_000_000),
        16: struct.pack("<i", 5),
        24: struct.pack("<i", 13),
        40: struct.pack("<i", 64),
        tokens: struct.pack("<i", -1),
        tokens + 4: struct.pack("<i", 5),
        tokens + 20: struct.pack("<Q", 2**63),
    }
    for place, wrong in cases.items():
        file = tmp_path / "wrong.bin"
        file.write_bytes(content[:place] + wrong + content[place + len(wrong) :])
        with pytest.raises(BaseError, match="cannot be read"):
            convert(file, tmp_path)
    assert len(cases) == 10 and not (tmp_path / "config.json").exists()


def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Starter, Path]:
    """A starter whose package holds the packed file, and the folder of the package."""
    monkeypatch.setenv("SMIDGEN_HOME", str(folder / "home"))
    content, _ = packed_base()
    package, out = folder / "package", folder / "converted"
    for place in (package, out):
        place.mkdir()
    (package / "packed.bin").write_bytes(content)
    convert(package / "packed.bin", out)
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in out.iterdir()}
    starter = dataclasses.replace(
        starters()["e5"], name="small", files=hashes, packaged={"packed.bin": hashlib.sha256(content).hexdigest()}
    )
    monkeypatch.setattr(lookup, "starters", lambda: {"small": starter})
    monkeypatch.setattr(starter_module, "_installed", lambda _, names: package)
    return starter, package


def test_a_pull_converts_the_package_and_checks_both_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter, package = made(tmp_path, monkeypatch)
    base = lookup.pull("small")
    assert base.folder == starter.folder and base.family == "encoder" and base.licence == "MIT"
    assert sorted(file.name for file in base.folder.iterdir()) == sorted(starter.files)
    (package / "packed.bin").write_bytes(packed_base(1)[0])
    assert lookup.pull("small").sha256 == base.sha256, "what is here is not fetched again"
    (base.folder / "config.json").unlink()
    with pytest.raises(BaseError, match="a file of the package is not the published one"):
        lookup.pull("small")


def test_a_converter_that_writes_other_weights_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starter, _ = made(tmp_path, monkeypatch)
    other = dataclasses.replace(starter, files=starter.files | {"model.safetensors": "0" * 64})
    monkeypatch.setattr(lookup, "starters", lambda: {"small": other})
    with pytest.raises(BaseError, match=r"SHA-256 differs.*model\.safetensors"):
        lookup.pull("small")
    assert not other.folder.exists()


def test_the_model_of_the_hub_is_known_as_the_same() -> None:
    found = same_starter("intfloat/multilingual-e5-small")
    assert found is starters()["e5"] and found.prefixes == {"query": "query: ", "passage": "passage: "}
    assert same_starter("intfloat/e5-small") is None
    assert lookup._starter_of("encoder") == "minilm", "auto keeps taking the small English one"


def test_a_base_carries_its_prefixes_and_they_change_its_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from smidgen.flows.embedding import embedder, embedder_of_roles

    made(tmp_path, monkeypatch)
    base = dataclasses.replace(lookup.pull("small"), prefixes={"query": "lamp: ", "passage": "é "}, max_length=16)
    both, asked = embedder_of_roles(base, 1), embedder(base, 1, "passage")
    assert both is not None and asked is not None
    plain = embedder_of_roles(dataclasses.replace(base, prefixes={}), 1)
    assert plain is not None
    assert np.allclose(both(["1"], "query"), plain(["lamp: 1"])) and np.allclose(asked(["1"]), plain(["é 1"]))
    assert not np.allclose(both(["1"], "query"), asked(["1"]))


@pytest.mark.skipif(not starters()["e5"].here(), reason="smidgen pull e5")
def test_the_real_tokenizer_reads_as_xlm_r_does() -> None:
    """The numbers are those of the published tokenizer."""
    base = starters()["e5"].folder
    told = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = [piece for piece, _ in told["model"]["vocab"]]
    assert len(pieces) == 250_002 and pieces[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and pieces[-1] == "<mask>"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    assert tokenizer.encode("Hello world").ids == [0, 35378, 8999, 2]
    assert tokenizer.encode("query: how much protein").ids == [0, 41, 1294, 12, 3642, 5045, 21308, 2]


@pytest.mark.thorough
@pytest.mark.skipif(not starters()["e5"].here(), reason="smidgen pull e5")
def test_the_real_base_finds_a_passage_in_another_language() -> None:
    from smidgen.flows.embedding import embedder_of_roles

    embed = embedder_of_roles(starters()["e5"].verify(), 1)
    assert embed is not None
    passages = embed(["Returns are free within 30 days.", "We deliver to Austria in three days.", "The lamp takes an E27 bulb."], "passage")
    asked = embed(["Wie lange kann ich etwas zurückgeben?", "¿Qué bombilla lleva la lámpara?", "Livrez-vous en Autriche ?"], "query")
    assert (asked @ passages.T).argmax(1).tolist() == [0, 2, 1]
    assert not np.allclose(embed(["lamp"], "query"), embed(["lamp"], "passage"), atol=1e-3), "the two roles differ"
