"""What types are left with where they pay for placements, and the bounds of it: exact, against all choices."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from idn_agents.optimum import charges as charging
from idn_agents.optimum.certificate import OPEN, Certificate, Leaf, certified_bound
from idn_agents.optimum.certificate_file import read_certificate, verify, write_certificate
from idn_agents.optimum.charges import grouped, most_left
from idn_agents.optimum.charges_kernel import most_of as searched
from idn_agents.optimum.search import solve
from instances import random_network
from test_certificate import exact_optimum

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace


def small(generator: np.random.Generator, count: int, placements: int = 10) -> list[tuple[Network, Trace]]:
    """Networks of few placements, some with replicas, with traces of four slots."""
    found: list[tuple[Network, Trace]] = []
    for seed in itertools.count():
        network = random_network(seed, ties=seed % 2 == 0)
        if seed % 5 == 0:
            replicated = network.scenario.to_dict() | {"replicas": 2}
            network = Network.compile(type(network.scenario).model_validate(replicated))
        if 0 < network.P <= placements:
            requests = generator.integers(0, 12, (4, network.R)) * generator.choice([1.0, 0.1, 1e6])
            varying = network.capacities * generator.uniform(0.0, 1.5, (4, network.P))
            found.append((network, Trace(requests, varying if seed % 3 == 0 else network.capacities[None])))
        if len(found) == count:
            return found
    raise AssertionError


def type_gain(network: Network, trace: Trace, rho: int, held: np.ndarray) -> float:
    """Gain of one type, by the readable reference."""
    return sum(
        float(network.service.serve_types(r, trace.capacities_at(t), held).gain[rho])
        for t, r in enumerate(trace.requests)
    )


def test_what_is_left_is_the_most_over_all_choices() -> None:
    """With placements fixed, budgets that keep some out, charges from nothing to too much; no more by over 1e-9."""
    generator = np.random.default_rng(1)
    for network, trace in small(generator, 40, placements=8):
        terms, load = network.service.terms, kernels.loads(network, trace.requests)
        alone = kernels.type_cuts(network, trace.requests, trace.capacities, np.zeros(network.P), load)[1]
        charges = alone * generator.choice([0.0, 0.2, 0.5, 0.9, 1.0, 3.0], len(alone))
        fixed = generator.choice([OPEN, OPEN, OPEN, 0, 1], network.P).astype(np.int8)
        held = [
            np.array(bits, dtype=np.float64)
            for bits in itertools.product((0, 1), repeat=network.P)
            if all(f in (OPEN, b) for f, b in zip(fixed, bits, strict=True))
        ]
        fitting = [x for x in held if (network.memory_in_use(x) <= network.budgets * (1.0 + 1e-9)).all()]
        left, meant = most_left(network, trace.requests, trace.capacities, load, charges, fixed)
        assert (meant == np.minimum(charges, alone)).all()
        if not fitting:
            continue
        for rho in range(network.R):
            own = slice(terms.start[rho], terms.start[rho + 1])
            best = max(type_gain(network, trace, rho, x) - float(meant[own] @ x[terms.placement[own]]) for x in fitting)
            ceiling = type_gain(network, trace, rho, np.ones(network.P)) + 1e-12
            assert best <= left[rho] <= best + 1e-9 * ceiling * network.P


def test_a_search_that_is_cut_short_leaves_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    higher = 0
    for network, trace in small(generator, 20):
        load, fixed = kernels.loads(network, trace.requests), np.full(network.P, OPEN, dtype=np.int8)
        of = network, trace.requests, trace.capacities, load
        alone = kernels.type_cuts(network, trace.requests, trace.capacities, np.zeros(network.P), load)[1]
        charges = 0.3 * alone
        monkeypatch.setattr(charging, "CHOICES", 20_000)
        exact = most_left(*of, charges, fixed)[0]
        monkeypatch.setattr(charging, "CHOICES", 1)
        short = most_left(*of, charges, fixed)[0]
        assert (short >= exact * (1.0 - 1e-12)).all()
        higher += int((short > exact * 1.001).any())
    assert higher > 0


def test_a_long_search_sums_up_no_rounding_errors() -> None:
    """Rooms are restored to the bit; what is left is that of the choice met, within the rounding of its own sums."""
    generator = np.random.default_rng(3)
    longest = 0
    for _ in range(40):
        n = int(generator.integers(16, 26))
        costs = np.append(np.sort(generator.random(n)) * 0.01, 1.0)
        shares = generator.uniform(0.05, 0.2, (1, n))
        charges = (1.0 - costs[:n]) * shares[0] * generator.uniform(0.6, 0.9)
        fixed, chosen = np.full(n, OPEN, dtype=np.int8), np.zeros(n, dtype=np.bool_)
        fixed[:2] = 1
        sizes, nodes, rooms = generator.uniform(1.0, 11.0, n), generator.integers(0, 3, n), generator.uniform(40, 60, 3)
        before = rooms.copy()
        of_type = np.ones(1), shares, costs, charges, fixed, sizes, nodes, rooms
        left, looked = searched(*of_type, 20_000, chosen)
        longest = max(longest, looked)
        assert (rooms == before).all()
        met, unserved = Fraction(0), Fraction(1)
        for k in np.flatnonzero(chosen):
            served = min(unserved, Fraction(float(shares[0, k])))
            unserved -= served
            met += served * (Fraction(1) - Fraction(float(costs[k]))) - Fraction(float(charges[k]))
        rounded = 4 * n * Fraction(2) ** -53
        given_up = Fraction(2e-7) * looked if looked > 200 else Fraction(0)  # of the ceiling, here 1
        assert -rounded <= Fraction(left) - met
        assert looked >= 20_000 or Fraction(left) - met <= rounded + given_up
    assert longest > 1000


def test_any_charges_of_types_prove_a_bound() -> None:
    """In rational arithmetic, of leaves that branch at random, with charges at random in each."""
    generator = np.random.default_rng(3)
    for network, trace in small(generator, 40):
        best = exact_optimum(network, trace)
        load = kernels.loads(network, trace.requests)
        alone = kernels.type_cuts(network, trace.requests, trace.capacities, np.zeros(network.P), load)[1]
        p = int(generator.integers(network.P))
        leaves = []
        for value in (0, 1):
            fixed = np.full(network.P, OPEN, dtype=np.int8)
            fixed[p] = value
            scale = float(generator.choice([0.0, 0.1, 1.0, 1e6]))
            charges = alone * generator.random(len(alone)) * scale
            leaves.append(Leaf(fixed, np.zeros(0, dtype=np.int64), np.zeros((0, network.R)), charges=charges))
        bound = certified_bound(network, trace, Certificate(np.zeros((0, network.P)), tuple(leaves)))
        assert Fraction(bound) >= best


def test_what_a_file_asks_for_ends_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many leaves over many slots have fewer choices looked at, down to one; and so many terms are not begun with."""
    network = Network.compile(load_scenario("topology-2-fixed"))
    trace = draw(network, 200, 0)
    load, fixed = kernels.loads(network, trace.requests), np.full(network.P, OPEN, dtype=np.int8)
    of = network, trace.requests, trace.capacities, load
    charges = 0.3 * kernels.type_cuts(network, trace.requests, trace.capacities, np.zeros(network.P), load)[1]
    monkeypatch.setattr(charging, "CHOICES", 1)
    one = most_left(*of, charges, fixed)[0]
    monkeypatch.setattr(charging, "CHOICES", 10**9)
    assert (most_left(*of, charges, fixed, 10**12)[0] == one).all()
    leaf = Leaf(fixed, np.zeros(0, dtype=np.int64), np.zeros((0, network.R)), charges=charges)
    certificate, file = Certificate(np.zeros((0, network.P)), (leaf,)), tmp_path / "c.json"
    spec = RunSpec(network.scenario, AgentSpec("optimum"), slots=200)
    write_certificate(file, spec, network, trace, np.zeros(network.P, dtype=np.int8), certificate)
    endless = Trace(np.broadcast_to(np.zeros((1, network.R)), (2**40, network.R)), trace.capacities[:1], varying=False)
    with pytest.raises(IdnError, match="1 leaves with type_charges, 1099511627776 slots"):
        verify(network, endless, read_certificate(file))


def test_groups_of_slots_gain_no_less() -> None:
    generator = np.random.default_rng(4)
    requests, shares = generator.integers(0, 9, 50) * 1.0, generator.random((50, 3))
    like, mean = grouped(requests, shares, 7)
    assert like.sum() == requests.sum()
    assert len(like) == 7
    np.testing.assert_allclose(like @ mean, requests @ shares)
    for x in itertools.product((0.0, 1.0), repeat=3):
        assert like @ np.minimum(1.0, mean @ x) >= requests @ np.minimum(1.0, shares @ x) - 1e-9


def test_envelopes_close_what_cut_points_leave_open(tmp_path: Path) -> None:
    """Where accuracy weighs more than latency and budgets are tight; and the file of it is verified."""
    tight = [
        "accuracy_weight=4",
        *(f"nodes.{node.name}.budget={0.5 * node.budget}" for node in load_scenario("topology-2-fixed").nodes),
    ]
    scenario = load_scenario("topology-2-fixed", tight)
    network = Network.compile(scenario)
    trace = draw(network, 6, 0)
    told: list[tuple[float, str]] = []
    found = solve(network, trace, gap=0.001, leaves=1, progress=lambda gain, bound, phase: told.append((bound, phase)))
    assert next(bound for bound, phase in told if phase == "round") > 1.02 * found.gain
    assert found.gain <= found.certified_bound <= 1.003 * found.bound
    assert found.certificate.leaves[0].charges is not None
    file = tmp_path / "c.json"
    spec = RunSpec(scenario, AgentSpec("optimum"), slots=6)
    write_certificate(file, spec, network, trace, found.allocation, found.certificate)
    read = read_certificate(file)
    assert read.format == "idn-gym/certificate-4"
    assert verify(network, trace, read).faults == ()
    free = read.model_copy(update={"leaves": [read.leaves[0].model_copy(update={"type_charges": {}})]})
    assert "certified_bound: claims" in verify(network, trace, free).faults[0]


def test_chains_have_no_charges_of_types() -> None:
    network = Network.compile(load_scenario("pipeline-video"))
    trace = draw(network, 2, 0)
    fixed = np.full(network.P, OPEN, dtype=np.int8)
    charges = np.zeros(len(network.service.terms))
    leaf = Leaf(fixed, np.zeros(0, dtype=np.int64), np.zeros((0, network.R)), charges=charges)
    with pytest.raises(IdnError, match="charges of request types: takes services of one stage"):
        certified_bound(network, trace, Certificate(np.zeros((0, network.P)), (leaf,)))
