"""The files of a folder that hold or describe a model's weights, their hashes, and the further files that an ONNX file needs."""

from __future__ import annotations

import json
import mmap
from pathlib import Path

from smidgen.core.errors import BaseError
from smidgen.store.files import content_hash, file_hash

_INDEX = "model.safetensors.index.json"
_DESCRIBES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""The small files that say how to run and prompt a model; a folder's owner may edit them."""


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights: its safetensors, else a single GGUF; empty if there is neither. Other files there, such as
    adapters or a trainer's files, do not belong to it.

    Raises:
        BaseError: the index of the weights cannot be read, or names a missing file.
    """
    ggufs = [file for file in sorted(folder.glob("*.gguf")) if file.is_file()]
    return safetensors_files(folder) or (ggufs if len(ggufs) == 1 else [])


def safetensors_files(folder: Path) -> list[Path]:
    """The model's safetensors files: the one, or all that its index names, sorted; empty if there are none.

    Raises:
        BaseError: the index cannot be read, or names a missing file.
    """
    single, index = folder / "model.safetensors", folder / _INDEX
    if single.is_file():
        return [single]
    if not index.is_file():
        return []
    try:
        names = {str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaseError("store.index_of_weights_cannot_be_read", value=str(index)) from error
    missing = sorted(name for name in names if Path(name).name != name or not (folder / name).is_file())
    if missing:
        raise BaseError("store.weights_that_index_names_are_missing", value=", ".join(missing))
    return sorted(folder / name for name in names)


def weights_hash(files: list[Path]) -> str:
    """SHA-256 of a model's weights, hex: of the one file, or over the names and hashes of several."""
    return file_hash(files[0]) if len(files) == 1 else content_hash({file.name: file_hash(file) for file in files})


def described_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by name of each existing file beside a model's weights that says how to run and prompt it."""
    return {name: file_hash(folder / name) for name in _DESCRIBES if (folder / name).is_file()}


# A graph may name files from which a runtime reads tensors (`data_location: EXTERNAL`). Runtimes before 1.24 follow it out of
# the folder. A bundle holds all its weights in the graph, so a graph that names a file is refused before a runtime sees it.
#
# The file is protobuf, read here without its library. Only the messages that can hold a tensor are entered, by their field numbers in
# onnx.proto; all else is skipped by its length. Counts, depth and lengths are bounded.

_MOST_FIELDS = 4_000_000
_DEEPEST = 64
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""For each message, the fields whose message may hold a tensor, and their kind."""
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
"""Fields of a tensor."""


def external_tensor(file: Path) -> str | None:
    """The name of the first tensor that must be read from another file; None if all are in the graph.

    Raises ValueError, with the reason, for a file that is not whole protobuf, or has more fields or levels than any real graph has.
    """
    if file.stat().st_size == 0:
        raise ValueError("the file is empty")
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return _external(content)


def _external(content: mmap.mmap) -> str | None:
    pending = [("model", 0, len(content), 0)]
    left = _MOST_FIELDS
    while pending:
        kind, place, end, depth = pending.pop()
        if depth > _DEEPEST:
            raise ValueError(f"its graphs are nested more than {_DEEPEST} deep")
        inside, name, outside = _INSIDE[kind], "", False
        while place < end:
            left -= 1
            if left < 0:
                raise ValueError(f"it has more than {_MOST_FIELDS} fields")
            tag, place = _varint(content, place, end)
            field, wire = tag >> 3, tag & 7
            if tag >= 1 << 32 or field == 0:
                raise ValueError("the number of a field is out of range")
            start = place
            if wire == _VARINT:
                value, place = _varint(content, place, end)
            elif wire == _BYTES:
                length, start = _varint(content, place, end)
                place, value = start + length, length
            elif wire in (_EIGHT, _FOUR):
                place, value = place + (8 if wire == _EIGHT else 4), 1
            else:
                raise ValueError(f"a field is of the unknown wire type {wire}")
            if place > end:
                raise ValueError("a field ends outside of its message")
            if wire == _BYTES and field in inside:
                pending.append((inside[field], start, place, depth + 1))
            elif kind == "tensor":
                if field == _NAME and wire == _BYTES:
                    name = content[start : min(place, start + 200)].decode("utf-8", "replace")
                outside |= field == _EXTERNAL_DATA or (field == _DATA_LOCATION and (wire != _VARINT or value != 0))
        if outside:
            return name or "(without a name)"
    return None


def _varint(content: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """A number of one to ten bytes, seven bits each, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            raise ValueError("it is cut off")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number has more than ten bytes")
