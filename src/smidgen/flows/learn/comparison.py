"""Compare champion and challenger on held-out rows that neither learnt from and that certify nothing.

Which one answers better, which one answers more under its certificate, and whether to promote the challenger, with the reason in words.
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
from smidgen.stats.classification_metrics import reply_grades
from smidgen.stats.intervals import Floats
from smidgen.stats.risk_bounds import better_p_value, level_of_look, not_worse_p_value, sign_test

# Accuracy: the challenger against the champion, row by row.

_BATCH = 512


@dataclass(frozen=True)
class Comparison:
    """Paired comparison of challenger and champion on the selection set.

    Attributes:
        n: rows.
        champion, challenger: mean grade of each; for tasks without grades, the share of right answers. None without rows.
        gained, lost: rows on which the challenger did better, and worse.
        p: one-sided p-value of "the challenger is not better".
        p_not_worse: one-sided p-value of "it is worse by the margin or more".
        p_worse: one-sided p-value of "it is not worse".
        level: level of the test for "better": half of this look's share of the level asked for. The other half goes to the test for
            "answers more under its certificate", because either one promotes a challenger. The test for "worse", which only keeps it out,
            gets both halves.
        margin: as asked for.
        look: number of comparisons since the held-out rows are fresh, including this one.
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
        """True if the challenger is shown to be better."""
        return self.p <= self.level

    @property
    def held(self) -> bool:
        """True if the challenger is shown to be worse by less than the margin, if at all."""
        return self.p_not_worse <= 2 * self.level

    @property
    def behind(self) -> bool:
        """True if the challenger is shown to be worse, and not shown to be worse by less than the margin."""
        return self.p_worse <= 2 * self.level and not self.held

    def json(self) -> dict[str, Any]:
        """Return the fields and verdicts, JSON-ready."""
        return {**asdict(self), "better": self.won, "not_worse": self.held, "worse": self.behind}


def compare(
    champion: Model, challenger: Model, rows: Sequence[LineRow], *, level: float, margin: float, seed: int, look: int = 1
) -> Comparison:
    """Compare both models on the same rows. `look` counts the comparisons on fresh rows: all of them together spend the level."""
    spent = level_of_look(level, look)
    half = spent / 2
    if not rows:
        return Comparison(0, None, None, 0, 0, 1.0, 1.0, half, margin, look)
    first, second = grades_of(champion, rows), grades_of(challenger, rows)
    change = second - first
    # The test bets row by row, and traffic has trends, so the rows are shuffled.
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
    """Return the grade of each of the model's answers, shape (n,); 1 for right and 0 for wrong if the task has no grades.

    If the reference of a row cannot be read, every answer to it is wrong.
    """
    found = np.zeros(len(rows), dtype=np.float64)
    read = [place for place, taken in enumerate(rows) if not taken.unread]
    if not read:
        return found
    asked = [rows[place].row for place in read]
    replies = [
        reply for start in range(0, len(asked), _BATCH) for reply in model.predict([row.input for row in asked[start : start + _BATCH]])
    ]
    found[read] = reply_grades(model.task, asked, replies, model.form)
    return found


# Coverage: whether the challenger would answer more requests than the champion, each under its own certificate. This needs scores only, no
# right answers.


@dataclass(frozen=True)
class ShareComparison:
    """Paired comparison of the shares of rows that the models answer under their certificates.

    Attributes:
        n: rows.
        champion, challenger: the share of rows that each would answer.
        gained, lost: rows that only the challenger, and only the champion, would answer.
        p: one-sided p-value of "the challenger answers no more" (exact sign test on the rows where they differ).
        level: level of the test: half of this look's share, see `Comparison`.
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
        """True if the challenger is shown to answer more."""
        return self.p <= self.level

    def json(self) -> dict[str, Any]:
        """Return the fields and the verdict, JSON-ready."""
        return {**asdict(self), "more": self.more}


@dataclass(frozen=True)
class CertifiedModel:
    """A model, the status of its certificate, and the time. None: the clock's."""

    model: Model
    standing: CertificateStatus
    now: datetime | None = None

    def answered(self, rows: Sequence[LineRow]) -> Floats:
        """Return 1 for each row that the model would answer and 0 for each that escalates, shape (n,)."""
        found = np.zeros(len(rows), dtype=np.float64)
        by = self.standing.certificate.by if self.standing.certificate is not None else ""
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            for place, reply in enumerate(self.model.predict([taken.row.input for taken in part]), start):
                segment = str(reply.output) if by == BY_LABEL else None
                found[place] = self.standing.decide(reply.score, segment, self.now) is Decision.ANSWER
        return found

    def share(self, rows: Sequence[LineRow]) -> float:
        """Return the share of the rows that the model would answer. 1 without rows, so that nothing can be expected to exceed it."""
        return float(self.answered(rows).mean()) if rows else 1.0


def compare_shares(first: Floats, second: Floats, level: float) -> ShareComparison:
    """Compare what the champion (`first`) and the challenger (`second`) answer, as arrays of 0 and 1 over the same rows."""
    gained, lost = int((second > first).sum()), int((second < first).sum())
    share = [float(values.mean()) if len(values) else 0.0 for values in (first, second)]
    return ShareComparison(len(first), share[0], share[1], gained, lost, sign_test(gained, lost), level)


# Whether the challenger takes the champion's place, and why, in words.


@dataclass(frozen=True)
class PromotionDecision:
    """Whether a challenger is promoted. `why` is a sentence without a full stop."""

    promote: bool
    why: str


def decide_promotion(
    comparison: Comparison | None, certified: bool, champion_certified: bool, anyway: bool, shares: ShareComparison | None = None
) -> PromotionDecision:
    """Decide whether the challenger is promoted.

    It is promoted in one of three cases:
    - it is better;
    - it is certified and the champion is not: the champion answers nothing, so there is nothing to lose;
    - both are certified and it answers more: its certificate makes the same promise for what it answers.

    In the last two cases it must not be shown to be worse, unless by less than the margin. A challenger without a certificate is promoted
    only if `anyway` is set. The first version of a line is always promoted: without a certificate everything escalates, as before.

    Args:
        comparison: None if there is no champion.
        certified: whether the challenger got a certificate.
        champion_certified: whether the champion's certificate holds now.
        anyway: whether a better challenger is promoted without a certificate.
        shares: the shares that each would answer, if both are certified and these were compared.
    """
    if comparison is None:
        return PromotionDecision(
            True, "it is the first of its line" + ("" if certified else "; without a certificate everything escalates")
        )
    shown = _comparison_text(comparison)
    if comparison.won and certified:
        return PromotionDecision(True, f"it is better: {shown}")
    if comparison.won and anyway:
        return PromotionDecision(True, f"it is better, and is promoted without a certificate as asked: {shown}")
    if comparison.won:
        return PromotionDecision(False, f"it is better, but could not be certified (--uncertified promote would take it): {shown}")
    if certified and not champion_certified and comparison.behind:
        margin = f"{comparison.margin:.1%}"
        return PromotionDecision(False, f"it is certified, but worse, and not shown to be so by less than {margin}: {shown}")
    if certified and not champion_certified:
        return PromotionDecision(True, f"it is certified, which the champion is not, and not shown to be worse: {shown}")
    if not champion_certified:
        return PromotionDecision(False, f"it could not be certified: {shown}")
    if certified and shares is not None and shares.more and not comparison.behind:
        return PromotionDecision(
            True, f"it answers more under its certificate, and is not shown to be worse: {_shares_text(shares)}. Right: {shown}"
        )
    more = f"; nor to answer more: {_shares_text(shares)}" if shares is not None else ""
    return PromotionDecision(False, f"it could not be shown to be better: {shown}{more}")


def is_certificate_needed(comparison: Comparison | None, champion_certified: bool, more: bool = False) -> bool:
    """Return True if a certificate could change the decision or what is answered locally. Each test makes the next one stricter.

    `more`: whether the challenger is expected to answer more than the champion, each under its own certificate.
    """
    return comparison is None or comparison.won or (not comparison.behind and (more or not champion_certified))


def _shares_text(found: ShareComparison) -> str:
    return (
        f"{found.challenger:.1%} against {found.champion:.1%} of {found.n:,} held-out rows, {found.gained:,} more, {found.lost:,} fewer, "
        f"p = {found.p:.3g} (tested at {found.level:.3g})"
    )


def _comparison_text(found: Comparison) -> str:
    if found.champion is None or found.challenger is None:
        return "no held-out rows to compare on"
    return (
        f"{found.challenger:.1%} against {found.champion:.1%} on {found.n:,} held-out rows, "
        f"{found.gained:,} better and {found.lost:,} worse, p = {found.p:.3g} (look {found.look}, tested at {found.level:.3g})"
    )
