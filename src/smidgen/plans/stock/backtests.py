"""Forecasts of many series: several processes at once, and none twice while a shop's plan is solved again."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, get_context
from typing import TypeAlias

from smidgen.machine.processor import one_thread, threads
from smidgen.plans.stock.models import Backtest, Values, backtest, need_statsforecast

SERIES_PER_HELPER = 16
"""Fewer series are not worth another process, which needs some seconds to start."""
_CACHE_SIZE = 1_000
"""Latest forecasts that are kept: some 20 kB each."""
_Key: TypeAlias = tuple[bytes, int, int]

_cache: OrderedDict[_Key, Backtest] = OrderedDict()
_lock = threading.Lock()


def backtests(series: Sequence[Values], horizon: int, period: int) -> list[Backtest]:
    """`backtest` of each series, whose numbers do not depend on how many processes there are. Raises MissingExtra without statsforecast."""
    keys = [(values.tobytes(), horizon, period) for values in series]
    with _lock:
        found = {key: _cache[key] for key in keys if key in _cache}
    missing = {key: values for key, values in zip(keys, series, strict=True) if key not in found}
    for key, made in zip(missing, _parallel_backtests(list(missing.values()), horizon, period), strict=True):
        found[key] = made
    with _lock:
        for key in keys:
            _cache[key] = found[key]
            _cache.move_to_end(key)
        while len(_cache) > _CACHE_SIZE:
            _cache.popitem(last=False)
    return [found[key] for key in keys]


def _parallel_backtests(series: Sequence[Values], horizon: int, period: int) -> list[Backtest]:
    need_statsforecast()
    helpers = 0 if current_process().daemon else min(threads() - 1, len(series) // SERIES_PER_HELPER)  # a daemon may start no process
    if helpers < 1:
        return [backtest(values, horizon, period) for values in series]
    found: dict[int, Backtest] = {}
    with _pool(helpers) as pool:
        waiting: list[Future[Backtest]] = []
        with contextlib.suppress(OSError, BrokenProcessPool):  # no process can be started now
            waiting += (pool.submit(_alone, values, horizon, period) for values in series)
        # This process works, too: it takes from the end what no helper has begun.
        for place in reversed(range(len(series))):
            if place >= len(waiting) or waiting[place].cancel():
                found[place] = _alone(series[place], horizon, period)
        for place, made in enumerate(waiting):
            if place not in found:
                with contextlib.suppress(BrokenProcessPool):
                    found[place] = made.result()
    # A helper that could not start, as in a script that does not guard its main part, leaves its series to this process.
    return [found[place] if place in found else _alone(values, horizon, period) for place, values in enumerate(series)]


@contextlib.contextmanager
def _pool(helpers: int) -> Iterator[ProcessPoolExecutor]:
    """Spawn processes, not fork them: the copy of a server with threads could hang."""
    pool = ProcessPoolExecutor(helpers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _alone(values: Values, horizon: int, period: int) -> Backtest:
    """Use one thread: as many processes as cores compute at once."""
    with one_thread():
        return backtest(values, horizon, period)
