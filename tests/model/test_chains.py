"""Chains: the reference and the kernels against linear programs over all routes, and against the golden case."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_instances import chain_scenario, least_cost, shares, ways

from idn_gym import kernels
from idn_gym.model import gain as model_gain
from idn_gym.model.allocation_file import read_allocation
from idn_gym.model.network import Network
from idn_gym.model.routed import RoutedService
from idn_gym.scenario import parse
from idn_gym.workload.trace_file import read_trace

SEEDS = range(24)
GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "chains"


@cache
def instance(seed: int) -> tuple[dict[str, Any], Network]:
    data = chain_scenario(seed)
    return data, Network.compile(parse(data, "chains"))


def batch(network: Network, draw: np.random.Generator) -> np.ndarray:
    """Requests of a slot: some types without any, tight and loose."""
    scale = draw.choice([2.0, 30.0])
    return np.asarray(draw.integers(0, 3, network.R) * scale)


def point(network: Network, draw: np.random.Generator) -> np.ndarray:
    """An allocation: integral, sparse or full of fractions."""
    kind = draw.integers(3)
    if kind == 0:
        return (draw.random(network.P) < 0.4).astype(np.float64)
    return np.asarray(draw.random(network.P) * (draw.random(network.P) < (0.4 if kind == 1 else 1.0)))


def expected(data: dict[str, Any], network: Network, requests: np.ndarray, held: np.ndarray) -> tuple[float, float]:
    """Cost and gain of a slot, by linear programs over all routes."""
    asked = {names: float(r) for names, r in zip(network.type_names, requests, strict=True)}
    share = shares(data, asked)
    placed = {network.names(p): float(held[p]) for p in range(network.P)}
    cost = gain = 0.0
    for request in data["requests"]:
        r = asked[request["service"], request["path"][0]]
        routes = ways(data, request)
        limit = {
            use: share[request["service"], use[1], use[2]] * placed[use[1], use[2]]
            for way in routes
            for use in way.uses
        }
        here, alone = least_cost(routes, limit), least_cost(routes, {})
        cost += r * here
        gain += r * (alone - here)
    return cost, gain


@pytest.mark.parametrize("seed", SEEDS)
def test_costs_and_gains_are_those_of_linear_programs_over_all_routes(seed: int) -> None:
    data, network = instance(seed)
    draw = np.random.default_rng(seed)
    requests, held = batch(network, draw), point(network, draw)
    cost, gain = expected(data, network, requests, held)
    served = kernels.serve(network, requests, network.capacities, held)
    reference = network.service.serve(requests, network.capacities, held)
    for found in (served.row(0), reference):
        assert float(found.cost) == pytest.approx(cost, rel=1e-9, abs=1e-9)
        assert float(found.gain) == pytest.approx(gain, rel=1e-9, abs=1e-7)
        assert found.by_node.sum() == pytest.approx(requests.sum())
        assert found.by_node.min() >= -1e-9
    assert kernels.gain(network, requests, network.capacities, held)[0] == pytest.approx(gain, rel=1e-9, abs=1e-7)
    assert model_gain.allocation_gain(network, requests, network.capacities, held) == pytest.approx(
        gain, rel=1e-9, abs=1e-7
    )
    # the flow that is found is one that costs what it says: of one weight, latency and inaccuracy make it up
    types = network.service.serve_types(requests, network.capacities, held)
    weights = network.service.weights  # type: ignore[attr-defined]
    made_up = weights * (types.latency + data["accuracy_weight"] * types.inaccuracy)
    assert made_up.sum() == pytest.approx(cost, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_supergradients_bound_the_gain_of_every_allocation(seed: int) -> None:
    _, network = instance(seed)
    draw = np.random.default_rng(100 + seed)
    requests, y = batch(network, draw), point(network, draw)
    found, gradient = kernels.gain_and_subgradient(network, requests, network.capacities, y, tolerance=0.0)
    reference = network.service.gain_and_supergradient(requests, network.capacities, y)
    scale = 1e-9 * (1.0 + float(requests.sum()) * network.service.largest_saving)
    assert found[0] == pytest.approx(reference[0], abs=scale)
    for _ in range(8):
        other = point(network, draw)
        there = kernels.gain(network, requests, network.capacities, other)[0]
        for g in (gradient[0], reference[1]):
            assert there <= found[0] + g @ (other - y) + scale
    assert (gradient >= 0.0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_cuts_touch_and_hold_and_marginal_gains_are_differences(seed: int) -> None:
    _, network = instance(seed)
    draw = np.random.default_rng(200 + seed)
    requests = np.stack([batch(network, draw) for _ in range(3)])
    y, load = point(network, draw), kernels.loads(network, requests)
    scale = 1e-9 * (1.0 + float(requests.sum()) * network.service.largest_saving)
    terms = network.service.terms

    def by_type(held: np.ndarray) -> np.ndarray:
        return sum(network.service.serve_types(r, network.capacities, held).gain for r in requests)  # type: ignore[return-value]

    for constant, slopes in (
        kernels.type_cuts(network, requests, network.capacities[None], y, load),
        network.service.type_cuts(requests, network.capacities[None], y),
    ):
        assert constant + terms.by_type(slopes, y) == pytest.approx(by_type(y), abs=scale)
        for _ in range(3):
            other = point(network, draw)
            assert (constant + terms.by_type(slopes, other) >= by_type(other) - scale).all()
    held = (y > 0.5).astype(np.float64)
    gains = kernels.marginal_gains(network, requests, network.capacities[None], held, load, np.arange(network.P))
    here = by_type(held).sum()
    for p in range(network.P):
        added = np.maximum(held, np.arange(network.P) == p)
        assert gains[p] == pytest.approx(by_type(added).sum() - here, abs=scale)


def test_rows_are_served_as_if_each_were_alone() -> None:
    """A chain that finds the same capacity as in the row before is not routed again: nothing may leak."""
    for seed in SEEDS[:8]:
        _, network = instance(seed)
        draw = np.random.default_rng(300 + seed)
        requests = np.repeat([batch(network, draw), batch(network, draw)], 3, axis=0)
        held = np.repeat(np.stack([point(network, draw) for _ in range(3)]), 2, axis=0)
        together = kernels.serve(network, requests, network.capacities, held)
        gain, gradient = kernels.gain_and_subgradient(network, requests, network.capacities, held)
        for b in range(len(requests)):
            alone = kernels.serve(network, requests[b], network.capacities, held[b])
            for found, own in zip(together, alone, strict=True):
                assert (found[b] == own[0]).all()
            one = kernels.gain_and_subgradient(network, requests[b], network.capacities, held[b])
            assert gain[b] == one[0][0]
            assert (gradient[b] == one[1][0]).all()


def test_requests_are_late_by_the_latency_of_their_route() -> None:
    late = 0
    for seed in SEEDS:
        data, network = instance(seed)
        draw = np.random.default_rng(400 + seed)
        requests, held = batch(network, draw), (draw.random(network.P) < 0.5).astype(np.float64)
        capacities = np.full(network.P, 1e9)  # each type takes one route
        found = kernels.serve(network, requests, capacities, held)
        missed, unique = 0.0, True
        services = {service["name"]: service for service in data["services"]}
        placed = {network.names(p) for p in np.flatnonzero(held)}
        for request, r in zip(data["requests"], requests, strict=True):
            deadline = services[request["service"]].get("report_deadline_ms", np.inf)
            open_ = sorted(way for way in ways(data, request) if all(use[1:] in placed for use in way.uses))
            unique = unique and (len(open_) < 2 or open_[1].cost > open_[0].cost + 1e-9)
            missed += r * (open_[0].latency > deadline)
        if unique:
            assert found.missed[0] == pytest.approx(missed, abs=1e-9)
            late += missed > 0
    assert late >= 5


def test_a_lone_stage_of_a_chain_gains_nothing_so_nothing_is_submodular() -> None:
    _, network = instance(0)
    assert isinstance(network.service, RoutedService)
    assert not network.service.submodular


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden cases are not at hand")
@pytest.mark.parametrize("kind", ["allocation", "fractional"])
def test_golden_case(kind: str) -> None:
    network = Network.compile(parse(json.loads((GOLDEN / "scenario.json").read_text()), "golden"))
    trace = read_trace(network, GOLDEN / "requests.csv")
    wanted = json.loads((GOLDEN / "expected.json").read_text())[kind]["slots"]
    held = read_allocation(network, GOLDEN / f"{kind}.json").astype(np.float64)
    served = kernels.serve(network, trace.requests, trace.capacities, held)
    assert served.gain == pytest.approx([slot["gain"] for slot in wanted], rel=1e-9)
    assert served.cost == pytest.approx([slot["cost"] for slot in wanted], rel=1e-9)
