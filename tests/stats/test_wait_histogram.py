"""Histograms of times: what is told of them is as near as it says, also when they were added."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from smidgen.stats.wait_histogram import ERROR, FIRST, LAST, bucket, quantile

TIMES = some.lists(some.floats(FIRST, LAST), min_size=1, max_size=200)


@given(TIMES, some.sampled_from([0.01, 0.25, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_as_near_as_it_says(times: list[float], share: float) -> None:
    true = float(np.quantile(times, share, method="inverted_cdf"))
    told = quantile(Counter(map(bucket, times)), share)
    assert told is not None and abs(told / true - 1) <= ERROR * (1 + 1e-9)
    assert pytest.approx(0.0443, abs=1e-4) == ERROR


@given(TIMES, TIMES)
def test_counts_that_are_added_are_those_of_all_together(one: list[float], other: list[float]) -> None:
    assert Counter(map(bucket, one)) + Counter(map(bucket, other)) == Counter(map(bucket, [*one, *other]))


@given(some.floats(0, 1e6), some.floats(0, 1e6))
def test_a_longer_time_is_in_no_earlier_bucket(one: float, other: float) -> None:
    assert (bucket(one) <= bucket(other)) == (one <= other) or bucket(one) == bucket(other)


def test_the_ends_are_bounded() -> None:
    assert quantile({}, 0.5) is None
    assert bucket(0.0) == bucket(FIRST) == 0 and quantile({0: 3}, 0.5) == FIRST
    assert bucket(1e9) == bucket(LAST) == 209
    assert len({bucket(seconds) for seconds in np.geomspace(FIRST, LAST, 10_000)}) == 210
