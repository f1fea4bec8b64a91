"""Which number format students are trained with, and how workers share the cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from smidgen.machine.processor import processor
from smidgen.students import processor as processor_module
from smidgen.students.processor import Workers, shares


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    processor_module.best_dtype.cache_clear()
    yield
    processor_module.best_dtype.cache_clear()


def test_bf16_is_taken_only_where_it_is_faster() -> None:
    assert processor_module.faster_dtype(1.0, 4.5) is torch.bfloat16
    assert processor_module.faster_dtype(1.0, processor_module.GAIN) is torch.bfloat16
    assert processor_module.faster_dtype(1.0, 1.05) is torch.float32, "so little is not worth the coarser numbers"
    assert processor_module.faster_dtype(1.8, 1.0) is torch.float32, "instructions that are there, and slow"


def test_it_is_tried_where_the_processor_has_it_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[torch.dtype, ...]] = []

    def seconds(*dtypes: torch.dtype) -> list[float]:
        tried.append(dtypes)
        return [2.0, 1.0]

    monkeypatch.setattr(processor_module, "product_seconds", seconds)
    monkeypatch.setattr(processor_module, "processor", lambda: replace(processor(), bf16=False))
    assert processor_module.best_dtype() is torch.float32 and tried == []
    processor_module.best_dtype.cache_clear()
    monkeypatch.setattr(processor_module, "processor", lambda: replace(processor(), bf16=True))
    assert processor_module.best_dtype() is torch.float32 and tried == [(torch.bfloat16, torch.float32)]
    assert processor_module.best_dtype() is torch.float32 and len(tried) == 1, "once in a process"
    processor_module.best_dtype.cache_clear()
    monkeypatch.setattr(processor_module, "product_seconds", lambda *dtypes: [1.0, 2.0])
    assert processor_module.best_dtype() is torch.bfloat16


def test_products_are_timed_in_each() -> None:
    seconds = processor_module.product_seconds(torch.bfloat16, torch.float32)
    assert len(seconds) == 2 and all(0 < value < 10 for value in seconds)


pytest.importorskip("torch")


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
