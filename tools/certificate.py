"""What the certificate's promises come to in simulation: `python -m tools.certificate` prints its tables of bench/RESULTS.md; with
`--bundle DIR --data FILE`, the one of a real model's scores and errors.

A request has a strangeness u, drawn evenly from 0..1, the score 1 - u, and is answered wrongly with probability r(u): so that the true risk
of answering the share c that scores best is the mean of r over 0..c, and known exactly. Each seed draws a report's test rows, which the
thresholds come from, and a calibration sample, which they are tested on.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smidgen.gateway.certificate_audit import LineAudit, new_line_test
from smidgen.stats.certification import RiskClaim, ThresholdStep, certify_threshold, threshold_steps
from smidgen.stats.risk_coverage_curve import risk_coverage
from smidgen.stats.sequential_audit import SequentialAudit

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


def curve(wrong: Floats, rng: np.random.Generator, rows: int = 400) -> list[ThresholdStep]:
    """Thresholds as a report gives them, from test rows of its own."""
    u = rng.random(rows)
    errors = rng.random(rows) < np.interp(u, GRID, wrong)
    return threshold_steps([(point.threshold, point.coverage) for point in risk_coverage(1 - u, ~errors)])


def drawn(model: str, n: int, claim: RiskClaim, seeds: int) -> list[Drawn]:
    """Certify a model on `n` pairs, once a seed."""
    _, wrong = MODELS[model]
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, n])
        tries = curve(wrong, rng)
        u = rng.random(n)
        outcome = certify_threshold(1 - u, (rng.random(n) < np.interp(u, GRID, wrong)).astype(float), tries, claim)
        share = 0.0 if outcome.threshold is None else 1 - outcome.threshold
        found.append(Drawn(share, true_risk(wrong, share) if share else 0.0))
    return found


REPEATS = {
    "no text comes twice": 0.0,
    "2,000 texts by Zipf's law (1.1)": 1.1,
    "one sure text is a fifth of the requests, and always wrong": -0.2,
}
"""How texts repeat: Zipf's exponent over 2,000 texts; minus the share of one text that is surest and wrong, the others coming once."""
_TEXTS = 2000


def repeating(kind: str, model: str, n: int, claim: RiskClaim, seeds: int, distinct: bool) -> list[Drawn]:
    """Certify on a fair sample of `n` requests of traffic whose texts repeat, once a seed; counted as requests or as distinct texts. The
    true risk is that of requests to come, which are drawn as the sample was."""
    wrong, found = MODELS[model][1], []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, n, 7])
        tries, exponent = curve(wrong, rng), REPEATS[kind]
        texts = _TEXTS if exponent > 0 else 50 * n
        u = rng.random(texts)
        loss = (rng.random(texts) < np.interp(u, GRID, wrong)).astype(float)
        weight = np.arange(1, texts + 1) ** -exponent if exponent > 0 else np.ones(texts)
        weight = weight / weight.sum()
        if exponent < 0:
            u[0], loss[0] = 0.0, 1.0
            weight *= 1 + exponent
            weight[0] = -exponent
        rows = rng.choice(texts, n, p=weight / weight.sum())
        rows = np.unique(rows) if distinct else rows
        threshold = certify_threshold(1 - u[rows], loss[rows], tries, claim).threshold
        above = weight * (1 - u >= threshold) if threshold is not None else np.zeros(texts)
        found.append(Drawn(float(above.sum() / weight.sum()), float((above * loss).sum() / above.sum()) if above.any() else 0.0))
    return found


@dataclass(frozen=True)
class Population:
    """A real model's answers to rows that stand for all the traffic there is: what it scores and gets wrong of them is known, and so is the
    true risk of any threshold.

    Attributes:
        scores, losses: (rows,) of each row.
        tries: the thresholds of the model's own report, whose rows are not among these.
    """

    scores: Floats
    losses: Floats
    tries: list[ThresholdStep]

    @classmethod
    def of(cls, bundle: Path, file: Path) -> Population:
        """A bundle's answers to a data file."""
        from smidgen.core.progress import Silent
        from smidgen.flows.certify import calibration_sample, losses
        from smidgen.flows.local_model import load
        from smidgen.judge import report

        with closing(load(bundle, 1)) as model:
            rows = calibration_sample.read_pairs(model, file, None, None, Silent()).rows
            replies = model.predict([row.input for row in rows])
            lost = losses.choose_loss("likeness", model.task, model.form).of(rows, replies)
            known = report.read(model.folder / "report.json").risk_coverage
        assert known is not None
        scores = np.array([reply.score for reply in replies], dtype=np.float64)
        return cls(scores, lost, threshold_steps([(point.threshold, point.coverage) for point in known.points]))

    def drawn(self, n: int, claim: RiskClaim, seeds: int) -> list[Drawn]:
        """Certify on `n` of the rows, drawn evenly and put back, once a seed."""
        found = []
        for seed in range(seeds):
            at = np.random.default_rng([seed, n]).integers(0, len(self.scores), n)
            threshold = certify_threshold(self.scores[at], self.losses[at], self.tries, claim).threshold
            above = self.scores >= threshold if threshold is not None else np.zeros(len(self.scores), dtype=np.bool_)
            found.append(Drawn(float(above.mean()), float(self.losses[above].mean()) if above.any() else 0.0))
        return found

    def best(self, alpha: float) -> float:
        """The largest share that could be answered within a risk of alpha, were it known which."""
        order = np.argsort(-self.scores, kind="stable")
        within = np.flatnonzero(np.cumsum(self.losses[order]) / np.arange(1, len(order) + 1) <= alpha)
        return float((within[-1] + 1) / len(order)) if len(within) else 0.0


def delay(before: float, after: float, good: int, most: int, seed: int, claim: RiskClaim) -> int | None:
    """Audits from the moment the risk rises until the certificate is revoked; None where it is not within `most`, 0 where it was before."""
    rng = np.random.default_rng([seed, good])
    audit = SequentialAudit(claim.alpha, claim.delta)
    risks = np.concatenate([np.full(good, before), np.full(most, after)])
    for number, wrong in enumerate((rng.random(len(risks)) < risks).tolist(), 1):
        if audit.observe(float(wrong)):
            return max(0, number - good)
    return None


def lossy(
    risk: float, lost: float, most: int, seed: int, claim: RiskClaim, where: str = "any", drops: bool = False
) -> tuple[int | None, int]:
    """Audits drawn until the certificate is revoked or stale, None where it is not within `most`; and until it is revoked, for which lost
    ones do not count, 0 where it never is, or with `drops` off.

    `where` they are lost: at `any` answer with the same chance, at `wrong` answers alone, or `together`, in runs of twenty.
    """
    rng = np.random.default_rng([seed, 11])
    wrong = rng.random(most) < risk
    gone = rng.random(most) < lost
    if where == "wrong":
        gone = wrong & (rng.random(most) < lost / risk)
    elif where == "together":
        gone = np.repeat(rng.random(-(-most // 20)) < lost, 20)[:most]
    audit, dropping, at, without = SequentialAudit(claim.alpha, claim.delta), SequentialAudit(claim.alpha, claim.delta), 0, 0
    for number, (loss, away) in enumerate(zip(wrong.tolist(), gone.tolist(), strict=True), 1):
        if drops and not away and not without and dropping.observe(float(loss)):
            without = number
        if not at and ((audit.lost() if away else audit.observe(float(loss))) or audit.unanswered):
            at = number
        if at and (without or not drops):
            break
    return at or None, without


ATTACKER = "attacker"


def by_clients(risk: float, clients: int, most: int, seed: int, claim: RiskClaim, every: int = 0) -> SequentialAudit:
    """Audit the requests of several clients with this risk until the certificate is revoked, `most` at most. `every`: one client more sends
    each so many-th request, and is always wrong; 0 for no such client."""
    rng = np.random.default_rng([seed, 3])
    audit = SequentialAudit(claim.alpha, claim.delta)
    for number in range(most):
        theirs = every > 0 and number % every == 0
        loss = 1.0 if theirs else float(rng.random() < risk)
        if audit.observe(loss, client=ATTACKER if theirs else f"client {rng.integers(clients)}"):
            break
    return audit


VERSIONS, AUDITS_EACH = 10, 200


def by_versions(risk: float, seed: int, claim: RiskClaim, line: bool = True) -> int | None:
    """Audit versions of a line one after the other, each with this risk and a certificate of its own, until one is revoked. Returns the
    number of audits; None if none is revoked. `line`: whether the audits of all versions count together, too."""
    losses = np.random.default_rng([seed, 5]).random((VERSIONS, AUDITS_EACH)) < risk
    found = LineAudit(new_line_test(claim.alpha, claim.delta, ()))
    for number, of_version in enumerate(losses.tolist()):
        own = SequentialAudit(claim.alpha, claim.delta)
        for place, wrong in enumerate(of_version, 1):
            if line:
                found.join(str(number), own)
            if own.observe(float(wrong)) or (line and found.observe(own, float(wrong), 1.0, None, None)):
                return number * AUDITS_EACH + place
    return None


REQUESTS, HELD_OUT = 30_000, 0.2
"""Distinct texts of a month, at 1,000 a day; the share that is held out by default, half of it to certify on."""


def held_out_rows(model: str, audits: float, aside: float, claim: RiskClaim, seed: int) -> tuple[int, Drawn]:
    """Certify the next version of a line on a month's held-out texts. The champion answers those that it may within alpha; the next version
    is as good. Returns the number of rows, and what came of it.

    `aside`: this share of the texts is held out and always goes to the large model (`--held-out-aside`), so that all of them have a
    reference. 0: the default share is held out, and a text that the champion answers has a reference if it is audited, with the
    probability `audits`. A text that escalates has one for certain, and is kept with this probability: then each has the same weight. With
    no audits, the rows are those that escalate.
    """
    wrong, rng = MODELS[model][1], np.random.default_rng([seed, 13])
    answered = max(share for share in np.linspace(0.01, 1, 100).tolist() if true_risk(wrong, share) <= claim.alpha)
    tries, u = curve(wrong, rng), rng.random(round(REQUESTS * (aside or HELD_OUT) / 2))
    if not aside:
        u = u[rng.random(len(u)) < audits] if audits else u[u > answered]
    outcome = certify_threshold(1 - u, (rng.random(len(u)) < np.interp(u, GRID, wrong)).astype(float), tries, claim)
    share = 0.0 if outcome.threshold is None else 1 - outcome.threshold
    return len(u), Drawn(share, true_risk(wrong, share) if share else 0.0)


def _row(name: str, n: int, found: list[Drawn], claim: RiskClaim) -> str:
    shares = np.array([one.share for one in found])
    over = np.mean([one.risk > claim.alpha for one in found])
    return f"| {name} | {n:,} | {(shares > 0).mean():.1%} | {np.median(shares):.0%} | {over:.1%} |"


def main() -> None:
    """Print the tables."""
    claim, seeds = RiskClaim(0.05, 0.05), 500
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, help="a real model, in place of the simulated ones")
    parser.add_argument("--data", type=Path, help="labelled rows that it has not seen: all its traffic")
    given = parser.parse_args()
    if given.bundle is not None:
        all_there_is = Population.of(given.bundle, given.data)
        wrong, best = all_there_is.losses.mean(), all_there_is.best(claim.alpha)
        for n in (300, 1000, 3000):
            name = f"{given.bundle.name}: {wrong:.1%} wrong in all, 5 % of the best {best:.0%}"
            print(_row(name, n, all_there_is.drawn(n, claim, seeds), claim))
        return
    print("| model | pairs | certified at all | of the requests, at the median | certificates over α |\n|---|---|---|---|---|")
    for model, (words, _) in MODELS.items():
        for n in (300, 1000, 3000):
            print(_row(f"{model}: {words}", n, drawn(model, n, claim, seeds), claim))
    print("\n| traffic | counted | certified at all | worst true risk of the requests | over α |\n|---|---|---|---|---|")
    for kind in REPEATS:
        for model in ("strong", "hopeless"):
            for distinct in (False, True):
                of = repeating(kind, model, 1000, claim, seeds, distinct)
                given_out = [one for one in of if one.share > 0]
                worst = f"{max((one.risk for one in given_out), default=0):.1%}"
                over = f"{np.mean([one.risk > claim.alpha for one in of]):.1%}"
                print(f"| {kind}: {model} | {'texts' if distinct else 'requests'} | {len(given_out) / seeds:.1%} | {worst} | {over} |")
    print("\n| risk | audits before it | revoked, at the median | in nine of ten | within 4,000 |\n|---|---|---|---|---|")
    for before in (0.035, 0.05):
        for rise in (0.02, 0.05, 0.10):
            for good in (0, 1000):
                waits = [delay(before, before + rise, good, 4000, seed, claim) for seed in range(100)]
                known = np.array([4001 if wait is None else wait for wait in waits])
                median, late = np.percentile(known, [50, 90]).round().astype(int)
                cells = [f"{value:,}" if value <= 4000 else "more than 4,000" for value in (median, late)]
                print(f"| {before:.1%} → {before + rise:.1%} | {good:,} | {cells[0]} | {cells[1]} | {(known <= 4000).mean():.0%} |")
    print("\n| true risk | lost | revoked or stale within 2,000 | at the median | revoked |\n|---|---|---|---|---|")
    for risk, lost, where in (
        *((0.07, 0.10, where) for where in ("any", "wrong", "together")),
        *((0.07, share, "any") for share in (0.0, 0.01, 0.02)),
        (0.07, 0.03, "wrong"),
        (0.10, 0.05, "wrong"),
        (0.10, 0.10, "wrong"),
        *((0.05, share, "any") for share in (0.0, 0.01, 0.02, 0.05)),
        *((0.03, share, "any") for share in (0.01, 0.02)),
        *((0.03, share, "together") for share in (0.01, 0.05)),
    ):
        at, dropped = zip(
            *(lossy(risk, min(lost, risk) if where == "wrong" else lost, 2000, seed, claim, where, True) for seed in range(300)),
            strict=True,
        )
        known = [one for one in at if one is not None]
        middle = f"{np.median([2001 if one is None else one for one in at]):,.0f}" if len(known) * 2 > len(at) else "more"
        print(f"| {risk:.0%} | {lost:.0%}, {where} | {len(known)} of {len(at)} | {middle} | {sum(map(bool, dropped))} |")
    print("\n| risk of the others | clients | one more, always wrong | revoked | it alone suspended | another suspended | audits, median |")
    print("|---|---|---|---|---|---|---|")
    for risk, clients, every, most in (
        *((risk, 3, 7, 1000) for risk in (0.02, 0.035, 0.05)),
        *((0.10, clients, 0, 3000) for clients in (1, 2, 3, 5, 20)),
        *((0.05, clients, 0, 2000) for clients in (2, 5)),
    ):
        all_found = [by_clients(risk, clients, most, seed, claim, every) for seed in range(100)]
        counts = [
            sum(one.revoked for one in all_found),
            sum(one.suspended == (ATTACKER,) for one in all_found),
            sum(any(name != ATTACKER for name in one.suspended) for one in all_found),
        ]
        who = f"every {every}th request" if every else "no"
        told = " | ".join(f"{count} of {len(all_found)}" for count in counts)
        print(f"| {risk:.1%} | {clients} | {who} | {told} | {np.median([one.audits for one in all_found]):,.0f} |")
    print(f"\n| true risk of {VERSIONS} versions, {AUDITS_EACH} audits each | revoked by own tests | with the line's |\n|---|---|---|")
    for risk in (0.05, 0.07, 0.10):
        shown = []
        for line in (False, True):
            ends = [by_versions(risk, seed, claim, line) for seed in range(300)]
            shown.append(f"{sum(one is not None for one in ends) / len(ends):.1%}")
        print(f"| {risk:.0%} | {' | '.join(shown)} |")
    print("\n| model | held-out texts | large model asked besides | rows | certified at all | at the median | over α |")
    print("|---|---|---|---|---|---|---|")
    for model, best in (("strong", 0.71), ("middling", 0.3)):
        for audits, aside in ((0.0, 0.0), (0.02, 0.0), (0.05, 0.0), (0.3, 0.0), (0.0, 0.02), (0.0, 0.05), (0.0, 0.08)):
            counts, of = zip(*(held_out_rows(model, audits, aside, claim, seed) for seed in range(seeds)), strict=True)
            words = f"{aside:.0%} of all texts, aside" if aside else f"a fair part by {audits:.0%} audits" if audits else "that escalate"
            shares = np.array([one.share for one in of])
            over = np.mean([one.risk > claim.alpha for one in of])
            rows, certified = f"{np.median(counts):,.0f}", f"{(shares > 0).mean():.1%} | {np.median(shares):.0%} | {over:.1%}"
            print(f"| {model} | {words} | {REQUESTS * best * (aside or audits):,.0f} | {rows} | {certified} |")
    alarms = [delay(claim.alpha, claim.alpha, 0, 2000, seed, claim) for seed in range(seeds)]
    print(f"\nFalse alarms in {seeds} streams of 2,000 audits at a risk of exactly α: {sum(at is not None for at in alarms) / seeds:.1%}")


if __name__ == "__main__":
    main()
