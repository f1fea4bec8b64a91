"""The loop of `replay` before a large model that errs: the guarantee is against what it says, the accuracy against gold."""

from __future__ import annotations

from bench.context import Context
from bench.replay_cases import Cases

NAME = "replay_errors"
NOISE = 0.09
ALPHAS = (0.15, 0.05)
SEEDS = 10
"""Where nothing is certified all is learnt from, which takes a minute a seed."""


def run(context: Context) -> None:
    """Both data sets, for an α over what the large model errs and for the usual one, which is under it."""
    cases = Cases(
        context,
        NAME,
        "The loop, replayed before a large model that errs",
        f"As “The loop, replayed”, as served, with a large model that is wrong in {NOISE:.0%} of the texts, at random. Disagreement is "
        "with what it says, accuracy against gold.",
    )
    for name in cases.names:
        for alpha in ALPHAS:
            case = f"a teacher wrong in {NOISE:.0%}, as served, α = {alpha}"
            cases.tell(name, case, cases.play(name, case, SEEDS, noise=NOISE, alpha=alpha), alpha)
