"""What the certificate's promises come to in simulation: `python -m tools.certificate` prints the tables of docs/certificate.md.

A request has a strangeness u, drawn evenly from 0..1, the score 1 - u, and is answered wrongly with probability r(u): so that the true risk
of answering the share c that scores best is the mean of r over 0..c, and known exactly. Each seed draws a report's test rows, which the
thresholds come from, and a calibration sample, which they are tested on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.stats.audit import Audit
from smidgen.stats.certified import Claim, Step, certified, steps
from smidgen.stats.selective import risk_coverage

Floats = NDArray[np.float64]

GRID: Floats = np.linspace(0, 1, 20_001)
MODELS: dict[str, tuple[str, Floats]] = {
    "strong": ("10 % wrong in all, 5 % of the best 71 %", 0.3 * GRID**2),
    "middling": ("13 % wrong in all, 5 % of the best 30 %", 0.01 + 0.2666667 * GRID),
    "weak": ("17 % wrong in all, 5 % of the best 20 %", 0.02 + 0.3 * GRID),
    "oversure": ("wrong most often where it is surest", np.where(GRID < 0.1, 0.25, 0.02)),
    "hopeless": ("5.01 % wrong at every score", np.full(len(GRID), 0.0501)),
}
"""How wrong a model is by strangeness: in words, and (20001,) over `GRID`."""


@dataclass(frozen=True)
class Drawn:
    """What came of one seed: the share certified, 0 for none, and its true risk."""

    share: float
    risk: float


def true_risk(wrong: Floats, share: float) -> float:
    """The mean of r over the share of requests that scores best."""
    return float(wrong[share >= GRID].mean())


def curve(wrong: Floats, rng: np.random.Generator, rows: int = 400) -> list[Step]:
    """Thresholds as a report gives them, from test rows of its own."""
    u = rng.random(rows)
    errors = rng.random(rows) < np.interp(u, GRID, wrong)
    return steps([(point.threshold, point.coverage) for point in risk_coverage(1 - u, ~errors)])


def drawn(model: str, n: int, claim: Claim, seeds: int) -> list[Drawn]:
    """Certify a model on `n` pairs, once a seed."""
    _, wrong = MODELS[model]
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, n])
        tries = curve(wrong, rng)
        u = rng.random(n)
        outcome = certified(1 - u, (rng.random(n) < np.interp(u, GRID, wrong)).astype(float), tries, claim)
        share = 0.0 if outcome.threshold is None else 1 - outcome.threshold
        found.append(Drawn(share, true_risk(wrong, share) if share else 0.0))
    return found


def delay(before: float, after: float, good: int, most: int, seed: int, claim: Claim) -> int | None:
    """Audits from the moment the risk rises until the certificate is revoked; None where it is not within `most`, 0 where it was before."""
    rng = np.random.default_rng([seed, good])
    audit = Audit(claim.alpha, claim.delta)
    risks = np.concatenate([np.full(good, before), np.full(most, after)])
    for number, wrong in enumerate((rng.random(len(risks)) < risks).tolist(), 1):
        if audit.observe(float(wrong)):
            return max(0, number - good)
    return None


def main() -> None:
    """Print both tables."""
    claim, seeds = Claim(0.05, 0.05), 500
    print("| model | pairs | certified at all | of the requests, at the median | certificates over α |\n|---|---|---|---|---|")
    for model, (words, _) in MODELS.items():
        for n in (300, 1000, 3000):
            found = drawn(model, n, claim, seeds)
            shares = np.array([one.share for one in found])
            over = np.mean([one.risk > claim.alpha for one in found])
            print(f"| {model}: {words} | {n:,} | {(shares > 0).mean():.1%} | {np.median(shares):.0%} | {over:.1%} |")
    print("\n| risk | audits before it | revoked, at the median | in nine of ten | within 4,000 |\n|---|---|---|---|---|")
    for before in (0.035, 0.05):
        for rise in (0.02, 0.05, 0.10):
            for good in (0, 1000):
                waits = [delay(before, before + rise, good, 4000, seed, claim) for seed in range(100)]
                known = np.array([4001 if wait is None else wait for wait in waits])
                median, late = np.percentile(known, [50, 90]).round().astype(int)
                cells = [f"{value:,}" if value <= 4000 else "more than 4,000" for value in (median, late)]
                print(f"| {before:.1%} → {before + rise:.1%} | {good:,} | {cells[0]} | {cells[1]} | {(known <= 4000).mean():.0%} |")
    alarms = [delay(claim.alpha, claim.alpha, 0, 2000, seed, claim) for seed in range(seeds)]
    print(f"\nFalse alarms in {seeds} streams of 2,000 audits at a risk of exactly α: {sum(at is not None for at in alarms) / seeds:.1%}")


if __name__ == "__main__":
    main()
