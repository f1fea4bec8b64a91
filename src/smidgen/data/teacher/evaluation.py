"""Whether a teacher can do the job, measured on rows with known answers before anything is bought; and what its questions will cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import TeacherError
from smidgen.core.metrics import Metric
from smidgen.core.rows import Row
from smidgen.stats.intervals import mean_share, wilson
from smidgen.stats.kernel_ridge import fit_classifier
from smidgen.usage.run_budget import TokenCount, TokenPrice


@dataclass(frozen=True)
class TeacherEvaluation:
    """How the teacher did.

    Attributes:
        quality: share of the user's own rows that it answers as the user did, or its mean grade, with a 95 % interval.
        unheard: how many of its answers could not be used; they count as wrong.
        needed: what it must be able to reach.
        reason: where that comes from, in words.
        alone: what the user's rows teach without it; None where that was not found out.
        cut: how many of its answers were cut off; they are among the unheard.
        most: tokens at which an answer of it is cut off; None where that is not ours to say.
        thinks: whether it shows that it thinks before it answers.
    """

    quality: Metric
    unheard: int
    needed: float
    reason: str
    alone: float | None
    cut: int = 0
    most: int | None = None
    thinks: bool = False

    @property
    def cut_short(self) -> bool:
        """Whether most of its answers were cut off, so that what it can do was not seen."""
        return 2 * self.cut > self.quality.n

    @property
    def feasible(self) -> bool:
        """Whether it may reach what is needed: only a teacher that is surely too weak is refused."""
        return self.quality.high >= self.needed


def draw_by_stratum(rows: Sequence[Row], strata: Sequence[str], most: int, seed: int) -> list[int]:
    """Places of at most `most` rows: one of each stratum in turn, at random within."""
    rng = np.random.default_rng([seed, 31])
    by_stratum: dict[str, list[int]] = defaultdict(list)
    for place in rng.permutation(len(rows)).tolist():
        by_stratum[strata[place]].append(place)
    names = [sorted(by_stratum)[number] for number in rng.permutation(len(by_stratum))]
    turns = [
        by_stratum[name][turn]
        for turn in range(max(map(len, by_stratum.values()), default=0))
        for name in names
        if turn < len(by_stratum[name])
    ]
    return sorted(turns[:most])


def quality(values: Sequence[float], graded: bool) -> Metric:
    """The mean of (n,) values in 0..1 with its interval: Wilson's for right and wrong, the bootstrap's for grades."""
    found = np.asarray(values, dtype=np.float64)
    low, high = mean_share(found) if graded else wilson(round(float(found.sum())), len(found))
    return Metric(float(found.mean()) if len(found) else 0.0, low, high, len(found))


def alone(vectors: NDArray[np.float32], labels: Sequence[str]) -> float:
    """What the user's rows teach by themselves: the accuracy of a kernel head on rows that it has not seen. A fine-tuned student does a
    little better, so this is a low bar."""
    names = sorted(set(labels))
    targets = np.array([names.index(label) for label in labels], dtype=np.int64)
    return float((fit_classifier(vectors, targets, len(names)).left_out.argmax(axis=1) == targets).mean())


def accuracy_with_more_rows(vectors: NDArray[np.float32], labels: Sequence[str], more: int, seed: int) -> float:
    """What the same head would come to with so many more rows, all labelled right: its errors on half and on all of the rows, and on
    from there at the rate at which they fall. A rough guess, and low: a fine-tuned student makes fewer."""
    rng = np.random.default_rng([seed, 37])
    whole = 1 - alone(vectors, labels)
    halves = []
    for _ in range(3):
        half = np.sort(rng.permutation(len(labels))[: len(labels) // 2])
        halves.append(1 - alone(vectors[half], [labels[place] for place in half.tolist()]))
    if whole <= 0:
        return 1.0
    falls = float(np.clip(np.log2(max(float(np.mean(halves)), whole) / whole), 0.0, 1.0))
    share = len(labels) / (len(labels) + more)
    return float(1 - whole * share**falls)


def require_able(trial: TeacherEvaluation, name: str, unit: str) -> None:
    """Raises TeacherError for a teacher that cannot do the job, and for one that finished none of its answers."""
    found = trial.quality
    if trial.feasible and (trial.cut < found.n or not trial.cut):
        return
    unheard = f"; {trial.unheard} of its answers could not be used" if trial.unheard else ""
    cut = f"; {cut_off_note(trial)}" if trial.cut else ""
    what = "could not finish its answers" if trial.cut_short else "cannot do this job"
    todo = "Take a larger model, say more of the job in data.teacher.description, or build without a teacher."
    if trial.cut_short and trial.most is not None:
        todo = "Set data.teacher.max_tokens to what an answer takes with what is thought before it, such as 4000, or have it think less."
    raise TeacherError(
        f"the teacher {what}: on {found.n} of your own rows its {unit} is {found.value:.1%} (95 %: {found.low:.1%} to "
        f"{found.high:.1%}), and {trial.needed:.1%} is needed ({trial.reason}){unheard}{cut}",
        value=name,
        todo=todo,
    )


def cut_off_note(trial: TeacherEvaluation) -> str:
    """How many of its answers were cut off, and at what, in words."""
    at = f" at {trial.most:,} tokens (data.teacher.max_tokens)" if trial.most is not None else ""
    thought = "; it thinks before it answers, and that counts" if trial.thinks else ""
    return f"{trial.cut} of {trial.quality.n} answers were cut off{at}{thought}"


@dataclass(frozen=True, slots=True)
class RequestEstimate:
    """What something will take: requests to the teacher, and their tokens."""

    requests: int = 0
    tokens: TokenCount = field(default_factory=TokenCount)

    def __add__(self, other: RequestEstimate) -> RequestEstimate:
        return RequestEstimate(self.requests + other.requests, self.tokens + other.tokens)

    def told(self, price: TokenPrice) -> str:
        """In words, with its cost where tokens have a price."""
        cost = price.of(self.tokens.given, self.tokens.got)
        dollars = f", about {cost:.2f} dollars" if cost else ""
        return f"about {self.requests:,} requests and {self.tokens.total:,} tokens{dollars}"


def estimate_tokens(trial: Sequence[TokenCount], questions: int) -> TokenCount:
    """What so many more questions will take, by what those of the trial took."""
    if not trial:
        return TokenCount()
    given, got = (sum(getattr(took, name) for took in trial) / len(trial) for name in ("given", "got"))
    return TokenCount(round(given * questions), round(got * questions))
