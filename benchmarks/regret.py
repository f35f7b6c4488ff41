"""Regret over horizons T = 2^8 ... 2^14 on the two hard instances: the figures of docs/guarantees.md.

    python benchmarks/regret.py [--seeds 10] [--largest 14] [--output FILE.json] [--picture docs/regret.png]

State regret is that of the fractional state against the best fixed state, which a linear program finds; the regret of
an integral agent is against the same. A slope is that of log2 regret over log2 T, through the means over seeds, with a
95% bootstrap interval over seeds. Gains are in units of what one slot is worth at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from idn_agents.infida.bounds import PSI, paper_regret_bound, regret_bound
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack
from stored import markdown, of, stamp, values, write

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

CASES = {
    "adversary": {
        "overrides": ["workload.exponent=0"],
        "agents": ("infida:learning_rate=theory", "infida:learning_rate=anytime", "infida", "last-batch-greedy"),
    },
    "greedy-trap": {
        "overrides": [],
        "agents": ("infida:learning_rate=theory", "infida:learning_rate=anytime", "infida", "static-greedy"),
    },
}
RESAMPLES = 2000
_LEAST = 2.0**-4  # regret drawn at the bottom of the picture


Row = dict[str, Any]


def best_fixed_gain(network: Network, trace: Trace) -> float:
    """Largest total gain in ms of one fractional state over a trace, by a linear program.

    With a the shares of a slot, the gain is linear in its requests: slots of equal shares are one batch. Variables:
    the state y, and how many requests z each option serves; z <= l y, and a type's z add up to its requests at most.
    """
    shares = np.array([network.service.shares(requests, network.capacities)[0] for requests in trace.requests])
    distinct, group = np.unique(shares, axis=0, return_inverse=True)
    batches = np.zeros((len(distinct), network.R))
    np.add.at(batches, group.ravel(), trace.requests)
    objective, rows, columns, entries, limit = [np.zeros(network.P)], [], [], [], []
    at = network.P
    for share, batch in zip(distinct, batches, strict=True):
        for rho in np.flatnonzero(batch):
            placements = network.service.options[rho, : network.service.option_count[rho] - 1]
            n = len(placements)
            objective.append(network.service.costs[rho, -1] - network.service.costs[rho, :n])
            row = len(limit)
            rows += [row] * n + [row + 1 + k for k in range(n)] * 2
            columns += [*range(at, at + n), *range(at, at + n), *placements]
            entries += [1.0] * 2 * n + (-batch[rho] * share[placements]).tolist()
            limit += [batch[rho]] + [0.0] * n
            at += n
    memory = csr_array((network.sizes, (network.placement_node, np.arange(network.P))), shape=(network.V, at))
    served = csr_array((entries, (rows, columns)), shape=(len(limit), at))
    bounds = [(0.0, float(fits)) for fits in network.fits] + [(0.0, None)] * (at - network.P)
    solved = linprog(
        -np.concatenate(objective),
        A_ub=vstack([served, memory]),
        b_ub=np.concatenate([limit, network.budgets]),
        bounds=bounds,
        method="highs",
    )
    return float(-solved.fun)


def slope(horizons: np.ndarray, regret: np.ndarray) -> tuple[float, float, float]:
    """Slope of log2 mean regret (horizons, seeds) over log2 T, with a 95% bootstrap interval; nan where it is <= 0."""
    rng = np.random.default_rng(0)

    def fitted(sample: np.ndarray) -> float:
        means = regret[:, sample].mean(axis=1)
        return float(np.polyfit(np.log2(horizons), np.log2(means), 1)[0]) if (means > 0).all() else np.nan

    seeds = regret.shape[1]
    resampled = [fitted(rng.integers(0, seeds, seeds)) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(resampled, [2.5, 97.5]) if not np.isnan(resampled).all() else (np.nan, np.nan)
    return fitted(np.arange(seeds)), float(low), float(high)


def measured(name: str, slots: int, seed: int) -> Row:
    """Regret of every agent and of every state on one stream, and what bounds it, in slots' worth."""
    network = Network.compile(load_scenario(name, [*CASES[name]["overrides"], f"horizon={slots}"]))
    unit = network.service.largest_saving * 600.0
    trace = draw(network, slots, seed)
    best = best_fixed_gain(network, trace)
    regret = {}
    for agent in CASES[name]["agents"]:
        result = play(network, trace, AgentSpec.parse(agent), seed)
        if result.table.fractional_gain is not None:
            regret[f"{agent}, state"] = (best - float(result.table.fractional_gain.sum())) / unit
        regret[agent] = (best - result.summary.gain) / unit
    bounds = {"bound": regret_bound(network, slots) / unit, "paper": paper_regret_bound(network, slots) / unit}
    return {"scenario": name, "slots": slots, "seed": seed, "best": best / unit, "regret": regret, **bounds}


def main() -> None:
    """Print the tables, write JSON and draw the picture if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--largest", type=int, default=14)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    horizons = [2**k for k in range(8, options.largest + 1)]
    rows = [measured(name, slots, seed) for name in CASES for slots in horizons for seed in range(options.seeds)]
    document = {**stamp(), "rows": rows}
    print(*tables(document).values(), sep="\n\n")
    if options.output:
        write(options.output, document)
    if options.picture:
        _draw(options.picture, rows)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by scenario, of every second horizon and the last; slopes are through all of them."""
    return {name: _table(of(document["rows"], scenario=name)) for name in values(document["rows"], "scenario")}


def _by_horizon(rows: list[Row]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Horizons (H,), and by agent or state its regret (H, seeds)."""
    horizons = values(rows, "slots")
    regret = {
        row: np.array([[each["regret"][row] for each in of(rows, slots=slots)] for slots in horizons])
        for row in rows[0]["regret"]
    }
    return np.array(horizons), regret


def _table(rows: list[Row]) -> str:
    horizons, regret = _by_horizon(rows)
    shown = [i for i in range(len(horizons)) if i % 2 == 0 or i == len(horizons) - 1]

    def line(name: str, digits: int, figures: Iterable[float], slope: str = "") -> list[str]:
        return [name, *(f"{figure:.{digits}f}" for figure in figures), slope]

    def of_horizons(key: str) -> np.ndarray:
        return np.array([[row[key] for row in of(rows, slots=int(horizons[i]))] for i in shown])

    best, bound, paper = (of_horizons(key) for key in ("best", "bound", "paper"))
    lines = []
    for name, of_name in regret.items():
        spreads = [f"{of_name[i].mean():.1f} ± {of_name[i].std(ddof=1):.1f}" for i in shown]
        middle, low, high = slope(horizons, of_name)
        lines.append([name, *spreads, f"{middle:.2f} [{low:.2f}, {high:.2f}]"])
    lines += [
        line("best fixed state gains", 0, best.mean(1)),
        line("bound on state regret", 1, bound[:, 0], "0.50"),
        line("the same on psi-regret", 1, PSI * bound[:, 0], "0.50"),
        line("the paper's on psi-regret", 0, paper[:, 0], "0.50"),
    ]
    for name, of_name in regret.items():
        if "state" not in name:
            lines.append(line(f"psi-regret of {name}", 1, (of_name[shown] - (1 - PSI) * best).mean(1)))
    about = f"**{rows[0]['scenario']}**, {best.shape[1]} seeds; regret in slots' worth, mean ± standard deviation"
    return f"{about}\n\n{markdown(('', *(f'T = {horizons[i]}' for i in shown), 'slope'), lines)}"


def _draw(path: Path, rows: list[Row]) -> None:
    from idn_gym.common.colours import INK
    from idn_gym.common.figures import new_figure, save, style
    from idn_gym.report.look import DOTTED, looks

    figure = new_figure(1200, 620, 160, "constrained")
    names = values(rows, "scenario")
    for axes, name in zip(figure.subplots(1, len(names), sharey=True), names, strict=True):
        horizons, regret = _by_horizon(of(rows, scenario=name))
        bounds = [of(rows, scenario=name, slots=slots)[0]["bound"] for slots in horizons.tolist()]
        style(axes, "T (slots)", "regret (slots' worth)", name)
        look = looks(row.removesuffix(", state") for row in regret)
        for row, of_row in regret.items():
            integral = "infida" in row and "state" not in row
            own = look[row.removesuffix(", state")]
            line, marker = (DOTTED, "") if row.endswith(", state") else (own.line, own.marker)
            axes.plot(
                horizons,
                of_row.mean(axis=1),
                linestyle=line,
                marker=marker,
                markersize=4.5,
                color=own.colour,
                label=row,
                linewidth=1.5,
            )
            if not integral:  # the spread of integral agents reaches below 0, which has no logarithm
                low, high = np.percentile(of_row, [5, 95], axis=1)
                axes.fill_between(horizons, low.clip(_LEAST), high, color=own.colour, alpha=0.15, linewidth=0)
        axes.plot(horizons, bounds, color=INK, linestyle=":", label="bound on state regret")
        axes.plot(horizons, horizons, color=INK, linewidth=0.6, label="everything lost (slope 1)")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_ylim(_LEAST, 1.3 * horizons[-1])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=7, frameon=False)
    save(figure, path)


if __name__ == "__main__":
    main()
