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

Where the claim is made of each of several segments, one that breaks it may hide among good ones: a gambler who bets on all audits sees the
mean. So half of the start is his, and the other half is shared out evenly among gamblers who bet on the audits of one segment each. While
the claim holds of every segment none of them makes money on average, and so neither do all together: their sum is tested as one gambler's
money is, and the multiplicity is paid by each one's smaller share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_STRENGTHS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
_AT_ONCE = 0.2
_SCALE = 500.0  # audits within which a rise is as likely at one as at another
_SHAPE = 0.5
_MOST = 1e200  # he is rich enough to be believed; more would overflow
_POOLED = 0.5  # of the start, for who bets on the audits of all segments
STATE_VERSION = 1


class _Gambler:
    """One who bets on a stream of audits, with a start of 1."""

    def __init__(self) -> None:
        self.audits, self.losses = 0, 0.0
        self.money = [0.0] * len(_STRENGTHS)

    @property
    def evidence(self) -> float:
        """What he holds."""
        return sum(self.money) / len(_STRENGTHS) + _waiting(self.audits)

    def bet(self, loss: float, change: float) -> None:
        """`change`: what a loss changes a stake by, relative to it, at strength 1."""
        new = _waiting(self.audits) - _waiting(self.audits + 1)
        self.money = [min(_MOST, (held + new) * (1 + g * change)) for held, g in zip(self.money, _STRENGTHS, strict=True)]
        self.audits += 1
        self.losses += loss

    def json(self) -> dict[str, Any]:
        return {"audits": self.audits, "losses": self.losses, "money": list(self.money)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> _Gambler:
        """Raises ValueError, KeyError, TypeError or OverflowError for what is none."""
        made = cls()
        made.audits, made.losses = int(state["audits"]), float(state["losses"])
        made.money = [float(value) for value in state["money"]]
        fine = len(made.money) == len(_STRENGTHS) and all(0 <= value <= _MOST for value in made.money)
        if not (fine and made.audits >= 0 and 0 <= made.losses <= made.audits):
            raise ValueError("this is no state of an audit (its numbers cannot be)")
        return made


class Audit:
    """The test of one certificate. Not for several threads at once.

    Attributes:
        alpha: the risk that is claimed.
        delta: how likely a false alarm may be, ever.
        least_probability: no request is audited with a smaller one. Where that was not declared, all are audited with the same, which the
            first one tells; None before it.
        declared: whether it was.
        most: the largest evidence so far.
        segments: the names of those that the claim is made of, each by itself; empty where it is made of all together.
    """

    def __init__(self, alpha: float, delta: float, least_probability: float | None = None, segments: Sequence[str] = ()) -> None:
        """Raises ValueError for values that are not above 0 and, but for the probability, below 1."""
        if not (0 < alpha < 1 and 0 < delta < 1):
            raise ValueError(f"alpha and delta lie between 0 and 1, not {alpha}, {delta}")
        self.alpha, self.delta = alpha, delta
        self.least_probability: float | None = None
        self.declared = False
        if least_probability is not None:
            self.declare(least_probability)
        self.segments = tuple(sorted(set(segments)))
        self.most = 1.0
        self._all, self._of = _Gambler(), dict[str, _Gambler]()
        # What he who bets on all audits was given of the start, and what each of the others.
        self._share, self._each = (_POOLED, (1 - _POOLED) / len(self.segments)) if self.segments else (1.0, 0.0)

    @property
    def audits(self) -> int:
        """How many losses were seen."""
        return self._all.audits

    @property
    def losses(self) -> float:
        """Their sum."""
        return self._all.losses

    @property
    def evidence(self) -> float:
        """What the gamblers hold of a start of 1: the e-value against the claim, now."""
        return min(_MOST, self._share * self._all.evidence + self._of_segments)

    @property
    def _of_segments(self) -> float:
        return self._each * (sum(one.evidence for one in self._of.values()) + len(self.segments) - len(self._of))

    @property
    def revoked(self) -> bool:
        """Whether the evidence ever reached 1/delta. It stays so."""
        return self.most >= 1 / self.delta

    @property
    def worst(self) -> tuple[str, int, float] | None:
        """The segment that most speaks against the claim, with its audits and the sum of their losses; None where none was audited."""
        if not self._of:
            return None
        name = max(self._of, key=lambda name: self._of[name].evidence)
        return name, self._of[name].audits, self._of[name].losses

    def declare(self, least_probability: float) -> None:
        """Say the least probability with which any request is audited, of those that are drawn from now on. Raises ValueError for one that
        is not over 0 and at most 1."""
        if not 0 < least_probability <= 1:
            raise ValueError(f"the least probability of an audit is over 0 and at most 1, not {least_probability}")
        self.least_probability, self.declared = least_probability, True

    def observe(self, loss: float, probability: float = 1.0, segment: str | None = None) -> bool:
        """Take in one audit; returns `revoked`.

        Args:
            loss: of the answer against the reference, 0..1.
            probability: with which this request was chosen to be audited, decided before its loss was known.
            segment: the request's. Where it is not known, or none of those that the claim is made of, the audit counts among all alone.

        Raises ValueError for a loss outside of 0..1, for a probability under the declared one or over 1, and where none was declared, for
        one that is not that of the audits before: nothing is then taken in.
        """
        if not 0 <= loss <= 1:
            raise ValueError(f"a loss lies in 0..1, not {loss}")
        least = self._least(probability)
        change = least / probability * (loss - self.alpha) / self.alpha
        self._all.bet(loss, change)
        if segment is not None and segment in self.segments:
            self._of.setdefault(segment, _Gambler()).bet(loss, change)
        self.least_probability = least
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
        facts: dict[str, Any] = {
            "version": STATE_VERSION,
            "alpha": self.alpha,
            "delta": self.delta,
            "least_probability": self.least_probability,
            "declared": self.declared,
            **self._all.json(),
            "most": self.most,
        }
        if self.segments or self._share != 1:
            segments = {name: self._of[name].json() if name in self._of else None for name in self.segments}
            facts |= {"share": self._share, "each": self._each, "segments": segments}
        return facts

    @classmethod
    def from_json(cls, state: Mapping[str, Any], segments: Sequence[str] = ()) -> Audit:
        """The test whose state was written, of a claim that is made of these segments. Where the state is of others, or of none, as those
        of an older smidgen are, the evidence so far stays what it is, and is shared out anew.

        Raises ValueError for what is no such state: go on as if it had been revoked."""
        try:
            if state["version"] != STATE_VERSION:
                raise ValueError(f"the state is of version {state['version']}, and {STATE_VERSION} is known")
            told: Mapping[str, Any] = state.get("segments", {})
            audit = cls(float(state["alpha"]), float(state["delta"]), segments=tuple(told))
            if state["least_probability"] is not None:
                audit.declare(float(state["least_probability"]))
            audit.declared = bool(state.get("declared", False))  # one from before this could be said: of one probability
            audit.most = float(state["most"])
            audit._all = _Gambler.from_json(state)
            audit._of = {name: _Gambler.from_json(facts) for name, facts in told.items() if facts is not None}
            if "segments" in state:
                audit._share, audit._each = float(state["share"]), float(state["each"])
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"this is no state of an audit ({error})") from error
        fine = audit.least_probability is not None or not (audit.declared or audit.audits)
        fine = fine and 0 < audit._share <= _MOST and 0 <= audit._each <= _MOST
        if not (fine and 1 <= audit.most < math.inf):
            raise ValueError("this is no state of an audit (its numbers cannot be)")
        audit._share_out(tuple(sorted(set(segments))))
        return audit

    def _share_out(self, segments: tuple[str, ...]) -> None:
        """Go on with these segments, and with the same evidence: what is held is given to other gamblers, and none is made or lost."""
        if segments == self.segments:
            return
        pooled, others = self._share * self._all.evidence, self._of_segments
        if not segments:
            pooled, others = pooled + others, 0.0
        elif not self.segments:
            pooled, others = _POOLED * pooled, (1 - _POOLED) * pooled
        self._share, self._each = pooled / self._all.evidence, others / max(1, len(segments))
        self.segments, self._of = segments, {}


def _waiting(audits: int) -> float:
    """The money that is not yet at stake after so many audits; all of it at the start."""
    return 1.0 if audits == 0 else (1 - _AT_ONCE) * (_SCALE / (_SCALE + audits)) ** _SHAPE
