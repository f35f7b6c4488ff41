"""Which plots a run leaves in its record folder; `plots` draws them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from idn_gym.common.figures import require_matplotlib
from idn_gym.common.files import atomic
from idn_gym.experiment.bounds import best_static, static_bound
from idn_gym.experiment.metrics import regret
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec
from idn_gym.model.network import Network
from idn_gym.report import plots
from idn_gym.report.look import Look, looks
from idn_gym.report.shares import variant_shares
from idn_gym.report.trade_off import gain_against_price, latency_against_inaccuracy
from idn_gym.typing import FloatArray
from idn_gym.workload.trace import Trace

_ROOM = 34  # characters of a label

require_matplotlib()  # a missing matplotlib is told before the agents play, not after


def plot_run(output: Path, network: Network, trace: Trace, results: list[Result]) -> None:
    """Write ``ntag.png``, ``latency-inaccuracy.png`` and ``allocation.png`` for the agents of a run.

    Where anything has a price, also ``gain-price.png``. Where one of them is static in hindsight, also ``regret.png``
    against the best such, with the bound on all such that was proven: both are about total gain, net of prices, which
    NTAG is not.
    """
    title = f"{network.scenario.name}, {trace.slots} slots"
    total = results[0].table.requests
    label = labels([result.agent for result in results])
    look = _looks(label)
    name = {result: label[str(result.agent)] for result in results}
    hindsight = [name[result] for result in results if result.hindsight]
    with atomic(output / "ntag.png") as file:
        series = {name[result]: _per_request(result) for result in results}
        plots.ntag_over_time(series, file, hindsight=hindsight, title=title, look=look)
    with atomic(output / "latency-inaccuracy.png") as file:
        rows = [{**result.row(), "agent": name[result]} for result in results]
        latency_against_inaccuracy(rows, file, accuracy_weight=network.accuracy_weight, title=title, look=look)
    if all(result.summary.price_per_hour is not None for result in results) and total.any():
        slot_hours = network.scenario.slot_seconds / 3600.0
        with atomic(output / "gain-price.png") as file:
            gain_against_price(
                [{**row, "gain_per_request": row["gain"] / total.sum()} for row in rows],
                file,
                exchange=network.price_weight * slot_hours * trace.slots / total.sum() if network.priced else None,
                title=title,
                look=look,
            )
    comparator = best_static(results)
    if comparator is not None and len(results) > 1 and total.any():
        bound = static_bound(results)
        with atomic(output / "regret.png") as file:
            plots.regret_over_time(
                {name[result]: regret(_worth(result), _worth(comparator)) / total.sum() for result in results},
                file,
                comparator=name[comparator],
                hindsight=hindsight,
                bound=None if bound is None else (comparator.summary.worth - bound) / total.sum(),
                title=title,
                look=look,
            )
    tiers: list[str] = []
    shares = {}
    for result in results:
        assert result.held is not None
        tiers, shares[name[result]] = variant_shares(network, result.held)
    with atomic(output / "allocation.png") as file:
        plots.allocation_per_tier(shares, tiers, file, title=f"{title}, average over time")


def draw_seeds(
    by_seed: Mapping[int, Sequence[Result]], folder: Path, *, accuracy_weight: float | None = None, title: str = ""
) -> list[Path]:
    """Write ``ntag.png``, running NTAG with bands over seeds, and ``latency-inaccuracy.png`` of the means over seeds.

    Parameters
    ----------
    by_seed : seed -> results of the same agents, each on the stream of that seed; an agent may lack some seeds.
    folder : where to write.
    accuracy_weight : alpha of the scenario in ms per percentage point, for lines of equal cost.
    title : what was run.

    Returns
    -------
    The files written.

    Raises
    ------
    IdnError
        If there is no result.
    """
    groups: dict[str, list[Result]] = {}
    for result in (result for results in by_seed.values() for result in results):
        groups.setdefault(str(result.agent), []).append(result)
    label = labels([same[0].agent for same in groups.values()])
    look = _looks(label)
    hindsight = [label[agent] for agent, same in groups.items() if same[0].hindsight]
    written = [folder / "ntag.png", folder / "latency-inaccuracy.png"]
    with atomic(written[0]) as file:
        series = {label[agent]: [_per_request(result) for result in same] for agent, same in groups.items()}
        plots.ntag_over_seeds(series, file, hindsight=hindsight, title=title, look=look)
    with atomic(written[1]) as file:
        rows = [
            {
                "agent": label[agent],
                "latency_ms": np.mean([result.summary.latency_ms for result in same]),
                "inaccuracy": np.mean([result.summary.inaccuracy for result in same]),
            }
            for agent, same in groups.items()
        ]
        latency_against_inaccuracy(rows, file, accuracy_weight=accuracy_weight, title=title, look=look)
    return written


def _per_request(result: Result) -> FloatArray:
    """(T,) ms of each slot; nan where it has no requests."""
    requests = np.asarray(result.table.requests, dtype=np.float64)
    return np.divide(result.table.gain, requests, out=np.full(len(requests), np.nan), where=requests > 0)


def _worth(result: Result) -> FloatArray:
    """(T,) ms: the gain of each slot, net where anything has a price."""
    return result.table.gain if result.table.net is None else result.table.net


def _looks(label: Mapping[str, str]) -> dict[str, Look]:
    """Label -> look of the agent that it stands for."""
    return {label[agent]: look for agent, look in looks(label).items()}


def labels(agents: Sequence[AgentSpec]) -> dict[str, str]:
    """Agent -> its text, less the folders of a file, as far as there is room for it."""
    texts = [str(agent) for agent in agents]
    plain = [re.sub(r"^[^:]*[/\\]", "", text) for text in texts]
    short = [text if len(text) <= _ROOM else f"{text[: _ROOM - 13]}...{text[-10:]}" for text in plain]
    return dict(zip(texts, short if len(set(short)) == len(texts) else texts, strict=True))
