"""The plan of the demo: its settings, and in what order its messages come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.cli.hybrid_demo.recorded_model import Recording
from smidgen.core.errors import InputError

INTENTS = (
    *("account/delete", "account/login", "account/loyalty_points", "account/newsletter"),
    *("contact/human", "damage/arrived_broken", "delivery/abroad", "delivery/late", "feedback/praise"),
    *("order/cancel", "order/gift_wrap", "order/invoice"),
    *("payment/discount_code", "payment/failed", "payment/gift_card", "payment/methods"),
    *("product/care", "product/material", "return/how_to", "shop/opening_hours", "out_of_scope"),
)
"""Which of the sample's 41 intents the line is about. The sample has about 60 messages of each, no two alike: of all 41 that is too few to
certify much."""
MOST_OF_ONE = 62
"""Messages of one intent that come: of those that belong nowhere the sample has five times as many."""


@dataclass(frozen=True)
class DemoPlan:
    """Settings of a run.

    Attributes:
        intents: the labels whose messages come.
        own: examples of each label that the shop has sorted itself: the first version learns from them.
        learn_at: after how many requests it learns.
        requests: most requests; None for all messages that there are.
        student: of the versions after the first.
        alpha, delta: of the certificates.
        held_out: share of the captured texts that compares and certifies.
        audit_share: of the local answers, those that the recording is asked, too.
        price_of: at whose list price savings are counted.
        seed: of the order in which messages come.
    """

    intents: tuple[str, ...] = INTENTS
    own: int = 16
    learn_at: tuple[int, ...] = (500, 800)
    requests: int | None = None
    student: str = "kernel"
    alpha: float = 0.20
    delta: float = 0.05
    held_out: float = 0.6
    audit_share: float = 0.05
    price_of: str = "gpt-6.1-terra"
    seed: int = 0


FAST = DemoPlan(learn_at=(800,))
"""One learning in place of two."""


def dealt(plan: DemoPlan, recording: Recording) -> tuple[list[tuple[str, str]], list[str]]:
    """The shop's own examples with their right labels, and the messages that come, in their order. No text is in both, none comes twice.

    Raises InputError where nothing is left to come.
    """
    rows = [(text, label) for text, label in recording.right.items() if label in plan.intents]
    random.Random(plan.seed).shuffle(rows)
    seen: Counter[str] = Counter()
    own, rest = [], []
    for text, label in rows:
        seen[label] += 1
        if seen[label] <= plan.own:
            own.append((text, label))
        elif seen[label] <= MOST_OF_ONE:
            rest.append(text)
    coming = rest[: plan.requests]
    if not own or not coming:
        raise InputError(
            "no message is left to come", value=f"{len(own)} own, {len(coming)} to come", todo="Plan fewer examples of its own."
        )
    return own, coming


def words_to_the_system(labels: Sequence[str]) -> str:
    """The system prompt by which a program has a large model sort a message."""
    return (
        f"You sort the messages that a homeware shop gets. Answer with one of these labels, and nothing else: {', '.join(sorted(labels))}."
    )
