"""Champion against challenger, on held-out rows that neither learnt from and that certify nothing.

Which answers better, which answers more under its certificate, and whether the challenger is promoted, with the reason in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from smidgen.flows.certify.calibration_sample import BY_LABEL
from smidgen.flows.learn.learning_rows import LineRow
from smidgen.flows.local_model import Model
from smidgen.gateway.certificate_status import CertificateStatus, Decision
from smidgen.stats.classification_metrics import same_labels
from smidgen.stats.intervals import Floats
from smidgen.stats.risk_bounds import better_p_value, level_of_look, not_worse_p_value, sign_test

# The challenger against the champion, on held-out rows that neither learnt from and that certify nothing.

_BATCH = 512


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        n: rows.
        champion, challenger: mean grade of each, the share right where answers are right or wrong; None without rows.
        gained, lost: rows on which the challenger did better, and worse.
        p: one-sided, of "the challenger is not better".
        p_not_worse: one-sided, of "it is worse by the margin or more".
        p_worse: one-sided, of "it is not worse".
        level: at which it was tested whether the challenger is better: half of what of the one that was asked for goes to this look. The
            other half is for whether it answers more under its certificate: a challenger is promoted by either. That it is
            worse, which only keeps it out, is tested at both together.
        margin: as it was asked for.
        look: how many comparisons there were since the held-out rows are fresh, with this one.
    """

    n: int
    champion: float | None
    challenger: float | None
    gained: int
    lost: int
    p: float
    p_not_worse: float
    level: float
    margin: float
    look: int = 1
    p_worse: float = 1.0

    @property
    def won(self) -> bool:
        """Whether the challenger is better."""
        return self.p <= self.level

    @property
    def held(self) -> bool:
        """Whether it is no worse than by the margin."""
        return self.p_not_worse <= 2 * self.level

    @property
    def behind(self) -> bool:
        """Whether it is worse, and not shown to be so by less than the margin."""
        return self.p_worse <= 2 * self.level and not self.held

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "better": self.won, "not_worse": self.held, "worse": self.behind}


def compare(
    champion: Model, challenger: Model, rows: Sequence[LineRow], *, level: float, margin: float, seed: int, look: int = 1
) -> Comparison:
    """Both on the same rows, the `look`-th time that any are compared on such: all times together spend the level."""
    spent = level_of_look(level, look)
    half = spent / 2
    if not rows:
        return Comparison(0, None, None, 0, 0, 1.0, 1.0, half, margin, look)
    first, second = grades_of(champion, rows), grades_of(challenger, rows)
    change = second - first
    # Betting goes row by row, and traffic has tides: an order that says nothing is drawn.
    drawn = np.random.default_rng([seed, 73]).permutation(len(change))
    return Comparison(
        n=len(rows),
        champion=float(first.mean()),
        challenger=float(second.mean()),
        gained=int((change > 0).sum()),
        lost=int((change < 0).sum()),
        p=better_p_value(change[drawn], half),
        p_not_worse=not_worse_p_value(change[drawn], margin, spent),
        level=half,
        margin=margin,
        look=look,
        p_worse=better_p_value(-change[drawn], spent),
    )


def grades_of(model: Model, rows: Sequence[LineRow]) -> Floats:
    """(n,) the grade of each of the model's answers; 1 for right and 0 for wrong where there are no grades. Of a row that was answered with
    what cannot be read every answer is wrong."""
    found = np.zeros(len(rows), dtype=np.float64)
    read = [place for place, taken in enumerate(rows) if not taken.unread]
    if not read:
        return found
    asked = [rows[place].row for place in read]
    replies = [
        reply for start in range(0, len(asked), _BATCH) for reply in model.predict([row.input for row in asked[start : start + _BATCH]])
    ]
    if model.task.graded:
        found[read] = model.task.grades(asked, replies, model.form)
    else:
        found[read] = same_labels([row.output for row in asked], [reply.output for reply in replies])
    return found


# Whether the challenger would answer more of the requests than the champion, each under its own certificate: the same promise, kept
# more often. It asks for no right answers, only for scores.


@dataclass(frozen=True)
class ShareComparison:
    """What came of it.

    Attributes:
        n: rows.
        champion, challenger: the share of them that each would answer.
        gained, lost: rows that only the challenger, and only the champion, would answer.
        p: one-sided, of "the challenger answers no more" (the exact sign test on the rows where they differ).
        level: at which it was tested: half of what goes to this look, see `Comparison`.
    """

    n: int
    champion: float
    challenger: float
    gained: int
    lost: int
    p: float
    level: float

    @property
    def more(self) -> bool:
        """Whether the challenger answers more."""
        return self.p <= self.level

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "more": self.more}


@dataclass(frozen=True)
class CertifiedModel:
    """A model, how its certificate stands, and the time; None for the clock's."""

    model: Model
    standing: CertificateStatus
    now: datetime | None = None

    def answered(self, rows: Sequence[LineRow]) -> Floats:
        """(n,) 1 for a row that it would answer, 0 for one that escalates."""
        found = np.zeros(len(rows), dtype=np.float64)
        by = self.standing.certificate.by if self.standing.certificate is not None else ""
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            for place, reply in enumerate(self.model.predict([taken.row.input for taken in part]), start):
                segment = str(reply.output) if by == BY_LABEL else None
                found[place] = self.standing.decide(reply.score, segment, self.now) is Decision.ANSWER
        return found

    def share(self, rows: Sequence[LineRow]) -> float:
        """Of the rows, what it would answer; 1 without any, for then nothing is known of what more could be."""
        return float(self.answered(rows).mean()) if rows else 1.0


def compare_shares(first: Floats, second: Floats, level: float) -> ShareComparison:
    """Of the same rows what the champion answers, and what the challenger."""
    gained, lost = int((second > first).sum()), int((second < first).sum())
    share = [float(values.mean()) if len(values) else 0.0 for values in (first, second)]
    return ShareComparison(len(first), share[0], share[1], gained, lost, sign_test(gained, lost), level)


# Whether the challenger takes the champion's place, and why, in words.


@dataclass(frozen=True)
class PromotionDecision:
    """Whether a challenger is promoted, and why. `why` is a sentence without a full stop."""

    promote: bool
    why: str


def decide_promotion(
    contest: Comparison | None, certified: bool, champion_certified: bool, anyway: bool, reach: ShareComparison | None = None
) -> PromotionDecision:
    """The rule.

    A challenger is promoted where it is better; where it is certified and the champion is not: that one answers nothing, so there is
    nothing to lose; or where both are certified and it answers more: what it answers is promised to be as good. But one that is shown to be
    worse, and not by less than the margin, stays out all the same. One without a certificate is promoted only where that is the policy; but
    the first of a line always is: without a certificate everything escalates, as it did before there was one.

    Args:
        contest: None where there is no champion.
        certified: whether the challenger got a certificate.
        champion_certified: whether the champion's holds now.
        anyway: whether one that is better is promoted without a certificate.
        reach: how much each would answer, where both are certified and that was looked at.
    """
    if contest is None:
        return PromotionDecision(
            True, "it is the first of its line" + ("" if certified else "; without a certificate everything escalates")
        )
    shown = _comparison_text(contest)
    if contest.won and certified:
        return PromotionDecision(True, f"it is better: {shown}")
    if contest.won and anyway:
        return PromotionDecision(True, f"it is better, and goes without a certificate as was asked for: {shown}")
    if contest.won:
        return PromotionDecision(False, f"it is better, but could not be certified (--uncertified promote would take it): {shown}")
    if certified and not champion_certified and contest.behind:
        return PromotionDecision(False, f"it is certified, but worse, and not shown to be so by less than {contest.margin:.1%}: {shown}")
    if certified and not champion_certified:
        return PromotionDecision(True, f"it is certified, which the champion is not, and not shown to be worse: {shown}")
    if not champion_certified:
        return PromotionDecision(False, f"it could not be certified: {shown}")
    if certified and reach is not None and reach.more and not contest.behind:
        return PromotionDecision(
            True, f"it answers more under its certificate, and is not shown to be worse: {_shares_text(reach)}. Right: {shown}"
        )
    more = f"; nor to answer more: {_shares_text(reach)}" if reach is not None else ""
    return PromotionDecision(False, f"it could not be shown to be better: {shown}{more}")


def is_certificate_needed(contest: Comparison | None, champion_certified: bool, more: bool = False) -> bool:
    """Whether a certificate would change what becomes of the challenger, or what it answers: each test for one is paid for by the next.

    `more`: whether it is expected to answer more than the champion does under its own.
    """
    return contest is None or contest.won or (not contest.behind and (more or not champion_certified))


def _shares_text(reach: ShareComparison) -> str:
    return (
        f"{reach.challenger:.1%} against {reach.champion:.1%} of {reach.n:,} held-out rows, {reach.gained:,} more, {reach.lost:,} fewer, "
        f"p = {reach.p:.3g} (tested at {reach.level:.3g})"
    )


def _comparison_text(contest: Comparison) -> str:
    if contest.champion is None or contest.challenger is None:
        return "no held-out rows to compare on"
    return (
        f"{contest.challenger:.1%} against {contest.champion:.1%} on {contest.n:,} held-out rows, "
        f"{contest.gained:,} better and {contest.lost:,} worse, p = {contest.p:.3g} (look {contest.look}, tested at {contest.level:.3g})"
    )
