"""Chains: what ways to place them reach of a proven bound, and the gap of the optimum beside a monolithic program's.

    python benchmarks/chains.py [--scenario NAME ...] [--slots 60] [--limit 120] [--output FILE.json]

The tables of docs/chains.md. Scenarios: the packaged chains, and `large`, Topology I with its 20 tasks in ten chains of
two stages, each of ten variants: 36 nodes, 240 request types. Shares are of the certified bound on the net gain of all
static allocations over the slots; rounded ones are means of 20 draws. The monolithic program has a unit flow per type
and slot, and one integer variable per placement; the same solver, the same seconds. Compiling is done before.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from idn_agents.infida.infida import Infida
from idn_agents.optimum.search import solve
from idn_agents.optimum.solution import Solution
from idn_agents.rounding.whole_routes import draw_routes
from idn_agents.routes import fill_by_routes
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array
from stored import RESULTS, markdown, store

from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.model.routed import RoutedService
from idn_gym.scenario import parse
from idn_gym.typing import FloatArray
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

PACKAGED = ("pipeline-video", "partition-resnet", "draft-and-verify")
LARGE = "large"
_DRAWS = 20
_PASSES = 10  # of INFIDA over the slots


def network_of(name: str) -> Network:
    """A packaged network, or the large one."""
    if name != LARGE:
        return Network.compile(load_scenario(name))
    values = load_scenario("topology-1-fixed").to_dict()
    tasks = values["tasks"]
    values["services"] = [
        {"name": f"{first}-{then}", "stages": [first, then]}
        for first, then in zip(tasks[::2], tasks[1::2], strict=True)
    ]
    return Network.compile(parse(values, LARGE))


def lazy_greedy(network: Network, trace: Trace) -> FloatArray:
    """(P,) one placement after the other, by marginal gain per MB, until none gains."""
    load, held, left = kernels.loads(network, trace.requests), np.zeros(network.P), room(network.budgets)
    while True:
        open_ = np.flatnonzero(network.fits & (held == 0.0) & (network.sizes <= left[network.placement_node]))
        gains = kernels.marginal_gains(network, trace.requests, trace.capacities, held, load, open_)
        if not len(open_) or gains.max() <= 0.0:
            return held
        p = open_[(gains / network.sizes[open_]).argmax()]
        held[p] = 1.0
        left[network.placement_node[p]] -= network.sizes[p]


def whole_routes(network: Network, trace: Trace) -> FloatArray:
    """(P,) the greedy that adds whole routes."""
    held, load = np.zeros(network.P), kernels.loads(network, trace.requests)
    fill_by_routes(network, trace.requests, trace.capacities, load, held.copy(), np.ones(network.P), held)
    return held


def infida_state(network: Network, trace: Trace) -> FloatArray:
    """(P,) where INFIDA is after passes over the trace."""
    agent = Infida()
    agent.reset(network, 0)
    for _ in range(_PASSES):
        for t, requests in enumerate(trace.requests):
            agent.act(observe(network, requests, trace.capacities_at(t), np.zeros(network.P)))
    return agent.fractional.copy()


class Monolithic(NamedTuple):
    """What one integer program came to; None where it found nothing in time."""

    variables: int
    gain: float | None  # ms, of the allocation found
    gap: float | None
    seconds: float


def monolithic(network: Network, trace: Trace, limit: float) -> Monolithic:
    """A flow per type and slot over the arcs of its chain, or over its options; what is placed bounds each arc."""
    service = network.service
    assert isinstance(service, RoutedService)
    chains = service.chains
    slots = range(trace.slots)
    cost, rows, columns, values = [np.zeros(network.P)], [], [], []
    equal_rows, equal_columns, equal_values, supply = [], [], [], []
    at, row, equal, alone = network.P, 0, 0, 0.0
    index = {int(rho): c for c, rho in enumerate(chains.types)}

    def limits(first: int, places: Any, shares: FloatArray) -> None:
        nonlocal row
        own = np.flatnonzero(places < network.P)
        number = row + np.arange(len(own))
        for column, value in ((first + own, np.ones(len(own))), (places[own], -shares[places[own]])):
            rows.append(number)
            columns.append(column)
            values.append(value)
        row += len(own)

    for t in slots:
        shares = service.shares(trace.requests[t], trace.capacities_at(t))
        for rho in np.flatnonzero(trace.requests[t]):
            r = trace.requests[t, rho]
            own = shares[service.type_class[rho]]
            if rho in index:
                c = index[rho]
                edges = np.arange(chains.edge_start[c], chains.edge_start[c + 1])
                count = np.diff(chains.member_start)[edges]
                tail, head = (
                    np.repeat(ends[edges], np.maximum(count, 1)) for ends in (chains.edge_tail, chains.edge_head)
                )
                places = np.full(len(tail), network.P)
                costs = np.repeat(chains.edge_cost[edges], np.maximum(count, 1))
                members = np.arange(chains.member_start[edges[0]], chains.member_start[edges[-1] + 1])
                serves = np.repeat(count > 0, np.maximum(count, 1))
                places[serves], costs[serves] = chains.member_placement[members], chains.member_cost[members]
                states = int(chains.state_start[c + 1] - chains.state_start[c])
                n = len(tail)
                equal_rows.append(equal + np.concatenate([tail, head]))
                equal_columns.append(at + np.tile(np.arange(n), 2))
                equal_values.append(np.repeat([1.0, -1.0], n))
                balance = np.zeros(states)
                balance[0], balance[-1] = 1.0, -1.0
                supply.append(balance)
                equal += states
                alone += r * chains.repository_cost[c]
            else:
                n = int(service.option_count[rho])
                places, costs = service.options[rho, :n].copy(), service.costs[rho, :n]
                places[-1] = network.P
                equal_rows.append(np.full(n, equal))
                equal_columns.append(at + np.arange(n))
                equal_values.append(np.ones(n))
                supply.append(np.ones(1))
                equal += 1
                alone += r * costs[-1]
            limits(at, places, own)
            cost.append(r * costs)
            at += n
    for v in range(network.V):
        here = np.flatnonzero((network.placement_node == v) & network.fits)
        rows.append(np.full(len(here), row + v))
        columns.append(here)
        values.append(network.sizes[here])
    upper = np.concatenate([np.zeros(row), network.budgets])

    def matrix(value: Any, number: Any, column: Any, height: int) -> csr_array:
        parts = np.concatenate(value), (np.concatenate(number), np.concatenate(column))
        return csr_array(parts, shape=(height, at))

    begun = time.monotonic()
    solved = milp(
        np.concatenate(cost),
        integrality=np.arange(at) < network.P,
        bounds=Bounds(0.0, np.concatenate([network.fits.astype(np.float64), np.ones(at - network.P)])),
        constraints=[
            LinearConstraint(matrix(values, rows, columns, len(upper)), -np.inf, upper),
            LinearConstraint(matrix(equal_values, equal_rows, equal_columns, equal), *[np.concatenate(supply)] * 2),
        ],
        options={"time_limit": limit, "mip_rel_gap": 0.001},
    )
    seconds = time.monotonic() - begun
    if solved.x is None:
        return Monolithic(at, None, None, seconds)
    gain, bound = alone - solved.fun, alone - solved.mip_dual_bound
    return Monolithic(at, float(gain), float(1.0 - gain / bound), seconds)


def row_of(name: str, slots: int, limit: float) -> tuple[dict[str, str], dict[str, str]]:
    """A row of each table."""
    network = network_of(name)
    trace = draw(network, slots, 0)
    solve(network, draw(network, 2, 1), gap=0.5, time_limit=30.0)  # compiles
    solution: Solution = solve(network, trace, gap=0.001, time_limit=limit)
    bound = solution.certified_bound

    def share(*allocations: FloatArray) -> str:
        gains = [
            kernels.gain(network, trace.requests, trace.capacities, np.asarray(y, dtype=np.float64)[None]).sum()
            for y in allocations
        ]
        return f"{np.mean(gains) / bound:.2f}"

    state = infida_state(network, trace)
    generator, mean = np.random.default_rng(0), trace.requests.mean(axis=0)
    uniforms = generator.random((_DRAWS, network.P))
    dependent = kernels.round_dependent(network, np.repeat(state[None], _DRAWS, axis=0), uniforms)
    routes = [draw_routes(network, mean, network.capacities, state[None], generator) for _ in range(_DRAWS)]
    shares = {
        "scenario": f"`{name}`",
        "lazy greedy": share(lazy_greedy(network, trace)),
        "whole-route greedy": share(whole_routes(network, trace)),
        "INFIDA's state": share(state),
        "rounded, dependent": share(*dependent),
        "rounded, whole routes": share(*routes),
        "optimum found": share(solution.allocation),
        "fractional optimum": f"{solution.fractional_gain / bound:.2f}",
    }
    whole = monolithic(network, trace, max(limit, 1.0))
    gaps = {
        "scenario": f"`{name}`",
        "nodes, types, placements": f"{network.V}, {network.R}, {network.P}",
        "gap": f"{solution.gap:.2%}",
        "certified gap": f"{1.0 - solution.reached / bound:.2%}",
        "leaves": str(len(solution.certificate.leaves)),
        "seconds": f"{solution.seconds:.0f}",
        "monolithic: variables": f"{whole.variables:,}",
        "monolithic: gap": "nothing found" if whole.gap is None else f"{whole.gap:.2%}",
        "monolithic: seconds": f"{whole.seconds:.0f}",
    }
    return shares, gaps


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown: what each way of placing loses, and what the optimum takes."""
    parts = {part: document[part] for part in ("shares", "gaps")}
    return {part: markdown(list(rows[0]), [list(row.values()) for row in rows]) for part, rows in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", nargs="+", choices=[*PACKAGED, LARGE], default=[*PACKAGED, LARGE])
    parser.add_argument("--slots", type=int, default=60)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for each way to the optimum")
    parser.add_argument("--output", type=Path, default=RESULTS / "chains.json")
    options = parser.parse_args()
    document: dict[str, list[dict[str, str]]] = {"shares": [], "gaps": []}
    for name in options.scenario:
        for part, row in zip(("shares", "gaps"), row_of(name, options.slots, options.limit), strict=True):
            document[part].append(row)
        print(*tables(document).values(), sep="\n\n", flush=True)
        store(options.output, document, unfinished=name != options.scenario[-1])


if __name__ == "__main__":
    main()
