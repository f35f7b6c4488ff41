"""Who serves whom, by hand and of a record; and an agent that places trends at the most central stations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import in_process
from idn_agents.central_stations import CentralStations
from idn_agents.greedy import LastBatchGreedy
from idn_agents.service_graph import edges, recorded_graph, served_between, service_graph
from idn_agents.systems.centrality import Problem

from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw


@pytest.fixture(scope="module")
def tiny() -> Network:
    return Network.compile(load_scenario("tiny"))


def placed(network: Network, *names: tuple[str, str]) -> np.ndarray:
    """(P,) an allocation of node and model by name."""
    x = np.zeros(network.P)
    for node, model in names:
        x[network.number(node, model)] = 1.0
    return x


def test_by_hand(tiny: Network) -> None:
    """The office has cars/large, 4 a slot for 8 that come by: half of each; the rest and people go to the cloud."""
    at = tiny.type_index()
    requests = np.zeros(tiny.R)
    requests[at["cars", "bs0"]], requests[at["cars", "bs1"]], requests[at["people", "bs1"]] = 6.0, 2.0, 5.0
    names = list(tiny.node_names)
    graph = served_between(tiny, requests, tiny.capacities, placed(tiny, ("co", "cars/large")))
    expected = np.zeros((4, 4))
    expected[names.index("co"), [names.index("bs0"), names.index("bs1")]] = 3.0, 1.0
    expected[names.index("cloud"), [names.index("bs0"), names.index("bs1")]] = 3.0, 1.0 + 5.0
    assert graph == pytest.approx(expected)
    assert sorted(edges(tiny, graph)) == [
        ("cloud", "bs0", 3.0), ("cloud", "bs1", 6.0), ("co", "bs0", 3.0), ("co", "bs1", 1.0)
    ]  # fmt: skip


def test_what_a_node_serves_itself_is_no_arc(tiny: Network) -> None:
    """And what is served elsewhere adds up to all requests that its own node does not serve."""
    trace = draw(tiny, 5, 0)
    x = placed(tiny, ("bs0", "cars/small"), ("co", "people/large"))
    graph = service_graph(tiny, trace, [x] * 5)
    assert (np.diag(graph) == 0.0).all()
    own = 0.0
    for requests in trace.requests:
        by_node = tiny.service.serve(requests, tiny.capacities, x).by_node
        own += by_node[tiny.node_names.index("bs0")] + by_node[tiny.node_names.index("bs1")]
    assert graph.sum() == pytest.approx(trace.requests.sum() - own)


def test_of_a_record(tiny: Network, tmp_path: Path) -> None:
    """The record's stream and allocations give the graph that playing gives."""
    run = in_process(
        "run", "tiny", "--agent", "last-batch-greedy", "--slots", 6, "--seed", 2, "--output", tmp_path / "r"
    )
    assert run.status == 0, run.stderr
    network, graph = recorded_graph(tmp_path / "r", "last-batch-greedy")
    agent = LastBatchGreedy()
    agent.reset(tiny, 0)
    trace = draw(tiny, 6, 2)
    expected, held, last = np.zeros((tiny.V, tiny.V)), np.zeros(tiny.P), np.zeros(tiny.R)
    for requests in trace.requests:
        held = agent.act({"requests": last, "capacities": tiny.capacities, "allocation": held}).astype(float)
        expected += served_between(tiny, requests, tiny.capacities, held)
        last = requests
    assert network.node_names == tiny.node_names
    assert graph == pytest.approx(expected)
    with pytest.raises(IdnError, match=r"allocations\.csv"):
        recorded_graph(tmp_path / "r", "nobody")


def test_chains_are_refused() -> None:
    with pytest.raises(IdnError, match="central-stations: takes services of one stage"):
        CentralStations().accepts(Network.compile(load_scenario("partition-resnet")))


class TestAgent:
    def play(self, agent: CentralStations | LastBatchGreedy, network: Network, slots: int) -> list[np.ndarray]:
        agent.reset(network, 0)
        held, last, found = np.zeros(network.P), np.zeros(network.R), []
        for requests in draw(network, slots, 1).requests:
            held = agent.act({"requests": last, "capacities": network.capacities, "allocation": held}).astype(float)
            found.append(held)
            last = requests
        return found

    def test_without_a_bonus_it_is_the_greedy(self) -> None:
        network = Network.compile(load_scenario("abilene-social"))
        ours, theirs = (self.play(agent, network, 8) for agent in (CentralStations(bonus=1.0), LastBatchGreedy()))
        assert all((a == b).all() for a, b in zip(ours, theirs, strict=True))

    def test_a_trend_takes_the_most_central_station(self, tiny: Network) -> None:
        """All ask for cars, then some for people: the office, with room and others to serve, has more MB for people."""
        at = tiny.type_index()
        before, after = np.zeros(tiny.R), np.zeros(tiny.R)
        for station in ("bs0", "bs1"):
            before[at["cars", station]], after[at["cars", station]], after[at["people", station]] = 9.0, 9.0, 2.0
        office = tiny.node_names.index("co")
        agents = {bonus: CentralStations(stations=1, bonus=bonus, keep=0.0) for bonus in (1.0, 1e6)}
        held = {}
        for bonus, agent in agents.items():
            agent.reset(tiny, 0)
            x = placed(tiny, ("co", "cars/small"), ("co", "cars/large"))
            for requests in (before, before, after):
                x = agent.act({"requests": requests, "capacities": tiny.capacities, "allocation": x})
            people = np.isin(tiny.placement_group, office * tiny.N + tiny.scenario.tasks.index("people"))
            held[bonus] = float((x * tiny.sizes)[people].sum())
        assert held[1e6] > held[1.0]
        assert agents[1e6].info()["central_slots"]["co"] == 3

    def test_stations_are_the_top_of_the_fixed_point(self, tiny: Network) -> None:
        """The cloud serves most and has no room; the office is next."""
        graph = served_between(tiny, np.full(tiny.R, 5.0), tiny.capacities, placed(tiny, ("co", "cars/large")))
        top = [tiny.node_names[v] for v in Problem(graph).top(2)]
        assert top == ["cloud", "co"]
