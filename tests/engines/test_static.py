"""The static engine against the same sums written plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from smidgen.core.errors import EngineError
from smidgen.engines.static import part

DIMS, WIDTH, OUTPUTS = 6, 5, 3
TOKEN_ROWS = np.array([-1, -1, -1, -1, 0, 1, 2, 3, -1, 4, 5, 6, 7, 8, 9, -1], np.int32)
TOKENS = 10
PAIRS = np.array(sorted([0 * TOKENS + 1, 1 * TOKENS + 2, 7 * TOKENS + 6, 9 * TOKENS + 9]), np.int64)
TEXTS = ["my card has", "Please refund my cards ?", "??", "", "zebra", "card", ("my", "card has"), "a " * 300]
ROWS = [[0, 1, 2], [7, 6, 0, 1, 5, 9], [9, 9], [], [], [1], [0, 1, 2], [8] * 8]
PAIR_ROWS = [[0, 1], [0, 2], [3], [], [], [], [0, 1], []]


def tensors(hidden: str = "", quantised: bool = True) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    vectors = rng.integers(-127, 128, (TOKENS + len(PAIRS), DIMS)).astype(np.int8)
    made: dict[str, np.ndarray] = {"token_rows": TOKEN_ROWS, "pair_keys": PAIRS, "vectors": vectors}
    scale = rng.uniform(0.001, 0.1, len(vectors)).astype(np.float32)
    if quantised:
        made["vectors.scale"] = scale
    else:
        made["vectors"] = (vectors * scale[:, None]).astype(np.float16)
    seen = {"": DIMS, "alone": WIDTH, "beside": DIMS + WIDTH}[hidden]
    if hidden:
        made["hidden.weight"] = rng.normal(size=(WIDTH, DIMS)).astype(np.float16)
        made["hidden.bias"] = rng.normal(size=WIDTH).astype(np.float32)
    made["head.weight"] = rng.normal(size=(OUTPUTS, seen)).astype(np.float32)
    made["head.bias"] = rng.normal(size=OUTPUTS).astype(np.float32)
    return made


def expected(made: dict[str, np.ndarray], hidden: str, pooling: str, normalize: bool) -> tuple[np.ndarray, np.ndarray]:
    features = []
    for rows, pairs in zip(ROWS, PAIR_ROWS, strict=True):
        every = rows + [TOKENS + pair for pair in pairs]
        total = np.zeros(DIMS)
        for row in every:
            total += made["vectors"][row].astype(np.float64) * made.get("vectors.scale", np.ones(99))[row]
        if normalize:
            total /= max(np.linalg.norm(total), 1e-6)
        elif pooling == "mean" and every:
            total /= len(every)
        features.append(total)
    x = seen = np.array(features)
    if hidden:
        inner = np.maximum(x @ made["hidden.weight"].astype(np.float64).T + made["hidden.bias"], 0)
        seen = np.concatenate((x, inner), 1) if hidden == "beside" else inner
    return seen @ made["head.weight"].T + made["head.bias"], x


@pytest.mark.parametrize("hidden", ["", "alone", "beside"])
@pytest.mark.parametrize("quantised", [True, False])
@pytest.mark.parametrize(("pooling", "normalize"), [("mean", True), ("mean", False), ("sum", False)])
def test_sums_and_head(hidden: str, quantised: bool, pooling: str, normalize: bool, tokenizer_file: Path) -> None:
    made = tensors(hidden, quantised)
    save_file(made, tokenizer_file.with_name("static.safetensors"))
    options = {"max_length": 8, "pooling": pooling, "normalize": normalize}
    runner = part.open(tokenizer_file.parent, options, 1)
    logits, features = expected(made, hidden, pooling, normalize)
    raw = runner.run(TEXTS)
    assert raw["logits"].shape == (8, OUTPUTS) and raw["logits"].dtype == raw["embedding"].dtype == np.float32
    assert np.abs(raw["embedding"] - features).max() < 1e-4
    assert np.abs(raw["logits"] - logits).max() < 1e-3
    for row, text in enumerate(TEXTS):
        assert np.allclose(runner.run([text])["logits"][0], raw["logits"][row], atol=1e-4)
    assert row == 7
    assert runner.run([])["logits"].shape == (0, OUTPUTS)


def _unsorted(made: dict[str, np.ndarray]) -> None:
    made["pair_keys"] = PAIRS[::-1].copy()


def _far(made: dict[str, np.ndarray]) -> None:
    made["token_rows"] = TOKEN_ROWS + 5


def _narrow(made: dict[str, np.ndarray]) -> None:
    made["head.weight"] = made["head.weight"][:, :-1].copy()


def _headless(made: dict[str, np.ndarray]) -> None:
    del made["head.bias"]


@pytest.mark.parametrize("damage", [_unsorted, _far, _narrow, _headless])
def test_tensors_that_do_not_fit(damage: object, tokenizer_file: Path) -> None:
    made = tensors("beside")
    damage(made)
    save_file(made, tokenizer_file.with_name("static.safetensors"))
    with pytest.raises(EngineError):
        part.open(tokenizer_file.parent, {}, 1)
