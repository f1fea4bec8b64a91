"""Whether a decoder is to guess its next tokens from what stands before them, and how far: by the examples that it is taught.

It pays where answers copy from their inputs (corrections, rewrites) and costs where they do not, for a guess is checked whether it is right
or wrong. So the examples' own answers are written on paper, token by token as the engine would, with several sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smidgen.core.errors import TrainError
from smidgen.core.rows import evenly
from smidgen.stats.drafting import CHECKED, Course, Sizes, course
from smidgen.students.lessons import Lesson
from smidgen.students.prompts import Prompt

TRIED = (Sizes(6, 16), Sizes(4, 8), Sizes(3, 8), Sizes(2, 4), Sizes(2, 3), Sizes(1, 2))
"""From long repeats, which rarely mislead, to short ones, which come back sooner after a corrected word but guess wrong more often. The
engine guesses no fewer tokens than it has looked up."""
GAIN = 1.15
"""The least estimated gain that is taken. It is an estimate: what a guess costs differs with the form of the weights and with how many
texts are written side by side, and a token that was guessed has no probability to score by."""
MOST = 200
"""Examples that are looked at, spread evenly."""


@dataclass(frozen=True)
class Drafting:
    """The choice: `sizes` to guess with, or None for not at all, and in `why` the words for it."""

    sizes: Sizes | None
    why: str

    def options(self) -> dict[str, str | int]:
        """The engine's options."""
        if self.sizes is None:
            return {}
        return {"draft": "lookup", "draft_after": self.sizes.after, "draft_most": self.sizes.most}


def chosen(
    asked: Literal["auto", "none", "lookup"],
    lessons: Sequence[Lesson],
    prompt: Prompt,
    apart: bool,
    schema: bool,
    cost: float | None = None,
) -> Drafting:
    """Whether and how far to guess.

    Args:
        asked: `auto` weighs it; `lookup` takes the best sizes, whatever they gain.
        lessons: the examples.
        prompt: what stands around their texts.
        apart: whether what is taught is an adapter: bundles of one base are held together only where they guess alike.
        schema: whether answers are held to a schema: the score of such an answer is the product of all its tokens' probabilities.
        cost: of checking a guess, in steps that write one token; None: as where it was measured once.

    Raises TrainError where `lookup` is asked for with a schema.
    """
    if asked == "lookup" and schema:
        raise TrainError(
            "answers that are held to a schema are scored by the probability of every token, and a token that is guessed has none",
            value="draft = lookup",
            todo="Leave it out, or --draft none.",
        )
    if asked == "none":
        return Drafting(None, "none, as asked")
    if asked == "auto" and schema:
        return Drafting(None, "none, answers in a schema are scored by every token")
    if asked == "auto" and apart:
        return Drafting(None, "none, so that adapters of one base can be served together")
    some = evenly(lessons, MOST)
    counted = {sizes: _counted(some, prompt, sizes) for sizes in TRIED}
    checked = CHECKED if cost is None else cost
    sizes = max(counted, key=lambda each: counted[each].gain(checked))
    best, gain = counted[sizes], counted[sizes].gain(checked)
    told = f"{best.a_step:.2f} tokens a step, {_share(best)} of guesses right, estimated {gain:.2f} times as fast"
    told = f"{told} ({len(some)} examples, a guess costs {checked:.2f} of a step{'' if cost is None else ' here'})"
    if asked == "auto" and gain < GAIN:
        return Drafting(None, f"none, at best {told}")
    return Drafting(sizes, f"lookup, up to {sizes.most} tokens guessed after {sizes.after} that stand earlier, {told}")


def unguessed(prompt: Sequence[int], answer: Sequence[int], chances: Sequence[float], sizes: Sizes) -> float:
    """The mean of the probabilities of an answer's tokens that the engine would write in steps without a guess; 0 where there is none."""
    seen = [chances[place] for place in course(prompt, answer, sizes).seen]
    return sum(seen) / len(seen) if seen else 0.0


def _counted(lessons: Sequence[Lesson], prompt: Prompt, sizes: Sizes) -> Course:
    total = Course()
    for lesson in lessons:
        ids = lesson.ids.tolist()
        cut = len(ids) - lesson.answer
        total += course([*prompt.before, *ids[:cut]], ids[cut:], sizes)
    return total


def _share(counted: Course) -> str:
    return f"{counted.right / counted.guessed:.0%}" if counted.guessed else "none"
