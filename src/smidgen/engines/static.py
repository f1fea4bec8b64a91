"""Run a static student: the summed vectors of a text's tokens and token pairs, and a small head. Numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text, joined
from smidgen.engines.model_files import ModelTokenizer, Tensors
from smidgen.machine.processor import one_thread

Floats = NDArray[np.float32]

_FLOOR = np.float32(1e-6)


class StaticEngine(Engine):
    """The static engine. It reads `tokenizer.json` and `static.safetensors`, which holds

    `vectors` (tokens + pairs, dims), int8, f16 or f32, each token's weight included; the rows of pairs follow those of tokens;
    `vectors.scale` (tokens + pairs,), f32: the factor of each int8 row;
    `token_rows` (vocabulary,), integers: the row of each token number, -1 for none; optional if they are equal;
    `pair_keys` (pairs,), int64, ascending: `row * tokens + next row` of each pair that has a vector; optional;
    `hidden.weight` (width, dims) and `hidden.bias` (width,): a hidden layer with a ReLU; optional;
    `head.weight` (outputs, m) and `head.bias` (outputs,), with m = dims, width, or dims + width (features, then hidden layer).

    Options:

    max_length: tokens read of a text (64); special tokens are never added.
    pooling: `sum` or `mean` (`mean`).
    normalize: whether pooled features are scaled to length 1 (true).
    """

    name = "static"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> StaticRunner:
        """Load both files. Raises EngineError if one is missing or damaged, or they do not fit each other."""
        tokens = ModelTokenizer(folder, options.get("max_length", 64), special=False)
        if options.get("pooling", "mean") not in ("mean", "sum"):
            raise EngineError("engines.engine_option_pooling_is_invalid", value=options["pooling"])
        mean, unit = options.get("pooling", "mean") == "mean", bool(options.get("normalize", True))
        return StaticRunner(tokens, Tensors(folder / "static.safetensors"), mean, unit)


class StaticRunner:
    """A loaded static student."""

    def __init__(self, tokens: ModelTokenizer, tensors: Tensors, mean: bool, unit: bool) -> None:
        self._tokens, self._mean, self._unit = tokens, mean, unit
        self._vectors = tensors.get("vectors", None, None)
        rows, dims = self._vectors.shape
        self._scale = tensors.get("vectors.scale", rows).astype(np.float32) if "vectors.scale" in tensors else None
        self._keys = tensors.get("pair_keys", None).astype(np.int64) if "pair_keys" in tensors else np.zeros(0, np.int64)
        self._token_count = rows - len(self._keys)
        own = np.arange(self._token_count)
        self._rows = tensors.get("token_rows", None).astype(np.int64) if "token_rows" in tensors else own
        if self._rows.max(initial=-1) >= self._token_count or (np.diff(self._keys) <= 0).any():
            raise EngineError("engines.token_and_pair_rows_do_not_fit", value=rows)
        self._hidden: tuple[Floats, Floats] | None = None
        width = 0
        if "hidden.weight" in tensors:
            weight = tensors.get("hidden.weight", None, dims).astype(np.float32)
            width = len(weight)
            self._hidden = np.ascontiguousarray(weight.T), tensors.get("hidden.bias", width).astype(np.float32)
        seen = tensors.get("head.weight", None, None).shape[1]
        self._beside = bool(width) and seen == dims + width
        head = tensors.get("head.weight", None, dims + width if self._beside else width or dims).astype(np.float32)
        self._head = np.ascontiguousarray(head.T), tensors.get("head.bias", len(head)).astype(np.float32)

    def run(self, texts: Sequence[Text]) -> Raw:
        """`logits` (n, outputs) and `embedding` (n, dims), float32. A pair is read as one text, its halves joined by a line break."""
        features = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        encodings = self._tokens.encode([joined(text) for text in texts]) if texts else []
        with one_thread():  # an encoder that answers at the same time needs the cores
            for row, encoding in enumerate(encodings):
                self._pool(encoding.ids, features[row])
            return {"logits": self._logits(features), "embedding": features}

    def _logits(self, features: Floats) -> Floats:
        seen = features
        if self._hidden:
            inner = features @ self._hidden[0]
            inner += self._hidden[1]
            np.maximum(inner, 0, out=inner)
            seen = np.concatenate((features, inner), 1) if self._beside else inner
        return np.asarray(seen @ self._head[0] + self._head[1])

    def _pool(self, ids: Sequence[int], out: Floats) -> None:
        numbers = np.asarray(ids, np.int64)
        rows = self._rows[numbers[numbers < len(self._rows)]]
        rows = rows[rows >= 0]
        if len(self._keys) and len(rows) > 1:
            keys = rows[:-1] * self._token_count + rows[1:]
            at = self._keys.searchsorted(keys)
            at[at == len(self._keys)] = 0
            rows = np.concatenate((rows, at[self._keys[at] == keys] + self._token_count))
        if not len(rows):
            return
        found = self._vectors[rows].astype(np.float32, copy=False)
        total = np.add.reduce(found, 0) if self._scale is None else self._scale[rows] @ found
        if self._unit:
            total /= max(np.sqrt(total @ total), _FLOOR)
        elif self._mean:
            total /= len(rows)
        out[:] = total


part = StaticEngine()
