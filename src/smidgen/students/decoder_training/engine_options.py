"""Options of the llama engine for a decoder: whether to guess its next tokens (drafting), and the bits of the attention cache.

Drafting pays if answers copy from their inputs (corrections, rewrites) and costs otherwise, because every guess must be checked. So the
engine's drafting is simulated on the examples' own answers, token by token, with several sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smidgen.core.errors import TrainError
from smidgen.core.rows import evenly
from smidgen.gguf.architectures import DecoderShape
from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.prompts import DecoderPrompt

CHECKED = 0.38
"""Default cost of checking a guess, in steps that write one token. The starter model wrote 125 tokens a second and read 330 (Q4_1, two
threads, the prebuilt engine); checking a guess means reading it."""


@dataclass(frozen=True, slots=True)
class DraftSizes:
    """Sizes of drafting: if the last `after` tokens occur earlier, up to `most` tokens after that place are guessed."""

    after: int
    most: int


@dataclass(frozen=True, slots=True)
class DraftedSteps:
    """Counts of the steps that write answers.

    Attributes:
        tokens: tokens of the answers.
        steps: steps that the model takes to write them.
        guessed: tokens guessed on the way.
        right: guesses that were right.
        seen: places in the answer, from 0, of tokens written by steps without a guess. The engine reports no probability for others.
    """

    tokens: int = 0
    steps: int = 0
    guessed: int = 0
    right: int = 0
    seen: tuple[int, ...] = ()

    def __add__(self, other: DraftedSteps) -> DraftedSteps:
        """Sum the counts. `seen` belongs to a single answer and is dropped."""
        return DraftedSteps(self.tokens + other.tokens, self.steps + other.steps, self.guessed + other.guessed, self.right + other.right)

    @property
    def a_step(self) -> float:
        """Tokens written per step; 1 if no guess was right."""
        return self.tokens / self.steps if self.steps else 1.0

    def gain(self, checked: float = CHECKED) -> float:
        """Return the expected speed-up over writing token by token if checking a guess costs `checked` steps; below 1 it is slower."""
        return self.tokens / (self.steps + checked * self.guessed) if self.steps else 1.0


def simulate_drafting(prompt: Sequence[int], answer: Sequence[int], sizes: DraftSizes, room: int | None = None) -> DraftedSteps:
    """Count the steps of writing `answer` after `prompt`, both token ids. An end token counts if it is included.

    `room`: most tokens that may be written; guesses stop there. None: no limit. Guesses beyond the end are checked like the others.
    """
    ids, after = [*prompt, *answer], sizes.after
    last: dict[tuple[int, ...], int] = {}  # last start of each run of `after` tokens; the very first token starts none
    begun, written, guesses = 1, len(prompt), list[int]()
    steps = guessed = right = 0
    seen: list[int] = []
    while written < len(ids):
        true = ids[written : written + len(guesses)]
        same = next((place for place, number in enumerate(true) if guesses[place] != number), len(true))
        if not guesses:
            seen.append(written - len(prompt))
        steps, guessed, right = steps + 1, guessed + len(guesses), right + same
        written += same + 1
        known = written - 1  # the newest token is part of the key, not of the searched text
        while begun < known - after:
            last[tuple(ids[begun : begun + after])] = begun
            begun += 1
        guesses = []
        if known > after + sizes.most + 1 and (found := last.get(tuple(ids[written - after : written]))) is not None:
            follows = ids[found + after : min(known, found + after + sizes.most)]
            left = len(follows) if room is None else max(0, len(prompt) + room - written - 1)
            guesses = follows[:left] if len(follows) >= after else []  # too few to guess
    return DraftedSteps(len(answer), steps, guessed, right, tuple(seen))


TRIED = (DraftSizes(6, 16), DraftSizes(4, 8), DraftSizes(3, 8), DraftSizes(2, 4), DraftSizes(2, 3), DraftSizes(1, 2))
"""From long repeats, which rarely mislead, to short ones, which resume sooner after a corrected word but guess wrong more often. The
engine guesses at least as many tokens as it has looked up."""
GAIN = 1.15
"""The least estimated speed-up that selects drafting: the estimate is rough, and a drafted token has no probability for the score."""
MOST = 200
"""Most examples for the simulation of drafting, evenly spread."""


@dataclass(frozen=True)
class DraftingChoice:
    """The choice of drafting: its `sizes`, None for no drafting, and the reason in words."""

    sizes: DraftSizes | None
    why: str

    def options(self) -> dict[str, str | int]:
        """The engine's options."""
        if self.sizes is None:
            return {}
        return {"draft": "lookup", "draft_after": self.sizes.after, "draft_most": self.sizes.most}


def choose_drafting(
    asked: Literal["auto", "none", "lookup"],
    lessons: Sequence[DecoderExample],
    prompt: DecoderPrompt,
    apart: bool,
    schema: bool,
    cost: float | None = None,
) -> DraftingChoice:
    """Choose whether to draft, and the sizes.

    Args:
        asked: `auto` drafts only with enough gain; `lookup` takes the best sizes, whatever they gain.
        lessons: the examples.
        prompt: the token ids around their texts.
        apart: whether an adapter is trained: bundles share one base in memory only with equal drafting.
        schema: whether answers follow a schema: their score is the product of all tokens' probabilities.
        cost: of checking a drafted token, as a share of a step; None for the measured default.

    Raises TrainError for `lookup` with a schema.
    """
    if asked == "lookup" and schema:
        raise TrainError("students.schema_answers_cannot_be_drafted")
    if asked == "none":
        return DraftingChoice(None, "none, as asked")
    if asked == "auto" and schema:
        return DraftingChoice(None, "none, answers in a schema are scored by every token")
    if asked == "auto" and apart:
        return DraftingChoice(None, "none, so that adapters of one base can be served together")
    some = evenly(lessons, MOST)
    counted = {sizes: _counted(some, prompt, sizes) for sizes in TRIED}
    checked = CHECKED if cost is None else cost
    sizes = max(counted, key=lambda each: counted[each].gain(checked))
    best, gain = counted[sizes], counted[sizes].gain(checked)
    told = f"{best.a_step:.2f} tokens a step, {_share(best)} of guesses right, estimated {gain:.2f} times as fast"
    told = f"{told} ({len(some)} examples, a guess costs {checked:.2f} of a step{'' if cost is None else ' here'})"
    if asked == "auto" and gain < GAIN:
        return DraftingChoice(None, f"none, at best {told}")
    return DraftingChoice(sizes, f"lookup, up to {sizes.most} tokens guessed after {sizes.after} that stand earlier, {told}")


def unguessed(prompt: Sequence[int], answer: Sequence[int], chances: Sequence[float], sizes: DraftSizes) -> float:
    """The mean probability of the answer's tokens that the engine would not draft; 0 if there are none."""
    seen = [chances[place] for place in simulate_drafting(prompt, answer, sizes).seen]
    return sum(seen) / len(seen) if seen else 0.0


def _counted(lessons: Sequence[DecoderExample], prompt: DecoderPrompt, sizes: DraftSizes) -> DraftedSteps:
    total = DraftedSteps()
    for lesson in lessons:
        ids = lesson.ids.tolist()
        cut = len(ids) - lesson.answer
        total += simulate_drafting([*prompt.before, *ids[:cut]], ids[cut:], sizes)
    return total


def _share(counted: DraftedSteps) -> str:
    return f"{counted.right / counted.guessed:.0%}" if counted.guessed else "none"


ROOMY_MB = 256.0
"""The most megabytes of keys and values of all slots in 16 bits. In 8 bits they take half, and each token takes longer."""
_PACKED = 32
"""The block size in which llama.cpp quantises keys and values."""


def attention_megabytes(shape: DecoderShape, tokens: int) -> float:
    """Megabytes (10^6 bytes) of the keys and values of a number of tokens in 16 bits."""
    return 2 * 2 * shape.layers * shape.kv_heads * shape.head * tokens / 1e6


def attention_bits(shape: DecoderShape, tokens: int, *, frugal: bool = False) -> Literal["f16", "q8_0"]:
    """The type of the attention cache for `tokens`, the total of all slots; `frugal`: 8 bits wherever possible."""
    roomy = not frugal and attention_megabytes(shape, tokens) <= ROOMY_MB
    return "f16" if shape.head % _PACKED or roomy else "q8_0"
