"""Services of one stage: by hand, against linear programs and golden cases; their laws."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from instances import Whole, allocation, random_values, scenario_values, values
from scipy.optimize import linprog

from idn_gym import kernels
from idn_gym.experiment.evaluation import by_service, evaluate
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import read_trace

CASE = GOLDEN / "services"


def with_services(data: dict[str, Any], whole: Whole) -> dict[str, Any]:
    """The scenario with one to three services per task, each from where its task is asked for, and prices."""
    services: list[dict[str, Any]] = []
    requests = []
    for task in data["tasks"]:
        for n in range(whole(1, 3)):
            service: dict[str, Any] = {"name": f"{task}-{n}", "stages": [task]}
            service |= {} if whole(0, 1) else {"weight": whole(1, 8) / 2}
            service |= {} if whole(0, 1) else {"priority": whole(-1, 2)}
            service |= {} if whole(0, 1) else {"input_mb": whole(0, 6) / 2}
            service |= {} if whole(0, 1) else {"accuracy_weights": [whole(0, 4) / 2]}
            service |= {} if whole(0, 1) else {"deadline_ms": whole(0, 24) / 2}
            service |= {} if whole(0, 2) else {"report_deadline_ms": whole(0, 24) / 2}
            services.append(service)
            of_task = [request for request in data["requests"] if request["task"] == task]
            requests += [{"service": f"{task}-{n}", "path": request["path"]} for request in of_task]
    links = [link | ({} if whole(0, 2) else {"bandwidth": whole(1, 4) * 250.0}) for link in data["links"]]
    models = [
        model | {"profiles": {name: of | {"price": whole(0, 4) * 900.0} for name, of in model["profiles"].items()}}
        for model in data["models"]
    ]
    return data | {
        "services": services,
        "requests": requests,
        "links": links,
        "models": models,
        "violation_ms": whole(0, 8) / 2,
        "price_weight": whole(0, 2) / 2,
    }


def random_services(seed: int) -> tuple[dict[str, Any], np.random.Generator]:
    """A scenario with services from a seed, and a generator to go on with."""
    generator = np.random.default_rng(seed)
    return with_services(random_values(seed), lambda low, high: int(generator.integers(low, high + 1))), generator


@st.composite
def service_values(draw: st.DrawFn) -> dict[str, Any]:
    """The same drawn by hypothesis, with ties."""
    whole: Whole = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    return with_services(values(whole), whole)


# --- an oracle: linear programs over what the file says ---------------------------------------------------------


class Oracle:
    """A scenario file read by name; a type is served by the cheapest flow over its options, a program of its own."""

    def __init__(self, data: dict[str, Any], requests: np.ndarray, capacities: dict[tuple[str, str], float]) -> None:
        self.data, self.capacities = data, capacities
        self.requests = requests.tolist()
        self.services = {service["name"]: service for service in data["services"]}
        self.nodes = {node["name"]: node for node in data["nodes"]}
        self.link = {frozenset((link["source"], link["target"])): link for link in data["links"]}
        copies = range(data["replicas"])
        self.models = [(m["name"] if n == 0 else f"{m['name']}#{n + 1}", m) for n in copies for m in data["models"]]

    def options(self, i: int) -> list[tuple[float, float, float, tuple[str, str] | None]]:
        """Weighted cost, latency, weighted inaccuracy, and the placement (None: a repository model) of each."""
        request = self.data["requests"][i]
        service = self.services[request["service"]]
        weight, alpha = service.get("accuracy_weights", [1.0])[0], self.data["accuracy_weight"]
        found, way = [], 0.0
        for hop, name in zip([None, *pairwise(request["path"])], request["path"], strict=True):
            if hop:
                link = self.link[frozenset(hop)]
                way += link["latency"]
                way += 1000.0 * service.get("input_mb", 0.0) / link["bandwidth"] if "bandwidth" in link else 0.0
            node = self.nodes[name]
            for offered, model in self.models:
                profile = model["profiles"].get(node["processor"])
                if model["task"] == service["stages"][0] and profile:
                    latency, inaccuracy = way + profile["delay"], weight * (100.0 - model["accuracy"])
                    late = latency > service.get("deadline_ms", np.inf) + 1e-9
                    cost = latency + alpha * inaccuracy + late * self.data["violation_ms"]
                    held = model["name"] in node.get("repository", ())
                    found.append(
                        (service.get("weight", 1.0) * cost, latency, inaccuracy, None if held else (name, offered))
                    )
        return found

    def shares(self, i: int) -> dict[tuple[str, str], float]:
        """What placements have for a type when the classes above have taken theirs, per request of its class."""
        of = [
            (r, self.services[q["service"]], q["path"])
            for r, q in zip(self.requests, self.data["requests"], strict=True)
        ]
        own = self.services[self.data["requests"][i]["service"]]
        shares = {}
        for (node, offered), left in self.capacities.items():
            task = dict(self.models)[offered]["task"]
            passing: dict[int, float] = {}
            for r, service, path in of:
                if service["stages"] == [task] and node in path:
                    passing[service.get("priority", 0)] = passing.get(service.get("priority", 0), 0.0) + r
            for priority in sorted(passing, reverse=True):
                taken = min(left, passing[priority])
                if priority == own.get("priority", 0) and passing[priority] > 0:
                    shares[node, offered] = taken / passing[priority]
                left -= taken
        return shares

    def cost(self, i: int, held: dict[tuple[str, str], float]) -> float:
        """Of the type's requests, from one linear program."""
        r, shares = self.requests[i], self.shares(i)
        found = self.options(i)
        bounds = [(0.0, r if p is None else r * shares.get(p, 1.0) * held[p]) for _, _, _, p in found]
        solved = linprog([c for c, _, _, _ in found], A_eq=np.ones((1, len(found))), b_eq=[r], bounds=bounds)
        assert solved.status == 0, solved.message
        return float(solved.fun)

    def gain(self, held: dict[tuple[str, str], float]) -> tuple[float, float]:
        """Cost, and what it is less than with nothing placed."""
        nothing = dict.fromkeys(held, 0.0)
        cost, most = (sum(self.cost(i, x) for i in range(len(self.requests))) for x in (held, nothing))
        return cost, most - cost


def slot(network: Network, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Requests and capacities of a slot; some are 0."""
    requests = generator.integers(0, 9, network.R) * 1.5
    return requests, generator.integers(0, 16, network.P) * 1.25


@pytest.mark.parametrize("seed", range(60))
def test_cost_and_gain_are_those_of_linear_programs(seed: int) -> None:
    data, generator = random_services(seed)
    network = Network.compile(parse(data, f"seed {seed}"))
    requests, capacities = slot(network, generator)
    y = generator.random(network.P) * generator.integers(0, 2, network.P)
    names = [network.names(p) for p in range(network.P)]
    oracle = Oracle(data, requests, dict(zip(names, capacities.tolist(), strict=True)))
    cost, gain = oracle.gain(dict(zip(names, y.tolist(), strict=True)))
    scale = 1e-7 * (1.0 + cost + gain)
    served = network.service.serve(requests, capacities, y)
    fast = kernels.serve(network, requests, capacities, y).row(0)
    for found in (served, fast):
        assert found.cost == pytest.approx(cost, abs=scale)
        assert found.gain == pytest.approx(gain, abs=scale)
        assert found.latency == pytest.approx(served.latency, abs=scale)
        assert found.inaccuracy == pytest.approx(served.inaccuracy, abs=scale)
        assert found.missed == pytest.approx(served.missed, abs=scale)
    assert network.service.gain(requests, capacities, y) == pytest.approx(gain, abs=scale)


@pytest.mark.parametrize("seed", range(60))
def test_the_supergradient_bounds_the_gain_elsewhere(seed: int) -> None:
    data, generator = random_services(seed)
    network = Network.compile(parse(data, f"seed {seed}"))
    requests, capacities = slot(network, generator)
    y = generator.random(network.P) * generator.integers(0, 2, network.P)
    at, slopes = network.service.gain_and_supergradient(requests, capacities, y)
    fast, gradients = kernels.gain_and_subgradient(network, requests, capacities, y)
    slack = 1e-7 * (1.0 + at)
    assert fast[0] == pytest.approx(at, abs=slack)
    for there in generator.random((8, network.P)).round(generator.integers(0, 3)):
        gain = network.service.gain(requests, capacities, there)
        assert gain <= at + slopes @ (there - y) + slack
        assert gain <= at + gradients[0] @ (there - y) + slack


@pytest.mark.parametrize("seed", range(20))
def test_options_are_those_of_the_file(seed: int) -> None:
    data, _ = random_services(seed)
    network = Network.compile(parse(data, f"seed {seed}"))
    service = network.service
    oracle = Oracle(data, np.zeros(network.R), {})
    counted = [{"report_deadline_ms": np.inf} | oracle.services[request["service"]] for request in data["requests"]]
    for i in range(network.R):
        known = {option[3]: option for option in oracle.options(i)}
        last = min(option for option in oracle.options(i) if option[3] is None)
        for k in range(int(service.option_count[i]) - 1):
            cost, latency, inaccuracy, _ = known[network.names(service.options[i, k])]
            assert service.costs[i, k] == pytest.approx(cost, rel=1e-12)
            assert service.option_latencies[i, k] == pytest.approx(latency, rel=1e-12)
            assert service.option_inaccuracies[i, k] == pytest.approx(inaccuracy, rel=1e-12)
        assert service.costs[i, -1] == pytest.approx(last[0], rel=1e-12)
        assert (np.diff(service.costs[i]) >= 0.0).all()
        reported = counted[i]["report_deadline_ms"]
        due = reported if "report_deadline_ms" in oracle.services[data["requests"][i]["service"]] else None
        due = oracle.services[data["requests"][i]["service"]].get("deadline_ms", np.inf) if due is None else due
        assert service.deadlines[i] == pytest.approx(due, rel=1e-8)
        assert network.timed[i] == np.isfinite(due)


# --- golden -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not CASE.is_dir(), reason=f"{CASE} is kept outside the repository")
class TestGolden:
    """Computed by an oracle that shares nothing with this project."""

    @pytest.mark.parametrize("kind", ["allocation", "fractional"])
    def test_evaluate(self, kind: str) -> None:
        network = Network.compile(load_scenario(CASE / "scenario.json"))
        trace = read_trace(network, CASE / "requests.csv")
        y = allocation(network, json.loads((CASE / f"{kind}.json").read_text()))
        expected = json.loads((CASE / "expected.json").read_text())[kind]
        found = evaluate(network, trace, y)
        assert len(found["slots"]) == len(expected["slots"])
        for t, (row, slot) in enumerate(zip(found["slots"], expected["slots"], strict=True)):
            served = network.service.serve(trace.requests[t], trace.capacities_at(t), y)
            for key in ("cost", "gain"):
                assert row[key] == pytest.approx(slot[key], rel=1e-9)
                assert getattr(served, key) == pytest.approx(slot[key], rel=1e-9)
            assert row["price_per_slot"] == pytest.approx(expected["price_per_slot"], rel=1e-9)
        assert found["net"] == pytest.approx(expected["net"], rel=1e-9)
        assert found["gain"] == pytest.approx(sum(slot["gain"] for slot in expected["slots"]), rel=1e-9)

    def test_net_gain_of_the_optimum(self) -> None:
        network = Network.compile(load_scenario(CASE / "scenario.json"))
        trace = read_trace(network, CASE / "requests.csv")
        optimum = json.loads((CASE / "expected.json").read_text())["optimum"]
        found = evaluate(network, trace, allocation(network, optimum["allocation"]))
        assert found["net"] == pytest.approx(optimum["net"], rel=1e-9)
        assert found["gain"] == pytest.approx(optimum["gain"], rel=1e-9)
        assert found["slots"][0]["price_per_slot"] == pytest.approx(optimum["price_per_slot"], rel=1e-9)


# --- by hand ----------------------------------------------------------------------------------------------------

PROFILE = {"size": 1.0, "delay": 2.0, "throughput": 10.0}
HAND: dict[str, Any] = {
    "format": "idn-gym/scenario-1",
    "name": "hand",
    "slot_seconds": 1.0,
    "accuracy_weight": 2.0,
    "violation_ms": 7.0,
    "price_weight": 3.0,
    "tasks": ["cars"],
    "models": [
        {"name": "small", "task": "cars", "accuracy": 90.0, "profiles": {"gpu": PROFILE | {"price": 7200.0}}},
        {"name": "large", "task": "cars", "accuracy": 99.0, "profiles": {"gpu": PROFILE | {"delay": 5.0}}},
    ],
    "nodes": [
        {"name": "bs", "processor": "gpu", "budget": 2.0, "entry": True},
        {"name": "cloud", "processor": "gpu", "budget": 0.0, "repository": ["large"]},
    ],
    "links": [{"source": "bs", "target": "cloud", "latency": 20.0, "bandwidth": 50.0}],
    "services": [
        {"name": "now", "stages": ["cars"], "deadline_ms": 6.0, "priority": 1, "weight": 2.0, "input_mb": 0.5},
        {"name": "later", "stages": ["cars"], "accuracy_weights": [0.5], "report_deadline_ms": 2.0},
    ],
}


def hand(**changes: Any) -> Network:
    """The scenario with some keys changed."""
    return Network.compile(parse(HAND | changes, "hand"))


def test_costs_by_hand() -> None:
    """Small: 2 ms and 10 points off; large: 5 ms and 1 point off; the cloud 20 ms away, and 10 ms for half an MB."""
    network = hand()
    assert network.type_names == (("now", "bs"), ("later", "bs"))
    service = network.service
    # now: small 2 + 2 x 10, large 5 + 2 x 1, the cloud's 20 + 10 + 5 + 2 x 1 + 7, which is late; all twice
    assert service.costs.tolist() == [[14.0, 44.0, 88.0], [6.0, 12.0, 26.0]]
    assert [network.names(p)[1] for p in service.options[0, :2]] == ["large", "small"]
    # later: small 2 + 10, large 5 + 1, the cloud's 20 + 5 + 1
    assert service.repository_latency.tolist() == [35.0, 25.0]
    assert (service.classes, service.type_class.tolist()) == (2, [0, 1])
    assert network.prices.tolist() == [2.0, 0.0, 2.0], "the last is small in the cloud, which has no room for it"
    assert network.holding.tolist() == [6.0, 0.0, 6.0]
    assert network.priced


def test_a_slot_by_hand() -> None:
    """Large at the base station serves 10: 8 of `now`, then 2 of the 4 of `later`; the rest goes to the cloud."""
    network = hand()
    x = np.array([network.names(p) == ("bs", "large") for p in range(network.P)], dtype=np.float64)
    served = network.service.serve(np.array([8.0, 4.0]), network.capacities, x)
    assert served.cost == 8 * 14.0 + 2 * 6.0 + 2 * 26.0
    assert served.gain == 8 * (88.0 - 14.0) + 2 * (26.0 - 6.0)
    assert served.latency == 8 * 5.0 + 2 * 5.0 + 2 * 25.0
    assert served.inaccuracy == 8 * 1.0 + 2 * 0.5 + 2 * 0.5
    assert served.missed == 4.0, "all of later's: 5 ms and 25 ms are above 2 ms; now's 5 ms keep 6 ms"
    document = evaluate(network, Trace(np.array([[8.0, 4.0]]), network.capacities[None]), x)
    assert document["missed"] == pytest.approx(4.0 / 12.0)
    assert (document["price_per_hour"], document["net"]) == (0.0, served.gain)
    rows = by_service(network, Trace(np.array([[8.0, 4.0]]), network.capacities[None]), [x])
    assert rows == [
        {"service": "now", "requests": 8.0, "gain": 592.0, "latency_ms": 5.0, "inaccuracy": 1.0, "missed": 0.0},
        {"service": "later", "requests": 4.0, "gain": 40.0, "latency_ms": 15.0, "inaccuracy": 0.5, "missed": 1.0},
    ]


def test_the_price_of_a_slot_by_hand() -> None:
    """7200 an hour are 2 a slot of a second, and 6 ms at 3 ms per unit."""
    network = hand()
    x = np.array([network.names(p) == ("bs", "small") for p in range(network.P)], dtype=np.float64)
    trace = Trace(np.array([[0.0, 4.0], [0.0, 0.0]]), network.capacities[None])
    document = evaluate(network, trace, x)
    assert document["gain"] == 4 * (26.0 - 12.0)
    assert document["net"] == document["gain"] - 2 * 6.0
    assert document["price_per_hour"] == 7200.0
    assert [row["price_per_slot"] for row in document["slots"]] == [2.0, 2.0]
    assert evaluate(hand(price_weight=0.0), trace, x)["net"] == document["gain"], "reported, not optimised"


def test_a_deadline_met_but_for_rounding_is_met() -> None:
    links = [{"source": "bs", "target": "cloud", "latency": 0.1}]
    models = [
        {"name": name, "task": "cars", "accuracy": 100.0, "profiles": {"gpu": PROFILE | {"delay": 0.2}}}
        for name in ("small", "large")
    ]
    assert 0.1 + 0.2 > 0.3
    services = [{"name": "now", "stages": ["cars"], "deadline_ms": 0.3}]
    network = hand(links=links, models=models, services=services)
    assert network.service.costs[0, -1] == pytest.approx(0.3)
    assert network.service.serve(np.ones(1), network.capacities, np.zeros(network.P)).missed == 0.0
    network = hand(links=links, models=models, services=[services[0] | {"deadline_ms": 0.299}])
    assert network.service.costs[0, -1] == pytest.approx(7.3)
    assert network.service.serve(np.ones(1), network.capacities, np.zeros(network.P)).missed == 1.0


def test_nothing_has_a_price_no_service_a_deadline() -> None:
    network = Network.compile(load_scenario("tiny"))
    trace = Trace(np.ones((1, network.R)), network.capacities[None])
    document = evaluate(network, trace, np.zeros(network.P))
    assert not {"net", "missed", "price_per_hour"} & set(document)
    assert not {"price_per_slot", "missed"} & set(document["slots"][0])
    assert not network.priced
    assert not network.timed.any()


# --- laws -------------------------------------------------------------------------------------------------------


@st.composite
def slots(draw: st.DrawFn) -> tuple[dict[str, Any], Network, np.ndarray, np.ndarray, np.ndarray]:
    """A scenario with services, requests, capacities, and an allocation in eighths."""
    data = draw(service_values())
    network = Network.compile(parse(data, "drawn"))

    def numbers(count: int, most: int) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(0, most), min_size=count, max_size=count)), dtype=np.float64)

    return data, network, numbers(network.R, 20) / 2, numbers(network.P, 30) / 2, numbers(network.P, 8) / 8


@given(slots())
def test_shares_hand_out_what_there_is(case: Any) -> None:
    _, network, requests, capacities, _ = case
    service = network.service
    passing = service.loads(requests).reshape(service.classes, -1)[:, service.placement_group]
    shares = service.shares(requests, capacities)
    assert ((shares >= 0.0) & (shares <= 1.0)).all()
    handed = (shares * passing).sum(axis=0)
    assert handed == pytest.approx(np.minimum(capacities, passing.sum(axis=0)), rel=1e-12, abs=1e-12)
    for c in range(1, service.classes):  # a class has some only where those above it have all they ask for
        assert (passing[:c] * (shares[:c] < 1.0) * (shares[c] > 0.0) * passing[c] == 0.0).all()


@given(slots(), st.integers(0, 99), st.integers(1, 3))
def test_a_higher_priority_never_hurts_the_service(case: Any, which: int, by: int) -> None:
    data, network, requests, capacities, y = case
    i = which % len(data["services"])
    raised = [s | {"priority": s.get("priority", 0) + by * (j == i)} for j, s in enumerate(data["services"])]
    other = Network.compile(parse(data | {"services": raised}, "raised"))
    own = network.type_service == i
    before, after = (n.service.serve_types(requests, capacities, y).gain[own].sum() for n in (network, other))
    assert after >= before - 1e-9 * (1.0 + before)


@given(scenario_values())
def test_a_service_per_task_is_no_services(data: dict[str, Any]) -> None:
    """Weight 1, no deadline, one priority: to the bit what the file without services is."""
    plain = Network.compile(parse(data, "plain"))
    services = [{"name": task, "stages": [task], "weight": 1.0, "accuracy_weights": [1.0]} for task in data["tasks"]]
    other = Network.compile(parse(data | {"services": services, "violation_ms": 9.0, "price_weight": 2.0}, "services"))
    assert plain.type_names == other.type_names
    for one, two in ((plain, other), (plain.service, other.service)):
        for name in type(one).__dataclass_fields__:  # type: ignore[attr-defined]
            if isinstance(array := getattr(one, name), np.ndarray):
                assert array.tobytes() == getattr(two, name).tobytes(), name


@given(slots(), st.sampled_from([0.5, 2.0, 8.0]))
def test_a_weight_multiplies_costs_and_gains_alone(case: Any, weight: float) -> None:
    data, network, requests, capacities, y = case
    heavier = [service | {"weight": weight * service.get("weight", 1.0)} for service in data["services"]]
    other = Network.compile(parse(data | {"services": heavier}, "heavier"))
    one, two = (n.service.serve(requests, capacities, y) for n in (network, other))
    assert two.gain == pytest.approx(weight * one.gain, rel=1e-12)
    assert two.cost == pytest.approx(weight * one.cost, rel=1e-12)
    assert (two.latency, two.inaccuracy, two.missed) == (one.latency, one.inaccuracy, one.missed)


@given(slots())
def test_types_sum_up_to_the_slot(case: Any) -> None:
    _, network, requests, capacities, y = case
    whole = network.service.serve(requests, capacities, y)
    for name, each in network.service.serve_types(requests, capacities, y)._asdict().items():
        assert each.sum() == pytest.approx(getattr(whole, name), rel=1e-12, abs=1e-9)
    assert whole.by_node.sum() == pytest.approx(requests.sum())


def test_a_file_of_services_reads_back(tmp_path: Path) -> None:
    scenario = parse(HAND, "hand")
    assert parse(scenario.to_dict(), "again") == scenario
    assert parse(json.loads(json.dumps(scenario.to_dict())), "again").to_dict() == scenario.to_dict()
