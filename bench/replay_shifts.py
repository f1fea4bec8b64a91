"""The loop of `replay` where the traffic changes in mid-stream: new intents, and changed meanings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench import results
from bench.context import Context
from bench.replay_cases import Cases, middle

NAME = "replay_shifts"
AUDIT = 0.1
SEEDS = 20
RISE, SOON = 0.1, 300
"""Where the local answers' disagreement would have risen by so much, they are to be stopped within so many audits."""
_SHIFTS = (
    ("new intents", "new_intents"),
    ("a fifth changed", "changed_meaning"),
    ("a tenth changed", "changed_a_little"),
)


def run(context: Context) -> None:
    """All shifts on both data sets."""
    cases = Cases(
        context,
        NAME,
        "The loop, replayed with a shift in mid-stream",
        "As “The loop, replayed”, as served, with 10 % of local answers audited. New intents: a fifth of the intents comes in the second "
        "half alone. Changed: from the middle on, a fifth, or a tenth, of the intents is named as others are, pairs of them having changed "
        "names. The rise is by how much more of its answers would have disagreed, were the version that met the shift left as it was.",
    )
    for name in cases.names:
        for how, shift in _SHIFTS:
            found = cases.play(name, f"{how}, 10 % audited", SEEDS, shift=shift, audit=AUDIT)
            steep = [stopped(trace) for trace in found if trace.rise is not None and trace.rise >= RISE]
            if steep:
                soon = sum(by is not None and audits <= SOON for audits, by in steep) / len(steep)
                what = f"{name}, {how}: stopped within {SOON} audits, of {len(steep)} seeds with a rise of {RISE:.0%} or more"
                cases.section.goals.append(results.at_least(what, 1.0, soon, ".1%"))
            cases.section.notes.append(f"{name}, {how}: {_told(found, steep)}")
            cases.tell(name, how, found)


def stopped(trace: Any) -> tuple[int, str | None]:
    """How many audits after the shift the version that met it was stopped, and by what: a revocation, or a version that took its place;
    None where it never was."""
    shift = len(trace.who) // 2
    ends = [(at, by) for by in ("revocations", "promotions") for at in getattr(trace, by) if at >= shift]
    end, by = min(ends, default=(len(trace.who), None))
    return sum(shift <= at <= end for at in trace.audited), by


def _told(traces: Sequence[Any], steep: Sequence[tuple[int, str | None]]) -> str:
    """What the shift did, what stopped the version that met it, and what came after."""
    n = len(traces[0].who)
    rises = [trace.rise for trace in traces if trace.rise is not None]
    if not rises:
        return "nothing was answered locally when the shift came."
    low, half, high = np.quantile(rises, (0.05, 0.5, 0.95))
    told = f"rise {100 * half:.1f} points ({100 * low:.1f} to {100 * high:.1f}) in {len(rises)} of {len(traces)} seeds"
    if steep:
        counts = [audits for audits, _ in steep]
        revoked = sum(by == "revocations" for _, by in steep)
        told += (
            f"; of {len(steep)} with 10 points or more {revoked} were revoked and {sum(by == 'promotions' for _, by in steep)} replaced "
        )
        told += f"first, after {middle(counts):.0f} audits at the median and {max(counts)} at most"
    before, last = slice(4 * n // 10, n // 2), slice(9 * n // 10, None)
    shares = middle([trace.share(before) for trace in traces]), middle([trace.share(last) for trace in traces])
    risk = middle([trace.disagreement(last) for trace in traces])
    return f"{told}; local before the shift {shares[0]:.1%}, in the last tenth {shares[1]:.1%}, of which {risk:.1%} disagree."
