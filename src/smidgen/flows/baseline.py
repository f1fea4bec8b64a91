"""How much of a slow baseline is measured.

A base with examples in its prompt writes seconds for each text, on a busy machine half a minute: measuring it took as long as teaching the
model that it is held against. So it is timed first, and asked for as many texts as it writes in a tenth of the training time. Where these
are too few to show anything, it is not asked at all, and the build says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from smidgen.core.progress import Progress
from smidgen.flows.timing import Timing
from smidgen.judge.gate_settings import GateSettings
from smidgen.judge.phrases import duration
from smidgen.parts.recipe import Recipe
from smidgen.students.settings import StudentSettings

SHARE = 0.1
"""Of the time that the training took, what measuring the baseline may take."""
TIMED = 0.25
"""Of that, what timing it may take."""
FEWEST = 8
"""Test texts under which a comparison shows nothing."""
MOST_HELD = 32
"""Held-out texts at the most: they are shown, and nothing is chosen by them."""
_FEWEST_HELD = 2
_READY = 10.0
"""Seconds that writing the base's files and loading them takes, about, before anything is asked."""


@dataclass(frozen=True)
class Sample:
    """On how many texts the baseline is measured: `held` held-out ones, `test` test ones, and whether the base without examples, too."""

    held: int
    test: int
    unaided: bool

    @property
    def texts(self) -> int:
        """All that is written."""
        return self.held + self.test * (2 if self.unaided else 1)


def budget(recipe: Recipe, training_seconds: float) -> float:
    """Seconds that measuring the baseline may take: without end where all of it was asked for."""
    return math.inf if recipe.settings(StudentSettings).baseline == "full" else SHARE * training_seconds


def sampled(seconds_per_text: float, seconds: float, held: int, test: int, needed: bool) -> Sample | None:
    """As many texts as are written in this time; None where they are too few to show anything.

    Args:
        seconds_per_text: as it was timed.
        seconds: what there is.
        held, test: the rows that it could be measured on.
        needed: a gate compares with it: then `FEWEST` test texts are written, however long they take.
    """
    most = Sample(min(held, MOST_HELD), test, unaided=True)
    fits = math.inf if seconds == math.inf else (1 - TIMED) * seconds / max(seconds_per_text, 1e-6)
    if most.texts <= fits:
        return most
    few = min(most.held, max(_FEWEST_HELD, int(fits / 5)))
    left = int(fits) - few
    if left // 2 >= min(test, 2 * FEWEST):
        return Sample(few, min(test, left // 2), unaided=True)
    if left >= min(test, FEWEST):
        return Sample(few, min(test, left), unaided=False)
    return Sample(min(few, _FEWEST_HELD), min(test, FEWEST), unaided=False) if needed else None


def worth_timing(recipe: Recipe, name: str, seconds: float, like: float | None, held: int, test: int, progress: Progress) -> bool:
    """Whether there is time to time the baseline at all; where there is none, a line says so.

    Args:
        like: seconds that a student of its kind takes for a text, where one was timed: the baseline, whose prompt is longer, takes more.
    """
    if seconds == math.inf or recipe.settings(GateSettings).must_beat_baseline:
        return True
    if seconds > _READY and (like is None or sampled(like, seconds, held, test, needed=False) is not None):
        return True
    progress.say(
        f"the baseline {name} is not measured: {SHARE:.0%} of the training time is {duration(seconds)}, too little to ask it for "
        f"{FEWEST} texts. --baseline full measures it all the same"
    )
    return False


def planned(recipe: Recipe, name: str, timing: Timing, seconds: float, held: int, test: int, progress: Progress) -> Sample | None:
    """The sample of this recipe's baseline, and a line that says what it takes or why there is none."""
    needed = recipe.settings(GateSettings).must_beat_baseline
    each = 1 / timing.texts_per_second if timing.texts_per_second > 0 else timing.p50 / 1000
    found = sampled(each, seconds, held, test, needed)
    a_tenth = "" if seconds == math.inf else f"; {SHARE:.0%} of the training time is {duration(seconds)}"
    if found is None:
        progress.say(
            f"the baseline {name} is not measured: it writes a text in {duration(each)}{a_tenth}. --baseline full measures it all the same"
        )
        return None
    why = " (gate.must_beat_baseline needs them)" if needed and seconds != math.inf and found.texts * each > seconds else ""
    progress.say(f"the baseline {name} is asked for {found.texts} texts, about {duration(found.texts * each)}{a_tenth}{why}")
    return found
