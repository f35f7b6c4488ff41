"""Long runs: streams that are read in parts and records that are written as they come, in memory that does not grow."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from idn_gym import AgentSpec, IdnError, RunSpec, draw, load_scenario, play
from idn_gym.experiment import records
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario, parse
from idn_gym.topology import nodes_and_links, tree
from idn_gym.workload.stream import DrawnTrace

OWN = """
import itertools
import numpy as np

CALLS = itertools.count()

class Restless:
    def draw(self, network, slots, generator):
        return np.full((slots, network.R), float(next(CALLS)))
"""
OUTAGES = {"kind": "outages", "probability": 0.1, "duration": 5, "remaining": 0.2}


def scenario(**workload: Any) -> Scenario:
    """A tree of 85 nodes with 20 models, 1,280 request types and 1,680 placements."""
    catalog = load_scenario("topology-1-fixed").to_dict()
    models = catalog["models"][::10]
    graph = tree(4, 3, [40.0, 15.0, 6.0], repository=[model["name"] for model in models])
    data = {"format": catalog["format"], "name": "tree", "tasks": catalog["tasks"], "models": models}
    data |= nodes_and_links(graph, processor="rtx-2080-ti", budget=3000.0)
    return parse(data | {"workload": {"kind": "zipf", "rate": 7500.0, "exponent": 1.2} | workload}, "tree")


@pytest.mark.parametrize("recorded", [False, True], ids=["no records", "records"])
def test_memory_does_not_grow_with_the_slots(tmp_path: Path, recorded: bool) -> None:
    """But for the figures of each slot, 8 bytes a column, and a row of text: some % of the peak for 192 slots more."""
    tree_of_nodes = scenario(rate=2.0)

    def peak(slots: int) -> int:
        specs = [RunSpec(tree_of_nodes, AgentSpec(agent), slots=slots) for agent in ("infida", "random")]
        gc.collect()
        tracemalloc.start()
        records.run(specs, tmp_path / f"{slots}" if recorded else None)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(128)  # what is computed on first use
    if recorded:
        (tmp_path / "128").rename(tmp_path / "first")
    short, long = peak(128), peak(320)
    assert long < 1.05 * short
    assert 0.2 * short < 192 * Network.compile(tree_of_nodes).R * 8, "a trace that is held would be seen"


@pytest.mark.parametrize("workload", [{}, {"capacity": OUTAGES}], ids=["constant", "outages"])
@pytest.mark.parametrize(("slots", "part"), [(1, 64), (64, 64), (150, 48), (150, 1), (150, 1000)])
def test_parts_are_the_stream(workload: dict[str, Any], slots: int, part: int) -> None:
    """However it is cut, and as often as it is gone through."""
    network = Network.compile(load_scenario("tiny"))
    if workload:
        network = Network.compile(load_scenario("tiny", [f"workload.capacity.{k}={v}" for k, v in OUTAGES.items()]))
    whole, drawn = draw(network, slots, 3), DrawnTrace(network, slots, 3)
    for _ in range(2):
        parts = list(drawn.parts(part))
        assert [one.slots for one in parts[:-1]] == [part] * (len(parts) - 1)
        assert np.array_equal(np.concatenate([one.requests for one in parts]), whole.requests)
        for t in range(slots):
            found = parts[t // part].capacities_at(t % part)
            assert np.array_equal(found, whole.capacities_at(t))
    assert (drawn.slots, drawn.varying) == (whole.slots, whole.varying)
    assert np.array_equal(drawn.requests, whole.requests)
    assert np.array_equal(drawn.capacities, whole.capacities)


def test_an_agent_plays_the_same_on_a_stream_in_parts(tmp_path: Path) -> None:
    """As on the whole of it, also where its record is read back."""
    spec = RunSpec(scenario(), AgentSpec("infida"), slots=100)
    network, _, (kept,) = records.run([spec], tmp_path / "run")
    expected = play(network, draw(network, 100, 0), "infida", 0)
    (read,) = records.run([spec], tmp_path / "run", resume=True)[2]
    (unkept,) = records.run([spec])[2]
    (in_memory,) = records.run([spec], keep=True)[2]
    for found in (kept, read, unkept, in_memory):
        assert all(np.array_equal(left, right) for left, right in zip(*map(columns, (found, expected)), strict=True))
        assert found.updates == expected.updates == len(list(expected.changes))
        assert np.array_equal(found.held, np.mean(list(expected.placed()), axis=0))
        assert np.array_equal(found.fractional, expected.fractional)
    for found in (kept, read, in_memory):
        for left, right in zip(found.placed(), expected.placed(), strict=True):
            assert np.array_equal(left, right)
    assert list(unkept.changes) == []


def columns(result: Any) -> Iterator[Any]:
    """The figures of the slots."""
    return iter(result.table.columns().values())


def test_a_workload_that_is_another_each_time_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents would not face the same stream."""
    monkeypatch.chdir(tmp_path)
    Path("restless.py").write_text(OWN)
    values = load_scenario("tiny").to_dict() | {"workload": {"kind": "restless.py:Restless"}}
    specs = [RunSpec(parse(values, "tiny"), AgentSpec(name), slots=3) for name in ("random", "repository-only")]
    with pytest.raises(IdnError, match=r"restless\.py:Restless: drew other numbers from seed 0 than before"):
        records.run(specs)
