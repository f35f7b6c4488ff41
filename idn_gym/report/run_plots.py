"""Which plots a run leaves in its record folder; `plots` draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from idn_gym.common.figures import require_matplotlib
from idn_gym.common.files import atomic
from idn_gym.experiment.bounds import best_static, static_bound
from idn_gym.experiment.metrics import regret
from idn_gym.experiment.result import Result
from idn_gym.model.network import Network
from idn_gym.report import plots
from idn_gym.report.shares import average_allocation, variant_shares
from idn_gym.workload.trace import Trace

_ROOM = 34  # characters of a label

require_matplotlib()  # a missing matplotlib is told before the agents play, not after


def plot_run(output: Path, network: Network, trace: Trace, results: list[Result]) -> None:
    """Write ``ntag.png``, ``latency-inaccuracy.png`` and ``allocation.png`` for the agents of a run.

    Where one of them is static in hindsight, also ``regret.png`` against the best such, with the bound on all such that
    was proven: both are about total gain, which NTAG is not.
    """
    title = f"{network.scenario.name}, {trace.slots} slots"
    total = trace.requests.sum(axis=1)
    each = np.divide(1.0, total, out=np.full_like(total, np.nan), where=total > 0)
    label = _labels(results)
    with atomic(output / "ntag.png") as file:
        plots.ntag_over_time(
            {label[result]: result.table.gain * each for result in results},
            file,
            hindsight=[label[result] for result in results if result.hindsight],
            title=title,
        )
    with atomic(output / "latency-inaccuracy.png") as file:
        rows = [{**result.row(), "agent": label[result]} for result in results]
        plots.latency_against_inaccuracy(rows, file, title=title)
    comparator = best_static(results)
    if comparator is not None and len(results) > 1 and total.any():
        bound = static_bound(results)
        with atomic(output / "regret.png") as file:
            plots.regret_over_time(
                {label[result]: regret(result.table.gain, comparator.table.gain) / total.sum() for result in results},
                file,
                comparator=label[comparator],
                hindsight=[label[result] for result in results if result.hindsight],
                bound=None if bound is None else (comparator.summary.gain - bound) / total.sum(),
                title=title,
            )
    tiers: list[str] = []
    shares = {}
    for result in results:
        tiers, shares[label[result]] = variant_shares(network, average_allocation(result, trace.slots))
    with atomic(output / "allocation.png") as file:
        plots.allocation_per_tier(shares, tiers, file, title=f"{title}, average over time")


def _labels(results: list[Result]) -> dict[Result, str]:
    """The plain name where it tells an agent apart; else with its parameters, as far as there is room for them."""
    names = [result.agent.name for result in results]
    texts = {
        result: result.agent.name if names.count(result.agent.name) == 1 else str(result.agent) for result in results
    }
    short = {result: text if len(text) <= _ROOM else text[: _ROOM - 3] + "..." for result, text in texts.items()}
    return short if len(set(short.values())) == len(results) else texts
