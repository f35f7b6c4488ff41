"""Drawn scenarios: valid, none of them trivial by construction, all kinds among them, and the same ones for ever."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import numpy as np
import pytest

from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.library.cases import HELD_OUT, KINDS, SHAPES, SPLITS, Case, cases
from idn_gym.model.network import Network
from idn_gym.scenario.file import from_values, to_yaml
from idn_gym.scenario.slips import likely_slips
from idn_gym.scenario.workloads import Burst, Zipf
from idn_gym.scenario.yaml_file import parse_yaml
from idn_gym.workload.popularity import expected_requests

FEW = [Case(split, number) for split in SPLITS for number in range(12)]  # each kind in each shape


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_cases_are_plain_scenarios(case: Case) -> None:
    """A file of one reads back, nothing in it looks like a slip, and it is of the size that is promised."""
    scenario = case.scenario
    assert from_values(parse_yaml(to_yaml(scenario), case.name), case.name) == scenario
    assert list(likely_slips(scenario)) == []
    network = Network.compile(scenario)
    assert network.P <= 1000
    entries = len(np.unique(network.type_entry))
    assert entries >= (2 if case.kind in ("crowds", "local") else 1)


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_something_is_worth_holding(case: Case) -> None:
    network = Network.compile(case.scenario)
    requests = expected_requests(network, np.zeros(1))
    alone = np.eye(network.P)[network.fits]
    count = len(alone)
    of_each = kernels.gain(network, np.repeat(requests, count, 0), np.repeat(network.capacities[None], count, 0), alone)
    assert of_each.max() > 0.0


def test_the_held_out_split_is_balanced_and_varied() -> None:
    held_out = cases()
    assert [case.number for case in held_out] == list(range(HELD_OUT))
    both = Counter((case.kind, case.shape) for case in held_out)
    assert both == {(kind, shape): HELD_OUT // 12 for kind in KINDS for shape in SHAPES}
    scenarios = [case.scenario for case in held_out]
    assert {scenario.accuracy_weight for scenario in scenarios} == {0.5, 1.0, 2.0, 4.0}
    assert min(len(scenario.nodes) for scenario in scenarios) <= 3
    assert max(len(scenario.nodes) for scenario in scenarios) >= 12


def test_kinds_are_what_they_say() -> None:
    of_kind = {case.kind: case.scenario.workload for case in cases("training", len(KINDS))}
    assert [kind for kind, workload in of_kind.items() if isinstance(workload, Burst)] == ["bursty", "persistent"]
    assert {kind for kind, workload in of_kind.items() if isinstance(workload, Zipf)} == set(KINDS) - {
        "bursty",
        "persistent",
    }
    says = {"sliding": "every", "persistent": "persistence", "crowds": "flash", "local": "local"}
    for kind, workload in of_kind.items():
        for other, key in says.items():
            assert (getattr(workload, key, None) is not None) is (kind == other), (kind, key)


def test_a_case_is_its_split_and_number() -> None:
    assert Case("held-out", 7).scenario == Case("held-out", 7).scenario
    drawn = [case.scenario.model_copy(update={"name": "", "provenance": {}}) for case in [*FEW, *cases(count=48)[12:]]]
    assert len({json.dumps(scenario.to_dict()) for scenario in drawn}) == len(drawn)


def test_the_held_out_split_stays() -> None:
    """Stored results are of these scenarios: a change makes them results of others, and is a new split."""
    text = json.dumps([case.scenario.to_dict() for case in cases()], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "5f7e68a66bdb581a"


@pytest.mark.parametrize(
    ("split", "number", "says"),
    [("held_out", 0, "held-out"), ("training", -1, "-1"), ("training", 10**6, "999,999")],
)
def test_what_is_no_case_is_refused(split: str, number: int, says: str) -> None:
    with pytest.raises(IdnError, match=says):
        Case(split, number)
