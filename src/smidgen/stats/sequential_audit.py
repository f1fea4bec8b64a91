"""Watch a claimed risk in use: a gambler bets against it, audit by audit. Enough winnings revoke it.

The claim: each answered request disagrees with its reference with a mean loss of at most `alpha`, given all that came before. While it
holds, no betting gains money on average. So the chance that the gambler ever holds 1/delta times the start is at most delta, however often
and for however long one looks (Ville 1939; Ramdas et al. 2023). The traffic need be neither independent nor stationary.

The bets. On an audited loss L, sampled with probability p, the part of the money that bets with strength g is multiplied by

    1 + (g / alpha) · (least / p) · (L - alpha)

The weight `least / p` corrects for audits with different probabilities:

    E[audited · (L - alpha) / p] = risk - alpha

A request that is not audited leaves the money unchanged. For this, `least` must be known before a request is seen: if each request had its
own, every weight would be 1, and the test would be about the sample's risk. Because g is at most 1/2 and the weight at most 1, no audit
takes more than half of the money, and there is never a debt.

The strengths g range from 1/64 to 1/2. Strength g grows fastest if the risk is alpha + (1 - alpha)·g (Kelly 1956). The time at which the
risk rises is unknown. So a fifth of the money is at stake from the first audit on, and the rest enters gradually, as if that time were
drawn from a Pareto distribution (a mixture over the moment of the change; Shiryaev 1963; Shin, Ramdas and Rinaldo 2022). Money that enters
late was not lost during the good times, so a rise after thousands of good answers is detected nearly as fast as one on the first day. The
mixture has a closed recursion: a handful of numbers, and a handful of multiplications per audit.

Segments. If the claim is about each of several segments, a bad one may hide among good ones, because a gambler on all audits sees only the
mean. So half of the start goes to that gambler, and the other half is split evenly among gamblers who each bet on one segment's audits.
While the claim holds for every segment, none of them gains money on average, so neither does their sum, which is tested like one gambler's
money. Smaller shares pay for the multiple tests.

Lost audits. Some audits are drawn and never answered. If the loss is independent of the answer, the other audits suffice. If not, they say
too little, because the lost ones may be the wrong ones. So a second test counts each lost audit as wrong, and bets against a mean of at
most alpha + alpha · (1 - alpha) / 5. This is the mean when the risk is alpha and a fifth of alpha of the audits is lost at random. A lost
audit is no proof of a wrong answer, so this test does not revoke: at 1/delta the audits are `unanswered`, and the certificate is stale.
By Ville's inequality this happens with a chance of at most delta in both of these cases, whatever the number of looks:

- the risk is at most alpha, and at most a fifth of alpha of the audits is lost, at random;
- the risk is at most alpha with every lost audit counted as wrong.

Consecutive lost audits count as one: an upstream that is down loses a hundred for one reason. Not betting on the others is as good as not
having drawn them: in both cases above, the expected money does not grow.

Fresh audits end that state. A third gambler then bets that audits are answered: an audit multiplies a stake of strength h by

    1 + h · (least / p) · (alpha - lost)        lost: 1 for a lost audit, else 0

While at least alpha of the audits get lost, this is a supermartingale, too. So the state ends wrongly with a chance of at most delta each
time (a one-sided test of a mean by betting; Waudby-Smith and Ramdas 2024). At alpha = delta = 0.05 it takes some 80 answered audits in a
row. The second test then starts anew.

Clients. One client may send what no other sends. For each client with a loss, a copy of the tests goes on without that client's audits.
When a test reaches 1/delta, a client is suspended instead if it gave at most half of all audits, its mean loss is at least twice that of
all, and the copy without it is below 2. Its requests escalate from then on, and the copy takes the place of the test. A client with more
than half of the audits is the traffic, and is not left out. This takes nothing from the guarantee: revocation still needs the test of all
audits to reach 1/delta first, so its chance stays at most delta. The copies only delay it, and a breach for all clients
grows in every copy. `tools.certificate` measures both.

Versions. Each version of a line has a certificate and a test of its own, which knows nothing of the versions before. So a second test goes
on through all versions. The two share delta: each needs 2/delta (`shared_by`). While there is only one version both are the same test, and
1/delta is enough: half of the sum of both tests then has a start of 1, too, and reaches 1/delta whenever one of them reaches its bound, so
Ville's inequality holds for the two together.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_STRENGTHS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
_AT_ONCE = 0.2
_SCALE = 500.0  # scale of the Pareto distribution, in audits
_SHAPE = 0.5
_MOST = 1e200  # cap on money, far above any 1/delta: more would overflow
_POOLED = 0.5  # of the start, for the gambler on all audits
_STRICT = 0.25  # of the start, in states of an older smidgen, for gamblers who count lost audits as wrong
_LOST = 0.2  # of alpha: the share of audits that may get lost at random
_ANSWERED = (0.25, 0.5, 0.9)  # strengths of the bets that audits are answered; 1 would lose all on a lost one
_MOST_CLIENTS = 64  # clients that are left out one by one
_ODD = 2.0  # a client that stands out has at least this many times the mean loss of all
_OTHERS = 2.0  # evidence from which on the audits of all others speak against the claim, too
_MOST_COUNTED = 1024  # clients whose audits are counted
MOST_OF_ONE = 0.5
"""Share of the audits up to which a client can be left out."""
STATE_VERSION = 1


class _Gambler:
    """A gambler on a stream of audits, with a start of 1."""

    def __init__(self) -> None:
        self.audits, self.losses = 0, 0.0
        self.money = [0.0] * len(_STRENGTHS)

    @property
    def evidence(self) -> float:
        """The gambler's money."""
        return sum(self.money) / len(_STRENGTHS) + _waiting(self.audits)

    def bet(self, loss: float, change: float) -> None:
        """Bet on one audit. `change`: relative change of the stake by its loss, at strength 1."""
        new = _waiting(self.audits) - _waiting(self.audits + 1)
        self.money = [min(_MOST, (held + new) * (1 + g * change)) for held, g in zip(self.money, _STRENGTHS, strict=True)]
        self.audits += 1
        self.losses += loss

    def json(self) -> dict[str, Any]:
        return {"audits": self.audits, "losses": self.losses, "money": list(self.money)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> _Gambler:
        """Restore a gambler. Raises ValueError, KeyError, TypeError or OverflowError for an invalid state."""
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
        all: the gambler on all audits.
        segments: names of the segments that the claim is about; empty if it is about all together.
        of: the gamblers on single segments that had audits.
        share, each: the start of `all`, and of each other gambler.
    """

    def __init__(self, alpha: float, start: float, segments: tuple[str, ...]) -> None:
        self.alpha, self.segments = alpha, segments
        self.all, self.of = _Gambler(), dict[str, _Gambler]()
        self.share, self.each = (start * _POOLED, start * (1 - _POOLED) / len(segments)) if segments else (start, 0.0)

    @property
    def evidence(self) -> float:
        """The gamblers' money."""
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
        """Multiply their money by a factor."""
        self.share, self.each = self.share * factor, self.each * factor

    def share_out(self, segments: tuple[str, ...]) -> None:
        """Redistribute the money to gamblers on these segments. The total evidence stays the same."""
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
        """Restore the gamblers. Raises ValueError, KeyError, TypeError, AttributeError or OverflowError for an invalid state."""
        told: Mapping[str, Any] = state.get("segments", {})
        made = cls(alpha, 1.0, tuple(sorted(told)))
        made.all = _Gambler.from_json(state)
        made.of = {name: _Gambler.from_json(facts) for name, facts in told.items() if facts is not None}
        made.share, made.each = float(state.get("share", made.share)), float(state.get("each", made.each))
        if not (0 < made.share <= _MOST and 0 <= made.each <= _MOST):
            raise ValueError("this is not the state of an audit (its numbers cannot be)")
        return made


class _Tests:
    """The two tests on one stream of audits: of the answered ones, and of all with the lost ones counted as wrong.

    Attributes:
        heard, strict: their gamblers.
        most, most_strict: their largest evidence so far.
    """

    def __init__(self, alpha: float, segments: tuple[str, ...]) -> None:
        self.heard, self.strict = _Bets(alpha, 1.0, segments), _Bets(_with_lost(alpha), 1.0, segments)
        self.most = self.most_strict = 1.0

    def bet(self, loss: float | None, weight: float, segment: str | None) -> None:
        """Bet on one audit; None for a lost one."""
        if loss is not None:
            self.heard.bet(loss, weight, segment)
        self.strict.bet(1.0 if loss is None else loss, weight, segment)
        self.most, self.most_strict = max(self.most, self.heard.evidence), max(self.most_strict, self.strict.evidence)

    def renew_strict(self) -> None:
        """Start the test of lost audits anew."""
        self.strict, self.most_strict = _Bets(self.strict.alpha, 1.0, self.strict.segments), 1.0

    def json(self) -> dict[str, Any]:
        return {
            "heard": self.heard.json(),
            "strict": self.strict.json(),
            "most": self.most,
            "most_strict": self.most_strict,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any], alpha: float) -> _Tests:
        """Restore the tests. Raises ValueError, KeyError, TypeError, AttributeError or OverflowError for an invalid state."""
        made = cls(alpha, ())
        made.heard = _Bets.from_json(state["heard"], alpha)
        made.strict = _Bets.from_json(state["strict"], _with_lost(alpha))
        made.most, made.most_strict = float(state["most"]), float(state["most_strict"])
        if not (1 <= made.most < math.inf and 1 <= made.most_strict < math.inf):
            raise ValueError("this is not the state of an audit (its numbers cannot be)")
        return made


class SequentialAudit:
    """The sequential test of one certificate. Not thread-safe.

    Attributes:
        alpha: the claimed risk.
        delta: largest chance of a false alarm, ever.
        least_probability: no request is audited with a smaller one. If it was not declared, all are audited with the same one, which the
            first audit sets; None before that.
        declared: whether it was declared.
        shared_by: number of tests that share delta; this one revokes at so many times 1/delta.
        never_answered: number of lost audits.
        suspended: clients whose audits alone contradicted the claim. Their requests are to escalate.
    """

    def __init__(self, alpha: float, delta: float, least_probability: float | None = None, segments: Sequence[str] = ()) -> None:
        """Start a test. `segments`: names of the segments that the claim is about, each separately; empty if it is about all together.

        Raises ValueError unless `alpha` and `delta` lie between 0 and 1 and `least_probability` is over 0 and at most 1.
        """
        if not (0 < alpha < 1 and 0 < delta < 1):
            raise ValueError(f"alpha and delta lie between 0 and 1, not {alpha}, {delta}")
        self.alpha, self.delta = alpha, delta
        self.least_probability: float | None = None
        self.declared = False
        if least_probability is not None:
            self.declare(least_probability)
        self.shared_by = 1
        self.never_answered = 0
        self.suspended: tuple[str, ...] = ()
        self._tests = _Tests(alpha, tuple(sorted(set(segments))))
        self._without: dict[str, _Tests] = {}
        self._counts: dict[str, tuple[int, float]] = {}
        self._in_a_row = False
        self._fresh: list[float] = []

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the segments that the claim is about."""
        return self._tests.heard.segments

    @property
    def audits(self) -> int:
        """Number of answered audits."""
        return self._tests.heard.all.audits

    @property
    def losses(self) -> float:
        """Sum of their losses."""
        return self._tests.heard.all.losses

    @property
    def evidence(self) -> float:
        """The current e-value against the claim: the gamblers' money, from a start of 1."""
        return min(_MOST, self._tests.heard.evidence)

    @property
    def most(self) -> float:
        """The largest evidence so far."""
        return self._tests.most

    @property
    def unanswered(self) -> bool:
        """True if so many audits got lost that the others say too little. Fresh audits that are answered end this."""
        return bool(self._fresh)

    @property
    def needed(self) -> float:
        """The evidence that revokes."""
        return self.shared_by / self.delta

    @property
    def revoked(self) -> bool:
        """True if the evidence ever was enough. This is final."""
        return self.most >= self.needed

    def share(self, tests: int) -> None:
        """Let so many tests share delta from now on. Changes nothing after a revocation."""
        if not self.revoked:
            self.shared_by = tests

    @property
    def clients(self) -> dict[str, tuple[int, float]]:
        """Audits and losses of each client that is not suspended; a lost audit is a loss."""
        return dict(self._counts)

    @property
    def worst(self) -> tuple[str, int, float] | None:
        """The segment with the most evidence against the claim, its audits and the sum of their losses; None without audits of a
        segment."""
        of = self._tests.heard.of
        if not of:
            return None
        name = max(of, key=lambda name: of[name].evidence)
        return name, of[name].audits, of[name].losses

    def declare(self, least_probability: float) -> None:
        """Declare the least probability of an audit for requests drawn from now on. Raises ValueError unless it is over 0 and at most 1."""
        if not 0 < least_probability <= 1:
            raise ValueError(f"the least probability of an audit is over 0 and at most 1, not {least_probability}")
        self.least_probability, self.declared = least_probability, True

    def observe(self, loss: float, probability: float = 1.0, segment: str | None = None, client: str | None = None) -> bool:
        """Add one answered audit. Returns `revoked`.

        Args:
            loss: of the answer against the reference, 0..1.
            probability: probability with which this request was chosen for an audit, fixed before its loss was known.
            segment: the request's. If it is unknown, or the claim is not about it, the audit counts for the whole only.
            client: who sent the request; None if that is unknown.

        Raises ValueError for a loss outside of 0..1, and for a probability over 1, below the declared one or, if none was declared,
        different from that of earlier audits. The audit is then not added.
        """
        if not 0 <= loss <= 1:
            raise ValueError(f"a loss lies in 0..1, not {loss}")
        least = self._least(probability)
        self._in_a_row = False
        return self._take(loss, least, least / probability, segment, client)

    def lost(self, probability: float = 1.0, segment: str | None = None, count: int = 1, client: str | None = None) -> bool:
        """Add audits that were drawn and never answered, in their turn. Returns `revoked`. `count`: number of consecutive ones.

        Raises ValueError for a probability as `observe` does.
        """
        least = self._least(probability)
        self.never_answered += count
        if self._in_a_row:
            self.least_probability = least
            return self.revoked
        self._in_a_row = True
        return self._take(None, least, least / probability, segment, client)

    def _take(self, loss: float | None, least: float, weight: float, segment: str | None, client: str | None) -> bool:
        self.least_probability = least
        if client in self.suspended:
            return self.revoked
        final = self.revoked
        if client is not None:
            if client in self._counts or len(self._counts) < _MOST_COUNTED:
                audits, losses = self._counts.get(client, (0, 0.0))
                self._counts[client] = (audits + 1, losses + (1.0 if loss is None else loss))
            if loss != 0 and client not in self._without and len(self._without) < _MOST_CLIENTS:
                self._without[client] = copy.deepcopy(self._tests)
        for name, tests in self._without.items():
            if name != client:
                tests.bet(loss, weight, segment)
        self._tests.bet(loss, weight, segment)
        if self._fresh:
            self._hope(loss is None, weight)
        elif self.never_answered and self._tests.most_strict >= 1 / self.delta and self._alone(lambda tests: tests.strict.evidence) is None:
            self._fresh = [1.0] * len(_ANSWERED)
        if self.revoked and not final:
            self._alone(lambda tests: tests.heard.evidence)
        return self.revoked

    def _hope(self, lost: bool, weight: float) -> None:
        """Bet that audits are answered; enough winnings end the state in which too few are.

        A gambler keeps at least delta of the start, so that a long outage does not last for ever: the restarts of an e-detector (Shin,
        Ramdas and Rinaldo, "E-detectors", 2023).
        """
        bets = zip(self._fresh, _ANSWERED, strict=True)
        self._fresh = [max(self.delta, money * (1 + h * weight * (self.alpha - lost))) for money, h in bets]
        if sum(self._fresh) / len(_ANSWERED) >= 1 / self.delta:
            self._fresh = []
            for tests in (self._tests, *self._without.values()):
                tests.renew_strict()

    def _alone(self, evidence: Callable[[_Tests], float]) -> str | None:
        """Suspend the client from whose audits alone the evidence comes, and go on without them. Returns it; None if there is none."""
        total, wrong = (sum(column) for column in zip(*self._counts.values(), strict=True)) if self._counts else (0, 0.0)
        odd = [
            name
            for name in self._without
            if (found := self._counts.get(name)) is not None
            and found[0] <= MOST_OF_ONE * total
            and found[1] * total >= _ODD * wrong * found[0]
        ]
        name = min(odd, key=lambda known: evidence(self._without[known]), default=None)
        if name is None or evidence(self._without[name]) >= _OTHERS:
            return None
        self._tests = self._without.pop(name)
        self.suspended = (*self.suspended, name)
        del self._counts[name]
        self._without = {}  # they hold its losses; others are copied anew at their next loss
        return name

    def _least(self, probability: float) -> float:
        """Return the least probability that weighs an audit. Raises ValueError for an invalid probability."""
        if not 0 < probability <= 1:
            raise ValueError(f"the probability of an audit is over 0 and at most 1, not {probability}")
        least = self.least_probability
        if least is None or (not self.declared and self.audits + self.never_answered == 0):
            return probability
        if self.declared and probability < least:
            raise ValueError(
                f"the probability of an audit is {probability}, below the declared least, {least}. Declare the least that any "
                "request may have, before the requests are drawn."
            )
        if not self.declared and probability != least:
            raise ValueError(
                f"the probability of an audit is {probability}, but that of earlier audits was {least}. If it varies, declare the "
                "least that any request may have, before the requests are drawn."
            )
        return least

    def json(self) -> dict[str, Any]:
        """Return the state, JSON-ready, for `from_json`. An older smidgen can read the answered audits."""
        tests = self._tests
        return {
            "version": STATE_VERSION,
            "alpha": self.alpha,
            "delta": self.delta,
            "least_probability": self.least_probability,
            "declared": self.declared,
            "shared_by": self.shared_by,
            **tests.heard.json(),
            "most": self.most,
            "lost": {
                "audits": self.never_answered,
                "in_a_row": self._in_a_row,
                "bets": tests.strict.json(),
                "most": tests.most_strict,
                "fresh": self._fresh,
            },
            "clients": {
                "audits": {name: list(counts) for name, counts in self._counts.items()},
                "suspended": list(self.suspended),
                "without": {name: tests.json() for name, tests in self._without.items()},
            },
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any], segments: Sequence[str] = ()) -> SequentialAudit:
        """Restore a test of a claim about these segments.

        If the state has other segments, or none, or has no lost audits because an older smidgen wrote it, the evidence stays and is
        redistributed.

        Raises ValueError for an invalid state: treat the certificate as revoked.
        """
        try:
            if state["version"] != STATE_VERSION:
                raise ValueError(f"the state is of version {state['version']}, and {STATE_VERSION} is known")
            audit = cls(float(state["alpha"]), float(state["delta"]))
            if state["least_probability"] is not None:
                audit.declare(float(state["least_probability"]))
            audit.declared = bool(state.get("declared", False))  # states of an older smidgen have one probability
            audit.shared_by = int(state.get("shared_by", 1))
            audit._tests = tests = _Tests(audit.alpha, ())
            tests.heard, tests.most = _Bets.from_json(state, audit.alpha), float(state["most"])
            audit._restore_lost(state.get("lost"))
            audit._restore_clients(state.get("clients", {}))
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"this is not the state of an audit ({error})") from error
        fine = audit.least_probability is not None or not (audit.declared or audit.audits)
        fine = fine and audit.shared_by >= 1
        if not (fine and 1 <= tests.most < math.inf and 1 <= tests.most_strict < math.inf and audit.never_answered >= 0):
            raise ValueError("this is not the state of an audit (its numbers cannot be)")
        for one in (tests, *audit._without.values()):
            for bets in (one.heard, one.strict):
                bets.share_out(tuple(sorted(set(segments))))
        return audit

    def _restore_lost(self, told: Mapping[str, Any] | None) -> None:
        """Restore what the lost audits came to."""
        tests = self._tests
        if told is None:  # a state from before lost audits counted
            tests.strict = _Bets(_with_lost(self.alpha), tests.heard.evidence, tests.heard.segments)
            return
        self.never_answered, self._in_a_row = int(told["audits"]), bool(told["in_a_row"])
        tests.strict = _Bets.from_json(told["bets"], _with_lost(self.alpha))
        if "most" not in told:  # both tests shared one start, and were one sum
            tests.heard.scaled(1 / (1 - _STRICT))
            tests.strict.scaled(1 / _STRICT)
            return
        tests.most_strict, self._fresh = float(told["most"]), [float(money) for money in told["fresh"]]
        if len(self._fresh) not in (0, len(_ANSWERED)) or not all(0 <= money <= _MOST for money in self._fresh):
            raise ValueError("this is not the state of an audit (its numbers cannot be)")

    def _restore_clients(self, told: Mapping[str, Any]) -> None:
        """Restore what is known of single clients; an older smidgen wrote nothing of them."""
        self._counts = {str(name): (int(one[0]), float(one[1])) for name, one in told.get("audits", {}).items()}
        self.suspended = tuple(str(name) for name in told.get("suspended", ()))
        self._without = {str(name): _Tests.from_json(facts, self.alpha) for name, facts in told.get("without", {}).items()}
        if any(not 0 <= losses <= audits for audits, losses in self._counts.values()):
            raise ValueError("this is not the state of an audit (its numbers cannot be)")


def _with_lost(alpha: float) -> float:
    """Return the mean that counts lost audits as wrong if the risk is alpha and the largest allowed share is lost at random."""
    return alpha + _LOST * alpha * (1 - alpha)


def _waiting(audits: int) -> float:
    """Return the money not yet at stake after this many audits; all of it at the start."""
    return 1.0 if audits == 0 else (1 - _AT_ONCE) * (_SCALE / (_SCALE + audits)) ** _SHAPE
