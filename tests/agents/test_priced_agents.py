"""Agents where holding has a price: what does not pay is not placed, and states leave budget unspent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from idn_agents.greedy import LastBatchGreedy, StaticGreedy
from idn_agents.infida.bounds import PSI, paper_regret_bound, regret_bound, theory_rate
from idn_agents.infida.infida import Infida, StepSizes, start, state_mass, update
from idn_agents.infida.slack import StateSpace, charges
from idn_agents.learning.limits import refuse_priced
from idn_agents.load_aware import LoadAwareGreedy
from idn_agents.rounding.rounding import Dependent, kept, residual_of
from idn_agents.search.local_search import LocalSearch
from instances import random_values
from scipy.optimize import linprog

from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.experiment.play import play
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model import allocation, gain
from idn_gym.model.gain import allocation_gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

GREEDY = ["static-greedy", "last-batch-greedy", "load-aware-greedy", "load-aware-greedy:decay=0.9"]
DESCENT = [
    "infida",
    "infida:residual=reserve,refresh=3",
    "infida:rounding=coordinated",
    "infida-coordinated",
    "infida-coordinated:residual=reserve,update_weight=0.1,window=2",
    "infida-distributed",
    "infida-offline",
]
PROFILE = {"size": 1.0, "delay": 1.0, "throughput": 1000.0}
# two tasks with one model of 1 MB each; room for two at bs and for one at co; bs - co is 2 ms, co - cloud 40 ms.
# A slot lasts an hour, so that prices are per slot: a request saves 40 ms at co and 42 at bs
TWO: dict[str, Any] = {
    "format": "idn-gym/scenario-1",
    "name": "two",
    "slot_seconds": 3600.0,
    "accuracy_weight": 0.0,
    "price_weight": 1.0,
    "tasks": ["a", "b"],
    "nodes": [
        {"name": "cloud", "processor": "gpu", "budget": 0.0, "repository": ["a/m", "b/m"]},
        {"name": "co", "processor": "gpu", "budget": 1.0},
        {"name": "bs", "processor": "gpu", "budget": 2.0, "entry": True},
    ],
    "links": [
        {"source": "bs", "target": "co", "latency": 2.0},
        {"source": "co", "target": "cloud", "latency": 40.0},
    ],
}
BATCH = np.array([10.0, 6.0])


def two(a: float, b: float) -> Network:
    """The network above with these prices of a and b, in ms per slot."""
    models = [
        {"name": f"{task}/m", "task": task, "accuracy": 50.0, "profiles": {"gpu": {**PROFILE, "price": price}}}
        for task, price in (("a", a), ("b", b))
    ]
    return Network.compile(parse({**TWO, "models": models}, "two"))


def steady(network: Network, batch: np.ndarray, slots: int) -> Trace:
    return Trace(np.repeat(batch[None], slots, axis=0), network.capacities[None])


def priced(name: str, weight: float, price_per_mb: float = 1.0) -> Network:
    """A packaged scenario whose placements cost in proportion to their size, in currency per slot."""
    data = load_scenario(name).to_dict()
    for model in data["models"]:
        for profile in model["profiles"].values():
            profile["price"] = price_per_mb * profile["size"] * 3600.0 / data["slot_seconds"]
    return Network.compile(parse({**data, "price_weight": weight}, name))


def random_priced(seed: int) -> Network:
    """A small random network where holding costs up to about what a placement saves."""
    data, rng = random_values(seed), np.random.default_rng(seed)
    for model in data["models"]:
        for profile in model["profiles"].values():
            profile["price"] = float(rng.choice([0.0, 1.0, 1.0]) * rng.uniform(0.0, 60.0)) * 3600.0
    return Network.compile(parse({**data, "price_weight": 1.0 / data["slot_seconds"]}, f"seed {seed}"))


def held_in(result: Result, network: Network) -> np.ndarray:
    """(T, P) what a run held."""
    slots = len(result.table.gain)
    held = np.zeros((slots, network.P))
    for first, placed in result.changes:
        held[first:] = placed
    return held


def net(result: Result, network: Network) -> np.ndarray:
    """(T,) net gain of each slot."""
    return result.table.gain - held_in(result, network) @ network.holding


def best_net(network: Network, trace: Trace) -> float:
    """Largest net gain of a fixed fractional state, by a linear program over the formula of the gain.

    The gain of a type in a slot is r Σ_k (C_{k+1} - C_k) min(1, Σ_{j≤k} a_j y_j): one variable for each minimum.
    """
    service = network.service
    worth: list[float] = []  # ms of each minimum
    covered: list[np.ndarray] = []  # (P,) what the minimum is of
    for requests in trace.requests:
        potential = service.potential_capacities(requests, network.capacities)
        for rho in np.flatnonzero(requests):
            shares = np.zeros(network.P)
            for k in range(service.option_count[rho] - 1):
                shares[service.options[rho, k]] = potential[rho, k] / requests[rho]
                covered.append(shares.copy())
                worth.append(float(requests[rho] * (service.costs[rho, k + 1] - service.costs[rho, k])))
    of_node = np.arange(network.V)[:, None] == network.placement_node
    minima = len(worth)
    at_most = np.block([[-np.array(covered), np.eye(minima)], [of_node * network.sizes, np.zeros((network.V, minima))]])
    limits = np.concatenate([np.zeros(minima), network.budgets])
    bounds = [(0.0, 1.0 if fits else 0.0) for fits in network.fits] + [(None, 1.0)] * minima
    objective = np.concatenate([network.holding * trace.slots, -np.array(worth)])
    found = linprog(objective, at_most, limits, bounds=bounds)
    assert found.status == 0
    return float(-found.fun)


# --- the slack


def test_a_state_starts_with_the_same_fraction_of_everything_slack_included() -> None:
    network = priced("tiny", 0.1)
    space = StateSpace(network, network.holding, network.spendable)
    # co: 4 MB for 9 MB of models and 4 of slack; a base station: 3 MB for 9 and 3; cloud: nothing
    share = {"cloud": 0.0, "co": 4 / 13, "bs0": 3 / 12, "bs1": 3 / 12}
    states = np.exp(start(space.placements, network.spendable))
    expected = [share[network.node_names[v]] for v in network.placement_node]
    np.testing.assert_allclose(space.held(states)[0], expected, rtol=1e-14)
    assert states.shape == (1, network.P + network.V)


@pytest.mark.parametrize("seed", range(10))
def test_the_step_is_that_of_the_paper_with_a_slack_of_no_gain(seed: int) -> None:
    """Per node and by bisection: y = min(1, c h) over the placements and a slack as large as the mass."""
    network, rng = random_priced(seed), np.random.default_rng(seed)
    mass = state_mass(network)
    steps = StepSizes(network, 0.01, 0.0, mass)
    log_state = start(steps.space.placements, mass)
    before = np.exp(log_state)
    gradient = rng.uniform(0.0, 300.0, (1, network.P))
    stepped = update(kernels.states_of(log_state), gradient, steps)
    after = steps.space.held(kernels.fractions_of(stepped))[0]
    may = network.fits & (charges(network) < np.inf)
    for v in np.flatnonzero(mass > 0.0) if network.priced else []:
        here = np.flatnonzero((network.placement_node == v) & may)
        sizes = np.append(network.sizes[here], mass[v])
        ascent = np.append((gradient[0, here] - network.holding[here]) / network.sizes[here], 0.0)
        first = steps.space.held(before)[0, here]
        slack = 1.0 - float(network.sizes[here] @ first) / mass[v]
        h = np.append(first, slack) * np.exp(0.01 * ascent)
        low, high = 0.0, 1e9
        for _ in range(200):
            c = (low + high) / 2.0
            low, high = (c, high) if sizes @ np.minimum(1.0, c * h) < mass[v] else (low, c)
        np.testing.assert_allclose(after[here], np.minimum(1.0, c * h)[:-1], rtol=1e-9)
    assert (after[~may] == 0.0).all()
    allocation.check(network, after)


def test_without_a_price_weight_nothing_changes() -> None:
    """To the last bit: prices that weigh nothing, and a weight on prices of 0, are no prices."""
    plain, trace = Network.compile(load_scenario("tiny")), None
    for text in [*GREEDY, *DESCENT]:
        runs = []
        for network in (plain, priced("tiny", 0.0), priced("tiny", 5.0, 0.0)):
            trace = draw(network, 15, 2)
            runs.append(play(network, trace, AgentSpec.parse(text), 3))
        for run in runs[1:]:
            assert run.table.gain.tobytes() == runs[0].table.gain.tobytes(), text
            assert held_in(run, plain).tobytes() == held_in(runs[0], plain).tobytes(), text
            if runs[0].fractional is not None:
                assert run.fractional is not None
                assert run.fractional.tobytes() == runs[0].fractional.tobytes(), text


# --- what does not pay


@pytest.mark.parametrize("text", [*GREEDY, *DESCENT])
def test_a_price_beyond_all_that_can_be_saved_is_never_paid(text: str) -> None:
    """At bs a saves at most 1000 x 3600 requests x 42 ms in a slot; at 10% more it is never placed, b at 1 ms is."""
    network = two(1.1 * 1000.0 * 3600.0 * 42.0, 1.0)
    result = play(network, steady(network, BATCH, 60), AgentSpec.parse(text), 0)
    of_a = network.placement_model == network.model_names.index("a/m")
    held = held_in(result, network)
    assert not held[:, of_a].any()
    assert held[-1, ~of_a].any()
    if result.fractional is not None:
        assert not result.fractional[of_a].any()


@pytest.mark.parametrize("text", [*GREEDY, *DESCENT])
def test_a_price_beyond_what_the_stream_saves_is_not_paid_for_long(text: str) -> None:
    """A saves 420 ms at most in a slot of this stream; it costs 1000, which it could save in another."""
    network = two(1000.0, 1.0)
    slots = 400
    result = play(network, steady(network, BATCH, slots), AgentSpec.parse(text), 0)
    of_a = network.placement_model == network.model_names.index("a/m")
    held = held_in(result, network)
    if text in GREEDY:
        assert not held[:, of_a].any()
    assert not held[-50:, of_a].any()
    assert held[-1, ~of_a].any()
    if result.fractional is not None:
        assert result.fractional[of_a].max() < 0.05
    # b at bs saves 6 x 42 ms and costs 1; who places b at co first, where it saves 6 x 40, has 1 ms less
    assert 6 * 42.0 - 2.0 <= net(result, network)[-1] <= 6 * 42.0 - 1.0


@pytest.mark.parametrize("text", [*GREEDY, *DESCENT])
@pytest.mark.parametrize("scenario", ["tiny", "topology-2-bursty"])
def test_where_nothing_pays_nothing_is_placed(text: str, scenario: str) -> None:
    network = priced(scenario, 1e12)
    result = play(network, draw(network, 20, 1), AgentSpec.parse(text), 0)
    assert result.table.gain.tolist() == [0.0] * 20
    assert not held_in(result, network).any()


def test_what_is_held_and_no_longer_pays_is_dropped() -> None:
    """Requests for a fall from 10 to 1, of 42 ms each; holding a costs 100 ms at either node."""
    network = two(100.0, 100.0)
    before, after = np.array([10.0, 10.0]), np.array([1.0, 10.0])
    a_at_bs = network.number("bs", "a/m")
    for agent in (LastBatchGreedy(), LastBatchGreedy(keep=100.0), LoadAwareGreedy()):
        agent.reset(network, 0)
        held = np.zeros(network.P)
        for requests, wanted in ((before, True), (before, True), (after, False)):
            held = agent.act(observe(network, requests, network.capacities, held)).astype(np.float64)
            anywhere = held[a_at_bs] or held[network.number("co", "a/m")]
            assert bool(anywhere) == wanted, type(agent).__name__


def test_load_aware_counters_pay_for_as_many_slots_as_they_hold() -> None:
    """A request for a in every slot saves 42 ms at bs: at a price of 41 it pays, at 43 not, whatever the decay."""
    for decay in (0.0, 0.5, 0.95):
        for price, pays in ((41.0, 1), (43.0, 0)):
            network, agent = two(price, 1e6), LoadAwareGreedy(decay=decay)
            agent.reset(network, 0)
            held = agent.act(observe(network, np.zeros(2), network.capacities, np.zeros(network.P)))
            for _ in range(10):
                held = agent.act(observe(network, np.array([1.0, 0.0]), network.capacities, np.zeros(network.P)))
            assert held[network.number("bs", "a/m")] == pays


@pytest.mark.parametrize("seed", range(20))
def test_static_greedy_is_the_eager_greedy_on_net_gains(seed: int) -> None:
    network, rng = random_priced(seed), np.random.default_rng(seed)
    trace = Trace(rng.integers(0, 12, (3, network.R)).astype(np.float64), network.capacities[None])

    def total(x: np.ndarray) -> float:
        gains = (gain.allocation_gain(network, r, network.capacities, x) for r in trace.requests)
        return sum(gains) - 3 * float(network.holding @ x)

    x = np.zeros(network.P)
    while True:
        room = network.budgets - network.memory_in_use(x)
        options = [p for p in range(network.P) if not x[p] and network.sizes[p] <= room[network.placement_node[p]]]
        gains = [(total(x + np.eye(network.P)[p]) - total(x)) / network.sizes[p] for p in options]
        if not options or max(gains) <= 1e-9:
            break
        x[options[int(np.argmax(gains))]] = 1.0
    agent = StaticGreedy()
    agent.reset(network, 0)
    agent.fit(trace)
    found = total(agent.act({}).astype(np.float64))
    assert found == pytest.approx(total(x), rel=1e-9, abs=1e-9)
    assert found >= 0.0, "placing nothing is worth 0"


# --- local search


def found(network: Network, held: np.ndarray) -> np.ndarray:
    """What local search makes of the batch, from what is held."""
    search = LocalSearch(network)
    search.look_at(BATCH[None], network.capacities[None], kernels.loads(network, BATCH[None]), network.holding)
    search.start(held)
    search.improve()
    return search.allocation


def test_search_charges_what_holding_costs() -> None:
    """No node alone could earn more by holding a, b or nothing, whatever was held before; by enumeration."""
    for a, b in ((10.0, 10.0), (390.0, 10.0), (410.0, 10.0), (410.0, 250.0), (430.0, 260.0)):
        network = two(a, b)

        def net(state: np.ndarray, network: Network = network) -> float:
            return allocation_gain(network, BATCH, network.capacities, state) - float(network.holding @ state)

        for before in (None, "a/m"):
            held = np.zeros(network.P, dtype=np.int8)
            if before:
                held[network.number("co", before)] = 1
            state = found(network, held)
            for v in range(network.V):
                own = np.flatnonzero(network.placement_node == v)
                for p in (None, *own):
                    other = state.copy()
                    other[own] = 0
                    if p is not None:
                        other[p] = 1
                    assert net(state) >= net(other) - 1e-9, (a, b, before, v, p)
            if a > 420.0 and b > 252.0:
                assert not state.any(), "what is held has to pay like the rest"


# --- rounding


@pytest.mark.parametrize("seed", range(8))
def test_rounding_pays_for_no_more_than_the_state_says(seed: int) -> None:
    """E[x] <= y: within 5 standard errors of 4000 draws, for each placement and for the price of all."""
    network, rng = random_priced(seed), np.random.default_rng(seed)
    mass = network.spendable * rng.uniform(0.3, 1.0, network.V)
    state = np.exp(kernels.project(network, rng.normal(0.0, 1.0, (1, network.P)), mass))
    uniforms = rng.random((4000, network.P))
    drawn = kernels.round_dependent(network, np.repeat(state, 4000, axis=0), uniforms, "fit")
    for x in drawn[:200]:
        allocation.check(network, x, integral=True)
    error = 5.0 * np.sqrt(state[0] * (1.0 - np.minimum(state[0], 1.0)) / 4000) + 1e-9
    assert (drawn.mean(axis=0) <= state[0] + error).all()
    paid = drawn @ network.holding
    assert paid.mean() <= network.holding @ state[0] + 5.0 * paid.std() / math.sqrt(4000) + 1e-9


def test_a_lone_fraction_is_held_as_often_as_the_state_says() -> None:
    """With room for it, nothing is lost: 0.3 of a at co, where b, which has no part in the state, would fit too."""
    network = two(1.0, 1.0)
    rounding, state = Dependent(network, 0, "drop"), np.zeros((1, network.P))
    a, b = network.number("co", "a/m"), network.number("co", "b/m")
    state[0, a] = 0.3
    drawn = np.array([rounding.round(state) for _ in range(4000)])
    assert abs(drawn[:, a].mean() - 0.3) < 5.0 * math.sqrt(0.21 / 4000)
    assert not drawn[:, b].any(), "nothing is packed"
    full = Dependent(two(0.0, 0.0), 0, "drop").round(np.where(state > 0, state, 0.1))
    assert full[[a, b]].sum() == 1, "without prices the room is filled"


@pytest.mark.parametrize("seed", range(4))
def test_reserve_keeps_its_share_of_the_gain_and_pays_what_the_state_pays(seed: int) -> None:
    """E[G(x)] >= (1 - 1/e) G(y) and E[price of x] = price of y: within 5 standard errors of 4000 draws."""
    network, rng = random_priced(seed), np.random.default_rng(seed)
    mass = state_mass(network, "reserve") * rng.uniform(0.3, 1.0, network.V)
    state = np.exp(kernels.project(network, rng.normal(0.0, 1.0, (1, network.P)), mass))
    requests = rng.integers(1, 20, network.R).astype(np.float64)
    uniforms = rng.random((4000, network.P))
    drawn = kernels.round_dependent(network, np.repeat(state, 4000, axis=0), uniforms, "reserve")
    gains = kernels.gain(network, requests[None], network.capacities[None], drawn)
    least = PSI * gain.allocation_gain(network, requests, network.capacities, np.minimum(1.0, state[0]))
    assert gains.mean() >= least - 5.0 * gains.std() / math.sqrt(len(gains)) - 1e-9
    paid = drawn @ network.holding
    assert abs(paid.mean() - network.holding @ state[0]) <= 5.0 * paid.std() / math.sqrt(len(paid)) + 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_keep_adds_nothing_but_what_was_left_out(seed: int) -> None:
    network, rng = random_priced(seed), np.random.default_rng(seed)
    state = np.exp(kernels.project(network, rng.normal(0.0, 1.0, (1, network.P)), network.spendable))
    for _ in range(20):
        uniforms = rng.random((1, network.P))
        how = residual_of(network, "drop")
        exact, dropped = (kernels.round_dependent(network, state, uniforms, each)[0] for each in ("coin", how))
        keep = kept(network, state[0], dropped, exact)
        allocation.check(network, keep, integral=True)
        assert (np.maximum(dropped, keep) >= exact).all()
        if network.priced:
            assert (dropped <= exact).all()
            assert (keep <= exact).all()


@pytest.mark.parametrize("rounding", ["coordinated", "guarded"])
def test_nothing_is_placed_before_anything_is_known(rounding: str) -> None:
    network = two(1.0, 1.0)
    for seed in range(5):
        result = play(network, steady(network, BATCH, 4), AgentSpec("infida-coordinated", {"rounding": rounding}), seed)
        held = held_in(result, network)
        assert not held[0].any()
        assert held[-1].any()


def test_the_guard_weighs_net_gains() -> None:
    """Prices at which coordination soon holds what pays; a state that learns nothing pays for what does not."""
    network = two(1000.0, 1.0)
    spec = AgentSpec("infida-coordinated", {"learning_rate": 0.0})
    result = play(network, steady(network, BATCH, 200), spec, 1)
    assert result.info["weights"]["coordinated"] > 0.9
    assert net(result, network)[-1] == pytest.approx(251.0)


# --- learning


@pytest.mark.parametrize("seed", [0, 3, 5, 8])
def test_states_approach_the_best_net_gain(seed: int) -> None:
    """The average net gain of the states against a linear program, on one batch over and over."""
    network, rng = random_priced(seed), np.random.default_rng(seed)
    trace = steady(network, rng.integers(1, 20, network.R).astype(np.float64), 1)
    best, states = best_net(network, trace), []
    agent = Infida(scale=0.5)
    agent.reset(network, 0)
    slots = 2000
    for slot in range(slots):
        agent.act(observe(network, trace.requests[0] * (slot > 0), network.capacities, np.zeros(network.P)))
        states.append(agent.fractional.copy())
    last = np.minimum(np.array(states[slots // 2 :]).mean(axis=0), 1.0)
    reached = gain.allocation_gain(network, trace.requests[0], network.capacities, last) - network.holding @ last
    scale = gain.allocation_gain(network, trace.requests[0], network.capacities, network.fits.astype(np.float64))
    assert best >= reached - 1e-6 * scale
    assert reached >= best - 0.02 * scale


@pytest.mark.parametrize("seed", range(4))
def test_state_regret_is_within_its_bound(seed: int) -> None:
    """Of the net gain, with gradients of both signs, at the rate of theory for the horizon."""
    data, rng = random_values(seed), np.random.default_rng(seed)
    slots = 40
    for model in data["models"]:
        for profile in model["profiles"].values():
            profile["price"] = float(rng.uniform(0.0, 60.0)) * 3600.0
    data |= {"price_weight": 1.0 / data["slot_seconds"], "horizon": slots}
    network = Network.compile(parse(data, "random"))
    trace = Trace(rng.integers(0, 20, (slots, network.R)).astype(np.float64), network.capacities[None])
    result = play(network, trace, AgentSpec.parse("infida:learning_rate=theory"), 0)
    assert result.table.fractional_gain is not None
    assert result.fractional is not None
    reached = float(result.table.fractional_gain.sum() - slots * network.holding @ result.fractional)
    assert best_net(network, trace) - reached <= regret_bound(network, slots)


def test_bounds_by_hand() -> None:
    """At 20 ms per MB all models of tiny may pay: D has their 9 MB and the slack; sigma is 12 x 44 / 1, less 20."""
    network = priced("tiny", 20.0)
    divergence = 4 * math.log(13 / 4) + 6 * math.log(12 / 3)
    bound = (12 * 44 - 20) * math.sqrt(2 * divergence * 10 * 50)
    assert regret_bound(network, 50) == pytest.approx(bound, rel=1e-12)
    assert theory_rate(network, 20) == pytest.approx(math.sqrt(2 * divergence / 10 / 20) / (12 * 44 - 20), rel=1e-12)
    # at 400 ms per MB the small ones alone may pay, and what they cost is the steepest: server 12 and 10, edge none
    dear = priced("tiny", 400.0)
    divergence = 4 * math.log(6 / 4)
    assert regret_bound(dear, 50) == pytest.approx(400 * math.sqrt(2 * divergence * 10 * 50), rel=1e-12)
    with pytest.raises(IdnError, match="the paper's bound is of a gain without prices; tiny has price_weight > 0"):
        paper_regret_bound(network, 50)


# --- the other forms


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("parameters", [{}, {"residual": "reserve"}, {"learning_rate": "theory"}])
def test_nodes_with_messages_take_the_very_steps(seed: int, parameters: dict[str, Any]) -> None:
    network, rng = random_priced(seed), np.random.default_rng(seed)
    trace = Trace(rng.integers(0, 20, (25, network.R)).astype(np.float64), network.capacities[None])
    one, other = (play(network, trace, AgentSpec(name, parameters), 3) for name in ("infida", "infida-distributed"))
    assert one.fractional is not None
    assert other.fractional is not None
    assert other.fractional.tobytes() == one.fractional.tobytes()
    assert held_in(other, network).tobytes() == held_in(one, network).tobytes()


@pytest.mark.parametrize("residual", ["drop", "reserve"])
@pytest.mark.parametrize("backend", [None, "torch", "reference"])
def test_a_batch_is_the_scalar_agents(residual: str, backend: str | None) -> None:
    torch = pytest.importorskip("torch")
    batch_of = pytest.importorskip("idn_agents.infida.batch").InfidaBatch
    network = priced("tiny", 10.0)
    runs: list[dict[str, Any]] = [{}, {"scale": 2.0}, {"learning_rate": "theory"}, {"refresh": 3}]
    runs = [run | {"residual": residual} for run in [*runs, {"rounding": "guarded", "window": 2}]]
    alone, batch = [Infida(**run) for run in runs], batch_of(runs, backend=backend)
    seeds = list(range(len(runs)))
    for agent, seed in zip(alone, seeds, strict=True):
        agent.reset(network, seed)
    batch.reset(network, seeds)
    trace = draw(network, 12, 0)
    for slot in range(12):
        requests = trace.requests[slot] * (slot > 0)
        seen = observe(network, requests, network.capacities, np.zeros(network.P))
        expected = np.stack([agent.act(seen) for agent in alone])
        rows = {"requests": torch.tensor(requests), "capacities": torch.tensor(network.capacities)}
        found = batch.act({key: values.expand(len(runs), -1) for key, values in rows.items()})
        fractional = np.stack([agent.fractional for agent in alone])
        assert batch.fractional.numpy() == pytest.approx(fractional, rel=1e-9, abs=1e-12)
        assert found.numpy().tolist() == expected.tolist()


def test_learnt_policies_refuse_prices_in_a_line() -> None:
    network = priced("tiny", 10.0)
    with pytest.raises(IdnError, match="training: learnt policies fill every node to the brim"):
        refuse_priced(network, "training")
    refuse_priced(priced("tiny", 0.0), "training")
    pytest.importorskip("torch")
    with pytest.raises(IdnError, match=r"agent ppo: .* price_weight 10, which must be 0"):
        play(network, draw(network, 2, 0), AgentSpec("ppo"), 0)
