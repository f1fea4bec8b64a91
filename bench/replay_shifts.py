"""The loop of `replay` where the traffic changes in mid-stream: new intents, and a changed meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.context import Context
from bench.replay_cases import Cases, middle

NAME = "replay_shifts"
AUDIT = 0.1


def run(context: Context) -> None:
    """Both shifts on both data sets; with everything learnt from, and with what is from before a revocation forgotten."""
    cases = Cases(
        context,
        NAME,
        "The loop, replayed with a shift in mid-stream",
        "As “The loop, replayed”, as served, with 10 % of local answers audited. New intents: a fifth of the intents comes in the second "
        "half alone. A changed meaning: from the middle on, a fifth of the intents is named as others are, pairs of them having changed "
        "names.",
    )
    for name in cases.names:
        for how, shift in (("new intents", "new_intents"), ("a changed meaning", "changed_meaning")):
            for forget in (False, True):
                case = f"{how}, 10 % audited, {'old rows forgotten once revoked' if forget else 'as served'}"
                found = cases.play(name, case, shift=shift, audit=AUDIT, forget=forget)
                cases.section.notes.append(f"{name}, {case}: {_recovery(found)}")
                cases.tell(name, case, found)


def _recovery(traces: Sequence[Any]) -> str:
    """When the first revocation after the shift came, and what share is local in the last tenth of the traffic."""
    n = len(traces[0].who)
    met = []
    for trace in traces:
        if after := [at for at in trace.revocations if at >= n // 2]:
            met.append((after[0] - n // 2, sum(n // 2 <= at <= after[0] for at in trace.audited)))
    before, last = slice(4 * n // 10, n // 2), slice(9 * n // 10, None)
    told = f"revoked in {len(met)} of {len(traces)} seeds"
    if met:
        told += f", {middle([at for at, _ in met]):.0f} requests after the shift at the median (audits since then: "
        told += f"{middle([count for _, count in met]):.0f}, {max(count for _, count in met)} at most)"
    shares = middle([trace.share(before) for trace in traces]), middle([trace.share(last) for trace in traces])
    risks = middle([trace.disagreement(last) for trace in traces])
    return f"{told}; local before the shift {shares[0]:.1%}, in the last tenth {shares[1]:.1%}, of which {risks:.1%} disagree."
