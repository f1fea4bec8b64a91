"""How likely a certificate is, before the rows that certify are looked at: from a risk-coverage curve that was measured on others.

Where looks at rows that stay share one level (`spending.py`), one that is likely to be in vain makes the next ones stricter for nothing.
When to look may be chosen by anything that knows nothing of the losses of the rows that certify: how many they are, and how the model did
on the rows that choose. So it is chosen by this, and costs no validity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.stats.binomial import at_most, most_errors

_LEAST = 0.1  # of the requests: a certificate for fewer is of little use
_EVEN = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is to be expected.

    Attributes:
        chance: that some threshold which answers a tenth of the requests or more is certified.
        share: of the requests, what is answered at the laxest threshold that is as likely as not to be certified; 0 where none is.
    """

    chance: float
    share: float


def prospect(
    curve: Sequence[tuple[float, float]],
    measured: int,
    n: int,
    alpha: float,
    delta: float,
    overall: float | None = None,
    overall_level: float | None = None,
) -> Prospect:
    """The chance of a certificate on `n` rows.

    Args:
        curve: (coverage, risk) of thresholds.
        measured: rows that the curve was measured on. A risk that was seen on k of them is taken with half an error more on one row more.
        n: rows that certify.
        alpha, delta: of the test.
        overall: of all requests, the share that may be answered and disagree, where that is asked: on average of one look, or as a bound
            that is tested at `overall_level`.

    Of graded losses it is less than the chance: none of the same mean is as hard to certify as one of 0 and 1.
    """
    chance, share = 0.0, 0.0
    most = n
    if overall is not None:
        most = math.floor(overall * (n + 1) - 1 + _ROUNDING) if overall_level is None else most_errors(n, overall, overall_level)
    for coverage, risk in curve:
        answered = math.floor(coverage * n)
        errors = min(most, most_errors(answered, alpha, delta)) if answered else -1
        if coverage < _LEAST or errors < 0:
            continue
        seen = coverage * measured
        here = at_most(errors, answered, min(1.0, (risk * seen + 0.5) / (seen + 1)))
        chance = max(chance, here)
        if here >= _EVEN:
            share = max(share, coverage)
    return Prospect(chance, share)
