"""The optimum of the net gain: against enumeration in rational arithmetic; bounds, certificates, phases and samples."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from command_line import in_process as invoke
from idn_agents.optimum.certificate import Certificate, Leaf, certified_bound, certified_net
from idn_agents.optimum.certificate_file import read_certificate, verify, write_certificate
from idn_agents.optimum.dynamic_optimum import DynamicOptimum
from idn_agents.optimum.local_search import TraceSearch
from idn_agents.optimum.saa import estimate
from idn_agents.optimum.search import solve
from idn_agents.optimum.solution import Solution
from instances import random_network

from idn_gym import kernels
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model import gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

INSTANCES = 40


def exact_net(network: Network, trace: Trace, held: np.ndarray) -> Fraction:
    """Net gain of a static allocation: gains from the reference, on figures whose sums are exact in float64."""
    gained = sum(
        Fraction(gain.allocation_gain(network, r, trace.capacities_at(t), held)) for t, r in enumerate(trace.requests)
    )
    price = sum((Fraction(float(ms)) for ms, x in zip(network.holding, held, strict=True) if x), Fraction(0))
    return gained - trace.slots * price


def all_feasible(network: Network) -> list[np.ndarray]:
    """Every integral allocation within the budgets, also those that leave room."""
    bits = np.array(list(itertools.product((0.0, 1.0), repeat=network.P)))
    used = np.stack([bits[:, network.placement_node == v] @ network.sizes[network.placement_node == v]
                     for v in range(network.V)], axis=1)  # fmt: skip
    return list(bits[(used <= network.budgets * (1 + 1e-9)).all(axis=1)])


def priced(network: Network, generator: np.random.Generator, weight: float) -> Network:
    """The same network where profiles have prices, multiples of 2^-10 currency per slot."""
    prices = generator.integers(0, 8, network.P) / 1024.0
    scenario = network.scenario.model_copy(update={"price_weight": weight})
    return replace(network, scenario=scenario, prices=prices)


@pytest.fixture(scope="module")
def instances() -> list[tuple[Network, Trace, Fraction, Solution]]:
    """Small networks of figures that are halves, so that gains and prices are exact; their best net gain."""
    found = []
    for seed in itertools.count():
        network = random_network(seed, ties=True)
        if not 0 < network.P <= 9:
            continue
        generator = np.random.default_rng(seed)
        network = priced(network, generator, float(generator.choice([2.0**8, 2.0**11, 2.0**14])))
        if not network.priced:
            continue
        # powers of two, so that shares are exact
        trace = Trace(2.0 ** generator.integers(0, 4, (3, network.R)), 2.0 ** generator.integers(-1, 4, (1, network.P)))
        best = max(exact_net(network, trace, held) for held in all_feasible(network))
        found.append((network, trace, best, solve(network, trace, gap=0.0)))
        if len(found) == INSTANCES:
            return found
    raise AssertionError


def test_optimum_is_that_of_enumeration_and_its_bounds_hold(
    instances: list[tuple[Network, Trace, Fraction, Solution]],
) -> None:
    nothing = something = unspent = 0
    for network, trace, best, solution in instances:
        assert solution.net == pytest.approx(float(best), rel=1e-9, abs=1e-9)
        assert solution.net >= 0.0  # of placing nothing
        assert solution.net == pytest.approx(solution.gain - 3 * float(network.holding @ solution.allocation))
        assert Fraction(solution.certified_bound) >= best
        assert Fraction(certified_net(network, trace, solution.allocation)) <= best
        assert solution.status == "optimal"
        nothing += best == 0
        something += best > 0
        free = network.budgets - network.memory_in_use(solution.allocation)
        unspent += bool((network.fits & (network.sizes <= free[network.placement_node]) & ~solution.allocation).any())
    assert nothing >= 3  # a price can be too high for anything
    assert something >= 20
    assert unspent >= 10  # what fits and does not pay is left out


def test_bound_is_the_optimum_where_leaves_force_losses(
    instances: list[tuple[Network, Trace, Fraction, Solution]],
) -> None:
    """A leaf per allocation of the first placement: what is forced at a loss lowers the bound of its leaf, no more."""
    for network, trace, best, solution in instances:
        p = int(network.holding.argmax())
        weights = np.zeros((0, network.R))
        leaves = []
        for value in (0, 1):
            fixed = np.full(network.P, -1, dtype=np.int8)
            fixed[p] = value
            leaves.append(Leaf(fixed, np.zeros(0, dtype=np.int64), weights))
        tree = Certificate(np.zeros((0, network.P)), tuple(leaves))
        whole = certified_bound(network, trace, Certificate.of(np.zeros((0, network.P)), weights))
        assert best <= Fraction(certified_bound(network, trace, tree)) <= Fraction(whole) * (1 + Fraction(1, 10**12))
        assert whole >= solution.certified_bound * (1 - 1e-9)


def test_perturbed_certificates_never_prove_less_than_the_optimum(
    instances: list[tuple[Network, Trace, Fraction, Solution]],
) -> None:
    generator = np.random.default_rng(1)
    for network, trace, best, solution in instances:
        for _ in range(3):
            points = generator.random((2, network.P))
            weights = generator.random((2, network.R))
            assert Fraction(certified_bound(network, trace, Certificate.of(points, weights))) >= best
        halved = [replace(leaf, weights=leaf.weights * generator.random()) for leaf in solution.certificate.leaves]
        assert Fraction(certified_bound(network, trace, replace(solution.certificate, leaves=tuple(halved)))) >= best


def test_files_claim_the_net_gain_and_lies_are_found(
    tmp_path: Path, instances: list[tuple[Network, Trace, Fraction, Solution]]
) -> None:
    for network, trace, best, solution in instances[:10]:
        spec = RunSpec(network.scenario, AgentSpec("optimum"), slots=trace.slots)
        path = tmp_path / "c.json"
        write_certificate(path, spec, network, trace, solution.allocation, solution.certificate)
        file = read_certificate(path)
        assert verify(network, trace, file).faults == ()
        assert Fraction(file.net or 0.0) <= best <= Fraction(file.certified_bound)
        more = file.model_copy(update={"net": float(best) + 1e-3 * (1.0 + float(best))})
        assert verify(network, trace, more).faults[0].startswith("net: claims")
        none = file.model_copy(update={"net": None})
        assert verify(network, trace, none).faults == ("net: missing, and placements have prices",)
        if best > 0:
            less = file.model_copy(update={"certified_bound": float(best) * (1 - 1e-9)})
            assert verify(network, trace, less).faults[0].startswith("certified_bound: claims")


def test_local_search_drops_what_does_not_pay(instances: list[tuple[Network, Trace, Fraction, Solution]]) -> None:
    for network, trace, _, _ in instances:
        load, price = kernels.loads(network, trace.requests), trace.slots * network.holding
        search = TraceSearch(network, trace, load, price)
        start = kernels.pack(network, np.ones((1, network.P)))[0]
        end = search.improve(start, np.inf)
        assert exact_net(network, trace, end) >= max(exact_net(network, trace, start), Fraction(-1, 10**6))
        for p in np.flatnonzero(end):
            without = np.where(np.arange(network.P) == p, 0, end)
            assert exact_net(network, trace, without) <= exact_net(network, trace, end) + Fraction(1, 10**6)


def dear(weight: float) -> Network:
    """`tiny`, where a GB held for an hour costs 1."""
    values = load_scenario("tiny").to_dict() | {"price_weight": weight}
    for model in values["models"]:
        for profile in model["profiles"].values():
            profile["price"] = profile["size"] / 1000.0
    return Network.compile(parse(values, "dear"))


def test_phases_and_samples_are_about_the_net_gain() -> None:
    network = dear(2e6)
    trace = draw(network, 12, 0)
    static = solve(network, trace, gap=0.0)
    assert static.net is not None
    assert 0.0 < static.net < static.gain
    agent = DynamicOptimum(every=4, gap=0.0)
    agent.reset(network, 0)
    agent.fit(trace)
    parts = [solve(network, trace.part(first, first + 4), gap=0.0) for first in (0, 4, 8)]
    assert agent.info()["gain"] == pytest.approx(sum(part.net or 0.0 for part in parts))
    assert agent.info()["dynamic_bound"] >= agent.info()["gain"] >= static.net * (1 - 1e-9)
    found = estimate(network, 12, streams=2, replications=2)
    held = found.allocation
    streams = [draw(network, 12, seed) for seed in (2, 3, 4, 5)]  # those of the two replications
    nets = [
        sum(gain.allocation_gain(network, r, s.capacities_at(t), held) for t, r in enumerate(s.requests))
        - 12 * network.holding @ held
        for s in streams
    ]
    assert found.expected_gain.mean == pytest.approx(np.mean(nets))


def test_commands_show_the_net_gain(tmp_path: Path) -> None:
    file, certificate = tmp_path / "dear.json", tmp_path / "c.json"
    file.write_text(json.dumps(dear(2e6).scenario.to_dict()))
    document = json.loads(
        invoke("optimum", str(file), "--slots", "10", "--certificate", str(certificate), "--json").stdout
    )
    assert document["net"] < document["gain"]
    assert document["gap"] == pytest.approx(1 - document["net"] / document["bound"])
    checked = json.loads(invoke("verify", str(certificate), "--json").stdout)
    assert checked["ok"]
    assert checked["proven"]["net"] >= checked["net"]
    assert "net gain" in invoke("optimum", str(file), "--slots", "10").stdout
    free = json.loads(invoke("optimum", "tiny", "--slots", "10", "--json").stdout)
    assert "net" not in free


def test_where_nothing_pays_nothing_is_placed_and_the_gap_is_closed() -> None:
    network = dear(1e12)
    trace = draw(network, 5, 0)
    solution = solve(network, trace, gap=0.0)
    assert not solution.allocation.any()
    assert (solution.net, solution.gain, solution.gap, solution.status) == (0.0, 0.0, 0.0, "optimal")
    saved = kernels.gain(network, trace.requests, trace.capacities, network.fits.astype(np.float64)).sum()
    assert 0.0 <= solution.certified_bound < 1e-12 * saved  # the allowance for rounding
