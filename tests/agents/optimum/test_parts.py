"""Bounds part by part: any charges prove a bound, good ones a good one, and what is no partition is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from idn_agents.optimum.certificate import OPEN, Certificate, Leaf, certified_bound
from idn_agents.optimum.certificate_file import read_certificate, verify, write_certificate
from idn_agents.optimum.parts import parted
from idn_agents.optimum.search import solve
from idn_agents.optimum.solution import Solution
from instances import random_network
from test_certificate import exact_optimum

from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace


def leaf(network: Network, points: int, types: np.ndarray, generator: np.random.Generator) -> Leaf:
    """All allocations, with weights at random, for some types."""
    open_ = np.full(network.P, OPEN, dtype=np.int8)
    return Leaf(open_, np.arange(points), generator.random((points, network.R)) / points, types)


def test_parts_are_tasks_where_requests_need_one_model_and_chains_join_tasks() -> None:
    for name in ("tiny", "topology-2-fixed", "pipeline-video"):
        network = Network.compile(load_scenario(name))
        terms, parts = network.service.terms, parted(network)
        assert (np.sum(parts, axis=0) == 1).all()
        placements = [set(terms.placement[types[terms.type]].tolist()) for types in parts]
        assert sum(map(len, placements)) == len(set.union(*placements)), "no placement in two parts"
        if name != "pipeline-video":
            assert len(parts) == network.N
        else:
            assert len(parts) < network.N


def test_any_charges_prove_a_bound() -> None:
    """In rational arithmetic, with charges from nothing to more than all is worth, and branches at random."""
    generator = np.random.default_rng(5)
    checked = seed = 0
    while checked < 40:
        seed += 1
        network = random_network(seed, ties=seed % 2 == 0)
        parts = parted(network)
        if not 0 < network.P <= 10 or len(parts) < 2:
            continue
        trace = Trace(generator.integers(0, 12, (2, network.R)) * 1.0, network.capacities[None])
        best = exact_optimum(network, trace)
        points = generator.random((3, network.P))
        leaves = []
        for types in parts:
            one = leaf(network, 3, types, generator)
            p = int(generator.integers(network.P))
            for value in (0, 1):
                fixed = one.fixed.copy()
                fixed[p] = value
                leaves.append(Leaf(fixed, one.cuts, one.weights, types))
        charges = generator.random(network.P) * float(generator.choice([0.0, 1.0, 100.0, 1e4]))
        bound = certified_bound(network, trace, Certificate(points, tuple(leaves), charges))
        assert Fraction(bound) >= best
        checked += 1


def test_what_is_no_partition_is_refused() -> None:
    network = Network.compile(load_scenario("tiny"))
    trace, generator = draw(network, 3, 0), np.random.default_rng(0)
    first, second = parted(network)
    whole = [leaf(network, 0, types, generator) for types in (first, second)]
    charges = np.zeros(network.P)
    assert certified_bound(network, trace, Certificate(np.zeros((0, network.P)), tuple(whole), charges)) > 0.0
    with pytest.raises(IdnError, match="none is about"):
        certified_bound(network, trace, Certificate(np.zeros((0, network.P)), tuple(whole[:1]), charges))
    halves = [np.arange(network.R) == rho for rho in range(network.R)]
    split = tuple(leaf(network, 0, types, generator) for types in halves)
    with pytest.raises(IdnError, match="two parts"):
        certified_bound(network, trace, Certificate(np.zeros((0, network.P)), split, charges))


def test_parts_close_what_one_tree_leaves_open(tmp_path: Path) -> None:
    """Where accuracy weighs more than latency and budgets are tight; and the file of it is verified."""
    tight = [
        "accuracy_weight=4",
        *(f"nodes.{node.name}.budget={0.5 * node.budget}" for node in load_scenario("topology-2-fixed").nodes),
    ]
    scenario = load_scenario("topology-2-fixed", tight)
    network = Network.compile(scenario)
    trace = draw(network, 6, 0)
    one, parts = (solve(network, trace, gap=0.001, leaves=leaves) for leaves in (1, 32))
    assert one.certified_bound > 1.02 * one.gain
    assert parts.gain <= parts.certified_bound <= 1.003 * parts.bound
    assert parts.certified_bound >= one.gain
    file = tmp_path / "c.json"
    write_certificate(file, RunSpec(scenario, AgentSpec("optimum"), slots=6), network, trace, *_claim(parts))
    found = read_certificate(file)
    assert found.charges
    assert verify(network, trace, found).faults == ()
    content = json.loads(file.read_text())
    free = {node: dict.fromkeys(models, 0.0) for node, models in content["charges"].items()}
    for charges, says in ((free, "certified_bound: claims"), ({"nowhere": {}}, "unknown node 'nowhere'")):
        file.write_text(json.dumps(content | {"charges": charges}))
        assert says in _said(network, trace, file)
    content["leaves"][0]["tasks"] = ["flying"]
    file.write_text(json.dumps(content))
    assert "leaves.0.tasks: no request type for task 'flying'" in _said(network, trace, file)


def test_one_tree_has_to_do_where_little_is_left_unless_leaves_are_asked_for() -> None:
    """At twice the budgets one leaf leaves 0.1 to 0.4 % at alpha 1, and more at alpha 4."""
    ample = [f"nodes.{node.name}.budget={2 * node.budget}" for node in load_scenario("topology-2-fixed").nodes]
    accurate = [*ample, "accuracy_weight=4"]
    for overrides, leaves, expected in ((ample, None, False), (ample, 32, True), (accurate, None, True)):
        network = Network.compile(load_scenario("topology-2-fixed", overrides))
        trace = draw(network, 6, 0)
        left = solve(network, trace, leaves=1)
        assert (left.certified_bound > 1.004 * left.gain) == (overrides is not ample)
        assert left.certified_bound > 1.001 * left.gain
        assert (solve(network, trace, leaves=leaves).certificate.charges is not None) == expected


def test_files_of_the_format_before_are_read(tmp_path: Path) -> None:
    scenario = load_scenario("tiny")
    network = Network.compile(scenario)
    trace = draw(network, 5, 0)
    solution = solve(network, trace, leaves=1)
    file = tmp_path / "c.json"
    write_certificate(file, RunSpec(scenario, AgentSpec("optimum"), slots=5), network, trace, *_claim(solution))
    content = json.loads(file.read_text())
    assert content["format"] == "idn-gym/certificate-3"
    del content["charges"]
    file.write_text(json.dumps(content | {"format": "idn-gym/certificate-2"}))
    assert verify(network, trace, read_certificate(file)).faults == ()


def _claim(solution: Solution) -> tuple[np.ndarray, Certificate]:
    return solution.allocation, solution.certificate


def _said(network: Network, trace: Trace, file: Path) -> str:
    try:
        return " ".join(verify(network, trace, read_certificate(file)).faults)
    except IdnError as error:
        return str(error)
