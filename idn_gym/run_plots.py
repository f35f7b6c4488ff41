"""The plots that a run leaves in its record folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from idn_gym import plots
from idn_gym.experiment import Result, static_bound
from idn_gym.figures import require_matplotlib
from idn_gym.network import Network
from idn_gym.records import atomic
from idn_gym.trace import Trace
from idn_gym.typing import FloatArray

require_matplotlib()  # a missing matplotlib is told before the agents play, not after


def plot_run(output: Path, network: Network, trace: Trace, results: list[Result]) -> None:
    """Write ``ntag.png``, ``latency-inaccuracy.png`` and ``allocation.png`` for the agents of a run."""
    title = f"{network.scenario.name}, {trace.slots} slots"
    total = trace.requests.sum(axis=1)
    each = np.divide(1.0, total, out=np.full_like(total, np.nan), where=total > 0)
    bound = static_bound(results)
    with atomic(output / "ntag.png") as file:
        plots.ntag_over_time(
            {str(result.agent): result.table.gain * each for result in results},
            file,
            hindsight=[str(result.agent) for result in results if result.hindsight],
            bound=bound / total.sum() if bound and total.any() else None,
            title=title,
        )
    with atomic(output / "latency-inaccuracy.png") as file:
        plots.latency_against_inaccuracy([result.row() for result in results], file, title=title)
    tiers: list[str] = []
    shares = {}
    for result in results:
        tiers, shares[str(result.agent)] = plots.variant_shares(network, average_allocation(result, trace.slots))
    with atomic(output / "allocation.png") as file:
        plots.allocation_per_tier(shares, tiers, file, title=f"{title}, average over time")


def average_allocation(result: Result, slots: int) -> FloatArray:
    """(P,) part of the slots during which each placement was held."""
    starts = [slot for slot, _ in result.changes]
    lengths = np.diff([*starts, slots])
    held = np.zeros(len(result.changes[0][1]))
    for length, (_, allocation) in zip(lengths, result.changes, strict=True):
        held += length * allocation
    return held / slots
