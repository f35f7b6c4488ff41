"""Serving, gain and subgradient: by hand, against linear programs, golden cases and a slow reading; laws; kernels.

Tolerances: `rounding` bounds what float64 loses in the sums of one batch. A kernel may also take a batch for covered
that is short of it by TOLERANCE; whatever a slot gains, all but that share of it is then counted right.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import (
    EPSILON,
    Pair,
    Reading,
    allocation,
    batches,
    by_placement,
    by_type,
    fractional,
    integral,
    networks,
    random_network,
    read,
    rounding,
    scenario_values,
    small_network,
    with_services,
)
from scipy.optimize import linprog

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model import gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.trace_file import read_trace

COVERED = gain.TOLERANCE / (1 - gain.TOLERANCE)  # relative error of a gain whose batches are short by TOLERANCE
SOLVER = 1e-10  # asked of the LP solver, for constraints and for reduced costs


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


# --- tiny, by hand ----------------------------------------------------------------------------------------------
#
# Held: bs0 medium cars and small people, bs1 large cars, co large cars and small people.
# Requests: 8 and 10 for cars, 4 and 2 for people, at bs0 and bs1. At co, S is 18 for cars and 6 for people.
#
# cars from bs0, r = 8; the cloud costs 87:
#   large at co       47 ms   l = 8 min(1, 4/18) = 16/9
#   medium at bs0     52 ms   l = 8 min(1, 4/8)  = 4
#   cloud             87 ms   the rest,            20/9      gain 40 x 16/9 + 35 x 4 = 1900/9
# cars from bs1, r = 10:
#   large at bs1      44 ms   l = 10 min(1, 2/10) = 2
#   large at co       47 ms   l = 10 min(1, 4/18) = 20/9
#   cloud             87 ms   the rest,             52/9     gain 43 x 2 + 40 x 20/9 = 1574/9
# people from bs0, r = 4; the cloud costs 77:
#   small at bs0      51 ms   l = 4 min(1, 5/4)   = 4        gain 26 x 4 = 104
# people from bs1, r = 2:
#   small at co       56 ms   l = 2 min(1, 10/6)  = 2        gain 21 x 2 = 42
# Gain: (1900 + 1574)/9 + 104 + 42 = 532. From the cloud alone: 18 x 87 + 6 x 77 = 2028, so the cost is 1496.
# Inaccuracy: 4 x 40 + 4 x 50 for cars from bs0, 10 x 40, then 4 x 50 and 2 x 50: 1060.

HELD = {"bs0": ["cars/medium", "people/small"], "bs1": ["cars/large"], "co": ["cars/large", "people/small"]}
REQUESTS = {("cars", "bs0"): 8.0, ("cars", "bs1"): 10.0, ("people", "bs0"): 4.0, ("people", "bs1"): 2.0}
# Cars are covered nowhere, so K* is the cloud, and each entry is l (87 - cost). People from bs0 are covered by small
# at bs0 (51 ms), those from bs1 by small at co (56 ms): what ranks behind is worth nothing.
GRADIENT = {
    ("bs0", "cars/large"): 2 * (87 - 44),
    ("bs0", "cars/medium"): 4 * (87 - 52),
    ("bs0", "cars/small"): 6 * (87 - 61),
    ("bs0", "people/large"): 3 * (51 - 33),
    ("bs1", "cars/large"): 2 * (87 - 44),
    ("bs1", "cars/medium"): 4 * (87 - 52),
    ("bs1", "cars/small"): 6 * (87 - 61),
    ("bs1", "people/large"): 2 * (56 - 33),
    ("bs1", "people/small"): 2 * (56 - 51),
    ("co", "cars/large"): 4 * (87 - 47),  # 16/9 + 20/9 = 4, and so on
    ("co", "cars/medium"): 8 * (87 - 56),
    ("co", "cars/small"): 12 * (87 - 66),
    ("co", "people/large"): 4 * (51 - 37) + 2 * (56 - 37),
}


def test_tiny_by_hand(tiny: Network) -> None:
    requests = np.array([REQUESTS[key] for key in tiny.type_index()])
    x = allocation(tiny, HELD)
    error = rounding(tiny, requests)
    assert gain.allocation_gain(tiny, requests, tiny.capacities, x) == pytest.approx(532.0, abs=error)
    assert gain.cost(tiny, requests, tiny.capacities, x) == pytest.approx(1496.0, abs=error)
    served = kernels.serve(tiny, requests, tiny.capacities, x)
    assert served.gain.tolist() == pytest.approx([532.0], abs=error)
    assert served.cost.tolist() == pytest.approx([1496.0], abs=error)
    assert served.inaccuracy.tolist() == pytest.approx([1060.0], abs=error)
    by_node = dict(zip(tiny.node_names, served.by_node[0].tolist(), strict=True))
    assert by_node == pytest.approx({"bs0": 8.0, "bs1": 2.0, "co": 6.0, "cloud": 8.0}, abs=error)

    expected = {key: GRADIENT.get(key, 0.0) for key in by_placement(tiny, x)}
    reference = gain.subgradient(tiny, requests, tiny.capacities, x)
    assert by_placement(tiny, reference) == pytest.approx(expected, abs=error)
    total, kernel = kernels.gain_and_subgradient(tiny, requests, tiny.capacities, x)
    assert total.tolist() == pytest.approx([532.0], abs=error)
    assert by_placement(tiny, kernel[0]) == pytest.approx(expected, abs=error)


def test_shares_and_potential_capacities_of_tiny(tiny: Network) -> None:
    requests = np.array([REQUESTS[key] for key in tiny.type_index()])
    shares = by_placement(tiny, tiny.service.shares(requests, tiny.capacities)[0])
    assert shares["bs0", "cars/small"] == 6 / 8
    assert shares["bs1", "cars/small"] == 6 / 10
    assert shares["co", "cars/small"] == 12 / 18
    assert shares["co", "people/small"] == 1.0
    potential = tiny.service.potential_capacities(requests, tiny.capacities)
    rho = tiny.type_index()["people", "bs1"]
    # large at bs1, large at co, small at bs1, small at co, cloud, and its padding
    assert potential[rho].tolist() == [2.0] * tiny.service.K
    rho = tiny.type_index()["cars", "bs1"]
    expected = [2.0, 20 / 9, 4.0, 40 / 9, 6.0, 20 / 3, 10.0]
    assert potential[rho].tolist() == pytest.approx(expected, rel=1e-15)


# --- golden -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["allocation", "fractional"])
def test_golden(golden: Path, kind: str) -> None:
    network = Network.compile(load_scenario(golden / "scenario.json"))
    trace = read_trace(network, golden / "requests.csv")
    y = allocation(network, json.loads((golden / f"{kind}.json").read_text()))
    expected = json.loads((golden / "expected.json").read_text())[kind]
    served = kernels.serve(network, trace.requests, trace.capacities, y)
    gains, gradients = kernels.gain_and_subgradient(network, trace.requests, trace.capacities, y)
    assert len(expected["slots"]) == trace.slots
    latency = served.cost - network.accuracy_weight * served.inaccuracy
    for t, slot in enumerate(expected["slots"]):
        requests = trace.requests[t]
        assert slot["requests"] == requests.sum()
        for value in (gain.allocation_gain(network, requests, network.capacities, y), served.gain[t], gains[t]):
            assert value == pytest.approx(slot["gain"], rel=1e-9)
        for value in (gain.cost(network, requests, network.capacities, y), served.cost[t]):
            assert value == pytest.approx(slot["cost"], rel=1e-9)
        assert served.inaccuracy[t] / requests.sum() == pytest.approx(slot["inaccuracy"], rel=1e-9)
        assert latency[t] / requests.sum() == pytest.approx(slot["latency_ms"], rel=1e-9)
        reference = gain.subgradient(network, requests, network.capacities, y)
        assert gradients[t] == pytest.approx(reference, rel=1e-9, abs=rounding(network, requests))
    assert gains.sum() == pytest.approx(expected["gain"], rel=1e-9)
    assert served.cost.sum() == pytest.approx(expected["cost"], rel=1e-9)


def test_golden_optimum(golden: Path) -> None:
    network = Network.compile(load_scenario(golden / "scenario.json"))
    trace = read_trace(network, golden / "requests.csv")
    optimum = json.loads((golden / "expected.json").read_text())["optimum"]
    x = allocation(network, optimum["allocation"])
    assert kernels.serve(network, trace.requests, trace.capacities, x).gain.sum() == pytest.approx(
        optimum["gain"], rel=1e-9
    )
    every_slot = [gain.allocation_gain(network, r, network.capacities, x) for r in trace.requests]
    assert sum(every_slot) == pytest.approx(optimum["gain"], rel=1e-9)


# --- linear programs --------------------------------------------------------------------------------------------


Service = tuple[float, list[float], list[float | None]]  # of a type: r, and the options' costs and capacities


def cheapest_service(types: list[Service]) -> tuple[float, list[list[float]], float]:
    """Least cost of serving all types, its derivatives by capacity (None is elastic), and the error of the cost."""
    costs = np.concatenate([c for _, c, _ in types])
    upper = [bound for _, _, bounds in types for bound in bounds]
    row = np.repeat(np.arange(len(types)), [len(c) for _, c, _ in types])
    solved = linprog(
        costs,
        A_eq=(row == np.arange(len(types))[:, None]).astype(float),
        b_eq=[r for r, _, _ in types],
        bounds=[(0.0, bound) for bound in upper],
        method="highs",
        options={"primal_feasibility_tolerance": SOLVER, "dual_feasibility_tolerance": SOLVER},
    )
    assert solved.status == 0, solved.message
    marginals = np.split(solved.upper.marginals, np.flatnonzero(np.diff(row)) + 1)
    # a violated constraint is worth at most the highest cost, a wrong reduced cost at most every request
    error = SOLVER * (sum(r for r, _, _ in types) + len(costs) * costs.max())
    return solved.fun, [m.tolist() for m in marginals], error


def programs(
    reading: Reading, requests: dict[Pair, float], capacities: dict[Pair, float], held: dict[Pair, float]
) -> list[Service]:
    """The min-cost service of each type: every option on its path, up to z = l y."""
    shares = reading.shares(requests, capacities)
    return [
        (
            requests[rho.key],
            [option.cost for option in rho.options],
            [
                None if option.permanent else potential * held[option.placement]
                for option, potential in zip(rho.options, reading.potential(rho, requests, shares), strict=True)
            ],
        )
        for rho in reading.types
    ]


@pytest.mark.parametrize("kind", ["integral", "fractional"])
@pytest.mark.parametrize("seed", range(40))
def test_service_is_the_cheapest(seed: int, kind: str) -> None:
    network = random_network(seed, ties=seed % 4 == 3)
    generator = np.random.default_rng([seed, kind == "integral"])
    requests, capacities = generator.uniform(0, 12, network.R), generator.uniform(0, 12, network.P)
    y = generator.random(network.P)
    y = (y < 0.5).astype(float) if kind == "integral" else y
    named = by_type(network, requests), by_placement(network, capacities), by_placement(network, y)
    reading = read(network.scenario)
    least, _, error = cheapest_service(programs(reading, *named))
    alone, _, error_alone = cheapest_service(programs(reading, *named[:2], dict.fromkeys(named[2], 0.0)))
    error += rounding(network, requests)
    assert gain.cost(network, requests, capacities, y) == pytest.approx(least, abs=error)
    error += error_alone
    assert gain.allocation_gain(network, requests, capacities, y) == pytest.approx(alone - least, abs=error)
    served = kernels.serve(network, requests, capacities, y)
    assert served.cost.tolist() == pytest.approx([least], abs=error)
    assert served.gain.tolist() == pytest.approx([alone - least], abs=error)


@pytest.mark.parametrize("seed", range(40))
def test_subgradient_is_the_sensitivity_of_the_cheapest_service(seed: int) -> None:
    """At figures in general position the gain is differentiable, and its gradient is the price of capacity times l."""
    network = random_network(seed)
    generator = np.random.default_rng(seed)
    requests, capacities = generator.uniform(1, 12, network.R), generator.uniform(1, 12, network.P)
    y = generator.uniform(0.1, 1.0, network.P)
    named = by_type(network, requests), by_placement(network, capacities), by_placement(network, y)
    reading = read(network.scenario)
    shares = reading.shares(*named[:2])
    _, prices, _ = cheapest_service(programs(reading, *named))
    expected = dict.fromkeys(named[2], 0.0)
    for rho, of_type in zip(reading.types, prices, strict=True):
        for option, price, potential in zip(
            rho.options, of_type, reading.potential(rho, named[0], shares), strict=True
        ):
            if not option.permanent:
                expected[option.placement] -= price * potential
    error = SOLVER * float(requests.sum()) + rounding(network, requests)
    assert by_placement(network, gain.subgradient(network, requests, capacities, y)) == pytest.approx(
        expected, abs=error
    )
    kernel = kernels.gain_and_subgradient(network, requests, capacities, y)[1][0]
    assert by_placement(network, kernel) == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("seed", range(25))
def test_explicit_potential_capacities(seed: int) -> None:
    network = random_network(seed)
    generator = np.random.default_rng(seed)
    requests, y = generator.uniform(1, 9, network.R), generator.random(network.P)
    potential = generator.uniform(0, 9, (network.R, network.service.K))
    potential[np.arange(network.R), network.service.option_count - 1] = requests * generator.uniform(1, 2, network.R)
    types = []
    for rho, of_type in enumerate(read(network.scenario).types):
        held = by_placement(network, y)
        placements = [option.placement for option in of_type.reached[:-1]]
        bounds = [z * held[pair] for z, pair in zip(potential[rho].tolist(), placements, strict=False)]
        types.append((requests[rho], [option.cost for option in of_type.reached], [*bounds, None]))
    least, prices, error = cheapest_service(types)
    error += rounding(network, requests)
    assert gain.cost(network, requests, network.capacities, y, potential) == pytest.approx(least, abs=error)
    saved = sum(r * costs[-1] for r, costs, _ in types) - least
    assert gain.allocation_gain(network, requests, network.capacities, y, potential) == pytest.approx(saved, abs=error)
    gradient = np.zeros(network.P)
    for rho, of_type in enumerate(prices):
        for k, price in enumerate(of_type[:-1]):
            gradient[network.service.options[rho, k]] -= price * potential[rho, k]
    found = gain.subgradient(network, requests, network.capacities, y, potential)
    assert found == pytest.approx(gradient, abs=error)


def test_the_sharing_rule_given_explicitly_changes_nothing(tiny: Network) -> None:
    generator = np.random.default_rng(0)
    requests, y = generator.uniform(0, 9, tiny.R), generator.random(tiny.P)
    potential = tiny.service.potential_capacities(requests, tiny.capacities)
    for function in (gain.cost, gain.allocation_gain, gain.subgradient):
        assert np.array_equal(
            function(tiny, requests, tiny.capacities, y), function(tiny, requests, tiny.capacities, y, potential)
        )


def test_explicit_potential_capacities_must_cover_the_batch_at_the_repository(tiny: Network) -> None:
    requests = np.arange(1.0, 1.0 + tiny.R)
    potential = np.tile(requests[:, None], tiny.service.K)
    y = np.zeros(tiny.P)
    gain.cost(tiny, requests, tiny.capacities, y, potential)
    rho = tiny.R - 1
    potential[rho, tiny.service.option_count[rho] - 1] = requests[rho] * 0.75
    for function in (gain.cost, gain.allocation_gain, gain.subgradient):
        with pytest.raises(IdnError, match=rf"potential\[{rho}\]: 3.0 at the repository model; must be >= 4.0"):
            function(tiny, requests, tiny.capacities, y, potential)


# --- against the slow reading -----------------------------------------------------------------------------------


@given(st.data())
def test_formulas_of_the_paper(data: st.DataObject) -> None:
    network = data.draw(networks())
    requests, capacities = data.draw(batches(network))
    y = data.draw(fractional(network))
    named = by_type(network, requests), by_placement(network, capacities), by_placement(network, y)
    reading = read(network.scenario)
    error = rounding(network, requests)
    cost, saved = reading.cost(*named), reading.gain(*named)
    assert gain.cost(network, requests, capacities, y) == pytest.approx(cost, abs=error)
    assert gain.allocation_gain(network, requests, capacities, y) == pytest.approx(saved, abs=error)
    served = kernels.serve(network, requests, capacities, y)
    assert served.cost.tolist() == pytest.approx([cost], abs=error)
    assert served.gain.tolist() == pytest.approx([saved], abs=error)
    by_option = reading.served(*named)
    by_node = dict.fromkeys(network.node_names, 0.0)
    inaccuracy = 0.0
    for (_, option), count in by_option.items():
        by_node[option.node] += count
        inaccuracy += count * reading.inaccuracy[option.model]
    assert dict(zip(network.node_names, served.by_node[0].tolist(), strict=True)) == pytest.approx(by_node, abs=error)
    # an inaccuracy goes up to 100, where all costs may be next to 0
    assert served.inaccuracy.tolist() == pytest.approx([inaccuracy], abs=100 * error)
    expected = reading.subgradient(*named, tolerance=gain.TOLERANCE)
    assert by_placement(network, gain.subgradient(network, requests, capacities, y)) == pytest.approx(
        expected, abs=error
    )


@given(st.data())
def test_requests_served_sum_to_the_batch(data: st.DataObject) -> None:
    network = data.draw(networks())
    requests, capacities = data.draw(batches(network))
    y = data.draw(fractional(network))
    potential = network.service.potential_capacities(requests, capacities)
    served = network.service.requests_served(requests, y, potential)
    assert (served >= 0).all()
    # a running sum and its differences: K roundings of numbers up to r, twice
    assert served.sum(axis=1) == pytest.approx(requests, rel=2 * network.service.K * EPSILON)
    effective = np.append(y, 1.0)[network.service.options] * potential
    assert (served <= effective * (1 + 1e-12) + network.service.K * EPSILON * requests[:, None]).all()
    by_node = kernels.serve(network, requests, capacities, y).by_node
    assert (by_node >= 0).all()
    assert by_node.sum() == pytest.approx(requests.sum(), rel=1e-14 * network.service.K)


# --- laws -------------------------------------------------------------------------------------------------------


@given(st.data())
def test_gain_is_not_negative_and_at_most_the_cost_of_repositories(data: st.DataObject) -> None:
    network = data.draw(networks())
    requests, capacities = data.draw(batches(network))
    y = data.draw(st.one_of(integral(network), fractional(network)))
    value = gain.allocation_gain(network, requests, capacities, y)
    assert 0.0 <= value <= gain.cost(network, requests, capacities, np.zeros(network.P)) + rounding(network, requests)
    assert gain.allocation_gain(network, requests, capacities, np.zeros(network.P)) == 0.0
    assert kernels.serve(network, requests, capacities, y).gain[0] >= -rounding(network, requests)
    assert (gain.subgradient(network, requests, capacities, y) >= 0.0).all()


@given(st.data())
def test_gain_is_the_gap_between_two_costs(data: st.DataObject) -> None:
    network = data.draw(networks())
    requests, capacities = data.draw(batches(network))
    y = data.draw(fractional(network))
    alone, cost = (gain.cost(network, requests, capacities, held) for held in (np.zeros(network.P), y))
    assert gain.allocation_gain(network, requests, capacities, y) == pytest.approx(
        alone - cost, abs=rounding(network, requests)
    )


@given(st.data())
def test_gain_is_monotone(data: st.DataObject) -> None:
    network = data.draw(networks())
    requests, capacities = data.draw(batches(network))
    one, other = data.draw(fractional(network)), data.draw(fractional(network))
    low, high = np.minimum(one, other), np.maximum(one, other)
    error = rounding(network, requests)
    values = [gain.allocation_gain(network, requests, capacities, y) for y in (low, one, high)]
    assert values[0] <= values[1] + error
    assert values[1] <= values[2] + error


@given(st.data())
def test_gain_is_concave_in_fractional_allocations(data: st.DataObject) -> None:
    network = data.draw(networks())
    requests, capacities = data.draw(batches(network))
    one, other = data.draw(fractional(network)), data.draw(fractional(network))
    part = data.draw(st.integers(1, 7)) / 8
    between = gain.allocation_gain(network, requests, capacities, part * one + (1 - part) * other)
    ends = [gain.allocation_gain(network, requests, capacities, y) for y in (one, other)]
    assert between >= part * ends[0] + (1 - part) * ends[1] - rounding(network, requests)


@given(st.data())
def test_gain_is_submodular_in_integral_allocations(data: st.DataObject) -> None:
    network = data.draw(networks().filter(lambda network: network.P > 0))
    requests, capacities = data.draw(batches(network))
    one, other = data.draw(integral(network)), data.draw(integral(network))
    small, large = np.minimum(one, other), one
    added = np.eye(network.P)[data.draw(st.integers(0, network.P - 1))]

    def marginal(x: np.ndarray) -> float:
        both = (gain.allocation_gain(network, requests, capacities, held) for held in (x, np.maximum(x, added)))
        return -float(np.subtract(*both))

    assert marginal(small) >= marginal(large) - rounding(network, requests)


@given(st.data())
def test_gain_does_not_depend_on_the_order_of_the_file(data: st.DataObject) -> None:
    values = data.draw(scenario_values())
    network = Network.compile(parse(values, "drawn"))
    shuffled = {
        key: data.draw(st.permutations(value)) if key in ("tasks", "models", "nodes", "links", "requests") else value
        for key, value in values.items()
    }
    other = Network.compile(parse(shuffled, "shuffled"))
    requests, capacities = data.draw(batches(network))
    y = data.draw(fractional(network))
    named = by_type(network, requests), by_placement(network, capacities), by_placement(network, y)

    def moved() -> tuple[np.ndarray, ...]:
        return tuple(
            np.array([values[key] for key in keyed(other, np.zeros(size))])
            for values, keyed, size in zip(
                named, (by_type, by_placement, by_placement), (other.R, other.P, other.P), strict=True
            )
        )

    error = rounding(network, requests)
    assert gain.allocation_gain(other, *moved()) == pytest.approx(
        gain.allocation_gain(network, requests, capacities, y), abs=error
    )
    expected = by_placement(network, gain.subgradient(network, requests, capacities, y))
    assert by_placement(other, gain.subgradient(other, *moved())) == pytest.approx(expected, abs=error)
    expected = by_placement(network, kernels.gain_and_subgradient(network, requests, capacities, y)[1][0])
    assert by_placement(other, kernels.gain_and_subgradient(other, *moved())[1][0]) == pytest.approx(
        expected, abs=error
    )


# --- the supergradient inequality -------------------------------------------------------------------------------


def left_over(network: Network, requests: np.ndarray, capacities: np.ndarray, y: np.ndarray, tolerance: float) -> float:
    """What a covering test with a tolerance may cost: up to tolerance x r goes to what ranks behind K*.

    It goes to option K* + 1 where that one has room for it, as docs/model.md#supergradient says; else as far as the
    repository.
    """
    potential = network.service.potential_capacities(requests, capacities)
    star = network.service.covering_rank(requests, y, potential, tolerance)
    effective = np.append(y, 1.0)[network.service.options] * potential
    total = 0.0
    for rho, k in enumerate(star.tolist()):
        last = int(network.service.option_count[rho]) - 1
        following = min(k + 1, last)
        has_room = effective[rho, following] >= tolerance * requests[rho]
        total += requests[rho] * (
            network.service.costs[rho, following if has_room else last] - network.service.costs[rho, k]
        )
    return tolerance * total


@pytest.mark.parametrize("tolerance", [0.0, 1e-9, 1e-5, 0.1])
@settings(max_examples=30)
@given(data=st.data())
def test_supergradient_inequality(data: st.DataObject, tolerance: float) -> None:
    network = data.draw(networks())
    requests, capacities = data.draw(batches(network))
    y, other = data.draw(fractional(network)), data.draw(st.one_of(integral(network), fractional(network)))
    # just short of covered, where the test decides
    y = np.maximum(0.0, y * (1 - tolerance * data.draw(st.sampled_from([0.0, 0.5, 1.0]))))
    at_y, at_other = (gain.allocation_gain(network, requests, capacities, held) for held in (y, other))
    allowed = left_over(network, requests, capacities, y, tolerance) + 2 * rounding(network, requests)
    for gradient in (
        gain.subgradient(network, requests, capacities, y, tolerance=tolerance),
        kernels.gain_and_subgradient(network, requests, capacities, y, tolerance)[1][0],
    ):
        assert at_other <= at_y + gradient @ (other - y) + allowed


def test_what_the_tolerance_leaves_over_may_go_as_far_as_the_repository(tiny: Network) -> None:
    """Large cars at bs0 (44 ms) all but cover the batch, and nothing else is placed: the rest costs 87 ms.

    Adding large cars at co (47 ms) saves 40 ms on it, where the gradient says 0: more than the 3 ms to the next option.
    """
    requests, capacities = np.zeros(tiny.R), np.full(tiny.P, 1e6)
    requests[tiny.type_index()["cars", "bs0"]] = 1000.0
    y = allocation(tiny, {"bs0": {"cars/large": 1 - 0.9e-9}})
    other = y + allocation(tiny, {"co": ["cars/large"]})
    gradient = gain.subgradient(tiny, requests, capacities, y)
    assert not gradient.any()
    found = [gain.allocation_gain(tiny, requests, capacities, held) for held in (y, other)]
    assert found[1] - found[0] == pytest.approx(1000 * 0.9e-9 * 40, abs=rounding(tiny, requests))
    assert found[1] - found[0] > gain.TOLERANCE * 1000 * (47 - 44)
    assert left_over(tiny, requests, capacities, y, gain.TOLERANCE) == pytest.approx(gain.TOLERANCE * 1000 * (87 - 44))
    # with tolerance 0 the gradient knows
    exact = gain.subgradient(tiny, requests, capacities, y, tolerance=0.0)
    assert found[1] <= found[0] + exact @ (other - y) + rounding(tiny, requests)


@given(st.data())
def test_supergradients_of_types_are_exact(data: st.DataObject) -> None:
    """Tolerance 0; a covering sum may still be off by its roundings, which `rounding` holds."""
    network = data.draw(networks())
    slots = [data.draw(batches(network)) for _ in range(2)]
    requests, capacities = (np.stack(arrays) for arrays in zip(*slots, strict=True))
    y, other = data.draw(fractional(network)), data.draw(st.one_of(integral(network), fractional(network)))
    load = kernels.loads(network, requests)
    at_y, slopes = kernels.type_gains(network, requests, capacities, y, load)
    at_other, _ = kernels.type_gains(network, requests, capacities, other, load)
    terms = network.service.terms
    moved = (other - y)[terms.placement]
    for rho in range(network.R):
        allowed = 2 * rounding(network, requests[:, rho])
        assert at_other[rho] <= at_y[rho] + slopes[terms.type == rho] @ moved[terms.type == rho] + allowed


# --- kernels against the reference ------------------------------------------------------------------------------


def slots_of(network: Network, seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Requests, capacities and allocations of B rows, with zeros among all of them."""
    generator = np.random.default_rng(seed)
    requests = generator.poisson(4.0, (rows, network.R)) * generator.uniform(0.5, 2.0, (rows, network.R))
    capacities = generator.uniform(0, 12, (rows, network.P)) * (generator.random((rows, network.P)) < 0.9)
    y = np.clip(generator.uniform(-0.3, 1.3, (rows, network.P)), 0.0, 1.0)
    return requests, capacities, y


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_kernels_are_the_reference(seed: int, services: bool) -> None:
    network = small_network(seed, services)
    requests, capacities, y = slots_of(network, seed, rows=4)
    gains, gradients = kernels.gain_and_subgradient(network, requests, capacities, y)
    served = kernels.serve(network, requests, capacities, y)
    only = kernels.gain(network, requests, capacities, y)
    for b in range(len(y)):
        row = requests[b], capacities[b], y[b]
        error = rounding(network, requests[b])
        reference = gain.allocation_gain(network, *row)
        assert served.gain[b] == pytest.approx(reference, abs=error)
        assert only[b] == pytest.approx(reference, abs=error)
        assert served.cost[b] == pytest.approx(gain.cost(network, *row), abs=error)
        assert gains[b] == pytest.approx(reference, rel=COVERED, abs=error)
        assert gradients[b] == pytest.approx(gain.subgradient(network, *row), abs=error)
        exact = kernels.gain_and_subgradient(network, *row, tolerance=0.0)[0]
        assert exact.tolist() == pytest.approx([reference], abs=error)


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("kind", ["fractional", "integral", "int8"])
def test_kernels_on_many_rows_and_options(kind: str, services: bool) -> None:
    """Enough values for threads to share the rows, and more options per type than a word of 64 bits has places."""
    network = Network.compile(load_scenario("topology-2-fixed", ["replicas=3"]))
    network = with_services(network, 3) if services else network
    rows = 64
    assert network.service.K > 64
    requests, capacities, y = slots_of(network, 3, rows)
    y = np.where(np.random.default_rng(4).random(y.shape) < 0.9, 0.0, y) if kind == "fractional" else y**8 > 0.5
    y = y.astype(np.int8 if kind == "int8" else np.float64)
    capacities *= 0.05  # of what comes by, so that batches reach far down their options
    gains, gradients = kernels.gain_and_subgradient(network, requests, capacities, y)
    served = kernels.serve(network, requests, capacities, y)
    only = kernels.gain(network, requests, capacities, y)
    for b in range(rows):
        error = rounding(network, requests[b])
        row = requests[b], capacities[b], y[b].astype(np.float64)
        reference = gain.allocation_gain(network, *row)
        assert [only[b], served.gain[b]] == pytest.approx([reference] * 2, abs=error)
        assert served.cost[b] == pytest.approx(gain.cost(network, *row), abs=error)
        assert served.by_node[b].sum() == pytest.approx(requests[b].sum(), rel=1e-12)
        assert gains[b] == pytest.approx(reference, rel=COVERED, abs=error)
        assert gradients[b] == pytest.approx(gain.subgradient(network, *row), abs=error)
        alone = kernels.serve(network, *row)
        assert all((one[0] == many[b]).all() for one, many in zip(alone, served, strict=True))


def test_kernels_on_topology_1() -> None:
    """Paths of five nodes with up to ten models each, where most batches are covered early."""
    network = Network.compile(load_scenario("topology-1-fixed"))
    generator = np.random.default_rng(5)
    requests = generator.poisson(generator.uniform(0, 60000, (2, network.R))).astype(float)
    y = generator.random((2, network.P)) ** 6
    gains, gradients = kernels.gain_and_subgradient(network, requests, network.capacities, y)
    served = kernels.serve(network, requests, network.capacities, y)
    for b in range(2):
        error = rounding(network, requests[b])
        reference = gain.allocation_gain(network, requests[b], network.capacities, y[b])
        assert gains[b] == pytest.approx(reference, rel=COVERED, abs=error)
        assert served.gain[b] == pytest.approx(reference, abs=error)
        expected = gain.subgradient(network, requests[b], network.capacities, y[b])
        assert gradients[b] == pytest.approx(expected, abs=error)
        assert served.by_node[b].sum() == pytest.approx(requests[b].sum(), rel=1e-12)


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("varying", [True, False])
def test_type_gains_and_marginal_gains(seed: int, varying: bool, services: bool) -> None:
    network = small_network(seed, services)
    requests, capacities, ys = slots_of(network, seed, rows=3)
    capacities = capacities if varying else capacities[:1]
    y = ys[0]
    load = kernels.loads(network, requests)

    def summed(held: np.ndarray) -> float:
        return sum(
            gain.allocation_gain(network, r, c, held)
            for r, c in zip(requests, np.broadcast_to(capacities, (3, network.P)), strict=True)
        )

    error = 2 * rounding(network, requests)
    gains, slopes = kernels.type_gains(network, requests, capacities, y, load)
    assert gains.sum() == pytest.approx(summed(y), abs=error)
    for rho in range(network.R):  # each type alone is that type's share, since it does not know of the others' gain
        apart = 0.0
        for r, c in zip(requests, np.broadcast_to(capacities, (3, network.P)), strict=True):
            potential = network.service.potential_capacities(r, c)  # with all the others there
            alone = np.where(np.arange(network.R) == rho, r, 0.0)
            apart += gain.allocation_gain(network, alone, c, y, potential)
        assert gains[rho] == pytest.approx(apart, abs=error)
    by_option = np.bincount(network.service.terms.placement, slopes, minlength=network.P)
    expected = sum(
        gain.subgradient(network, r, c, y, tolerance=0.0)
        for r, c in zip(requests, np.broadcast_to(capacities, (3, network.P)), strict=True)
    )
    if seed % 2:  # in general position, where the supergradient is unique
        assert by_option == pytest.approx(expected, abs=error)

    candidates = np.arange(network.P)[:: 1 + seed % 2]
    marginal = kernels.marginal_gains(network, requests, capacities, y, load, candidates)
    differences = [summed(np.maximum(y, np.eye(network.P)[p])) - summed(y) for p in candidates]
    assert marginal.tolist() == pytest.approx(differences, abs=error)
    x = (y > 0.5).astype(float)
    marginal = kernels.marginal_gains(network, requests, capacities, x, load, candidates)
    differences = [summed(np.maximum(x, np.eye(network.P)[p])) - summed(x) for p in candidates]
    assert marginal.tolist() == pytest.approx(differences, abs=error)


def test_loads_are_reciprocals_of_what_comes_by(tiny: Network) -> None:
    requests = np.array([[REQUESTS[key] for key in tiny.type_index()]])
    load = kernels.loads(tiny, requests)[0, :-1].reshape(tiny.V, tiny.N)
    cars = dict(zip(tiny.node_names, load[:, 0].tolist(), strict=True))
    assert cars == pytest.approx({"bs0": 1 / 8, "bs1": 1 / 10, "co": 1 / 18, "cloud": 1 / 18}, rel=1e-15)
    assert load[tiny.node_names.index("co"), 1] == pytest.approx(1 / 6, rel=1e-15)


def test_a_class_has_what_those_above_leave_by_hand(tiny: Network) -> None:
    """Cars from bs0 are of the second class, all else of the first: it takes 10 of what a model at co can serve.

    Small cars at co serve 12 requests: all 10 from bs1, and 2 of the 8 from bs0; medium 8, all for bs1; at bs0 nobody
    goes before. Cars from bs0 save 87 - 66 = 21 ms each where small at co serves them, those from bs1 as much.
    """
    requests = np.array([REQUESTS[key] for key in tiny.type_index()])
    of_type = np.array([int(key == ("cars", "bs0")) for key in tiny.type_index()], dtype=np.int32)
    base, groups = tiny.service.groups, tiny.service.path_groups
    groups = np.where(groups < base, groups + of_type[:, None] * base, 2 * base).astype(np.int32)
    service = replace(tiny.service, classes=2, groups=2 * base, type_class=of_type, path_groups=groups)
    network = replace(tiny, service=service)
    for held, expected in (("cars/small", 21 * (10 + 2)), ("cars/medium", 31 * 8), ("cars/large", 40 * 4)):
        x = allocation(network, {"co": [held]})
        served = kernels.serve(network, requests, network.capacities, x)
        error = rounding(network, requests)
        assert served.gain.tolist() == pytest.approx([expected], abs=error)
        assert kernels.gain(network, requests, network.capacities, x).tolist() == pytest.approx([expected], abs=error)
        assert served.by_node[0, network.node_names.index("co")] == pytest.approx(
            expected / {"cars/small": 21, "cars/medium": 31, "cars/large": 40}[held]
        )
    load = kernels.loads(network, requests)
    nothing, small = np.zeros(network.P), np.flatnonzero(allocation(network, {"co": ["cars/small"]}))
    found = kernels.marginal_gains(network, requests[None], network.capacities, nothing, load, small)
    assert found.tolist() == pytest.approx([21 * 12], abs=error)


def test_loads_of_other_classes_are_refused(tiny: Network) -> None:
    """What shares capacity by class needs to know more, and would read past the end."""
    requests, several = np.ones((1, tiny.R)), with_services(tiny, 0)
    nothing, first = np.zeros(tiny.P), np.zeros(1, dtype=np.int64)
    for network, other in ((tiny, several), (several, tiny)):
        load = kernels.loads(other, requests)
        with pytest.raises(IdnError, match=r"^load: shape .*; must be that of loads of the 1 slots of requests$"):
            kernels.marginal_gains(network, requests, tiny.capacities, nothing, load, first)


# --- batches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("single", list(itertools.product([True, False], repeat=3)))
def test_one_row_serves_all(single: tuple[bool, bool, bool]) -> None:
    network = random_network(7)
    arrays = [array[:1] if one else array for array, one in zip(slots_of(network, 7, rows=3), single, strict=True)]
    whole = [np.repeat(array, 3, axis=0) if len(array) == 1 and not all(single) else array for array in arrays]
    for found, expected in zip(
        [*kernels.gain_and_subgradient(network, *arrays), *kernels.serve(network, *arrays)],
        [*kernels.gain_and_subgradient(network, *whole), *kernels.serve(network, *whole)],
        strict=True,
    ):
        assert len(found) == (1 if all(single) else 3)
        assert (found == expected).all()
    flat = [array[0] if one else array for array, one in zip(arrays, single, strict=True)]
    for found, expected in zip(kernels.serve(network, *flat), kernels.serve(network, *arrays), strict=True):
        assert (found == expected).all()


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_row_does_not_depend_on_its_neighbours(rows: int) -> None:
    network = random_network(11)
    arrays = slots_of(network, 11, rows=7)
    whole = [*kernels.gain_and_subgradient(network, *arrays), *kernels.serve(network, *arrays)]
    for start in range(0, 7, rows):
        part = [array[start : start + rows] for array in arrays]
        alone = [*kernels.gain_and_subgradient(network, *part), *kernels.serve(network, *part)]
        for found, expected in zip(alone, whole, strict=True):
            assert (found == expected[start : start + rows]).all()


def test_kernels_take_what_the_library_hands_around() -> None:
    """Integral allocations, float32 observations, rows that are views, arrays that are read-only."""
    network = random_network(13, ties=True)
    requests, _, y = slots_of(network, 13, rows=4)
    x = (y > 0.5).astype(np.int8)
    expected = kernels.serve(network, requests[::2], network.capacities, x[::2].astype(np.float64)).gain
    assert (kernels.serve(network, requests[::2], network.capacities.copy(), x[::2]).gain == expected).all()
    assert (kernels.serve(network, requests.T[:, ::2].T, [network.capacities], x[::2].tolist()).gain == expected).all()
    halves = np.round(requests * 2) / 2
    assert (
        kernels.serve(network, halves.astype(np.float32), network.capacities, x).gain
        == kernels.serve(network, halves, network.capacities, x).gain
    ).all()


# --- edges ------------------------------------------------------------------------------------------------------


def test_a_slot_without_requests_costs_and_gains_nothing(tiny: Network) -> None:
    requests, y = np.zeros(tiny.R), np.ones(tiny.P)
    assert gain.allocation_gain(tiny, requests, tiny.capacities, y) == 0.0
    assert gain.cost(tiny, requests, tiny.capacities, y) == 0.0
    assert not gain.subgradient(tiny, requests, tiny.capacities, y).any()
    assert (tiny.service.shares(requests, tiny.capacities) == 1.0).all()
    gains, gradient = kernels.gain_and_subgradient(tiny, requests, tiny.capacities, y)
    assert not gains.any()
    assert not gradient.any()
    assert not any(array.any() for array in kernels.serve(tiny, requests, tiny.capacities, y))
    load = kernels.loads(tiny, requests)
    assert np.isfinite(load).all()
    assert not any(array.any() for array in kernels.type_gains(tiny, requests, tiny.capacities, y, load))
    everything = np.arange(tiny.P)
    assert not kernels.marginal_gains(tiny, requests, tiny.capacities, 0 * y, load, everything).any()


def test_without_capacity_a_model_serves_nothing(tiny: Network) -> None:
    requests, none = np.array([REQUESTS[key] for key in tiny.type_index()]), np.zeros(tiny.P)
    y = np.ones(tiny.P)
    assert gain.allocation_gain(tiny, requests, none, y) == 0.0
    assert not gain.subgradient(tiny, requests, none, y).any()
    served = kernels.serve(tiny, requests, none, y)
    assert served.gain.tolist() == [0.0]
    assert served.by_node[0, tiny.node_names.index("cloud")] == requests.sum()
    assert not kernels.gain_and_subgradient(tiny, requests, none, y)[1].any()
    load = kernels.loads(tiny, requests)
    assert not kernels.marginal_gains(tiny, requests, none, 0 * y, load, np.arange(tiny.P)).any()
    assert not any(array.any() for array in kernels.type_gains(tiny, requests, none, y, load))


def test_requests_of_one_type_only(tiny: Network) -> None:
    """Groups that nobody comes by have a share of 1 that nobody uses; capacities of 0 there do no harm."""
    requests = np.zeros(tiny.R)
    requests[tiny.type_index()["cars", "bs1"]] = 2.0
    capacities = np.where(tiny.placement_node == tiny.node_names.index("bs0"), 0.0, tiny.capacities)
    x = allocation(tiny, {"bs1": ["cars/large"]})
    # L = 2 covers both at 44 ms instead of 87
    assert gain.allocation_gain(tiny, requests, capacities, x) == 86.0
    assert kernels.serve(tiny, requests, capacities, x).gain.tolist() == [86.0]
    gains, gradient = kernels.gain_and_subgradient(tiny, requests, capacities, x)
    assert gains.tolist() == [86.0]
    assert not gradient.any()  # the covering option is the cheapest
    load = kernels.loads(tiny, requests)
    medium = int(np.flatnonzero(allocation(tiny, {"bs1": ["cars/medium"]}))[0])
    # alone, medium at bs1 serves both at 52 ms: 2 x 35; behind large it adds nothing
    marginal = kernels.marginal_gains(tiny, requests, capacities, 0 * x, load, [medium])
    assert marginal.tolist() == pytest.approx([70.0], rel=1e-15)
    assert kernels.marginal_gains(tiny, requests, capacities, x, load, [medium]).tolist() == [0.0]


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e15])
def test_scaling_requests_and_capacities_scales_the_gain(tiny: Network, scale: float) -> None:
    requests, x = np.array([REQUESTS[key] for key in tiny.type_index()]), allocation(tiny, HELD)
    row = scale * requests, scale * tiny.capacities, x
    assert gain.allocation_gain(tiny, *row) == pytest.approx(532.0 * scale, rel=1e-13)
    assert kernels.serve(tiny, *row).gain.tolist() == pytest.approx([532.0 * scale], rel=1e-13)
    gains, gradient = kernels.gain_and_subgradient(tiny, *row)
    assert gains.tolist() == pytest.approx([532.0 * scale], rel=COVERED)
    assert gradient[0] == pytest.approx(gain.subgradient(tiny, *row), rel=1e-12)


# --- errors -----------------------------------------------------------------------------------------------------

WIDTHS = {"requests": "R", "capacities": "P", "allocation": "P"}


@pytest.mark.parametrize("wrong", list(WIDTHS))
def test_shapes_are_checked(tiny: Network, wrong: str) -> None:
    good = {name: np.zeros(getattr(tiny, axis)) for name, axis in WIDTHS.items()}
    width = getattr(tiny, WIDTHS[wrong])
    for bad in (np.zeros(width + 1), np.zeros((1, width - 1)), np.zeros((2, 2, width))):
        arguments = list((good | {wrong: bad}).values())
        for function in (
            gain.allocation_gain,
            gain.cost,
            gain.subgradient,
            kernels.serve,
            kernels.gain,
            kernels.gain_and_subgradient,
        ):
            with pytest.raises(IdnError, match=rf"^{wrong}: shape .*; must be \({width},\)"):
                function(tiny, *arguments)
        load = kernels.loads(tiny, good["requests"])
        with pytest.raises(IdnError, match=rf"^{wrong}: shape"):
            kernels.type_gains(tiny, *arguments, load)
        with pytest.raises(IdnError, match=rf"^{wrong}: shape"):
            kernels.marginal_gains(tiny, *arguments, load, [0])
    rows = {name: np.zeros((3, getattr(tiny, axis))) for name, axis in WIDTHS.items()}
    rows[wrong] = rows[wrong][:2]
    for function in (kernels.serve, kernels.gain, kernels.gain_and_subgradient):
        with pytest.raises(IdnError, match=rf"^{wrong}: 2 rows; must be 3, or 1 to serve all"):
            function(tiny, *rows.values())


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("wrong", list(WIDTHS))
def test_the_reference_checks_values(tiny: Network, wrong: str, value: float) -> None:
    arguments = {name: np.zeros(getattr(tiny, axis)) for name, axis in WIDTHS.items()}
    arguments[wrong][2] = value
    allowed = r"in \[0, 1\]" if wrong == "allocation" else "finite and >= 0"
    for function in (gain.allocation_gain, gain.cost, gain.subgradient):
        with pytest.raises(IdnError, match=rf"^{wrong}\[2\]: {value}; must be {allowed}"):
            function(tiny, *arguments.values())


def test_the_reference_checks_that_allocations_end_at_1(tiny: Network) -> None:
    y = np.ones(tiny.P)
    y[1] = 1.0 + 1e-9
    with pytest.raises(IdnError, match=r"^allocation\[1\]: 1.000000001; must be in \[0, 1\]"):
        gain.allocation_gain(tiny, np.zeros(tiny.R), tiny.capacities, y)


def test_the_reference_checks_explicit_potential_capacities(tiny: Network) -> None:
    arguments = np.zeros(tiny.R), tiny.capacities, np.zeros(tiny.P)
    with pytest.raises(IdnError, match=rf"^potential: shape \(4, 6\); must be \({tiny.R}, {tiny.service.K}\)"):
        gain.cost(tiny, *arguments, np.zeros((tiny.R, tiny.service.K - 1)))
    potential = np.zeros((tiny.R, tiny.service.K))
    potential[1, 2] = np.nan
    with pytest.raises(IdnError, match=r"^potential\[1, 2\]: nan; must be finite and >= 0"):
        gain.cost(tiny, *arguments, potential)
