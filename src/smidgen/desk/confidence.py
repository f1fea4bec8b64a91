"""How sure a desk is of a reply: a logistic curve over a few signs, for each kind of reply, fitted on conversations with wanted outcomes.

A member's score alone says how well it did its own work. Whether the reply is what the customer wanted shows in several signs together:
the score, whether the intent agrees, how much of the question the quotation meets. Few conversations move the curves little from where
they begin. Replies under the threshold are not given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.conversations import DeskReply
from smidgen.desk.reply_json import reply_output
from smidgen.desk.wanted import call_fits, fits

Floats = NDArray[np.float64]
Signs = Mapping[str, float]
"""What speaks for a reply, by the names in `KINDS`."""

KINDS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "answer": {"alone": (0.35, 0.5), "with_earlier": (0.2, 0.5), "agreement": (2.0, 1.5), "coverage": (2.0, 1.5), "": (-1.5, 3.0)},
    "act": {"member": (0.8, 0.5), "planned": (2.0, 1.0), "found": (1.5, 1.0), "": (-1.5, 2.0)},
    "recommend": {"intent": (1.0, 0.5), "": (0.0, 1.5)},
}
"""The signs of each kind of reply, by the member that makes it: where each weight begins, and how far the data may easily move it. The sign
without a name is always 1."""
LEAST_REPLIES = 30
"""Quotations in the conversations from which the curves are fitted."""
_FOLDS = 10
_LARGEST = 50.0
_NEVER = 1.01
_SHOWN = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class SureReply:
    """A reply as it is judged: its kind, its signs, whether it is right, and the conversation that it stands in."""

    kind: str
    signs: Signs
    right: bool
    conversation: int


@dataclass(frozen=True, slots=True)
class DeskConfidence:
    """The curve of each kind of reply, and one threshold for all.

    Attributes:
        weights: of each kind, the weight of each sign.
        threshold: the probability from which a reply is given; over 1 if none may be.
    """

    weights: Mapping[str, Mapping[str, float]]
    threshold: float = 0.0

    def chance(self, kind: str, signs: Signs) -> float:
        """The probability that a reply is right."""
        weights = self.weights[kind]
        sum_of = sum(weight * (signs[name] if name else 1.0) for name, weight in weights.items())
        return 1 / (1 + math.exp(-max(-_LARGEST, min(_LARGEST, sum_of))))

    def json(self) -> dict[str, Any]:
        """As JSON."""
        return {"weights": {kind: dict(weights) for kind, weights in self.weights.items()}, "threshold": self.threshold}


STARTING = DeskConfidence({kind: {name: start for name, (start, _) in signs.items()} for kind, signs in KINDS.items()})
"""The curves before any conversation."""


def read_confidence(given: Any) -> DeskConfidence:
    """A confidence from JSON that may come from anyone. Raises ValueError, a clause, for anything else."""
    weights = given.get("weights") if isinstance(given, Mapping) else None
    if not isinstance(weights, Mapping) or weights.keys() != KINDS.keys():
        raise ValueError("it names other kinds of replies")
    for kind, signs in KINDS.items():
        if (
            not isinstance(weights[kind], Mapping)
            or weights[kind].keys() != signs.keys()
            or not all(map(_is_weight, weights[kind].values()))
        ):
            raise ValueError(f"the weights of {kind!r} are invalid")
    if not _is_weight(given.get("threshold")):
        raise ValueError("the threshold is no number")
    return DeskConfidence({kind: {name: float(one) for name, one in weights[kind].items()} for kind in KINDS}, float(given["threshold"]))


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def together(first: float, second: float) -> float:
    """The probability that one of two quotations is right, each right with its own probability."""
    return 1 - (1 - first) * (1 - second)


def sure_reply(reply: DeskReply, wanted: Mapping[str, Any], conversation: int) -> SureReply:
    """A reply as it is judged, beside what is wanted. Of a call counts whether it is the wanted one, not its result."""
    judged = reply.facts["judged"]
    output = reply_output(reply)
    wants_call = judged["kind"] == "act" and "tool" in wanted
    right = call_fits(output, wanted) if wants_call else fits(output, wanted)
    return SureReply(str(judged["kind"]), dict(judged["signs"]), right, conversation)


Steps = Sequence[Sequence[SureReply]]
"""The replies that a message could get: of each step of the policy, in order, the replies among which the surest is given."""


def fit_confidence(messages: Sequence[Steps], most_wrong: float) -> tuple[DeskConfidence, dict[str, Any]]:
    """Curves and a threshold from conversations, and how they did on conversations that they were not fitted on.

    Args:
        messages: for each message what it could get; empty for one that gets no judged reply.
        most_wrong: the share of messages that may get a wrong reply.

    Chances come from curves fitted without the message's conversation. Of the thresholds from which on few enough messages get a wrong
    reply, that with most right ones is taken. The facts: `messages`, `most_wrong`, `given` and `wrong` at the threshold, and `steps`, the
    same at several thresholds.
    """
    weights = _weights([one for steps in messages for replies in steps for one in replies])
    judged = _judged_apart(messages)
    threshold = _threshold(judged, most_wrong * len(messages))
    facts: dict[str, Any] = {
        "messages": len(messages),
        "most_wrong": most_wrong,
        "threshold": threshold,
        **_at(judged, len(messages), threshold),
    }
    facts["steps"] = [{"threshold": step, **_at(judged, len(messages), step)} for step in _SHOWN]
    return DeskConfidence(weights, threshold), facts


def _judged_apart(messages: Sequence[Steps]) -> list[list[tuple[float, bool]]]:
    """For each message and step: the chance of its surest reply, by curves fitted on other conversations, and whether that is right. After
    a quotation the two surest of them, of which one has to be right."""
    full = [steps for steps in messages if steps]
    numbers = sorted({steps[0][0].conversation for steps in full})
    fold_of = {number: place % _FOLDS for place, number in enumerate(numbers)}
    judged = []
    for fold in range(min(_FOLDS, len(numbers))):
        others = [one for steps in full for replies in steps for one in replies if fold_of[one.conversation] != fold]
        curves = DeskConfidence(_weights(others))
        for steps in full:
            if fold_of[steps[0][0].conversation] == fold:
                judged.append([pair for replies in steps for pair in _surest(curves, replies)])
    return judged


def _surest(curves: DeskConfidence, replies: Sequence[SureReply]) -> list[tuple[float, bool]]:
    """The replies of one step that may be given, in order: the surest, and the two surest quotations."""
    (chance, best), *others = sorted(((curves.chance(one.kind, one.signs), one) for one in replies), key=lambda pair: -pair[0])
    second = [(together(chance, less), best.right or one.right) for less, one in others[:1] if best.kind == "answer"]
    return [(chance, best.right), *second]


def _given(judged: Sequence[Sequence[tuple[float, bool]]], threshold: float) -> list[bool]:
    """Whether each reply is right that is given at a threshold: of each message that of the first step that is sure enough."""
    firsts = (next((right for chance, right in steps if chance >= threshold), None) for steps in judged)
    return [right for right in firsts if right is not None]


def _at(judged: Sequence[Sequence[tuple[float, bool]]], total: int, threshold: float) -> dict[str, float]:
    given = _given(judged, threshold)
    return {"given": round(len(given) / max(1, total), 4), "wrong": round(sum(not right for right in given) / max(1, total), 4)}


def _threshold(judged: Sequence[Sequence[tuple[float, bool]]], most: float) -> float:
    """The threshold with most right replies among those from which on at most so many are wrong; over 1 if none gives a right one."""
    best, rights = _NEVER, 0
    for threshold in sorted({round(chance, 4) for steps in judged for chance, _ in steps}, reverse=True):
        given = _given(judged, threshold)
        if len(given) - sum(given) > most:
            break
        if sum(given) > rights:
            best, rights = threshold, sum(given)
    return best


def _weights(replies: Sequence[SureReply]) -> dict[str, dict[str, float]]:
    """The most likely weights of each kind, given where they begin."""
    found = {}
    for kind, signs in KINDS.items():
        own = [one for one in replies if one.kind == kind]
        rows = np.array([[one.signs[name] if name else 1.0 for name in signs] for one in own], dtype=np.float64).reshape(
            len(own), len(signs)
        )
        right = np.array([one.right for one in own], dtype=np.float64)
        start, spread = (np.array(values, dtype=np.float64) for values in zip(*signs.values(), strict=True))
        found[kind] = dict(zip(signs, (round(float(one), 5) for one in _most_likely(rows, right, start, spread)), strict=True))
    return found


def _most_likely(rows: Floats, right: Floats, start: Floats, spread: Floats) -> Floats:
    """(k,) weights of a logistic curve by Newton's method, with a normal prior of each weight."""
    pull = 1 / spread**2
    weights = start.copy()
    for _ in range(100):
        chances = 0.5 * (1 + np.tanh(0.5 * (rows @ weights)))
        slopes = rows.T @ (chances - right) + pull * (weights - start)
        bend = (rows * (chances * (1 - chances))[:, None]).T @ rows + np.diag(pull)
        step = np.linalg.solve(bend, slopes)
        weights = weights - step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-8:
            break
    return np.clip(weights, -_LARGEST, _LARGEST)
