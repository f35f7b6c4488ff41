"""Agents: each against the formula or a slow reading of what it says it does, and all of them on every scenario."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from idn_agents.greedy import LastBatchGreedy, StaticGreedy
from idn_agents.infida.bounds import PSI, paper_regret_bound, regret_bound, theory_rate
from idn_agents.infida.infida import Infida, InfidaOffline, StepSizes, start, state_mass, update
from idn_agents.load_aware import LoadAwareGreedy
from idn_agents.systems import network as systems
from instances import with_services

from idn_gym import kernels, plugins
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.library.names import SCENARIO_OF_ID
from idn_gym.model import allocation, gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

AGENTS = [
    "infida",
    "infida:refresh=dynamic,target=3",
    "infida:residual=reserve,learning_rate=theory",
    "infida-coordinated",
    "infida-coordinated:residual=reserve,window=3,update_weight=0.1",
    "infida:rounding=coordinated",
    "infida-distributed",
    "infida-offline:iterations=5",
    "static-greedy",
    "load-aware-greedy",
    "load-aware-greedy:decay=0.5",
    "central-stations:stations=1,trending=2",
    "last-batch-greedy",
    "last-batch-greedy:keep=0,average=0.9",
    "ppo",
    "random:refresh=2",
    "repository-only",
    "rolling-local-search",
]
SMALLER = {  # what the searches of rounding=coordinated take seconds for, with fewer replicas: others are as they are
    "pipeline-cores": ["replicas=2"],
    "partition-priority": ["replicas=1"],
}
SINGLE_STAGE = ("infida-distributed", "load-aware-greedy", "central-stations", "ppo", "rolling-local-search")


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


def seen(network: Network, requests: np.ndarray, held: np.ndarray | None = None) -> dict[str, Any]:
    return observe(network, requests, network.capacities, np.zeros(network.P) if held is None else held)


# those of the large topology that differ in a figure alone are left out: the small one has them
@pytest.mark.parametrize(
    "scenario", sorted(n for n in SCENARIO_OF_ID.values() if not re.fullmatch("topology-1-(.*-alpha.|persistent)", n))
)
def test_every_agent_submits_feasible_allocations_on_every_scenario(scenario: str) -> None:
    network = Network.compile(load_scenario(scenario, SMALLER.get(scenario, [])))
    trace = draw(network, 3 if scenario in SMALLER else 5, 3)
    for text in AGENTS:
        if text == "ppo" and network.priced:
            continue  # learnt policies refuse prices in a line: `test_learnt_policies_refuse_prices_in_a_line`
        if not network.service.submodular and text.partition(":")[0] in SINGLE_STAGE:
            continue  # they refuse chains in a line: `test_agents_of_single_stages_refuse_chains_in_a_line`
        first, again = (play(network, trace, AgentSpec.parse(text), 7) for _ in range(2))  # raises on an infeasible one
        assert first.summary == again.summary, f"{text}: the same seed gave another run"
        assert first.table.gain.min() >= 0.0


@pytest.mark.parametrize("name", plugins.names(plugins.AGENTS))
def test_registered_agents_are_all_tested_here_or_with_the_solver(name: str) -> None:
    elsewhere = {"optimum", "dynamic-optimum", "law-aware"} | set(systems.AGENTS.values())
    assert name in {text.partition(":")[0] for text in AGENTS} | elsewhere


# --- INFIDA


def test_state_starts_with_the_same_fraction_of_everything_that_fits(tiny: Network) -> None:
    # co: 4 MB for 1+2+3+1+2 = 9 MB; a base station: 3 MB for the same 9; cloud: nothing
    share = {"cloud": 0.0, "co": 4 / 9, "bs0": 3 / 9, "bs1": 3 / 9}
    expected = [share[tiny.node_names[v]] for v in tiny.placement_node]
    np.testing.assert_allclose(np.exp(start(tiny, tiny.spendable)[0]), expected, rtol=1e-14)


def test_update_is_the_step_of_the_paper_for_every_row_of_a_batch(tiny: Network) -> None:
    rng = np.random.default_rng(5)
    log_state = np.concatenate([start(tiny, tiny.spendable), np.log(rng.uniform(0.01, 0.9, (2, tiny.P)))])
    gradient = rng.uniform(0.0, 300.0, (3, tiny.P))
    eta = 0.01
    got = update(kernels.states_of(log_state), gradient, StepSizes(tiny, eta, 0.0, tiny.spendable))
    for b in range(3):
        h = np.exp(log_state[b]) * np.exp(eta * gradient[b] / tiny.sizes)
        with np.errstate(divide="ignore"):  # what does not fit is 0
            expected = allocation.project(tiny, np.log(h), tiny.spendable)
        np.testing.assert_allclose(kernels.fractions_of(got[b]), np.exp(expected), rtol=1e-12)


def test_scale_free_rate_does_not_see_the_unit_of_the_request_rate() -> None:
    states = []
    for rate in (1.0, 1000.0):  # requests and capacities grow alike, so the gain grows by that factor
        scenario = load_scenario("tiny").to_dict()
        for model in scenario["models"]:
            for profile in model["profiles"].values():
                profile["throughput"] *= rate
        network = Network.compile(parse(scenario, "tiny"))
        agent = Infida()
        agent.reset(network, 0)
        requests = np.array([8.0, 8.0, 4.0, 4.0]) * rate
        for slot in range(20):
            agent.act(seen(network, requests if slot else requests * 0))
        states.append(agent.fractional)
    np.testing.assert_allclose(states[0], states[1], rtol=1e-9)


def test_scale_free_rate_by_hand(tiny: Network) -> None:
    steps = StepSizes(tiny, "scale-free", 2.0, tiny.spendable)
    ascent = np.zeros((1, tiny.P))
    of_bs0 = np.flatnonzero(tiny.placement_node == tiny.node_names.index("bs0"))
    ascent[0, of_bs0] = [5.0, 10.0, 4.0, 1.0, 0.0]
    bs0 = tiny.node_names.index("bs0")
    assert steps.next(ascent)[0, bs0] == pytest.approx(2.0 / 10.0)  # scale over the mean of (10)
    assert steps.next(ascent * 3)[0, bs0] == pytest.approx(2.0 / 20.0)  # over the mean of (10, 30)
    assert (steps.next(ascent)[0] == 0.0).tolist() == [name != "bs0" for name in tiny.node_names]


def test_theory_rate_by_hand(tiny: Network) -> None:
    # D = 4 log(9/4) + 2 x 3 log(9/3); theta = 1/10; Delta_C = 87 - 44 = 43 or 77 - 33 = 44, so 44
    # L/s: server 12/1, 8/2, 4/3, 10/1, 6/2; edge 6, 2, 2/3, 5, 1.5: at most 12; T = 20
    divergence = 4 * math.log(9 / 4) + 6 * math.log(3)
    assert theory_rate(tiny, 20) == pytest.approx(math.sqrt(2 * divergence / 10 / 20) / (12 * 44), rel=1e-12)


def test_bounds_by_hand(tiny: Network) -> None:
    divergence = 4 * math.log(9 / 4) + 6 * math.log(3)
    assert regret_bound(tiny, 50) == pytest.approx(12 * 44 * math.sqrt(2 * divergence * 10 * 50), rel=1e-12)
    # R = 4 types, L_max = 12, s from 1 to 3 MB, |V| = 4, |M| = 5
    paper = PSI * 4 * 12 * 44 * math.sqrt(2 * 3 * 4 * 5 * divergence * 50)
    assert paper_regret_bound(tiny, 50) == pytest.approx(paper, rel=1e-12)


def test_anytime_rate_falls_like_the_square_root_of_time(tiny: Network) -> None:
    steps = StepSizes(tiny, "anytime", 1.0, tiny.spendable)
    rates = [steps.next(np.ones((1, tiny.P)))[0] for _ in range(4)]
    for t, rate in enumerate(rates, start=1):
        np.testing.assert_allclose(rate, theory_rate(tiny, 1) / math.sqrt(t), rtol=1e-12)


def test_refresh_rounds_anew_only_when_it_is_due(tiny: Network) -> None:
    trace = draw(tiny, 20, 0)
    every = {"1": set(range(20)), "5": {0, 5, 10, 15}, "dynamic,target=4": {0, 1, 3, 6, 10, 14, 18}}
    for refresh, allowed in every.items():
        changed = {slot for slot, _ in play(tiny, trace, AgentSpec.parse(f"infida:refresh={refresh}"), 1).changes}
        assert changed <= allowed, f"refresh={refresh}: changed in {sorted(changed - allowed)}"
        assert len(changed) > len(allowed) / 3


def test_reserve_leaves_room_for_the_largest(tiny: Network) -> None:
    assert state_mass(tiny, "reserve").tolist() == [0.0, 1.0, 0.0, 0.0]  # 4 - 3, 3 - 3
    roomy = Network.compile(load_scenario("tiny", ["nodes.co.budget=9"]))
    assert state_mass(roomy, "reserve").tolist() == [0.0, 9.0, 0.0, 0.0]  # everything fits: nothing to reserve


def test_infida_learns_the_best_static_allocation_of_a_constant_batch(tiny: Network) -> None:
    requests = np.array([8.0, 8.0, 4.0, 4.0])
    agent = Infida()
    agent.reset(tiny, 0)
    for slot in range(400):
        agent.act(seen(tiny, requests if slot else requests * 0))
    best = _brute_force(tiny, requests)
    reached = gain.allocation_gain(tiny, requests, tiny.capacities, agent.fractional)
    assert reached >= 0.99 * best  # the fractional optimum is at least the integral one


def test_infida_offline_keeps_its_ratio_to_the_optimum(tiny: Network) -> None:
    trace = draw(tiny, 20, 4)
    agent = InfidaOffline()
    agent.reset(tiny, 0)
    agent.fit(trace)
    average = trace.requests
    optimum = max(
        sum(gain.allocation_gain(tiny, r, tiny.capacities, np.array(x)) for r in average)
        for x in _maximal_allocations(tiny)
    )
    fractional = sum(gain.allocation_gain(tiny, r, tiny.capacities, agent.fractional) for r in average)
    assert fractional >= (1 - 1 / math.e) * optimum
    allocation.check(tiny, agent.act(seen(tiny, average[0])), integral=True)


# --- greedy heuristics


def test_static_greedy_is_the_eager_greedy(tiny: Network) -> None:
    trace = draw(tiny, 6, 2)

    def total(x: np.ndarray) -> float:
        return sum(gain.allocation_gain(tiny, r, tiny.capacities, x) for r in trace.requests)

    x = np.zeros(tiny.P)
    while True:
        room = tiny.budgets - tiny.memory_in_use(x)
        options = [p for p in range(tiny.P) if not x[p] and tiny.sizes[p] <= room[tiny.placement_node[p]]]
        gains = [(total(x + np.eye(tiny.P)[p]) - total(x)) / tiny.sizes[p] for p in options]
        if not options or max(gains) <= 1e-9:
            break
        x[options[int(np.argmax(gains))]] = 1.0
    agent = StaticGreedy()
    agent.reset(tiny, 0)
    agent.fit(trace)
    assert total(agent.act({})) == pytest.approx(total(x), rel=1e-12)


def test_static_greedy_refuses_a_gain_that_is_not_submodular(tiny: Network) -> None:
    StaticGreedy().accepts(tiny)
    other = replace(tiny, service=SimpleNamespace(submodular=False))
    with pytest.raises(IdnError, match="submodular; that of scenario tiny is not"):
        StaticGreedy().accepts(other)


@pytest.mark.parametrize("services", [None, 0, 1])
@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_last_batch_greedy_fills_from_the_cloud_down(tiny: Network, keep: float, services: int | None) -> None:
    tiny = tiny if services is None else with_services(tiny, services)
    rng = np.random.default_rng(0)
    agent = LastBatchGreedy(keep=keep)
    agent.reset(tiny, 0)
    held = np.zeros(tiny.P)
    for _ in range(10):
        requests = rng.integers(0, 12, tiny.R).astype(float)
        expected = np.zeros(tiny.P)
        for v in sorted(range(tiny.V), key=lambda v: tiny.tiers[v]):
            while True:
                room = tiny.budgets[v] - tiny.memory_in_use(expected)[v]
                options = [
                    p for p in np.flatnonzero(tiny.placement_node == v) if not expected[p] and tiny.sizes[p] <= room
                ]
                base = gain.allocation_gain(tiny, requests, tiny.capacities, expected)
                value = {
                    p: (gain.allocation_gain(tiny, requests, tiny.capacities, expected + np.eye(tiny.P)[p]) - base)
                    * (1 + keep * held[p])
                    / tiny.sizes[p]
                    for p in options
                }
                useful = {p: worth for p, worth in value.items() if worth > 1e-9}
                if useful:
                    best = max(useful, key=lambda p: (round(useful[p], 9), -p))
                elif kept := [p for p in options if keep and held[p]]:
                    best = kept[0]
                else:
                    break
                expected[best] = 1.0
        got = agent.act(seen(tiny, requests, held))
        served = [gain.allocation_gain(tiny, requests, tiny.capacities, x) for x in (got, expected)]
        assert served[0] == pytest.approx(served[1], rel=1e-9)
        assert got.tolist() == expected.tolist()
        held = got.astype(float)


@pytest.mark.parametrize("services", [None, 0, 1, 2])
def test_load_aware_greedy_against_a_slow_reading(tiny: Network, services: int | None) -> None:
    rng = np.random.default_rng(1)
    agent = LoadAwareGreedy()
    network = tiny if services is None else with_services(tiny, services)
    agent.reset(network, 0)
    held = np.zeros(network.P)
    for _ in range(12):
        requests = rng.integers(0, 15, network.R).astype(float)
        expected = _load_aware(network, requests, held)
        got = agent.act(seen(network, requests, held))
        assert got.tolist() == expected.tolist()
        held = got.astype(float)


@pytest.mark.parametrize("rival", ["load-aware-greedy", "last-batch-greedy"])
def test_a_rival_is_a_rival(rival: str) -> None:
    """On fixed popularity the online greedies reach at least 85% of static greedy, once they have seen a few slots."""
    network = Network.compile(load_scenario("topology-1-fixed"))
    trace = draw(network, 60, 11)
    reached, static = (
        play(network, trace, AgentSpec(name), 0).table.gain[10:].sum() for name in (rival, "static-greedy")
    )
    assert reached >= 0.85 * static


# --- parameters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("infida:learning_rate=fast", "learning_rate: 'fast'; allowed: scale-free, theory, anytime"),
        ("infida:learning_rate=-1", "learning_rate: -1; must be a number >= 0"),
        ("infida:scale=.nan", "scale: nan"),
        ("infida:refresh=0", "refresh: 0; must be a whole number >= 1"),
        ("infida:refresh=1.5", "refresh: 1.5"),
        ("infida:residual=coin", "residual: 'coin'; allowed: drop, reserve"),
        ("infida:depth=3", "unknown parameter 'depth'; allowed: learning_rate, scale, refresh, target, residual"),
        ("last-batch-greedy:average=1", "average: 1; must be a number in [0, 1]"),
        ("load-aware-greedy:decay=true", "decay: True"),
        ("random:refresh=x", "refresh: 'x'"),
        ("nobody", "no agent 'nobody'; registered: "),
        ("infida:scale", "must be name or name:key=value"),
        ("infida:scale=1,scale=2", "each key once"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(IdnError) as caught:
        AgentSpec.parse(text).make()
    assert words in str(caught.value)


def test_the_runner_refuses_what_is_not_a_feasible_allocation(tiny: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bad:
        def __init__(self, submitted: Any) -> None:
            self.submitted = submitted

        def reset(self, network: Network, seed: int) -> None: ...
        def act(self, observation: Any) -> Any:
            return self.submitted

        def info(self) -> dict[str, Any]:
            return {}

    trace = Trace(np.ones((3, tiny.R)), tiny.capacities[None])
    for submitted, words in [
        (np.ones(tiny.P), "slot 0: node cloud holds 4 MB; its budget is 0 MB"),
        (np.full(tiny.P, 0.5), "values other than 0 and 1"),
        (np.zeros(3), "allocation of shape (3,); must be (18,)"),
    ]:
        monkeypatch.setattr(plugins, "make_agent", lambda name, parameters, submitted=submitted: Bad(submitted))
        with pytest.raises(IdnError, match="agent bad, slot 0") as caught:
            play(tiny, trace, AgentSpec("bad"), 0)
        assert words in str(caught.value)


# --- slow readings


def _maximal_allocations(network: Network) -> list[tuple[float, ...]]:
    """Every feasible allocation of a small network: the gain is monotone, but there are few enough for all."""
    per_node = []
    for v in range(network.V):
        here = np.flatnonzero(network.placement_node == v)
        choices = [
            bits
            for bits in itertools.product((0.0, 1.0), repeat=len(here))
            if np.dot(bits, network.sizes[here]) <= network.budgets[v]
        ]
        dominated = [
            bits for bits in choices if any(other != bits and np.all(np.array(other) >= bits) for other in choices)
        ]
        per_node.append([bits for bits in choices if bits not in dominated])
    return [tuple(itertools.chain(*combination)) for combination in itertools.product(*per_node)]


def _brute_force(network: Network, requests: np.ndarray) -> float:
    return max(
        gain.allocation_gain(network, requests, network.capacities, np.array(x)) for x in _maximal_allocations(network)
    )


def _load_aware(network: Network, requests: np.ndarray, held: np.ndarray) -> np.ndarray:
    """OLAG as docs/model.md#greedy-baselines reads, over dictionaries: all nodes at once, counters of one slot."""

    def part(p: int, rho: int) -> float:
        """Of what is counted for a type, that it has capacity for once higher classes are served."""
        passing = [0.0] * network.service.classes
        for (at, other), n in phi.items():
            passing[network.service.type_class[other]] += n if at == p else 0.0
        own = network.service.type_class[rho]
        left = max(0.0, network.capacities[p] - sum(passing[:own]))
        return min(1.0, left / passing[own]) if passing[own] else 0.0

    tiny_end = network.P
    served: dict[int, list[tuple[int, float, float]]] = {}  # type -> (node, cost, requests)
    potential = network.service.potential_capacities(requests, network.capacities)
    amounts = network.service.requests_served(requests, held, potential)
    for rho in range(network.R):
        served[rho] = []
        for k in range(network.service.option_count[rho]):
            p = network.service.options[rho, k]
            node = network.service.repository_node[rho] if p == tiny_end else network.placement_node[p]
            if amounts[rho, k] > 0:
                served[rho].append((int(node), float(network.service.costs[rho, k]), float(amounts[rho, k])))
    result = np.zeros(network.P)
    for v in range(network.V):
        phi: dict[tuple[int, int], float] = {}
        saved: dict[tuple[int, int], float] = {}
        cost: dict[tuple[int, int], float] = {}
        for rho in range(network.R):
            path = [int(node) for node in network.paths[rho] if node >= 0]
            repository = float(network.service.costs[rho, -1])
            for k in range(network.service.option_count[rho] - 1):
                p = int(network.service.options[rho, k])
                if network.placement_node[p] != v:
                    continue
                cost[p, rho] = float(network.service.costs[rho, k])
                phi[p, rho] = saved[p, rho] = 0.0
                for node, at, n in served[rho]:
                    if path.index(node) < path.index(v):
                        continue
                    instead = repository if node == v else at
                    if instead > cost[p, rho]:
                        phi[p, rho] += n
                        saved[p, rho] += n * (instead - cost[p, rho])
        room = network.budgets[v]
        here = [int(p) for p in np.flatnonzero(network.placement_node == v)]
        while True:
            worth = {}
            for p in here:
                total = sum(phi.get((p, rho), 0.0) for rho in range(network.R))
                if result[p] or network.sizes[p] > room or total == 0:
                    continue
                of_type = [part(p, rho) * saved.get((p, rho), 0.0) for rho in range(network.R)]
                worth[p] = sum(of_type) / network.sizes[p]
            worth = {p: value for p, value in worth.items() if value > 0}
            if not worth:
                break
            best = max(worth, key=lambda p: (round(worth[p], 9), -p))
            absorbed = {rho: phi[best, rho] * part(best, rho) for rho in range(network.R) if (best, rho) in phi}
            for p, rho in list(phi):
                if p != best and rho in absorbed and phi[p, rho] > 0 and cost[p, rho] >= cost[best, rho]:
                    left = max(0.0, phi[p, rho] - absorbed[rho])
                    saved[p, rho] *= left / phi[p, rho]
                    phi[p, rho] = left
            result[best] = 1.0
            room -= network.sizes[best]
        for p in here:
            if held[p] and not result[p] and network.sizes[p] <= room:
                result[p] = 1.0
                room -= network.sizes[p]
    return result
