"""Evaluate a teacher: a trial on rows with known answers before anything is bought, the cost of questions, votes, and marks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import TeacherError
from smidgen.core.quantities import Metric
from smidgen.core.rows import Row
from smidgen.data.teacher.questions import NoAnswerReason, TeacherAnswer
from smidgen.stats.intervals import mean_share, wilson
from smidgen.stats.kernel_ridge import fit_classifier
from smidgen.usage.budgets import TokenCount, TokenPrice


@dataclass(frozen=True)
class TeacherEvaluation:
    """The result of a teacher's trial.

    Attributes:
        quality: share of the user's own rows that it answers as the user did, or its mean grade, with a 95 % interval.
        unheard: the number of its unusable answers; they count as wrong.
        needed: the quality that it must be able to reach.
        reason: the source of `needed`, in words.
        alone: the quality that the user's rows give without it; None if that was not measured.
        cut: the number of answers that were cut off; `unheard` includes them.
        most: tokens at which its answers are cut off; None if this process does not set that.
        thinks: whether it shows that it reasons before it answers.
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
        """Whether most of its answers were cut off, so that its ability was not seen."""
        return 2 * self.cut > self.quality.n

    @property
    def feasible(self) -> bool:
        """Whether it may reach the needed quality: only a teacher that is surely too weak is refused."""
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
    """The accuracy that the user's rows reach without a teacher: that of a kernel head on rows left out. A fine-tuned student does a little
    better, so this is a low bar. `vectors` are (n, width) of length one."""
    names = sorted(set(labels))
    targets = np.array([names.index(label) for label in labels], dtype=np.int64)
    return float((fit_classifier(vectors, targets, len(names)).left_out.argmax(axis=1) == targets).mean())


def accuracy_with_more_rows(vectors: NDArray[np.float32], labels: Sequence[str], more: int, seed: int) -> float:
    """The accuracy that this head would reach with `more` rows, all labelled right: its errors on half and on all rows, extrapolated at
    their rate of fall. A rough and low guess: a fine-tuned student makes fewer errors."""
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
    """Raise TeacherError for a teacher that cannot do the job, or that finished none of its answers."""
    found = trial.quality
    if trial.feasible and (trial.cut < found.n or not trial.cut):
        return
    raise TeacherError(
        "data.teacher_cannot_do_this_job"
        if not trial.cut_short
        else "data.teacher_could_not_finish_its_answers"
        if trial.most is None
        else "data.teacher_thinks_for_longer_than_max_tokens"
        if trial.thinks
        else "data.teacher_answers_are_longer_than_max_tokens",
        value=name,
        rows=found.n,
        unit=unit,
        reached=f"{found.value:.1%}",
        low=f"{found.low:.1%}",
        high=f"{found.high:.1%}",
        needed=f"{trial.needed:.1%}",
        reason=trial.reason,
        unheard=trial.unheard,
        cut=trial.cut,
        most=trial.most,
    )


def cut_off_note(trial: TeacherEvaluation) -> str:
    """How many of its answers were cut off, and at which length, in words."""
    at = f" at {trial.most:,} tokens (data.teacher.max_tokens)" if trial.most is not None else ""
    thought = "; it thinks before it answers, and that counts" if trial.thinks else ""
    return f"{trial.cut} of {trial.quality.n} answers were cut off{at}{thought}"


@dataclass(frozen=True, slots=True)
class RequestEstimate:
    """The estimated requests to a teacher, and their tokens."""

    requests: int = 0
    tokens: TokenCount = field(default_factory=TokenCount)

    def __add__(self, other: RequestEstimate) -> RequestEstimate:
        return RequestEstimate(self.requests + other.requests, self.tokens + other.tokens)

    def told(self, price: TokenPrice) -> str:
        """The estimate in words, with its cost if tokens have a price."""
        cost = price.of(self.tokens.given, self.tokens.got)
        dollars = f", about {cost:.2f} dollars" if cost else ""
        return f"about {self.requests:,} requests and {self.tokens.total:,} tokens{dollars}"


def estimate_tokens(trial: Sequence[TokenCount], questions: int) -> TokenCount:
    """The tokens of `questions` more questions, by the mean of the trial's."""
    if not trial:
        return TokenCount()
    given, got = (sum(getattr(took, name) for took in trial) / len(trial) for name in ("given", "got"))
    return TokenCount(round(given * questions), round(got * questions))


Agree = Callable[[Sequence[Any]], NDArray[np.float64]]
"""Pairwise agreement of k answers to one input: (k, k) in 0..1."""

CUT = "the answer was cut off"
UNHEARD = "the answer could not be used"
SPLIT = "the votes do not agree"


@dataclass(frozen=True, slots=True)
class VoteResult:
    """The answer on which a teacher's votes for one input agree, or why there is none.

    Attributes:
        output: the answer, which may be None; None if there is none.
        shares: labels with their shares of the votes, the output's first; empty if all votes agree, or outputs are not labels.
        agreement: 0..1, how much the votes agree with the output.
        why_not: why there is no answer; empty if there is one.
    """

    output: Any
    shares: tuple[tuple[str, float], ...] = ()
    agreement: float = 1.0
    why_not: str = ""


def count_votes(
    answers: Sequence[TeacherAnswer], hear: Callable[[str], Any], agree: Agree | None, least: float, reasons: bool = False
) -> VoteResult:
    """Combine the votes on one input into one answer. Unusable votes count against agreement.

    Args:
        answers: the votes on one input.
        hear: turns an answer into an output; raises ValueError for an unusable one.
        agree: compares outputs that can be partly alike; without it they are equal or not.
        least: agreement under which there is no answer.
        reasons: whether to report the reasons that `hear` raises, if these are few.
    """
    given = [answer for answer in answers if answer.why_not is None]
    if not given:
        return VoteResult(None, agreement=0.0, why_not=answers[0].why_not or NoAnswerReason.REFUSED if answers else NoAnswerReason.PRIVATE)
    heard, kinds = [], []
    for answer in given:
        try:
            if answer.finished:
                heard.append(hear(answer.text))
        except ValueError as error:
            kinds.append(str(error) if reasons else "")
    if not heard:
        why = CUT if not kinds else f"{UNHEARD}: {kinds[0]}" if kinds[0] else UNHEARD
        return VoteResult(None, agreement=0.0, why_not=why)
    found = _consensus(heard, agree, len(given)) if agree else _commonest(heard, len(given))
    return found if found.agreement >= least else VoteResult(None, agreement=found.agreement, why_not=SPLIT)


def _commonest(heard: Sequence[Any], votes: int) -> VoteResult:
    counts: dict[str, int] = {}
    first: dict[str, Any] = {}
    for output in heard:
        key = output if isinstance(output, str) else repr(output)
        first.setdefault(key, output)
        counts[key] = counts.get(key, 0) + 1
    order = sorted(counts, key=lambda key: -counts[key])
    output = first[order[0]]
    shares = tuple((key, counts[key] / len(heard)) for key in order) if isinstance(output, str) and len(order) > 1 else ()
    return VoteResult(output, shares, counts[order[0]] / votes)


def _consensus(heard: Sequence[Any], agree: Agree, votes: int) -> VoteResult:
    """The answer that is nearest to all others (Kumar and Byrne 2004, minimum Bayes risk)."""
    if votes == 1:
        return VoteResult(heard[0])
    alike = agree(heard)
    others = (alike.sum(axis=1) - np.diag(alike)) / (votes - 1)
    best = int(others.argmax())
    return VoteResult(heard[best], (), float(others[best]))


_MARK = re.compile(r"^\W*(?:(?:score|mark|rating)\W+)?(\d{1,2}(?:\.\d+)?)(?:\s*/\s*10)?\W*$", re.IGNORECASE)

MARK_TOKENS = 12


def marking_instruction(description: str, lesson: str) -> str:
    """The system message of a conversation in which a teacher marks answers."""
    job = f"The job: {description}\n\n" if description else ""
    return (
        f"You mark answers. {job}Whoever answered was told:\n{lesson}\n\n"
        "Mark how well the answer does that for the text: 10 for faultless, 5 for usable with corrections, 0 for wrong. "
        "Check facts against the text: whatever is not in it is made up. Answer with a number from 0 to 10 and nothing else."
    )


def marking_question(text: str, answer: str) -> str:
    """The question that asks for a mark from 0 to 10."""
    return f"Text:\n{text}\n\nAnswer:\n{answer}\n\nMark:"


def read_mark(answer: str) -> float:
    """The mark of an answer as 0..1. Raises ValueError for an answer that is not a number from 0 to 10."""
    found = _MARK.match(answer.strip())
    if not found or float(found[1]) > 10:
        raise ValueError(f"{answer[:40]!r} is not a mark from 0 to 10")
    return float(found[1]) / 10
