"""HEET of scenarios: by hand, what is left out, and what the command says of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from command_line import in_process

from idn_gym.errors import IdnError
from idn_gym.library.load import load_scenario
from idn_gym.model.heterogeneity import heet, heterogeneity
from idn_gym.scenario import parse


def scenario(**changes: Any) -> Any:
    """A cloud, two stations and a bare node; b's only model fits the large station."""
    profile = {"delay": 1.0}
    return parse(
        {
            "format": "idn-gym/scenario-1",
            "name": "three",
            "tasks": ["a", "b", "c"],
            "models": [
                {
                    "name": "a/1",
                    "task": "a",
                    "accuracy": 50.0,
                    "profiles": {"x": {"size": 1, "throughput": 8, **profile}},
                },
                {
                    "name": "a/2",
                    "task": "a",
                    "accuracy": 70.0,
                    "profiles": {"x": {"size": 3, "throughput": 2, **profile}},
                },
                {
                    "name": "b/1",
                    "task": "b",
                    "accuracy": 60.0,
                    "profiles": {"x": {"size": 2, "throughput": 5, **profile}},
                },
                {
                    "name": "c/1",
                    "task": "c",
                    "accuracy": 40.0,
                    "profiles": {"y": {"size": 9, "throughput": 1, **profile}},
                },
            ],
            "nodes": [
                {"name": "cloud", "processor": "y", "repository": ["c/1"]},
                {"name": "archive", "processor": "x", "repository": ["a/2", "b/1"]},
                {"name": "large", "processor": "x", "budget": 2.0},
                {"name": "small", "processor": "x", "budget": 1.0},
                {"name": "bare", "processor": "x"},
            ],
            "links": [
                {"source": "cloud", "target": "archive", "latency": 1.0},
                {"source": "archive", "target": "large", "latency": 1.0},
                {"source": "large", "target": "small", "latency": 1.0},
                {"source": "small", "target": "bare", "latency": 1.0},
            ],
            **changes,
        },
        "three",
    )


def test_by_hand() -> None:
    """Machines are cloud, archive, large and small; speeds of a 0 2 8 8, of b 0 5 5 0, of c 1 0 0 0."""
    found = heterogeneity(scenario())
    inf = np.inf
    assert found.nodes == ("cloud", "archive", "large", "small")
    assert found.nodes_without == ("bare",)
    assert found.times.tolist() == [[inf, 500.0, 125.0, 125.0], [inf, 200.0, 200.0, inf], [1000.0, inf, inf, inf]]
    assert found.heet == pytest.approx(1000.0 * (4 / 18 + 4 / 10 + 4 / 1) / 3)
    assert found.per_machine == pytest.approx(found.heet / 4)


def test_accuracy() -> None:
    """At 60 only a/2 and b/1 count, which fit the archive and b the large station."""
    found = heterogeneity(scenario(), 60.0)
    assert (found.tasks, found.nodes) == (("a", "b"), ("archive", "large"))
    assert (found.tasks_without, found.nodes_without) == (("c",), ("cloud", "small", "bare"))
    assert found.heet == pytest.approx((2 / 2 + 2 / 10) / 2 * 1000.0)
    with pytest.raises(
        IdnError, match="accuracy 71: no node may hold a model so accurate; the most accurate one has 70"
    ):
        heterogeneity(scenario(), 71.0)


def test_equal_machines() -> None:
    """Where nothing differs, HEET is the time itself; a machine that does nothing beside it doubles it."""
    assert heet(np.full((3, 5), 7.0)) == pytest.approx(7.0)
    assert heet(np.array([[7.0, np.inf]])) == pytest.approx(14.0)


def test_replicas_change_nothing() -> None:
    """A second copy of a model is no faster one."""
    once, thrice = (heterogeneity(load_scenario("tiny", {"replicas": n})) for n in (1, 3))
    assert once.heet == thrice.heet


class TestCommand:
    def test_table_and_json(self) -> None:
        """Tiny: cars 250, 83.3, 166.7 and 166.7 ms, people's large model in the cloud."""
        document = json.loads(in_process("show", "tiny", "--heet", "--json").stdout)["heet"]
        assert document["heet"] == pytest.approx((4 / 0.028 + 4 / 0.026) / 2)
        assert document["times_ms"]["cars"] == pytest.approx(
            {"cloud": 250.0, "co": 1000 / 12, "bs0": 1000 / 6, "bs1": 1000 / 6}
        )
        assert document["without"] == {"tasks": [], "nodes": []}
        assert f"HEET {document['heet']:.3f} ms" in in_process("show", "tiny", "--heet").stdout
        assert "heet" not in json.loads(in_process("show", "tiny", "--json").stdout)

    def test_what_is_left_out_is_said(self) -> None:
        """Nobody but the large stations and repositories has models of 65."""
        document = json.loads(in_process("show", "tiny", "--heet", "--heet-accuracy", 65, "--json").stdout)["heet"]
        assert document["without"] == {"tasks": ["cars"], "nodes": []}
        said = in_process("show", "tiny", "--heet", "--heet-accuracy", 65).stdout
        assert "left out, tasks without such a model: cars" in said
        said = in_process("show", "draft-and-verify", "--heet").stdout
        assert "8 of 28 pairs of task and node have no such model" in said

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--heet-accuracy", 50], "--heet-accuracy 50: goes with --heet"),
            (["--heet", "--heet-accuracy", 80], "accuracy 80: no node may hold a model so accurate"),
            (["--heet", "--heet-accuracy", 101], "101"),
            (["--heet", "--heet-accuracy", "nan"], "nan"),
            (["--heet", "--yaml"], "--heet: a measure"),
        ],
    )
    def test_refused(self, arguments: list[Any], says: str) -> None:
        outcome = in_process("show", "tiny", *arguments)
        assert (outcome.status, outcome.stdout) == (2, "")
        assert says in outcome.stderr
        assert outcome.stderr.count("\n") == 1
