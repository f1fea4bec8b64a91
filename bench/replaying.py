"""One replay of a data set as traffic: a gateway that begins without a label, learns from what it escalates, certifies, and is audited.

The rules are the product's own: the sides (`data/sides.py`), the contest and the verdict of `learn` (`stats/paired.py`,
`flows/learning/verdict.py`), the certificate (`stats/certified.py`) and the audit (`stats/audit.py`). What is not the product's is the
student, a linear head on frozen vectors (`data/linear_head.py`), which is taught in a second, and that nothing goes over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smidgen.data.linear_head import LinearHead, chances
from smidgen.data.sides import Side
from smidgen.flows.learning.contest import Contest
from smidgen.flows.learning.verdict import judged, matters
from smidgen.stats.audit import Audit
from smidgen.stats.certified import Claim, certified, steps
from smidgen.stats.paired import better, not_worse
from smidgen.stats.spending import share

LEVEL, MARGIN = 0.05, 0.02
"""As of `smidgen learn`."""
FEWEST = 100
"""Rows that choose from which on they are a version's test rows, as of `smidgen learn`; until then the curve is of the rows learnt from,
each as it would be had it been left out."""
LOCAL, UPSTREAM = 1, 0


@dataclass(frozen=True)
class Traffic:
    """What comes, in the order in which it comes.

    Attributes:
        vectors: (n, width) of the texts, of length one.
        gold: (n,) the right labels.
        said: (n,) what the large model says.
        sides: (n,) the side that a text falls on, were it captured.
        classes: how many labels there are.
    """

    vectors: Any
    gold: Any
    said: Any
    sides: Sequence[Side]
    classes: int


@dataclass(frozen=True)
class Policy:
    """How the gateway is run.

    Attributes:
        alpha, delta: of its certificates.
        audit: share of local answers that is audited.
        every: new labels after which it learns.
        aside: whether texts that are held out are always escalated, so that the held-out rows are like all the traffic.
        forget: whether, after a revocation, rows from before it are no longer learnt from (`--since`).
    """

    alpha: float = 0.05
    delta: float = 0.05
    audit: float = 0.02
    every: int = 500
    aside: bool = False
    forget: bool = False


@dataclass
class Trace:
    """What came of it, request by request: who answered, and whether that was wrong, against the large model and against gold."""

    who: Any
    disagrees: Any
    wrong: Any
    learnings: list[int] = field(default_factory=list)
    promotions: list[int] = field(default_factory=list)
    revocations: list[tuple[int, int]] = field(default_factory=list)
    audits: int = 0

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


class Gateway:
    """The state between two requests."""

    def __init__(self, traffic: Traffic, policy: Policy, seed: int) -> None:
        self.traffic, self.policy = traffic, policy
        self.rng = np.random.default_rng([seed, 11])
        self.captured: list[int] = []
        self.new = 0
        self.champion: LinearHead | None = None
        self.threshold: float | None = None
        self.audit: Audit | None = None
        self.since = 0  # the place among the captured from which on rows choose and certify
        self.looks = self.contests = 0  # since then: each spends its share of delta, and of the level
        self.scores, self.labels = np.zeros(len(traffic.gold)), np.zeros(len(traffic.gold), dtype=np.int64)

    def run(self) -> Trace:
        """Every request."""
        traffic, n = self.traffic, len(self.traffic.gold)
        trace = Trace(np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool))
        audited = 0
        for at in range(n):
            aside = self.policy.aside and traffic.sides[at] is not Side.LEARNING
            if self.threshold is not None and not aside and self.scores[at] >= self.threshold:
                trace.who[at] = LOCAL
                trace.disagrees[at] = self.labels[at] != traffic.said[at]
                trace.wrong[at] = self.labels[at] != traffic.gold[at]
                if self.audit is not None and self.rng.random() < self.policy.audit:
                    audited += 1
                    trace.audits += 1
                    if self.audit.observe(float(trace.disagrees[at]), self.policy.audit):
                        trace.revocations.append((at, audited))
                        self.threshold, self.since, audited = None, len(self.captured), 0
                        self.looks = self.contests = 0
                continue
            trace.wrong[at] = traffic.said[at] != traffic.gold[at]
            self.captured.append(at)
            self.new += 1
            if self.new >= self.policy.every:
                self.new = 0
                trace.learnings.append(at)
                if self.learn():
                    audited = 0
                    trace.promotions.append(at)
        return trace

    def learn(self) -> bool:
        """A challenger on what is known now; whether it takes the champion's place."""
        traffic, policy = self.traffic, self.policy
        recent = self.captured[self.since :]
        known = recent if policy.forget and self.since else self.captured
        learning, choosing, certifying = (
            np.array([at for at in rows if traffic.sides[at] is side], dtype=np.int64)
            for rows, side in ((known, Side.LEARNING), (recent, Side.CHOOSING), (recent, Side.CERTIFYING))
        )
        if len(learning) < 2 or len(certifying) == 0:
            return False
        challenger = LinearHead(traffic.vectors[learning], traffic.said[learning], traffic.classes)
        fought = None
        if self.champion is not None:
            self.contests += 1
            level = share(LEVEL, self.contests)
            fought = contest(self.champion, challenger, traffic.vectors[choosing], traffic.said[choosing], level, self.rng)
        if not matters(fought, self.threshold is not None):
            return False  # no certificate would change that
        self.looks += 1
        surest = chances(challenger.left_out() if len(choosing) < FEWEST else challenger.scores(traffic.vectors[choosing])).max(axis=1)
        scores, labels = answered(challenger, traffic.vectors[certifying])
        losses = (labels != traffic.said[certifying]).astype(np.float64)
        found = certified(scores, losses, steps(curve(surest)), Claim(policy.alpha, share(policy.delta, self.looks)))
        if not judged(fought, found.threshold is not None, self.threshold is not None, anyway=False).promote:
            return False
        self.champion, self.threshold = challenger, found.threshold
        self.audit = Audit(policy.alpha, policy.delta, policy.audit) if found.threshold is not None and policy.audit else None
        self.scores, self.labels = answered(challenger, traffic.vectors)
        return True


def answered(head: LinearHead, vectors: Any) -> tuple[Any, Any]:
    """(n,) the scores of the answers, and the answers."""
    found = chances(head.scores(vectors))
    return found.max(axis=1), found.argmax(axis=1)


def curve(scores: Any) -> list[tuple[float, float]]:
    """(threshold, coverage) from strict to lax, one for each row."""
    ordered = np.sort(scores)[::-1]
    return [(float(score), (place + 1) / len(ordered)) for place, score in enumerate(ordered)]


def contest(champion: LinearHead, challenger: LinearHead, vectors: Any, said: Any, level: float, rng: np.random.Generator) -> Contest:
    """Both on the rows that choose, as `flows/learning/contest.py` has it."""
    if not len(said):
        return Contest(0, None, None, 0, 0, 1.0, 1.0, level, MARGIN)
    first, second = ((answered(head, vectors)[1] == said).astype(np.float64) for head in (champion, challenger))
    change = (second - first)[rng.permutation(len(said))]
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    p, p_not_worse = better(change, level), not_worse(change, MARGIN, level)
    p_worse = better(-change, level)
    return Contest(len(said), float(first.mean()), float(second.mean()), gained, lost, p, p_not_worse, level, MARGIN, p_worse=p_worse)


def noisy(gold: Any, classes: int, share: float, rng: np.random.Generator) -> Any:
    """Labels of a large model that is wrong in this share of the texts, at random."""
    said = gold.copy()
    for at in np.flatnonzero(rng.random(len(gold)) < share):
        said[at] = (said[at] + 1 + rng.integers(classes - 1)) % classes
    return said


Change = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]
"""From the labels and an order of the texts to those after a shift in mid-stream: (gold, order)."""


def new_intents(gold: Any, order: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """A fifth of the intents comes in the second half alone."""
    intents = np.unique(gold)
    late = np.isin(gold[order], rng.choice(intents, len(intents) // 5, replace=False))
    early, middle = order[~late], len(order) // 2
    rest = np.concatenate([early[middle:], order[late]])
    return gold, np.concatenate([early[:middle], rng.permutation(rest)])


def changed_meaning(gold: Any, order: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """From the middle on, a fifth of the intents is named as others are: pairs of them change names."""
    intents = rng.permutation(np.unique(gold))[: 2 * (len(np.unique(gold)) // 10)]
    other = dict(zip(intents.tolist(), intents.reshape(-1, 2)[:, ::-1].ravel().tolist(), strict=True))
    changed = gold.copy()
    for at in order[len(order) // 2 :]:
        changed[at] = other.get(int(gold[at]), int(gold[at]))
    return changed, order
