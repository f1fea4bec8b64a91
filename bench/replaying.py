"""One replay of a data set as traffic: a gateway that begins without a label, learns from what it escalates, certifies, and is audited.

The rules are the product's own: the sides (`data/splits.py`), the contest and the verdict of `learn` (`stats/risk_bounds.py`,
`flows/learn/comparison.py`), the certificate (`stats/certification.py`) and the audit (`stats/sequential_audit.py`). So is the student:
`kernel`, which is
fitted in seconds (`stats/kernel_ridge.py`), or what is taught by `teach`. What the large model says in an audit is learnt from, as there.
What is not the product's is that nothing goes over HTTP, that the vectors of `kernel` are not rounded, that its logits are not brought to
a temperature, and that it does not read the names of labels while rows are few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smidgen.data.label_errors import contradicted_rows
from smidgen.data.splits import SplitSide
from smidgen.flows.learn.comparison import Comparison, ShareComparison, compare_shares, decide_promotion, is_certificate_needed
from smidgen.flows.learn.traffic_rows import LEAST_OF_A_NEW_LABEL
from smidgen.stats.calibration import softmax
from smidgen.stats.certificate_forecast import certificate_chance
from smidgen.stats.certification import RiskClaim, certify_threshold, threshold_steps
from smidgen.stats.kernel_ridge import fit, logits
from smidgen.stats.risk_bounds import average_and_level, better_p_value, level_of_look, not_worse_p_value
from smidgen.stats.risk_coverage_curve import RiskCoveragePoint, risk_coverage
from smidgen.stats.sequential_audit import SequentialAudit

LEVEL, MARGIN = 0.05, 0.02
"""As of `smidgen learn`."""
FEWEST = 100
"""Rows that choose from which on they are a version's test rows, as of `smidgen learn`; until then the curve is of the rows learnt from,
each as it would be had it been left out."""
LOCAL, UPSTREAM = 1, 0
NEVER = -1
"""Said of a text that would not have come."""
_LEAST_OF_A_LABEL = 2
"""Rows to learn from that a label must have which the champion knows, as of `smidgen learn`: it must be learnt and measured."""
_MARKS, _PLACES = ("who", "disagrees", "wrong"), ("learnings", "promotions", "revocations", "audited")


@dataclass(frozen=True)
class Traffic:
    """What comes, in the order in which it comes.

    Attributes:
        vectors: (n, width) of the texts, of length one.
        gold: (n,) the right labels.
        said: (n,) what the large model says.
        sides: (n,) the side that a text falls on, were it captured.
        classes: how many labels there are.
        shift: the place from which on the traffic is another; None where it never is.
        usual: (n,) what the large model would say, had nothing shifted, or `NEVER`.
    """

    vectors: Any
    gold: Any
    said: Any
    sides: Sequence[SplitSide]
    classes: int
    shift: int | None = None
    usual: Any = None


@dataclass(frozen=True)
class Policy:
    """How the gateway is run.

    Attributes:
        alpha, delta: of its certificates.
        audit: share of local answers that is audited.
        every: new labels after which it learns, at the least.
        grown: by what share of those that it knew labels must have grown besides.
        likely: how likely a certificate must be to be tested for.
        overall: of all requests, the share that may be answered locally and disagree, on average; None where that is not asked.
        aside: whether texts that are held out are always escalated, so that the held-out rows are like all the traffic.
    """

    alpha: float = 0.05
    delta: float = 0.05
    audit: float = 0.02
    every: int = 100
    grown: float = 0.3
    likely: float = 0.8
    overall: float | None = None
    aside: bool = False


@dataclass
class Trace:
    """What came of it, request by request: who answered, and whether that was wrong, against the large model and against gold.

    Attributes:
        rise: by how much a shift made the local answers disagree more, were the version and the threshold that met it left as they were;
            over all texts that come after it. None where there was no shift, or nothing was answered locally.
    """

    who: Any
    disagrees: Any
    wrong: Any
    learnings: list[int] = field(default_factory=list)
    promotions: list[int] = field(default_factory=list)
    revocations: list[int] = field(default_factory=list)
    audited: list[int] = field(default_factory=list)
    rise: float | None = None

    def share(self, part: slice = slice(None)) -> float:
        """Of these requests, those answered locally."""
        return float(self.who[part].mean())

    def disagreement(self, part: slice = slice(None)) -> float:
        """Of the local answers among these, those that disagree with the large model; 0 where there is none."""
        local = self.who[part] == LOCAL
        return float(self.disagrees[part][local].mean()) if local.any() else 0.0

    def accuracy(self) -> float:
        """Of all answers, those that are right."""
        return 1 - float(self.wrong.mean())

    def json(self) -> dict[str, Any]:
        """All of it, for a file: what is yes or no of each request as the places of the yeses."""
        marks = {name: np.flatnonzero(getattr(self, name)).tolist() for name in _MARKS}
        return {"requests": len(self.who), "rise": self.rise, **marks, **{name: getattr(self, name) for name in _PLACES}}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Trace:
        """One that `json` gave."""
        marks = {name: np.isin(np.arange(stored["requests"]), stored[name]) for name in _MARKS}
        kept = {name: stored[name] for name in (*_PLACES, "rise")}
        return cls(**{**marks, "who": marks["who"].astype(np.int64)}, **kept)


@dataclass(frozen=True)
class Taught:
    """What a student answers.

    Attributes:
        scores, labels: (n,) of every text of the traffic, how sure its answer is, and the answer.
        curve: risk over coverage of rows of its own, for where too few choose.
        measured: how many these rows are.
    """

    scores: Any
    labels: Any
    curve: Sequence[RiskCoveragePoint]
    measured: int


Teach = Callable[[Traffic, Any, Any], Taught | None]
"""A student, from the traffic and the places of the rows that it learns from and of those that choose; None where it could not be made."""


class Gateway:
    """The state between two requests."""

    def __init__(self, traffic: Traffic, policy: Policy, seed: int, teach: Teach | None = None) -> None:
        self.traffic, self.policy, self.teach = traffic, policy, teach or kernel
        self.rng = np.random.default_rng([seed, 11])
        self.captured: list[int] = []
        self.told: list[int] = []  # audited ones on the side that is learnt from
        self.new = 0
        self.champion = False
        self.known = np.zeros(traffic.classes, dtype=bool)  # the champion's labels
        self.threshold: float | None = None
        self.audit: SequentialAudit | None = None
        self.revoked = NEVER  # the place of the last revocation
        self.since = 0  # the place among the captured from which on rows choose and certify
        self.looks = self.contests = 0  # since then: each spends its share of delta, and of the level
        self.scores, self.labels = np.zeros(len(traffic.gold)), np.zeros(len(traffic.gold), dtype=np.int64)

    def run(self) -> Trace:
        """Every request."""
        traffic, n = self.traffic, len(self.traffic.gold)
        trace = Trace(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool))
        for at in range(n):
            if at == traffic.shift:
                trace.rise = self.rise(at)
            aside = self.policy.aside and traffic.sides[at] is not SplitSide.LEARNING
            if self.threshold is not None and not aside and self.scores[at] >= self.threshold:
                trace.who[at] = LOCAL
                trace.disagrees[at] = self.labels[at] != traffic.said[at]
                trace.wrong[at] = self.labels[at] != traffic.gold[at]
                if self.audit is not None and self.rng.random() < self.policy.audit:
                    trace.audited.append(at)
                    if traffic.sides[at] is SplitSide.LEARNING:
                        self.told.append(at)
                    if self.audit.observe(float(trace.disagrees[at]), self.policy.audit):
                        trace.revocations.append(at)
                        self.threshold, self.since, self.revoked = None, len(self.captured), at
                        self.looks = self.contests = 0
                continue
            trace.wrong[at] = traffic.said[at] != traffic.gold[at]
            self.captured.append(at)
            self.new += 1
            if self.new >= max(self.policy.every, self.policy.grown * (len(self.captured) - self.new)):
                self.new = 0
                trace.learnings.append(at)
                if self.learn():
                    trace.promotions.append(at)
        return trace

    def learn(self) -> bool:
        """A challenger on what is known now; whether it takes the champion's place."""
        traffic, policy, said = self.traffic, self.policy, self.traffic.said
        recent = self.captured[self.since :]
        learning, choosing, certifying = (
            np.array([at for at in rows if traffic.sides[at] is side], dtype=np.int64)
            for rows, side in (
                ([*self.captured, *self.told], SplitSide.LEARNING),
                (recent, SplitSide.CHOOSING),
                (recent, SplitSide.CERTIFYING),
            )
        )
        learning = self.learnt(learning)
        rows = np.bincount(said[learning], minlength=traffic.classes)
        learnt = rows >= np.where(self.known, _LEAST_OF_A_LABEL, LEAST_OF_A_NEW_LABEL)
        if learnt.sum() < 2 or len(certifying) == 0 or (self.known & ~learnt).any():
            return False
        tested = choosing[learnt[said[choosing]]]
        challenger = self.teach(traffic, learning[learnt[said[learning]]], tested)
        if challenger is None:
            return False
        scores, labels = challenger.scores, challenger.labels
        fought, more = None, False
        if self.champion:
            self.contests += 1
            fought = contest(self.labels[choosing], labels[choosing], said[choosing], level_of_look(LEVEL, self.contests), self.rng)
        points, measured = challenger.curve, challenger.measured
        if len(tested) >= FEWEST:
            points, measured = risk_coverage(scores[tested], (labels[tested] == said[tested]).astype(np.float64)), len(tested)
        bound, level = average_and_level(policy.overall, self.looks + 1) if policy.overall is not None else (None, None)
        claim = RiskClaim(policy.alpha, level_of_look(policy.delta, self.looks + 1), overall=bound, overall_level=level)
        curve = [(point.coverage, point.risk) for point in points]
        hoped = certificate_chance(curve, measured, len(certifying), claim.alpha, claim.delta, bound, level)
        if fought is not None and self.threshold is not None and not (fought.won or fought.behind):
            now = self.scores[choosing] >= self.threshold
            more = len(now) > 0 and hoped.share > float(now.mean()) + MARGIN
        threshold = None
        if is_certificate_needed(fought, self.threshold is not None, more) and hoped.chance >= policy.likely:
            self.looks += 1
            losses = (labels[certifying] != said[certifying]).astype(np.float64)
            tries = threshold_steps([(point.threshold, point.coverage) for point in points])
            threshold = certify_threshold(scores[certifying], losses, tries, claim).threshold
        reached: ShareComparison | None = None
        if more and threshold is not None and fought is not None:
            both = (self.scores[certifying] >= self.threshold, scores[certifying] >= threshold)
            reached = compare_shares(*(one.astype(np.float64) for one in both), fought.level)
        if not decide_promotion(fought, threshold is not None, self.threshold is not None, anyway=False, shares=reached).promote:
            return False
        self.champion, self.threshold = True, threshold
        self.audit = SequentialAudit(policy.alpha, policy.delta, policy.audit) if threshold is not None and policy.audit else None
        self.scores, self.labels, self.known = scores, labels, learnt
        return True

    def learnt(self, learning: Any) -> Any:
        """Of the rows to learn from those that are, as `flows/learn/learning_rows.py` has it."""
        vectors, said, old = self.traffic.vectors, self.traffic.said, learning <= self.revoked
        older, newer = learning[old], learning[~old]
        gone = np.zeros(len(learning), dtype=bool)
        gone[old] = contradicted_rows(vectors[older], said[older], vectors[newer], said[newer])
        return learning[~gone]

    def rise(self, at: int) -> float | None:
        """By how much more of what the champion would answer from here on disagrees than would have, had nothing shifted."""
        usual = self.traffic.usual[at:]
        local, came = self.scores[at:] >= (np.inf if self.threshold is None else self.threshold), usual != NEVER
        if not (local & came).any():
            return None
        now, before = (self.labels[at:] != other for other in (self.traffic.said[at:], usual))
        return float(now[local].mean() - before[local & came].mean())


def kernel(traffic: Traffic, learning: Any, choosing: Any) -> Taught:
    """The student `kernel` on frozen vectors."""
    said = traffic.said[learning]
    names = np.unique(said)
    fitted = fit(traffic.vectors[learning], (said[:, None] == names).astype(np.float32))
    sure, labels = answered(fitted.left_out)
    points = risk_coverage(sure, (names[labels] == said).astype(np.float64))
    scores, labels = answered(fitted.scores(traffic.vectors))
    return Taught(scores, names[labels], points, len(learning))


def answered(scores: Any) -> tuple[Any, Any]:
    """(n,) how sure the answers are, and the answers."""
    found = softmax(logits(np.asarray(scores, np.float64)), 1.0)
    return found.max(axis=1), found.argmax(axis=1)


def contest(champion: Any, challenger: Any, said: Any, spent: float, rng: np.random.Generator) -> Comparison:
    """The answers of both on the rows that choose, as `flows/learn/comparison.py` has it; `spent` is what this look has of the level."""
    half = spent / 2
    if not len(said):
        return Comparison(0, None, None, 0, 0, 1.0, 1.0, half, MARGIN)
    first, second = ((labels == said).astype(np.float64) for labels in (champion, challenger))
    change = (second - first)[rng.permutation(len(said))]
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    p, p_not_worse = better_p_value(change, half), not_worse_p_value(change, MARGIN, spent)
    p_worse = better_p_value(-change, spent)
    return Comparison(len(said), float(first.mean()), float(second.mean()), gained, lost, p, p_not_worse, half, MARGIN, p_worse=p_worse)


def noisy(gold: Any, classes: int, share: float, rng: np.random.Generator) -> Any:
    """Labels of a large model that is wrong in this share of the texts, at random."""
    said = gold.copy()
    for at in np.flatnonzero(rng.random(len(gold)) < share):
        said[at] = (said[at] + 1 + rng.integers(classes - 1)) % classes
    return said


Change = Callable[[Any, Any, np.random.Generator], tuple[Any, Any, Any]]
"""From the labels and an order of the texts to those after a shift in mid-stream, and what the labels would be without it: (gold, order,
usual), with labels by text, not by place."""


def new_intents(gold: Any, order: Any, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """A fifth of the intents comes in the second half alone."""
    intents = np.unique(gold)
    new = np.isin(gold, rng.choice(intents, len(intents) // 5, replace=False))
    late = new[order]
    early, middle = order[~late], len(order) // 2
    rest = np.concatenate([early[middle:], order[late]])
    return gold, np.concatenate([early[:middle], rng.permutation(rest)]), np.where(new, NEVER, gold)


def changed_meaning(gold: Any, order: Any, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """From the middle on, a fifth of the intents is named as others are."""
    return _renamed(gold, order, rng, 0.2)


def changed_a_little(gold: Any, order: Any, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """The same of a tenth of the intents."""
    return _renamed(gold, order, rng, 0.1)


def _renamed(gold: Any, order: Any, rng: np.random.Generator, share: float) -> tuple[Any, Any, Any]:
    """From the middle on, pairs of intents change names: of so many of them."""
    named = np.unique(gold)
    intents = rng.permutation(named)[: 2 * round(share * len(named) / 2)]
    other = dict(zip(intents.tolist(), intents.reshape(-1, 2)[:, ::-1].ravel().tolist(), strict=True))
    changed = gold.copy()
    for at in order[len(order) // 2 :]:
        changed[at] = other.get(int(gold[at]), int(gold[at]))
    return changed, order, gold
