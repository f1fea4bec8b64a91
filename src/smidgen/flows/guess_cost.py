"""What checking a guessed token costs on this machine, beside writing one: whether a writer should guess ahead turns on it.

A guess is checked by reading it. Drafting that made answers a quarter faster on one processor made them slower on another, so what a guess
costs is measured before a decoder is taught, on the base's own file. It is an estimate: the vocabulary, the number of layers and the form
of the weights may still change.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from smidgen.core.bases import Base
from smidgen.core.errors import EngineError
from smidgen.core.rows import Text
from smidgen.core.settings import Settings
from smidgen.flows.runners import opened

ROUNDS = 7
WRITTEN, FEWEST = 24, 6
"""Tokens written to see what one takes, and the fewest that tell: the text may end by itself."""
LEAST, MOST = 0.05, 1.5
"""What is believed of a measurement: beside other work it may come out as anything."""
SECONDS = 20.0
"""How long it may take: two threads that wait for one another on busy cores may be a hundred times as slow."""
_STEM = "The blue lamp stands on the old table by the door, and the red vase is in the kitchen."
_TAILS = ("It looks nice in the light.", "We sold three of them last week.", "They all came too late for us.")
"""Some seven tokens each: about as many as are guessed at once."""


@runtime_checkable
class Reader(Protocol):
    """What is measured: a runner that writes piece by piece, and tells how many tokens the prompt of a text has."""

    def count(self, text: Text) -> int:
        """Tokens of the prompt."""
        ...

    def write(self, text: Text, **options: Any) -> Generator[Any, None, None]:
        """See `flows.written.Writer`."""
        ...


def priced(settings: Settings, base: Base | None, threads: int, schema: bool = False) -> Settings:
    """The settings with `guess_cost` as it is on this machine, where they leave open whether to guess ahead, say nothing of what it costs,
    and the base comes in a file that can be served as it is. Else the same settings, as where answers are held to a `schema`: they are
    never guessed. Takes some five seconds."""
    undecided = not schema and getattr(settings, "draft", None) == "auto" and not getattr(settings, "adapter", False)
    if base is None or not undecided or getattr(settings, "guess_cost", 0.0) is not None:
        return settings
    files = sorted(base.folder.glob("*.gguf"))
    if len(files) != 1:
        return settings
    found = measured(files[0], threads)
    return settings if found is None else settings.model_copy(update={"guess_cost": found})


@cache
def measured(file: Path, threads: int) -> float | None:
    """The cost where this file is served, None where it cannot be or the cost cannot be told. Measured once in a process: a build may teach
    a student twice, on some rows and then on all, and what is fitted on the one must hold for the other."""
    options = {"model": file.name, "max_tokens": WRITTEN, "context": 512, "slots": 1}
    try:
        with opened("llama", file.parent, options, threads) as runner:
            assert isinstance(runner, Reader)
            return cost(runner)
    except EngineError:  # the base is not served as it is: what is taught of it may be all the same
        return None


def cost(runner: Reader, clock: Callable[[], float] = time.perf_counter) -> float | None:
    """What reading one token more in the same step takes, in parts of what writing one takes, None where that cannot be told: it
    writes too little, takes longer than `SECONDS`, or what comes out is not between `LEAST` and `MOST`.

    Three times are taken in each of `ROUNDS`: of an answer of one token to a text that ends otherwise than the one before it, of one to the
    same text, whose tokens are known then, and of an answer of `WRITTEN` tokens to it. What an answer takes besides falls out of the
    differences, whose medians count.
    """
    ends = clock() + SECONDS
    texts, stem = [f"{_STEM} {tail}" for tail in _TAILS], runner.count(_STEM)

    def timed(text: str, most: int) -> tuple[float, int]:
        began, count = clock(), 0
        with closing(runner.write(text, max_tokens=most)) as pieces:
            for piece in pieces:
                count += piece.count
                if clock() > ends:
                    break
        return clock() - began, count

    timed(texts[-1], WRITTEN)
    a_token, a_step, counts = [], [], []
    for number in range(ROUNDS):
        text = texts[number % len(texts)]
        new, known = timed(text, 1)[0], timed(text, 1)[0]
        took, count = timed(text, WRITTEN)
        # Of a known text its last token is read, too.
        a_token.append((new - known) / (runner.count(text) - stem - 1))
        a_step.append((took - known) / max(1, count - 1))
        counts.append(count)
        if clock() > ends:
            return None
    step = statistics.median(a_step)
    if statistics.median(counts) < FEWEST or step <= 0:
        return None
    found = statistics.median(a_token) / step
    return round(found, 3) if LEAST <= found <= MOST else None
