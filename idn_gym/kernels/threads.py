"""The rows of a batch shared out over threads: compiled kernels hold no lock, so Python's threads do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from numba import config

_WORTH_SHARING = 2**17  # values in all rows; below, waking a thread costs more than it saves
_CHUNKS = 4  # per thread, so that a thread that is held up does not hold up the others


def over_rows(rows: int, width: int, work: Callable[[int, int], object]) -> None:
    """Call work(first, stop) until all rows are done, in this thread and, where it pays, in others.

    Parameters
    ----------
    rows : B; rows are independent, so that the result does not depend on how they are shared out.
    width : values per row.
    work : computes rows first:stop; must release Python's lock.
    """
    threads = min(config.NUMBA_NUM_THREADS, rows)
    if threads < 2 or rows * width < _WORTH_SHARING:
        work(0, rows)
        return
    chunk = max(1, rows // (threads * _CHUNKS))
    waiting = deque((first, min(first + chunk, rows)) for first in range(0, rows, chunk))

    def drain() -> None:
        while True:
            try:
                first, stop = waiting.popleft()
            except IndexError:
                return
            work(first, stop)

    others = [_pool().submit(drain) for _ in range(threads - 1)]
    drain()
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(config.NUMBA_NUM_THREADS - 1, thread_name_prefix="idn-gym")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
