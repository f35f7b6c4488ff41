"""Workloads: means by hand, counts against their laws, streams against their seeds.

A statistical test fails a right sampler with a chance of at most DOUBT, and its seed is fixed. Quantiles are those of
the exact law where it has a name; where a variance is tested, its sampling error is taken for normal.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.popularity import expected_requests
from idn_gym.workload.stream import BLOCK, Stream, draw

DOUBT = 1e-6
SIGMAS = float(stats.norm.isf(DOUBT / 2))


def network_with(of_workload: dict[str, Any] | None, **changes: Any) -> Network:
    """Three tasks served at a hub, entered at two leaves."""
    profile = {"size": 1.0, "delay": 1.0, "throughput": 5.0}
    tasks = ["one", "two", "three"]
    data = {
        "format": "idn-gym/scenario-1",
        "name": "leaves",
        "slot_seconds": 6.0,
        "tasks": tasks,
        "models": [
            {"name": f"{task}/{size}", "task": task, "accuracy": 50.0, "profiles": {"p": profile}}
            for task in tasks
            for size in ("small", "large")
        ],
        "nodes": [
            {"name": "hub", "processor": "p", "repository": [f"{task}/large" for task in tasks]},
            {"name": "left", "processor": "p", "budget": 2.0},
            {"name": "right", "processor": "p", "budget": 2.0},
        ],
        "links": [{"source": "hub", "target": leaf, "latency": 5.0} for leaf in ("left", "right")],
        "workload": of_workload,
    } | changes
    return Network.compile(parse(data, "test"))


ZIPF = {"kind": "zipf", "rate": 11.0, "exponent": 1.0}
BURST = {"kind": "burst", "rate": 11.0, "exponent": 1.0, "shape": 0.5}


def means(network: Network, slot: int = 0) -> dict[tuple[str, str], float]:
    row = expected_requests(network, np.array([slot]))[0].tolist()
    return {key: row[rho] for key, rho in network.type_index().items()}


# --- expected requests ------------------------------------------------------------------------------------------


def test_popularity_by_hand() -> None:
    # 11 requests/s for 6 s are 66; popularity 1, 1/2, 1/3 are 6/11, 3/11, 2/11 of them, over two leaves
    per_leaf = {"one": 18.0, "two": 9.0, "three": 6.0}
    expected = {(task, leaf): per_leaf[task] for task in per_leaf for leaf in ("left", "right")}
    for of_workload in (ZIPF, BURST):
        assert means(network_with(of_workload)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("exponent", "parts"),
    [(0.0, (1.0, 1.0, 1.0)), (2.0, (1.0, 1 / 4, 1 / 9)), (1.2, (1.0, 0.4352752816480621, 0.26758052058674353))],
)
def test_exponents(exponent: float, parts: tuple[float, ...]) -> None:
    found = means(network_with(ZIPF | {"exponent": exponent}))
    for task, part in zip(("one", "two", "three"), parts, strict=True):
        assert found[task, "left"] == pytest.approx(33.0 * part / sum(parts), rel=1e-13)


def test_rate_is_the_total_over_types() -> None:
    # the second task enters on the left alone, the third nowhere: popularity 1 and 1/2 are 2/3 and 1/3 of 66
    requests = [
        {"task": "one", "path": ["left", "hub"]},
        {"task": "two", "path": ["left", "hub"]},
        {"task": "one", "path": ["right", "hub"]},
    ]
    found = means(network_with(ZIPF, requests=requests))
    assert found == pytest.approx({("one", "left"): 22.0, ("two", "left"): 22.0, ("one", "right"): 22.0}, rel=1e-14)


@pytest.mark.parametrize("name", ["tiny", "topology-1-sliding", "topology-2-bursty", "abilene-sliding"])
def test_packaged_workloads_bring_their_rate(name: str) -> None:
    network = Network.compile(load_scenario(name))
    found = expected_requests(network, np.array([0, 59, 60, 61, 599]))
    rate: float = network.scenario.workload.rate  # type: ignore[union-attr]
    assert found.shape == (5, network.R)
    assert found.sum(axis=1) == pytest.approx(rate * network.scenario.slot_seconds, rel=1e-12)
    assert (found > 0).all()


def test_sliding_moves_popularity_cyclically() -> None:
    network = network_with(ZIPF | {"profile": "sliding", "shift": 1, "every": 2})
    base = [18.0, 9.0, 6.0]  # of the three tasks at each leaf
    for slot in range(14):
        turns = slot // 2
        expected = [base[(i - turns) % 3] for i in range(3)]
        found = means(network, slot)
        assert [found[task, "right"] for task in ("one", "two", "three")] == pytest.approx(expected, rel=1e-14)
    twice = network_with(ZIPF | {"profile": "sliding", "shift": 2, "every": 1})
    assert means(twice, 1) == pytest.approx(means(network, 4), rel=1e-14)
    assert means(twice, 3) == pytest.approx(means(twice, 0), rel=1e-14)  # 6 tasks on, three of them: as it was


def test_sliding_of_the_paper_by_hour() -> None:
    network = Network.compile(load_scenario("topology-1-sliding"))
    first = network.type_task == 0
    of_first = expected_requests(network, np.arange(0, 300))[:, first].sum(axis=1)
    # 5 tasks on every 60 slots: after four hours the 20 tasks are where they were
    assert [int(slot) for slot in np.flatnonzero(np.diff(of_first))] == [59, 119, 179, 239]
    assert of_first[240:] == pytest.approx(of_first[:60], rel=1e-12)
    # the first task becomes the 16th, the 11th and the 6th in popularity
    weights = np.arange(1, 21) ** -1.2
    assert of_first[[0, 60, 120, 180]] == pytest.approx(450000 * weights[[0, 15, 10, 5]] / weights.sum(), rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_local_popularity_by_hand(share: float) -> None:
    """At each leaf a share of its 33 requests goes by a ranking of its own, the rest by the common one."""
    common = [18.0, 9.0, 6.0]
    seen = set()
    for seed in range(8):
        found = means(network_with(ZIPF | {"local": {"share": share, "seed": seed}}))
        for place, leaf in enumerate(("left", "right")):
            ranking = np.random.default_rng([seed, place]).permutation(3)
            expected = [(1 - share) * common[i] + share * common[ranking[i]] for i in range(3)]
            at_leaf = [found[task, leaf] for task in ("one", "two", "three")]
            assert at_leaf == pytest.approx(expected, rel=1e-14)
            assert sum(at_leaf) == pytest.approx(33.0, rel=1e-14)
            seen.add(tuple(ranking))
    assert len(seen) > 3, "rankings differ by seed and by entry node"


def test_local_popularity_slides_with_the_common_one() -> None:
    sliding = {"profile": "sliding", "shift": 1, "every": 2}
    local = {"local": {"share": 0.5, "seed": 2}}
    still = means(network_with(ZIPF | local))
    moved = network_with(ZIPF | local | sliding)
    assert means(moved, 1) == still
    assert means(moved, 6) == pytest.approx(still, rel=1e-14)  # three shifts over three tasks
    assert means(moved, 2) != pytest.approx(still, rel=1e-2)
    assert sum(means(moved, 2).values()) == pytest.approx(66.0, rel=1e-14)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("share", 1.5, "1.5"), ("share", None, "None"), ("seed", -1, "-1"), ("seed", 0.5, "0.5")],
)
def test_local_popularity_refuses(key: str, value: Any, says: str) -> None:
    with pytest.raises(IdnError, match=rf"workload\.local\.{key}.*{says}"):
        network_with(ZIPF | {"local": {"share": 0.5} | {key: value}})


# --- counts -----------------------------------------------------------------------------------------------------


def between(law: Any, questions: int) -> tuple[float, float]:
    """The interval that a draw of `law` leaves with a chance of DOUBT / questions."""
    return law.ppf(DOUBT / questions / 2), law.isf(DOUBT / questions / 2)


def test_counts_are_poisson() -> None:
    slots = 6400
    network = network_with(ZIPF | {"profile": "sliding", "shift": 1, "every": 7})
    mean = expected_requests(network, np.arange(slots))
    requests = draw(network, slots, seed=1).requests
    assert requests.shape == (slots, network.R)
    assert (requests == np.floor(requests)).all()
    for rho in range(network.R):  # a sum of Poisson counts is Poisson
        low, high = between(stats.poisson(mean[:, rho].sum()), network.R)
        assert low <= requests[:, rho].sum() <= high
    # Counts at all means are independent with variance 1 once standardised: also for sums over types and over
    # neighbouring slots, where dependence would show. The fourth moment of a Poisson variable is 3 + 1/mean.
    together = requests.sum(axis=1), mean.sum(axis=1)
    pairs = (requests[::2] + requests[1::2]).ravel(), (mean[::2] + mean[1::2]).ravel()
    for count, expected in ((requests.ravel(), mean.ravel()), together, pairs):
        squares = (count - expected) ** 2 / expected
        error = math.sqrt((2 + 1 / expected.min()) / squares.size)
        assert squares.mean() == pytest.approx(1.0, abs=SIGMAS * error)
    # and their law, by the slots in which the rarest type at a mean of 6 brings exactly 6
    at_six = np.isclose(mean, 6.0)
    low, high = between(stats.binom(at_six.sum(), stats.poisson(6.0).pmf(6)), 1)
    assert low <= (requests[at_six] == 6).sum() <= high


@pytest.mark.parametrize("shape", [0.3, 2.0])
def test_bursts_are_gamma_poisson(shape: float) -> None:
    slots = 12800
    network = network_with(BURST | {"shape": shape})
    mean = expected_requests(network, np.array([0]))[0]
    requests = draw(network, slots, seed=2).requests
    for rho, m in enumerate(mean):
        # the counts are negative binomial, and so is their sum
        low, high = between(stats.nbinom(slots * shape, shape / (shape + m)), network.R)
        assert low <= requests[:, rho].sum() <= high
        low, high = between(stats.binom(slots, (shape / (shape + m)) ** shape), network.R)
        assert low <= (requests[:, rho] == 0).sum() <= high, "slots without requests"
        variance = m + m**2 / shape
        excess = float(stats.nbinom(shape, shape / (shape + m)).stats("k"))
        error = variance * math.sqrt((2 + excess) / slots)
        sigmas = float(stats.norm.isf(DOUBT / network.R / 2))
        assert requests[:, rho].var() == pytest.approx(variance, abs=sigmas * error)
    # each count has a burst of its own: the variance of the slot's total is the sum of the variances
    total, variances = requests.sum(axis=1), mean + mean**2 / shape
    cumulant = sum(
        v**2 * float(stats.nbinom(shape, shape / (shape + m)).stats("k")) for m, v in zip(mean, variances, strict=True)
    )
    error = math.sqrt((2 * variances.sum() ** 2 + cumulant) / slots)
    assert total.var() == pytest.approx(variances.sum(), abs=SIGMAS * error)


def test_no_rate_no_requests() -> None:
    for of_workload in (ZIPF, BURST):
        trace = draw(network_with(of_workload | {"rate": 0.0}), 3, seed=0)
        assert trace.requests.tolist() == [[0.0] * 6] * 3


# --- seeds and streams ------------------------------------------------------------------------------------------

OUTAGES = {"kind": "outages", "probability": 0.1, "duration": 4.0, "remaining": 0.25}
STREAMS = [
    ZIPF,
    BURST,
    ZIPF | {"capacity": OUTAGES},
    BURST | {"profile": "sliding", "shift": 2, "every": 3, "capacity": OUTAGES},
]


@pytest.mark.parametrize("of_workload", STREAMS)
def test_a_stream_is_that_of_its_seed(of_workload: dict[str, Any]) -> None:
    network = network_with(of_workload)
    long = draw(network, 130, seed=7)
    assert long.slots == 130
    for slots in (1, 50, BLOCK, BLOCK + 1, 130):
        for twin in (draw(network, slots, seed=7), long.head(slots)):
            assert np.array_equal(twin.requests, long.requests[:slots])
            assert np.array_equal(twin.capacities, long.capacities[: slots if "capacity" in of_workload else 1])
    stream = Stream(network, np.random.default_rng(7))
    first, second = stream.next_block(), stream.next_block()
    assert np.array_equal(np.concatenate([first.requests, second.requests]), long.requests[:128])
    assert not np.array_equal(first.requests, second.requests)
    other = draw(network, 130, seed=8)
    assert not np.array_equal(other.requests, long.requests)
    assert np.array_equal(other.capacities, long.capacities) == ("capacity" not in of_workload)


def test_drawing_does_not_touch_the_global_generator() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    draw(network_with(BURST | {"capacity": OUTAGES}), 70, seed=1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


# --- capacities -------------------------------------------------------------------------------------------------


def down_nodes(network: Network, capacities: np.ndarray, remaining: float) -> np.ndarray:
    """(T, V) where a node is down, after checking that each node's placements are down or up together."""
    nominal, down = network.capacities, np.zeros((len(capacities), network.V), dtype=bool)
    for v in range(network.V):
        at = network.placement_node == v
        is_down = np.isclose(capacities[:, at], remaining * nominal[at], rtol=1e-15)
        is_up = capacities[:, at] == nominal[at]
        assert (is_down.all(axis=1) | is_up.all(axis=1)).all()
        down[:, v] = is_down.all(axis=1)
    return down


def test_constant_capacities_are_nominal() -> None:
    for of_workload in (ZIPF, ZIPF | {"capacity": {"kind": "constant"}}):
        network = network_with(of_workload)
        trace = draw(network, 70, seed=0)
        assert trace.capacities.tolist() == [[30.0] * network.P]  # 5 requests/s for 6 s
        assert trace.capacities_at(69).tolist() == [30.0] * network.P


def test_outages_follow_their_chances() -> None:
    slots, failing, duration = 12800, 0.1, 4.0
    network = network_with(ZIPF | {"rate": 0.0, "capacity": OUTAGES})
    trace = draw(network, slots, seed=3)
    assert trace.capacities.shape == (slots, network.P)
    down = down_nodes(network, trace.capacities, 0.25)
    before, after = down[:-1], down[1:]
    # Given the past, a node that is up fails with chance p and one that is down recovers with chance 1/d: the excess
    # of either over its expectation is a martingale with steps of range 1 at most (Hoeffding and Azuma).
    steps = before.size
    for was, chance, turned in ((~before, failing, after), (before, 1 / duration, ~after)):
        assert abs((turned & was).sum() - chance * was.sum()) <= math.sqrt(steps * math.log(4 / DOUBT) / 2)
    # in the long run down for p/(p + 1/d) of the time; a chain of two states forgets by a factor of 1 - p - 1/d a slot
    stationary, memory = failing / (failing + 1 / duration), 1 - failing - 1 / duration
    error = math.sqrt(stationary * (1 - stationary) * (1 + memory) / (1 - memory) / down.size)
    start = stationary / (1 - memory) / slots  # all nodes start up
    assert down.mean() == pytest.approx(stationary, abs=SIGMAS * error + start)
    # nodes fail one by one
    together = (down[:, 1] & down[:, 2]).mean()
    assert together == pytest.approx(
        stationary**2, abs=SIGMAS * math.sqrt((1 + memory) / (1 - memory) / slots) / 2 + start
    )


def test_outages_at_the_ends_of_their_ranges() -> None:
    def down(slots: int, **process: float) -> list[list[bool]]:
        network = network_with(ZIPF | {"capacity": {"kind": "outages", **process}})
        return down_nodes(network, draw(network, slots, seed=0).capacities, 0.0).tolist()

    assert not np.any(down(70, probability=0.0))
    # fails at once, lasts one slot, fails again
    assert down(6, probability=1.0, duration=1.0) == [[slot % 2 == 0] * 3 for slot in range(6)]
    assert np.all(down(70, probability=1.0, duration=1e9))


def test_what_remains_in_an_outage() -> None:
    for remaining, left in ((0.0, 0.0), (0.25, 7.5), (1.0, 30.0)):
        process = {"kind": "outages", "probability": 1.0, "duration": 1e9, "remaining": remaining}
        network = network_with(ZIPF | {"capacity": process})
        assert draw(network, 2, seed=0).capacities.tolist() == [[left] * network.P] * 2


# --- traces as a workload, and errors ---------------------------------------------------------------------------


def test_replay_is_the_file_next_to_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = network_with(None).scenario.to_dict()
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "r.csv").write_text("slot,task,source,requests\n2,two,left,3\n0,one,right,1.5\n")
    (tmp_path / "c.csv").write_text("slot,node,model,capacity\n1,left,two/small,0\n")
    base["workload"] = {"kind": "trace", "requests": "streams/r.csv", "capacities": "c.csv"}
    (tmp_path / "s.json").write_text(json.dumps(base))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in ("../s.json", str(tmp_path / "s.json")):
        network = Network.compile(load_scenario(name))
        monkeypatch.chdir(tmp_path)  # where the trace is does not depend on where one is when it is read
        trace = draw(network, 3, seed=0)
        monkeypatch.chdir(elsewhere)
        index = network.type_index()
        expected = np.zeros((3, network.R))
        expected[2, index["two", "left"]], expected[0, index["one", "right"]] = 3.0, 1.5
        assert np.array_equal(trace.requests, expected)
        assert np.argwhere(trace.capacities != 30.0).tolist() == [
            [1, network.placement_index[network.node_names.index("left"), network.model_names.index("two/small")]]
        ]
        assert np.array_equal(draw(network, 2, seed=5).requests, expected[:2])
        with pytest.raises(IdnError, match="4 slots asked for; the trace has 3"):
            draw(network, 4, seed=0)
        with pytest.raises(IdnError, match="leaves: its workload has no rate"):
            expected_requests(network, np.array([0]))


def test_replay_without_capacities_is_nominal(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("slot,task,source,requests\n0,one,right,1\n")
    network = network_with({"kind": "trace", "requests": str(tmp_path / "r.csv")})
    assert draw(network, 1, seed=0).capacities.tolist() == [[30.0] * network.P]


def test_a_trace_that_is_gone_is_an_error(tmp_path: Path) -> None:
    network = network_with({"kind": "trace", "requests": str(tmp_path / "gone.csv")})
    with pytest.raises(IdnError, match=r"gone.csv: cannot be read: No such file"):
        draw(network, 1, seed=0)


def test_no_workload_is_an_error() -> None:
    network = network_with(None)
    with pytest.raises(IdnError, match="scenario leaves: no workload"):
        draw(network, 1, seed=0)
    with pytest.raises(IdnError, match="scenario leaves: no workload"):
        Stream(network, np.random.default_rng(0))


@pytest.mark.parametrize("slots", [0, -3])
def test_slots_are_at_least_1(slots: int) -> None:
    with pytest.raises(IdnError, match=f"slots: {slots}; must be at least 1"):
        draw(network_with(ZIPF), slots, seed=0)


def test_more_slots_than_memory_holds_are_refused() -> None:
    with pytest.raises(IdnError, match="slots: 1000000000 of 6 request types; at most"):
        draw(network_with(ZIPF), 10**9, seed=0)
