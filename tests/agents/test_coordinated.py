"""Coordinated rounding: the filling, the guard, the window, the rates, and what is proven of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from idn_agents.infida.bounds import PSI, regret_bound
from idn_agents.infida.coordinated import CoordinatedInfida
from idn_agents.infida.infida import Infida
from idn_agents.infida.mixture_kernel import mix, node_products
from idn_agents.rounding.hedge import AdaHedge
from idn_agents.rounding.rounding import Coordinated, Coordination, Dependent, kept
from idn_agents.search.forecast import Forecast, Window
from idn_agents.search.local_search import LocalSearch
from instances import random_network
from scipy.stats import gamma

from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model import allocation, gain
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

PROFILE = {"size": 1.0, "delay": 1.0, "throughput": 1000.0}
# two tasks with one model of 1 MB each; room for one model at bs and at co; bs - co is 2 ms, co - cloud 40 ms
TWO = {
    "format": "idn-gym/scenario-1",
    "name": "two",
    "slot_seconds": 1.0,
    "accuracy_weight": 0.0,
    "tasks": ["a", "b"],
    "models": [{"name": f"{i}/m", "task": i, "accuracy": 50.0, "profiles": {"gpu": PROFILE}} for i in "ab"],
    "nodes": [
        {"name": "cloud", "processor": "gpu", "budget": 0.0, "repository": ["a/m", "b/m"]},
        {"name": "co", "processor": "gpu", "budget": 1.0},
        {"name": "bs", "processor": "gpu", "budget": 1.0, "entry": True},
    ],
    "links": [
        {"source": "bs", "target": "co", "latency": 2.0},
        {"source": "co", "target": "cloud", "latency": 40.0},
    ],
}
CO, BS = 1, 2


@pytest.fixture(scope="module")
def two() -> Network:
    return Network.compile(parse(TWO, "two"))


@pytest.fixture(scope="module")
def adversary() -> Network:
    return Network.compile(load_scenario("adversary", ["workload.exponent=0", "horizon=512"]))


def placed(network: Network, *names: str) -> np.ndarray:
    """(P,) int8 of names such as ``co:a``."""
    found = np.zeros(network.P, dtype=np.int8)
    for name in names:
        node, _, task = name.partition(":")
        v, m = network.node_names.index(node), network.model_names.index(f"{task}/m")
        found[network.placement_index[v, m]] = 1
    return found


def search_on(network: Network, held: np.ndarray, charge: float = 0.0) -> LocalSearch:
    """10 requests for a and 6 for b; a load is charged, per MB."""
    requests = np.array([[10.0, 6.0]])
    search = LocalSearch(network)
    price = charge * network.sizes * (held == 0)
    search.look_at(requests, network.capacities[None], kernels.loads(network, requests), price)
    search.start(held)
    search.improve()
    return search


# --- the search


def test_perturbing_gets_out_of_where_no_node_can_do_better_alone(two: Network) -> None:
    """By hand: a request saves 40 ms at co and 42 at bs; what the other node has already saves only 2 more.

    co comes first and takes a (400 against 240); then bs takes b, since 6 x 42 exceeds 10 x 2. With the two the other
    way round it is 6 x 40 + 10 x 42 = 660 against 10 x 40 + 6 x 42 = 652, and no node alone gets there.
    """
    search = search_on(two, np.zeros(two.P, dtype=np.int8))
    assert search.allocation.tolist() == placed(two, "co:a", "bs:b").tolist()
    assert search.net_gain == pytest.approx(652.0)
    search.iterate(np.random.default_rng(0), 10_000, 64)
    assert search.allocation.tolist() == placed(two, "co:b", "bs:a").tolist()
    assert search.net_gain == pytest.approx(660.0)


def test_a_load_has_to_earn_its_charge(two: Network) -> None:
    """With a at bs, b at co instead of a gains 6 x 40 = 240 ms per slot, and to load it is 1 MB."""
    held = placed(two, "co:a", "bs:a")
    assert search_on(two, held, 231.0).allocation.tolist() == placed(two, "co:b", "bs:a").tolist()
    assert search_on(two, held, 241.0).allocation.tolist() == held.tolist()
    nothing = np.zeros(two.P, dtype=np.int8)
    assert search_on(two, nothing, 421.0).allocation.tolist() == nothing.tolist(), "nothing is worth so much"


@pytest.mark.parametrize("seed", range(5))
def test_before_any_batch_nodes_share_the_tasks(two: Network, seed: int) -> None:
    """By hand, of tasks within a tenth as popular: one at each node saves 82 ms at least, one at both 46.2 at most."""
    held = Coordinated(two, seed, "drop", Coordination()).round(np.full((1, two.P), 0.5))
    assert held.tolist() in (placed(two, "co:a", "bs:b").tolist(), placed(two, "co:b", "bs:a").tolist())


def test_mixture_kernels() -> None:
    network, rng = random_network(3), np.random.default_rng(3)
    states, gradient = rng.random((3, network.P)), rng.random(network.P)
    weights = rng.random((3, network.V))
    weights /= weights.sum(axis=0)
    of_node = np.arange(network.V)[:, None] == network.placement_node
    np.testing.assert_allclose(node_products(network, states, gradient), states * gradient @ of_node.T)
    mixed = (weights[:, network.placement_node] * states).sum(axis=0)
    np.testing.assert_allclose(mix(network, states, weights)[0], mixed)


# --- the window


def test_window_is_long_where_counts_are_bursty_and_goes_back_to_the_last_shift() -> None:
    rng, means = np.random.default_rng(0), np.linspace(10.0, 1000.0, 20)
    bursty, moving = Window(20), Window(20)
    for slot in range(290):
        bursty.see(rng.gamma(0.3, 100.0, 20))
        moving.see(rng.poisson(np.roll(means, slot // 20)).astype(np.float64))
    assert bursty.length >= 32
    assert moving.length == 10, "all since the last shift, at slot 280"
    np.testing.assert_allclose(moving.mean, np.mean(moving.last(10), axis=0))


def levels(*parts: tuple[float, int]) -> np.ndarray:
    """Twenty numbers that scatter by 1 about a level: each level for so many slots."""
    level = np.concatenate([np.full((slots, 20), level) for level, slots in parts])
    return level + np.random.default_rng(0).normal(size=level.shape)


@pytest.mark.parametrize(
    ("stream", "believed"),
    [
        (levels((100.0, 30), (200.0, 30)), {30: True}),  # far off
        (levels((100.0, 30), (200.0, 1), (100.0, 30), (200.0, 1)), {30: True, 61: False}),  # the first did not last
        (levels((100.0, 30), (105.0, 30), (110.0, 1)), {30: False, 60: True}),  # near, and the first did last
    ],
)
def test_a_surprise_is_believed_if_those_like_it_have_lasted(stream: np.ndarray, believed: dict[int, bool]) -> None:
    window, found = Window(20), {}
    for slot, vector in enumerate(stream):
        window.see(vector)
        if slot in believed:
            assert window.surprised
            found[slot] = window.length == 1
    assert found == believed


def test_window_of_a_length_that_is_asked_for(two: Network) -> None:
    window = Window(two.R, 3)
    for slot in range(7):
        window.see(np.array([slot, 0.0]))
        assert window.length == min(3, slot + 1)
        assert window.mean[0] == np.mean(range(max(0, slot - 2), slot + 1))


def forecast(network: Network, batches: np.ndarray, capacities: np.ndarray | None = None) -> Forecast:
    found = Forecast(network, 0)
    for slot, batch in enumerate(batches):
        found.see(batch, network.capacities if capacities is None else capacities[slot])
    return found


def test_steady_counts_are_one_row_and_bursty_ones_as_many_with_the_same_mean(two: Network) -> None:
    rng = np.random.default_rng(1)
    steady, _ = forecast(two, rng.poisson(1000.0, (50, 2)).astype(np.float64)).rows()
    assert len(steady) == 1
    counts = rng.gamma(0.3, 100.0, (64, 2))
    bursty = forecast(two, counts)
    rows, capacities = bursty.rows()
    assert len(rows) > 8
    assert len(capacities) == 1
    np.testing.assert_allclose(rows.mean(axis=0), bursty.mean)
    ratios = np.sort(rows / rows.mean(axis=0), axis=0)
    np.testing.assert_allclose(ratios[:, 0], ratios[:, 1], err_msg="one law for all types")
    seen = (counts / counts.mean(axis=0)).ravel()
    assert np.square(ratios).mean() == pytest.approx(np.square(seen).mean(), rel=0.25)


@pytest.mark.parametrize("limit", [2.0, 4.0, 6.0, 8.0])
def test_rows_tell_what_a_capacity_leaves_of_bursts(limit: float) -> None:
    """Of counts by the gamma law of shape k and mean 1, E max(r - c, 0) = S(c; k + 1) - c S(c; k), S survival."""
    network = Network.compile(load_scenario("abilene-sliding"))
    shape = 0.3
    counts = np.random.default_rng(5).gamma(shape, 1e6 / shape, (64, network.R))
    found = forecast(network, counts)
    ratios = found.rows()[0] / found.mean
    left = gamma.sf(limit, shape + 1.0, scale=1.0 / shape) - limit * gamma.sf(limit, shape, scale=1.0 / shape)
    assert np.maximum(ratios - limit, 0.0).mean() == pytest.approx(left, abs=0.02)


def test_means_are_shared_by_entries_as_far_as_scatter_explains_their_difference() -> None:
    network = Network.compile(load_scenario("abilene-sliding"))
    rng = np.random.default_rng(2)
    popular = rng.dirichlet(np.ones(network.N))[network.type_task]
    alike = 1000.0 * popular * (1.0 + network.type_entry)
    own = alike * rng.choice([0.2, 1.8], network.R)

    def error(mean: np.ndarray, shape: float) -> tuple[float, float]:
        batches = mean * rng.gamma(shape, 1.0 / shape, (30, network.R))
        found = forecast(network, batches)
        plain = batches[-found.length :].mean(axis=0)
        return float(np.abs(found.mean - mean).sum()), float(np.abs(plain - mean).sum())

    shrunk, plain = error(alike, 0.3)
    assert shrunk < 0.6 * plain
    shrunk, plain = error(own, 100.0)
    assert shrunk < 1.1 * plain, "where entries differ, they are left as they are"


def test_capacities_that_come_and_go_are_forecast_too(two: Network) -> None:
    batches = np.full((40, 2), 10.0)
    assert forecast(two, batches).capacities.tolist() == two.capacities.tolist()
    down = np.where(np.arange(40)[:, None] >= 38, 0.5, 1.0) * two.capacities
    assert forecast(two, batches, down).capacities.tolist() == (0.5 * two.capacities).tolist()


# --- the guard


def test_adahedge_by_hand() -> None:
    """Equal weights lose 1/2 where the leader loses nothing; the rate is then ln 2 / (1/2), so weights are 1 : 1/4."""
    hedge = AdaHedge(2, 3)
    assert hedge.weights.tolist() == [[0.5] * 3] * 2
    hedge.see(np.array([[5.0, 5e9, 7.0], [4.0, 4e9, 7.0]]))
    np.testing.assert_allclose(hedge.weights[:, 0], [0.8, 0.2])
    np.testing.assert_allclose(hedge.weights[:, 1], [0.8, 0.2])  # whatever the unit
    np.testing.assert_allclose(hedge.weights[:, 2], [0.5, 0.5])  # nothing to choose


@pytest.mark.parametrize("kind", ["noise", "alternating", "a shift", "one is better", "growing"])
def test_adahedge_keeps_its_bound(kind: str) -> None:
    rng, slots, experts = np.random.default_rng(1), 2000, 3
    t = np.arange(slots)[:, None]
    gains = {
        "noise": rng.random((slots, experts)),
        "alternating": ((t + np.arange(experts)) % experts == 0).astype(np.float64),
        "a shift": np.where(t < slots // 2, [[1.0, 0.0, 0.5]], [[0.0, 1.0, 0.5]]),
        "one is better": rng.random((slots, experts)) + np.array([0.5, 0.0, 0.0]),
        "growing": rng.random((slots, experts)) * (1.0 + t),
    }[kind]
    hedge, total = AdaHedge(experts), 0.0
    for row in gains:
        total += float(hedge.weights[:, 0] @ row)
        hedge.see(row[:, None])
    widest = float(np.ptp(gains, axis=1).max())
    logarithm = math.log(experts)
    constant = widest * (4 / 3 * logarithm + 2)
    regret = gains.sum(axis=0).max() - total
    assert regret <= widest * math.sqrt(slots * logarithm) + constant
    if kind == "one is better":
        assert regret <= 10 * constant, "a constant, however long"


@pytest.mark.parametrize("best", [0, 2])
@pytest.mark.parametrize("kind", ["noise", "alternating", "behind"])
def test_adahedge_with_a_prior_keeps_its_bound(kind: str, best: int) -> None:
    """docs/coordinated-proofs.md: (1 + ln(1 / prior_k) / c) (S/2 sqrt(c T) + S (2/3 c + 1)), c = ln(1 / the least)."""
    rng, slots, prior = np.random.default_rng(3), 2000, [0.98, 0.01, 0.01]
    t = np.arange(slots)[:, None]
    gains = {
        "noise": rng.random((slots, 3)) + 0.1 * (np.arange(3) == best),
        "alternating": ((t + np.arange(3)) % 3 == 0).astype(np.float64),
        "behind": np.tile((np.arange(3) == best).astype(np.float64), (slots, 1)),
    }[kind]
    hedge, total = AdaHedge(3, prior=prior), 0.0
    assert hedge.weights[:, 0].tolist() == prior
    for row in gains:
        total += float(hedge.weights[:, 0] @ row)
        hedge.see(row[:, None])
    widest, c = float(np.ptp(gains, axis=1).max()), math.log(100.0)
    for k, weight in enumerate(prior):
        size = widest * (0.5 * math.sqrt(c * slots) + 2.0 / 3.0 * c + 1.0)
        assert gains[:, k].sum() - total <= (1.0 - math.log(weight) / c) * size


def test_a_prior_is_weights_that_add_up_to_one() -> None:
    for prior in ([0.5, 0.6], [1.0, 0.0], [1.0]):
        with pytest.raises(IdnError, match="prior"):
            AdaHedge(2, prior=prior)


@pytest.mark.parametrize("seed", range(20))
def test_drop_and_keep_hold_all_of_the_exact_rounding_between_them(seed: int) -> None:
    """So G(drop) + G(keep) >= G(coin), draw by draw, by submodularity: the step that makes the guarantee feasible."""
    network, rng = random_network(seed), np.random.default_rng(seed)
    state = np.exp(kernels.project(network, rng.normal(0.0, 1.0, (1, network.P)), network.spendable))
    requests = rng.integers(1, 20, network.R).astype(np.float64)
    for _ in range(20):
        uniforms = rng.random((1, network.P))
        exact, dropped = (kernels.round_dependent(network, state, uniforms, how)[0] for how in ("coin", "drop"))
        keep = kept(network, state[0], dropped, exact)
        allocation.check(network, keep, integral=True)
        allocation.check(network, dropped, integral=True)
        assert (np.maximum(dropped, keep) >= exact).all()
        gains = [gain.allocation_gain(network, requests, network.capacities, x) for x in (dropped, keep, exact)]
        assert gains[0] + gains[1] >= gains[2] * (1.0 - 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_exact_rounding_keeps_a_share_of_the_state(seed: int) -> None:
    """E[G(coin)] >= (1 - 1/e) G(y): within 5 standard errors of 4000 draws."""
    network, rng = random_network(seed), np.random.default_rng(seed)
    state = np.exp(kernels.project(network, rng.normal(0.0, 1.0, (1, network.P)), network.spendable))
    requests = rng.integers(1, 20, network.R).astype(np.float64)
    uniforms = rng.random((4000, network.P))
    drawn = kernels.round_dependent(network, np.repeat(state, 4000, axis=0), uniforms, "coin")
    gains = kernels.gain(network, requests[None], network.capacities[None], drawn)
    least = PSI * gain.allocation_gain(network, requests, network.capacities, np.minimum(1.0, state[0]))
    assert gains.mean() >= least - 5.0 * gains.std() / math.sqrt(len(gains)) - 1e-9


def test_the_guard_follows_the_very_allocations_of_infida() -> None:
    network = Network.compile(load_scenario("tiny"))
    trace = draw(network, 12, 0)
    agent, alone = Infida(rounding="guarded"), Infida()
    agent.reset(network, 5)
    alone.reset(network, 5)
    observation = observe(network, np.zeros(network.R), network.capacities, np.zeros(network.P, dtype=np.int8))
    for requests in trace.requests:
        held, expected = agent.act(observation), alone.act(observation)
        assert agent._rounding._proposals[1].tolist() == expected.tolist()  # type: ignore[attr-defined]
        observation = observe(network, requests, network.capacities, held)


def made_against(network: Network, victim: Infida, slots: int, seed: int) -> Trace:
    """Each batch asks for one task that the victim, simulated, does not hold."""
    victim.reset(network, seed)
    rng, requests = np.random.default_rng(seed), np.zeros((slots, network.R))
    observation = observe(network, requests[0], network.capacities, np.zeros(network.P, dtype=np.int8))
    for slot in range(slots):
        held = victim.act(observation)
        missing = np.flatnonzero(held == 0)  # at the base station; placements are in the order of the tasks there
        requests[slot, int(rng.choice(missing))] = 600.0
        observation = observe(network, requests[slot], network.capacities, held)
    return Trace(requests, network.capacities[None])


@pytest.mark.parametrize("window", [1, "adaptive"])
def test_a_stream_made_for_coordination_leaves_it_nothing_and_the_guard_its_share(
    adversary: Network, window: int | str
) -> None:
    options: dict[str, Any] = {"window": window}
    trace = made_against(adversary, CoordinatedInfida(rounding="coordinated", **options), 512, 3)
    unit = 600.0 * float(adversary.service.costs[0, -1] - adversary.service.costs[0, 0])

    def gained(name: str, **parameters: Any) -> float:
        return play(adversary, trace, AgentSpec(name, parameters), 3).summary.gain / unit

    assert gained("infida-coordinated", rounding="coordinated", **options) == 0.0
    # in expectation over the coin at least the dependent's share, less the bound of AdaHedge for a prior of 1/100
    bound = math.sqrt(512 * math.log(100)) + 4 / 3 * math.log(100) + 2
    dependent = gained("infida", learning_rate="adaptive")
    assert dependent > 512 / 4 - 3 * math.sqrt(512)
    assert gained("infida-coordinated", **options) >= dependent - bound


# --- rates


def test_adaptive_state_keeps_the_bound_on_the_adversary(adversary: Network) -> None:
    """The bound of the theory rate, plus AdaHedge's for four states; one base station, so one game."""
    trace = draw(adversary, 512, 0)
    result = play(adversary, trace, AgentSpec("infida-coordinated"), 0)
    assert result.table.fractional_gain is not None
    # one model of each task fits, so the best fixed state is the one task asked for most, or any mixture that ties
    unit = float(adversary.service.costs[0, -1] - adversary.service.costs[0, 0])
    best = trace.requests.sum(axis=0).max() * unit
    regret = best - float(result.table.fractional_gain.sum())
    widest = 600.0 * unit
    hedge = widest * (math.sqrt(512 * math.log(4)) + 4 / 3 * math.log(4) + 2)
    assert regret <= regret_bound(adversary, 512) + hedge
    assert regret <= regret_bound(adversary, 512), "in practice below the sharper bound alone"


def test_adaptive_states_are_feasible(two: Network) -> None:
    agent = Infida(learning_rate="adaptive")
    agent.reset(two, 0)
    rng = np.random.default_rng(0)
    held = np.zeros(two.P, dtype=np.int8)
    for _ in range(50):
        held = agent.act(observe(two, rng.poisson(20.0, two.R).astype(np.float64), two.capacities, held))
        allocation.check(two, agent.fractional)
        np.testing.assert_allclose(two.memory_in_use(agent.fractional), two.spendable, rtol=1e-9)


# --- loading


def test_a_stream_that_stands_still_is_settled_soon() -> None:
    network = Network.compile(load_scenario("topology-2-fixed"))
    batch = draw(network, 1, 0).requests
    trace = Trace(np.repeat(batch, 200, axis=0), network.capacities[None])
    changes = play(network, trace, AgentSpec("infida-coordinated"), 0).changes
    assert changes[-1][0] < 100


def test_a_shift_is_answered_in_the_next_slot() -> None:
    """A batch that is far off the forecast is believed, and the batch after a lone one is believed again."""
    network = Network.compile(load_scenario("topology-2-fixed"))
    batch = draw(network, 1, 0).requests
    other = batch[:, ::-1]
    parts = [np.repeat(batch, 100, axis=0), np.repeat(other, 20, axis=0), batch, np.repeat(other, 4, axis=0)]
    trace = Trace(np.concatenate(parts), network.capacities[None])
    result = play(network, trace, AgentSpec("infida-coordinated"), 0)
    assert next(slot for slot, _ in result.changes if slot >= 100) == 101
    gain = result.table.gain
    assert gain[100] < 0.9 * gain[119] < gain[101]
    assert gain[121] < 0.9 * gain[119] < gain[122]


def test_loads_that_cannot_pay_are_not_made() -> None:
    """At 1e9 ms per MB nothing is loaded after the first slot, which asks nothing."""
    network = Network.compile(load_scenario("tiny"))
    spec = AgentSpec("infida-coordinated", {"rounding": "coordinated", "update_weight": 1e9})
    result = play(network, draw(network, 20, 0), spec, 0)
    assert [slot for slot, _ in result.changes] == [0]


def test_more_expensive_updates_are_fewer() -> None:
    network = Network.compile(load_scenario("topology-2-bursty"))
    trace = draw(network, 150, 0)
    loaded = [
        play(network, trace, AgentSpec("infida-coordinated", {"update_weight": weight}), 0).summary.model_update_mb
        for weight in (0.0, 1e3, 1e5)
    ]
    assert loaded == sorted(loaded, reverse=True)
    assert loaded[-1] < loaded[0] / 2


# --- what is said and refused


def test_a_run_says_how_it_searched_and_what_the_guard_weighed() -> None:
    network = Network.compile(load_scenario("tiny"))
    info = play(network, draw(network, 20, 0), AgentSpec("infida-coordinated"), 0).info
    assert set(info) == {"searches", "mean_window", "weights"}
    assert set(info["weights"]) == {"coordinated", "drop", "keep"}
    assert sum(info["weights"].values()) == pytest.approx(1.0)
    reserve = AgentSpec("infida-coordinated", {"residual": "reserve"})
    assert set(play(network, draw(network, 20, 0), reserve, 0).info["weights"]) == {"coordinated", "reserve"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("infida:rounding=random", "rounding: 'random'; allowed: dependent, routes, coordinated, guarded"),
        ("infida:window=8", "window: only with rounding=coordinated or guarded"),
        ("infida-coordinated:rounding=dependent,bonus=1", "bonus: only with rounding"),
        ("infida-coordinated:window=0", "window: 0; must be a whole number >= 1"),
        ("infida-coordinated:window=long", "window: 'long'; must be 'adaptive' or a whole number"),
        ("infida-coordinated:horizon=0", "horizon: 0"),
        ("infida-coordinated:update_weight=-1", "update_weight: -1"),
        ("infida-coordinated:bonus=x", "bonus: 'x'"),
        ("infida-distributed:learning_rate=adaptive", "learning_rate: 'adaptive'"),
    ],
)
def test_bad_input(text: str, words: str) -> None:
    with pytest.raises(IdnError) as caught:
        AgentSpec.parse(text).make()
    assert words in str(caught.value)


def test_dependent_draws_as_before(two: Network) -> None:
    """The stream of draws of `infida` is part of its recorded results."""
    dependent, rng = Dependent(two, 4, "drop"), np.random.default_rng([1, 4])
    state = np.full((1, two.P), 0.5)
    for _ in itertools.repeat(None, 3):
        expected = kernels.round_dependent(two, state, rng.random((1, two.P)), "drop")[0]
        assert dependent.round(state).tolist() == expected.tolist()
