"""How fast a loaded model is here: one text at a time, and in batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smidgen.core.parts import Runner
from smidgen.core.rows import Text

_SINGLES = 150
_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds for one text (median and 99th percentile), texts a second in batches of `batch`."""

    p50: float
    p99: float
    texts_per_second: float
    batch: int

    def json(self) -> dict[str, float]:
        """As it is stored beside a step's result."""
        return {"p50": self.p50, "p99": self.p99, "texts_per_second": self.texts_per_second, "batch": self.batch}


def measure(runner: Runner, texts: Sequence[Text], batch: int = 256, singles: int = _SINGLES) -> Timing:
    """Time a runner on real texts, tokenisation included, after a warm-up. Takes about two seconds."""
    sample = list(texts[:singles]) or [""]
    for text in sample[:10]:
        runner.run([text])
    took: list[float] = []
    began = time.perf_counter()
    for number in range(singles):
        before = time.perf_counter()
        runner.run([sample[number % len(sample)]])
        took.append(time.perf_counter() - before)
        if time.perf_counter() - began > _SECONDS:
            break
    pool = [texts[number % len(texts)] for number in range(batch * 4)] if texts else [""] * batch
    runner.run(pool[:batch])
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS / 2:
        start = done % (len(pool) - batch + 1)
        runner.run(pool[start : start + batch])
        done += batch
    rate = done / (time.perf_counter() - began)
    return Timing(float(np.percentile(took, 50) * 1e3), float(np.percentile(took, 99) * 1e3), rate, batch)
