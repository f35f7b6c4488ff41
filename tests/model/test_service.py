"""Service and placements: what each kind of service owes the others, the reference against kernels, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idn_agents.distributed.distributed import DistributedInfida
from idn_agents.load_aware import LoadAwareGreedy
from instances import allocation, networks, rounding, small_network

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements, refuse_over_budget


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


class AnotherService:
    """A service that ranks nothing: it stands for kinds that are yet to come."""


def test_latency_of_tiny_by_hand(tiny: Network) -> None:
    """Way there and delay of what serves, by the shares of `test_gain.test_tiny_by_hand`.

    From a base station it is 5 ms to co and 45 ms to the cloud, where large models take 2 ms, as they do at co.
    """
    held = {"bs0": ["cars/medium", "people/small"], "bs1": ["cars/large"], "co": ["cars/large", "people/small"]}
    requests = np.array([8.0, 10.0, 4.0, 2.0])  # cars from bs0 and bs1, people from bs0 and bs1
    cars_from_bs0 = 16 / 9 * (5 + 2) + 4 * 2 + 20 / 9 * (45 + 2)
    cars_from_bs1 = 2 * 4 + 20 / 9 * (5 + 2) + 52 / 9 * (45 + 2)
    people = 4 * 1 + 2 * (5 + 1)
    expected = cars_from_bs0 + cars_from_bs1 + people  # 436: the cost, 1496, less 1060 percentage points at 1 ms each
    x = allocation(tiny, held)
    assert tiny.service.serve(requests, tiny.capacities, x).latency == pytest.approx(expected, rel=1e-13)
    assert kernels.serve(tiny, requests, tiny.capacities, x).latency.tolist() == pytest.approx([expected], rel=1e-13)


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_kernels_serve_as_the_reference(seed: int, services: bool) -> None:
    """Cost is latency and weighted inaccuracy; every part of it, and where it was served, is the reference's."""
    network = small_network(seed, services)
    generator = np.random.default_rng(seed)
    requests = generator.poisson(4.0, (4, network.R)).astype(np.float64)
    capacities = generator.uniform(0.0, 12.0, (4, network.P))
    y = np.clip(generator.uniform(-0.3, 1.3, (4, network.P)), 0.0, 1.0)
    served = kernels.serve(network, requests, capacities, y)
    for b in range(4):
        error = rounding(network, requests[b])
        reference = network.service.serve(requests[b], capacities[b], y[b])
        for name, value in zip(reference._fields, reference, strict=True):
            np.testing.assert_allclose(getattr(served, name)[b], value, atol=error, rtol=1e-12, err_msg=name)
        if not services:
            parts = served.latency[b] + network.accuracy_weight * served.inaccuracy[b]
            assert served.cost[b] == pytest.approx(parts, abs=error)
            assert served.missed[b] == 0.0


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_serving_within_budgets_is_memory_then_serving(seed: int, services: bool) -> None:
    """To the bit, where a row is within its room."""
    network = small_network(seed, services)
    generator = np.random.default_rng(seed)
    requests = generator.poisson(4.0, (6, network.R)).astype(np.float64)
    capacities = generator.uniform(0.0, 12.0, (1, network.P))
    asked, before = (generator.random((2, 6, network.P)) < 0.4).astype(np.int8)
    asked[0] = 0  # at least this is within
    in_use, loaded = kernels.memory(network, asked, before)
    limits = generator.uniform(0.5, 1.2) * in_use.mean(axis=0)
    served, also_loaded, over = kernels.serve_within(network, requests, capacities, asked, before, limits)
    assert np.array_equal(over, (in_use > limits).any(axis=1))
    assert np.array_equal(loaded, also_loaded)
    within = ~over
    alone = kernels.serve(network, requests[within], capacities, asked[within])
    for name, values, expected in zip(served._fields, served, alone, strict=True):
        assert np.array_equal(values[within], expected), name


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_kernels_cut_and_add_as_the_reference(seed: int, services: bool) -> None:
    network = small_network(seed, services)
    generator = np.random.default_rng(seed)
    requests = generator.poisson(4.0, (3, network.R)).astype(np.float64)
    capacities = generator.uniform(0.0, 12.0, (3 if seed % 3 else 1, network.P))
    y = np.clip(generator.uniform(-0.3, 1.3, network.P), 0.0, 1.0)
    load, error = kernels.loads(network, requests), 2 * rounding(network, requests)
    found = kernels.type_cuts(network, requests, capacities, y, load)
    reference = network.service.type_cuts(requests, capacities, y)
    terms = network.service.terms
    for one, other in zip(found, reference, strict=True):
        assert one.shape == other.shape
    values = [constant + terms.by_type(slopes, y) for constant, slopes in (found, reference)]
    np.testing.assert_allclose(*values, atol=error)  # where a covering sum is a tie, only the value is one
    candidates = np.arange(network.P)
    np.testing.assert_allclose(
        kernels.marginal_gains(network, requests, capacities, y, load, candidates),
        network.service.marginal_gains(requests, capacities, y, candidates),
        atol=2 * error,
    )


@given(networks(), st.integers(0, 2**32 - 1))
def test_terms_are_what_the_gain_of_a_type_depends_on(network: Network, seed: int) -> None:
    """A placement that a type has no term of changes nothing for it; every placement it lists is a term once."""
    terms = network.service.terms
    generator = np.random.default_rng(seed)
    requests = generator.poisson(5.0, (1, network.R)).astype(np.float64)
    capacities = generator.uniform(0.0, 12.0, (1, network.P))
    y = generator.uniform(0.0, 1.0, network.P)
    load = kernels.loads(network, requests)
    before = kernels.type_gains(network, requests, capacities, y, load)[0]
    assert len({*zip(terms.type.tolist(), terms.placement.tolist(), strict=True)}) == len(terms)
    for rho in range(network.R):
        own = terms.placement[terms.start[rho] : terms.start[rho + 1]]
        assert (terms.type[terms.start[rho] : terms.start[rho + 1]] == rho).all()
        moved = np.where(np.isin(np.arange(network.P), own), y, 1.0 - y)
        assert kernels.type_gains(network, requests, capacities, moved, load)[0][rho] == before[rho]


@given(networks())
def test_a_shelf_is_the_feasible_set_of_its_node(network: Network) -> None:
    for v in range(network.V):
        shelf, own = network.shelf(v), network.placement_node == v
        assert (1, own.sum()) == (shelf.V, shelf.P)
        assert shelf.node_names == (network.node_names[v],)
        assert shelf.sizes.tolist() == network.sizes[own].tolist()
        assert shelf.fits.tolist() == network.fits[own].tolist()
        assert shelf.spendable.tolist() == [network.spendable[v]]
        assert not any(np.may_share_memory(shelf.sizes, array) for array in (network.sizes, network.fits))


def test_a_network_is_placements_and_a_service(tiny: Network) -> None:
    assert isinstance(tiny, Placements)
    assert tiny.service.submodular
    assert tiny.service.largest_saving == 77 - 33  # people at a base station, not at the cloud


def test_over_budget_names_the_node(tiny: Network) -> None:
    in_use = tiny.budgets.copy()
    refuse_over_budget(tiny, in_use, "action", "would hold")  # full is not over
    v = tiny.node_names.index("co")
    in_use[v] += 1.0
    message = f"action: node co would hold {in_use[v]:.6g} MB; its budget is {tiny.budgets[v]:.6g} MB"
    with pytest.raises(IdnError, match=f"^{message}$"):
        refuse_over_budget(tiny, in_use, "action", "would hold")


@pytest.mark.parametrize("agent", [LoadAwareGreedy, DistributedInfida])
def test_what_needs_ranks_refuses_another_kind_of_service(tiny: Network, agent: Any) -> None:
    other = replace(tiny, service=AnotherService())
    with pytest.raises(IdnError, match=r"greedy|distributed.*AnotherService") as refused:
        agent().accepts(other)
    assert "AnotherService" in str(refused.value)
    agent().accepts(tiny)


@pytest.mark.parametrize("call", ["gain", "gain_and_subgradient", "serve"])
def test_kernels_refuse_another_kind_of_service(tiny: Network, call: str) -> None:
    other = replace(tiny, service=AnotherService())
    with pytest.raises(IdnError, match="AnotherService"):
        getattr(kernels, call)(other, np.ones(tiny.R), tiny.capacities, np.zeros(tiny.P))
