"""Regret over horizons T = 2^8 ... 2^14 on the two hard instances: the figures of docs/guarantees.md.

    python benchmarks/regret.py [--seeds 20] [--picture docs/regret.png] [--largest 14]

State regret is that of the fractional state against the best fixed state, which a linear program finds; the regret of
an integral agent is against the same. A slope is that of log2 regret over log2 T, through the means over seeds, with a
95% bootstrap interval over seeds. Gains are in units of what one slot is worth at most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from idn_agents.infida.bounds import PSI, paper_regret_bound, regret_bound
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

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


def best_fixed_gain(network: Network, trace: Trace) -> float:
    """Largest total gain in ms of one fractional state over a trace, by a linear program.

    With a the shares of a slot, the gain is linear in its requests: slots of equal shares are one batch. Variables:
    the state y, and how many requests z each option serves; z <= l y, and a type's z add up to its requests at most.
    """
    shares = np.array([network.service.shares(requests, network.capacities)[0] for requests in trace.requests])
    distinct, group = np.unique(shares, axis=0, return_inverse=True)
    batches = np.zeros((len(distinct), network.R))
    np.add.at(batches, group.ravel(), trace.requests)
    objective, rows, columns, values, limit = [np.zeros(network.P)], [], [], [], []
    at = network.P
    for share, batch in zip(distinct, batches, strict=True):
        for rho in np.flatnonzero(batch):
            placements = network.service.options[rho, : network.service.option_count[rho] - 1]
            n = len(placements)
            objective.append(network.service.costs[rho, -1] - network.service.costs[rho, :n])
            row = len(limit)
            rows += [row] * n + [row + 1 + k for k in range(n)] * 2
            columns += [*range(at, at + n), *range(at, at + n), *placements]
            values += [1.0] * 2 * n + (-batch[rho] * share[placements]).tolist()
            limit += [batch[rho]] + [0.0] * n
            at += n
    memory = csr_array((network.sizes, (network.placement_node, np.arange(network.P))), shape=(network.V, at))
    served = csr_array((values, (rows, columns)), shape=(len(limit), at))
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


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--largest", type=int, default=14)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    horizons = 2 ** np.arange(8, options.largest + 1)
    measured = {}
    for name, case in CASES.items():
        regret: dict[str, np.ndarray] = {}
        optimum = np.zeros((len(horizons), options.seeds))
        bounds = []
        for i, slots in enumerate(horizons.tolist()):
            network = Network.compile(load_scenario(name, [*case["overrides"], f"horizon={slots}"]))
            unit = network.service.largest_saving * 600.0
            bounds.append((regret_bound(network, slots) / unit, paper_regret_bound(network, slots) / unit))
            for seed in range(options.seeds):
                trace = draw(network, slots, seed)
                best = best_fixed_gain(network, trace)
                optimum[i, seed] = best / unit
                for agent in case["agents"]:
                    result = play(network, trace, AgentSpec.parse(agent), seed)
                    totals = {agent: result.summary.gain}
                    if result.table.fractional_gain is not None:
                        totals = {f"{agent}, state": float(result.table.fractional_gain.sum()), **totals}
                    for row, total in totals.items():
                        regret.setdefault(row, np.zeros(optimum.shape))[i, seed] = (best - total) / unit
        measured[name] = (regret, np.array(bounds))
        _print_case(name, horizons, regret, optimum, np.array(bounds))
    if options.picture:
        _draw(options.picture, horizons, measured)


def _print_case(
    name: str, horizons: np.ndarray, regret: dict[str, np.ndarray], optimum: np.ndarray, bounds: np.ndarray
) -> None:
    shown = [i for i in range(len(horizons)) if i % 2 == 0 or i == len(horizons) - 1]
    print(f"\n**{name}**, {optimum.shape[1]} seeds; regret in slots' worth, mean ± standard deviation\n")
    print("| | " + " | ".join(f"T = {horizons[i]}" for i in shown) + " | slope |")
    print("|---" * (len(shown) + 2) + "|")
    for row, values in regret.items():
        cells = [f"{values[i].mean():.1f} ± {values[i].std(ddof=1):.1f}" for i in shown]
        middle, low, high = slope(horizons, values)
        print(f"| {row} | {' | '.join(cells)} | {middle:.2f} [{low:.2f}, {high:.2f}] |")
    print("| best fixed state gains | " + " | ".join(f"{optimum[i].mean():.0f}" for i in shown) + " | |")
    print("| bound on state regret | " + " | ".join(f"{bounds[i, 0]:.1f}" for i in shown) + " | 0.50 |")
    print("| the same on psi-regret | " + " | ".join(f"{PSI * bounds[i, 0]:.1f}" for i in shown) + " | 0.50 |")
    print("| the paper's on psi-regret | " + " | ".join(f"{bounds[i, 1]:.0f}" for i in shown) + " | 0.50 |")
    for row, values in regret.items():
        if "state" not in row:
            cells = [f"{(values[i] - (1 - PSI) * optimum[i]).mean():.1f}" for i in shown]
            print(f"| psi-regret of {row} | {' | '.join(cells)} | |")


def _draw(path: Path, horizons: np.ndarray, measured: dict[str, tuple[dict[str, np.ndarray], np.ndarray]]) -> None:
    from idn_gym.common.colours import INK
    from idn_gym.common.figures import new_figure, save, style
    from idn_gym.report.look import DOTTED, looks

    figure = new_figure(1200, 620, 160, "constrained")
    panels = figure.subplots(1, len(measured), sharey=True)
    for axes, (name, (regret, bounds)) in zip(panels, measured.items(), strict=True):
        style(axes, "T (slots)", "regret (slots' worth)", name)
        look = looks(row.removesuffix(", state") for row in regret)
        for row, values in regret.items():
            integral = "infida" in row and "state" not in row
            of = look[row.removesuffix(", state")]
            line, marker = (DOTTED, "") if row.endswith(", state") else (of.line, of.marker)
            axes.plot(
                horizons,
                values.mean(axis=1),
                linestyle=line,
                marker=marker,
                markersize=4.5,
                color=of.colour,
                label=row,
                linewidth=1.5,
            )
            if not integral:  # the spread of integral agents reaches below 0, which has no logarithm
                low, high = np.percentile(values, [5, 95], axis=1)
                axes.fill_between(horizons, low.clip(_LEAST), high, color=of.colour, alpha=0.15, linewidth=0)
        axes.plot(horizons, bounds[:, 0], color=INK, linestyle=":", label="bound on state regret")
        axes.plot(horizons, horizons, color=INK, linewidth=0.6, label="everything lost (slope 1)")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_ylim(_LEAST, 1.3 * horizons[-1])
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=7, frameon=False)
    save(figure, path)


if __name__ == "__main__":
    main()
