"""Local search: the compiled form against the plain one, what it knows of moves, and what it is worth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from idn_agents.search import reference
from idn_agents.search.local_search import LocalSearch
from idn_agents.search.rolling import RollingLocalSearch
from instances import random_network, with_services

from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.library import cases
from idn_gym.library.load import load_scenario
from idn_gym.model import allocation
from idn_gym.model.gain import allocation_gain
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.stream import draw


class Case:
    """A random network with three slots, prices, and an allocation to start from."""

    def __init__(self, seed: int, services: bool = False) -> None:
        rng = np.random.default_rng(seed)
        network = random_network(seed)
        self.network = with_services(network, seed) if services else network
        self.requests = rng.integers(0, 20, (3, network.R)).astype(np.float64)
        self.capacities = rng.uniform(0.0, 2.0, (3, network.P)) * network.capacities
        self.price = rng.uniform(0.0, 30.0, network.P) * (rng.random(network.P) < 0.5)
        self.start = kernels.pack(network, rng.normal(0.0, 1.0, (1, network.P)))[0]

    def net(self, state: IntArray) -> float:
        slots = zip(self.requests, self.capacities, strict=True)
        gained = sum(allocation_gain(self.network, r, capacity, state) for r, capacity in slots)
        return gained - float(self.price @ state)

    def search(self, start: IntArray) -> LocalSearch:
        search = LocalSearch(self.network)
        load = kernels.loads(self.network, self.requests)
        search.look_at(self.requests, self.capacities, load, self.price)
        search.start(start)
        return search


def moves_of(case: Case, search: LocalSearch) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """Sizes and gains that the search knows of, by node and task."""
    known, network = search.moves, case.network
    return {
        (v, task): [
            (float(known.sizes[group, j]), float(known.gains[group, j])) for j in range(int(known.counts[group]))
        ]
        for v, task in itertools.product(range(network.V), range(network.N))
        if (group := v * network.N + task) >= 0 and known.counts[group]
    }


def told_apart(moves: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without moves that rounding alone makes better: of replicas, one or the other."""
    kept = moves[:1]
    for size, gain in moves[1:]:
        if len(kept) == 1 or gain > kept[-1][1] + 1e-6:
            kept.append((size, gain))
    return kept


def expected_moves(case: Case, state: IntArray) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """The same, from the definition."""
    network = case.network
    search = reference.Search(network, case.requests, case.capacities, case.price, 256)
    return {
        (v, task): [(move.size, move.gain) for move in reference.task_moves(search, state, v, task)]
        for v, task in itertools.product(range(network.V), range(network.N))
        if (network.fits & (network.placement_group == v * network.N + task)).any()
    }


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_kernel_is_the_reference(seed: int, services: bool) -> None:
    case = Case(seed, services)
    search = case.search(case.start)
    search.improve()
    slots = case.requests, case.capacities
    expected = reference.local_search(case.network, *slots, case.price, case.start)
    allocation.check(case.network, search.allocation, integral=True)
    assert case.net(search.allocation) == pytest.approx(case.net(expected), rel=1e-12, abs=1e-9)
    assert case.net(search.allocation) >= case.net(case.start) - 1e-9
    assert search.net_gain == pytest.approx(case.net(search.allocation), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_no_node_alone_can_do_better_by_one_move_per_task(seed: int) -> None:
    """Every combination of moves of a node that fits, by enumeration over exact sizes."""
    case = Case(seed)
    search = case.search(case.start)
    search.improve()
    network, state = case.network, search.allocation
    looked = reference.Search(network, case.requests, case.capacities, case.price, 256)
    for v in range(network.V):
        lists = [reference.task_moves(looked, state, v, task) for task in range(network.N)]
        room = network.budgets[v] * (1.0 + 1e-12)
        sums = [
            sum(move.gain for move in moves)
            for moves in itertools.product(*lists)
            if sum(move.size for move in moves) <= room
        ]
        # a bucket of sizes may hide what it is worth; with so few models the sizes are all told apart
        assert max(sums) <= 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_no_combination_of_many_tasks_is_left_out(seed: int) -> None:
    """Where a node holds moves of 20 tasks, the plain knapsack over them finds nothing more at any node."""
    network = Network.compile(load_scenario("topology-2-fixed"))
    requests = draw(network, 1, seed).requests
    price = np.random.default_rng(seed).uniform(0.0, 3e4, network.P)
    search = LocalSearch(network)
    search.look_at(requests, network.capacities[None], kernels.loads(network, requests), price)
    search.improve()
    known = search.moves
    for v, budget in enumerate(network.budgets):
        groups = [v * network.N + task for task in range(network.N)]
        lists = [
            [reference.Move((), float(known.sizes[g, j]), float(known.gains[g, j])) for j in range(known.counts[g])]
            for g in groups
            if known.counts[g]
        ]
        if lists:
            most, _ = reference.combination(lists, float(budget) * (1.0 + 1e-12), 256)
            assert most <= 1e-9 * search.net_gain


@pytest.mark.parametrize("seed", range(12))
def test_what_is_known_of_moves_belongs_to_this_allocation_these_rows_and_this_price(seed: int) -> None:
    """After perturbing, going back and another charge, what is kept is what looking anew finds."""
    case, generator = Case(seed), np.random.default_rng(seed)
    search = case.search(case.start)
    search.improve()
    before = case.net(search.allocation)
    search.iterate(generator, 100_000, 20)
    assert case.net(search.allocation) >= before - 1e-9
    case.price = case.price + generator.uniform(0.0, 5.0, case.network.P) * (generator.random(case.network.P) < 0.3)
    search.charge(case.price)
    search.improve()
    search.iterate(generator, 100_000, 20)
    found, expected = moves_of(case, search), expected_moves(case, search.allocation)
    assert found.keys() == expected.keys()
    for key, moves in expected.items():
        np.testing.assert_allclose(told_apart(found[key]), told_apart(moves), rtol=1e-9, atol=1e-6, err_msg=str(key))
    assert search.net_gain == pytest.approx(case.net(search.allocation), rel=1e-12, abs=1e-9)


def test_more_work_finds_no_less_and_the_same_work_the_same() -> None:
    network = Network.compile(load_scenario("topology-2-fixed"))
    requests = draw(network, 1, 0).requests
    price = np.zeros(network.P)

    def found(work: int) -> tuple[float, IntArray]:
        search = LocalSearch(network)
        search.look_at(requests, network.capacities[None], kernels.loads(network, requests), price)
        search.improve()
        search.iterate(np.random.default_rng(0), work, 10_000)
        return search.net_gain, search.allocation

    gains = [found(work)[0] for work in (0, 300_000, 1_000_000)]
    assert gains == sorted(gains)
    assert gains[-1] > gains[0]
    np.testing.assert_array_equal(found(300_000)[1], found(300_000)[1])


def held_by_rolling(network: Network, batches: FloatArray, window: int) -> list[IntArray]:
    agent = RollingLocalSearch(window=window)
    agent.reset(network, 0)
    held = np.zeros(network.P, dtype=np.int8)
    states = []
    for requests in (np.zeros(network.R), *batches):
        held = agent.act(observe(network, requests, network.capacities, held))
        allocation.check(network, held, integral=True)
        states.append(held)
    return states


def test_rolling_local_search_is_local_search_on_the_last_batches() -> None:
    network = random_network(11)
    batches = np.random.default_rng(0).integers(0, 20, (4, network.R)).astype(np.float64)
    states = held_by_rolling(network, batches, 2)
    assert not states[0].any(), "nothing before the first batch"
    for slot in range(1, 5):
        rows = batches[max(0, slot - 2) : slot]
        limits = np.repeat(network.capacities[None], len(rows), axis=0)
        price = len(rows) * network.holding
        expected = reference.local_search(network, rows, limits, price, states[slot - 1])
        np.testing.assert_array_equal(states[slot], expected)


def test_rolling_local_search_refuses_chains() -> None:
    network = Network.compile(load_scenario("pipeline-video"))
    with pytest.raises(IdnError, match="chains"):
        RollingLocalSearch().accepts(network)


def test_it_settles_on_counts_that_are_no_whole_numbers() -> None:
    """From nothing placed, where sums that all but cancel are no gain: it used to go in circles."""
    network = Network.compile(cases.Case("held-out", 22).scenario)
    stream = draw(network, 24, seed=0).requests
    search = LocalSearch(network)
    for slots in range(2, 24):
        rows = np.average(stream[:slots], axis=0, weights=0.9 ** np.arange(slots))[None]
        search.look_at(rows, network.capacities[None], kernels.loads(network, rows), np.zeros(network.P))
        search.start(np.zeros(network.P, dtype=np.int8))
        search.improve(3_000_000)
        assert search.settled, slots
