"""Bounds part by part: any charges prove a bound, good ones a good one, and what is no partition is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from idn_agents.optimum.certificate import OPEN, Certificate, Leaf, certified_bound
from idn_agents.optimum.certificate_file import read_certificate, verify, write_certificate
from instances import random_network
from test_certificate import exact_optimum

from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace


def parted(network: Network) -> list[np.ndarray]:
    """The types (R,) of each task."""
    tasks = np.array([network.type_names[rho][0] for rho in range(network.R)])
    return [tasks == task for task in np.unique(tasks)]


def leaf(network: Network, points: int, types: np.ndarray, generator: np.random.Generator) -> Leaf:
    """All allocations, with weights at random, for some types."""
    open_ = np.full(network.P, OPEN, dtype=np.int8)
    return Leaf(open_, np.arange(points), generator.random((points, network.R)) / points, types)


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


def test_files_of_the_formats_before_are_read(tmp_path: Path) -> None:
    """-3 has charges that parts share, a tree for each part; -2 has neither."""
    scenario = load_scenario("tiny")
    network = Network.compile(scenario)
    trace, generator = draw(network, 5, 0), np.random.default_rng(0)
    points = generator.random((3, network.P))
    parts = tuple(leaf(network, 3, types, generator) for types in parted(network))
    whole = (leaf(network, 3, np.ones(network.R, dtype=np.bool_), generator),)
    for number, leaves, charges in ((3, parts, generator.random(network.P)), (2, whole, None)):
        file, spec = tmp_path / f"{number}.json", RunSpec(scenario, AgentSpec("optimum"), slots=5)
        none = np.zeros(network.P, dtype=np.int8)
        write_certificate(file, spec, network, trace, none, Certificate(points, leaves, charges))
        content = json.loads(file.read_text()) | {"format": f"idn-gym/certificate-{number}"}
        if charges is None:
            del content["charges"], content["leaves"][0]["tasks"]
        file.write_text(json.dumps(content))
        found = read_certificate(file)
        assert verify(network, trace, found).faults == ()
        assert bool(found.charges) == (charges is not None)
        content["certified_bound"] *= 0.999
        file.write_text(json.dumps(content))
        assert "certified_bound: claims" in verify(network, trace, read_certificate(file)).faults[0]
