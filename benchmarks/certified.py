"""How tight certified bounds are: over the solver's bound, in cells of alpha and budgets.

    python benchmarks/certified.py [--slots 60] [--seed 0] [--time-limit 60] [--output FILE.json]
        [--scenario S --alpha 4 --budgets 0.5] [--leaves 512]

Each cell is searched with one leaf and, where the default is more, with the default leaves, or --leaves. "plain LP"
has fractional placements within the budgets, "1 leaf" charges of types, or weights of cut points where these do;
"certified" is what `optimum` proves.
All are relative to the lower of the solver's bounds, and "solver" is how far that is above the best gain found, so that
the sum of both columns is the whole gap. Seconds are CPU time of the process; time limits are by the wall's clock.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from idn_agents.optimum.options import default_leaves
from idn_agents.optimum.search import solve
from idn_agents.optimum.solution import Solution
from stored import store

from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

GAP = 0.001
Cell = tuple[str, float, float]  # scenario, alpha, factor on every node's budget
CELLS: tuple[Cell, ...] = (
    ("tiny", 1.0, 1.0),
    ("abilene-sliding", 1.0, 1.0),
    *(
        (name, alpha, budgets)
        for name in ("topology-2-fixed", "topology-1-fixed")
        for alpha in (1.0, 2.0, 4.0)
        for budgets in (0.5, 1.0, 2.0, 4.0)
    ),
)
COLUMNS = (
    "scenario",
    "alpha",
    "budgets",
    "solver",
    "plain LP",
    "1 leaf",
    "certified",
    "leaves",
    "CPU s, 1 leaf",
    "all",
)


def compiled(cell: Cell) -> Network:
    """The network of a cell."""
    name, alpha, budgets = cell
    scaled = [f"nodes.{node.name}.budget={budgets * node.budget}" for node in load_scenario(name).nodes]
    return Network.compile(load_scenario(name, [f"accuracy_weight={alpha}", *scaled]))


def searched(network: Network, trace: Trace, time_limit: float, leaves: int) -> tuple[Solution, float]:
    """A solution and the CPU seconds it took."""
    began = time.process_time()
    solution = solve(network, trace, gap=GAP, time_limit=time_limit, leaves=leaves)
    return solution, time.process_time() - began


def measured(cell: Cell, slots: int, seed: int, time_limit: float, leaves: int | None) -> dict[str, Any]:
    """A row as JSON values; gaps are shares of the solver's bound."""
    network = compiled(cell)
    trace = draw(network, slots, seed)
    leaves = default_leaves(network) if leaves is None else leaves
    one, one_s = searched(network, trace, time_limit, 1)
    best, best_s = searched(network, trace, time_limit, leaves) if leaves > 1 else (one, one_s)
    bound = min(one.bound, best.bound)
    return {
        **dict(zip(("scenario", "alpha", "budgets"), cell, strict=True)),
        "solver": 1.0 - max(one.gain, best.gain) / bound,
        "plain": best.fractional_bound / bound - 1.0,
        "one_leaf": one.certified_bound / bound - 1.0,
        "certified": best.certified_bound / bound - 1.0,
        "leaves": len(best.certificate.leaves),
        "status": [one.status, best.status],
        "cpu_seconds": [one_s, best_s],
    }


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    gaps = [f"{abs(row[key]):.3%}" for key in ("solver", "plain", "one_leaf", "certified")]
    seconds = [f"{cpu:.1f}" for cpu in row["cpu_seconds"]]
    cells = [row["scenario"], f"{row['alpha']:g}", f"{row['budgets']:g}", *gaps, str(row["leaves"]), *seconds]
    return f"| {' | '.join(cells)} |"


HEADER = f"| {' | '.join(COLUMNS)} |\n" + "|---" * len(COLUMNS) + "|"


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored."""
    return {"certified": "\n".join([HEADER, *map(line, document["rows"])])}


def main() -> None:
    """Print the table, and write JSON if asked, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--scenario", help="one cell of this scenario; default: all cells")
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--budgets", type=float, default=1.0, help="factor on every node's budget")
    parser.add_argument("--leaves", type=int, help="of a tree, at most; default: those of `optimum`")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    cells = ((options.scenario, options.alpha, options.budgets),) if options.scenario else CELLS
    compiling = compiled(CELLS[0])
    solve(compiling, draw(compiling, 1, 0), gap=0.0)
    about = {
        "slots": options.slots,
        "seed": options.seed,
        "gap": GAP,
        "time_limit": options.time_limit,
    }
    print(HEADER)
    rows = []
    for cell in cells:
        rows.append(measured(cell, options.slots, options.seed, options.time_limit, options.leaves))
        print(line(rows[-1]), flush=True)
        if options.output:
            store(options.output, {**about, "rows": rows}, unfinished=len(rows) < len(cells))


if __name__ == "__main__":
    main()
