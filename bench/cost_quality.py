"""The curve of quality over cost of a router, the area under it, and whether one area is larger than another.

A router gives each request a score, the larger the more it trusts the small model. Cost c is the share of requests that the large model
answers, those with the smallest scores; quality q(c) is the mean over all answers. Requests of one score are taken in random order, so
that between two scores the curve is its expectation: a straight line.

APGR, the average performance gap recovered (RouteLLM: Ong et al. 2024), is

    APGR = (area - q_small) / (q_large - q_small),  area = the integral of q(c) over c from 0 to 1.

A router that knows nothing has 0.5, one that always has the small model answer 0. The area is over every possible threshold here, where
RouteLLM's own evaluation takes ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Ranking:
    """Requests in the order in which they would be sent to the large model.

    Attributes:
        order: (n,) their places, the smallest score first.
        starts: (k,) where in that order each of the k different scores begins.
        gains: (n,) in that order, the quality of the large model's answer less that of the small one's.
        small: (n,) in the order as given, the quality of the small model's answers.
    """

    order: Any
    starts: Any
    gains: Any
    small: Any


def ranking(scores: Any, small: Any, large: Any) -> Ranking:
    """A router's scores with the qualities of both models' answers, (n,) each.

    Raises:
        ValueError: there are no requests, a score is not a number, or the lengths differ.
    """
    found, own, other = (np.asarray(values, dtype=np.float64) for values in (scores, small, large))
    if not len(found) or found.shape != own.shape or found.shape != other.shape:
        raise ValueError(f"scores and qualities must be vectors of one length, and not empty: {found.shape}, {own.shape}, {other.shape}")
    if np.isnan(found).any():
        raise ValueError(f"{int(np.isnan(found).sum())} of {len(found)} scores are not numbers")
    order = np.argsort(found, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(found[order]) > 0))
    return Ranking(order, starts, (other - own)[order], own)


def curve(ranked: Ranking) -> tuple[Any, Any]:
    """(k + 1,) costs from 0 to 1, and the qualities there."""
    n = len(ranked.order)
    costs = np.append(ranked.starts, n) / n
    qualities = ranked.small.mean() + np.append(0.0, np.cumsum(np.add.reduceat(ranked.gains, ranked.starts))) / n
    return costs, qualities


def areas(ranked: Ranking, weights: Any) -> Any:
    """(b,) areas under the curve, where request i counts weights[i, b] times: a bootstrap's draws, or a column of ones."""
    ordered = weights[ranked.order]  # one request a row: these are copied whole
    matters = np.flatnonzero(np.add.reduceat(np.abs(ranked.gains), ranked.starts))  # where all gains are 0, nothing is added
    counts, gains = ordered, ranked.gains[:, None].astype(ordered.dtype)
    if len(ranked.starts) < len(ordered):
        counts = np.add.reduceat(ordered, ranked.starts, axis=0)
        gained = np.add.reduceat(ordered * gains, ranked.starts, axis=0)[matters]
    else:
        gained = ordered[matters] * gains[matters]
    upto = np.cumsum(counts, axis=0)
    # What is gained at a cost between c and d counts from there on: over 1 - (c + d) / 2 of all costs.
    middles = (upto[matters] - counts[matters] / 2) / upto[-1]
    whole = (gained * (1 - middles)).sum(axis=0, dtype=np.float64) + ranked.small.astype(weights.dtype) @ weights
    return whole / upto[-1]


def area(ranked: Ranking) -> float:
    """The area under the curve: the mean quality over all costs."""
    return float(areas(ranked, np.ones((len(ranked.order), 1)))[0])


def recovered(ranked: Ranking) -> float:
    """APGR. NaN where the large model is no better than the small one, so that there is no gap."""
    gap = float(ranked.gains.mean())
    return (area(ranked) - float(ranked.small.mean())) / gap if gap > 0 else float("nan")


def cost_of(ranked: Ranking, quality: float) -> float:
    """The smallest cost at which the curve reaches a quality (RouteLLM's CPT is this for a share of the gap). NaN where it never does."""
    costs, qualities = curve(ranked)
    reached = np.flatnonzero(qualities >= quality - 1e-12)
    if not len(reached):
        return float("nan")
    at = int(reached[0])
    if at == 0:
        return 0.0
    share = (quality - qualities[at - 1]) / (qualities[at] - qualities[at - 1])
    return float(costs[at - 1] + min(1.0, share) * (costs[at] - costs[at - 1]))


def alone(ranked: Ranking, risk: float) -> float:
    """The largest share of requests, those with the largest scores, of which the small model's answers are wrong in at most this share."""
    n = len(ranked.order)
    wrong = np.cumsum((1 - ranked.small[ranked.order])[::-1])[::-1]  # from each place in the order on
    shares = (n - ranked.starts) / n
    good = wrong[ranked.starts] <= risk * (n - ranked.starts) + 1e-12
    return float(shares[good].max(initial=0.0))


def ideal(small: Any, large: Any) -> Ranking:
    """The router that knows both answers: what the large model gains first, what it loses last."""
    return ranking(np.asarray(small, dtype=np.float64) - np.asarray(large, dtype=np.float64), small, large)


def draws(seeds: int, requests: int, times: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """A bootstrap over seeds and requests: (seeds, times) and (requests, times) how often each was drawn.

    Seeds share their test requests, so that a request is drawn for all of them together.
    """
    first, second = (rng.multinomial(count, np.full(count, 1 / count), size=times) for count in (seeds, requests))
    return np.ascontiguousarray(first.T, dtype=np.float32), np.ascontiguousarray(second.T, dtype=np.float32)


def difference(first: Sequence[Any], second: Sequence[Any], drawn: Any) -> tuple[float, float]:
    """The 95 % interval of the mean difference of two routers' areas, paired by seed and request.

    Args:
        first, second: for each seed (times,) the areas of each draw of requests.
        drawn: (seeds, times) how often each seed was drawn.
    """
    change = np.stack(first) - np.stack(second)
    means = (change * drawn).sum(axis=0) / drawn.sum(axis=0)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
