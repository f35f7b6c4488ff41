"""What came of a run: its table of slots, and the row that sums it up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, pairwise, repeat
from typing import Any

import numpy as np

from idn_gym.experiment.metrics import SlotTable, Summary
from idn_gym.experiment.spec import AgentSpec
from idn_gym.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a run."""

    agent: AgentSpec
    hindsight: bool
    summary: Summary
    seconds: float  # from the agent's reset to its last slot, less those of compiling
    info: dict[str, Any]
    table: SlotTable
    # (slot, allocation (P,) int8) wherever it changed, in memory or read from a record; empty if these were not kept
    changes: Iterable[tuple[int, IntArray]] = ()
    updates: int = 0  # how many these are or were
    held: FloatArray | None = None  # (P,) part of the slots during which each placement was held
    fractional: FloatArray | None = None  # (P,) average over the slots of the fractional state, where there is one

    def placed(self) -> Iterator[IntArray]:
        """What was placed (P,), slot by slot."""
        end = len(self.table.gain), np.zeros(0, dtype=np.int8)
        for (first, allocation), (stop, _) in pairwise(chain(self.changes, [end])):
            yield from repeat(allocation, stop - first)

    def row(self) -> dict[str, Any]:
        """The row of the table of results, as JSON values."""
        summary = {key: value for key, value in asdict(self.summary).items() if value is not None}
        return {"agent": str(self.agent), **summary, "seconds": self.seconds}
