"""The speed of models on this machine: one text, and batches; the cost of checking a guessed token; and a slow baseline's sample.

Of a slow baseline only as many texts are measured as the time allows.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from smidgen.core.errors import EngineError
from smidgen.core.parts import Base, Raw, Runner
from smidgen.core.progress import Progress
from smidgen.core.quantities import duration
from smidgen.core.rows import Text
from smidgen.core.settings import Settings
from smidgen.flows.text_generation import open_runner
from smidgen.judge.quality_gate import GateSettings
from smidgen.parts.recipe import Recipe
from smidgen.students.settings import StudentSettings

# The speed of a loaded model: one text at a time, and in batches.

_SINGLES, _BATCH = 150, 256
_SECONDS = 1.2
_WRITTEN_SINGLES = 6
_WRITTEN_BATCH = 16
"""Fewer texts for a model that writes, which takes a hundred times as long as a classifier."""
_WRITTEN_SECONDS = 60.0
"""The longest time for that: on a busy machine one text may take half a minute."""
_LEAST_BATCH = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds for one text (median and 99th percentile), texts a second in batches of `batch`; for a model that writes, also the
    tokens a second for one text at a time (median), and in batches."""

    p50: float
    p99: float
    texts_per_second: float
    batch: int
    tokens_per_second: float | None = None
    tokens_per_second_batched: float | None = None


def measure_speed(runner: Runner, texts: Sequence[Text], seconds: float | None = None) -> Timing:
    """Time a runner on real texts, tokenisation included, after a warm-up. Takes about two seconds; longer for a writer.

    Args:
        seconds: approximate time limit for a writer, beyond the first text; a minute by default.
    """
    sample = list(texts[:_SINGLES]) or [""]
    if "tokens" in runner.run([sample[0]]):
        return _time_writer(runner, sample, min(_WRITTEN_SECONDS, seconds if seconds is not None else math.inf))
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


def _time_writer(runner: Runner, sample: Sequence[Text], limit: float) -> Timing:
    """Time single texts for at most half of the limit, then as many side by side as fit in the rest."""
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


# The cost of checking a guessed token on this machine, relative to writing one: it decides whether a writer should guess ahead.
#
# Checking a guess means reading it. Drafting that made answers a quarter faster on one processor made them slower on another, so the cost
# is measured before a decoder is trained, on the base's own file. It is an estimate: the vocabulary, the number of layers and the form of
# the weights may still change.

GUESS_ROUNDS = 7
GUESS_TOKENS, GUESS_FEWEST_TOKENS = 24, 6
"""Tokens written to time one, and the fewest that are enough: the text may end by itself."""
GUESS_LEAST_COST, GUESS_MOST_COST = 0.05, 1.5
"""Plausible range of the cost: beside other work a measurement may give any number."""
GUESS_SECONDS = 20.0
"""Longest time of the measurement: two threads that wait for one another on busy cores may be a hundred times as slow."""
_STEM = "The blue lamp stands on the old table by the door, and the red vase is in the kitchen."
_TAILS = ("It looks nice in the light.", "We sold three of them last week.", "They all came too late for us.")
"""Endings of about seven tokens each: about as many as are guessed at once."""


@runtime_checkable
class TimedWriter(Protocol):
    """A runner that writes piece by piece, and counts the tokens of a prompt."""

    def count(self, text: Text) -> int:
        """Tokens of the prompt."""
        ...

    def write(self, text: Text, **options: Any) -> Generator[Any, None, None]:
        """See `flows.text_generation.TextWriter`."""
        ...


def with_guess_cost(settings: Settings, base: Base | None, threads: int, schema: bool = False) -> Settings:
    """The settings with `guess_cost` measured on this machine, if they leave guessing open, give no cost, and the base is a file that can
    be served unchanged. Else unchanged; also with a `schema`, because such answers are never guessed. Takes some five seconds."""
    undecided = not schema and getattr(settings, "draft", None) == "auto" and not getattr(settings, "adapter", False)
    if base is None or not undecided or getattr(settings, "guess_cost", 0.0) is not None:
        return settings
    files = sorted(base.folder.glob("*.gguf"))
    if len(files) != 1:
        return settings
    found = measure_guess_cost(files[0], threads)
    return settings if found is None else settings.model_copy(update={"guess_cost": found})


@cache
def measure_guess_cost(file: Path, threads: int) -> float | None:
    """The cost if this file is served; None if it cannot be served or measured. Measured once per process: a build may train a student
    twice, on some rows and then on all, and settings fitted on the first must hold for the second."""
    options = {"model": file.name, "max_tokens": GUESS_TOKENS, "context": 512, "slots": 1}
    try:
        with open_runner("llama", file.parent, options, threads) as runner:
            assert isinstance(runner, TimedWriter)
            return guess_cost(runner)
    except EngineError:  # the base cannot be served unchanged: its student may be all the same
        return None


def guess_cost(runner: TimedWriter, clock: Callable[[], float] = time.perf_counter) -> float | None:
    """The time to read one more token in a step, relative to writing one; None if it cannot be measured: the runner writes too little,
    takes longer than `GUESS_SECONDS`, or the result is not between `GUESS_LEAST_COST` and `GUESS_MOST_COST`.

    Each of `GUESS_ROUNDS` takes three times: of a one-token answer to a text with a new ending, of one to the same text, which is then
    cached, and of an answer of `GUESS_TOKENS` tokens to it. The differences cancel all other time, and their medians count.
    """
    ends = clock() + GUESS_SECONDS
    texts, stem = [f"{_STEM} {tail}" for tail in _TAILS], runner.count(_STEM)

    def timed(text: str, most: int) -> tuple[float, int]:
        began, count = clock(), 0
        with closing(runner.write(text, max_tokens=most)) as pieces:
            for piece in pieces:
                count += piece.count
                if clock() > ends:
                    break
        return clock() - began, count

    timed(texts[-1], GUESS_TOKENS)
    a_token, a_step, counts = [], [], []
    for number in range(GUESS_ROUNDS):
        text = texts[number % len(texts)]
        new, known = timed(text, 1)[0], timed(text, 1)[0]
        took, count = timed(text, GUESS_TOKENS)
        # The last token of a cached text is read again.
        a_token.append((new - known) / (runner.count(text) - stem - 1))
        a_step.append((took - known) / max(1, count - 1))
        counts.append(count)
        if clock() > ends:
            return None
    step = statistics.median(a_step)
    if statistics.median(counts) < GUESS_FEWEST_TOKENS or step <= 0:
        return None
    found = statistics.median(a_token) / step
    return round(found, 3) if GUESS_LEAST_COST <= found <= GUESS_MOST_COST else None


# The sample of a slow baseline.
#
# A base with examples in its prompt writes seconds for each text, on a busy machine half a minute: measuring it took as long as training
# the model that it is compared with. So it is timed first, and writes only as many texts as fit into a tenth of the training time. If
# these are too few to show anything, it is not asked at all, and the build says so.

BASELINE_SHARE = 0.1
"""Share of the training time that measuring the baseline may take, and as much again measuring the other alternatives of a writer."""
BASELINE_TIMED_SHARE = 0.25
"""Share of that for timing it."""
BASELINE_FEWEST = 8
"""Least test texts for a meaningful comparison."""
BASELINE_MOST_HELD = 32
"""Most held-out texts: they are shown, and nothing is chosen by them."""
MOST_COMPARED = 64
"""Most test rows for the alternatives of a writer, and for its baseline if it is quick."""
_BASELINE_FEWEST_HELD = 2
_BASELINE_READY = 10.0
"""Approximate seconds for writing the base's files and loading them."""


@dataclass(frozen=True)
class BaselineSample:
    """The size of the baseline's sample: `held` held-out texts, `test` test texts, and whether to measure the base without examples,
    too."""

    held: int
    test: int
    unaided: bool

    @property
    def texts(self) -> int:
        """The number of texts that are written."""
        return self.held + self.test * (2 if self.unaided else 1)


def baseline_seconds(recipe: Recipe, training_seconds: float) -> float:
    """Seconds that measuring the baseline may take; unlimited if a full measurement was requested."""
    return math.inf if recipe.settings(StudentSettings).baseline == "full" else BASELINE_SHARE * training_seconds


def sample_baseline(seconds_per_text: float, seconds: float, held: int, test: int, needed: bool) -> BaselineSample | None:
    """A sample as large as this time allows; None if that is too small to show anything.

    Args:
        seconds_per_text: as it was timed.
        seconds: the time available.
        held, test: the rows that it could be measured on.
        needed: a gate compares with it: then `BASELINE_FEWEST` test texts are written, however long they take.
    """
    most = BaselineSample(min(held, BASELINE_MOST_HELD), test, unaided=True)
    fits = math.inf if seconds == math.inf else (1 - BASELINE_TIMED_SHARE) * seconds / max(seconds_per_text, 1e-6)
    if most.texts <= fits:
        return most
    few = min(most.held, max(_BASELINE_FEWEST_HELD, int(fits / 5)))
    left = int(fits) - few
    if left // 2 >= min(test, 2 * BASELINE_FEWEST):
        return BaselineSample(few, min(test, left // 2), unaided=True)
    if left >= min(test, BASELINE_FEWEST):
        return BaselineSample(few, min(test, left), unaided=False)
    return BaselineSample(min(few, _BASELINE_FEWEST_HELD), min(test, BASELINE_FEWEST), unaided=False) if needed else None


def rows_to_compare(recipe: Recipe, training_seconds: float, seconds_per_row: float) -> int:
    """The number of test rows on which alternatives that write are measured: as many as fit into `BASELINE_SHARE` of the training time, at
    least `BASELINE_FEWEST` and at most `MOST_COMPARED`. `seconds_per_row`: of all of them together."""
    fits = baseline_seconds(recipe, training_seconds) / max(seconds_per_row, 1e-6)
    return int(min(MOST_COMPARED, max(BASELINE_FEWEST, fits)))


def is_worth_timing(recipe: Recipe, name: str, seconds: float, like: float | None, held: int, test: int, progress: Progress) -> bool:
    """Whether there is time to time the baseline at all; if not, report it.

    Args:
        like: seconds that a similar student takes for a text, if one was timed: the baseline, whose prompt is longer, takes more.
    """
    if seconds == math.inf or recipe.settings(GateSettings).must_beat_baseline:
        return True
    if seconds > _BASELINE_READY and (like is None or sample_baseline(like, seconds, held, test, needed=False) is not None):
        return True
    progress.say(
        f"the baseline {name} is not measured: {BASELINE_SHARE:.0%} of the training time is {duration(seconds)}, too little to ask it for "
        f"{BASELINE_FEWEST} texts. --baseline full measures it all the same"
    )
    return False


def plan_baseline(
    recipe: Recipe, name: str, timing: Timing, seconds: float, held: int, test: int, progress: Progress
) -> BaselineSample | None:
    """The sample of this recipe's baseline; reports its cost, or why there is none."""
    needed = recipe.settings(GateSettings).must_beat_baseline
    each = 1 / timing.texts_per_second if timing.texts_per_second > 0 else timing.p50 / 1000
    found = sample_baseline(each, seconds, held, test, needed)
    a_tenth = "" if seconds == math.inf else f"; {BASELINE_SHARE:.0%} of the training time is {duration(seconds)}"
    if found is None:
        progress.say(
            f"the baseline {name} is not measured: it writes a text in {duration(each)}{a_tenth}. --baseline full measures it all the same"
        )
        return None
    why = " (gate.must_beat_baseline needs them)" if needed and seconds != math.inf and found.texts * each > seconds else ""
    progress.say(f"the baseline {name} writes {found.texts} texts, about {duration(found.texts * each)}{a_tenth}{why}")
    return found
