"""How fast a loaded model is here: one text at a time, and in batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from smidgen.core.parts import Raw, Runner
from smidgen.core.rows import Text

_SINGLES, _BATCH = 150, 256
_SECONDS = 1.2
_WRITTEN_SINGLES = 6
_WRITTEN_BATCH = 16
"""A model that writes takes a hundred times as long as one that sorts: it is timed on few."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds for one text (median and 99th percentile), texts a second in batches of `batch`; of a model that writes, also the
    tokens a second that it writes for one text at a time (median), and in batches."""

    p50: float
    p99: float
    texts_per_second: float
    batch: int
    tokens_per_second: float | None = None
    tokens_per_second_batched: float | None = None

    def json(self) -> dict[str, Any]:
        """As it is stored beside a step's result."""
        return asdict(self)


def measure(runner: Runner, texts: Sequence[Text]) -> Timing:
    """Time a runner on real texts, tokenisation included, after a warm-up. Takes about two seconds; more where it writes."""
    sample = list(texts[:_SINGLES]) or [""]
    if "tokens" in runner.run([sample[0]]):
        return _written(runner, sample)
    for text in sample[:10]:
        runner.run([text])
    took: list[float] = []
    began = time.perf_counter()
    for number in range(_SINGLES):
        before = time.perf_counter()
        runner.run([sample[number % len(sample)]])
        took.append(time.perf_counter() - before)
        if time.perf_counter() - began > _SECONDS:
            break
    pool = [texts[number % len(texts)] for number in range(_BATCH * 4)] if texts else [""] * _BATCH
    runner.run(pool[:_BATCH])
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS / 2:
        start = done % (len(pool) - _BATCH + 1)
        runner.run(pool[start : start + _BATCH])
        done += _BATCH
    rate = done / (time.perf_counter() - began)
    return Timing(float(np.percentile(took, 50) * 1e3), float(np.percentile(took, 99) * 1e3), rate, _BATCH)


def _written(runner: Runner, sample: Sequence[Text]) -> Timing:
    took, speeds = [], []
    for number in range(_WRITTEN_SINGLES):
        before = time.perf_counter()
        raw = runner.run([sample[number % len(sample)]])
        took.append(time.perf_counter() - before)
        speeds.append(_tokens(raw) / took[-1])
    pool = [sample[number % len(sample)] for number in range(_WRITTEN_BATCH)]
    before = time.perf_counter()
    raw = runner.run(pool)
    seconds = time.perf_counter() - before
    p50, p99 = np.percentile(took, [50, 99]) * 1e3
    return Timing(
        float(p50),
        float(p99),
        _WRITTEN_BATCH / seconds,
        _WRITTEN_BATCH,
        float(np.median(speeds)),
        _tokens(raw) / seconds,
    )


def _tokens(raw: Raw) -> float:
    return float(np.sum(raw["tokens"]))
