"""How fast a loaded model is here: one text at a time, and in batches."""

from __future__ import annotations

import math
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
_WRITTEN_SECONDS = 60.0
"""And no longer than this: on a busy machine one text may take half a minute."""
_LEAST_BATCH = 4


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


def measure(runner: Runner, texts: Sequence[Text], seconds: float | None = None) -> Timing:
    """Time a runner on real texts, tokenisation included, after a warm-up. Takes about two seconds; more where it writes.

    Args:
        seconds: about how long timing one that writes may take, beyond the first text; a minute by default.
    """
    sample = list(texts[:_SINGLES]) or [""]
    if "tokens" in runner.run([sample[0]]):
        return _written(runner, sample, min(_WRITTEN_SECONDS, seconds if seconds is not None else math.inf))
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


def _written(runner: Runner, sample: Sequence[Text], limit: float) -> Timing:
    """One text at a time for half of the time at the most, then side by side as many as fit in what is left."""
    took, speeds = [], []
    began = time.perf_counter()
    for number in range(_WRITTEN_SINGLES):
        before = time.perf_counter()
        raw = runner.run([sample[number % len(sample)]])
        took.append(time.perf_counter() - before)
        speeds.append(_tokens(raw) / took[-1])
        if time.perf_counter() - began > limit / 2:
            break
    p50, p99 = np.percentile(took, [50, 99]) * 1e3
    single = float(np.median(speeds))
    most = min(_WRITTEN_BATCH, int((limit - (time.perf_counter() - began)) / max(float(np.median(took)), 1e-6)))
    if most < _LEAST_BATCH:
        return Timing(float(p50), float(p99), 1e3 / max(float(p50), 1e-6), 1, single, None)
    pool = [sample[number % len(sample)] for number in range(most)]
    before = time.perf_counter()
    raw = runner.run(pool)
    seconds = time.perf_counter() - before
    return Timing(float(p50), float(p99), most / seconds, most, single, _tokens(raw) / seconds)


def _tokens(raw: Raw) -> float:
    return float(np.sum(raw["tokens"]))
