"""A small transformer that reads a history in its order and gives each item a probability to come next. NumPy alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

UNTAUGHT = -100.0
"""The bias of an item that was not in the training data."""
_PREFIX = "next."
_BLOCK = re.compile(r"blocks\.(\d+)\.")
MAX_BLOCKS = 16
_SMALL = 1e-5


@dataclass(frozen=True)
class NextItemModel:
    """A causal transformer over items, after SASRec (Kang and McAuley 2018): what it reads is what it ranks, so its input and output share
    their vectors.

    Attributes:
        arrays: the parameters by name, of n items, width d and window w. `items.weight` (n, d), `places.weight` (w, d), `bias` (n,),
            `last.weight` and `last.bias` (d,); of each block b: `blocks.b.` and `before`, `between` (norms), `look` (3 d, d: queries, keys,
            values), `out` (d, d), `up` (4 d, d), `down` (d, 4 d), each a `weight` and a `bias`.
        heads: of the attention.
    """

    arrays: Mapping[str, Floats]
    heads: int

    @property
    def window(self) -> int:
        """The latest items of a history that are read."""
        return len(self.arrays["places.weight"])

    def probabilities(self, history: NDArray[np.int64], sharpness: float = 1.0) -> Floats:
        """(n,) how likely each item is to come next; 0 for those of the history. All are 0 if none of the history was seen in training.

        `sharpness`: a factor of the logits: the larger, the surer.
        """
        logits = self.logits(history)
        most = logits.max()
        if not np.isfinite(most):
            return np.zeros_like(logits)
        found: Floats = np.exp(np.float32(sharpness) * (logits - most))
        found /= found.sum()
        return found

    def logits(self, history: NDArray[np.int64]) -> Floats:
        """(n,) how well each item would come next; minus infinity for those of the history, and for those not seen in training.

        If none of the history was seen in training, all are minus infinity.
        """
        arrays = self.arrays
        taught = history[arrays["bias"][history] > UNTAUGHT]
        if not len(taught):
            return np.full(len(arrays["bias"]), -np.inf, np.float32)
        logits: Floats = arrays["items.weight"] @ self._state(taught[-self.window :]) + arrays["bias"]
        logits[arrays["bias"] <= UNTAUGHT] = -np.inf
        logits[history] = -np.inf
        return logits

    def _state(self, history: NDArray[np.int64]) -> Floats:
        """(d,) the last hidden state of a history of at least one item."""
        arrays = self.arrays
        width = arrays["items.weight"].shape[1]
        state = arrays["items.weight"][history] * np.float32(width**0.5) + arrays["places.weight"][: len(history)]
        hidden = np.triu(np.full((len(history), len(history)), -np.inf, np.float32), 1)
        for block in range(_blocks(arrays)):
            own = f"blocks.{block}."
            projected = self._linear(f"{own}look", self._norm(f"{own}before", state))
            query, key, value = projected.reshape(len(history), 3, self.heads, -1).transpose(1, 2, 0, 3)
            met = query @ key.transpose(0, 2, 1) / np.float32((width // self.heads) ** 0.5) + hidden
            met = np.exp(met - met.max(axis=2, keepdims=True))
            seen = (met / met.sum(axis=2, keepdims=True)) @ value
            state = state + self._linear(f"{own}out", seen.transpose(1, 0, 2).reshape(len(history), width))
            inner = np.maximum(0, self._linear(f"{own}up", self._norm(f"{own}between", state)))
            state = state + self._linear(f"{own}down", inner)
        last: Floats = self._norm("last", state[-1:])[0]
        return last

    def _linear(self, name: str, state: Floats) -> Floats:
        found: Floats = state @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"]
        return found

    def _norm(self, name: str, state: Floats) -> Floats:
        centred = state - state.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(_SMALL))
        found: Floats = centred / spread * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]
        return found


def stored_arrays(model: NextItemModel) -> dict[str, NDArray[Any]]:
    """The arrays as they are kept beside a ranking's own."""
    return {_PREFIX + name: array for name, array in model.arrays.items()} | {_PREFIX + "heads": np.array([model.heads], np.int32)}


def model_among(arrays: Mapping[str, NDArray[Any]], items: int) -> NextItemModel | None:
    """The model among a ranking's arrays, for so many items; None if there is none. Raises ValueError, a clause, if it is damaged."""
    own = {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
    if not own:
        return None
    heads, vectors, places = own.pop("heads", None), own.get("items.weight"), own.get("places.weight")
    shaped = vectors is not None and vectors.ndim == 2 and places is not None and places.ndim == 2 and 1 <= len(places) <= 10_000
    if not shaped or heads is None or heads.shape != (1,) or heads.dtype != np.int32:
        raise ValueError("its transformer is damaged")
    assert vectors is not None and places is not None
    width, count, blocks = vectors.shape[1], int(heads[0]), _blocks(own)
    if not 1 <= count <= width or width % count or blocks > MAX_BLOCKS:
        raise ValueError("its transformer has an impossible shape")
    shapes = {"items.weight": (items, width), "places.weight": (len(places), width), "bias": (items,), **_pair("last", width)}
    for block in range(blocks):
        block_name = f"blocks.{block}."
        shapes |= _pair(f"{block_name}before", width) | _pair(f"{block_name}between", width)
        for name, rows, columns in (
            ("look", 3 * width, width),
            ("out", width, width),
            ("up", 4 * width, width),
            ("down", width, 4 * width),
        ):
            shapes |= {f"{block_name}{name}.weight": (rows, columns), f"{block_name}{name}.bias": (rows,)}
    if {name: array.shape for name, array in own.items()} != shapes:
        raise ValueError("its transformer does not fit its items")
    if any(array.dtype != np.float32 for array in own.values()):
        raise ValueError("a table of its transformer is of another type")
    if not all(np.isfinite(array).all() for array in own.values()):
        raise ValueError("its transformer holds numbers that are not finite")
    return NextItemModel(own, count)


def _pair(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _blocks(arrays: Mapping[str, Any]) -> int:
    found = [int(match[1]) for name in arrays if (match := _BLOCK.match(name))]
    return max(found, default=-1) + 1
