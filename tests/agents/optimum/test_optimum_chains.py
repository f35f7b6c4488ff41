"""The static optimum where requests need several models: against one integer program over all routes, and golden."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_instances import best_placement, chain_scenario
from idn_agents.optimum.certificate import Certificate, certified_bound, certified_net
from idn_agents.optimum.certificate_file import read_certificate, verify, write_certificate
from idn_agents.optimum.route_search import RouteSearch
from idn_agents.optimum.search import solve
from idn_agents.optimum.solution import Solution

from idn_gym import kernels
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model import allocation as feasible
from idn_gym.model import gain as model_gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import read_trace

GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "chains"
SEEDS = range(12)
SLOTS = 2


@cache
def instance(seed: int) -> tuple[dict[str, Any], Network, Trace]:
    """A random scenario with requests of two slots, some types without any."""
    data = chain_scenario(seed)
    network = Network.compile(parse(data, "chains"))
    draw = np.random.default_rng(seed)
    requests = draw.integers(0, 3, (SLOTS, network.R)) * draw.choice([2.0, 30.0])
    return data, network, Trace(requests.astype(np.float64), network.capacities[None])


@cache
def best(seed: int) -> float:
    data, network, trace = instance(seed)
    batches = [dict(zip(network.type_names, map(float, r), strict=True)) for r in trace.requests]
    return best_placement(data, batches)[0]


@cache
def solved(seed: int) -> Solution:
    _, network, trace = instance(seed)
    return solve(network, trace, gap=0.0, time_limit=60.0)


def net(network: Network, trace: Trace, held: np.ndarray) -> float:
    """By the readable reference, slot by slot, less the prices."""
    gained = sum(
        model_gain.allocation_gain(network, r, trace.capacities_at(t), held) for t, r in enumerate(trace.requests)
    )
    return float(gained - trace.slots * network.holding @ held)


@pytest.mark.parametrize("seed", SEEDS)
def test_optimum_of_one_integer_program(seed: int) -> None:
    _, network, trace = instance(seed)
    found, expected = solved(seed), best(seed)
    assert found.status == "optimal"
    assert net(network, trace, found.allocation.astype(np.float64)) == pytest.approx(found.reached, rel=1e-9, abs=1e-6)
    assert found.reached == pytest.approx(expected, rel=1e-7, abs=1e-6)
    assert found.bound >= expected * (1.0 - 1e-7) - 1e-6
    assert found.certified_bound >= expected * (1.0 - 1e-9)
    assert found.fractional_bound >= found.fractional_gain * (1.0 - 1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_certificate_bounds_the_optimum(seed: int) -> None:
    """Whatever the points and the weights."""
    _, network, trace = instance(seed)
    draw = np.random.default_rng(seed + 100)
    for n in (1, 3):
        points = draw.random((n, network.P)) * (draw.random((n, network.P)) < 0.5)
        weights = draw.random((n, network.R))
        weights *= draw.uniform(0.5, 1.5) / weights.sum(axis=0)
        bound = certified_bound(network, trace, Certificate.of(points, weights))
        assert bound >= best(seed) - 1e-9 * abs(best(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_certificate_files_hold(tmp_path: Path, seed: int) -> None:
    """With classes and prices, as drawn; nothing may be claimed beyond them."""
    data, network, trace = instance(seed)
    found = solved(seed)
    spec = RunSpec(parse(data, "chains"), AgentSpec("optimum"), slots=SLOTS, seed=0)
    path = tmp_path / "certificate.json"
    write_certificate(path, spec, network, trace, found.allocation, found.certificate)
    file = read_certificate(path)
    assert verify(network, trace, file).faults == ()
    assert file.certified_bound >= best(seed) * (1.0 - 1e-9)
    lower = file.model_copy(update={"certified_bound": file.certified_bound * (1.0 - 1e-9) - 1e-6})
    assert any("certified_bound" in fault for fault in verify(network, trace, lower).faults)


@pytest.mark.parametrize("seed", [0, 3])
def test_certified_net_is_a_rounding_error_below(seed: int) -> None:
    _, network, trace = instance(seed)
    found = solved(seed)
    lower = certified_net(network, trace, found.allocation)
    assert found.reached * (1.0 - 1e-9) - 1e-6 <= lower <= found.reached * (1.0 + 1e-12) + 1e-9


@pytest.mark.parametrize(("name", "slots"), [("partition-resnet", 20), ("draft-and-verify", 20), ("pipeline-video", 4)])
def test_packaged_chains_are_closed_to_two_percent(name: str, slots: int) -> None:
    """By the certificate; and it matters what is placed: all that fits, were there room for it, would gain more."""
    network = Network.compile(load_scenario(name))
    trace = draw(network, slots, 0)
    found = solve(network, trace, gap=0.02)
    assert found.status == "optimal"
    assert found.gain >= 0.98 * found.certified_bound
    unlimited = kernels.gain(network, trace.requests, trace.capacities, network.fits[None].astype(np.float64)).sum()
    assert found.certified_bound < 0.995 * unlimited


@pytest.mark.parametrize("seed", range(6))
def test_search_by_routes(seed: int) -> None:
    """It ends, keeps budgets, never loses, and returns what it was given when there is no time."""
    _, network, trace = instance(seed)
    price = trace.slots * network.holding
    search = RouteSearch(network, trace, price, 1e-6)
    generator = np.random.default_rng(seed)
    for fractions in (np.ones(network.P), generator.random(network.P), np.zeros(network.P)):
        rounded = search.rounded(fractions, generator)
        improved = search.improve(rounded, time.monotonic() + 60.0)
        for held in (rounded, improved):
            feasible.check(network, held, integral=True)
        before, after = (net(network, trace, held.astype(np.float64)) for held in (rounded, improved))
        assert 0.0 <= before <= after * (1.0 + 1e-9) + 1e-6 <= best(seed) * (1.0 + 1e-7) + 2e-6
        assert (search.improve(rounded, 0.0) == rounded).all()


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden cases are not at hand")
def test_golden_optimum() -> None:
    network = Network.compile(parse(json.loads((GOLDEN / "scenario.json").read_text()), "golden"))
    trace = read_trace(network, GOLDEN / "requests.csv")
    expected = json.loads((GOLDEN / "expected.json").read_text())["optimum"]
    found = solve(network, trace, gap=0.0)
    assert found.status == "optimal"
    assert found.net == pytest.approx(expected["net"], rel=1e-9)
    assert found.gain == pytest.approx(expected["gain"], rel=1e-9)
    assert expected["net"] * (1.0 - 1e-12) <= found.certified_bound <= expected["net"] * (1.0 + 1e-6)
