"""Progress of long work, on stderr: bars on a terminal, one line per finished piece elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from idn_gym.common.text import line, printable
from idn_gym.report.console import console


class PlayProgress:
    """A context manager to pass as `progress` to `records.run`."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._tasks: dict[str, object] = {}
        self._bars: Progress | None = None
        if sys.stderr.isatty():
            name = TextColumn("{task.description}", markup=False)
            columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=console(stderr=True))

    def __enter__(self) -> PlayProgress:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def __call__(self, agent: str, played: int, slots: int) -> None:
        """Note that an agent has played so many of the slots; 0 when it starts, which may take it a while."""
        self._began.setdefault(agent, time.perf_counter())
        if self._bars:
            if agent not in self._tasks:
                self._tasks[agent] = self._bars.add_task(printable(agent), total=slots)
            self._bars.update(self._tasks[agent], completed=played)  # type: ignore[arg-type]
        elif played == slots:
            seconds = time.perf_counter() - self._began[agent]
            print(f"{printable(agent)}: {slots} slots in {seconds:.1f} s", file=sys.stderr)


class SweepProgress(PlayProgress):
    """A context manager to pass as `progress` to `sweep.run`: one bar on a terminal, a line per cell elsewhere."""

    def __call__(self, agent: str, played: int, slots: int) -> None:
        """Note that a cell is done (what is said of it), and how many of how many are."""
        if self._bars:
            super().__call__("cells", played, slots)
        else:
            print(f"{played}/{slots} {line(agent)}", file=sys.stderr)
