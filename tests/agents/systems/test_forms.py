"""Systems as agents: decisions against plain enumerations of the papers' objectives, and the networks they take."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idn_agents.systems.network import AGENTS
from idn_agents.systems.network.infadapter import InfAdapterAgent
from idn_agents.systems.network.ipa import IpaAgent
from idn_agents.systems.network.pamdi import PaMdiAgent
from idn_agents.systems.network.qpart import QpartAgent
from idn_agents.systems.network.sled import SledAgent
from idn_agents.systems.network.sponge import SpongeAgent

from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.library.profiles import RESNETS
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw

KINDS = {
    "infadapter": InfAdapterAgent,
    "ipa": IpaAgent,
    "sponge": SpongeAgent,
    "pa-mdi": PaMdiAgent,
    "sled": SledAgent,
    "qpart": QpartAgent,
}
TAKEN = {
    "infadapter": {"variants-cores"},
    "ipa": {"pipeline-cores"},
    "sponge": {"uploads-4g"},
    "pa-mdi": {"partition-priority", "draft-and-verify", "quantised-split", "pipeline-cores"},  # chains alone
    "sled": {"draft-and-verify", "quantised-split", "pipeline-cores"},  # chains of two stages
    "qpart": {"draft-and-verify", "quantised-split"},  # the same, and first stages that lose little
}
ACCURACY = (0.69758, 0.73314, 0.7613, 0.77374, 0.78312)


def held(agent: Any, network: Network, requests: Any) -> list[str]:
    """Names of what an agent, new to a network, holds after one batch."""
    agent.reset(network, 0)
    allocation = agent.act(observe(network, np.array(requests, dtype=float), network.capacities, np.zeros(network.P)))
    return [network.names(p)[1] for p in np.flatnonzero(allocation)]


def at_one_node(
    models: list[dict[str, Any]], budget: float, late: dict[str, float], service: dict[str, Any], **keys: Any
) -> Network:
    """A node with a budget in front of late answers, requests of one type, slots of a second."""
    tasks = list(late)
    for task, delay in late.items():
        profiles = {"late": {"size": 1.0, "delay": delay, "throughput": 1.0}}
        models.append({"name": f"{task}/late", "task": task, "accuracy": 10.0, "profiles": profiles})
    values = {
        "format": "idn-gym/scenario-1",
        "name": "small",
        "slot_seconds": 1.0,
        "tasks": tasks,
        "models": models,
        "nodes": [
            {"name": "node", "processor": "cpu", "budget": budget, "entry": True},
            {"name": "late", "processor": "late", "repository": [f"{task}/late" for task in tasks]},
        ],
        "links": [{"source": "node", "target": "late", "latency": 0.0}],
        "services": [{"name": "one", "stages": tasks, **service}],
        **keys,
    }
    return Network.compile(parse(values, "small"))


class TestEveryAgent:
    @pytest.mark.parametrize(("scenario", "name"), AGENTS.items())
    def test_on_its_scenario(self, scenario: str, name: str) -> None:
        """Feasible, nothing before the first batch, and the same for streams that are the same so far."""
        network = Network.compile(load_scenario(scenario))
        trace, other = draw(network, 4, 0), draw(network, 4, 1)
        runs = []
        for last in (trace, other):
            agent, allocation, seen = KINDS[name](), np.zeros(network.P), []
            agent.accepts(network)
            agent.reset(network, 0)
            for requests in (np.zeros(network.R), *trace.requests[:3], last.requests[3]):
                allocation = agent.act(observe(network, requests, network.capacities, allocation)).astype(float)
                assert (network.memory_in_use(allocation) <= network.room).all()
                seen.append(allocation)
            runs.append(seen)
            assert agent.info() == {"decisions": 4, "infeasible": agent.info()["infeasible"]}
        assert not runs[0][0].any()
        assert runs[0][1].any()
        assert all((one == two).all() for one, two in zip(*(run[:4] for run in runs), strict=True))

    @pytest.mark.parametrize("name", KINDS)
    def test_other_networks_are_refused_in_a_line(self, name: str) -> None:
        for scenario in {"tiny", "sla-sliding", "access-4g", *AGENTS, "pipeline-video"} - TAKEN[name]:
            network = Network.compile(load_scenario(scenario))
            with pytest.raises(IdnError, match=f"^{name}: needs .*; scenario {scenario} is not of that shape$"):
                KINDS[name]().accepts(network)

    @pytest.mark.parametrize(
        ("kind", "keys", "says"),
        [
            (InfAdapterAgent, {"alpha": -1.0}, "alpha: -1.0; must be a number >= 0"),
            (IpaAgent, {"margin": 0.5}, "margin: 0.5; must be a number >= 1"),
            (SpongeAgent, {"left": 2.0}, r"left: 2.0; must be a number in \[0, 1\]"),
            (PaMdiAgent, {"order": "random"}, "order: 'random'; allowed: priority, file"),
            (SledAgent, {"target": "best"}, "target: 'best'; allowed: accurate, any"),
        ],
    )
    def test_parameters(self, kind: Any, keys: dict[str, Any], says: str) -> None:
        with pytest.raises(IdnError, match=says):
            kind(**keys)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network.compile(load_scenario("variants-cores"))


class TestInfAdapter:
    @pytest.mark.parametrize("rate", [20.0, 60.0, 96.6, 150.0])
    def test_the_net_gain_is_its_objective_where_the_rate_is_covered(self, network: Network, rate: float) -> None:
        """AA - alpha RC / B as the paper writes it, times one factor, plus a constant: for all that covers a rate."""
        alpha = 0.05 * 96.6 / rate  # a core costs the same, whatever the requests: 0.05 is the mean rate's
        constants = []
        for cores in itertools.product((0, 2, 4, 6, 9, 14, 20), repeat=5):
            if sum(cores) > 20:
                continue
            placed = [network.number("cluster", f"classify/{v}-c{n}") for v, n in zip(RESNETS, cores, strict=True) if n]
            capacity = dict(zip(np.flatnonzero(cores).tolist(), network.capacities[placed] / 30.0, strict=True))
            if sum(capacity.values()) < rate:
                continue
            rest, accuracy = rate, 0.0
            for m in reversed(range(5)):
                served = min(capacity.get(m, 0.0), rest)
                rest -= served
                accuracy += ACCURACY[m] * served / rate
            allocation = np.zeros(network.P)
            allocation[placed] = 1.0
            net = network.service.gain(np.array([30.0 * rate]), network.capacities, allocation)
            net -= float(network.holding @ allocation)
            constants.append(net - 1000.0 * 30.0 * rate * (accuracy - alpha * sum(cores) / 20.0))  # 10 ms a point
        assert len(constants) > 5
        assert constants == pytest.approx([constants[0]] * len(constants), rel=1e-9)

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32), share=st.floats(0.1, 0.95))
    def test_no_covering_allocation_nets_more(self, seed: int, share: float) -> None:
        """Of all that a node of 6 cores may hold, with a configuration at most of each variant."""
        rng = np.random.default_rng(seed)
        models = [
            {
                "name": f"task/{variant}-{n}",
                "task": "task",
                "accuracy": 40.0 + 15.0 * variant,
                "profiles": {
                    "cpu": {
                        "size": 256.0 * n,
                        "delay": 5.0,
                        "throughput": float(rng.uniform(4.0, 8.0)) * n / (1.0 + variant),
                        "price": 0.02 * n,
                    }
                },
            }
            for variant in range(3)
            for n in range(1, 5)
        ]
        network = at_one_node(models, 6 * 256.0, {"task": 200.0}, {}, price_weight=float(10 ** rng.uniform(5, 8)))
        every = np.array(list(itertools.product((0, 1, 2, 3, 4), repeat=3)))
        every = every[every.sum(axis=1) <= 6]
        allocations = np.zeros((len(every), network.P))
        for row, cores in zip(allocations, every, strict=True):
            row[[4 * variant + n - 1 for variant, n in enumerate(cores) if n]] = 1.0
        requests = np.array([share * (allocations @ network.capacities).max()])
        covers = allocations @ network.capacities >= requests[0]
        net = kernels.gain(network, requests, network.capacities, allocations) - allocations @ network.holding
        names = held(InfAdapterAgent(beta=0.0, margin=1.0), network, requests)
        chosen = np.isin([network.names(p)[1] for p in range(network.P)], names)
        got = kernels.gain(network, requests, network.capacities, chosen[None].astype(float))[0]
        assert got - network.holding @ chosen == pytest.approx(net[covers].max(), rel=1e-12)

    def test_what_is_held_stays(self, network: Network) -> None:
        """With a heavy weight on changes the variants and cores that cover the forecast are not changed."""
        agent = InfAdapterAgent(beta=10.0, margin=1.0)
        agent.reset(network, 0)
        there = np.zeros(network.P)
        there[network.number("cluster", "classify/resnet34-c11")] = 1.0
        allocation = agent.act(observe(network, np.array([2880.0]), network.capacities, there))
        assert (allocation == there).all()

    def test_beyond_all_capacity(self, network: Network) -> None:
        assert held(agent := InfAdapterAgent(), network, [1e6]) == ["classify/resnet18-c20"]
        assert agent.info()["infeasible"] == 1


class TestIpa:
    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**32), rate=st.integers(2, 30))
    def test_no_plan_is_better(self, seed: int, rate: int) -> None:
        """Variants, batches and replicas of two stages, as the paper writes objective and constraints."""
        rng = np.random.default_rng(seed)
        point, core = float(rng.uniform(1.0, 5.0)), float(rng.uniform(50.0, 400.0))  # ms
        models, plain = [], []
        for stage in ("detect", "name"):
            own = []
            for variant, b in itertools.product(range(2), (1, 4)):
                time, size = round(float(rng.uniform(50, 200)) * (0.4 + 0.6 * b), 2), float(rng.integers(1, 4))
                accuracy = round(float(rng.uniform(20.0, 90.0)), 1)
                profile = {"size": size, "delay": time, "throughput": 1000.0 * b / time, "price": size * 0.036}
                name = f"{stage}/{variant}-{b}"
                models.append({"name": name, "task": stage, "accuracy": accuracy, "profiles": {"cpu": profile}})
                replicas = max(1, math.ceil(rate * time / 1000.0 / b - 1e-9))
                if replicas <= 3:
                    waits = time + 1000.0 * (b - 1) / rate
                    own.append((name, replicas, accuracy, replicas * size, waits))
            plain.append(own)
        network = at_one_node(
            models,
            12.0,
            {"detect": 3000.0, "name": 3000.0},
            {"report_deadline_ms": 1000.0},
            replicas=3,
            accuracy_weight=point,
            price_weight=core / 1e-5,  # 0.036 an hour are 1e-5 a second
        )
        best = max(
            (
                (point * rate * (one[2] + two[2]) - core * (one[3] + two[3]), (one, two))
                for one, two in itertools.product(*plain)
                if one[4] + two[4] <= 1000.0 and one[3] + two[3] <= 12.0
            ),
            default=None,
        )
        agent = IpaAgent(margin=1.0)
        names = held(agent, network, [rate])
        assert agent.info()["infeasible"] == (best is None)
        if best is not None:
            expected = [name + f"#{n}" * (n > 1) for name, count, *_ in best[1] for n in range(1, count + 1)]
            assert sorted(names) == sorted(expected)


class TestSponge:
    @pytest.mark.parametrize("counts", [[0, 0, 30, 30], [40, 0, 0, 0], [1, 50, 50, 60], [0, 0, 0, 9]])
    def test_first_that_serves_a_seconds_requests(self, counts: list[int]) -> None:
        """Cores ascending, then batch; 500 KB over the slowest link in use, 0.9 of 1,000 ms."""
        network = Network.compile(load_scenario("uploads-4g"))
        way = max(500.0 / mbs for mbs, count in zip((1.328, 2.598, 3.355, 4.284), counts, strict=True) if count)
        g, d, e, h = 18.291, 4.468, 45.729, 1.517
        for c, b in itertools.product((1, 2, 3, 4, 6, 8, 12, 16), (1, 2, 4, 8, 16)):
            time = g * b / c + d * b + e / c + h
            if all(time + i // b * time + way <= 900.0 for i in range(sum(counts))):
                break
        assert held(SpongeAgent(), network, counts) == [f"infer/model-c{c}-b{b}"]

    def test_too_many_get_all_there_is(self) -> None:
        network = Network.compile(load_scenario("uploads-4g"))
        assert held(agent := SpongeAgent(), network, [1000, 0, 0, 0]) == ["infer/model-c16-b16"]
        assert agent.info()["infeasible"] == 1


class TestSled:
    @pytest.mark.parametrize("acceptance", [0.2, 0.6, 0.9])
    @pytest.mark.parametrize("rtt", [2.0, 40.0, 300.0])
    def test_draft_length_by_enumeration(self, acceptance: float, rtt: float) -> None:
        """(k t_draft + RTT + t_verify) / E(a, k) ms a token, the least of k = 0 .. 6."""
        lengths = range(7)
        tokens = [sum(acceptance**i for i in range(k + 1)) for k in lengths]
        models, names = [], []
        for k in lengths:
            profile = {"size": 1.0, "delay": k * 9.0 / tokens[k], "throughput": 1000.0}
            model = {"name": f"draft-{k}", "task": "draft", "accuracy": 100.0, "trips": 1.0 / tokens[k]}
            models.append({**model, "profiles": {"phone": profile, "server": profile}})
            for target, ms, accuracy in (("small", 20.0, 50.0), ("large", 45.0, 60.0)):
                profile = {"size": 1.0, "delay": ms / tokens[k], "throughput": 1000.0}
                late = {**profile, "delay": profile["delay"] + 900.0}
                model = {"name": f"{target}-{k}", "task": "verify", "accuracy": accuracy, "after": [f"draft-{k}"]}
                models.append({**model, "profiles": {"server": profile, "cloud": late}})
        names = [model["name"] for model in models]
        for k in lengths:
            models[3 * k]["profiles"]["cloud"] = models[3 * k]["profiles"]["server"]
        values = {
            "format": "idn-gym/scenario-1",
            "name": "small",
            "tasks": ["draft", "verify"],
            "models": models,
            "nodes": [
                {"name": "phone", "processor": "phone", "budget": 1.0, "entry": True},
                {"name": "server", "processor": "server", "budget": 1.0},
                {"name": "cloud", "processor": "cloud", "repository": names},
            ],
            "links": [
                {"source": "phone", "target": "server", "latency": rtt},
                {"source": "server", "target": "cloud", "latency": 500.0},
            ],
            "services": [{"name": "chat", "stages": ["draft", "verify"]}],
        }
        network = Network.compile(parse(values, "small"))
        for target, ms, keys in (("large", 45.0, {}), ("small", 20.0, {"target": "any"})):
            best = min(lengths, key=lambda k: (k * 9.0 + rtt + ms) / tokens[k])
            assert held(SledAgent(**keys), network, [10.0]) == [f"draft-{best}", f"{target}-{best}"]


class TestQpart:
    @pytest.mark.parametrize("degradation", [0.002, 0.01, 0.05])
    def test_cut_and_bits_by_enumeration(self, degradation: float) -> None:
        """Head on the device, what crosses the cut over the first link, tail at the edge or in the cloud."""
        values = load_scenario("quantised-split").to_dict()
        for node in values["nodes"]:  # room for all
            node["budget"] = 1000.0 * (not node.get("repository"))
        network, bandwidth = Network.compile(parse(values, "roomy")), {"device0": 6.0, "device1": 0.4}
        models = {model["name"]: model for model in values["models"]}
        for n, (device, mbs) in enumerate(bandwidth.items()):
            best = math.inf
            for name, head in models.items():
                if head["task"] != "faces-head" or 100.0 - head["accuracy"] > 100.0 * degradation:
                    continue
                tail = next(model for model in models.values() if name in (model.get("after") or ()))
                ms = head["profiles"]["camera"]["delay"] + 8.0 + 1000.0 * head["output_mb"] / mbs
                edge = ms + tail["profiles"]["edge"]["delay"]
                cloud = ms + 30.0 + 1000.0 * head["output_mb"] / 25.0 + tail["profiles"]["server"]["delay"]
                if min(edge, cloud) < best:
                    best, names = (
                        min(edge, cloud),
                        {(device, name)} | ({("edge0", tail["name"])} if edge <= cloud else set()),
                    )
            agent, requests = QpartAgent(degradation=degradation), np.zeros(network.R)
            requests[n] = 5.0
            agent.reset(network, 0)
            allocation = agent.act(observe(network, requests, network.capacities, np.zeros(network.P)))
            assert {network.names(p) for p in np.flatnonzero(allocation)} == names


class TestPaMdi:
    def network(self, budget: float, throughput: float, priorities: tuple[int, int]) -> Network:
        """A device with room for as many MB, an edge server 10 ms on with room for all, a slow cloud."""

        def profile(delay: float) -> dict[str, float]:
            return {"size": 1.0, "delay": delay, "throughput": throughput}

        tasks = ["one-a", "one-b", "two-a", "two-b"]
        profiles = {"device": profile(5.0), "edge": profile(4.0), "cloud": profile(500.0)}
        values = {
            "format": "idn-gym/scenario-1",
            "name": "small",
            "slot_seconds": 1.0,
            "tasks": tasks,
            "models": [{"name": task, "task": task, "accuracy": 100.0, "profiles": profiles} for task in tasks],
            "nodes": [
                {"name": "device", "processor": "device", "budget": budget, "entry": True},
                {"name": "edge", "processor": "edge", "budget": 4.0},
                {"name": "cloud", "processor": "cloud", "repository": tasks},
            ],
            "links": [
                {"source": "device", "target": "edge", "latency": 10.0},
                {"source": "edge", "target": "cloud", "latency": 10.0},
            ],
            "services": [
                {"name": name, "stages": [f"{name}-a", f"{name}-b"], "priority": priority}
                for name, priority in zip(("one", "two"), priorities, strict=True)
            ],
        }
        return Network.compile(parse(values, "small"))

    def placed(self, network: Network, requests: list[float], **keys: Any) -> set[tuple[str, str]]:
        agent = PaMdiAgent(**keys)
        agent.reset(network, 0)
        allocation = agent.act(observe(network, np.array(requests), network.capacities, np.zeros(network.P)))
        return {network.names(p) for p in np.flatnonzero(allocation)}

    def test_high_priority_first(self) -> None:
        """The device has room for one source; the other's partitions go to the edge server."""
        first = self.placed(self.network(2.0, 1000.0, (0, 1)), [10.0, 10.0])
        assert first == {("device", "two-a"), ("device", "two-b"), ("edge", "one-a"), ("edge", "one-b")}
        by_file = self.placed(self.network(2.0, 1000.0, (0, 1)), [10.0, 10.0], order="file")
        assert by_file == {("device", "one-a"), ("device", "one-b"), ("edge", "two-a"), ("edge", "two-b")}

    def test_equal_priorities_are_none(self) -> None:
        """AR-MDI, to the placement."""
        network = self.network(3.0, 50.0, (1, 1))
        assert self.placed(network, [40.0, 30.0]) == self.placed(network, [40.0, 30.0], order="file")

    def test_a_queue_sends_on(self) -> None:
        """At 0.9 of its capacity the device waits 0.9 / (2 x 100 x 0.1) s = 45 ms, more than the 9 ms of the way there.

        The way is 10 ms on and 1 ms of service less; at a load of 0.5 the wait is 5 ms.
        """
        network = self.network(4.0, 100.0, (0, 0))
        assert {node for node, _ in self.placed(network, [50.0, 0.0])} == {"device"}
        assert {node for node, _ in self.placed(network, [90.0, 0.0])} == {"device", "edge"}
