"""How fast the gap of the static optimum closes: cutting planes, and one monolithic MILP where that can be built.

    python benchmarks/optimum.py [--output FILE.json] [--time-limit 60] [--scenario topology-1-sliding]

Each row is one run in a process of its own, on one thread; just-in-time compiling is done before the clock starts. The
monolithic MILP serves every request of every slot at least cost, so it grows with the slots: it is only tried on the
few. Both use the same HiGHS, time limit and relative gap.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import highspy
import numpy as np
from idn_agents.optimum import solve
from scipy import sparse

from idn_gym import gain
from idn_gym.network import Network
from idn_gym.records import versions
from idn_gym.scenario_file import load_scenario
from idn_gym.trace import Trace
from idn_gym.workload import draw

SEED = 0
FEW, MANY = 10, 600
MARKS = (2, 5, 10, 20, 30, 60)  # seconds at which the table reads the gap
Series = list[tuple[float, float, float]]  # seconds, gain and bound in ms


def cutting_planes(network: Network, trace: Trace, gap: float, time_limit: float) -> dict[str, Any]:
    """Gain and bound over time of `solve`."""
    solve(network, trace.head(1), gap=1e-4, time_limit=5.0)  # compiles
    series: Series = []
    began = time.perf_counter()
    solution = solve(
        network, trace, gap, time_limit, lambda g, b, _: series.append((time.perf_counter() - began, g, b))
    )
    return {**solution.info(), "series": series}


def monolithic(network: Network, trace: Trace, gap: float, time_limit: float) -> dict[str, Any]:
    """Gain and bound over time of one MILP: y what is placed, w the share of each slot's batch that an option serves.

    It maximises sum r (repository's cost - cost) w with w <= a y per option and sum w <= 1 per slot and type.
    """
    began = time.perf_counter()
    real = network.options < network.P
    slots, types, ranks = np.nonzero((trace.requests > 0)[:, :, None] & real)
    placement = network.options[types, ranks]
    shares = np.array([gain.shares(network, r, trace.capacities_at(t)) for t, r in enumerate(trace.requests)])
    n, columns = len(slots), network.P + len(slots)
    each = np.arange(n)
    serves = sparse.csr_matrix(
        (
            np.concatenate((np.ones(n), -shares[slots, placement])),
            (np.tile(each, 2), np.append(network.P + each, placement)),
        ),
        shape=(n, columns),
    )
    batch = np.unique(slots * network.R + types, return_inverse=True)[1]
    covers = sparse.csr_matrix((np.ones(n), (batch, network.P + each)), shape=(batch.max() + 1, columns))
    fits = sparse.csr_matrix(
        (network.sizes, (network.placement_node, np.arange(network.P))), shape=(network.V, columns)
    )
    matrix = sparse.vstack((serves, covers, fits), format="csr")
    upper = np.concatenate((np.zeros(n), np.ones(covers.shape[0]), network.budgets))
    saved = trace.requests[slots, types] * (network.costs[types, -1] - network.costs[types, ranks])

    model = highspy.Highs()
    model.silent()
    limits = np.append(network.fits.astype(np.float64), np.ones(n))
    scale = 1e4 / saved.sum()
    model.addVars(columns, np.zeros(columns), limits)
    index = np.arange(columns, dtype=np.int32)
    model.changeColsCost(columns, index, np.append(np.zeros(network.P), saved * scale))
    integer = np.full(network.P, highspy.HighsVarType.kInteger)
    model.changeColsIntegrality(network.P, index[: network.P], integer)
    model.changeObjectiveSense(highspy.ObjSense.kMaximize)
    starts = matrix.indptr[:-1].astype(np.int32)
    lower = np.full(len(upper), -highspy.kHighsInf)
    model.addRows(len(upper), lower, upper, matrix.nnz, starts, matrix.indices.astype(np.int32), matrix.data)
    model.setOptionValue("threads", 1)
    model.setOptionValue("mip_rel_gap", gap)
    model.setOptionValue("time_limit", time_limit - (time.perf_counter() - began))
    series: Series = []

    def note(event: Any) -> None:
        state = (max(event.data_out.mip_primal_bound, 0.0) / scale, event.data_out.mip_dual_bound / scale)
        if np.isfinite(state).all() and (not series or state != series[-1][1:]):
            series.append((time.perf_counter() - began, *state))

    model.cbMipInterrupt += note
    model.run()
    info = model.getInfo()
    best, bound = max(info.objective_function_value, 0.0) / scale, info.mip_dual_bound / scale
    seconds = time.perf_counter() - began
    series.append((seconds, best, bound))
    closed = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
    found = {"gain": best, "bound": bound, "gap": (bound - best) / bound, "seconds": seconds}
    return {**found, "status": "optimal" if closed else "time limit", "series": series}


METHODS = {"cutting planes": cutting_planes, "monolithic MILP": monolithic}


def measured(method: str, scenario: str, slots: int, gap: float, time_limit: float) -> dict[str, Any]:
    """One row: the method's result on the first slots of the stream."""
    network = Network.compile(load_scenario(scenario))
    result = METHODS[method](network, draw(network, slots, SEED), gap, time_limit)
    return {"method": method, "scenario": scenario, "slots": slots, **result}


def gap_at(series: Series, seconds: float) -> float:
    """Relative gap that was proven after so many seconds."""
    gaps = [(bound - gain) / bound for when, gain, bound in series if when <= seconds]
    return min(gaps, default=1.0)


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    gaps = [f"{gap_at(row['series'], mark):.2%}" for mark in MARKS]
    certified = row.get("certified_bound")
    last = "-" if certified is None else f"{(certified - row['gain']) / certified:.2%}"
    cells = [row["method"], str(row["slots"]), *gaps, last, f"{row['seconds']:.1f}", row["status"]]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run, print the table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", default="topology-1-sliding")
    parser.add_argument("--gap", type=float, default=0.001)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = "1"
    about = {
        "command": " ".join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "seed": SEED,
    }
    print(", ".join(f"{key}: {value}" for key, value in about.items()) + "\n")
    print(f"| method | slots | {' | '.join(f'gap at {mark} s' for mark in MARKS)} | certified | seconds | status |")
    print("|---" * (len(MARKS) + 5) + "|")
    rows = []
    for method, slots in (("cutting planes", FEW), ("monolithic MILP", FEW), ("cutting planes", MANY)):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            row = alone.submit(measured, method, options.scenario, slots, options.gap, options.time_limit).result()
        rows.append(row)
        print(line(row), flush=True)
    if options.output:
        options.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
