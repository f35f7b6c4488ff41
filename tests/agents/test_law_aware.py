"""The yardstick that knows the law: its plans against optima in expectation, and what it may not know."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from idn_agents.law_aware import LawAware
from scipy.stats import poisson

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.popularity import popularity
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

pytest.importorskip("highspy")

SLIDING = ["workload.profile=sliding", "workload.shift=1", "workload.every=5"]
GAP = 0.003


@pytest.fixture(scope="module")
def sliding() -> Network:
    """Tiny, popularity changing sides between its two tasks every 5 slots."""
    return Network.compile(load_scenario("tiny", SLIDING))


def expected_gains(network: Network, slot: int, count: int = 400) -> dict[tuple[float, ...], float]:
    """Feasible allocation -> mean gain over independent Poisson counts of a slot, drawn here from its popularity."""
    workload = network.scenario.workload
    mean = popularity(network, np.array([slot]))[0] * workload.rate * network.scenario.slot_seconds  # type: ignore[union-attr]
    uniform = np.random.default_rng(5).random((count, network.R))
    requests = poisson.ppf(np.concatenate([uniform, 1.0 - uniform]), mean)
    found = {}
    for bits in itertools.product((0, 1), repeat=int(network.fits.sum())):
        x = np.zeros(network.P)
        x[network.fits] = bits
        if (network.memory_in_use(x) <= network.budgets).all():
            found[tuple(x)] = float(kernels.gain(network, requests, network.capacities[None], x).mean())
    return found


def test_each_phase_has_the_plan_that_is_best_in_expectation() -> None:
    """All allocations of a cut-down tiny enumerated, on counts that the library did not draw."""
    network = Network.compile(load_scenario("tiny", [*SLIDING, "nodes.bs0.budget=2", "nodes.bs1.budget=0"]))
    placed = list(play(network, draw(network, 10, 0), AgentSpec("law-aware"), 0).placed())
    for slot in (0, 5):
        gains = expected_gains(network, slot)
        assert gains[tuple(placed[slot])] >= (1.0 - 2.0 * GAP) * max(gains.values())
    assert (placed[0] != placed[5]).any()


@pytest.mark.parametrize("delay", [0, 1, 3, 7])
def test_shifts_are_learnt_late_by_the_delay(sliding: Network, delay: int) -> None:
    trace = draw(sliding, 17, 0)
    at_once, late = (
        list(play(sliding, trace, AgentSpec("law-aware", {"delay": wait, "samples": 100}), 0).placed())
        for wait in (0, delay)
    )
    for slot in range(17):
        np.testing.assert_array_equal(late[slot], at_once[max(slot - delay, 0)], str(slot))
    assert {slot for slot in range(1, 17) if (at_once[slot] != at_once[slot - 1]).any()} == {5, 10, 15}


def test_plans_know_nothing_of_the_stream(sliding: Network) -> None:
    """Whatever is served, the plans are the same; phases in which the same is expected share one."""
    plans = []
    for trace in (
        draw(sliding, 12, 0),
        draw(sliding, 12, 1),
        Trace(np.zeros((12, sliding.R)), sliding.capacities[None]),
    ):
        agent = LawAware(samples=100)
        agent.reset(sliding, 0)
        agent.fit(trace)
        plans.append(np.array([agent.act({}) for _ in range(12)]))
        assert agent.info()["plans"] == 2
    np.testing.assert_array_equal(plans[0], plans[1])
    np.testing.assert_array_equal(plans[0], plans[2])
    np.testing.assert_array_equal(plans[0][0], plans[0][10])


def test_it_says_what_its_plans_gain(sliding: Network) -> None:
    for network in (sliding, Network.compile(load_scenario("autoscale-burst"))):
        result = play(network, draw(network, 8, 0), AgentSpec("law-aware", {"samples": 50, "delay": 1}), 0)
        assert result.info["law_aware_gain"] == pytest.approx(result.summary.worth, rel=1e-9)


@pytest.mark.parametrize("key", ["delay", "every", "samples", "gap", "time_limit"])
def test_parameters(key: str) -> None:
    with pytest.raises(IdnError, match=f"^{key}:"):
        LawAware(**{key: -1})


def test_what_has_no_law_is_refused_in_a_line() -> None:
    network = Network.compile(load_scenario("adversary"))
    with pytest.raises(IdnError, match=r"^agent law-aware: scenario adversary has a workload of kind adversary; needs"):
        play(network, draw(network, 3, 0), AgentSpec("law-aware"), 0)
    network = Network.compile(load_scenario("topology-1-sliding"))
    agent, trace = LawAware(samples=10**6), draw(network, 61, 0)
    agent.reset(network, 0)
    with pytest.raises(IdnError, match=r"^law-aware: samples: 1000000 slots of each phase .* at most \d+ values"):
        agent.fit(trace)
