"""Popularity that spreads: opinions by hand and at rest, streams in every environment, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from command_line import in_process
from test_workload import SIGMAS, network_with

from idn_gym import IDNEnv
from idn_gym.env.vector_env import IDNVectorEnv
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.social import Opinions, heard
from idn_gym.workload.stream import BLOCK, draw

SOCIAL: dict[str, Any] = {
    "kind": "social",
    "rate": 11.0,
    "exponent": 0.0,
    "influence": [{"source": "left", "target": "right"}],
    "leaders": ["left"],
    "every": BLOCK,
    "trend": 0.6,
    "conformity": 0.5,
    "inertia": 0.25,
}


class Trends:
    """A generator whose trends are given."""

    def __init__(self, *services: int) -> None:
        self._services = services

    def integers(self, count: int, size: int) -> np.ndarray:
        return np.resize(self._services, size)


def shares(network: Network, slots: int, *trends: int) -> np.ndarray:
    """(slots, entries, services) of what each entry node asks for; types are service by service."""
    opinions = Opinions(network, network.scenario.workload)  # type: ignore[arg-type]
    means = opinions.next_block(slots, Trends(*trends))  # type: ignore[arg-type]
    by_entry = means.reshape(slots, len(network.service_names), -1).transpose(0, 2, 1)
    return by_entry / by_entry.sum(axis=2, keepdims=True)


def test_by_hand() -> None:
    """A leader asks for the trend with 0.6 + 0.4/3; who follows with 1/3, then 1/4 of that and 3/4 of half of each."""
    found = shares(network_with(SOCIAL), 3, 1)
    own, led = 1 / 3, 0.6 + 0.4 / 3
    assert found[:, 0, 1] == pytest.approx([led] * 3)
    second = 0.25 * own + 0.75 * (0.5 * led + 0.5 * own)
    assert found[:, 1, 1] == pytest.approx([own, second, 0.25 * second + 0.75 * (0.5 * led + 0.5 * own)])
    assert found[:, :, 0] == pytest.approx(found[:, :, 2])


def test_at_rest() -> None:
    """Opinions x = conformity W x + (1 - conformity) own; a new trend is followed from the slot after it begins on."""
    network = network_with(SOCIAL | {"every": 40})
    found = shares(network, 80, *[2] * 40, *[0] * 40)
    for slot, trend in ((39, 2), (79, 0)):
        leader = np.full(3, 0.4 / 3) + 0.6 * np.eye(3)[trend]
        assert found[slot, 0] == pytest.approx(leader)
        assert found[slot, 1] == pytest.approx(0.5 * leader + 0.5 / 3, abs=1e-9)
    assert found[40, 1] == pytest.approx(found[39, 1], abs=1e-9)
    assert found[41, 1, 0] > found[40, 1, 0] + 0.1


def test_nobody_to_follow() -> None:
    """Without arcs to it a node has its own opinion, and with conformity 0 all but leaders do."""
    found = shares(network_with(SOCIAL | {"leaders": ["right"], "exponent": 1.0}), 5, 0)
    assert found[:, 0] == pytest.approx(np.tile([6 / 11, 3 / 11, 2 / 11], (5, 1)))
    found = shares(network_with(SOCIAL | {"conformity": 0.0}), 5, 0)
    assert found[:, 1] == pytest.approx(np.full((5, 3), 1 / 3))


def test_what_is_not_asked_for() -> None:
    """The right never asks for three: what it hears of it leaves its own opinion; as a leader it does not follow."""
    ways = [{"task": task, "path": [leaf, "hub"]} for leaf in ("left", "right") for task in ("one", "two", "three")]
    network = network_with(SOCIAL, requests=ways[:-1])
    at = network.type_index()
    opinions = Opinions(network, network.scenario.workload)  # type: ignore[arg-type]
    means = opinions.next_block(40, Trends(2))[-1]  # type: ignore[arg-type]
    right = np.array([means[at[task, "right"]] for task in ("one", "two")])
    assert right.sum() == pytest.approx(33.0)
    assert right == pytest.approx([16.5, 16.5])
    led = network_with(SOCIAL | {"leaders": ["right"]}, requests=ways[:-1])
    means = Opinions(led, led.scenario.workload).next_block(2, Trends(2))[-1]  # type: ignore[arg-type]
    assert [means[at[task, "right"]] for task in ("one", "two")] == pytest.approx([16.5, 16.5])


def test_weights_share_out_what_is_heard() -> None:
    found = heard(["a", "b", "c"], [("a", "c", 2.0), ("b", "c", 1.0), ("c", "a", 5.0)])
    assert found.tolist() == [[0, 0, 1], [0, 0, 0], [2 / 3, 1 / 3, 0]]


class TestStream:
    @pytest.fixture(scope="class")
    @classmethod
    def network(cls) -> Network:
        return Network.compile(load_scenario("abilene-social"))

    def test_counts(self, network: Network) -> None:
        """Poisson around the rate, the same for a seed, a longer draw beginning with the shorter one."""
        trace = draw(network, BLOCK + 6, 3)
        expected = 60.0 * 3750.0 * trace.slots
        assert abs(trace.requests.sum() - expected) < SIGMAS * expected**0.5
        assert (draw(network, 10, 3).requests == trace.requests[:10]).all()
        assert (draw(network, 10, 4).requests != trace.requests[:10]).any()

    def test_trends_spread(self, network: Network) -> None:
        """In the last slots of a trend those next to the leaders ask for it more than those far from them."""
        requests = draw(network, 30, 0).requests[20:].sum(axis=0)
        of = {
            node: np.array([requests[network.type_index()[task, node]] for task in network.service_names])
            for node in ("new-york", "atlanta", "washington")
        }
        trend = int(np.argmax(of["new-york"]))
        parts = [float(counts[trend] / counts.sum()) for counts in of.values()]
        assert parts == sorted(parts, reverse=True)
        assert parts[2] > 0.25  # by Zipf 1.2 over 20 tasks only the first has more than 0.15

    def test_environments_alike(self) -> None:
        """A vector environment has the streams of scalar ones seeded seed + i, capacities that vary included."""
        outages = {"kind": "outages", "probability": 0.2, "duration": 3}
        scenario = network_with(SOCIAL | {"every": 7, "capacity": outages}).scenario.to_dict()
        many = IDNVectorEnv(scenario=scenario, num_envs=2, horizon=BLOCK + 9)
        many.reset(seed=5)
        single = [IDNEnv(scenario=scenario, horizon=BLOCK + 9) for _ in range(2)]
        for n, env in enumerate(single):
            env.reset(seed=5 + n)
        nothing = np.zeros((2, many.single_action_space.shape[0]), dtype=np.int8)  # type: ignore[index]
        for _ in range(BLOCK + 4):
            together = many.step(nothing)[0]
            for n, env in enumerate(single):
                alone = env.step(nothing[n])[0]
                assert (together["requests"][n] == alone["requests"]).all()
                assert (together["capacities"][n] == alone["capacities"]).all()


ARC = "{source: bs0, target: bs1}"


@pytest.mark.parametrize(
    ("workload", "says"),
    [
        (f"influence: [{ARC}], leaders: [bs0]", "workload.rate: missing"),
        (f"rate: 1, influence: [{ARC}]", "workload.leaders: missing"),
        ("rate: 1, influence: [], leaders: [bs0]", "workload.influence: []; must have at least 1 item"),
        (f"rate: 1, influence: [{ARC}], leaders: []", "workload.leaders: []; must have at least 1 item"),
        (
            f"rate: 1, influence: [{ARC}], leaders: [co]",
            "workload.leaders: 'co' is no entry node; allowed: bs0, bs1",
        ),
        (f"rate: 1, influence: [{ARC}], leaders: [bs0, bs0]", "workload.leaders: 'bs0' twice"),
        (f"rate: 1, influence: [{ARC}, {ARC}], leaders: [bs0]", "workload.influence.1: bs0 to bs1 given twice"),
        ("rate: 1, influence: [{source: bs0, target: bs0}], leaders: [bs0]", "workload.influence.0: 'bs0' to itself"),
        (
            "rate: 1, influence: [{source: bs0, target: bs3}], leaders: [bs0]",
            "workload.influence.0.target: 'bs3' is no",
        ),
        (
            "rate: 1, influence: [{source: bs0, target: bs1, weight: 0}], leaders: [bs0]",
            "workload.influence.0.weight: 0",
        ),
        (f"rate: 1, influence: [{ARC}], leaders: [bs0], inertia: 1", "workload.inertia: 1; must be less than 1"),
        (f"rate: 1, influence: [{ARC}], leaders: [bs0], trend: 1.5", "workload.trend: 1.5; must be less than or equal"),
        (f"rate: 1, influence: [{ARC}], leaders: [bs0], every: 0", "workload.every: 0; must be greater than or equal"),
        (f"rate: 1, influence: [{ARC}], leaders: [bs0], profile: fixed", "workload.profile: unknown key"),
        (f"rate: 1e12, influence: [{ARC}], leaders: [bs0], exponent: 1, every: 3", "workload.rate: 1000000000000.0"),
    ],
)
def test_refused(workload: str, says: str) -> None:
    outcome = in_process("show", "tiny", "--set", f"workload={{kind: social, {workload}}}", "--set", "slot_seconds=2")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"idn-gym: tiny: {says}")
    assert outcome.stderr.count("\n") == 1


def test_shown() -> None:
    """Arcs are counted, leaders named."""
    shown = " ".join(in_process("show", "abilene-social").stdout.split())
    assert "kind social, rate 3750.0 requests/s, influence of 20 arcs, leaders new-york and los-angeles" in shown
