"""Watching a stated risk while it is in use: a gambler bets against it, audit by audit, and is believed once he is rich enough.

The claim is that each answered request disagrees with its reference with a mean loss of at most `alpha`, given all that came before. While
it holds, no betting makes money on average, so that the chance that he ever holds 1/delta times his start is at most delta, however
often and for however long one looks (Ville 1939; Ramdas et al. 2023). Nothing of it asks for independent or unchanging traffic.

How he bets. On an audited loss L, sampled with probability p, a part of his money that bets with strength g becomes

    1 + (g / alpha) · (least / p) · (L - alpha)

times as large. The weight `least / p` corrects for requests being audited with different probabilities: then

    E[audited · (L - alpha) / p] = risk - alpha

and a request that is not audited leaves the money as it is. For that, `least` must be known before a request is seen: with one of its
own for each request every weight would be 1, and the test one of the sample's risk. As g is at most 1/2 and the weight at most 1, no audit
takes more than half of the money, and none is ever owed.

His strengths g are spread from 1/64 to 1/2; strength g grows fastest where the risk is alpha + (1 - alpha)·g (Kelly 1956). And he does not
know when the risk will rise: a fifth of the money is at stake from the first audit on, and the rest is put in little by little, as if the
moment were drawn from a Pareto distribution (a mixture over the moment of the change; Shiryaev 1963; Shin, Ramdas and Rinaldo 2022).
Money put in later has not been lost on the good times before, which is why a rise after thousands of good answers is seen nearly as fast as
one on the first day. The mixture has a closed recursion: a handful of numbers, and a handful of multiplications an audit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_STRENGTHS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
_AT_ONCE = 0.2
_SCALE = 500.0  # audits within which a rise is as likely at one as at another
_SHAPE = 0.5
_MOST = 1e200  # he is rich enough to be believed; more would overflow
STATE_VERSION = 1


class Audit:
    """The test of one certificate. Not for several threads at once.

    Attributes:
        alpha: the risk that is claimed.
        delta: how likely a false alarm may be, ever.
        least_probability: no request is audited with a smaller one. Where that was not declared, all are audited with the same, which the
            first one tells; None before it.
        declared: whether it was.
        audits: how many losses were seen.
        losses: their sum.
        most: the largest evidence so far.
    """

    def __init__(self, alpha: float, delta: float, least_probability: float | None = None) -> None:
        """Raises ValueError for values that are not above 0 and, but for the probability, below 1."""
        if not (0 < alpha < 1 and 0 < delta < 1):
            raise ValueError(f"alpha and delta lie between 0 and 1, not {alpha}, {delta}")
        self.alpha, self.delta = alpha, delta
        self.least_probability: float | None = None
        self.declared = False
        if least_probability is not None:
            self.declare(least_probability)
        self.audits, self.losses, self.most = 0, 0.0, 1.0
        self._money = [0.0] * len(_STRENGTHS)

    @property
    def evidence(self) -> float:
        """What the gambler holds of a start of 1: the e-value against the claim, now."""
        return sum(self._money) / len(_STRENGTHS) + _waiting(self.audits)

    @property
    def revoked(self) -> bool:
        """Whether the evidence ever reached 1/delta. It stays so."""
        return self.most >= 1 / self.delta

    def declare(self, least_probability: float) -> None:
        """Say the least probability with which any request is audited, of those that are drawn from now on. Raises ValueError for one that
        is not over 0 and at most 1."""
        if not 0 < least_probability <= 1:
            raise ValueError(f"the least probability of an audit is over 0 and at most 1, not {least_probability}")
        self.least_probability, self.declared = least_probability, True

    def observe(self, loss: float, probability: float = 1.0) -> bool:
        """Take in one audit; returns `revoked`.

        Args:
            loss: of the answer against the reference, 0..1.
            probability: with which this request was chosen to be audited, decided before its loss was known.

        Raises ValueError for a loss outside of 0..1, for a probability under the declared one or over 1, and where none was declared, for
        one that is not that of the audits before: nothing is then taken in.
        """
        if not 0 <= loss <= 1:
            raise ValueError(f"a loss lies in 0..1, not {loss}")
        least = self._least(probability)
        new = _waiting(self.audits) - _waiting(self.audits + 1)
        change = least / probability * (loss - self.alpha) / self.alpha
        self._money = [min(_MOST, (held + new) * (1 + g * change)) for held, g in zip(self._money, _STRENGTHS, strict=True)]
        self.least_probability = least
        self.audits += 1
        self.losses += loss
        self.most = max(self.most, self.evidence)
        return self.revoked

    def _least(self, probability: float) -> float:
        """The least that an audit with this probability is weighed by. Raises ValueError for one that cannot be."""
        if not 0 < probability <= 1:
            raise ValueError(f"the probability of an audit is over 0 and at most 1, not {probability}")
        least = self.least_probability
        if least is None or (not self.declared and self.audits == 0):
            return probability
        if self.declared and probability < least:
            raise ValueError(
                f"the probability of an audit is {probability}, under the least that was declared: {least}. Declare the least that any "
                "request may have, before the requests are drawn."
            )
        if not self.declared and probability != least:
            raise ValueError(
                f"the probability of an audit is {probability}, and that of the audits before was {least}. Where it varies, declare the "
                "least that any request may have, before the requests are drawn."
            )
        return least

    def json(self) -> dict[str, Any]:
        """The state, JSON-ready: `from_json` goes on from it as if nothing had happened."""
        return {
            "version": STATE_VERSION,
            "alpha": self.alpha,
            "delta": self.delta,
            "least_probability": self.least_probability,
            "declared": self.declared,
            "audits": self.audits,
            "losses": self.losses,
            "most": self.most,
            "money": list(self._money),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Audit:
        """The test whose state was written. Raises ValueError for what is no such state: go on as if it had been revoked."""
        try:
            if state["version"] != STATE_VERSION:
                raise ValueError(f"the state is of version {state['version']}, and {STATE_VERSION} is known")
            audit = cls(float(state["alpha"]), float(state["delta"]))
            if state["least_probability"] is not None:
                audit.declare(float(state["least_probability"]))
            audit.declared = bool(state.get("declared", False))  # one from before this could be said: of one probability
            audit.audits, audit.losses, audit.most = int(state["audits"]), float(state["losses"]), float(state["most"])
            audit._money = [float(value) for value in state["money"]]
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"this is no state of an audit ({error})") from error
        fine = len(audit._money) == len(_STRENGTHS) and all(0 <= value <= _MOST for value in audit._money)
        fine = fine and (audit.least_probability is not None or not (audit.declared or audit.audits))
        if not (fine and audit.audits >= 0 and 0 <= audit.losses <= audit.audits and 1 <= audit.most < math.inf):
            raise ValueError("this is no state of an audit (its numbers cannot be)")
        return audit


def _waiting(audits: int) -> float:
    """The money that is not yet at stake after so many audits; all of it at the start."""
    return 1.0 if audits == 0 else (1 - _AT_ONCE) * (_SCALE / (_SCALE + audits)) ** _SHAPE
