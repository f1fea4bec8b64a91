"""Read the format E5S1: a multilingual BERT with its Unigram tokenizer, its matrices in 4 bits.

The file is little-endian: a header, the tokenizer's pieces and scores, a table of characters, a directory of tensors, their data. A
matrix is in blocks of 32 numbers of a row (llama.cpp's Q4_0): a 16-bit scale, then 16 bytes, with number j in the low and number j + 16
in the high half of byte j; a number is (half - 8) * scale. The table of characters is not read: it is NFKC after SentencePiece's
clean-up, for which the `tokenizers` library has names.
"""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import BaseError
from smidgen.text.unigram import MARK, NORMALIZER, PRE_TOKENIZER, post_processor

MAGIC, VERSION = b"E5S1", 1
BLOCK = 32
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("halves", "u1", (BLOCK // 2,))])
_MOST_PIECES, _MOST_TENSORS, _MOST_LAYERS, _LONGEST_NAME = 1_000_000, 4_096, 128, 64
_FLOATS, _BLOCKS = 0, 1
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")

_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_PARTS = {"w": "weight", "b": "bias"}


def convert(source: Path, out: Path) -> None:
    """Write `config.json`, `tokenizer.json` and `model.safetensors` into `out`. The same file always gives the same bytes.

    Raises BaseError if the file is damaged, cut off, or holds something else.
    """
    reader = _Reader(source)
    shape = _Shape.read(reader)
    pieces, scores, special = _tokenizer(reader)
    tensors = _tensors(reader, shape)
    for name, value in (("config.json", _config(shape, special)), ("tokenizer.json", _unigram(pieces, scores, special))):
        (out / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    write_safetensors(tensors, out / "model.safetensors")


class _Reader:
    """The bytes of a file, read in order and never past its end."""

    def __init__(self, file: Path) -> None:
        self.file, self.place = file, 0
        self.data = np.memmap(file, np.uint8, "r") if file.stat().st_size else np.zeros(0, np.uint8)
        if self.take(4).tobytes() != MAGIC or self.numbers("I") != (VERSION,):
            raise self.fault("it is not E5S1, version 1")

    def fault(self, why: str) -> BaseError:
        return BaseError("bases.packed_base_cannot_be_read", value=self.file.name, why=why)

    def take(self, count: int) -> NDArray[np.uint8]:
        """The next bytes."""
        found = self.at(self.place, count)
        self.place += count
        return found

    def at(self, place: int, count: int) -> NDArray[np.uint8]:
        """Bytes at a place."""
        if not 0 <= place <= place + count <= len(self.data):
            raise self.fault("it is cut off")
        found: NDArray[np.uint8] = self.data[place : place + count]
        return found

    def numbers(self, kinds: str) -> tuple[Any, ...]:
        """The next numbers, by the letters of `struct`."""
        return struct.unpack(f"<{kinds}", self.take(struct.calcsize(f"<{kinds}")).tobytes())


class _Shape:
    """The sizes of the model, in the order of the file."""

    def __init__(self, numbers: tuple[int, ...], epsilon: float) -> None:
        self.width, self.layers, self.heads, self.inner, self.vocabulary, self.positions, self.types = numbers
        self.epsilon = float(f"{epsilon:.6g}")

    @staticmethod
    def read(reader: _Reader) -> _Shape:
        shape = _Shape(reader.numbers("7i"), reader.numbers("f")[0])
        (block,) = reader.numbers("i")
        sizes = (shape.width, shape.layers, shape.heads, shape.inner, shape.vocabulary, shape.positions, shape.types)
        if block != BLOCK or min(sizes) < 1 or shape.layers > _MOST_LAYERS or shape.width % BLOCK or shape.inner % BLOCK:
            raise reader.fault("its sizes are impossible")
        if shape.width % shape.heads or shape.vocabulary > _MOST_PIECES:
            raise reader.fault("its sizes are impossible")
        return shape

    def expected(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by its name in the file."""
        width, inner = self.width, self.inner
        found: dict[str, tuple[int, ...]] = {
            "emb.word": (self.vocabulary, width),
            "emb.pos": (self.positions, width),
            "emb.type": (self.types, width),
            "emb.ln.w": (width,),
            "emb.ln.b": (width,),
        }
        for layer in range(self.layers):
            for name in _LAYER:
                rows = inner if name == "fi" else width
                matrix = (rows,) if name in ("aln", "oln") else (rows, inner if name == "fo" else width)
                found |= {f"l{layer}.{name}.w": matrix, f"l{layer}.{name}.b": (rows,)}
        return found


def _tokenizer(reader: _Reader) -> tuple[list[str], NDArray[np.float32], dict[str, int]]:
    """The pieces in order, their scores, and the numbers of the special ones; the table of characters is skipped."""
    count, first, last, pad, unknown = reader.numbers("5i")
    (size,) = reader.numbers("Q")
    special = dict(zip(SPECIAL, (first, pad, last, unknown), strict=True))
    if not 1 <= count <= _MOST_PIECES or not all(0 <= number < count for number in special.values()):
        raise reader.fault("its tokenizer is impossible")
    ends = reader.take(4 * (count + 1)).view("<u4").astype(np.int64)
    scores = reader.take(4 * count).view("<f4").astype(np.float32)
    blob = reader.take(size).tobytes()
    if ends[0] != 0 or ends[-1] > size or (np.diff(ends) < 0).any() or not np.isfinite(scores).all():
        raise reader.fault("its tokenizer is impossible")
    try:
        pieces = [blob[start:end].decode("utf-8") for start, end in itertools.pairwise(ends.tolist())]
    except UnicodeDecodeError:
        raise reader.fault("a piece of its tokenizer is no text") from None
    if any(pieces[number] != name for name, number in special.items()):
        raise reader.fault("its special tokens are others")
    reader.numbers("i")
    (table,) = reader.numbers("I")
    reader.take(table)
    return pieces, scores, special


def _tensors(reader: _Reader, shape: _Shape) -> dict[str, NDArray[Any]]:
    """All tensors under their Hugging Face names, matrices in 16 bits."""
    expected, found = shape.expected(), {}
    (count,) = reader.numbers("i")
    if not 0 <= count <= _MOST_TENSORS:
        raise reader.fault("its directory is impossible")
    for _ in range(count):
        (length,) = reader.numbers("H")
        if length > _LONGEST_NAME:
            raise reader.fault("its directory is impossible")
        name = reader.take(length).tobytes().decode("ascii", "replace")
        kind, numbers, place, size = reader.numbers("BIQQ")
        if name not in expected or numbers != int(np.prod(expected[name])):
            raise reader.fault(f"the tensor {name!r} does not fit its sizes")
        flat = _numbers(reader, kind, numbers, reader.at(place, size))
        found[_name(name)] = flat.reshape(expected[name]).astype(np.float16 if len(expected[name]) > 1 else np.float32)
    missing = sorted({_name(name) for name in expected} - set(found))
    if missing:
        raise reader.fault(f"it lacks the tensor {missing[0]!r}")
    return found


def _numbers(reader: _Reader, kind: int, count: int, data: NDArray[np.uint8]) -> NDArray[np.float32]:
    if kind == _FLOATS and len(data) == 4 * count:
        return data.view("<f4").astype(np.float32)
    if kind != _BLOCKS or count % BLOCK or len(data) != count // BLOCK * _BLOCK_TYPE.itemsize:
        raise reader.fault("a tensor's size is impossible")
    blocks = data.view(_BLOCK_TYPE)
    halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32) - 8
    return (halves * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def _name(name: str) -> str:
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{_PARTS[kind]}"


def write_safetensors(tensors: dict[str, NDArray[Any]], file: Path) -> None:
    """Write tensors by name, in that order: the same tensors always give the same bytes, whichever library is installed."""
    names = {np.dtype(np.float16): "F16", np.dtype(np.float32): "F32"}
    header, place = {}, 0
    for name in sorted(tensors):
        size = tensors[name].nbytes
        header[name] = {"dtype": names[tensors[name].dtype], "shape": list(tensors[name].shape), "data_offsets": [place, place + size]}
        place += size
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(told)) + told)
        for name in sorted(tensors):
            stream.write(np.ascontiguousarray(tensors[name]).data)


def _config(shape: _Shape, special: dict[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": shape.width,
        "initializer_range": 0.02,
        "intermediate_size": shape.inner,
        "layer_norm_eps": shape.epsilon,
        "max_position_embeddings": shape.positions,
        "model_type": "bert",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "pad_token_id": special["<pad>"],
        "position_embedding_type": "absolute",
        "type_vocab_size": shape.types,
        "vocab_size": shape.vocabulary,
    }


def _unigram(pieces: list[str], scores: NDArray[np.float32], special: dict[str, int]) -> dict[str, Any]:
    """The tokenizer as the `tokenizers` library reads it: XLM-R's clean-up, words by spaces, Unigram, `<s> text </s>`."""
    added = [*special, *(["<mask>"] if pieces[-1] == "<mask>" else [])]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": special.get(name, len(pieces) - 1),
                "content": name,
                "single_word": False,
                "lstrip": name == "<mask>",
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for name in added
        ],
        "normalizer": NORMALIZER,
        "pre_tokenizer": PRE_TOKENIZER,
        "post_processor": post_processor(special["<s>"], special["</s>"]),
        "decoder": {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": special["<unk>"],
            "vocab": [[piece, float(score)] for piece, score in zip(pieces, scores, strict=True)],
            "byte_fallback": False,
        },
    }


part = convert
