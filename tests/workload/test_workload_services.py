"""Workloads of scenarios with services: popularity in the order of the file, bursts, crowds and the adversary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.popularity import popularity
from idn_gym.workload.processes import Bursts
from idn_gym.workload.stream import draw
from idn_gym.workload.trace_file import read_trace, requests_csv

PROFILE = {"size": 1.0, "delay": 1.0, "throughput": 5.0}


def network_with(of_workload: dict[str, Any], services: Any = None, **changes: Any) -> Network:
    """Two tasks served at a hub, entered at two leaves; three services, the most popular of the second task."""
    services = services or [
        {"name": "c", "stages": ["two"]},
        {"name": "a", "stages": ["one"], "priority": 1},
        {"name": "b", "stages": ["one"], "weight": 3.0},
    ]
    data = {
        "format": "idn-gym/scenario-1",
        "name": "leaves",
        "tasks": ["one", "two"],
        "models": [
            {"name": f"{task}/{size}", "task": task, "accuracy": 50.0, "profiles": {"p": PROFILE}}
            for task in ("one", "two")
            for size in ("s", "l")
        ],
        "nodes": [
            {"name": "leaf0", "processor": "p", "budget": 1.0},
            {"name": "leaf1", "processor": "p", "budget": 1.0},
            {"name": "hub", "processor": "p", "repository": ["one/l", "two/l"]},
        ],
        "links": [{"source": f"leaf{i}", "target": "hub", "latency": 10.0} for i in range(2)],
        "services": services,
        "workload": {"kind": "zipf", "rate": 10.0, "exponent": 1.0} | of_workload,
    }
    return Network.compile(parse(data | changes, "leaves"))


def test_every_service_enters_everywhere() -> None:
    network = network_with({})
    assert network.service_names == ("c", "a", "b")
    assert network.type_names == tuple((name, f"leaf{i}") for name in "cab" for i in range(2))
    assert [network.scenario.tasks[i] for i in network.type_task] == ["two", "two", "one", "one", "one", "one"]


def test_popularity_is_in_the_order_of_the_services() -> None:
    share = popularity(network_with({}), np.array([0]))[0]
    of_service = np.array([1.0, 1 / 2, 1 / 3]) / (1 + 1 / 2 + 1 / 3)
    assert share == pytest.approx(np.repeat(of_service / 2, 2))


def test_popularity_slides_over_services() -> None:
    share = popularity(network_with({"profile": "sliding", "shift": 1, "every": 2}), np.array([0, 2, 6]))
    ranks = np.array([1.0, 1 / 2, 1 / 3]) / (11 / 6)
    for row, shift in zip(share, (0, 1, 3), strict=True):
        assert row[::2] * 2 == pytest.approx(np.roll(ranks, shift))


def test_services_that_nobody_asks_for_leave_their_popularity_to_others() -> None:
    requests = [{"service": name, "path": ["leaf0", "hub"]} for name in "ca"] + [
        {"service": "a", "path": ["leaf1", "hub"]}
    ]
    share = popularity(network_with({}, requests=requests), np.array([0]))[0]
    assert share == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_bursts_per_task_are_per_service() -> None:
    network = network_with({"kind": "burst", "shape": 0.5, "per": "task"})
    drawn = Bursts(network, network.scenario.workload).next_block(8, np.random.default_rng(0))  # type: ignore[arg-type]
    assert (drawn[:, ::2] == drawn[:, 1::2]).all()
    assert len(set(drawn[0])) == 3, "services of one task burst apart"


@pytest.mark.parametrize(
    "workload",
    [
        {},
        {"profile": "sliding", "shift": 1, "every": 3},
        {"diurnal": {"amplitude": 0.5, "period": 9}},
        {"flash": {"probability": 0.2, "duration": 2, "factor": 5}},
        {"kind": "burst", "shape": 0.5},
        {"kind": "burst", "shape": 0.5, "per": "task", "persistence": 0.5},
        {"kind": "adversary"},
        {"capacity": {"kind": "outages", "probability": 0.3}},
    ],
)
def test_streams_are_those_without_services_where_each_task_has_one(workload: dict[str, Any]) -> None:
    same = [{"name": task, "stages": [task]} for task in ("one", "two")]
    one, two = network_with(workload, same), network_with(workload, services=same)
    plain = parse({key: value for key, value in two.scenario.to_dict().items() if key != "services"}, "plain")
    streams = [draw(network, 70, seed=3) for network in (one, Network.compile(plain))]
    assert streams[0].requests.tobytes() == streams[1].requests.tobytes()
    assert streams[0].capacities.tobytes() == streams[1].capacities.tobytes()


@pytest.mark.parametrize("workload", [{}, {"kind": "burst", "shape": 0.5, "per": "task"}, {"kind": "adversary"}])
def test_streams_of_services_read_back(workload: dict[str, Any], tmp_path: Path) -> None:
    network = network_with(workload)
    trace = draw(network, 5, seed=1)
    (tmp_path / "trace.csv").write_text("".join(requests_csv(network, trace)))
    assert (read_trace(network, tmp_path / "trace.csv").requests == trace.requests).all()


def test_the_adversary_weighs_services() -> None:
    """Of types that are otherwise equal it first goes for the one whose requests weigh most."""
    services = [{"name": "light", "stages": ["one"]}, {"name": "heavy", "stages": ["two"], "weight": 100.0}]
    network = network_with({"kind": "adversary"}, services)
    asked = [network.type_names[rho][0] for rho in draw(network, 40, seed=0).requests.argmax(axis=1)]
    assert asked[0] == "heavy"


def test_a_batch_of_environments_on_a_device_shares_bursts_by_service() -> None:
    torch = pytest.importorskip("torch")
    from idn_gym.batched.streams import DrawnStreams

    network = network_with({"kind": "burst", "shape": 1.0, "per": "task", "rate": 1e9})
    streams = DrawnStreams([network], 10, torch.device("cpu"), torch.float64)
    streams.restart(slice(None), [np.random.default_rng(0)])
    requests = streams.next_slot(slice(None))[0][0].numpy()
    one, other = requests.reshape(3, 2).T  # service by service: the two entry nodes expect the same
    assert (np.abs(one - other) <= 6.0 * np.sqrt(one + other)).all(), "they differ as Poisson counts of one mean do"
    assert len({round(ratio, 3) for ratio in one / one[0]}) == 3, "services burst apart"
