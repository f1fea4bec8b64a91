"""Numpy's own thread pool gives way, and gets its threads back."""

from __future__ import annotations

import threading

import pytest

from smidgen.machine import processor


class Pool:
    """A BLAS library's controls."""

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads

    def set_num_threads(self, number: int) -> None:
        self.num_threads = number


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> tuple[Pool, Pool]:
    found = Pool(4), Pool(2)
    monkeypatch.setattr(processor, "_pools", lambda: found)
    return found


def test_one_thread_inside_and_all_of_them_after(pools: tuple[Pool, Pool]) -> None:
    with pytest.raises(ZeroDivisionError), processor.one_thread():
        with processor.one_thread():
            assert [pool.num_threads for pool in pools] == [1, 1]
        assert [pool.num_threads for pool in pools] == [1, 1]
        raise ZeroDivisionError
    assert [pool.num_threads for pool in pools] == [4, 2]


def test_the_last_of_several_threads_gives_them_back(pools: tuple[Pool, Pool]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with processor.one_thread():
            entered.set()
            assert leave.wait(10)

    thread = threading.Thread(target=other)
    with processor.one_thread():
        thread.start()
        assert entered.wait(10)
    assert [pool.num_threads for pool in pools] == [1, 1]
    leave.set()
    thread.join(10)
    assert [pool.num_threads for pool in pools] == [4, 2]


def test_the_real_library_is_found() -> None:
    import numpy as np

    if "openblas" not in str(np.show_config(mode="dicts")).lower():
        pytest.skip("numpy is built on another BLAS here")
    assert processor._pools()
    with processor.one_thread():
        assert [pool.num_threads for pool in processor._pools()] == [1] * len(processor._pools())
