"""How fast the gap of the static optimum closes: cutting planes, and one monolithic MILP where that can be built.

    python benchmarks/optimum.py [--output FILE.json] [--plot FILE.png] [--factor 1.0]

Each row is one run in a process of its own, on one thread; just-in-time compiling is done before the clock starts. The
clock counts the process's CPU time, so that others on the machine do not matter; time limits are by the wall's. The
monolithic MILP serves every request of every slot at least cost, so it grows with the slots: it is only tried on the
few, with the same HiGHS, relative gap and time limit; in three minutes it took 20 GB. `--factor` shortens the limits.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highspy
import numpy as np
from idn_agents.optimum.certificate_file import read_certificate, verify, write_certificate
from idn_agents.optimum.search import solve
from scipy import sparse
from stored import stamp, write

from idn_gym.common.figures import PALETTE, new_axes, new_figure, save
from idn_gym.common.labels import Name, label_ends
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

SEED = 0
MARKS = (2, 5, 10, 30, 60, 180)  # CPU seconds at which the table reads the gap
Series = list[tuple[float, float, float]]  # seconds, gain and bound in ms


def cutting_planes(network: Network, trace: Trace, gap: float, time_limit: float) -> dict[str, Any]:
    """Gain and bound over time of `solve`."""
    solve(network, trace.head(1), gap=1e-4, time_limit=5.0)  # compiles
    series: Series = []
    began = time.process_time()
    solution = solve(
        network,
        trace,
        gap=gap,
        time_limit=time_limit,
        progress=lambda g, b, _: series.append((time.process_time() - began, g, b)),
    )
    cpu = time.process_time() - began
    spec = RunSpec(network.scenario, AgentSpec("optimum"), seed=SEED, slots=trace.slots)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.json"
        write_certificate(file, spec, network, trace, solution.allocation, solution.certificate)
        began = time.process_time()
        assert not verify(network, trace, read_certificate(file)).faults
        checked = {"certificate_kb": file.stat().st_size / 1e3, "verify_seconds": time.process_time() - began}
    return {**solution.info(), **checked, "cpu_seconds": cpu, "series": series}


def monolithic(network: Network, trace: Trace, gap: float, time_limit: float) -> dict[str, Any]:
    """Gain and bound over time of one MILP: y what is placed, w the share of each slot's batch that an option serves.

    It maximises sum r (repository's cost - cost) w with w <= a y per option and sum w <= 1 per slot and type.
    """
    began = time.process_time()
    real = network.service.options < network.P
    slots, types, ranks = np.nonzero((trace.requests > 0)[:, :, None] & real)
    placement = network.service.options[types, ranks]
    shares = np.array([network.service.shares(r, trace.capacities_at(t))[0] for t, r in enumerate(trace.requests)])
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
    saved = trace.requests[slots, types] * (network.service.costs[types, -1] - network.service.costs[types, ranks])

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
    model.setOptionValue("time_limit", time_limit - (time.process_time() - began))
    series: Series = []

    def note(event: Any) -> None:
        state = (max(event.data_out.mip_primal_bound, 0.0) / scale, event.data_out.mip_dual_bound / scale)
        if np.isfinite(state).all() and (not series or state != series[-1][1:]):
            series.append((time.process_time() - began, *state))

    model.cbMipInterrupt += note
    model.run()
    info = model.getInfo()
    best, bound = max(info.objective_function_value, 0.0) / scale, info.mip_dual_bound / scale
    seconds = time.process_time() - began
    series.append((seconds, best, bound))
    closed = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
    found = {"gain": best, "bound": bound, "gap": 1.0 - best / bound, "cpu_seconds": seconds}
    return {**found, "status": "optimal" if closed else "time limit", "series": series}


METHODS = {"cutting planes": cutting_planes, "monolithic MILP": monolithic}


@dataclass(frozen=True)
class Case:
    """One row: a method on the first slots of a stream, until a gap or a time limit."""

    method: str
    slots: int
    gap: float
    time_limit: float
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For the table and the plot."""
        return f"{self.method}, {self.slots} slots{', ' if self.overrides else ''}{', '.join(self.overrides)}"


SCENARIO = "topology-1-sliding"
CASES = (
    Case("cutting planes", 10, 0.001, 60.0),
    Case("monolithic MILP", 10, 0.001, 60.0),
    Case("cutting planes", 600, 0.003, 300.0),
    Case("cutting planes", 60, 0.01, 600.0, ("replicas=3",)),
)


def measured(case: Case, factor: float) -> dict[str, Any]:
    """A row as JSON values, with the peak memory of the process that it ran in."""
    network = Network.compile(load_scenario(SCENARIO, case.overrides))
    result = METHODS[case.method](network, draw(network, case.slots, SEED), case.gap, factor * case.time_limit)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"case": case.name, "asked": case.gap, **result, "peak_mb": memory}


def gap_at(series: Series, seconds: float) -> float:
    """Relative gap that was proven after so many seconds."""
    gaps = [1.0 - gain / bound for when, gain, bound in series if when <= seconds]
    return min(gaps, default=1.0)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored."""
    return {"gaps": "\n".join([header(), *map(line, document["rows"])])}


def header() -> str:
    """The first two rows of the table."""
    marks = [f"gap at {mark} s" for mark in MARKS]
    columns = ["case", "asked", *marks, "plain LP", "certified", "CPU s", "peak MB", "certificate, verify", "status"]
    return f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|"


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    gaps = [f"{gap_at(row['series'], mark):.2%}" for mark in MARKS]
    bounds = [row.get(key) for key in ("fractional_bound", "certified_bound")]
    gaps += ["-" if bound is None else f"{(bound - row['gain']) / bound:.2%}" for bound in bounds]
    file = f"{row['certificate_kb']:.0f} kB, {row['verify_seconds']:.1f} s" if "certificate_kb" in row else "-"
    cells = [row["case"], f"{row['asked']:.1%}", *gaps, f"{row['cpu_seconds']:.1f}", f"{row['peak_mb']:.0f}", file]
    return f"| {' | '.join([*cells, row['status']])} |"


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """The gap over time, both logarithmic, as PNG."""
    axes = new_axes(
        figure := new_figure(1000, 560, 160),
        (0.075, 0.11, 0.62, 0.8),
        "seconds of one core",
        "proven gap (%)",
        f"{SCENARIO}, seed {SEED}",
    )
    ends = []
    latest = max(row["series"][-1][0] for row in rows)
    for colour, row in zip(PALETTE, rows, strict=False):
        seconds, gains, bounds = np.array(row["series"]).T
        gaps = np.minimum.accumulate(100.0 * (1.0 - gains / bounds))
        axes.step([*seconds, latest], [*gaps, gaps[-1]], where="post", color=colour, linewidth=1.6)
        ends.append(Name(f"{row['case']}  {gaps[-1]:.3g} %", float(np.log10(gaps[-1])), colour))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.2, latest)
    axes.set_ylim(0.05, 100.0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    twin = axes.twinx()  # labels are placed on a linear axis: that of the logarithms
    twin.set_ylim(np.log10(0.05), 2.0)
    twin.set_axis_off()
    label_ends(twin, ends)
    save(figure, str(file))


def main() -> None:
    """Run, print the table, and write JSON and the plot if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--factor", type=float, default=1.0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = "1"
    about = {**stamp(), "scenario": SCENARIO, "seed": SEED}
    print(", ".join(f"{key}: {value}" for key, value in about.items()) + "\n")
    print(header())
    rows = []
    for case in CASES:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            row = alone.submit(measured, case, options.factor).result()
        rows.append(row)
        print(line(row), flush=True)
    if options.output:
        write(options.output, {**about, "rows": rows})
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
