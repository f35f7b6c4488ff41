"""The suite: rankings by hand, and the command as a stranger uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import comparable, in_process

from idn_gym.experiment.intervals import mean_interval
from idn_gym.library.cases import Case, cases
from idn_gym.scenario.file import read_scenario
from idn_gym.suite import BOUND
from idn_gym.suite.ranking import behind_best, by_kind, standings

GAINS = {  # per agent of two seeds in each of three cases
    "a": [(90, 110), (50, 50), (7, 7)],
    "b": [(100, 100), (40, 40), (7, 7)],
    "c": [(50, 50), (49.95, 49.95), (0, 0)],
    "seer": [(120, 120), (60, 60), (10, 10)],
}


def rows() -> list[dict[str, Any]]:
    """A row per seed, case and agent; the bound of a case is the seer's gain."""
    return [
        {
            "scenario": f"case-{n}",
            "workload": "fixed" if n < 2 else "crowds",
            "seed": seed,
            "agent": agent,
            "gain": float(gains[n][seed]),
            "of_bound": gains[n][seed] / GAINS["seer"][n][seed],
        }
        for n in range(3)
        for seed in range(2)
        for agent, gains in GAINS.items()
    ]


class TestRanking:
    def test_by_hand(self) -> None:
        found = {row["agent"]: row for row in standings(rows(), ["seer"])}
        assert list(found) == ["a", "b", "c", "seer"]
        # in the first case a and b gain 100 each on average, in the last 7 each; in the second b and c are behind 50
        assert [found[agent]["behind"] for agent in "abc"] == pytest.approx([0.0, 0.2 / 3, (0.5 + 0.001 + 1.0) / 3])
        assert [found[agent]["rank"] for agent in "abc"] == pytest.approx([(1.5 + 1 + 1.5) / 3, 6 / 3, (3 + 2 + 3) / 3])
        assert [found[agent]["wins"] for agent in "abc"] == [3, 2, 0]
        assert [found[agent]["close"] for agent in "abc"] == [3, 2, 1]
        assert [found[agent]["worst"] for agent in "abc"] == pytest.approx([0.0, 0.2, 1.0])
        assert (found["b"]["worst_case"], found["c"]["worst_case"]) == ("case-1", "case-2")
        share = np.array([100 / 120, 50 / 60, 0.7])
        assert found["a"]["of_bound"] == pytest.approx(share.mean())
        assert found["a"]["intervals"]["of_bound"] == pytest.approx(mean_interval(share).ends)

    def test_agents_in_hindsight_stand_in_no_ranking(self) -> None:
        seer = standings(rows(), ["seer"])[-1]
        assert seer == {
            "agent": "seer",
            "hindsight": True,
            "cases": 3,
            "of_bound": 1.0,
            "intervals": {"of_bound": [1.0, 1.0]},
        }
        without = [row for row in rows() if row["agent"] != "seer"]
        assert standings(without, []) == standings(rows(), ["seer"])[:-1]

    def test_kinds(self) -> None:
        found = by_kind(rows(), ["seer"])
        assert list(found) == ["fixed", "crowds"]
        assert [row["cases"] for row in found["fixed"]] == [2] * 4
        assert found["crowds"][0]["intervals"] == {}, "one case has no interval"

    def test_prices_count(self) -> None:
        priced = [{**row, "net": 100.0 - row["gain"]} for row in rows()]
        assert standings(priced, ["seer"])[0]["agent"] == "c"

    def test_where_nobody_gains_nobody_is_behind(self) -> None:
        nothing = [{**row, "gain": 0.0} for row in rows()]
        assert not behind_best(nothing).any()
        assert all("of_bound" not in row for row in standings([{"scenario": "s", "agent": "a", "gain": 0.0}], []))


AGENTS = ("last-batch-greedy", "static-greedy", "repository-only", "optimum:gap=0.1")
FEW = ("suite", *(word for agent in AGENTS for word in ("--agent", agent)), "--slots", 6, "--workers", 1)
TWO = (*FEW, "--split", "training", "--cases", 2)


class TestCommand:
    def test_compares_and_goes_on(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        pytest.importorskip("highspy")
        done = in_process(*TWO, "--json", "--output", tmp_path / "out")
        assert done.status == 0, done.stderr
        document = json.loads(done.stdout)
        assert (document["split"], document["cases"], document["slots"], document["seeds"]) == ("training", 2, 6, [0])
        by_agent = {row["agent"].partition(":")[0]: row for row in document["agents"]}
        assert list(by_agent)[:2] == ["last-batch-greedy", "repository-only"]
        assert {name for name, row in by_agent.items() if row["hindsight"]} == {"static-greedy", "optimum"}
        assert by_agent["last-batch-greedy"]["wins"] == 2
        assert by_agent["repository-only"]["worst"] == 1.0
        assert all(0.0 < by_agent[agent]["of_bound"] <= 1.0 for agent in ("static-greedy", "optimum"))
        assert [row["scenario"] for row in document["runs"]][::4] == ["training-00", "training-01"]
        before = comparable(tmp_path / "out")
        assert before["suite.png"].startswith(b"\x89PNG")
        again = in_process(*TWO, "--json", "--output", tmp_path / "out", "--resume")
        assert json.loads(again.stdout) == document
        assert comparable(tmp_path / "out") == before
        other = in_process(*FEW, "--cases", 2, "--output", tmp_path / "out", "--resume")
        assert other.status == 2
        assert "holds another sweep" in other.stderr

    def test_without_an_optimum_one_is_added(self) -> None:
        pytest.importorskip("highspy")
        done = in_process("suite", "--agent", "random", "--cases", 1, "--slots", 3, "--workers", 1, "--json")
        assert done.status == 0, done.stderr
        document = json.loads(done.stdout)
        assert [row["agent"] for row in document["agents"]] == ["random", BOUND]
        assert document["agents"][0]["of_bound"] < document["agents"][1]["of_bound"]

    def test_lists_and_writes(self, tmp_path: Path) -> None:
        listed = json.loads(in_process("suite", "--list", "--json").stdout)
        assert [row["name"] for row in listed["cases"]] == [case.name for case in cases()]
        assert all(row["P"] <= 1000 for row in listed["cases"])
        done = in_process("suite", "--split", "training", "--cases", 3, "--write", tmp_path / "scenarios")
        assert done.status == 0, done.stderr
        written = sorted((tmp_path / "scenarios").iterdir())
        assert [read_scenario(path) for path in written] == [Case("training", n).scenario for n in range(3)]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--list", "--agent", "infida"), "--agent: goes not with --list"),
            (("--write", "somewhere", "--resume"), "--resume: goes not with --write"),
            (("--agent", "infidel"), "infida"),
            (("--split", "test"), "held-out"),
            (("--seeds", "2:1"), "--seeds"),
            (("--resume",), "--output"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, arguments: tuple[str, ...], says: str) -> None:
        done = in_process("suite", *arguments)
        assert done.status == 2
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
