"""What agents are compared with in hindsight: the optimum per phase, shares of certified bounds, regret."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import in_process
from idn_agents.infida.infida import InfidaOffline
from idn_agents.optimum.dynamic_optimum import DynamicOptimum, popularity_phase
from idn_agents.optimum.optimum import Optimum
from idn_agents.optimum.search import solve
from instances import random_network

from idn_gym import kernels, plugins
from idn_gym.errors import IdnError
from idn_gym.experiment.bounds import SHARES, best_static, bound_shares, dynamic_bound, static_bound, telling
from idn_gym.experiment.metrics import regret
from idn_gym.experiment.play import play
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec, refuse_network
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

STATIC = ("infida-offline", "static-greedy", "optimum")  # one allocation for the whole stream
SLIDING = ["workload.profile=sliding", "workload.shift=1", "workload.every=4"]
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def sliding() -> tuple[Network, Trace]:
    """Tiny, with popularity moving every 4 of 14 slots."""
    network = Network.compile(load_scenario("tiny", SLIDING))
    return network, draw(network, 14, 0)


@pytest.fixture(scope="module")
def results(sliding: tuple[Network, Trace]) -> list[Result]:
    """Every registered agent on that stream."""
    return [play(*sliding, AgentSpec(name), 1) for name in ready_agents(sliding[0])]


def ready_agents(network: Network) -> list[str]:
    """Registered agents that take the network as they are; one that is trained first has nothing to play yet."""
    found = []
    for name in plugins.names(plugins.AGENTS):
        with contextlib.suppress(IdnError):
            refuse_network(AgentSpec(name), plugins.make_agent(name, {}), network)
            found.append(name)
    assert {"infida", "static-greedy", "load-aware-greedy", "optimum", "dynamic-optimum"} <= set(found)
    return found


def by_name(results: list[Result], name: str) -> Result:
    return next(result for result in results if result.agent.name == name)


def test_the_best_of_each_phase(sliding: tuple[Network, Trace]) -> None:
    """Phases of 4, 4, 4 and 2 slots, each at the optimum of the stream cut there by hand."""
    network, trace = sliding
    result = play(network, trace, AgentSpec("dynamic-optimum", {"gap": 0.0}), 0)
    cuts = [0, 4, 8, 12, 14]
    for first, stop in itertools.pairwise(cuts):
        part = Trace(trace.requests[first:stop], trace.capacities)
        assert result.table.gain[first:stop].sum() == pytest.approx(solve(network, part, gap=0.0).gain, rel=1e-9)
    assert result.info["phases"] == 4
    assert result.info["optimal_phases"] == 4
    assert result.info["gain"] == pytest.approx(result.summary.gain, rel=1e-9)
    assert {slot for slot, _ in result.changes} <= set(cuts)


def test_phases_of_one_slot_are_the_upper_envelope(sliding: tuple[Network, Trace], results: list[Result]) -> None:
    envelope = play(*sliding, AgentSpec("dynamic-optimum", {"every": 1, "gap": 0.0}), 0)
    for result in results:
        assert (result.table.gain <= envelope.table.gain * (1 + ROUNDING) + ROUNDING).all(), result.agent.name


def test_phases_with_capacities_that_vary() -> None:
    network = Network.compile(load_scenario("tiny", SLIDING))
    capacities = network.capacities * np.random.default_rng(0).uniform(0.0, 1.0, (6, network.P))
    trace = Trace(draw(network, 6, 0).requests, capacities)
    result = play(network, trace, AgentSpec("dynamic-optimum", {"gap": 0.0}), 0)
    last = solve(network, Trace(trace.requests[4:], capacities[4:]), gap=0.0)
    assert result.table.gain[4:].sum() == pytest.approx(last.gain, rel=1e-9)


def test_popularity_phase_is_the_workloads() -> None:
    expected = {
        "topology-1-sliding": 60,
        "abilene-social": 30,
        "topology-1-fixed": None,
        "adversary": None,
        "tiny": None,
    }
    for scenario, slots in expected.items():
        assert popularity_phase(Network.compile(load_scenario(scenario))) == slots, scenario
    network = Network.compile(load_scenario("tiny"))
    trace = draw(network, 9, 0)
    whole = play(network, trace, AgentSpec("dynamic-optimum", {"gap": 0.0}), 0)
    assert whole.info["phases"] == 1
    assert whole.summary.gain == pytest.approx(solve(network, trace, gap=0.0).gain, rel=1e-9)


def test_without_time_every_phase_has_an_allocation(sliding: tuple[Network, Trace]) -> None:
    result = play(*sliding, AgentSpec("dynamic-optimum", {"time_limit": 0.0}), 0)
    assert result.info["dynamic_bound"] >= result.summary.gain > 0.0


def test_parameters() -> None:
    for wrong in ({"every": 0}, {"every": 1.5}, {"gap": -1.0}, {"time_limit": -1.0}):
        with pytest.raises(IdnError, match=next(iter(wrong))):
            DynamicOptimum(**wrong)


def test_shares_of_the_bounds(results: list[Result]) -> None:
    """Gain over the certified bounds; none without an agent that proves one."""
    static, dynamic = static_bound(results), dynamic_bound(results)
    assert static == by_name(results, "optimum").info["certified_bound"]
    assert dynamic == by_name(results, "dynamic-optimum").info["dynamic_bound"]
    law_aware = by_name(results, "law-aware").summary.gain
    assert static is not None
    assert dynamic is not None
    for result in results:
        shares = bound_shares(result, results)
        yardsticks = {"of_bound": static, "of_dynamic_bound": dynamic, "of_law_aware": law_aware}
        assert shares == {key: result.summary.gain / yardstick for key, yardstick in yardsticks.items()}
        assert shares["of_bound"] <= 1.0 or result.agent.name not in STATIC
    others = [result for result in results if result.agent.name not in ("optimum", "dynamic-optimum", "law-aware")]
    assert static_bound(others) is None
    assert bound_shares(others[0], others) == {}


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ([{"of_bound": 1.04}], ["of_bound"]),  # it flatters, and there is nothing else
        (
            [{"of_bound": 0.0, "of_dynamic_bound": 0.0}, {"of_bound": 1.04, "of_dynamic_bound": 0.98}],
            ["of_dynamic_bound"],
        ),
        ([{"of_bound": 0.91, "of_law_aware": 0.9}], ["of_law_aware"]),
        ([{"of_bound": 0.96, "of_dynamic_bound": 0.96, "of_law_aware": 0.97}], [*SHARES]),
        ([{"of_bound": -0.96, "of_law_aware": -0.97}], ["of_bound", "of_law_aware"]),  # a net gain below 0
        ([{}], []),
    ],
)
def test_the_static_bound_gives_way_to_what_is_above_it(shares: list[dict[str, float]], told: list[str]) -> None:
    assert telling([{"ntag": 0.0, **row} for row in shares]) == told


def test_regret_by_hand() -> None:
    np.testing.assert_array_equal(regret(np.array([1.0, 4.0, 0.0]), np.array([3.0, 3.0, 3.0])), [2.0, 1.0, 4.0])


def test_the_comparator_is_the_best_that_never_changes(results: list[Result]) -> None:
    assert best_static(results) is by_name(results, "optimum")
    causal = [result for result in results if not result.hindsight]
    assert best_static(causal) is None
    assert best_static([*causal, by_name(results, "dynamic-optimum")]) is None


def test_run_shows_the_shares_and_draws_the_regret(tmp_path: Path) -> None:
    command = ("run", "tiny", "--slots", 6, "--agent", "infida", "--agent", "optimum", "--agent", "dynamic-optimum")
    outcome = in_process(*command, "--output", tmp_path / "record", "--json")
    rows = {row["agent"]: row for row in json.loads(outcome.stdout)["agents"]}
    kept = json.loads((tmp_path / "record" / "optimum" / "result.json").read_text())
    for row in rows.values():
        assert row["of_bound"] == row["gain"] / kept["info"]["certified_bound"]
        assert 0.0 < row["of_dynamic_bound"] <= 1.0
    assert (tmp_path / "record" / "regret.png").read_bytes().startswith(b"\x89PNG")
    shown = in_process(*command).stdout
    assert "gain of bound" in shown, "not of NTAG, which stands beside it"
    assert "gain of dynamic" in shown
    alone = in_process("run", "tiny", "--slots", 6, "--agent", "infida", "--output", tmp_path / "alone")
    assert "--agent optimum" in alone.stdout  # says how to get a bound
    assert not (tmp_path / "alone" / "regret.png").exists()


# --- properties over small random instances


@pytest.mark.parametrize("seed", range(25))
def test_no_allocation_of_any_agent_exceeds_the_bounds(seed: int) -> None:
    """Whatever one of them places in a slot, held throughout, gains no more than the static bounds say."""
    network = random_network(seed, ties=seed % 2 == 0)
    requests = np.random.default_rng(seed).integers(0, 12, (5, network.R)).astype(float)
    trace = Trace(requests, network.capacities[None])
    told: list[tuple[float, float]] = []
    solution = solve(network, trace, gap=0.0, progress=lambda gain, bound, _: told.append((gain, bound)))
    assert [gain for gain, _ in told] == sorted(gain for gain, _ in told)
    assert [bound for _, bound in told] == sorted((bound for _, bound in told), reverse=True)
    rough = solve(network, trace, gap=0.5)
    for name in set(ready_agents(network)) - {"law-aware"}:  # these networks have no workload
        for _, held in play(network, trace, AgentSpec(name), seed).changes:
            gain = float(kernels.gain(network, trace.requests, trace.capacities, held).sum())
            for bound in (solution.bound, solution.certified_bound, rough.bound, solution.fractional_bound):
                assert gain <= bound * (1 + ROUNDING) + ROUNDING, name


@pytest.mark.parametrize("scenario", ["tiny", "topology-2-sliding", "abilene-sliding", "greedy-trap"])
def test_infida_offline_keeps_its_guarantee(scenario: str) -> None:
    """At least 1 - 1/e of the fractional optimum; its state, which is fractional, no more than all of that."""
    network = Network.compile(load_scenario(scenario))
    trace = draw(network, 20, 0)
    solution = solve(network, trace, gap=0.01)
    assert solution.bound <= solution.fractional_bound * (1 + ROUNDING)
    assert solution.gain <= solution.fractional_gain <= solution.fractional_bound * (1 + ROUNDING)
    agent = InfidaOffline()
    agent.reset(network, 0)
    agent.fit(trace)
    rounded = float(kernels.gain(network, trace.requests, trace.capacities, agent.act({})).sum())
    state = float(kernels.gain(network, trace.requests, trace.capacities, agent.fractional).sum())
    assert rounded >= (1.0 - 1.0 / np.e) * solution.fractional_bound
    assert (1.0 - 1.0 / np.e) * solution.fractional_bound <= state <= solution.fractional_bound * (1 + ROUNDING)


def test_fractional_optimum_is_that_of_a_linear_program(sliding: tuple[Network, Trace]) -> None:
    """The same relaxation as one LP over all slots: what is placed, and the share that each option serves."""
    from scipy.optimize import linprog

    network, trace = sliding
    rows, limits, saved, column = [], [], [], network.P
    served = [(t, rho, k) for t in range(trace.slots) for rho in range(network.R) for k in range(network.service.K)]
    served = [
        (t, rho, k) for t, rho, k in served if network.service.options[rho, k] < network.P and trace.requests[t, rho]
    ]
    width = network.P + len(served)
    batches: dict[tuple[int, int], np.ndarray] = {}
    for column, (t, rho, k) in enumerate(served, start=network.P):
        p = int(network.service.options[rho, k])
        row = np.zeros(width)
        row[column], row[p] = 1.0, -network.service.shares(trace.requests[t], trace.capacities_at(t))[0, p]
        rows.append(row)
        limits.append(0.0)
        batches.setdefault((t, rho), np.zeros(width))[column] = 1.0
        saved.append(trace.requests[t, rho] * (network.service.costs[rho, -1] - network.service.costs[rho, k]))
    for v in range(network.V):
        rows.append(np.append(network.sizes * (network.placement_node == v), np.zeros(len(served))))
        limits.append(float(network.budgets[v]))
    rows += list(batches.values())
    limits += [1.0] * len(batches)
    upper = np.append(network.fits.astype(float), np.ones(len(served)))
    objective = -np.append(np.zeros(network.P), saved)
    expected = -linprog(objective, np.array(rows), limits, bounds=np.stack([0.0 * upper, upper], axis=1)).fun
    solution = solve(network, trace, gap=0.0)
    assert solution.fractional_bound == pytest.approx(expected, rel=1e-5)
    assert solution.fractional_gain == pytest.approx(expected, rel=1e-5)


def test_the_optimum_tells_its_fractional_relaxation(sliding: tuple[Network, Trace]) -> None:
    agent = Optimum(gap=0.0)
    agent.reset(sliding[0], 0)
    agent.fit(sliding[1])
    info = agent.info()
    assert info["gain"] <= info["fractional_gain"] <= info["fractional_bound"] * (1 + ROUNDING)
