"""Many independent pieces of work: one after the other, on processes of this machine, or on a Ray cluster.

A piece that fails, or whose process is killed, takes none of the others along.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection
from typing import Any

from idn_gym.common.extras import require
from idn_gym.errors import IdnError

Work = Callable[..., None]
Done = tuple[int, str | None]  # which piece, and what went wrong with it, in a line

_ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # the workers share the cores between them


def on_processes(work: Work, pieces: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Done]:
    """Call work(*piece) for each piece, on so many processes at a time; yields each as it is done.

    One worker is this process. Others end with it, however it ends.

    Parameters
    ----------
    work : a function of a module, so that a fresh process finds it.
    pieces : the arguments of each call; must pickle.
    """
    if workers == 1:
        for index, piece in enumerate(pieces):
            yield index, _fault(work, piece)
        return
    waiting = deque(enumerate(pieces))
    idle: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, int]] = {}  # by the connection to the worker
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = idle.pop() if idle else _Worker(work)
                index, piece = waiting.popleft()
                with suppress(BrokenPipeError):  # it has ended, which shows when it is waited for
                    worker.connection.send(piece)
                busy[worker.connection] = worker, index
            for ready in connection.wait(list(busy)):
                worker, index = busy.pop(ready)
                try:
                    fault = worker.connection.recv()
                    idle.append(worker)
                except (EOFError, ConnectionResetError):
                    fault = worker.end()
                yield index, fault
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.process.terminate()
            worker.end()


def on_ray(work: Work, pieces: Sequence[tuple[Any, ...]], address: str, workers: int | None) -> Iterator[Done]:
    """As `on_processes`, on the Ray cluster at an address; ``local`` starts one here, of so many workers.

    Parameters
    ----------
    workers : pieces in flight at most; None: as many as the cluster takes.

    Raises
    ------
    IdnError
        If Ray is not installed, or there is no cluster.
    """
    require("ray", "--address")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    cores = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, **cores, runtime_env={"env_vars": _ONE_THREAD}, logging_level="error", log_to_driver=False)
    except Exception as error:  # of many kinds; a cluster that takes too long to start is a plain Exception
        raise IdnError(f"--address {address}: no Ray cluster there: {' '.join(str(error).split())[:200]}") from None
    remote = ray.remote(max_retries=0)(_fault)
    waiting = deque(enumerate(pieces))
    busy: dict[Any, int] = {}
    try:
        while waiting or busy:
            while waiting and (workers is None or len(busy) < workers):
                index, piece = waiting.popleft()
                busy[remote.remote(work, piece)] = index
            for ready in ray.wait(list(busy))[0]:
                try:
                    fault = ray.get(ready)
                except ray.exceptions.RayError as error:
                    fault = f"its worker ended early: {type(error).__name__}"
                yield busy.pop(ready), fault
    finally:
        ray.shutdown()


class _Worker:
    """A process that does one piece at a time, and the connection to it."""

    def __init__(self, work: Work) -> None:
        # a fresh interpreter: a fork would inherit locks that threads of this process hold
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _interrupts_held():  # until it ignores them: they are the driver's to handle
            self.process.start()
        theirs.close()
        self.connection.send(work)

    def end(self) -> str:
        """Wait for the process, which has ended or is about to, and say how it ended."""
        self.connection.close()
        self.process.join()
        code = self.process.exitcode or 0
        name = signal.Signals(-code).name if code < 0 else f"status {code}"
        return f"its worker ended early: {name}"


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """An interrupt waits until the end; programs that are started meanwhile begin with theirs held."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(ours: connection.Connection) -> None:
    os.environ.update(_ONE_THREAD)  # before `work`, on its way through the pipe, imports what reads them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_driver, daemon=True).start()
    work = ours.recv()
    while True:
        try:
            piece = ours.recv()
        except EOFError:
            return
        ours.send(_fault(work, piece))


def _end_with_driver() -> None:
    """A worker whose driver is gone would write into a folder that a resumed sweep works on."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    connection.wait([driver.sentinel])
    os._exit(1)


def _fault(work: Work, piece: tuple[Any, ...]) -> str | None:
    """What goes wrong with a piece, in a line; None if nothing does."""
    try:
        work(*piece)
    except (IdnError, OSError) as error:
        return str(error)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return f"{type(error).__name__}: {error}"
    return None
