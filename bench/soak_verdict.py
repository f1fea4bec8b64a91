"""What is wrong with how the soak's requests ended: every one must have been answered by the right model, or told why it was not."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from bench.soak_clients import ANSWERED, CUT, HANGS, Ended
from bench.soak_world import FIRST, Span, Version, World
from bench.upstream import answer_to

SETTLED = 8.0
"""Seconds after a change of the champion by which it answers: the pointer is looked at each second, then a bundle is loaded."""
ASKED_ANEW = 3.0
"""Seconds after the clock was set by which the gateway has seen it."""
_ROUNDING = 1e-6


def wrong(world: World, end: Ended) -> str:
    """Why an answer is not one that should have been given; empty for one that should."""
    if end.how != ANSWERED or end.kind == "feedback":
        return ""
    by = end.headers.get("x-smidgen-answered-by")
    if by == "upstream":
        return "" if end.content == answer_to(end.text) else "the upstream's answer is another"
    if by != "local":
        return f"answered by {by}"
    if not end.line or end.headers.get("x-smidgen-model") != end.line:
        return "a bundle answered that was not asked"
    version = next((one for one in world.versions[end.line] if one.id == end.bundle), None)
    if version is None:
        return "a bundle answered that is none of the line's"
    return _wrong_bundle(world, end, version) or _wrong_answer(world, end, version)


def _wrong_bundle(world: World, end: Ended, version: Version) -> str:
    if end.line != FIRST:
        return ""
    number = world.versions[FIRST].index(version)
    spans = [span for reign, span in world.reigns if reign == number]
    return "" if any(span.meets(end.began, end.ended, SETTLED) for span in spans) else "a champion answered that is none any more"


def _wrong_answer(world: World, end: Ended, version: Version) -> str:
    label, score = version.made.answers[end.text]
    if end.content != label:
        return "the bundle's answer is another"
    if "x-smidgen-uncertified" in end.headers:
        return "an answer that no certificate covers"
    if end.headers.get("x-smidgen-certificate") != version.certificate:
        return "under another certificate"
    said = float(end.headers.get("x-smidgen-score", "nan"))
    if not (abs(said - score) <= 10 * _ROUNDING and said >= version.made.threshold - _ROUNDING):
        return "under the certificate's threshold"
    if any(span.began + ASKED_ANEW <= end.began and end.ended <= span.ended for span in world.ended):
        return "under a certificate that had ended"
    return ""


def unexplained(ends: Sequence[Ended], down: Sequence[Span]) -> list[Ended]:
    """Requests that hung, and those that were cut while the gateway was up: neither answered nor told."""
    return [end for end in ends if end.how == HANGS or (end.how == CUT and not any(span.meets(end.began, end.ended, 1.0) for span in down))]


def lost(store: Path, stored: dict[str, str]) -> list[str]:
    """Of the feedback that was acknowledged, what is not in the store."""
    with contextlib.closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
        found = set(connection.execute("SELECT request_id, verdict FROM feedback"))
    return [request for request, verdict in stored.items() if (request, verdict) not in found]


def slope(samples: Sequence[tuple[float, float]], changes: Sequence[float] = ()) -> float | None:
    """Growth in MB a minute, by least squares, within stretches of samples that nothing parts; None where none is of a minute.

    `changes` part them: the moments of a change of champion, for a second version that is loaded is a step, and no slope. Of each stretch
    the first quarter, in which buffers fill, is left out.
    """
    product = spread = 0.0
    ends = [float("-inf"), *sorted(changes), float("inf")]
    for low, high in pairwise(ends):
        stretch = [(at, size) for at, size in samples if low <= at < high]
        kept = [(at, size) for at, size in stretch if at >= stretch[0][0] + (stretch[-1][0] - stretch[0][0]) / 4]
        if len(kept) < 2 or kept[-1][0] - kept[0][0] < 60:
            continue
        middle, mean = sum(at for at, _ in kept) / len(kept), sum(size for _, size in kept) / len(kept)
        spread += sum((at - middle) ** 2 for at, _ in kept)
        product += sum((at - middle) * (size - mean) for at, size in kept)
    return 60 * product / spread if spread else None
