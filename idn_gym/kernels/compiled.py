"""The decorator of all compiled functions, and where what it compiles is kept from one process to the next.

In the first of these folders that can be written: the one that NUMBA_CACHE_DIR names, the one beside the source, that
of numba among the user's caches, a private one among temporary files. There may be none: an installation is read-only,
a home is missing, a disk is full. Everything then works all the same, compiled anew by each process.

Compiling takes seconds once, and reading what is kept part of one in each process, which are no agent's: `clock` stands
still meanwhile. Of compiling, the command line says so.
"""

from __future__ import annotations

import multiprocessing
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core import event
from numba.core.caching import FunctionCache, NullCache
from numba.misc.appdirs import AppDirs

from idn_gym.common.startup import is_program

_BESIDE = ""  # the source: what numba does where no folder is named


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles a function when it is first called, and keeps what came of it if that is possible.

    What is compiled holds no lock of Python's: see `over_rows`.

    Parameters
    ----------
    options : of `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        dispatcher._cache = _cache_of(function)  # what `cache=True` does, which insists on a folder
        return dispatcher

    return decorate


def clock() -> float:
    """Seconds since some moment, less those of compiling and of reading what is kept: for what is reported.

    A deadline is one of `time.monotonic`, since whoever waits does so while something is compiled, too.
    """
    return time.perf_counter() - _compiling.seconds


def _cache_of(function: Callable[..., Any]) -> Any:
    named = config.CACHE_DIR
    try:
        for folder in _folders(os.path.dirname(function.__code__.co_filename), named):
            config.CACHE_DIR = folder
            try:
                return _Kept(function)
            except (RuntimeError, OSError):  # numba finds it wanting all the same
                continue
    finally:
        config.CACHE_DIR = named
    return _NotKept()


def _folders(beside: str, named: str) -> Iterator[str]:
    """Folders that can be written, the best first; others are not made before it turns out that they are needed."""
    if named and _can_write(named):
        yield named
    if _can_write(os.path.join(beside, "__pycache__")):
        yield _BESIDE
    of_user = AppDirs(appname="numba", appauthor=False).user_cache_dir
    if os.path.isabs(of_user) and _can_write(of_user):  # without a home it would be a folder ~ in the current one
        yield of_user
    if (temporary := _temporary()) is not None:
        yield temporary


@cache
def _can_write(folder: str) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


@cache
def _temporary() -> str | None:
    """A folder of this user alone among temporary files: what is kept is run, so nobody else may put anything there."""
    try:
        parent = Path(tempfile.gettempdir())
        if parent == Path.cwd():  # where Python turns when there is no folder for temporary files
            return None
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = parent / f"idn-gym-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and (user == "user" or (found.st_uid == user and not found.st_mode & 0o077))
    return str(folder) if private and _can_write(str(folder)) else None


class _Kept(FunctionCache):  # type: ignore[misc]
    """What numba keeps, as far as the disk lets it: a file that cannot be read or written stops nobody."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with _compiling:
            try:
                return super().load_overload(sig, target_context)
            except OSError:
                return None
            except Exception:  # a damaged file may raise anything: begin anew
                with suppress(OSError):
                    self.flush()
                return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with _compiling:
            try:
                super().save_overload(sig, data)
            except OSError:  # no room
                _say_once(_NOT_KEPT)


class _NotKept(NullCache):  # type: ignore[misc]
    """Keeps nothing, and says so as soon as something is compiled."""

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _say_once(_NOT_KEPT)


class _Compiling(event.Listener):  # type: ignore[misc]
    """Hears of what numba compiles, one inside the other and under its lock, and adds up the time from end to end."""

    def __init__(self) -> None:
        self._total = 0.0
        self._depth = 0
        self._began = 0.0

    @property
    def seconds(self) -> float:
        """Time that went into compiling so far."""
        return self._total + (time.perf_counter() - self._began if self._depth else 0.0)

    def __enter__(self) -> None:
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._total += time.perf_counter() - self._began

    def on_start(self, started: Any) -> None:
        self.__enter__()
        kept = getattr(started.data["dispatcher"], "_cache", None)
        if isinstance(kept, _Kept) and is_program():
            _say_once(_ONCE)

    def on_end(self, ended: Any) -> None:
        self.__exit__()


_ONCE = "compiling, once: later starts find what is compiled"
_NOT_KEPT = (
    "what is compiled cannot be kept, so each start takes some seconds more; "
    "NUMBA_CACHE_DIR may name a folder that can be written"
)
_compiling = _Compiling()
event.register("numba:compile", _compiling)


@cache
def _say_once(what: str) -> None:
    """In the process that was started, not in its workers."""
    if multiprocessing.parent_process() is not None or sys.stderr is None:
        return
    with suppress(OSError, ValueError):  # it may be closed
        sys.stderr.write(f"idn-gym: {what}\n")
        sys.stderr.flush()
