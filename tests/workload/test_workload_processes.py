"""Processes of a workload: bursts that last, days, flash crowds, and the adversary, against their laws.

A statistical test fails a right sampler with a chance of at most DOUBT, and its seed is fixed. Laws are exact where
they have a name; where a mean of independent replicates is tested, its sampling error is taken for normal.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import in_process
from idn_agents.greedy import LastBatchGreedy, static_greedy
from instances import Reading, by_placement, by_type, random_values, read
from scipy import stats

from idn_gym.env.env import IDNEnv, observe
from idn_gym.errors import IdnError
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.hard_instances import adversary, greedy_trap
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.scenario.schema import FORMAT
from idn_gym.scenario.workloads import Burst, Flash
from idn_gym.workload.adversary import MOST_TYPES
from idn_gym.workload.popularity import expected_requests, popularity
from idn_gym.workload.processes import Bursts, Crowds
from idn_gym.workload.stream import BLOCK, Stream, draw
from idn_gym.workload.trace import Trace

DOUBT = 1e-6
SIGMAS = float(stats.norm.isf(DOUBT / 2))
BURST = {"kind": "burst", "rate": 24.0, "exponent": 1.0, "shape": 0.5}
FLASH = {"probability": 0.1, "duration": 4.0, "factor": 5.0}
DIURNAL = {"amplitude": 0.8, "period": 24.0}
ADVERSARY = {"kind": "adversary", "rate": 24.0}


def tiny(**of_workload: Any) -> Network:
    """Two tasks from two base stations; the packaged scenario with keys of its workload changed, or another kind."""
    base = {} if "kind" in of_workload else {"kind": "zipf", "rate": 24.0, "exponent": 1.0}
    return Network.compile(load_scenario("tiny", {"workload": base | of_workload}))


def hard(data: dict[str, Any]) -> Network:
    return Network.compile(parse({"format": FORMAT, **data}, "test"))


def assert_binomial(hits: Any, tries: Any, chance: float, questions: int = 1) -> None:
    law = stats.binom(int(tries), chance)
    assert law.ppf(DOUBT / questions / 2) <= int(hits) <= law.isf(DOUBT / questions / 2)


def assert_mean(replicates: np.ndarray, expected: float) -> None:
    error = replicates.std(ddof=1) / math.sqrt(len(replicates))
    assert replicates.mean() == pytest.approx(expected, abs=SIGMAS * error)


# --- what was there before ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bursty", [False, True])
def test_streams_without_the_new_keys_are_as_they_were(bursty: bool) -> None:
    network = tiny(**BURST) if bursty else tiny()
    generator, rows = np.random.default_rng(5), []
    for first in (0, 64):
        mean = expected_requests(network, np.arange(first, first + 64))
        if bursty:
            mean = mean * generator.gamma(0.5, 2.0, size=mean.shape)
        rows.append(generator.poisson(mean))
    assert np.array_equal(draw(network, 128, seed=5).requests, np.concatenate(rows))
    if bursty:  # nor does naming a default change anything
        named = tiny(**BURST, persistence=0.0, per="type")
        assert np.array_equal(draw(named, 128, seed=5).requests, np.concatenate(rows))


STREAMS = [
    {"flash": FLASH},
    {"diurnal": DIURNAL, "profile": "sliding", "shift": 1, "every": 5},
    BURST | {"persistence": 0.7},
    BURST | {"persistence": 0.7, "per": "task", "flash": FLASH, "diurnal": DIURNAL},
    {"flash": FLASH, "capacity": {"kind": "outages", "probability": 0.1}},
    {"local": {"share": 0.5, "seed": 3}, "flash": FLASH},
    ADVERSARY,
]


@pytest.mark.parametrize("of_workload", STREAMS)
def test_a_stream_is_that_of_its_seed(of_workload: dict[str, Any]) -> None:
    network = tiny(**of_workload)
    long = draw(network, 150, seed=7)
    for slots in (1, BLOCK, BLOCK + 1, 149):
        assert np.array_equal(draw(network, slots, seed=7).requests, long.requests[:slots])
    assert not np.array_equal(draw(network, 150, seed=8).requests, long.requests)
    env = IDNEnv(network.scenario, horizon=150)
    env.reset(seed=7)
    for row in long.requests:
        observation, *_ = env.step(np.zeros(network.P, dtype=np.int8))
        assert np.array_equal(observation["requests"], row.astype(np.float32))


# --- bursts ------------------------------------------------------------------------------------------------------


def multipliers(network: Network, blocks: int, seed: int) -> np.ndarray:
    """(blocks, 64, R) multipliers of one stream."""
    assert isinstance(network.scenario.workload, Burst)
    bursts, generator = Bursts(network, network.scenario.workload), np.random.default_rng(seed)
    return np.array([bursts.next_block(64, generator) for _ in range(blocks)])


def test_a_multiplier_stays_with_the_chance_of_persistence() -> None:
    g = multipliers(tiny(**BURST, persistence=0.7), blocks=50, seed=1)
    stays = g[:, 1:] == g[:, :-1]
    assert_binomial(stays.sum(), stays.size, 0.7, questions=3)
    across = g[1:, 0] == g[:-1, -1]
    assert_binomial(across.sum(), across.size, 0.7, questions=3)
    four = g[:, 4:] == g[:, :-4]  # the correlation four slots on: every fifth, so that the trials are independent
    assert_binomial(four[:, ::4].sum(), four[:, ::4].size, 0.7**4, questions=3)


@pytest.mark.parametrize("persistence", [0.0, 0.9])
def test_persistence_leaves_the_law_of_a_slot(persistence: float) -> None:
    network = tiny(**BURST, persistence=persistence)
    at_slot = np.concatenate([multipliers(network, 2, seed)[1, 13] for seed in range(1000)])
    assert stats.kstest(at_slot, stats.gamma(0.5, scale=2.0).cdf).pvalue > DOUBT


def test_counts_are_correlated_as_their_multipliers() -> None:
    network = tiny(**BURST, persistence=0.6)
    mean = expected_requests(network, np.array([0]))[0]
    off = np.array([draw(network, 64, seed).requests for seed in range(1500)]) - mean
    for lag, expected in ((0, mean + mean**2 / 0.5), (1, 0.6 * mean**2 / 0.5), (3, 0.6**3 * mean**2 / 0.5)):
        products = (off[:, lag:] * off[:, : 64 - lag]).mean(axis=1)  # (replicates, R)
        for rho in range(network.R):
            assert_mean(products[:, rho], expected[rho])


@pytest.mark.parametrize(("per", "together"), [("type", 0.0), ("task", 1.0)])
def test_entry_nodes_share_the_burst_of_a_task(per: str, together: float) -> None:
    network = tiny(**BURST, per=per, persistence=0.3)
    mean = expected_requests(network, np.array([0]))[0]
    off = np.array([draw(network, 64, seed).requests for seed in range(1500)]) - mean
    cars0, cars1 = (network.type_index()["cars", node] for node in ("bs0", "bs1"))
    assert_mean((off[:, :, cars0] * off[:, :, cars1]).mean(axis=1), together * mean[cars0] ** 2 / 0.5)
    people0 = network.type_index()["people", "bs0"]
    assert_mean((off[:, :, cars0] * off[:, :, people0]).mean(axis=1), 0.0)


# --- days --------------------------------------------------------------------------------------------------------


def test_a_day_by_hand() -> None:
    network = tiny(diurnal={"amplitude": 0.5, "period": 8})
    total = expected_requests(network, np.arange(8)).sum(axis=1)
    half = 0.5 / math.sqrt(2.0)
    assert total / 24.0 == pytest.approx([1, 1 + half, 1.5, 1 + half, 1, 1 - half, 0.5, 1 - half], rel=1e-12)
    assert total.mean() == pytest.approx(24.0, rel=1e-12)
    empty = expected_requests(tiny(diurnal={"amplitude": 1.0, "period": 4}), np.array([3]))
    assert np.abs(empty).max() < 1e-12
    assert (empty >= 0.0).all(), "a mean below zero cannot be drawn"


def test_a_day_keeps_popularity_and_counts_follow_it() -> None:
    sliding = {"profile": "sliding", "shift": 1, "every": 5}
    slots = np.arange(2400)
    network = tiny(diurnal=DIURNAL, **sliding)
    mean = expected_requests(network, slots)
    assert mean / mean.sum(axis=1, keepdims=True) == pytest.approx(popularity(tiny(**sliding), slots), rel=1e-12)
    requests = draw(network, len(slots), seed=3).requests
    for hour in range(24):  # a sum of Poisson counts is Poisson
        law = stats.poisson(mean[hour::24].sum())
        assert law.ppf(DOUBT / 48) <= requests[hour::24].sum() <= law.isf(DOUBT / 48)


# --- flash crowds ------------------------------------------------------------------------------------------------


def crowds(slots: int, seed: int, **process: float) -> np.ndarray:
    """(slots, entry nodes) whether a crowd is there."""
    network = tiny()
    factors = Crowds(network, Flash(**process)).next_block(slots, np.random.default_rng(seed))
    cars = [network.type_index()["cars", node] for node in ("bs0", "bs1")]
    people = [network.type_index()["people", node] for node in ("bs0", "bs1")]
    assert np.array_equal(factors[:, cars], factors[:, people]), "a crowd asks for every task"
    assert np.isin(factors, (1.0, process["factor"])).all()
    return factors[:, cars] > 1.0


def test_crowds_at_the_ends_of_their_ranges() -> None:
    assert not crowds(500, 0, probability=0.0, duration=3.0, factor=2.0).any()
    one = crowds(5000, 1, probability=1.0, duration=1.0, factor=2.0)
    assert (one.sum(axis=1) == 1).all()
    assert_binomial(one[:, 0].sum(), 5000, 0.5)
    assert crowds(500, 2, probability=1.0, duration=1e12, factor=2.0)[-1].all()


def test_crowds_follow_their_chances() -> None:
    here = crowds(40_000, 3, **FLASH)
    before, after = here[:-1], here[1:]
    starts = FLASH["probability"] / 2  # at one of the two
    ends = (1 - starts) / FLASH["duration"]  # and none starts there again at once
    assert_binomial((after & ~before).sum(), (~before).sum(), starts, questions=3)
    assert_binomial((~after & before).sum(), before.sum(), ends, questions=3)
    memory, share = 1 - starts - ends, starts / (starts + ends)
    error = math.sqrt(share * (1 - share) * (1 + memory) / (1 - memory) / here.size)
    assert here.mean() == pytest.approx(share, abs=SIGMAS * error * 1.5)  # the two are not quite independent


def test_a_crowd_adds_to_the_rate_of_its_entry_node_alone() -> None:
    network = tiny(flash={"probability": 1.0, "duration": 1.0, "factor": 50.0})
    requests = draw(network, 6400, seed=4).requests
    # in every slot one base station has 50 times its 12 requests, the other its 12
    by_entry = np.stack([requests[:, network.type_entry == v].sum(axis=1) for v in np.unique(network.type_entry)])
    for count, mean in ((by_entry.max(axis=0).sum(), 600.0), (by_entry.min(axis=0).sum(), 12.0)):
        law = stats.poisson(mean * 6400)
        assert law.ppf(DOUBT / 4) <= count <= law.isf(DOUBT / 4)


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "says"),
    [
        (
            "workload.flash={probability: 2, duration: 3, factor: 4}",
            "workload.flash.probability: 2; must be less than",
        ),
        ("workload.flash={probability: 0.1, duration: 0.5, factor: 4}", "workload.flash.duration: 0.5; must be great"),
        ("workload.flash={probability: 0.1, duration: 2, factor: 0.5}", "workload.flash.factor: 0.5; must be greater"),
        ("workload.flash={probability: 0.1, duration: 2}", "workload.flash.factor: missing"),
        ("workload.diurnal={amplitude: 1.5, period: 24}", "workload.diurnal.amplitude: 1.5; must be less than"),
        ("workload.diurnal={amplitude: 1, period: 0}", "workload.diurnal.period: 0; must be greater than 1"),
        (
            "workload.diurnal={amplitude: 1, perod: 9}",
            "workload.diurnal.perod: unknown key; did you mean 'period'? allowed: amplitude",
        ),
        ("workload.persistence=0.5", "workload.persistence: unknown key; allowed: kind, rate, exponent"),
        ("workload={kind: burst, rate: 1, shape: 1, persistence: 1}", "workload.persistence: 1; must be less than 1"),
        ("workload={kind: burst, rate: 1, shape: 1, per: node}", "workload.per: 'node'; allowed: 'type' or 'task'"),
        ("workload={kind: adversary}", "workload.rate: missing"),
        ("workload={kind: adversary, rate: 1, keep: -1}", "workload.keep: -1; must be greater than or equal to 0"),
        ("workload={kind: adversary, rate: 1, shape: 2}", "workload.shape: unknown key; allowed: kind, rate, exponent"),
        (
            "workload={kind: zipff}",
            "workload.kind: 'zipff'; did you mean 'zipf'? allowed: 'zipf', 'burst', 'adversary', 'trace'",
        ),
        (
            "workload={kind: zipf, rate: 1e9, flash: {probability: 0, duration: 1, factor: 1e6}}",
            "workload.rate: 1000000000.0 requests/s, 1e+15 at its peak; a slot may have at most 1e+12",
        ),
    ],
)
def test_errors_name_key_and_value(override: str, says: str) -> None:
    outcome = in_process("show", "tiny", "--set", override)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"idn-gym: tiny: {says}")
    assert outcome.stderr.count("\n") == 1


# --- the adversary -----------------------------------------------------------------------------------------------


def static_gains(network: Network, trace: Trace) -> np.ndarray:
    """Total gain in ms of every feasible static allocation, by the slow reading."""
    scenario = network.scenario.to_dict()
    tasks, names = network.scenario.tasks, network.node_names
    scenario["requests"] = [
        {"task": tasks[network.type_task[rho]], "path": [names[v] for v in network.paths[rho] if v >= 0]}
        for rho in range(network.R)
    ]
    reading = read(parse(scenario, "test"))
    batches, times = np.unique(trace.requests, axis=0, return_counts=True)
    totals = []
    for held in itertools.product((0.0, 1.0), repeat=network.P):
        x = np.array(held)
        in_use = np.bincount(network.placement_node, network.sizes * x, minlength=network.V)
        if (in_use <= network.budgets).all():
            gains = [slow_gain(reading, network, batch, x) for batch in batches]
            totals.append(float(np.dot(gains, times)))
    return np.array(totals)


def slow_gain(reading: Reading, network: Network, requests: np.ndarray, x: np.ndarray) -> float:
    capacities = by_placement(network, network.capacities)
    return reading.gain(by_type(network, requests), capacities, by_placement(network, x))


@pytest.mark.parametrize("exponent", [0.0, 1.0])
@pytest.mark.parametrize("tasks", [2, 4])
def test_regret_of_last_batch_greedy_is_linear(tasks: int, exponent: float) -> None:
    network = hard(adversary(tasks, exponent))
    unit = 600.0 * 40.0  # ms: the requests of a slot x what the base station saves
    for slots in (64, 256, 1024):
        trace = draw(network, slots, seed=slots)
        assert (trace.requests.sum(axis=1) == 600.0).all()
        for keep in (0.0, 0.5, 5.0):  # a greedy of any loyalty, though the victim has but one
            assert play(network, trace, AgentSpec("last-batch-greedy", {"keep": keep}), 0).summary.gain == 0.0
        gains = static_gains(network, trace)
        assert len(gains) == tasks + 1  # nothing, or one of the models
        assert gains.sum() == pytest.approx(slots * unit, rel=1e-12)
        assert gains.max() >= slots * unit / tasks * (1 - 1e-12)


def test_the_packaged_adversary_draws_by_popularity() -> None:
    network = Network.compile(load_scenario("adversary"))
    asked = draw(network, 4096, seed=0).requests.argmax(axis=1)
    weights = 1.0 / np.arange(1, 5)
    for last in range(4):
        following = asked[1:][asked[:-1] == last]
        others = weights * (np.arange(4) != last)
        for task in range(4):
            assert_binomial((following == task).sum(), len(following), others[task] / others.sum(), questions=16)


@pytest.mark.parametrize("seed", range(12))
def test_each_batch_goes_where_the_victim_is_worst_prepared(seed: int) -> None:
    """On random networks, with the agent as victim and the slow reading as judge."""
    keep = (0.0, 0.5, 2.0)[seed % 3]
    values = random_values(seed) | {"workload": {"kind": "adversary", "rate": 7.0, "keep": keep}}
    network = Network.compile(parse(values, "test"))
    reading = read(network.scenario)
    batches = np.eye(network.R) * 7.0 * network.scenario.slot_seconds

    def answer(requests: np.ndarray, held: np.ndarray) -> np.ndarray:
        victim = LastBatchGreedy(keep=keep)
        victim.reset(network, 0)
        return victim.act(observe(network, requests, network.capacities, held))

    nothing = np.zeros(network.P)
    best = [slow_gain(reading, network, batch, answer(batch, nothing)) for batch in batches]
    held = answer(np.zeros(network.R), nothing)
    for requests in draw(network, 30, seed).requests:
        lost = [best[rho] - slow_gain(reading, network, batch, held) for rho, batch in enumerate(batches)]
        chosen = int(requests.argmax())
        assert np.array_equal(requests, batches[chosen])
        assert lost[chosen] == pytest.approx(max(lost), rel=1e-6, abs=1e-6 * max(best))
        held = answer(requests, held)


def test_the_bound_on_regret_says_something_on_the_packaged_instance() -> None:
    """The sharper bound of docs/model.md#regret-bounds by hand, below what there is to gain from T = 2^8 on."""
    network = Network.compile(load_scenario("adversary"))
    sigma = 600.0 * 40.0  # max L Delta_C / s: requests of a slot x ms, over 1 MB
    assert (network.capacities * network.fits).max() * (
        network.service.costs[:, -1] - network.service.costs[:, 0]
    ).max() == sigma
    for power in (8, 11, 14):
        slots = 2**power
        bound = sigma * math.sqrt(2.0 * math.log(4.0) * slots)  # D = log 4, 1/theta = 1
        asked = np.bincount(draw(network, slots, seed=1).requests.argmax(axis=1), minlength=4)
        assert (1 - 1 / math.e) * bound < 0.2 * sigma * asked.max()
        assert bound < 0.32 * sigma * asked.max()


def test_an_adversary_against_too_many_types_is_refused() -> None:
    nodes = [{"name": f"n{v}", "processor": "p"} for v in range(MOST_TYPES + 1)]
    network = hard(
        {
            "name": "wide",
            "tasks": ["a"],
            "models": [
                {"name": "m", "task": "a", "accuracy": 1.0, "profiles": {"p": dict.fromkeys(PROFILE, 1.0)}},
            ],
            "nodes": [{"name": "hub", "processor": "p", "repository": ["m"]}, *nodes],
            "links": [{"source": "hub", "target": node["name"], "latency": 1.0} for node in nodes],
            "workload": ADVERSARY,
        }
    )
    with pytest.raises(IdnError, match="an adversary against 2001 request types; at most 2000"):
        Stream(network, np.random.default_rng(0))


PROFILE = ("size", "delay", "throughput")


@pytest.mark.parametrize("size", [3.0, 12.0, 48.0])
def test_static_greedy_falls_into_its_trap(size: float) -> None:
    network = hard(greedy_trap(size))
    trace = draw(network, 600, seed=0)
    people, signs = trace.requests.sum(axis=0)
    # people at the base station saves 41 ms, signs 41 ms there and 40 at the central office
    gains = static_gains(network, trace)
    assert gains.max() == pytest.approx(41.0 * people + 40.0 * signs, rel=1e-12)
    allocation = static_greedy(network, trace)
    held = [(network.node_names[network.placement_node[p]], p) for p in np.flatnonzero(allocation)]
    assert [node for node, _ in held] == ["bs"]
    assert network.model_names[network.placement_model[held[0][1]]] == "signs/model"
    greedy = play(network, trace, AgentSpec("static-greedy"), 0).summary.gain
    assert greedy == pytest.approx(41.0 * signs, rel=1e-12)
    assert greedy / gains.max() < 1.05 / (2.0 * size / 3.0 + 40.0 / 41.0)


def test_hard_instances_say_what_they_need() -> None:
    with pytest.raises(IdnError, match="tasks: 1; must be at least 2"):
        adversary(1)
    with pytest.raises(IdnError, match=r"size: 2\.0; must be at least 3"):
        greedy_trap(2.0)


def test_the_command_line_runs_both(tmp_path: Path) -> None:
    for scenario_id in ("IDN/Adversary-v0", "IDN/GreedyTrap-v0"):
        file = tmp_path / "requests.csv"
        assert in_process("trace", scenario_id, "--slots", 30, "--output", file).status == 0
        assert in_process("check", file, "--scenario", scenario_id).status == 0


# --- drawn on a device -------------------------------------------------------------------------------------------


def drawn_on_device(networks: list[Network], slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Requests (slots, B, R) and capacities (slots, B, P)."""
    torch = pytest.importorskip("torch")
    from idn_gym.batched.streams import DrawnStreams

    streams = DrawnStreams(networks, slots, torch.device("cpu"), torch.float64)
    streams.restart(slice(None), [np.random.default_rng(0)])
    drawn = [streams.next_slot(slice(None)) for _ in range(slots)]
    requests, capacities = zip(*drawn, strict=True)
    return np.stack(requests), np.stack([each.expand(len(networks), -1) for each in capacities])


@pytest.mark.parametrize("given", [{}, {"remaining": 0.0}, {"remaining": 0.25}, {"remaining": 1.0}])
@pytest.mark.parametrize("duration", [1.0, 1e15])  # down in every other slot, or from the first on
def test_certain_outages_are_those_of_the_scalar_stream(given: dict[str, float], duration: float) -> None:
    outages = {"kind": "outages", "probability": 1.0, "duration": duration, **given}
    network = tiny(capacity=outages)
    expected = draw(network, 6, seed=0).capacities
    assert expected[0] == pytest.approx(network.capacities * given.get("remaining", 0.0))
    _, capacities = drawn_on_device([network] * 3, 6)
    assert np.array_equal(capacities, np.repeat(expected[:, None], 3, axis=1))


def test_outages_of_everything_follow_their_chances_on_a_device() -> None:
    """Up in all slots before, a node is down in slot t with chance p sum_{i <= t} (1 - p - 1/d)^i."""
    chance, duration, rows, slots = 0.3, 4.0, 2000, 5
    network = tiny(capacity={"kind": "outages", "probability": chance, "duration": duration})
    _, capacities = drawn_on_device([network] * rows, slots)
    assert set(np.unique(capacities / network.capacities)) == {0.0, 1.0}
    first = np.unique(network.placement_node, return_index=True)[1]  # a placement of each node
    for t in range(slots):
        down = (capacities[t][:, first] == 0.0).sum()
        expected = chance * sum((1.0 - chance - 1.0 / duration) ** i for i in range(t + 1))
        assert_binomial(down, rows * len(first), expected, questions=slots)


def test_outages_stay_with_the_environments_that_have_them() -> None:
    failing = tiny(capacity={"kind": "outages", "probability": 1.0, "duration": 1e15})
    steady = tiny()
    _, capacities = drawn_on_device([failing, steady, failing], 3)
    assert not capacities[:, [0, 2]].any()
    assert (capacities[:, 1] == steady.capacities).all()


def test_tasks_burst_apart_on_a_device_whatever_nobody_asks_for() -> None:
    """Of three tasks the second has no request type: the others must not share a multiplier."""
    data = load_scenario("tiny").to_dict()
    data["tasks"] = ["cars", "bikes", "people"]
    bikes = [{**model, "name": "bikes/only", "task": "bikes"} for model in data["models"][:1]]
    data["models"] += bikes
    data["requests"] = [{"task": task, "path": ["bs0", "co", "cloud"]} for task in ("cars", "people")]
    data["workload"] = {"kind": "burst", "rate": 1e6, "exponent": 0.0, "shape": 1.0, "per": "task"}
    network = hard({key: value for key, value in data.items() if key != "format"})
    requests, _ = drawn_on_device([network] * 200, 1)
    assert abs(np.corrcoef(requests[0], rowvar=False)[0, 1]) < SIGMAS / math.sqrt(200)
