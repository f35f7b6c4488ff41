"""The static optimum: against the golden cases, brute force and one monolithic MILP; its bounds against both."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from idn_agents.optimum.certificate import Certificate, certified_bound
from idn_agents.optimum.optimum import Optimum
from idn_agents.optimum.search import solve
from idn_agents.optimum.solution import Solution
from instances import random_network
from scipy.optimize import Bounds, LinearConstraint, milp

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model import allocation, gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import read_trace


def total_gain(network: Network, trace: Trace, held: np.ndarray) -> float:
    """By the readable reference, slot by slot."""
    return sum(
        gain.allocation_gain(network, trace.requests[t], trace.capacities_at(t), held) for t in range(trace.slots)
    )


def brute_force(network: Network, trace: Trace) -> float:
    """Gain of the best of all feasible allocations."""
    per_node = []
    for v in range(network.V):
        here = np.arange(network.node_start[v], network.node_start[v + 1])
        choices = [np.array(bits) for bits in itertools.product((0.0, 1.0), repeat=len(here))]
        fitting = [bits for bits in choices if bits @ network.sizes[here] <= network.budgets[v] * (1 + 1e-9)]
        per_node.append([b for b in fitting if not any((c >= b).all() and (c > b).any() for c in fitting)])
    return max(total_gain(network, trace, np.concatenate(nodes)) for nodes in itertools.product(*per_node))


def monolithic(network: Network, trace: Trace) -> float:
    """The whole problem as one MILP: x integral, z requests served per slot, type and rank; service at least cost."""
    objective, blocks, limits = [np.zeros(network.P)], [], []
    for t in range(trace.slots):
        potential = network.service.potential_capacities(trace.requests[t], trace.capacities_at(t))
        for rho in np.flatnonzero(trace.requests[t]):
            ranks = int(network.service.option_count[rho]) - 1
            objective.append(network.service.costs[rho, :ranks] - network.service.costs[rho, -1])
            blocks.append((network.service.options[rho, :ranks], potential[rho, :ranks], float(trace.requests[t, rho])))
    n = sum(map(len, objective))
    rows, at = [], network.P
    for placements, potential, requests in blocks:
        cover = np.zeros(n)
        cover[at : at + len(placements)] = 1.0
        rows.append(cover)
        limits.append(requests)
        for k, p in enumerate(placements):
            row = np.zeros(n)
            row[at + k], row[p] = 1.0, -potential[k]
            rows.append(row)
            limits.append(0.0)
        at += len(placements)
    for v in range(network.V):
        row = np.zeros(n)
        here = slice(int(network.node_start[v]), int(network.node_start[v + 1]))
        row[here] = network.sizes[here]
        rows.append(row)
        limits.append(float(network.budgets[v]))
    upper = np.concatenate([network.fits.astype(float), np.full(n - network.P, np.inf)])
    solved = milp(
        np.concatenate(objective),
        integrality=(np.arange(n) < network.P).astype(int),
        bounds=Bounds(np.zeros(n), upper),
        constraints=LinearConstraint(np.array(rows), -np.inf, np.array(limits)),
        options={"mip_rel_gap": 0.0},
    )
    return -float(solved.fun)


def small_cases() -> list[tuple[Network, Trace]]:
    cases = []
    for seed in range(60):
        network = random_network(seed, ties=seed % 2 == 0)
        if network.P > 14 or network.P == 0:
            continue
        generator = np.random.default_rng(seed)
        requests = generator.integers(0, 12, (4, network.R)).astype(float)
        varying = network.capacities * generator.uniform(0.0, 1.5, (4, network.P))
        cases.append((network, Trace(requests, varying if seed % 3 == 0 else network.capacities[None])))
    return cases


CASES = small_cases()


def is_consistent(network: Network, trace: Trace, solution: Solution) -> None:
    """What holds of every solution, however it ended."""
    allocation.check(network, solution.allocation, integral=True)
    assert solution.gain == pytest.approx(total_gain(network, trace, solution.allocation), rel=1e-9, abs=1e-9)
    assert solution.gain <= solution.bound
    assert solution.gain <= solution.certified_bound
    expected = (solution.bound - solution.gain) / solution.bound if solution.bound else 0.0
    assert solution.gap == pytest.approx(expected, abs=1e-12)


def test_there_are_enough_small_cases() -> None:
    assert len(CASES) >= 20
    assert sum(len(trace.capacities) > 1 for _, trace in CASES) >= 5


def test_golden(golden: Path) -> None:
    network = Network.compile(load_scenario(golden / "scenario.json"))
    trace = read_trace(network, golden / "requests.csv")
    solution = solve(network, trace, gap=0.0)
    is_consistent(network, trace, solution)
    expected = json.loads((golden / "expected.json").read_text())["optimum"]["gain"]
    assert solution.gain == pytest.approx(expected, rel=1e-9)
    assert solution.bound == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_brute_force_and_bounds(case: int) -> None:
    network, trace = CASES[case]
    best = brute_force(network, trace)
    solution = solve(network, trace, gap=0.0)
    is_consistent(network, trace, solution)
    assert solution.gain == pytest.approx(best, rel=1e-8, abs=1e-9)
    assert solution.status == "optimal"
    assert solution.bound >= best * (1 - 1e-12)
    assert solution.certified_bound >= best * (1 - 1e-12)
    recomputed = certified_bound(network, trace, solution.certificate)
    assert recomputed >= best * (1 - 1e-12)
    assert recomputed == pytest.approx(solution.certified_bound, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("case", range(0, len(CASES), 4))
def test_any_certificate_bounds_the_optimum(case: int) -> None:
    """Points and weights drawn at random: a poor bound, never a false one."""
    network, trace = CASES[case]
    best = brute_force(network, trace)
    generator = np.random.default_rng(case)
    for _ in range(5):
        points = generator.random((3, network.P)) * generator.integers(0, 2, (3, network.P))
        weights = generator.normal(0.3, 0.5, (3, network.R))
        bound = certified_bound(network, trace, Certificate.of(points, weights))
        assert bound >= best * (1 - 1e-12) - 1e-9  # the rounding of a float sum, gains being of order 100


def test_monolithic_milp_on_tiny() -> None:
    network = Network.compile(load_scenario("tiny"))
    trace = draw(network, 8, 1)
    solution = solve(network, trace, gap=0.0)
    assert solution.gain == pytest.approx(monolithic(network, trace), rel=1e-7)


def test_gain_never_falls_and_bound_never_rises() -> None:
    network = Network.compile(load_scenario("topology-2-sliding"))
    told: list[tuple[float, float]] = []
    trace = draw(network, 30, 0)
    solution = solve(network, trace, gap=0.005, time_limit=20.0, progress=lambda g, b, phase: told.append((g, b)))
    gains, bounds = zip(*told, strict=True)
    assert list(gains) == sorted(gains)
    assert list(bounds) == sorted(bounds, reverse=True)
    assert (solution.gain, solution.bound) == told[-1]
    is_consistent(network, trace, solution)


def test_no_agent_exceeds_the_bound_with_one_allocation() -> None:
    network = Network.compile(load_scenario("tiny"))
    trace = draw(network, 20, 5)
    bound = solve(network, trace, gap=0.5).bound  # stops early: the bound has to hold all the same
    generator = np.random.default_rng(0)
    for _ in range(200):
        held = allocation.pack(network, generator.random(network.P))
        assert total_gain(network, trace, held) <= bound


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_with_a_time_limit_there_is_always_an_allocation(seconds: float) -> None:
    network = Network.compile(load_scenario("topology-1-fixed"))
    trace = draw(network, 20, 0)
    solution = solve(network, trace, gap=1e-6, time_limit=seconds)
    is_consistent(network, trace, solution)
    assert solution.status == "time limit"
    assert solution.gap > 1e-6


def test_optimal_is_said_only_within_the_gap() -> None:
    network, trace = CASES[0]
    wide = solve(network, trace, gap=1.0)
    is_consistent(network, trace, wide)
    assert wide.status == "optimal"
    assert wide.gap <= 1.0


def test_replicas() -> None:
    network = Network.compile(load_scenario("tiny", ["replicas=2", "nodes.co.budget=2", "nodes.bs1.budget=2"]))
    trace = draw(network, 3, 0)
    assert solve(network, trace, gap=0.0).gain == pytest.approx(monolithic(network, trace), rel=1e-7)


def test_without_requests_or_room() -> None:
    network = Network.compile(load_scenario("tiny"))
    nothing = solve(network, Trace(np.zeros((3, network.R)), network.capacities[None]))
    assert (nothing.gain, nothing.bound, nothing.certified_bound, nothing.gap, nothing.status) == (
        0,
        0,
        0,
        0,
        "optimal",
    )
    budgets = [f"nodes.{node}.budget=0.5" for node in ("co", "bs0", "bs1")]
    cramped = Network.compile(load_scenario("tiny", budgets))
    assert solve(cramped, draw(cramped, 3, 0)).gain == 0.0


def test_a_size_next_to_nothing() -> None:
    """How often it fits is no number of a machine; the other models still share the budget."""
    keep = [f"models.cars/small.profiles.{processor}.size=1e-300" for processor in ("edge", "server")]
    network = Network.compile(load_scenario("tiny", keep))
    trace = draw(network, 5, 0)
    assert solve(network, trace, gap=0.0).gain == pytest.approx(monolithic(network, trace), rel=1e-7)


def test_loads_of_other_slots_are_refused() -> None:
    network = Network.compile(load_scenario("tiny"))
    trace = draw(network, 5, 0)
    nothing, load = np.zeros(network.P), kernels.loads(network, trace.requests[:3])
    with pytest.raises(IdnError, match="load: shape"):
        kernels.type_cuts(network, trace.requests, trace.capacities, nothing, load)
    with pytest.raises(IdnError, match="load: shape"):
        kernels.marginal_gains(network, trace.requests, trace.capacities, nothing, load, [0])


def test_without_placements() -> None:
    values = load_scenario("tiny").to_dict()
    everything = [model["name"] for model in values["models"]]
    for node in values["nodes"]:
        node |= {"repository": everything} if node["name"] == "cloud" else {"processor": "none", "budget": 0.0}
    network = Network.compile(parse(values, "tiny"))
    assert network.P == 0
    solution = solve(network, draw(network, 3, 0))
    assert (solution.gain, solution.bound, solution.certified_bound, solution.status) == (0.0, 0.0, 0.0, "optimal")


def test_the_same_twice() -> None:
    network = Network.compile(load_scenario("abilene-sliding"))
    trace = draw(network, 10, 0)
    first, again = (solve(network, trace, gap=0.01) for _ in range(2))
    assert (first.gain, first.bound, first.certified_bound) == (again.gain, again.bound, again.certified_bound)
    assert first.allocation.tolist() == again.allocation.tolist()


def test_agent_and_its_parameters() -> None:
    network, trace = CASES[1]
    agent = Optimum(gap=0.0, time_limit=None)
    agent.reset(network, 0)
    agent.fit(trace)
    assert total_gain(network, trace, agent.act({})) == pytest.approx(agent.info()["gain"], rel=1e-9)
    proven = {"gain", "bound", "certified_bound", "fractional_gain", "fractional_bound", "gap", "status", "seconds"}
    assert set(agent.info()) == proven
    for wrong in ({"gap": -1.0}, {"gap": 2.0}, {"time_limit": -1.0}):
        with pytest.raises(IdnError, match=next(iter(wrong))):
            Optimum(**wrong)
