"""Who does best over many cases: shares of the bound, distances to the best causal agent, ranks and wins.

Agents in hindsight have seen the stream, so they are measured against the bound alone and stand in no ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from idn_gym.experiment.intervals import mean_interval
from idn_gym.typing import FloatArray

CLOSE = 0.002  # of the best causal agent's gain: what is behind by no more is not told apart
_SAME = 1e-9  # of the same: equal but for rounding

Row = Mapping[str, Any]


def standings(rows: Sequence[Row], hindsight: Collection[str]) -> list[dict[str, Any]]:
    """What every agent comes to over all cases, the best causal one first and agents in hindsight last.

    Parameters
    ----------
    rows : of a sweep over cases, all of which every agent played on the same seeds: ``scenario``, ``agent``, ``gain``
        (or ``net``, where there are prices) and, where a bound was proved, ``of_bound``.
    hindsight : agents that have seen the streams.

    Returns
    -------
    Per agent ``agent``, ``hindsight`` and ``cases``, their number; ``of_bound``, the mean share of the certified static
    bound, if all rows have it; and ``intervals``, the ends of the 95% intervals over cases of ``of_bound`` and
    ``behind``. For causal agents also ``behind``, what part of the best causal agent's gain it is behind on average;
    ``rank``, from 1, on average (equals share theirs); ``wins``, the cases in which nobody causal gained more;
    ``close``, those in which it is behind by no more than `CLOSE`; ``worst`` and ``worst_case``, how far it is behind
    where that is most. Seeds of a case are averaged first.
    """
    agents = list(dict.fromkeys(str(row["agent"]) for row in rows))
    scenarios = list(dict.fromkeys(str(row["scenario"]) for row in rows))
    bounded = all("of_bound" in row for row in rows)
    of_bound = _means(rows, agents, scenarios, lambda row: row["of_bound"]) if bounded else None
    causal = [n for n, agent in enumerate(agents) if agent not in hindsight]
    behind = behind_best([row for row in rows if row["agent"] not in hindsight])
    ranks = rankdata(np.round(behind / _SAME), axis=0) if causal else behind
    found: list[dict[str, Any]] = []
    for n, agent in enumerate(agents):
        of_agent: dict[str, Any] = {"agent": agent, "hindsight": n not in causal, "cases": len(scenarios)}
        values = {} if of_bound is None else {"of_bound": of_bound[n]}
        if n in causal:
            own = behind[causal.index(n)]
            values["behind"] = own
            of_agent |= {
                "rank": float(ranks[causal.index(n)].mean()),
                "wins": int((own <= _SAME).sum()),
                "close": int((own <= CLOSE).sum()),
                "worst": float(own.max()),
                "worst_case": scenarios[int(own.argmax())],
            }
        intervals = {key: mean_interval(column) for key, column in values.items()}
        of_agent |= {key: interval.mean for key, interval in intervals.items()}
        of_agent["intervals"] = {key: one.ends for key, one in intervals.items() if len(scenarios) > 1}
        found.append(of_agent)
    return sorted(found, key=lambda one: (one["hindsight"], one.get("behind", 0.0), one.get("rank", 0.0)))


def by_kind(rows: Sequence[Row], hindsight: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """`standings` over the cases of each kind of workload, which rows have under ``workload``."""
    kinds = dict.fromkeys(str(row["workload"]) for row in rows)
    return {kind: standings([row for row in rows if row["workload"] == kind], hindsight) for kind in kinds}


def behind_best(rows: Sequence[Row]) -> FloatArray:
    """(agents, cases) by what part of the largest gain of a case each agent is behind it; 0 where nobody gains.

    Agents and cases are in the order of their first rows; seeds of a case are averaged.
    """
    agents, scenarios = (list(dict.fromkeys(str(row[key]) for row in rows)) for key in ("agent", "scenario"))
    gain = _means(rows, agents, scenarios, lambda row: row.get("net", row["gain"]))
    best = gain.max(axis=0, initial=0.0)
    behind: FloatArray = (best - gain) / np.where(best > 0.0, best, 1.0)
    return behind


def _means(
    rows: Sequence[Row], agents: Sequence[str], scenarios: Sequence[str], value: Callable[[Row], float]
) -> FloatArray:
    """(agents, cases) of each the mean over seeds."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        values.setdefault((str(row["agent"]), str(row["scenario"])), []).append(value(row))
    return np.array([[np.mean(values[agent, scenario]) for scenario in scenarios] for agent in agents])
