"""The plan of the demo: its settings, and the order of its messages."""

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
"""The intents that the line is about, some of the sample's 41. The sample has about 60 distinct messages of each, which is too few to
certify much about all 41."""
MOST_OF_ONE = 62
"""Most messages of one intent. The sample has five times as many out of scope."""


@dataclass(frozen=True)
class DemoPlan:
    """Settings of a run.

    Attributes:
        intents: the labels whose messages are sent.
        own: examples of each label that the shop has sorted itself: the first version learns from them.
        learn_at: the numbers of requests after which it learns.
        requests: most requests; None for all messages.
        student: of the versions after the first.
        alpha, delta: of the certificates.
        held_out: share of the captured texts that compares and certifies.
        audit_share: share of the local answers that is audited against the recording.
        price_of: the model whose list price counts the savings.
        seed: of the order of the messages.
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
    """The shop's own examples with their right labels, and the messages to send, in their order. No text is in both, and none comes twice.

    Raises InputError where no message is left to send.
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
            "no message is left to send", value=f"{len(own)} own, {len(coming)} to send", todo="Plan fewer examples of its own."
        )
    return own, coming


def words_to_the_system(labels: Sequence[str]) -> str:
    """The system prompt with which a program asks a large model to sort a message."""
    return (
        f"You sort the messages that a homeware shop gets. Answer with one of these labels, and nothing else: {', '.join(sorted(labels))}."
    )
