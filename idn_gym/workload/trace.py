"""A trace: the requests and capacities of T slots, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.typing import FloatArray

LARGEST = 1e18  # requests of a type in a slot, and capacities: far beyond use, and finite in float32
MOST_VALUES = 2**29  # slots x request types, or slots x placements: 4 GiB

# what a file may ask for however few rows it has: 2 years of minutes, and 512 MiB; beyond, it grows with the rows
_SLOTS = 2**20
_VALUES = 2**26
_PER_ROW = 256


@dataclass(frozen=True, eq=False)
class Trace:
    """The stream that every agent, the environment and the optimum face alike.

    Raises
    ------
    IdnError
        If there are neither as many rows of capacities as slots nor, where they do not vary, one.
    """

    requests: FloatArray  # (T, R) requests per type
    capacities: FloatArray  # (T, P), or (1, P) where they do not vary; requests a placement can serve in a slot
    # whether capacities are those of each slot, which one row does not say; None: if they have T rows, and T > 1
    varying: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        rows = len(self.capacities)
        if self.varying is None:
            object.__setattr__(self, "varying", rows == self.slots and rows > 1)
        if rows != (self.slots if self.varying else 1):
            allowed = f"{self.slots}, one per slot" if self.varying else f"{self.slots}, one per slot, or 1 for all"
            raise IdnError(f"capacities: {rows} rows; must be {allowed}")

    @property
    def slots(self) -> int:
        """T."""
        return len(self.requests)

    def capacities_at(self, slot: int) -> FloatArray:
        """(P,) capacities in force in a slot."""
        return self.capacities[slot if self.varying else 0]

    def part(self, first: int, stop: int) -> Trace:
        """The slots from `first` to before `stop`, as a trace of their own; capacities that vary stay so."""
        capacities = self.capacities[first:stop] if self.varying else self.capacities
        return Trace(self.requests[first:stop], capacities, varying=self.varying)

    def parts(self, slots: int) -> Iterator[Trace]:
        """The trace so many slots at a time; the last part may be shorter."""
        for first in range(0, self.slots, slots):
            yield self.part(first, min(first + slots, self.slots))

    def head(self, slots: int) -> Trace:
        """The first slots of the trace.

        Raises
        ------
        IdnError
            If the trace is shorter than that.
        """
        if slots > self.slots:
            raise IdnError(f"{slots} slots asked for; the trace has {self.slots}")
        return self.part(0, slots)


def joined(traces: Sequence[Trace]) -> Trace:
    """Traces one after the other as one; capacities of the whole vary if a part's do, or if parts differ in them."""
    requests = np.concatenate([trace.requests for trace in traces])
    first = traces[0].capacities
    if not any(trace.varying or (trace.capacities != first).any() for trace in traces):
        return Trace(requests, first, varying=False)
    each = [np.broadcast_to(trace.capacities, (trace.slots, first.shape[1])) for trace in traces]
    return Trace(requests, np.concatenate(each), varying=True)


def fitting(source: object, slots: float, width: int, rows: int) -> int:
    """The slots that a file asks for, as a whole number: memory stays in proportion to the file.

    Parameters
    ----------
    source : the file, for the error message.
    width : values per slot in the table that the file fills.
    rows : of the file.

    Raises
    ------
    IdnError
        If it asks for more slots or values than a few, given how few rows it has, or for more than any file may.
    """
    few = f"for a file with so few rows ({rows})"
    most = max(_SLOTS, _PER_ROW * rows)
    if slots > most:
        raise IdnError(f"{source}: {slots:.15g} slots; at most {most} {few}")
    most = min(MOST_VALUES, max(_VALUES, _PER_ROW * rows))
    if slots * width > most:
        few = few if most < MOST_VALUES else "are read"
        raise IdnError(f"{source}: {slots:.15g} slots of {width} values; at most {most} values {few}")
    return int(slots)
