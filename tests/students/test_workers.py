"""The threads that teaching computes on."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("torch")

from smidgen.students.processor import Workers, shares


@pytest.fixture
def cores() -> set[int]:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system does not tell which cores a thread may use")
    return os.sched_getaffinity(0)


def _where(workers: Workers) -> list[set[int]]:
    try:
        return workers.map(lambda number: os.sched_getaffinity(0))
    finally:
        workers.close()


def test_with_a_worker_for_every_core_each_keeps_to_its_own(cores: set[int]) -> None:
    assert _where(Workers(len(cores))) == [{core} for core in sorted(cores)]


def test_with_fewer_workers_than_cores_none_is_bound_to_the_first_ones(cores: set[int]) -> None:
    if len(cores) < 2:
        pytest.skip("one core alone")
    assert _where(Workers(len(cores) - 1)) == [cores] * (len(cores) - 1)


def test_results_come_in_the_order_of_the_workers() -> None:
    workers = Workers(3)
    try:
        assert workers.map(lambda number: number * number) == [0, 1, 4]
    finally:
        workers.close()


@pytest.mark.parametrize(("size", "count"), [(1000, 3), (64, 2), (10, 4)])
def test_shares_are_all_of_it_once(size: int, count: int) -> None:
    found = shares(size, count)
    assert len(found) == count
    assert [place for low, high in found for place in range(low, high)] == list(range(size))
