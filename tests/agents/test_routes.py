"""Agents where requests need several models: whole routes, by enumeration and by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from chain_instances import chain_scenario, least_cost, shares, ways
from idn_agents.rounding.route_search import search_by_routes
from idn_agents.rounding.whole_routes import draw_routes
from idn_agents.routes import Routes, fill_by_routes
from idn_agents.search.local_search import LocalSearch

from idn_gym import AgentSpec, IdnError, Network, Trace, draw, kernels, load_scenario
from idn_gym.model.placements import room
from idn_gym.scenario import parse
from idn_gym.testing import check_agent

SEEDS = range(10)
WORKLOAD = {"kind": "zipf", "rate": 60.0}


@cache
def instance(seed: int) -> tuple[dict[str, Any], Network]:
    data = chain_scenario(seed)
    return data, Network.compile(parse(data | {"workload": WORKLOAD}, "chains"))


def batch(network: Network, seed: int) -> Trace:
    """One slot."""
    requests = np.random.default_rng(seed).integers(0, 4, (1, network.R)) * 7.0
    return Trace(requests, network.capacities[None])


def gain_by_enumeration(data: dict[str, Any], network: Network, requests: np.ndarray, held: np.ndarray) -> float:
    """Gain of a slot, by linear programs over all routes."""
    asked = {names: float(r) for names, r in zip(network.type_names, requests, strict=True)}
    share = shares(data, asked)
    placed = {network.names(p): float(held[p]) for p in range(network.P)}
    gain = 0.0
    for request in data["requests"]:
        routes = ways(data, request)
        of = request["service"]
        limit = {use: share[of, use[1], use[2]] * placed[use[1], use[2]] for way in routes for use in way.uses}
        gain += asked[of, request["path"][0]] * (least_cost(routes, {}) - least_cost(routes, limit))
    return gain


def used(network: Network, held: np.ndarray) -> np.ndarray:
    """(V,) MB."""
    return np.bincount(network.placement_node, network.sizes * held, minlength=network.V)


def pair_scenario(rate: float = 5.0) -> dict[str, Any]:
    """A station and a cloud, 100 ms apart; a pair of models of no use alone, and one that stands in its way.

    Serving a stage takes 10 ms anywhere. A pair served at the station saves the way of 100 ms, for 2 MB, all there is
    room for; a stage alone saves nothing, since the second can only be served where the first is, or farther along.
    The lone service saves 100 ms - 40 ms, for 1 MB.
    """

    def model(task: str, delay: float) -> dict[str, Any]:
        profiles = {
            "station": {"size": 1.0, "delay": delay, "throughput": 10.0},
            "cloud": {"size": 1.0, "delay": 10.0, "throughput": 10.0},
        }
        return {"name": task, "task": task, "accuracy": 100.0, "profiles": profiles}

    return {
        "format": "idn-gym/scenario-1",
        "name": "pair",
        "slot_seconds": 1.0,
        "tasks": ["first", "second", "lone"],
        "models": [model("first", 10.0), model("second", 10.0), model("lone", 50.0)],
        "nodes": [
            {"name": "station", "processor": "station", "budget": 2.0, "entry": True},
            {"name": "cloud", "processor": "cloud", "budget": 0.0, "repository": ["first", "second", "lone"]},
        ],
        "links": [{"source": "station", "target": "cloud", "latency": 100.0}],
        "services": [{"name": "both", "stages": ["first", "second"]}, {"name": "lone", "stages": ["lone"]}],
        "workload": {"kind": "zipf", "rate": rate},
    }


@cache
def pair() -> Network:
    return Network.compile(parse(pair_scenario(), "pair"))


def named(network: Network, *models: str) -> np.ndarray:
    """The allocation of these models at the station."""
    held = np.zeros(network.P)
    held[[p for p in range(network.P) if network.names(p)[1] in models]] = 1.0
    return held


ASKED = np.array([[5.0, 5.0]])  # of both, which gains 5 x 100, and lone, which gains 5 x 60


@pytest.mark.parametrize("seed", SEEDS)
def test_joint_gains_are_those_of_linear_programs_over_all_routes(seed: int) -> None:
    data, network = instance(seed)
    trace = batch(network, seed)
    draws = np.random.default_rng(seed)
    held = (draws.random(network.P) < 0.3).astype(np.float64)
    sets = [tuple(sorted(draws.choice(network.P, size, replace=False).tolist())) for size in (1, 2, 2, 3)]
    load = kernels.loads(network, trace.requests)
    found = kernels.joint_gains(network, trace.requests, trace.capacities, held, load, sets)
    before = gain_by_enumeration(data, network, trace.requests[0], held)
    for own, gain in zip(sets, found, strict=True):
        after = held.copy()
        after[list(own)] = 1.0
        expected = gain_by_enumeration(data, network, trace.requests[0], after) - before
        assert gain == pytest.approx(expected, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_filling_ends_only_where_no_route_that_fits_gains(seed: int) -> None:
    data, network = instance(seed)
    trace = batch(network, seed)
    slots = trace.requests, trace.capacities, kernels.loads(network, trace.requests)
    held = np.zeros(network.P)
    fill_by_routes(network, *slots, np.zeros(network.P), np.ones(network.P), held)
    left = room(network.budgets) - used(network, held)
    assert (left >= 0.0).all()
    number = {network.names(p): p for p in range(network.P)}
    sets = {
        tuple(sorted({number[use[1:]] for use in way.uses if held[number[use[1:]]] == 0.0}))
        for request in data["requests"]
        for way in ways(data, request)
    }
    here = gain_by_enumeration(data, network, trace.requests[0], held)
    tried = 0
    for own in sorted(sets):
        more = held.copy()
        more[list(own)] = 1.0
        if own and (used(network, more) <= room(network.budgets)).all():
            tried += 1
            assert gain_by_enumeration(data, network, trace.requests[0], more) == pytest.approx(here, abs=1e-6)
    assert tried or not left.any() or len(sets) > 1


@pytest.mark.parametrize("seed", SEEDS)
def test_there_are_candidates_exactly_where_a_route_that_fits_gains(seed: int) -> None:
    data, network = instance(seed)
    trace = batch(network, seed)
    draws = np.random.default_rng(seed)
    held = (draws.random(network.P) < 0.3).astype(np.float64)
    routes = Routes(network, trace.requests, trace.capacities, kernels.loads(network, trace.requests))
    left = network.budgets.copy()
    number = {network.names(p): p for p in range(network.P)}
    asked = dict(zip(network.type_names, trace.requests[0], strict=True))
    share = shares(data, {names: float(r) for names, r in asked.items()})
    chains = network.service.chains  # type: ignore[attr-defined]
    for c in routes.asked_of(np.ones(network.R, dtype=np.bool_)):
        service, entry = network.type_names[chains.types[c]]
        request = next(r for r in data["requests"] if r["service"] == service and r["path"][0] == entry)
        all_routes = ways(data, request)

        def cost(placed: np.ndarray, among: Any = all_routes, of: str = service) -> float:
            uses = {use for way in among for use in way.uses}
            return least_cost(among, {use: share[of, use[1], use[2]] * placed[number[use[1:]]] for use in uses})

        gains = False
        for way in all_routes:
            missing = [number[use[1:]] for use in way.uses if held[number[use[1:]]] == 0.0]
            more = held.copy()
            more[missing] = 1.0
            fits = all(network.fits[p] for p in missing) and (used(network, more - held) <= left).all()
            gains = gains or (fits and cost(more) < cost(held) - 1e-6)
        found = routes.missing(c, held, left)
        assert bool(found) >= gains
        for own, estimate in found.items():
            more = held.copy()
            more[list(own)] = 1.0
            saved = float(asked[service, entry]) * (cost(held) - cost(more))
            assert saved > 0.0 or estimate < 1e-6


def test_a_stage_alone_gains_nothing_and_the_route_is_found() -> None:
    network = pair()
    load, capacities, nothing = kernels.loads(network, ASKED), network.capacities[None], np.zeros(network.P)
    alone = kernels.marginal_gains(network, ASKED, capacities, nothing, load, np.arange(network.P))
    assert alone == pytest.approx(5.0 * 60.0 * named(network, "lone"))
    both = tuple(np.flatnonzero(named(network, "first", "second")).tolist())
    routes = Routes(network, ASKED, capacities, load)
    found = routes.candidates(nothing, network.budgets)
    assert found.sets == [both]
    assert found.sizes.tolist() == [2.0]
    assert found.gains == pytest.approx([500.0])
    # half of the route is there: the other half gains all of it
    half = named(network, "first")
    assert routes.candidates(half, network.budgets).sets == [(both[1],) if half[both[0]] else (both[0],)]


@pytest.mark.parametrize(("lone", "expected"), [(5.0, {"lone"}), (4.0, {"first", "second"})])
def test_greedies_add_the_best_per_mb(lone: float, expected: set[str]) -> None:
    """Of 5 requests for both the pair gains 250 per MB; of 5 for lone it is 300, of 4 it is 240."""
    network = pair()
    trace = Trace(np.array([[5.0, lone]]), network.capacities[None])
    static = AgentSpec.parse("static-greedy").make()
    static.reset(network, 0)
    static.fit(trace)
    online = AgentSpec.parse("last-batch-greedy").make()
    online.reset(network, 0)
    seen = {"requests": trace.requests[0], "capacities": network.capacities, "allocation": np.zeros(network.P)}
    for held in (static.act({}), online.act(seen)):
        assert {network.names(p)[1] for p in np.flatnonzero(held)} == expected


def test_searching_gets_out_of_what_greedy_runs_into() -> None:
    """300 per MB looks better than 250, but leaves room that nothing can use: the pair gains 500, lone 300."""
    network = pair()
    stuck, costs = named(network, "lone"), np.zeros(network.P)
    found = search_by_routes(network, ASKED, network.capacities[None], np.arange(network.V), stuck, costs)
    assert found.tolist() == named(network, "first", "second").tolist()
    dear = np.full(network.P, 260.0)  # the pair pays no more: 500 - 520; lone does: 300 - 260
    found = search_by_routes(network, ASKED, network.capacities[None], np.arange(network.V), found, dear)
    assert found.tolist() == named(network, "lone").tolist()


def play(agent: str, network: Network, slots: int) -> tuple[Any, np.ndarray]:
    """The agent after as many slots of ASKED, and what it holds."""
    trace = Trace(np.repeat(ASKED, slots, axis=0), network.capacities[None])
    player = AgentSpec.parse(agent).make()
    player.reset(network, 0)
    if hasattr(player, "fit"):
        player.fit(trace)
    held = np.zeros(network.P, dtype=np.int8)
    for slot in range(slots):
        requests = trace.requests[slot - 1] if slot else np.zeros(network.R)
        held = player.act({"requests": requests, "capacities": network.capacities, "allocation": held})
    return player, held


@pytest.mark.parametrize("agent", ["infida-coordinated", "infida:rounding=coordinated"])
def test_coordination_holds_the_pair_in_the_end(agent: str) -> None:
    _, held = play(agent, pair(), 40)
    assert held.tolist() == named(pair(), "first", "second").tolist()


@pytest.mark.parametrize("agent", ["infida:scale=0.05", "infida-offline:iterations=2000,scale=0.05"])
def test_states_approach_the_fractional_optimum(agent: str) -> None:
    """500 min(y_first, y_second) + 300 y_lone, of 2 MB in all: 550 at a half, a half and one, above any whole one.

    There the gain has a kink, about which a state swings, the less the smaller its steps are.
    """
    network = pair()
    player, held = play(agent, network, 200)
    gain = kernels.gain(network, ASKED, network.capacities, np.asarray(player.fractional))[0]
    assert 540.0 < gain <= 550.0 + 1e-6
    assert used(network, held).max() <= 2.0


@pytest.mark.parametrize("seed", SEEDS)
def test_searching_never_loses_and_keeps_the_budgets(seed: int) -> None:
    data, network = instance(seed)
    trace = batch(network, seed)
    start = kernels.pack(network, np.random.default_rng(seed).random((1, network.P)))[0]
    found = search_by_routes(network, trace.requests, trace.capacities, np.arange(network.V), start, network.holding)
    assert (used(network, found) <= room(network.budgets)).all()

    def net(held: np.ndarray) -> float:
        return gain_by_enumeration(data, network, trace.requests[0], held) - float(network.holding @ held)

    assert net(found) >= net(start.astype(np.float64)) - 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_routes_keep_the_budgets(seed: int) -> None:
    _, network = instance(seed)
    requests = batch(network, seed).requests[0]
    generator = np.random.default_rng(seed)
    for _ in range(5):
        state = generator.random((1, network.P))
        drawn = draw_routes(network, requests, network.capacities, state, generator)
        assert (used(network, drawn) <= room(network.budgets)).all()
        assert drawn.dtype == np.int8
        assert set(np.unique(drawn)) <= {0, 1}


def test_routes_are_drawn_whole() -> None:
    """Half of the pair and all of lone: whatever is drawn first is there as a whole, and both happen."""
    network = pair()
    state = 0.5 * named(network, "first", "second") + named(network, "lone")
    generator = np.random.default_rng(0)
    drawn = [draw_routes(network, ASKED[0], network.capacities, state[None], generator) for _ in range(200)]
    whole = [{network.names(p)[1] for p in np.flatnonzero(held)} for held in drawn]
    pairs = sum(held == {"first", "second"} for held in whole)
    # a draw is of both with probability 250/550, and then of its route with probability 1/2; of lone with 300/550
    assert pairs + sum("lone" in held for held in whole) == 200
    expected = (250 * 0.5) / (250 * 0.5 + 300)
    assert abs(pairs / 200 - expected) < 4 * np.sqrt(expected * (1 - expected) / 200)


AGENTS = [
    "infida",
    "infida:rounding=dependent,residual=reserve",
    "infida:rounding=coordinated",
    "infida-coordinated",
    "infida-offline:iterations=20",
    "last-batch-greedy:average=0.5",
    "static-greedy",
    "random",
    "repository-only",
]


@pytest.mark.parametrize("agent", AGENTS)
def test_agents_keep_the_rules_on_chains(agent: str) -> None:
    check_agent(agent, [instance(1)[1], instance(4)[1]])


@pytest.mark.parametrize("agent", ["infida-distributed", "load-aware-greedy", "rolling-local-search"])
def test_agents_of_single_stages_refuse_chains_in_a_line(agent: str) -> None:
    with pytest.raises(IdnError, match=f"^{agent}: takes services of one stage; this scenario has chains$"):
        AgentSpec.parse(agent).make().accepts(pair())


def test_what_fills_single_stages_refuses_chains() -> None:
    network = pair()
    load, nodes, bonus, held = kernels.loads(network, ASKED), [0], np.ones(network.P), np.zeros(network.P)
    with pytest.raises(IdnError, match="takes services of one stage"):
        kernels.fill_by_gain(network, ASKED, network.capacities, load, nodes, bonus, held)
    with pytest.raises(IdnError, match="takes services of one stage"):
        LocalSearch(network)
    adversary = parse(pair_scenario() | {"workload": {"kind": "adversary", "rate": 5.0}}, "pair")
    with pytest.raises(IdnError, match=r"workload: an adversary: takes services of one stage"):
        draw(Network.compile(adversary), 3, 0)
    with pytest.raises(IdnError, match="rounding: 'routes' is for services of several stages"):
        AgentSpec.parse("infida:rounding=routes").make().accepts(Network.compile(load_scenario("tiny")))


@pytest.mark.parametrize("seed", SEEDS)
def test_supergradients_of_chains_are_within_what_the_bound_takes_them_for(seed: int) -> None:
    """At most L times the most that a request saves."""
    _, network = instance(seed)
    draws = np.random.default_rng(seed)
    states = draws.random((30, network.P)) * (draws.random((30, network.P)) < draws.random((30, 1)))
    requests = draws.integers(0, 4, (30, network.R)) * draws.choice([0.5, 7.0], (30, 1))
    _, gradient = kernels.gain_and_subgradient(network, requests, network.capacities, states)
    assert (gradient <= network.capacities * network.service.largest_saving * (1.0 + 1e-9)).all()
    assert gradient.max() > 0.0
