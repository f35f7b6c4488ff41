"""INFIDA as nodes: bit for bit the centralised one, local, its messages counted by hand, and what faults do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from idn_agents.distributed import messages
from idn_agents.distributed import node as node_module
from idn_agents.distributed.distributed import DistributedInfida, node_routes
from idn_agents.distributed.messages import Count, Least, Offers, Price
from idn_agents.distributed.node import Node, Uniforms
from idn_agents.infida.infida import Infida, StepSizes, start, update
from instances import small_network

from idn_gym import kernels, plugins
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

PARAMETERS: list[dict[str, Any]] = [
    {},
    {"learning_rate": "theory"},
    {"learning_rate": "anytime"},
    {"learning_rate": 0.05},
    {"residual": "reserve", "scale": 3.0},
    {"refresh": "dynamic", "target": 3},
]


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


def seen(network: Network, requests: Any, capacities: np.ndarray | None = None) -> dict[str, np.ndarray]:
    capacities = network.capacities if capacities is None else capacities
    return {"requests": np.asarray(requests, dtype=np.float64), "capacities": capacities}


def nothing(network: Network) -> dict[str, np.ndarray]:
    return observe(network, np.zeros(network.R), network.capacities, np.zeros(network.P))


def made(network: Network, seed: int = 0, **parameters: Any) -> DistributedInfida:
    """A distributed agent past its first act, which comes before any batch."""
    agent = DistributedInfida(**parameters)
    agent.reset(network, seed)
    agent.act(nothing(network))
    return agent


def overhear(agent: DistributedInfida) -> list[tuple[int, Any]]:
    """A list that fills with (receiver, message) of whatever arrives from now on."""
    heard = []

    def listening(v: int, receive: Any) -> Any:
        def take(message: Any) -> Any:
            heard.append((v, message))
            return receive(message)

        return take

    channel = agent._channel
    channel._receivers = [listening(v, receive) for v, receive in enumerate(channel._receivers)]
    return heard


def assert_equal(network: Network, observations: list[dict[str, np.ndarray]], parameters: dict[str, Any]) -> None:
    central, distributed = Infida(**parameters), DistributedInfida(**parameters)
    central.reset(network, 11)
    distributed.reset(network, 11)
    for slot, observation in enumerate([nothing(network), *observations]):
        expected, got = central.act(observation), distributed.act(observation)
        assert got.tobytes() == expected.tobytes(), f"slot {slot}: another allocation"
        assert distributed.fractional.tobytes() == central.fractional.tobytes(), f"slot {slot}: another state"


# --- the same as the centralised form


@pytest.mark.parametrize("services", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_equals_the_centralised_form_bit_for_bit(seed: int, services: bool) -> None:
    network = small_network(seed, services)
    rng = np.random.default_rng(seed)
    requests = rng.uniform(0.0, 20.0, (30, network.R)) * (rng.random((30, network.R)) < 0.8)  # fractions, and silence
    capacities = rng.uniform(0.0, 30.0, (30, network.P)) * (rng.random((30, network.P)) < 0.9)
    observations = [seen(network, r, c) for r, c in zip(requests, capacities, strict=True)]
    for parameters in (PARAMETERS[0], PARAMETERS[1 + seed % 5]):
        assert_equal(network, observations, parameters)


@pytest.mark.parametrize(
    ("scenario", "slots"),
    [("tiny", 200), ("topology-2-bursty", 70), ("abilene-sliding", 20), ("topology-1-sliding", 8)],
)
def test_equals_the_centralised_form_on_packaged_scenarios(scenario: str, slots: int) -> None:
    network = Network.compile(load_scenario(scenario))
    trace = draw(network, slots, 3)
    assert_equal(network, [seen(network, requests) for requests in trace.requests], {})


def test_nodes_draw_what_one_agent_draws_for_all() -> None:
    whole = Uniforms(5, 0, 10, 0)
    parts = [Uniforms(5, 0, 3, 7), Uniforms(5, 3, 0, 7), Uniforms(5, 3, 5, 2), Uniforms(5, 8, 2, 0)]
    for _ in range(3):
        assert np.concatenate([part.draw()[0] for part in parts]).tolist() == whole.draw()[0].tolist()


# --- locality


def reachable(thing: Any, seen_ids: set[int]) -> Iterator[Any]:
    """Everything that an object holds, at any depth."""
    if id(thing) in seen_ids or isinstance(thing, str | int | float | np.dtype | type):
        return
    seen_ids.add(id(thing))
    yield thing
    if isinstance(thing, dict):
        parts = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set):
        parts = list(thing)
    else:
        parts = list(getattr(thing, "__dict__", {}).values())
    for part in parts:
        yield from reachable(part, seen_ids)


@pytest.mark.parametrize("scenario", ["tiny", "abilene-sliding"])
def test_a_node_holds_no_network_no_other_node_and_no_view_of_global_arrays(scenario: str) -> None:
    network = Network.compile(load_scenario(scenario))
    agent = made(network)
    agent.act(seen(network, np.ones(network.R)))
    arrays = [array for array in vars(network).values() if isinstance(array, np.ndarray)]
    for node in agent._nodes:
        held = list(reachable(node, set()))
        assert not any(isinstance(thing, Network | Infida | messages.Channel) for thing in held)
        assert [thing for thing in held if isinstance(thing, Node)] == [node]
        own = [thing for thing in held if isinstance(thing, np.ndarray)]
        assert len(own) > 10
        assert not any(np.may_share_memory(mine, theirs) for mine in own if mine.size for theirs in arrays)


def test_the_modules_of_node_and_messages_know_no_network() -> None:
    for module in (node_module, messages):
        assert not hasattr(module, "Network"), f"{module.__name__} knows Network"


def test_a_node_knows_its_own_placements_and_neighbours_alone(tiny: Network) -> None:
    links = {frozenset((link.source, link.target)) for link in tiny.scenario.links or ()}
    for v, routes in enumerate(node_routes(tiny)):
        shelf = tiny.shelf(v)
        np.testing.assert_array_equal(shelf.sizes, tiny.sizes[tiny.placement_node == v])
        assert (1, len(shelf.sizes)) == (shelf.V, shelf.P)
        assert not hasattr(shelf, "service")
        for route in routes:
            assert v in tiny.paths[route.rho]
            assert route.options.max(initial=0) <= shelf.P
            for neighbour in {route.up, route.down} - {None}:
                assert frozenset((tiny.node_names[v], tiny.node_names[neighbour])) in links


# --- messages, by hand on tiny: types (cars, people) from (bs0, bs1), paths base station - co - cloud
#
# A base station starts with 1/3 of everything, co with 4/9. Costs at a base station: cars 44, 52, 61, people 33, 51;
# at co: cars 47, 56, 66, people 37, 56; at the cloud: cars 87, people 77.


def traffic(agent: DistributedInfida) -> dict[str, tuple[int, int]]:
    """(messages, bytes) by kind."""
    return {kind: (agent._channel.messages[kind], agent._channel.bytes[kind]) for kind in ("count", "offers", "price")}


def test_set_up_tells_the_least_cost_farther_on(tiny: Network) -> None:
    agent = made(tiny)
    assert agent.info()["set_up"] == {"messages": 4 * 2, "bytes": 4 * 2 * 16}  # 4 types, 2 hops, 2 numbers
    beyond = {name: node._beyond.tolist() for name, node in zip(tiny.node_names, agent._nodes, strict=True)}
    assert beyond == {"cloud": [np.inf] * 4, "co": [87.0, 87.0, 77.0, 77.0], "bs0": [47.0, 37.0], "bs1": [47.0, 37.0]}


def test_covered_batches_turn_round_at_co(tiny: Network) -> None:
    # 8 cars and 4 people per base station. Cars: z/r is 1/12, 1/6, 1/4 at the base station (capacities 2, 4, 6) and
    # 1/9, 2/9, 1/3 at co: in rank order 44, 47, 52, 56, 61, 66 the batch is covered by the last.
    # People: 1/4, 1/3 and 1/3, 4/9: in rank order 33, 37, 51, 56 likewise.
    agent = made(tiny)
    heard = overhear(agent)
    agent.act(seen(tiny, [8, 8, 4, 4]))
    assert traffic(agent) == {
        "count": (8, 8 * 24),  # every type goes all the way, 3 numbers
        "offers": (4, 2 * 8 * (3 + 2 * 3) + 2 * 8 * (3 + 2 * 2)),  # one hop: 3 options of cars, 2 of people
        "price": (4, 4 * 24),
    }
    co, cloud = tiny.node_names.index("co"), tiny.node_names.index("cloud")
    assert [v for v, message in heard if isinstance(message, Offers)] == [co] * 4
    assert [v for v, message in heard if isinstance(message, Count)].count(cloud) == 4
    prices = {message.rho: message.cost for _, message in heard if isinstance(message, Price)}
    assert prices == {0: 66.0, 1: 66.0, 2: 56.0, 3: 56.0}
    cars = next(message for _, message in heard if isinstance(message, Offers) and message.rho == 0)
    assert cars.costs.tolist() == [44.0, 52.0, 61.0]
    np.testing.assert_allclose(cars.shares, [1 / 12, 1 / 6, 1 / 4], rtol=1e-14)
    info = agent.info()
    assert (info["messages_per_slot"], info["bytes_per_slot"]) == (16, 192 + 256 + 96)


def test_uncovered_batches_go_on_to_the_repository(tiny: Network) -> None:
    agent = made(tiny)
    heard = overhear(agent)
    agent.act(seen(tiny, [16, 16, 8, 8]))  # twice as many: half the share of each
    assert traffic(agent) == {
        "count": (8, 8 * 24),
        "offers": (8, 2 * 8 * (9 + 15) + 2 * 8 * (7 + 11)),  # the second hop carries 6 options of cars, 4 of people
        "price": (8, 8 * 24),
    }
    assert {message.rho: message.cost for _, message in heard if isinstance(message, Price)} == {
        0: 87.0,
        1: 87.0,
        2: 77.0,
        3: 77.0,
    }


def test_a_batch_covered_too_dearly_asks_on(tiny: Network) -> None:
    # 1 car: bs0 alone covers it with 3 thirds, at 61; but co offers 4/9 at 47, and so it is covered at 52
    agent = made(tiny)
    heard = overhear(agent)
    agent.act(seen(tiny, [1, 0, 0, 0]))
    assert [message.cost for _, message in heard if isinstance(message, Price)] == [52.0]
    assert traffic(agent) == {"count": (2, 48), "offers": (1, 8 * 9), "price": (1, 24)}  # silence of the other types


def test_a_batch_covered_at_its_entry_sends_no_offers(tiny: Network) -> None:
    network = Network.compile(load_scenario("tiny", ["nodes.bs0.budget=9"]))  # bs0 holds everything
    agent = made(network)
    agent.act(seen(network, [2, 0, 0, 0]))  # cars/large serves them all, at 44 < 47
    assert traffic(agent) == {"count": (2, 48), "offers": (0, 0), "price": (0, 0)}


def test_offers_that_can_no_longer_be_reached_are_not_sent(tiny: Network) -> None:
    # bs0 holds everything; 3 cars: 2/3 at 44, then all the rest at 52, so that the offer at 61 stays at home
    network = Network.compile(load_scenario("tiny", ["nodes.bs0.budget=9"]))
    agent = made(network)
    heard = overhear(agent)
    agent.act(seen(network, [3, 0, 0, 0]))
    assert [message.costs.tolist() for _, message in heard if isinstance(message, Offers)] == [[44.0, 52.0]]


def test_message_sizes() -> None:
    two = np.zeros(2)
    sizes = [m.numbers for m in (Least(0, 1.0), Count(0, 0, 1.0), Offers(0, 0, two, two), Price(0, 0, 1.0))]
    assert sizes == [2, 3, 7, 3]


# --- lost messages


def test_with_all_messages_lost_nodes_act_as_if_no_requests_came(tiny: Network) -> None:
    # no base station covers a type alone, so none knows a price
    agent, idle = made(tiny, loss=1.0), Infida()
    idle.reset(tiny, 0)
    idle.act(nothing(tiny))
    began = agent.fractional
    for _ in range(5):
        allocation = agent.act(seen(tiny, [8, 8, 4, 4]))
        assert allocation.tobytes() == idle.act(nothing(tiny)).tobytes()
    np.testing.assert_allclose(agent.fractional, began, rtol=1e-13)
    assert agent.info()["messages_per_slot"] == agent.info()["lost_per_slot"] == 8  # a count and an offer per type


def test_loss_is_what_it_says(tiny: Network) -> None:
    agent = made(tiny, loss=0.25)
    for _ in range(400):
        agent.act(seen(tiny, [8, 8, 4, 4]))
    sent, lost = agent._channel.messages.total(), agent._channel.lost
    assert abs(lost - 0.25 * sent) < 5 * np.sqrt(sent * 0.25 * 0.75)  # 5 standard deviations


@pytest.mark.parametrize("unheard", ["last", "nothing"])
def test_an_unheard_answer_is_the_last_one_heard_or_nothing(tiny: Network, unheard: str) -> None:
    v = tiny.node_names.index("bs0")
    shelf, routes = tiny.shelf(v), node_routes(tiny)[v]
    tasks = tiny.model_task[tiny.placement_model[tiny.placement_node == v]]

    def states(prices: list[float | None]) -> list[np.ndarray]:
        """The state of bs0 after each slot, in which it hears this price for its cars, or none."""
        node = Node(shelf, tiny.spendable[v : v + 1], tasks, routes, Uniforms(0, 0, shelf.P, 0), unheard=unheard)
        for route in routes:
            list(node.receive(Least(route.rho, 37.0)))
        after = []
        for slot, price in enumerate(prices):
            node.begin(slot, {0: 8.0, 2: 0.0}, tiny.capacities[tiny.placement_node == v])
            list(node.count())
            assert [message.rho for _, message in node.ask()] == [0]
            if price is not None:
                list(node.receive(Price(slot, 0, price)))
            list(node.answer())
            node.step(0.01)
            after.append(node.state.copy())
        return after

    stands_for = 66.0 if unheard == "last" else 0.0  # no option costs less than 0, so none saves anything
    assert states([66.0, None])[1].tolist() == states([66.0, stands_for])[1].tolist()
    assert states([None])[0].tolist() == states([0.0])[0].tolist()  # nothing heard yet


def test_the_same_seed_loses_the_same_messages(tiny: Network) -> None:
    trace = draw(tiny, 30, 1)
    runs = [play(tiny, trace, AgentSpec("infida-distributed", {"loss": 0.3, "delay": 1}), 4) for _ in range(2)]
    assert runs[0].summary == runs[1].summary
    assert runs[0].info == runs[1].info
    assert json.loads(json.dumps(runs[0].info)) == runs[0].info


# --- late messages


@pytest.mark.parametrize("delay", [1, 3])
def test_delay_is_mirror_descent_along_the_subgradient_of_earlier_slots(delay: int) -> None:
    network = Network.compile(load_scenario("topology-2-bursty"))
    requests = draw(network, 12, 2).requests
    agent = made(network, delay=delay)
    states = kernels.states_of(start(network, network.spendable))
    steps = StepSizes(network, "scale-free", 1.0, network.spendable)
    gradients = []
    for t, batch in enumerate(requests):
        y = kernels.fractions_of(states)
        gradients.append(kernels.gain_and_subgradient(network, batch, network.capacities, y)[1])
        agent.act(seen(network, batch))
        if t >= delay:
            states = update(states, gradients[t - delay], steps)
        assert agent.fractional.tobytes() == kernels.fractions_of(states)[0].tobytes()


def test_prices_are_sent_late(tiny: Network) -> None:
    agent = made(tiny, delay=2)
    sent = []
    for _ in range(4):
        agent.act(seen(tiny, [8, 8, 4, 4]))
        sent.append(agent._channel.messages["price"])
    assert sent == [0, 0, 4, 8]


# --- parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": 1.5}, r"loss: 1.5; must be a number in \[0, 1\]"),
        ({"loss": -0.1}, "loss: -0.1"),
        ({"loss": "none"}, "loss: 'none'"),
        ({"delay": -1}, "delay: -1; must be a whole number >= 0"),
        ({"delay": 0.5}, "delay: 0.5"),
        ({"unheard": "mean"}, "unheard: 'mean'; allowed: last, nothing"),
        ({"refresh": 0}, "refresh: 0"),
        ({"los": 0.1}, "unknown parameter 'los'"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(IdnError, match=message):
        plugins.make_agent("infida-distributed", parameters)
