"""Planners that search some seconds of one core, instance by instance, and how far they stay behind listed values."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bench import results
from bench.context import Context

_QUICK, _QUICK_SECONDS, _SECONDS = 2, 1.0, 10.0
_Instance = TypeVar("_Instance")


def seconds(context: Context) -> float:
    """Seconds of processor time that a planner searches."""
    return _QUICK_SECONDS if context.quick else _SECONDS


def some(context: Context, instances: Sequence[_Instance]) -> Sequence[_Instance]:
    """The instances to measure: all, or two in a quick run."""
    return instances[: _QUICK if context.quick else None]


def facts(context: Context) -> dict[str, str]:
    """Facts of a run, for its section in the results."""
    return {"load before": results.load_average(), "seeds": str(context.seeds[0])}


def in_turn(
    context: Context,
    instances: Mapping[str, _Instance],
    measure: Callable[[_Instance, float, int], dict[str, Any]],
    publish: Callable[[Sequence[dict[str, Any]]], None],
) -> None:
    """Measure each instance, by its key, with seconds and seed; publish what is there after each one."""
    found: list[dict[str, Any]] = []
    settings = {"seconds": seconds(context), "seed": context.seeds[0]}
    for key, one in instances.items():
        found.append(context.measured(key, settings, lambda one=one: measure(one, settings["seconds"], settings["seed"]), peer=False))  # type: ignore[misc]
        publish(found)


def behind(gaps: Sequence[float]) -> list[str]:
    """Gaps as cells of a table: the mean, its interval, the worst."""
    low, high = interval(gaps)
    return [f"{statistics.mean(gaps):.2%}", f"{low:.2%} to {high:.2%}", f"{max(gaps):.2%}"]


def interval(values: Sequence[float], rounds: int = 2000) -> tuple[float, float]:
    """The 95 % interval of a mean, by bootstrap."""
    rng = random.Random(0)
    means = sorted(statistics.mean(rng.choices(values, k=len(values))) for _ in range(rounds))
    return means[round(0.025 * rounds)], means[round(0.975 * rounds) - 1]
