"""What came of a run: its table of slots, and the row that sums it up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any

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
    changes: list[tuple[int, IntArray]]  # (slot, allocation (P,) int8) wherever it changed
    fractional: FloatArray | None = None  # (P,) average over the slots of the fractional state, where there is one

    def placed(self) -> Iterator[IntArray]:
        """What was placed (P,), slot by slot."""
        stops = [*(slot for slot, _ in self.changes[1:]), len(self.table.gain)]
        for (first, allocation), stop in zip(self.changes, stops, strict=True):
            yield from repeat(allocation, stop - first)

    def row(self) -> dict[str, Any]:
        """The row of the table of results, as JSON values."""
        summary = {key: value for key, value in asdict(self.summary).items() if value is not None}
        return {"agent": str(self.agent), **summary, "seconds": self.seconds}
