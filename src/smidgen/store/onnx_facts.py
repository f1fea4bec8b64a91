"""What an ONNX file says of where its weights are, read without the library of the format.

A graph may name files of its own choice from which a runtime reads tensors (`data_location: EXTERNAL`). Runtimes before 1.24 follow such
a name out of the folder. A bundle holds all its weights in the graph, so a graph that names a file is refused before a runtime sees it.

The file is protobuf. Only the messages that can hold a tensor are entered, by their field numbers in onnx.proto; all else is skipped by
its length. Counts, depth and lengths are bounded.
"""

from __future__ import annotations

import mmap
from pathlib import Path

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
"""Of each message the fields that hold a message that may hold a tensor, and what it is."""
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
"""Fields of a tensor."""


def external_tensor(file: Path) -> str | None:
    """The name of the first tensor that is to be read from another file; None where all are in the graph.

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
                raise ValueError("a field has no number that can be")
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
    """A number of one to ten bytes, seven bits each, and where it ends."""
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
