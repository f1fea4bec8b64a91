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

Some audits are drawn and never answered. Where such a loss has nothing to do with the answer, the others say what there is to say. Where it
has, they say too little: what is lost may be what was wrong. So a quarter of the start is for gamblers who count each lost audit as wrong,
and bet against a mean of at most alpha + alpha · (1 - alpha) / 5. That is what alpha comes to where a fifth of alpha of the audits is lost
at random. The other three quarters bet on the audits that were answered, as above. Their sum is tested as one, so that it reaches 1/delta
with a chance of at most delta in both of these cases, whatever the number of looks:

- the risk is at most alpha, and of the audits at most a fifth of alpha is lost, at random;
- the risk is at most alpha with every lost audit counted as wrong.

Audits that are lost one right after the other are one: an upstream that is down loses a hundred, and says nothing a hundred times. Not to
bet on such a one is as good as not to have drawn it: in both cases above the expectation of what is left is no larger.
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
_STRICT = 0.25  # of the start, for those who count lost audits as wrong
_LOST = 0.2  # of alpha: the share of audits that may get lost at random
STATE_VERSION = 1


class _Gambler:
    """One who bets on a stream of audits, with a start of 1."""

    def __init__(self) -> None:
        self.audits, self.losses = 0, 0.0
        self.money = [0.0] * len(_STRENGTHS)

    @property
    def evidence(self) -> float:
        """The money that the gambler holds."""
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
            raise ValueError("this is not the state of an audit (its numbers cannot be)")
        return made


class _Bets:
    """Gamblers who bet on the same losses: one on all of them, and one on those of each segment.

    Attributes:
        alpha: the mean that they bet against.
        all: who bets on all.
        segments: the names of those that the claim is made of; empty where it is made of all together.
        of: who bets on one segment's, as far as there were any.
        share, each: what the first was given of the start, and what each of the others.
    """

    def __init__(self, alpha: float, start: float, segments: tuple[str, ...]) -> None:
        self.alpha, self.segments = alpha, segments
        self.all, self.of = _Gambler(), dict[str, _Gambler]()
        self.share, self.each = (start * _POOLED, start * (1 - _POOLED) / len(segments)) if segments else (start, 0.0)

    @property
    def evidence(self) -> float:
        """The money that the gamblers hold."""
        return self.share * self.all.evidence + self._of_segments

    @property
    def _of_segments(self) -> float:
        return self.each * (sum(one.evidence for one in self.of.values()) + len(self.segments) - len(self.of))

    def bet(self, loss: float, weight: float, segment: str | None) -> None:
        change = weight * (loss - self.alpha) / self.alpha
        self.all.bet(loss, change)
        if segment is not None and segment in self.segments:
            self.of.setdefault(segment, _Gambler()).bet(loss, change)

    def scaled(self, factor: float) -> None:
        """Give them so much of what they hold."""
        self.share, self.each = self.share * factor, self.each * factor

    def share_out(self, segments: tuple[str, ...]) -> None:
        """Go on with these segments, and with the same evidence: what is held is given to other gamblers, and none is made or lost."""
        if segments == self.segments:
            return
        pooled, others = self.share * self.all.evidence, self._of_segments
        if not segments:
            pooled, others = pooled + others, 0.0
        elif not self.segments:
            pooled, others = _POOLED * pooled, (1 - _POOLED) * pooled
        self.share, self.each = pooled / self.all.evidence, others / max(1, len(segments))
        self.segments, self.of = segments, {}

    def json(self) -> dict[str, Any]:
        segments = {name: self.of[name].json() if name in self.of else None for name in self.segments}
        return {**self.all.json(), "share": self.share, "each": self.each, "segments": segments}

    @classmethod
    def from_json(cls, state: Mapping[str, Any], alpha: float) -> _Bets:
        """Raises ValueError, KeyError, TypeError, AttributeError or OverflowError for what is none."""
        told: Mapping[str, Any] = state.get("segments", {})
        made = cls(alpha, 1.0, tuple(sorted(told)))
        made.all = _Gambler.from_json(state)
        made.of = {name: _Gambler.from_json(facts) for name, facts in told.items() if facts is not None}
        made.share, made.each = float(state.get("share", made.share)), float(state.get("each", made.each))
        if not (0 < made.share <= _MOST and 0 <= made.each <= _MOST):
            raise ValueError("this is not the state of an audit (its numbers cannot be)")
        return made


class SequentialAudit:
    """The test of one certificate. Not for several threads at once.

    Attributes:
        alpha: the risk that is claimed.
        delta: how likely a false alarm may be, ever.
        least_probability: no request is audited with a smaller one. Where that was not declared, all are audited with the same, which the
            first one tells; None before it.
        declared: whether it was.
        most: the largest evidence so far.
        never_answered: how many audits were lost.
    """

    def __init__(self, alpha: float, delta: float, least_probability: float | None = None, segments: Sequence[str] = ()) -> None:
        """`segments`: the names of those that the claim is made of, each by itself; empty where it is made of all together.

        Raises ValueError for values that are not above 0 and, but for the probability, below 1."""
        if not (0 < alpha < 1 and 0 < delta < 1):
            raise ValueError(f"alpha and delta lie between 0 and 1, not {alpha}, {delta}")
        self.alpha, self.delta = alpha, delta
        self.least_probability: float | None = None
        self.declared = False
        if least_probability is not None:
            self.declare(least_probability)
        names = tuple(sorted(set(segments)))
        self.most, self.never_answered = 1.0, 0
        self._heard = _Bets(alpha, 1 - _STRICT, names)
        self._strict = _Bets(_with_lost(alpha), _STRICT, names)
        self._in_a_row = False

    @property
    def segments(self) -> tuple[str, ...]:
        """The names of those that the claim is made of."""
        return self._heard.segments

    @property
    def audits(self) -> int:
        """How many losses were seen."""
        return self._heard.all.audits

    @property
    def losses(self) -> float:
        """Their sum."""
        return self._heard.all.losses

    @property
    def evidence(self) -> float:
        """The e-value against the claim, now: the gamblers' money, from a start of 1."""
        return min(_MOST, self._heard.evidence + self._strict.evidence)

    @property
    def silent(self) -> bool:
        """Whether most of the evidence is of the lost audits."""
        return self.never_answered > 0 and self._strict.evidence > self._heard.evidence

    @property
    def revoked(self) -> bool:
        """Whether the evidence ever reached 1/delta. It stays so."""
        return self.most >= 1 / self.delta

    @property
    def worst(self) -> tuple[str, int, float] | None:
        """The segment that most speaks against the claim, with its audits and the sum of their losses; None where none was audited."""
        of = self._heard.of
        if not of:
            return None
        name = max(of, key=lambda name: of[name].evidence)
        return name, of[name].audits, of[name].losses

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
        self._heard.bet(loss, least / probability, segment)
        self._strict.bet(loss, least / probability, segment)
        self._in_a_row = False
        return self._done(least)

    def lost(self, probability: float = 1.0, segment: str | None = None, count: int = 1) -> bool:
        """Take in that an audit was drawn and never answered, in its turn; returns `revoked`. `count`: so many, one right after the other.
        Raises ValueError for a probability as `observe` does."""
        least = self._least(probability)
        if not self._in_a_row:
            self._strict.bet(1.0, least / probability, segment)
        self._in_a_row = True
        self.never_answered += count
        return self._done(least)

    def _done(self, least: float) -> bool:
        self.least_probability = least
        self.most = max(self.most, self.evidence)
        return self.revoked

    def _least(self, probability: float) -> float:
        """The least that an audit with this probability is weighed by. Raises ValueError for one that cannot be."""
        if not 0 < probability <= 1:
            raise ValueError(f"the probability of an audit is over 0 and at most 1, not {probability}")
        least = self.least_probability
        if least is None or (not self.declared and self.audits + self.never_answered == 0):
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
        """The state, JSON-ready: `from_json` goes on from it as if nothing had happened. An older smidgen reads the answered audits."""
        return {
            "version": STATE_VERSION,
            "alpha": self.alpha,
            "delta": self.delta,
            "least_probability": self.least_probability,
            "declared": self.declared,
            **self._heard.json(),
            "most": self.most,
            "lost": {"audits": self.never_answered, "in_a_row": self._in_a_row, "bets": self._strict.json()},
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any], segments: Sequence[str] = ()) -> SequentialAudit:
        """The test whose state was written, of a claim that is made of these segments. Where the state is of others, or of none, or knows
        of no lost audits, as those of an older smidgen are, the evidence so far stays what it is, and is shared out anew.

        Raises ValueError for what is no such state: go on as if it had been revoked."""
        try:
            if state["version"] != STATE_VERSION:
                raise ValueError(f"the state is of version {state['version']}, and {STATE_VERSION} is known")
            audit = cls(float(state["alpha"]), float(state["delta"]))
            if state["least_probability"] is not None:
                audit.declare(float(state["least_probability"]))
            audit.declared = bool(state.get("declared", False))  # one from before this could be said: of one probability
            audit.most = float(state["most"])
            audit._heard = _Bets.from_json(state, audit.alpha)
            if "lost" in state:
                told = state["lost"]
                audit.never_answered, audit._in_a_row = int(told["audits"]), bool(told["in_a_row"])
                audit._strict = _Bets.from_json(told["bets"], _with_lost(audit.alpha))
            else:
                audit._strict = _Bets(_with_lost(audit.alpha), _STRICT * audit._heard.evidence, audit.segments)
                audit._heard.scaled(1 - _STRICT)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"this is not the state of an audit ({error})") from error
        fine = audit.least_probability is not None or not (audit.declared or audit.audits)
        if not (fine and 1 <= audit.most < math.inf and audit.never_answered >= 0):
            raise ValueError("this is not the state of an audit (its numbers cannot be)")
        for bets in (audit._heard, audit._strict):
            bets.share_out(tuple(sorted(set(segments))))
        return audit


def _with_lost(alpha: float) -> float:
    """The mean that counts lost audits as wrong, where the risk is alpha and as many are lost at random as may be."""
    return alpha + _LOST * alpha * (1 - alpha)


def _waiting(audits: int) -> float:
    """The money that is not yet at stake after so many audits; all of it at the start."""
    return 1.0 if audits == 0 else (1 - _AT_ONCE) * (_SCALE / (_SCALE + audits)) ** _SHAPE
