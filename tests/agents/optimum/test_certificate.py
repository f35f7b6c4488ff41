"""Certificates: what `verify` accepts holds, to the last bit, against brute force in exact arithmetic."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Outcome, in_process
from hypothesis import given
from hypothesis import strategies as st
from idn_agents.optimum import certificate_file
from idn_agents.optimum.certificate import (
    OPEN,
    Certificate,
    certified_bound,
    certified_gain,
    refuse_uncovered,
)
from idn_agents.optimum.certificate_file import CertificateFile, read_certificate, verify, write_certificate
from idn_agents.optimum.knapsack import knapsacks
from idn_agents.optimum.rounding import operations, rounding
from idn_agents.optimum.search import solve
from idn_agents.optimum.solution import Solution
from instances import ANY_JSON, random_network

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model import allocation
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

INSTANCES = 200


def exact_gain(network: Network, trace: Trace, held: np.ndarray) -> Fraction:
    """Gain of an allocation in rational arithmetic, from the float64 figures of the network and the trace."""
    total = Fraction(0)
    for t in range(trace.slots):
        requests = [Fraction(float(r)) for r in trace.requests[t]]
        load: dict[int, Fraction] = {}
        for rho, groups in enumerate(network.service.path_groups.tolist()):
            for group in groups:
                load[group] = load.get(group, Fraction(0)) + requests[rho]
        for rho in range(network.R):
            if not requests[rho]:
                continue
            left, last = Fraction(1), int(network.service.option_count[rho]) - 1
            for k in range(last):
                p = int(network.service.options[rho, k])
                capacity = Fraction(float(trace.capacities_at(t)[p]))
                share = min(Fraction(1), capacity / load[int(network.placement_group[p])])
                served = min(left, share * Fraction(float(held[p])))
                saved = Fraction(float(network.service.costs[rho, last])) - Fraction(
                    float(network.service.costs[rho, k])
                )
                total += requests[rho] * served * saved
                left -= served
    return total


def feasible_allocations(network: Network) -> np.ndarray:
    """(n, P) all integral allocations to which nothing can be added."""
    per_node = []
    for v in range(network.V):
        here = np.arange(network.node_start[v], network.node_start[v + 1])
        bits = np.array(list(itertools.product((0.0, 1.0), repeat=len(here)))).reshape(2 ** len(here), len(here))
        fitting = bits[bits @ network.sizes[here] <= network.budgets[v] * (1 + 1e-9)]
        full = [b for b in fitting if not any((c >= b).all() and (c > b).any() for c in fitting)]
        per_node.append(full)
    return np.array([np.concatenate(nodes) for nodes in itertools.product(*per_node)])


def exact_optimum(network: Network, trace: Trace) -> Fraction:
    """Gain of the best feasible allocation: those that floats cannot tell from the best are compared exactly."""
    candidates = feasible_allocations(network)
    gains = np.array([kernels.gain(network, trace.requests, trace.capacities, held).sum() for held in candidates])
    near = candidates[gains >= gains.max() * (1 - 1e-9) - 1e-9]
    return max(exact_gain(network, trace, held) for held in near[:64])


@cache
def instances() -> list[tuple[Network, Trace, Fraction, Solution]]:
    """Small random networks and traces, some with capacities that vary, with their optimum and the solver's word."""
    found = []
    for seed in itertools.count():
        network = random_network(seed, ties=seed % 2 == 0)
        if not 0 < network.P <= 12:
            continue
        generator = np.random.default_rng(seed)
        requests = generator.integers(0, 12, (3, network.R)) * generator.choice([1.0, 0.1, 1e6])
        varying = network.capacities * generator.uniform(0.0, 1.5, (3, network.P))
        trace = Trace(requests, varying if seed % 3 == 0 else network.capacities[None])
        found.append((network, trace, exact_optimum(network, trace), solve(network, trace, gap=0.0)))
        if len(found) == INSTANCES:
            return found
    raise AssertionError


def written(path: Path, network: Network, trace: Trace, solution: Solution) -> CertificateFile:
    """The certificate of a solution, as read back from its file; the stream is handed to `verify` apart."""
    spec = RunSpec(network.scenario, AgentSpec("optimum"), slots=trace.slots)
    write_certificate(path, spec, network, trace, solution.allocation, solution.certificate)
    return read_certificate(path)


def test_bounds_hold_exactly_and_are_tight() -> None:
    """The allowance for rounding is put to the test where a bound is the optimum but for the last digits."""
    tight = 0
    for network, trace, best, solution in instances():
        assert Fraction(solution.certified_bound) >= best
        assert Fraction(certified_gain(network, trace, solution.allocation)) <= best
        tight += bool(solution.certified_bound <= best * (1 + Fraction(1, 10**11)) + Fraction(1, 10**100))
    assert tight == INSTANCES  # 32 leaves are enough for every one of them


def test_a_tree_proves_what_one_leaf_does_not() -> None:
    network = Network.compile(load_scenario("topology-2-fixed"))
    trace = draw(network, 6, 0)
    told: list[tuple[float, float, str]] = []
    one, some = (
        solve(network, trace, gap=0.0, leaves=leaves, progress=lambda *state: told.append(state)) for leaves in (1, 16)
    )
    assert one.gain == some.gain
    assert len(one.certificate.leaves) == 1
    assert len(some.certificate.leaves) == 16
    assert some.gain <= some.certified_bound < one.certified_bound
    assert any(phase.startswith("certify") for _, _, phase in told)


@pytest.mark.parametrize("replicas", [1, 2])
def test_trees_never_prove_less_than_the_optimum(tmp_path: Path, replicas: int) -> None:
    """Sizes, budgets and capacities that leave one leaf a gap now and then, against the exact optimum."""
    branched = several = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        values = load_scenario("tiny").to_dict()
        values["models"] = values["models"][: 5 if replicas == 1 else 2]
        for model in values["models"]:
            for profile in model["profiles"].values():
                profile["size"] = float(generator.choice([1.0, 1.5, 2.0, generator.uniform(0.5, 3.0)]))
        for node in values["nodes"]:
            node["budget"] *= float(generator.uniform(0.6, 1.3))
        values["nodes"][0]["repository"] = [model["name"] for model in values["models"]]
        values["tasks"] = sorted({model["task"] for model in values["models"]})
        network = Network.compile(parse(values | {"replicas": replicas}, "tiny"))
        varying = network.capacities * generator.uniform(0.3, 1.2, (12, network.P))
        trace = Trace(draw(network, 12, seed).requests, varying if seed % 2 else network.capacities[None])
        best = exact_optimum(network, trace)
        solution = solve(network, trace, gap=0.0, leaves=int(generator.choice([2, 5, 32])))
        leaves = solution.certificate.leaves
        branched += len(leaves) > 1
        several += len({np.asarray(leaf.charges).tobytes() for leaf in leaves}) > 1
        assert Fraction(solution.certified_bound) >= best
        assert solution.gain == pytest.approx(float(best), rel=1e-9)
        file = written(tmp_path / "c.json", network, trace, solution)
        assert verify(network, trace, file).faults == ()
        assert Fraction(file.certified_bound) >= best
    if replicas == 1:
        assert branched >= 4
        assert several >= 4


def test_an_interrupt_in_the_tree_leaves_what_is_proven() -> None:
    """The solver's gap is closed by then; that it was interrupted is told all the same, to whom it concerns."""
    network = Network.compile(load_scenario("topology-2-fixed"))
    trace = draw(network, 6, 0)

    def interrupt(gain: float, bound: float, phase: str) -> None:
        if phase.startswith("certify, 4"):
            raise KeyboardInterrupt

    solution = solve(network, trace, gap=0.0, progress=interrupt)
    assert solution.status == "interrupted"
    assert solution.gap == 0.0
    assert len(solution.certificate.leaves) == 4
    one, all_ = (solve(network, trace, gap=0.0, leaves=leaves).certified_bound for leaves in (1, 16))
    assert all_ < solution.certified_bound < one
    assert solution.certified_bound == certified_bound(network, trace, solution.certificate)


def test_genuine_certificates_are_all_accepted(tmp_path: Path) -> None:
    for network, trace, best, solution in instances():
        file = written(tmp_path / "c.json", network, trace, solution)
        verdict = verify(network, trace, file)
        assert verdict.faults == ()
        assert Fraction(file.gain) <= exact_gain(network, trace, solution.allocation) <= best
        assert Fraction(file.certified_bound) >= best
        assert file.certified_bound == pytest.approx(solution.certified_bound, rel=1e-7, abs=1e-9)


def split(network: Network, content: dict[str, Any], generator: np.random.Generator) -> None:
    """Branch on a placement, in place: two leaves with the weights of one."""
    leaves = content["leaves"]
    leaf = leaves.pop(int(generator.integers(len(leaves))))
    p = int(generator.integers(network.P))
    node = network.node_names[network.placement_node[p]]
    model = network.model_names[network.placement_model[p]]
    if model in leaf["placed"].get(node, []) + leaf["left_out"].get(node, []):
        leaves.append(leaf)
        return
    for key in ("placed", "left_out"):
        child = json.loads(json.dumps(leaf))
        child[key].setdefault(node, []).append(model)
        leaves.append(child)


def perturbed(network: Network, content: dict[str, Any], generator: np.random.Generator, best: float) -> dict[str, Any]:
    """A certificate with something in it that is no longer what was written."""
    content = json.loads(json.dumps(content))
    for _ in range(int(generator.integers(0, 5))):
        split(network, content, generator)
    weights = [each for leaf in content["leaves"] for each in leaf["weights"]]
    for numbers in content["points"] + [each["types"] for each in weights]:
        for inner in numbers.values():
            for name in inner:
                if generator.random() < 0.3:
                    inner[name] = float(np.clip(inner[name] + generator.normal(0.0, 0.3), 0.0, 1.0))
    for charges in [leaf["type_charges"] for leaf in content["leaves"] if "type_charges" in leaf]:
        for by_node in [each for by_entry in charges.values() for each in by_entry.values()]:
            for inner in by_node.values():
                for name in inner:
                    if generator.random() < 0.3:
                        inner[name] *= float(generator.choice([0.0, 0.5, 0.99, 1.0 + 1e-15, 2.0, 1e9]))
    leaves = content["leaves"]
    leaf = leaves[int(generator.integers(len(leaves)))]
    if leaf["weights"] and generator.random() < 0.3:
        del leaf["weights"][int(generator.integers(len(leaf["weights"])))]
    if generator.random() < 0.2:
        leaf["placed"], leaf["left_out"] = leaf["left_out"], leaf["placed"]
    if len(leaves) > 1 and generator.random() < 0.2:
        leaves.remove(leaf)
    # claims around the truth, down to the last bit of it
    off = float(generator.choice([0.0, 1e-16, 2e-16, 1e-12, 1e-6, 0.1])) * generator.choice([-1.0, 1.0])
    content["certified_bound"] = best * (1.0 + off)
    if generator.random() < 0.5:
        content["gain"] = best * (1.0 + off)
    return content


def test_perturbed_certificates_are_never_accepted_below_the_optimum(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    accepted = refused = 0
    for network, trace, best, solution in instances():
        content = written(tmp_path / "c.json", network, trace, solution).model_dump(exclude_none=True)
        gain = exact_gain(network, trace, solution.allocation)
        for _ in range(5):
            file = CertificateFile.model_validate(perturbed(network, content, generator, float(best)))
            if verify(network, trace, file).faults:
                refused += 1
                continue
            accepted += 1
            assert Fraction(file.certified_bound) >= best
            assert Fraction(file.gain) <= gain
    assert accepted >= 20
    assert refused >= 20


def test_branching_at_random_keeps_a_proof_and_half_of_it_is_none(tmp_path: Path) -> None:
    """What held for all allocations holds for parts of them; with a part missing it holds for nothing."""
    generator = np.random.default_rng(4)
    trees = 0
    for network, trace, best, solution in instances()[::5]:
        content = written(tmp_path / "c.json", network, trace, solution).model_dump(exclude_none=True)
        for _ in range(6):
            split(network, content, generator)
        file = CertificateFile.model_validate(content)
        assert verify(network, trace, file).faults == (), "what held for all holds for parts"
        assert Fraction(file.certified_bound) >= best
        if len(content["leaves"]) == 1:
            continue
        trees += 1
        del content["leaves"][int(generator.integers(len(content["leaves"])))]
        verdict = verify(network, trace, CertificateFile.model_validate(content))
        assert "leaves: do not hold every allocation" in verdict.faults[0]
        assert verdict.certified_bound is None
    assert trees >= 20


@pytest.mark.parametrize(
    ("leaves", "covers"),
    [
        ([[OPEN, OPEN]], True),
        ([[0, OPEN], [1, OPEN]], True),
        ([[0, 0], [0, 1], [1, OPEN]], True),
        ([[OPEN, 0], [0, 1], [1, 1]], True),
        ([[0, OPEN], [1, OPEN], [1, 1]], True),  # one too many does no harm
        ([], False),
        ([[1, OPEN]], False),
        ([[0, 0], [0, 1], [1, 0]], False),
        ([[0, OPEN], [OPEN, 1]], False),
    ],
)
def test_leaves_hold_every_allocation(leaves: list[list[int]], covers: bool) -> None:
    fixed = np.array(leaves, dtype=np.int8).reshape(-1, 2)
    every = list(itertools.product((0, 1), repeat=2))
    held = [xs for xs in every if any(all(f in (OPEN, x) for f, x in zip(leaf, xs, strict=True)) for leaf in leaves)]
    assert covers == (held == every)
    if covers:
        refuse_uncovered(fixed)
    else:
        with pytest.raises(IdnError, match="leaves"):
            refuse_uncovered(fixed)


def test_any_points_and_weights_give_a_bound() -> None:
    """Drawn at random, points over the budgets, weights that sum to anything: a poor bound, never a false one."""
    generator = np.random.default_rng(1)
    for network, trace, best, _ in instances()[::4]:
        points = generator.random((3, network.P)) * generator.integers(0, 2, (3, network.P))
        certificate = Certificate.of(points, generator.normal(0.3, 0.5, (3, network.R)))
        assert Fraction(certified_bound(network, trace, certificate)) >= best


def test_no_cut_at_all_leaves_what_the_types_can_save() -> None:
    network = Network.compile(load_scenario("tiny"))
    trace = draw(network, 5, 0)
    empty = Certificate.of(np.zeros((0, network.P)), np.zeros((0, network.R)))
    everything = network.fits.astype(np.float64)
    expected = exact_gain(network, trace, everything)
    bound = certified_bound(network, trace, empty)
    allowance = Fraction(rounding(operations(network, trace, 0)))  # there, even where this machine's sums are exact
    assert expected * (1 + allowance / 2) <= Fraction(bound) <= expected * (1 + 2 * allowance)


def test_allowance_is_that_of_the_sum_of_so_many_roundings() -> None:
    """Sums of one sign, term by term, against exact ones: within gamma_n, though not by orders of magnitude."""
    generator = np.random.default_rng(2)
    for n in (10, 1000, 100_000):
        terms = generator.random(n) ** 8
        computed = 0.0
        for term in terms.tolist():
            computed += term
        exact = sum(map(Fraction, terms.tolist()))
        assert abs(Fraction(computed) - exact) <= Fraction(rounding(n)) * exact
    assert rounding(1000) == pytest.approx(1000 * 2.0**-53, rel=0.02)


def test_knapsacks_are_exact_or_above() -> None:
    """`Knapsack.maximum` against all subsets, at values that tie and differ in the last bit."""
    generator = np.random.default_rng(3)
    for network, _, _, _ in instances()[::5]:
        for knapsack in knapsacks(network):
            values = generator.integers(1, 4, len(knapsack.placements)) * (1.0 + 2e-16 * generator.integers(0, 3))
            values -= generator.choice([0, 3], len(values))  # some are not worth what they cost
            fixed = generator.choice([OPEN, OPEN, 0, 1], len(values))
            sizes = [Fraction(float(network.sizes[p])) for p in knapsack.placements]
            room = Fraction(knapsack.budget) * (1 + Fraction(1, 10**9))
            choices = [
                bits
                for bits in itertools.product((0, 1), repeat=len(sizes))
                if sum((s for s, b in zip(sizes, bits, strict=True) if b), Fraction(0)) <= room
                and all(f in (OPEN, b) for f, b in zip(fixed, bits, strict=True))
            ]
            won, lost = knapsack.maximum(values, fixed)
            if not choices:
                assert (won, lost) == (-np.inf, 0.0)
                continue
            assert lost == -values[(fixed == 1) & (values < 0.0)].sum()
            best = max(
                sum((Fraction(float(v)) for v, b in zip(values, bits, strict=True) if b), Fraction(0))
                for bits in choices
            )
            error = Fraction(rounding(len(sizes)))
            assert Fraction(won) * (1 + error) - Fraction(lost) * (1 - error) >= best
            assert won - lost == pytest.approx(float(best), rel=1e-12, abs=1e-12)


# --- the command


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for ten slots of tiny."""
    path = tmp_path_factory.mktemp("certificate") / "tiny.json"
    outcome = in_process("optimum", "tiny", "--slots", 10, "--seed", 3, "--certificate", path, "--json")
    assert outcome.status == 0, outcome.stderr
    return path


def changed(path: Path, to: Path, **values: Any) -> Path:
    to.write_text(json.dumps(json.loads(path.read_text()) | values))
    return to


def refused(outcome: Outcome, *texts: str) -> None:
    """Exit status 1 and a line that names the number, no document cut short."""
    assert outcome.status == 1
    assert "Traceback" not in outcome.stderr
    for text in texts:
        assert text in outcome.stderr


def test_verify_needs_nothing_but_the_file(certificate: Path) -> None:
    outcome = in_process("verify", certificate, "--json")
    assert outcome.status == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    content = json.loads(certificate.read_text())
    assert document["ok"] is True
    assert document["faults"] == []
    assert (document["scenario"], document["slots"], document["seed"]) == ("tiny", 10, 3)
    assert document["gain"] == content["gain"] <= document["proven"]["gain"]
    assert document["certified_bound"] == content["certified_bound"] >= document["proven"]["certified_bound"]
    assert "proven for tiny, 10 slots of seed 3" in in_process("verify", certificate).stdout


def test_verify_runs_no_solver(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "highspy", None)
    assert in_process("verify", certificate).status == 0


def test_false_claims_are_refused_with_the_number(certificate: Path, tmp_path: Path) -> None:
    content = json.loads(certificate.read_text())
    low, high = content["certified_bound"] * 0.99, content["gain"] * 1.01
    outcome = in_process("verify", changed(certificate, tmp_path / "low.json", certified_bound=low))
    refused(outcome, "certified_bound: claims", repr(low))
    outcome = in_process("verify", changed(certificate, tmp_path / "high.json", gain=high), "--json")
    refused(outcome, "gain: claims", repr(high))
    assert json.loads(outcome.stdout)["ok"] is False
    everything = {node: [model["name"] for model in content["scenario"]["models"]] for node in ("co", "bs0", "bs1")}
    outcome = in_process("verify", changed(certificate, tmp_path / "big.json", allocation=everything))
    refused(outcome, "holds", "budget")


def test_weaker_claims_are_accepted(certificate: Path, tmp_path: Path) -> None:
    """What still proves its claim is a certificate, whoever wrote it."""
    content = json.loads(certificate.read_text())
    weaker = {"certified_bound": content["certified_bound"] * 1.5, "gain": 0.0, "allocation": {}, "points": []}
    weaker["leaves"] = [{"weights": []}]
    weaker["certified_bound"] *= 10
    assert in_process("verify", changed(certificate, tmp_path / "weak.json", **weaker)).status == 0


def test_another_stream_is_another_claim(certificate: Path, tmp_path: Path) -> None:
    refused(in_process("verify", changed(certificate, tmp_path / "longer.json", slots=20)), "certified_bound: claims")
    requests = tmp_path / "requests.csv"
    assert in_process("trace", "tiny", "--slots", 10, "--seed", 3, "--output", requests).status == 0
    assert in_process("verify", certificate, "--trace", requests).status == 0
    assert in_process("verify", certificate, "--scenario", "tiny").status == 0
    richer = ("--scenario", "tiny", "--set", "nodes.co.budget=100")
    refused(in_process("verify", certificate, *richer), "certified_bound: claims")


def test_a_certificate_for_a_trace_asks_for_it(tmp_path: Path) -> None:
    requests, file = tmp_path / "requests.csv", tmp_path / "c.json"
    assert in_process("trace", "tiny", "--slots", 6, "--output", requests).status == 0
    assert in_process("optimum", "tiny", "--trace", requests, "--certificate", file).status == 0
    outcome = in_process("verify", file)
    assert outcome.status == 2
    assert "requests.csv; give it with --trace" in outcome.stderr
    assert in_process("verify", file, "--trace", requests).status == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"format": "idn-gym/certificate-9"}, "format"),
        ({"gain": "all"}, "gain"),
        ({"certified_bound": -1.0}, "certified_bound"),
        ({"slots": 0}, "slots"),
        ({"extra": 1}, "extra"),
        ({"format": "idn-gym/certificate-1"}, "idn-gym/certificate-2"),
        ({"points": [{"bs0": {"cars/small": 2.0}}]}, "points.0.bs0"),
        ({"points": [{"nowhere": {}}]}, "unknown node 'nowhere'"),
        ({"leaves": []}, "leaves"),
        ({"points": [], "leaves": [{"weights": [{"point": 0, "types": {}}]}]}, "leaves.0.weights: point 0"),
        (
            {"points": [{}], "leaves": [{"weights": [{"point": 0, "types": {"flying": {"bs0": 1.0}}}]}]},
            "no request type for task",
        ),
        ({"leaves": [{"type_charges": {"flying": {"bs0": {}}}}]}, "leaves.0.type_charges: no request type for task"),
        ({"leaves": [{"type_charges": {"cars": {"bs0": {"cloud": {"flying": 1.0}}}}}]}, "unknown model 'flying'"),
        ({"leaves": [{"type_charges": {"cars": {"bs0": {"bs1": {"cars/small": 1.0}}}}}]}, "does not serve it"),
        ({"leaves": [{"type_charges": {"cars": {"bs0": {"bs0": {"cars/small": -1.0}}}}}]}, "type_charges"),
        (
            {"points": [{}], "leaves": [{"type_charges": {}, "weights": [{"point": 0, "types": {}}]}]},
            "has weights and type_charges",
        ),
        ({"leaves": [{"placed": {"bs0": ["flying"]}, "weights": []}]}, "leaves.0.placed: bs0: unknown model 'flying'"),
        ({"allocation": {"nowhere": []}}, "unknown node 'nowhere'"),
        ({"scenario": {}}, "scenario"),
    ],
)
def test_what_is_no_certificate_is_one_line(
    certificate: Path, tmp_path: Path, values: dict[str, Any], says: str
) -> None:
    outcome = in_process("verify", changed(certificate, tmp_path / "wrong.json", **values))
    assert outcome.status == 2
    assert outcome.stdout == ""
    assert says in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_more_than_memory_holds_is_refused_before_it_is_asked_for(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves and points without content take a line each in a file, and a row of numbers each in memory."""
    file = read_certificate(certificate)
    network, trace = file.spec(None, None, None).stream()
    monkeypatch.setattr(certificate_file, "MOST_VALUES", 8 * 1500)
    assert verify(network, trace, file).faults == ()
    many = {"points": [{}] * 30, "leaves": file.leaves[:1] * 60}
    with pytest.raises(IdnError, match="30 points, 60 leaves"):
        verify(network, trace, file.model_copy(update=many))


def test_an_allocation_that_is_not_feasible_has_no_certified_gain() -> None:
    network = Network.compile(load_scenario("tiny"))
    with pytest.raises(IdnError, match="budget"):
        certified_gain(network, draw(network, 2, 0), network.fits.astype(np.int8))
    allocation.check(network, np.zeros(network.P), integral=True)


def test_a_folder_that_is_not_there_is_told_before_the_search(tmp_path: Path) -> None:
    outcome = in_process("optimum", "tiny", "--certificate", tmp_path / "no" / "c.json")
    assert outcome.status == 2
    assert "no folder" in outcome.stderr
    assert "relax" not in outcome.stderr


# --- sizes, and what a certificate names


def test_a_chain_of_leaves_is_a_tree_whatever_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 leaves, each with what the one before has and one placement more; less the last one it is none."""
    leaves = 2000
    fixed = np.full((leaves, leaves), OPEN, dtype=np.int8)
    for n in range(leaves):
        fixed[n, :n] = 0
        fixed[n, n : n + 1] = 1 if n < leaves - 1 else OPEN
    generator = np.random.default_rng(0)
    shuffled = fixed[generator.permutation(leaves)][:, generator.permutation(leaves)]
    refuse_uncovered(shuffled)
    for missing in generator.integers(leaves, size=3):
        with pytest.raises(IdnError, match="leaves"):
            refuse_uncovered(np.delete(shuffled, missing, axis=0))


def test_trees_are_told_from_what_is_none_whatever_their_shape() -> None:
    """Against all allocations: a tree holds each of them, and less a leaf of its own it misses that one's."""
    generator = np.random.default_rng(7)
    for _ in range(300):
        placements = int(generator.integers(1, 7))
        leaves = [np.full(placements, OPEN, dtype=np.int8)]
        for _ in range(int(generator.integers(0, 14))):
            leaf = leaves[int(generator.integers(len(leaves)))]
            free = np.flatnonzero(leaf == OPEN)
            if len(free):
                other = leaf.copy()
                leaf[free[0]], other[free[0]] = 0, 1
                leaves.append(other)
        tree = np.array(leaves)[generator.permutation(len(leaves))][:, generator.permutation(placements)]
        every = np.array(list(itertools.product((0, 1), repeat=placements)))
        holds = ((tree[None] == OPEN) | (tree[None] == every[:, None])).all(axis=2)
        assert (holds.sum(axis=1) == 1).all()
        refuse_uncovered(np.concatenate([tree, tree[:1]]))
        with pytest.raises(IdnError, match="leaves"):
            refuse_uncovered(np.delete(tree, int(generator.integers(len(tree))), axis=0))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"slots": 1_000_000}, "slots: 1000000 of 4 request types; at most 100000 slots"),
        ({"slots": 10**9}, "slots: 1000000000 of 4 request types"),
        ({"slots": 10**400}, "slots"),
        ({"seed": 2**64}, "seed"),
        ({"seed": 10**400}, "seed"),
        ({"gain": 10**400}, "gain"),
        ({"leaves": [{"weights": []}] * 200_000}, "leaves: 200000 of them; at most 10000"),
        ({"points": [{}] * 200_000}, "points: 200000 of them; at most 100000"),
    ],
)
def test_beyond_its_limits_a_file_is_refused(
    certificate: Path, tmp_path: Path, values: dict[str, Any], says: str
) -> None:
    outcome = in_process("verify", changed(certificate, tmp_path / "large.json", **values))
    assert (outcome.status, outcome.stdout) == (2, "")
    assert says in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert len(outcome.stderr.replace(str(tmp_path), "")) <= 300


def test_rows_of_weights_are_limited(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"points": [{}], "leaves": [{"weights": [{"point": 0, "types": {}}] * 4}]}
    file = read_certificate(changed(certificate, tmp_path / "rows.json", **rows))
    network, trace = file.spec(None, None, None).stream()
    monkeypatch.setattr(certificate_file, "_MOST_ROWS", 3)
    with pytest.raises(IdnError, match="at most 3 rows"):
        verify(network, trace, file)


def test_what_cannot_be_verified_is_not_certified(tmp_path: Path) -> None:
    """Before the search; through a file the stream may be as long as the file is."""
    outcome = in_process("optimum", "tiny", "--slots", 100_001, "--certificate", tmp_path / "c.json")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith("idn-gym: slots: 100001 of 4 request types")
    assert "relax" not in outcome.stderr


@pytest.mark.parametrize("seed", [2**53 + 1, 2**64 - 1])
def test_seeds_of_64_bits_are_certified(seed: int, tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    assert in_process("optimum", "tiny", "--slots", 2, "--seed", seed, "--certificate", file).status == 0
    assert json.loads(file.read_text())["seed"] == seed
    assert in_process("verify", file).status == 0


def test_verify_opens_no_file_that_a_certificate_names(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the trace of its scenario's workload, which would be read, and found to be none."""
    (tmp_path / "secret.csv").write_text("not to be read\n")
    content = json.loads(certificate.read_text())
    for workload, option in (
        ({"requests": str(tmp_path / "secret.csv")}, "--trace"),
        ({"requests": "/dev/stdin"}, "--trace"),
        ({"requests": "r.csv", "capacities": str(tmp_path / "secret.csv")}, "--trace"),
    ):
        scenario = content["scenario"] | {"workload": {"kind": "trace", **workload}}
        file = changed(certificate, tmp_path / "c.json", scenario=scenario)
        outcome = in_process("verify", file)
        assert (outcome.status, outcome.stdout) == (2, "")
        assert f"{workload['requests']}; give it with {option}" in outcome.stderr
        assert "not to be read" not in outcome.stderr
    requests = tmp_path / "requests.csv"
    assert in_process("trace", "tiny", "--slots", 10, "--seed", 3, "--output", requests).status == 0
    outcome = in_process("verify", file, "--trace", requests)
    assert outcome.status == 2
    assert "give them with --capacities" in outcome.stderr


def test_the_optimum_of_a_replayed_trace_is_verified_with_that_trace(tmp_path: Path) -> None:
    requests, file = tmp_path / "mine.csv", tmp_path / "c.json"
    assert in_process("trace", "tiny", "--slots", 6, "--output", requests).status == 0
    values = load_scenario("tiny").to_dict() | {"workload": {"kind": "trace", "requests": "mine.csv"}}
    scenario = tmp_path / "replay.json"
    scenario.write_text(json.dumps(values))
    assert in_process("optimum", scenario, "--certificate", file).status == 0
    assert "made for the trace mine.csv; give it with --trace" in in_process("verify", file).stderr
    assert in_process("verify", file, "--trace", requests).status == 0
    assert in_process("verify", file, "--scenario", scenario).status == 0, "what is named on the command line is read"


def test_a_gap_of_claims_that_do_not_hold_is_no_number_for_json(certificate: Path, tmp_path: Path) -> None:
    claims = {"gain": 1e300, "certified_bound": 1e-300}
    outcome = in_process("verify", changed(certificate, tmp_path / "c.json", **claims), "--json")
    assert outcome.status == 1
    assert json.loads(outcome.stdout)["gap"] is None


class TestMangled:
    """However a certificate is mangled, it is verified or refused with an `IdnError` of one line."""

    def verifies_or_refuses(self, folder: Path, content: bytes) -> None:
        says = ""
        file = folder / "mangled.json"
        file.write_bytes(content)
        try:
            found = read_certificate(file)
            network, trace = found.spec(None, None, None).stream()
            says = " ".join(verify(network, trace, found).faults)
        except IdnError as error:
            says = str(error)
        assert "\n" not in says

    @given(data=st.data())
    def test_text_changed(self, certificate: Path, data: st.DataObject) -> None:
        content = certificate.read_bytes()
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(content)))
            stop = data.draw(st.integers(start, min(len(content), start + 12)))
            content = content[:start] + data.draw(st.binary(max_size=12)) + content[stop:]
        self.verifies_or_refuses(certificate.parent, content)

    @given(content=st.binary(max_size=60))
    def test_any_bytes(self, certificate: Path, content: bytes) -> None:
        self.verifies_or_refuses(certificate.parent, content)

    @given(data=st.data())
    def test_values_changed(self, certificate: Path, data: st.DataObject) -> None:
        """Anywhere in it, also where only the second look finds it."""
        content = json.loads(certificate.read_text())
        content["slots"] = 2
        for _ in range(data.draw(st.integers(1, 2))):
            here: Any = content
            while True:
                keys = list(here) if isinstance(here, dict) else list(range(len(here)))
                key = data.draw(st.sampled_from(keys))
                if not isinstance(here[key], dict | list) or not here[key] or data.draw(st.integers(0, 3)) == 0:
                    break
                here = here[key]
            here[key] = data.draw(ANY_JSON | st.floats(0.0, 1.0) | st.sampled_from(("bs0", "cars/small", "cars")))
            if isinstance(content.get("slots"), int):
                content["slots"] = min(content["slots"], 64)
        self.verifies_or_refuses(certificate.parent, json.dumps(content).encode())
