"""What a run is judged by, computed from its per-slot table alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from idn_gym.typing import FloatArray


@dataclass(frozen=True, eq=False)
class SlotTable:
    """One row per slot, as in ``slots.csv``."""

    requests: FloatArray  # (T,) requests in the slot
    gain: FloatArray  # (T,) ms, summed over requests
    cost: FloatArray  # (T,) ms, summed over requests
    latency_ms: FloatArray  # (T,) per request, 0 without requests
    inaccuracy: FloatArray  # (T,) percentage points per request, 0 without requests
    model_update_mb: FloatArray  # (T,) MB newly loaded
    fractional_gain: FloatArray | None = None  # (T,) ms, of the fractional state behind the allocation
    # where services have deadlines
    timed_requests: FloatArray | None = None  # (T,) of those services
    missed: FloatArray | None = None  # (T,) share of these that were late, 0 without
    # where placements have prices
    price_per_hour: FloatArray | None = None  # (T,) currency, of what was placed
    net: FloatArray | None = None  # (T,) ms, gain less price_weight x price of the slot

    def columns(self) -> dict[str, FloatArray]:
        """The columns that are there, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in named.items() if column is not None}


@dataclass(frozen=True)
class Summary:
    """A row of the table of results; see `summarise`."""

    ntag: float  # ms
    gain: float  # ms, total
    latency_ms: float
    inaccuracy: float  # percentage points
    model_update_mb: float  # MB per slot
    fractional_ntag: float | None = None  # ms
    missed: float | None = None  # share of late requests among those of services with a deadline
    price_per_hour: float | None = None  # currency, on average
    net: float | None = None  # ms, total

    @property
    def worth(self) -> float:
        """Total ms that runs are ordered by and bounds are about: the net gain, which without prices is the gain."""
        return self.gain if self.net is None else self.net


def summarise(table: SlotTable) -> Summary:
    """NTAG, total gain, latency and inaccuracy per request over the run, MB newly loaded per slot.

    Where there are deadlines, the share of requests that missed theirs; where there are prices, currency per hour and
    the total net gain. Source: docs/model.md#measures. NTAG averages over the slots that have requests; the first load
    counts as an update.
    """
    total = table.requests.sum()
    per_request = table.requests / total if total else table.requests
    fractional, price, net = table.fractional_gain, table.price_per_hour, table.net
    return Summary(
        ntag=ntag(table.gain, table.requests),
        gain=float(table.gain.sum()),
        latency_ms=float((table.latency_ms * per_request).sum()),
        inaccuracy=float((table.inaccuracy * per_request).sum()),
        model_update_mb=float(table.model_update_mb.mean()),
        fractional_ntag=None if fractional is None else ntag(fractional, table.requests),
        missed=None if table.missed is None else _share(table.missed, table.timed_requests),
        price_per_hour=None if price is None else float(price.mean()),
        net=None if net is None else float(net.sum()),
    )


def _share(shares: FloatArray, of: FloatArray | None) -> float:
    """The share of all slots, from that of each (T,) and what it is a share of (T,); 0 if that is nothing."""
    assert of is not None
    return float((shares * of).sum() / of.sum()) if of.any() else 0.0


def ntag(gain: FloatArray, requests: FloatArray) -> float:
    """Time-averaged normalised gain in ms: the mean over slots with requests of gain / requests; 0 if none has any."""
    busy = requests > 0
    return float((gain[busy] / requests[busy]).mean()) if busy.any() else 0.0


def running_ntag(gain: FloatArray, requests: FloatArray) -> FloatArray:
    """(T,) NTAG of the slots so far."""
    busy = requests > 0
    each = np.divide(gain, requests, out=np.zeros_like(gain), where=busy)
    return np.cumsum(each) / np.maximum(np.cumsum(busy), 1)


def gain_so_far(gain: FloatArray, requests: FloatArray) -> FloatArray:
    """(T,) ms per request of the slots so far: their total gain over their total requests, which bounds are about."""
    total = np.cumsum(requests)
    return np.divide(np.cumsum(gain), total, out=np.zeros_like(gain), where=total > 0)


def regret(gain: FloatArray, comparator: FloatArray) -> FloatArray:
    """(T,) gain in ms that a comparator is ahead by, summed over the slots so far; docs/model.md#measures."""
    return np.cumsum(comparator - gain)
