"""The rows of a batch shared out over threads: compiled kernels hold no lock, so Python's threads do."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache

from numba import config

_WORTH_SHARING = 2**17  # values in all rows; below, waking a thread costs more than it saves
_CHUNKS = 4  # per thread, so that a thread that is held up does not hold up the others


class _Here(threading.local):
    at_work = False  # on rows of a batch that is shared out


_here = _Here()


def over_rows(rows: int, width: int, work: Callable[[int, int], object]) -> None:
    """Call work(first, stop) until all rows are done, in this thread and, where it pays, in others.

    A call from inside `work` does all of its rows where it is: were it to wait for other threads, which may be waiting
    just so, none would go on. An error ends all of them; it is passed on, that of the lowest rows if there are several,
    which is the one that it would be without threads.

    Parameters
    ----------
    rows : B; rows are independent, so that the result does not depend on how they are shared out.
    width : values per row.
    work : computes rows first:stop; must release Python's lock.
    """
    threads = min(config.NUMBA_NUM_THREADS, rows)
    if threads < 2 or not worth_sharing(rows * width):
        work(0, rows)
        return
    chunk = max(1, rows // (threads * _CHUNKS))
    waiting = deque((first, min(first + chunk, rows)) for first in range(0, rows, chunk))
    failed: list[tuple[int, Exception]] = []

    def drain() -> None:
        _here.at_work = True
        try:
            while True:
                try:
                    first, stop = waiting.popleft()
                except IndexError:
                    return
                try:
                    work(first, stop)
                except Exception as error:
                    failed.append((first, error))
                    waiting.clear()
        finally:
            _here.at_work = False

    others: list[Future[None]] = []
    try:
        with suppress(RuntimeError):  # no thread to be had: fewer do it, if need be this one alone
            for _ in range(threads - 1):
                others.append(_pool().submit(drain))
        drain()
    finally:  # an interrupt too waits for the others, since what they fill is the caller's
        waiting.clear()
        for other in others:
            if not other.cancel():  # one that has not begun is not waited for: all is done without it
                other.result()
    if failed:
        raise min(failed, key=lambda pair: pair[0])[1]


def worth_sharing(values: int) -> bool:
    """Whether so many values are for several threads to work on, and these are to be had."""
    return config.NUMBA_NUM_THREADS > 1 and values >= _WORTH_SHARING and not _here.at_work


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(config.NUMBA_NUM_THREADS - 1, thread_name_prefix="idn-gym")


def _after_fork() -> None:
    """Threads do not survive a fork; a child that is forked while at work begins anew."""
    _pool.cache_clear()
    _here.at_work = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
