"""Histograms of times: what is told of them is as near as it says, also when they were added."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from smidgen.store.usage_records import LONGEST_WAIT, SHORTEST_WAIT, WAIT_ERROR, wait_bucket, wait_quantile

TIMES = some.lists(some.floats(SHORTEST_WAIT, LONGEST_WAIT), min_size=1, max_size=200)


@given(TIMES, some.sampled_from([0.01, 0.25, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_as_near_as_it_says(times: list[float], share: float) -> None:
    true = float(np.quantile(times, share, method="inverted_cdf"))
    told = wait_quantile(Counter(map(wait_bucket, times)), share)
    assert told is not None and abs(told / true - 1) <= WAIT_ERROR * (1 + 1e-9)
    assert pytest.approx(0.0443, abs=1e-4) == WAIT_ERROR


@given(TIMES, TIMES)
def test_counts_that_are_added_are_those_of_all_together(one: list[float], other: list[float]) -> None:
    assert Counter(map(wait_bucket, one)) + Counter(map(wait_bucket, other)) == Counter(map(wait_bucket, [*one, *other]))


@given(some.floats(0, 1e6), some.floats(0, 1e6))
def test_a_longer_time_is_in_no_earlier_bucket(one: float, other: float) -> None:
    assert (wait_bucket(one) <= wait_bucket(other)) == (one <= other) or wait_bucket(one) == wait_bucket(other)


def test_the_ends_are_bounded() -> None:
    assert wait_quantile({}, 0.5) is None
    assert wait_bucket(0.0) == wait_bucket(SHORTEST_WAIT) == 0 and wait_quantile({0: 3}, 0.5) == SHORTEST_WAIT
    assert wait_bucket(1e9) == wait_bucket(LONGEST_WAIT) == 209
    assert len({wait_bucket(seconds) for seconds in np.geomspace(SHORTEST_WAIT, LONGEST_WAIT, 10_000)}) == 210
