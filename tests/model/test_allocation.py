"""The feasible set: pack by brute force, the projection against cvxpy and its optimality conditions, dependent
rounding by its law, and every kernel against its reference.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import cvxpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instances import EPSILON, fractional, networks, random_network, random_values

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.model import allocation
from idn_gym.model.network import Network
from idn_gym.scenario import parse

DOUBT = 1e-6  # chance that a right sampler fails one statistical test here; the seeds are fixed
FILLED = 1e-12  # of a node's mass: what the projection leaves to the others where the clipped fill it to rounding
RESIDUALS = ("coin", "drop", "fit", "reserve")


def shelves(*nodes: tuple[list[float], float]) -> Network:
    """A network of one node per (sizes, budget), whose placements have these sizes in this order."""
    models = [
        {
            "name": f"m{v}-{n}",
            "task": "t",
            "accuracy": 50.0,
            "profiles": {f"p{v}": {"size": size, "delay": 1.0, "throughput": 1.0}},
        }
        for v, (sizes, _) in enumerate(nodes)
        for n, size in enumerate(sizes)
    ]
    far = {"name": "far", "task": "t", "accuracy": 50.0, "profiles": {"far": {"size": 1, "delay": 1, "throughput": 1}}}
    data: dict[str, Any] = {
        "format": "idn-gym/scenario-1",
        "name": "shelves",
        "tasks": ["t"],
        "models": [*models, far],
        "nodes": [
            *({"name": f"n{v}", "processor": f"p{v}", "budget": budget} for v, (_, budget) in enumerate(nodes)),
            {"name": "cloud", "processor": "far", "repository": ["far"]},
        ],
        "links": [{"source": f"n{v}", "target": "cloud", "latency": 1.0} for v in range(len(nodes))],
    }
    return Network.compile(parse(data, "test"))


def nodes_of(network: Network) -> list[slice]:
    return [slice(*pair) for pair in itertools.pairwise(network.node_start.tolist())]


# --- memory and check -------------------------------------------------------------------------------------------


@given(st.data())
def test_memory_in_use(data: st.DataObject) -> None:
    network = data.draw(networks())
    y = data.draw(fractional(network))
    expected = [0.0] * network.V
    for p in range(network.P):
        expected[network.placement_node[p]] += network.sizes[p] * y[p]
    assert network.memory_in_use(y).tolist() == pytest.approx(expected, rel=1e-14)


def test_kernel_memory() -> None:
    network = shelves(([1.0, 2.0, 4.0], 7.0), ([8.0], 8.0))
    before = np.array([[0, 1, 1, 0], [1, 0, 1, 1]], dtype=np.int8)
    after = np.array([[1, 0, 1, 1], [1, 0, 1, 1]], dtype=np.int8)
    in_use, loaded = kernels.memory(network, after, before)
    assert in_use.tolist() == [[5.0, 8.0, 0.0], [5.0, 8.0, 0.0]]
    assert loaded.tolist() == [9.0, 0.0]  # m0-0 and m1-0 are new; what leaves costs nothing
    assert kernels.memory(network, after, np.zeros_like(before))[1].tolist() == [13.0, 13.0]
    with pytest.raises(IdnError, match=r"before: shape \(2, 3\); must be \(2, 4\)"):
        kernels.memory(network, after, before[:, :3])


@pytest.mark.parametrize("count", [7, 8, 9, 37])
def test_kernel_memory_of_rows_that_begin_anywhere(count: int) -> None:
    """Bytes are looked at eight at a time, wherever a row begins and however many are left at its end."""
    generator = np.random.default_rng(count)
    network = shelves((generator.uniform(1.0, 9.0, count).tolist(), 50.0))
    after, before = (generator.random((2, 5, network.P)) < 0.3).astype(np.int8)
    in_use, loaded = kernels.memory(network, after, before)
    assert in_use[:, 0] == pytest.approx(after @ network.sizes, rel=1e-14)
    assert loaded == pytest.approx((after * (1 - before)) @ network.sizes, rel=1e-14)


def test_check_accepts_what_keeps_the_budgets() -> None:
    network = shelves(([1.0, 2.0, 4.0], 3.0), ([8.0], 5.0))
    allocation.check(network, np.zeros(network.P), integral=True)
    allocation.check(network, np.array([1, 1, 0, 0]), integral=True)
    allocation.check(network, np.array([1.0, 0.0, 0.5, 0.625]))  # fractions of what is larger than its node
    allocation.check(network, np.array([1.0, 1.0, 0.7e-9, 0.0]))  # 3 MB and 0.93e-9 of that
    allocation.check(shelves(([0.1, 0.2], 0.3)), np.ones(2), integral=True)  # whose sum in floats is above 0.3


@pytest.mark.parametrize(
    ("x", "integral", "says"),
    [
        ([1, 1, 0, 1], False, "allocation: node n1 holds 8 MB; its budget is 5 MB"),
        ([0, 0, 1, 1], True, "allocation: node n0 holds 4 MB; its budget is 3 MB"),
        ([1, 1, 1e-9, 0], False, "allocation: node n0 holds 3 MB; its budget is 3 MB"),
        ([0, 0.5, 0, 0], True, r"allocation\[1\] \(m0-1 at n0\): 0.5; must be 0 or 1"),
        ([0, 0, 0, 1.5], False, r"allocation\[3\]: 1.5; must be in \[0, 1\]"),
        ([0, -0.5, 0, 0], True, r"allocation\[1\]: -0.5; must be in \[0, 1\]"),
        ([0, 0, math.nan, 0], False, r"allocation\[2\]: nan; must be in \[0, 1\]"),
        ([0, 0, 0], False, r"allocation: shape \(3,\); must be \(4,\)"),
        ([[0, 0, 0, 0]], False, r"allocation: shape \(1, 4\); must be \(4,\)"),
    ],
)
def test_check_names_what_is_wrong(x: list[float], integral: bool, says: str) -> None:
    network = shelves(([1.0, 2.0, 4.0], 3.0), ([8.0], 5.0))
    with pytest.raises(IdnError, match=f"^{says}$"):
        allocation.check(network, np.array(x), integral)


# --- pack -------------------------------------------------------------------------------------------------------


def first_in_lexical_order(sizes: list[float], priority: list[float], room: float) -> list[int]:
    """Brute force: of all subsets that fit, the one that prefers the first, then the second, ... in rank order."""
    rank = sorted((p for p in range(len(sizes)) if priority[p] > -math.inf), key=lambda p: (-priority[p], p))
    for choice in itertools.product((1, 0), repeat=len(rank)):  # in descending lexical order
        if math.fsum(sizes[p] for p, held in zip(rank, choice, strict=True) if held) <= room:
            return [p for p, held in zip(rank, choice, strict=True) if held]
    raise AssertionError("the empty subset always fits")


@pytest.mark.parametrize("seed", range(60))
def test_pack_is_the_first_subset_in_order_of_priority(seed: int) -> None:
    data = random_values(seed, ties=True)
    network = Network.compile(parse(data | {"replicas": 1}, "test"))
    levels = [-math.inf, -1.5, -0.0, 0.0, 1.0, 1.0 + EPSILON, 7.0, math.inf]
    priority = np.random.default_rng(seed).choice(levels, network.P)
    expected = np.zeros(network.P)
    for v, at in enumerate(nodes_of(network)):  # budgets are multiples of a half, so their sums are exact
        for p in first_in_lexical_order(network.sizes[at].tolist(), priority[at].tolist(), network.budgets[v]):
            expected[at.start + p] = 1
    packed = allocation.pack(network, priority)
    assert packed.tolist() == expected.tolist()
    assert packed.dtype == np.int8
    assert kernels.pack(network, priority[None]).tolist() == [expected.tolist()]
    allocation.check(network, packed, integral=True)


def test_ties_go_to_the_order_in_the_file() -> None:
    network = shelves(([1.0, 1.0, 1.0], 2.0), ([2.0, 1.0, 1.0], 2.0))
    zero = np.zeros(network.P)
    assert allocation.pack(network, zero).tolist() == [1, 1, 0, 1, 0, 0]
    assert kernels.pack(network, zero[None]).tolist() == [[1, 1, 0, 1, 0, 0]]
    for level in (-5.0, math.inf):
        assert allocation.pack(network, zero + level).tolist() == [1, 1, 0, 1, 0, 0]
        assert kernels.pack(network, zero[None] + level).tolist() == [[1, 1, 0, 1, 0, 0]]


def test_what_has_no_priority_stays_out_and_what_is_too_large_is_passed_over() -> None:
    network = shelves(([3.0, 2.0, 1.0, 9.0], 4.0))
    cases = {
        (-math.inf, -math.inf, -math.inf, -math.inf): [0, 0, 0, 0],
        (-math.inf, 1.0, 2.0, 3.0): [0, 1, 1, 0],
        (2.0, 3.0, 1.0, 4.0): [0, 1, 1, 0],
        (3.0, 2.0, 1.0, 4.0): [1, 0, 1, 0],
    }
    for priority, expected in cases.items():
        assert allocation.pack(network, np.array(priority)).tolist() == expected
        assert kernels.pack(network, np.array([priority])).tolist() == [expected]


@pytest.mark.parametrize("seed", range(20))
def test_pack_fills_exact_budgets_of_awkward_floats(seed: int) -> None:
    """Sizes and budgets in tenths, whose sums in floats are off by roundings; the oracle counts tenths in integers."""
    generator = np.random.default_rng(seed)
    tenths = [generator.integers(1, 12, 9) for _ in range(6)]
    budgets = [int(generator.permutation(each)[: generator.integers(1, 9)].sum()) for each in tenths]
    network = shelves(*(((each / 10).tolist(), budget / 10) for each, budget in zip(tenths, budgets, strict=True)))
    priority = generator.integers(0, 4, network.P).astype(float)
    expected = []
    for each, budget, at in zip(tenths, budgets, nodes_of(network), strict=False):
        held = np.zeros(len(each))
        for n in np.argsort(-priority[at], kind="stable"):
            if each[n] + (each * held).sum() <= budget:
                held[n] = 1
        expected += held.tolist()
    packed = allocation.pack(network, priority)
    assert packed.tolist() == expected
    assert kernels.pack(network, priority[None]).tolist() == [expected]
    allocation.check(network, packed, integral=True)


@pytest.mark.parametrize(
    ("sizes", "budget"), [([0.1, 0.2], 0.3), ([0.1] * 10, 1.0), ([0.7, 0.1, 0.1], 0.9), ([1.1, 2.2], 3.3)]
)
def test_sums_off_by_a_rounding_fit(sizes: list[float], budget: float) -> None:
    network = shelves((sizes, budget))
    assert allocation.pack(network, np.zeros(network.P)).all()
    assert kernels.pack(network, np.zeros((1, network.P))).all()
    # what is a millionth over does not
    network = shelves((sizes, budget * (1 - 1e-6)))
    assert not allocation.pack(network, np.zeros(network.P)).all()
    assert not kernels.pack(network, np.zeros((1, network.P))).all()


def test_pack_refuses_what_is_no_priority() -> None:
    network = shelves(([1.0, 1.0], 2.0))
    with pytest.raises(IdnError, match=r"^priority: .*NaN"):
        allocation.pack(network, np.array([0.0, math.nan]))
    with pytest.raises(IdnError, match=r"^priority: shape \(3,\)"):
        allocation.pack(network, np.zeros(3))
    with pytest.raises(IdnError, match=r"^priority: shape \(2,\); must be \(B, 2\)"):
        kernels.pack(network, np.zeros(2))
    with pytest.raises(IdnError, match="out"):
        kernels.pack(network, np.zeros((3, 2)), out=np.zeros((2, 2), dtype=np.int8))
    with pytest.raises(IdnError, match="out"):
        kernels.round_dependent(network, np.zeros((1, 2)), np.zeros((1, 2)), out=np.zeros((1, 2)))


# --- projection -------------------------------------------------------------------------------------------------


def divergence(sizes: np.ndarray, y: np.ndarray, h: np.ndarray) -> float:
    """Bregman divergence of the weighted negative entropy sum s y log y, with 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((sizes * (np.where(y > 0, y * np.log(y / h), 0.0) - y + h)).sum())


@pytest.mark.parametrize("seed", range(12))
def test_projection_is_the_least_divergence(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sizes = generator.uniform(0.5, 4.0, generator.integers(2, 9))
    mass = generator.uniform(0.2, 0.95) * sizes.sum()
    log_h = generator.normal(0.0, (0.3, 2.0)[seed % 2], len(sizes))
    h = np.exp(log_h)
    y = cvxpy.Variable(len(sizes))
    problem = cvxpy.Problem(cvxpy.Minimize(sizes @ cvxpy.kl_div(y, h)), [sizes @ y == mass, y <= 1])
    accuracy = 1e-9
    problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=accuracy, tol_gap_rel=accuracy, tol_feas=accuracy)
    assert problem.status == cvxpy.OPTIMAL
    # A gap in value bounds the distance: on [0, 1] the second derivative s/y is at least s. A violation of the
    # constraints is worth their prices, the largest of which is that of a MB: |log c|.
    gap = accuracy * (1.0 + abs(problem.value)) * (1.0 + sizes.sum() * (1.0 + np.abs(log_h).max()))
    network = shelves((sizes.tolist(), 1e6))
    for found in (
        np.exp(allocation.project(network, log_h, np.array([mass, 0.0]))),
        np.exp(kernels.project(network, log_h[None], np.array([mass, 0.0]))[0]),
    ):
        assert sizes @ found == pytest.approx(mass, rel=1e-12)
        assert divergence(sizes, found, h) <= problem.value + gap
        assert found == pytest.approx(y.value, abs=math.sqrt(2 * gap / sizes.min()))


def states(seed: int) -> tuple[Network, np.ndarray, np.ndarray]:
    """A network, log h (P,) up to +-1000, and masses (V,), among them 0, all of the models, and exact sums of sizes."""
    network = random_network(seed % 50, ties=seed % 2 == 0)
    generator = np.random.default_rng(seed)
    log_h = generator.normal(0.0, (0.1, 1.0, 30.0, 400.0)[seed % 4], network.P)
    if seed % 3 == 0:
        log_h = generator.choice([-1000.0, 0.0, 1000.0], network.P)
    mass = network.spendable * generator.uniform(0.0, 1.0, network.V)
    for v, at in enumerate(nodes_of(network)):
        kind = generator.integers(0, 5)
        fitting = network.sizes[at][network.fits[at]]
        if kind == 0:
            ranked = fitting[np.argsort(-log_h[at][network.fits[at]], kind="stable")]
            mass[v] = ranked[: generator.integers(0, len(ranked) + 1)].sum()
        elif kind == 1:
            mass[v] = 0.0
        elif kind == 2:
            mass[v] = fitting.sum() * generator.choice([1.0, 1.5])
    return network, log_h, mass


@pytest.mark.parametrize("seed", range(120))
def test_projection_meets_its_optimality_conditions(seed: int) -> None:
    """Of the least divergence with s.y = mass and y <= 1: y = c h where y < 1, and c h >= 1 where y = 1."""
    network, log_h, mass = states(seed)
    lost = 8 * EPSILON * (10 + float(np.abs(log_h).max(initial=0.0)))  # roundings of log c, and so of y relatively
    reference, kernel = allocation.project(network, log_h, mass), kernels.project(network, log_h[None], mass)[0]
    for log_y in (reference, kernel):
        assert (log_y <= 0.0).all()
        assert (log_y[~network.fits] == -np.inf).all()
        for v, at in enumerate(nodes_of(network)):
            fits = network.fits[at]
            sizes, h, log = network.sizes[at][fits], log_h[at][fits], log_y[at][fits]
            if mass[v] <= 0.0:
                assert (log == -np.inf).all() or not fits.any()
                continue
            if sizes.sum() <= mass[v]:
                assert (log == 0.0).all()
                continue
            assert sizes @ np.exp(log) == pytest.approx(mass[v], rel=lost + FILLED)
            free = log < 0.0
            log_c = (log - h)[free]
            assert len(log_c) > 0  # all at 1 would weigh more than the mass
            assert np.ptp(log_c) <= lost
            assert (h[~free] + log_c.max() >= -lost).all()
    # y = exp(log y), whose error is relative; and the trace of what the clipped leave
    trace = FILLED * mass[network.placement_node] / network.sizes if network.P else 0.0
    assert (np.abs(np.exp(reference) - np.exp(kernel)) <= lost + trace).all()


def test_projection_by_hand() -> None:
    network = shelves(([1.0, 1.0, 2.0], 9.0))
    # h = 4, 1, 1 and s.y = 2.5: c = 2.5/7 would take the first to 10/7, so it is clipped; c = 1.5/3 for the rest
    log_h = np.log([4.0, 1.0, 1.0])
    mass = np.array([2.5, 0.0])
    for log_y in (allocation.project(network, log_h, mass), kernels.project(network, log_h[None], mass)[0]):
        assert np.exp(log_y).tolist() == pytest.approx([1.0, 0.5, 0.5], rel=1e-15)
    # scaling h changes nothing
    for factor in (-700.0, 700.0):
        assert np.exp(kernels.project(network, log_h[None] + factor, mass)[0]) == pytest.approx(
            [1.0, 0.5, 0.5], rel=1e-12
        )


def test_projection_leaves_a_trace_where_the_clipped_fill_the_node() -> None:
    """0.1 and 0.2 fill the mass, up to a rounding, and the third is e^-500 of them: it must not be lost for ever."""
    network = shelves(([0.1, 0.2, 3.0], 9.0))
    log_h, mass = np.array([500.0, 0.0, -500.0]), np.array([0.1 + 0.2, 0.0])
    for log_y in (allocation.project(network, log_h, mass), kernels.project(network, log_h[None], mass)[0]):
        assert np.exp(log_y[:2]).tolist() == [1.0, 1.0]
        assert 3.0 * np.exp(log_y[2]) == pytest.approx(FILLED * mass[0], rel=1e-3)


def test_projection_leaves_a_feasible_state_alone() -> None:
    network = shelves(([1.0, 2.0, 4.0], 5.0), ([3.0, 3.0], 3.0))
    y = np.array([0.5, 0.25, 1.0, 0.125, 0.875])
    mass = network.memory_in_use(y)
    assert np.exp(allocation.project(network, np.log(y), mass)) == pytest.approx(y, rel=1e-14)
    assert np.exp(kernels.project(network, np.log(y)[None], mass)[0]) == pytest.approx(y, rel=1e-14)


@pytest.mark.parametrize("seed", range(0, 120, 7))
def test_mirror_step_is_the_projection_of_the_step(seed: int) -> None:
    network, _, mass = states(seed)
    generator = np.random.default_rng(seed)
    start = generator.normal(0.0, 2.0, (3, network.P))
    ascent, rate = generator.normal(0.0, 5.0, (3, network.P)), generator.uniform(0.0, 3.0, (3, network.V))
    stepped = kernels.mirror_step(network, start, ascent, rate, mass)
    for b in range(3):
        log_h = start[b] + rate[b, network.placement_node] * ascent[b]
        expected = np.exp(allocation.project(network, log_h, mass))
        lost = 8 * EPSILON * (10 + float(np.abs(log_h).max(initial=0.0)))
        trace = FILLED * mass[network.placement_node] / network.sizes if network.P else 0.0
        assert (np.abs(np.exp(stepped[b]) - expected) <= lost + trace).all()
        alone = kernels.mirror_step(network, start[b : b + 1], ascent[b : b + 1], rate[b : b + 1], mass)
        assert (alone[0] == stepped[b]).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(0, 120, 7))
def test_steps_of_states_are_the_projection_of_the_step(seed: int, dtype: Any) -> None:
    """Also where eta g / s is hundreds, and where most of a state is below what is kept as it is."""
    network, _, mass = states(seed)
    generator = np.random.default_rng(seed)
    log_y = generator.normal(0.0, (2.0, 200.0)[seed % 2], network.P)
    log_y = allocation.project(network, log_y, mass)[None]
    ascent = generator.normal(0.0, (5.0, 300.0)[seed % 3 == 0], (1, network.P))
    rate = generator.uniform(0.0, 3.0, (1, network.V))
    before = kernels.states_of(log_y, dtype)
    stepped = kernels.step_states(network, before, ascent, rate, mass)
    assert stepped.dtype == dtype
    given = before[0].astype(np.float64)
    kept = np.where(given >= 0.0, np.log(np.maximum(given, 1e-300)), given)
    log_h = kept + rate[0, network.placement_node] * ascent[0]
    expected = allocation.project(network, log_h, mass)
    lost = 8 * float(np.finfo(dtype).eps) * (10 + float(np.abs(log_h[np.isfinite(log_h)]).max(initial=0.0)))
    trace = FILLED * mass[network.placement_node] / network.sizes if network.P else 0.0
    assert (np.abs(kernels.fractions_of(stepped[0]) - np.exp(expected)) <= lost + trace).all()
    small = stepped[0] < 0.0
    assert (np.isinf(stepped[0]) == np.isinf(expected))[small].all()
    small &= np.isfinite(expected) & (expected < -800.0)  # of what is clipped a trace is left, of any size
    whole = ~np.isin(network.placement_node, network.placement_node[expected == 0.0])
    assert stepped[0][small & whole] == pytest.approx(expected[small & whole], abs=lost * 100)


def test_a_long_run_of_states_is_one_of_logarithms() -> None:
    """An idle spell, a burst of fifty times the usual, and thousands of steps: no entry goes astray."""
    generator = np.random.default_rng(0)
    network = shelves((generator.uniform(1.0, 5.0, 30).round(2).tolist(), 40.0))
    mass, worth = network.spendable, generator.uniform(0.0, 6.0, network.P)
    log_y = kernels.project(network, np.zeros((1, network.P)), mass)
    state, rate, gone = kernels.states_of(log_y), np.ones((1, network.V)), 0
    for slot in range(3000):
        scale = 0.0 if 1000 <= slot < 1200 else 50.0 if slot == 1200 else 1.0
        turn = worth if slot // 500 % 2 else worth[::-1]
        ascent = (scale * turn * generator.uniform(0.0, 1.0, network.P))[None]
        log_y = kernels.mirror_step(network, log_y, ascent, rate, mass)
        state = kernels.step_states(network, state, ascent, rate, mass)
        if slot % 100 == 99:
            found, expected = kernels.fractions_of(state)[0], np.exp(log_y[0])
            assert found[expected > 1e-12] == pytest.approx(expected[expected > 1e-12], rel=1e-9)
            small = (state[0] < 0.0) & np.isfinite(state[0])
            assert state[0][small] == pytest.approx(log_y[0][small], rel=1e-9)
            gone += int(small.sum())
    assert gone > 10, "little was ever kept as its logarithm"


def test_where_arrays_lie_does_not_matter() -> None:
    """Loops that might write to what they read are not made of vector instructions: no sum may depend on that."""
    generator = np.random.default_rng(2)
    network = random_network(3)
    state = kernels.states_of(kernels.project(network, generator.normal(size=(1, network.P)), network.spendable))
    ascent, rate = generator.random((1, network.P)), np.ones((1, network.V))
    expected = kernels.step_states(network, state, ascent, rate, network.spendable)
    pool = np.empty(4 * network.P + 16)
    for first, second in itertools.product(range(4), range(4)):
        own = pool[first : first + network.P].reshape(1, -1)
        along = pool[first + second + network.P :][: network.P].reshape(1, -1)
        own[...], along[...] = state, ascent
        assert (kernels.step_states(network, own, along, rate, network.spendable) == expected).all()


def test_node_maximum() -> None:
    network = shelves(([1.0, 2.0, 9.0], 5.0), ([1.0], 2.0))
    values = np.array([[3.0, 4.0, 99.0, -2.0], [-1.0, -2.0, 5.0, 7.0]])
    # what is larger than its node does not count; nothing is below 0; the cloud has no placement
    assert kernels.node_maximum(network, values).tolist() == [[4.0, 0.0, 0.0], [0.0, 7.0, 0.0]]


# --- dependent rounding -----------------------------------------------------------------------------------------


def fractions(network: Network, generator: np.random.Generator, rows: int) -> np.ndarray:
    """Feasible states (B, P) with entries at 0, at 1, next to them and between."""
    y = np.clip(generator.uniform(-0.3, 1.3, (rows, network.P)), 0.0, 1.0)
    y = np.where(generator.random(y.shape) < 0.3, np.round(y * 8) / 8, y)
    y = np.where(generator.random(y.shape) < 0.05, generator.choice([1e-17, 1e-9, 1 - 1e-9, 1 - EPSILON], y.shape), y)
    y = np.where((generator.random(y.shape) < 0.6) & (np.arange(rows) % 2 > 0)[:, None], 10 ** (-4 - 9 * y), y)
    y *= network.fits
    used = np.stack([network.memory_in_use(row) for row in y])
    with np.errstate(divide="ignore", invalid="ignore"):
        shrink = np.where(used > network.budgets, network.budgets / used, 1.0)
    return y * shrink[:, network.placement_node]


@pytest.mark.parametrize("rounding", [allocation.round_dependent, kernels.round_dependent])
def test_rounding_refuses_another_residual(rounding: Any) -> None:
    network = shelves(([1.0, 2.0], 2.0))
    with pytest.raises(IdnError, match="residual: 'keep'; allowed: 'coin', 'drop', 'fit', 'reserve'"):
        rounding(network, np.zeros((1, 2)), np.zeros((1, 2)), "keep")


@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("seed", range(30))
def test_kernel_rounds_as_the_reference(seed: int, residual: Any) -> None:
    network = random_network(seed, ties=seed % 2 == 0)
    generator = np.random.default_rng(seed)
    y, uniforms = fractions(network, generator, 5), generator.random((5, network.P))
    rounded = kernels.round_dependent(network, y, uniforms, residual)
    assert rounded.dtype == np.int8
    for b in range(5):
        assert rounded[b].tolist() == allocation.round_dependent(network, y[b], uniforms[b], residual).tolist()


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - EPSILON / 2])
def test_extreme_draws(uniform: float) -> None:
    network = random_network(4)
    y = fractions(network, np.random.default_rng(0), 4)
    uniforms = np.full(y.shape, uniform)
    for residual in RESIDUALS:
        rounded = kernels.round_dependent(network, y, uniforms, residual)
        for b in range(4):
            assert rounded[b].tolist() == allocation.round_dependent(network, y[b], uniforms[b], residual).tolist()
            assert rounded[b][y[b] == 1.0].all()


@pytest.mark.parametrize("seed", range(40))
def test_rounding_keeps_memory_up_to_one_entry(seed: int) -> None:
    network = random_network(seed, ties=seed % 2 == 0)
    generator = np.random.default_rng(seed)
    y = np.repeat(fractions(network, generator, 1), 50, axis=0)
    rounded = kernels.round_dependent(network, y, generator.random(y.shape), "coin")
    assert set(np.unique(rounded)) <= {0, 1}
    assert (rounded[y == 0.0] == 0).all()
    assert (rounded[y == 1.0] == 1).all()
    for x, state in zip(rounded, y, strict=True):
        for at in nodes_of(network):
            over = float(network.sizes[at] @ (x[at] - state[at]))
            allowed = 1e-12 * float(network.sizes[at].sum())
            # had one fractional entry been left as it was, the sum would be what it was
            last = [
                (-s if held else 0.0, 0.0 if held else s)
                for s, held, part in zip(network.sizes[at], x[at], state[at], strict=True)
                if 0.0 < part < 1.0
            ]
            assert abs(over) <= allowed or any(low - allowed <= -over <= high + allowed for low, high in last)


@pytest.mark.parametrize("placed", [1, 3])
def test_equal_sizes_place_a_fixed_number(placed: int) -> None:
    network = shelves(([2.0] * 5, 2.0 * placed))
    y = np.tile(np.array([0.9, 0.8, 0.55, 0.45, 0.3]) * placed / 3, (2000, 1))
    rounded = kernels.round_dependent(network, y, np.random.default_rng(placed).random(y.shape), "coin")
    # s.y is a whole number of models but for the rounding of the sum, so no coin is left to toss but a void one
    assert set(rounded.sum(axis=1).tolist()) == {placed}
    assert len({tuple(x) for x in rounded.tolist()}) == math.comb(5, placed), "every subset has a chance"


def within(draws: int, questions: int) -> float:
    """Half-width of a confidence interval of `questions` frequencies at once: Hoeffding and Bonferroni, at `DOUBT`."""
    return math.sqrt(math.log(2 * questions / DOUBT) / (2 * draws))


@pytest.mark.parametrize("seed", range(3))
def test_coin_keeps_every_marginal(seed: int) -> None:
    generator = np.random.default_rng(seed)
    nodes = [(generator.uniform(0.5, 6.0, n).round(2).tolist(), float(generator.uniform(7, 12))) for n in (1, 2, 5, 12)]
    network = shelves(*nodes)
    mass = network.spendable * generator.uniform(0.3, 1.0, network.V)
    y = np.exp(allocation.project(network, generator.normal(0.0, 1.0, network.P), mass))
    draws = 100_000
    rounded = kernels.round_dependent(network, np.tile(y, (draws, 1)), generator.random((draws, network.P)), "coin")
    assert rounded.mean(axis=0) == pytest.approx(y, abs=within(draws, network.P))


def test_coin_by_hand() -> None:
    """The law of a pair. In the first node y = (0.3, 0.5) of equal sizes: with 3/8 the first takes all, 0.8, and gets
    its coin, else the second does: (1, 0) with 0.3, (0, 1) with 0.5, neither with 0.2.
    In the second, of sizes 1 and 2, y = (0.5, 0.5): 0.5 MB move either way with a half each, to (1, 0.25) or
    (0, 0.75), and a coin on the larger: both with 1/8, the smaller alone 3/8, the larger alone 3/8, neither 1/8.
    """
    network = shelves(([3.0, 3.0], 9.0), ([1.0, 2.0], 9.0))
    draws = 200_000
    y = np.tile([0.3, 0.5, 0.5, 0.5], (draws, 1))
    rounded = kernels.round_dependent(network, y, np.random.default_rng(1).random(y.shape), "coin")
    expected = [
        {(1, 0): 0.3, (0, 1): 0.5, (0, 0): 0.2, (1, 1): 0.0},
        {(1, 1): 0.125, (1, 0): 0.375, (0, 1): 0.375, (0, 0): 0.125},
    ]
    # the nodes are independent: the product of their laws, over all 16 outcomes
    seen = np.bincount(rounded @ [8, 4, 2, 1], minlength=16) / draws
    for one, other in itertools.product(*expected):
        probability = expected[0][one] * expected[1][other]
        frequency = seen[8 * one[0] + 4 * one[1] + 2 * other[0] + other[1]]
        assert frequency == pytest.approx(probability, abs=within(draws, 16) if probability else 0.0)


def test_tail_by_hand() -> None:
    """Sizes of 1 MB, and y = (0.5, 6e-5, 3e-5): the last two are a tail of W = 9e-5 MB, which comes first.

    It takes the 0.5 with W/(0.5 + W), where the draw of the pair is below 1.8e-4: so all that can happen to the tail
    does where it is below 2e-4, and its marginals there are 6e-5 and 3e-5 of 2e-4.
    """
    network = shelves(([1.0, 1.0, 1.0], 9.0))
    assert network.tail[0] == 1e-4
    draws, part = 200_000, 2e-4
    y, mass = np.tile([0.5, 6e-5, 3e-5], (draws, 1)), 9e-5
    uniforms = np.random.default_rng(3).random(y.shape)
    uniforms[:, 0] *= part
    rounded = kernels.round_dependent(network, y, uniforms, "coin")
    first = (part - mass / (0.5 + mass)) * (0.5 + mass)
    assert rounded.mean(axis=0) == pytest.approx(np.array([first, 6e-5, 3e-5]) / part, abs=within(draws, 3))
    assert rounded.sum(axis=1).max() == 1
    uniforms[:, 0] = part + (1.0 - part) * np.random.default_rng(4).random(draws)
    rounded = kernels.round_dependent(network, y, uniforms, "coin")
    assert not rounded[:, 1:].any()
    assert rounded[:, 0].mean() == pytest.approx((0.5 + mass), abs=within(draws, 1))


def test_a_tail_weighs_less_than_any_placement() -> None:
    """However much larger all of a node are than its smallest, and whatever part of it is below the threshold."""
    network = shelves(([0.001, *[50.0] * 100], 60.0), ([2.0], 1.0), ([1.0, 3.0], 3.0))
    largest = network.tail[network.placement_node] * network.sizes
    smallest = [network.sizes[at].min(initial=np.inf) for at in nodes_of(network)]
    assert (np.bincount(network.placement_node, largest, minlength=network.V) < smallest).all()
    assert network.tail[1:3].tolist() == [1e-4, 1e-4]


@pytest.mark.parametrize("residual", ["coin", "drop"])
def test_a_state_with_a_tail_keeps_marginals_and_memory(residual: Any) -> None:
    """Ten entries and a tail of 90: E[x] = y and, since what moves between two never makes both larger on average,
    E[x_i x_j] <= y_i y_j; each draw takes the MB of the state but for one entry, and `drop` never more than those.
    """
    generator, draws, entries = np.random.default_rng(5), 20_000, 10
    sizes = generator.uniform(1.0, 3.0, 100).round(2)
    log_h = np.where(np.arange(100) < entries, generator.normal(0.0, 0.7, 100), generator.uniform(-16.0, -11.0, 100))
    network = shelves((sizes.tolist(), 10.0))
    y = np.exp(allocation.project(network, log_h, network.spendable))
    assert (y[entries:] < network.tail[0]).all()
    assert (y[:entries] > network.tail[0]).all()
    rounded = kernels.round_dependent(network, np.tile(y, (draws, 1)), generator.random((draws, 100)), residual)
    used = rounded @ sizes
    if residual == "drop":
        assert (used <= network.room[0]).all()
        return
    assert (np.abs(used - sizes @ y) < sizes.max()).all()
    x = rounded.astype(float)
    half = within(draws, entries + entries**2)
    assert x[:, :entries].mean(axis=0) == pytest.approx(y[:entries], abs=half)
    pairs = x[:, :entries].T @ x[:, :entries] / draws - np.outer(y, y)[:entries, :entries]
    assert (pairs[~np.eye(entries, dtype=bool)] <= half).all()
    assert x[:, entries:].sum(axis=1).mean() <= y[entries:].sum() + half


def test_a_single_fraction_is_a_coin() -> None:
    network = shelves(([4.0, 1.0, 2.0], 5.0))
    draws = 100_000
    y = np.tile([0.15, 1.0, 0.0], (draws, 1))
    rounded = kernels.round_dependent(network, y, np.random.default_rng(2).random(y.shape), "coin")
    assert (rounded[:, 1:] == [1, 0]).all()
    assert rounded[:, 0].mean() == pytest.approx(0.15, abs=within(draws, 1))


@pytest.mark.parametrize("seed", range(20))
def test_drop_and_reserve_keep_every_budget(seed: int) -> None:
    network = random_network(seed, ties=seed % 2 == 0)
    generator = np.random.default_rng(seed)
    log_h = generator.normal(0.0, 1.5, network.P)
    uniforms = generator.random((200, network.P))

    full = np.exp(allocation.project(network, log_h, network.spendable))
    dropped = kernels.round_dependent(network, np.tile(full, (200, 1)), uniforms, "drop")
    coins = kernels.round_dependent(network, np.tile(full, (200, 1)), uniforms, "coin")
    for x, coin in zip(dropped, coins, strict=True):
        allocation.check(network, x, integral=True)
        lost = network.placement_node[(coin == 1) & (x == 0)]
        assert len(lost) == len(set(lost.tolist())), "more than the last fractional entry of a node was dropped"
        room = network.budgets - network.memory_in_use(x)
        could = network.fits & (x == 0) & (network.sizes < room[network.placement_node] * (1 - 1e-9))
        assert not could.any(), "what still fits was not packed"

    largest = np.zeros(network.V)
    np.maximum.at(largest, network.placement_node, network.sizes * network.fits)
    reduced = np.exp(allocation.project(network, log_h, np.maximum(network.spendable - largest, 0.0)))
    for x in kernels.round_dependent(network, np.tile(reduced, (200, 1)), uniforms, "reserve"):
        allocation.check(network, x, integral=True)


def test_rounding_refuses_other_shapes() -> None:
    network = shelves(([1.0, 1.0], 2.0))
    with pytest.raises(IdnError, match=r"^allocation: shape \(1, 3\); must be \(B, 2\)"):
        kernels.round_dependent(network, np.zeros((1, 3)), np.zeros((1, 2)))
    with pytest.raises(IdnError, match=r"^uniforms: shape \(1, 3\); must be \(B, 2\)"):
        kernels.round_dependent(network, np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(IdnError, match=r"^uniforms: 1 rows; must be 2"):
        kernels.round_dependent(network, np.zeros((2, 2)), np.zeros((1, 2)))
    with pytest.raises(IdnError, match=r"^log_h: shape \(2,\); must be \(B, 2\)"):
        kernels.project(network, np.zeros(2), np.zeros(2))
    with pytest.raises(IdnError, match=r"^values: shape \(2,\); must be \(B, 2\)"):
        kernels.node_maximum(network, np.zeros(2))
