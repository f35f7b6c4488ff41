"""Progress of long work, on stderr: lines that update on a terminal, one line per finished piece elsewhere.

What agents that search for something log, under the name ``idn_gym``, is shown in passing on a terminal; all of it is
printed where that is asked for.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from idn_gym.common.text import line, printable
from idn_gym.kernels.compiled import clock
from idn_gym.report.console import console
from idn_gym.report.layout import beginning

_BAR = 20  # characters of a bar
_AROUND = 2 * _BAR  # of a bar and the figures beside it


class PlayProgress:
    """A context manager to pass as `progress` to `records.run`.

    Parameters
    ----------
    verbose : print the log of agents that search.
    """

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._began: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars: Progress | None = None
        self._open = ExitStack()
        if sys.stderr.isatty():
            said = TextColumn("{task.description} {task.fields[said]}", markup=False)  # the last, and cut if need be
            columns = (BarColumn(_BAR), MofNCompleteColumn(), TimeElapsedColumn(), said)
            self._bars = Progress(*columns, console=console(stderr=True))

    def __enter__(self) -> PlayProgress:
        self._open.enter_context(_heard(self._hear))
        if self._bars:
            self._open.enter_context(self._bars)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __call__(self, agent: str, played: int, slots: int) -> None:
        """Note that an agent has played so many of the slots; 0 when it starts, which may take it a while."""
        self._began.setdefault(agent, clock())
        if self._bars:
            if agent not in self._tasks:
                self._tasks[agent] = self._bars.add_task(printable(agent), total=slots, said="")
            self._bars.update(self._tasks[agent], completed=played, said="")
        elif played == slots:
            seconds = clock() - self._began[agent]
            print(f"{printable(agent)}: {slots} slots in {seconds:.1f} s", file=sys.stderr)

    def _hear(self, text: str) -> None:
        if self._verbose:
            print(text, file=sys.stderr)
        if self._bars and self._tasks:
            agent, task = list(self._tasks.items())[-1]
            room = self._bars.console.width - len(printable(agent)) - _AROUND
            self._bars.update(task, said=beginning(text, room))


class SweepProgress(PlayProgress):
    """A context manager to pass as `progress` to `sweep.run`: one bar on a terminal, a line per cell elsewhere."""

    def __call__(self, agent: str, played: int, slots: int) -> None:
        """Note that a cell is done (what is said of it), and how many of how many are."""
        if self._bars:
            super().__call__("cells", played, slots)
        else:
            print(f"{played}/{slots} {line(agent)}", file=sys.stderr)


class SearchProgress:
    """A context manager: what a search logs, as one line that updates; nothing but finished pieces off a terminal.

    Parameters
    ----------
    verbose : print every line of the log.
    """

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._done = ""
        self._bars: Progress | None = None
        self._open = ExitStack()
        if sys.stderr.isatty():
            columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
            self._bars = Progress(*columns, console=console(stderr=True), transient=True)
            self._task = self._bars.add_task("")

    def __enter__(self) -> SearchProgress:
        self._open.enter_context(_heard(self._hear))
        if self._bars:
            self._open.enter_context(self._bars)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __call__(self, done: str) -> None:
        """Note that a piece is done, in words."""
        self._done = f"{line(done)}; "
        if self._verbose or not self._bars:
            print(line(done), file=sys.stderr)

    def _hear(self, text: str) -> None:
        if self._verbose:
            print(text, file=sys.stderr)
        if self._bars:
            room = self._bars.console.width - _BAR
            self._bars.update(self._task, description=beginning(f"{self._done}{text}", room))


class _Handler(logging.Handler):
    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        self._show(line(record.getMessage()))


@contextmanager
def _heard(show: Callable[[str], None]) -> Iterator[None]:
    """Hand each line that is logged meanwhile to a function."""
    logger, handler = logging.getLogger("idn_gym"), _Handler(show)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
