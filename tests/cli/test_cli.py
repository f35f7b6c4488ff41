"""The command line: what each command prints, against golden cases, hand computation and a slow reading of files."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Outcome, idn_gym, in_process, install_agents
from conftest import GOLDEN
from instances import EPSILON, Pair, Reading, read

from idn_gym.experiment.bounds import SHARES
from idn_gym.library.load import load_scenario
from idn_gym.library.names import packaged_names
from idn_gym.model import gain
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

pytestmark = pytest.mark.commands

needs_optimum = pytest.mark.skipif(find_spec("idn_agents.optimum") is None, reason="no idn_agents.optimum")

SLOT = {"slot", "requests", "cost", "gain", "latency_ms", "inaccuracy"}
EVALUATION = {"slots", "gain", "cost", "ntag", "latency_ms", "inaccuracy"}
ROW = {"agent", "ntag", "gain", "latency_ms", "inaccuracy", "model_update_mb", "seconds"}
OUTAGES = "workload.capacity={kind: outages, probability: 0.3, duration: 2, remaining: 0.25}"


@cache
def process(*arguments: object) -> Outcome:
    """The outcome of a command that changes nothing, run once."""
    return idn_gym(*arguments)


def document(outcome: Outcome) -> Any:
    """The one JSON document that is all of stdout."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout.count("\n") == 1
    return json.loads(outcome.stdout, parse_constant=refuse)


def shown(*arguments: object) -> Any:
    """The document of a command in this process."""
    return document(in_process(*arguments, "--json"))


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(text)))


def stream(text: str, network: Network) -> np.ndarray:
    """(T, R) requests that a request file says."""
    entries = [(int(row["slot"]), (row["task"], row["source"]), float(row["requests"])) for row in rows(text)]
    requests = np.zeros((1 + max(slot for slot, _, _ in entries), network.R))
    for slot, key, count in entries:
        requests[slot, network.type_index()[key]] = count
    return requests


def dumped(path: Path, content: Any) -> Path:
    """A JSON file with that content."""
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def tiny() -> Network:
    """The network of the tiny scenario."""
    return Network.compile(load_scenario("tiny"))


def test_the_version_is_that_of_the_package() -> None:
    outcome = idn_gym("--version")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, f"idn-gym {version('idn-gym')}\n", "")


class TestList:
    def test_json(self) -> None:
        outcome = process("list", "--json")
        listed = document(outcome)
        assert outcome.stderr == ""
        assert {"scenarios", "agents"} <= set(listed)
        ids = {row["id"]: row for row in listed["scenarios"]}
        assert {"IDN/Tiny-v0", "IDN/TopologyI-Sliding-v0", "IDN/TopologyII-Fixed-v0", "IDN/Geant-Sliding-v0"} <= set(
            ids
        )
        # by hand: 5 models at each of 4 nodes less the 2 that the cloud holds; 2 tasks from 2 base stations; of cars
        # 3 at the base station, 3 at the central office, then the repository, which is cheaper than the cloud's others
        row = {"name": "tiny", "V": 4, "M": 5, "P": 18, "R": 4, "K": 7, "horizon": 20}
        assert row.items() <= ids["IDN/Tiny-v0"].items()
        # docs/model.md#set-up: 36 nodes, 24 of them base stations, 20 tasks of 10 variants; a cloud with every model
        row = {"name": "topology-1-sliding", "V": 36, "M": 200, "P": 35 * 200, "R": 24 * 20}
        assert row.items() <= ids["IDN/TopologyI-Sliding-v0"].items()
        named = "infida infida-offline static-greedy load-aware-greedy last-batch-greedy optimum random repository-only"
        assert set(named.split()) <= set(listed["agents"])

    def test_table(self) -> None:
        outcome = in_process("list")
        assert outcome.status == 0
        for word in ("IDN/Tiny-v0", "topology-1-sliding", "7,000", "infida-offline"):
            assert word in outcome.stdout


class TestShow:
    def test_json(self) -> None:
        outcome = process("show", "tiny", "--json")
        about = document(outcome)
        assert outcome.stderr == ""
        assert about["name"] == "tiny"
        assert about["sizes"] == {"V": 4, "M": 5, "P": 18, "R": 4, "K": 7}
        assert about["provenance"]["*"].startswith("made up")
        assert about["request_types"] == [
            {"task": task, "path": [entry, "co", "cloud"]} for task in ("cars", "people") for entry in ("bs0", "bs1")
        ]

    def test_for_people(self) -> None:
        outcome = in_process("show", "tiny")
        assert outcome.status == 0
        for word in ("tiny", "bs0 > co > cloud", "cars/large"[5:], "made up", "budget"):
            assert word in outcome.stdout

    def test_an_id_a_name_and_a_file_are_the_same(self, tmp_path: Path) -> None:
        about = shown("show", "tiny")
        assert shown("show", "IDN/Tiny-v0") == about
        assert shown("show", dumped(tmp_path / "mine.json", about["scenario"])) == about

    @pytest.mark.parametrize("name", packaged_names())
    def test_yaml_loads_again(self, tmp_path: Path, name: str) -> None:
        outcome = in_process("show", name, "--yaml")
        assert (outcome.status, outcome.stderr) == (0, "")
        (tmp_path / "copy.yaml").write_text(outcome.stdout)
        assert load_scenario(tmp_path / "copy.yaml") == load_scenario(name)

    def test_yaml_of_golden(self, tmp_path: Path, golden: Path) -> None:
        (tmp_path / "copy.yaml").write_text(in_process("show", golden / "scenario.json", "--yaml").stdout)
        assert load_scenario(tmp_path / "copy.yaml") == load_scenario(golden / "scenario.json")

    def test_yaml_with_overrides(self, tmp_path: Path) -> None:
        overrides = ["--set", "workload.rate=1e-7", "--set", "nodes.bs0.budget=2", "--set", OUTAGES]
        (tmp_path / "copy.yaml").write_text(in_process("show", "tiny", "--yaml", *overrides).stdout)
        scenario = load_scenario(tmp_path / "copy.yaml")
        assert scenario == load_scenario("tiny", overrides[1::2])
        assert scenario.nodes[2].budget == 2.0
        assert scenario.to_dict()["workload"]["rate"] == 1e-7

    MARKS = tuple("-=.*&!%@`#?|>'\"\\:,~\N{NO-BREAK SPACE}\N{GRINNING FACE}")
    WORDS = (
        "no",
        "yes",
        "null",
        "true",
        "1",
        "1e3",
        "0x10",
        "010",
        "1_000",
        "1:30",
        ".5",
        ".inf",
        ".nan",
        "2001-01-01",
    )
    SYNTAX = ("<<", "[a]", "{b}", "a:b", "a: b", "-a", "- a", "*a", "&a", "!a", "#a", "a#", "a #", "? a", "'a'", '"a"')
    SPACES = (" a", "a ", "a  b", "a,b", "---", "...", "word " * 39)

    @pytest.mark.parametrize("name", [*MARKS, *WORDS, *SYNTAX, *SPACES])
    def test_yaml_keeps_any_name(self, tmp_path: Path, name: str) -> None:
        profiles = {name: {"size": 1.0, "delay": 2.0, "throughput": 6.0}}
        scenario = {
            "format": "idn-gym/scenario-1",
            "name": name,
            "tasks": [name],
            "models": [{"name": name, "task": name, "accuracy": 40.0, "profiles": profiles}],
            "nodes": [{"name": name, "processor": name, "repository": [name], "entry": True}],
            "workload": {"kind": "zipf", "rate": 3.0},
            "provenance": {name: name},
        }
        file = dumped(tmp_path / "scenario.json", scenario)
        (tmp_path / "copy.yaml").write_text(in_process("show", file, "--yaml").stdout)
        assert load_scenario(tmp_path / "copy.yaml") == load_scenario(file)
        # and through a CSV file
        written = in_process("trace", file, "--slots", 2, "--output", tmp_path / "requests.csv")
        assert written == Outcome(0, "", "")
        assert {row["task"] for row in rows((tmp_path / "requests.csv").read_text())} == {name}
        assert in_process("check", tmp_path / "requests.csv", "--scenario", file).status == 0


class TestCheck:
    def test_json(self, tmp_path: Path) -> None:
        outcome = process("check", dumped(tmp_path / "allocation.json", {"bs0": []}), "--scenario", "tiny", "--json")
        assert document(outcome)["ok"] is True
        assert outcome.stderr == ""

    def test_golden(self, golden: Path) -> None:
        assert shown("check", golden / "scenario.json")["ok"] is True
        for file in ("requests.csv", "allocation.json", "fractional.json"):
            assert shown("check", golden / file, "--scenario", golden / "scenario.json")["ok"] is True

    def test_overrides_apply_to_the_scenario(self, tmp_path: Path) -> None:
        file = dumped(tmp_path / "allocation.json", {"bs0": ["cars/large", "cars/small"]})  # 3 + 1 MB
        command = ("check", file, "--scenario", "tiny", "--set")
        assert in_process(*command, "nodes.bs0.budget=4").status == 0
        assert in_process(*command, "nodes.bs0.budget=3.9").status == 2


class TestTrace:
    SEED = 7

    def test_equals_the_draw(self, tiny: Network) -> None:
        outcome = process("trace", "tiny", "--slots", 70, "--seed", self.SEED)
        assert (outcome.status, outcome.stderr) == (0, "")
        assert outcome.stdout.startswith("slot,task,source,requests\n")
        np.testing.assert_array_equal(stream(outcome.stdout, tiny), draw(tiny, 70, self.SEED).requests)

    def test_seed_makes_the_stream(self) -> None:
        first = in_process("trace", "tiny", "--slots", 70, "--seed", self.SEED)
        assert first == process("trace", "tiny", "--slots", 70, "--seed", self.SEED)
        assert first != in_process("trace", "tiny", "--slots", 70, "--seed", self.SEED + 1)

    def test_shorter_is_the_beginning(self) -> None:
        long, short = (in_process("trace", "tiny", "--slots", slots).stdout for slots in (70, 3))
        assert long.startswith(short)

    def test_horizon_by_default(self, tiny: Network) -> None:
        assert len(stream(in_process("trace", "tiny").stdout, tiny)) == tiny.scenario.horizon

    def test_slots_without_requests_count(self, tiny: Network, tmp_path: Path) -> None:
        silent = in_process("trace", "tiny", "--slots", 5, "--set", "workload.rate=0").stdout
        np.testing.assert_array_equal(stream(silent, tiny), np.zeros((5, 4)))
        (tmp_path / "silent.csv").write_text(silent)
        ran = shown("run", "tiny", "--agent", "random", "--trace", tmp_path / "silent.csv")
        assert ran["slots"] == 5
        figures = {key: ran["agents"][0][key] for key in ("ntag", "gain", "latency_ms", "inaccuracy")}
        assert figures == dict.fromkeys(figures, 0.0)

    def test_round_trip(self, tmp_path: Path) -> None:
        """A run on the files that `trace` wrote is the run on the seed, requests and capacities alike."""
        files = tmp_path / "requests.csv", tmp_path / "capacities.csv"
        command = ("tiny", "--slots", 12, "--seed", self.SEED, "--set", OUTAGES)
        outcome = in_process("trace", *command, "--output", files[0], "--capacities", files[1])
        assert outcome == Outcome(0, "", "")
        assert len(rows(files[1].read_text())) > 12, "outages came about"
        agents = ("--agent", "last-batch-greedy", "--agent", "infida")
        drawn = shown("run", *command, *agents)
        replayed = shown("run", *command, *agents, "--trace", files[0], "--capacities", files[1])
        nominal = shown("run", *command, *agents, "--trace", files[0])
        for result in (drawn, replayed, nominal):
            for row in result["agents"]:
                del row["seconds"]
        assert replayed == drawn
        assert nominal != drawn


class Golden:
    """A golden case, read without the library's help where it matters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected = json.loads((folder / "expected.json").read_text())
        self.reading: Reading = read(load_scenario(folder / "scenario.json"))
        self.slots: list[dict[Pair, float]] = []
        for row in rows((folder / "requests.csv").read_text()):
            while len(self.slots) <= int(row["slot"]):
                self.slots.append({rho.key: 0.0 for rho in self.reading.types})
            self.slots[int(row["slot"])][row["task"], row["source"]] = float(row["requests"])

    def held(self, allocation: dict[str, Any]) -> dict[Pair, float]:
        """What an allocation file holds, per placement; repository models are none."""
        held = dict.fromkeys(self.reading.size, 0.0)
        for node, models in allocation.items():
            for model in models:
                if (node, model) in held:
                    held[node, model] = models[model] if isinstance(models, dict) else 1.0
        return held

    def evaluate(self, allocation: Path, *arguments: object) -> Any:
        """The document of ``idn-gym evaluate``."""
        scenario, requests = self.folder / "scenario.json", self.folder / "requests.csv"
        return shown("evaluate", scenario, "--allocation", allocation, "--requests", requests, *arguments)


@pytest.fixture
def case(golden: Path) -> Golden:
    """One of the golden cases."""
    return Golden(golden)


class TestEvaluate:
    @pytest.mark.parametrize("kind", ["allocation", "fractional"])
    def test_golden(self, case: Golden, kind: str) -> None:
        document = case.evaluate(case.folder / f"{kind}.json")
        expected = case.expected[kind]
        assert set(document) == EVALUATION
        assert [set(row) for row in document["slots"]] == [SLOT] * len(expected["slots"])
        for row, oracle in zip(document["slots"], expected["slots"], strict=True):
            assert row == pytest.approx(oracle, rel=1e-9)
        totals = {key: value for key, value in expected.items() if key != "slots"}
        assert {"gain", "cost", "ntag"} <= set(totals)
        assert {key: document[key] for key in totals} == pytest.approx(totals, rel=1e-9)
        requests = np.array([row["requests"] for row in expected["slots"]])
        for key in ("latency_ms", "inaccuracy"):  # per request over the whole trace
            average = np.average([row[key] for row in expected["slots"]], weights=requests)
            assert document[key] == pytest.approx(average, rel=1e-9)

    @pytest.mark.parametrize("kind", ["allocation", "fractional"])
    def test_subgradient(self, case: Golden, kind: str) -> None:
        """Its definition (docs/model.md#supergradient) and what moving each placement does to the gain, both slow."""
        allocation = json.loads((case.folder / f"{kind}.json").read_text())
        document = case.evaluate(case.folder / f"{kind}.json", "--subgradient")
        assert set(document) == EVALUATION | {"subgradient"}
        assert len(document["subgradient"]) == len(case.slots)
        reading, held, step = case.reading, case.held(allocation), 1e-6
        costs = max(option.cost for rho in reading.types for option in rho.options)
        options = max(len(rho.options) for rho in reading.types)
        for requests, subgradient in zip(case.slots, document["subgradient"], strict=True):
            given = {(node, model): g for node, models in subgradient.items() for model, g in models.items()}
            assert set(given) == set(reading.size)
            # the definition, with the covering test's tolerance
            defined = reading.subgradient(requests, reading.capacity, held, gain.TOLERANCE)
            assert given == pytest.approx(defined, rel=1e-9, abs=1e-9)
            # the slope to the right; the gain is a sum of numbers no larger than requests x costs
            base = reading.gain(requests, reading.capacity, held)
            rounding = 64 * EPSILON * options * sum(requests.values()) * costs / step
            for placement in held:
                moved = {**held, placement: held[placement] + step}
                slope = (reading.gain(requests, reading.capacity, moved) - base) / step
                assert given[placement] == pytest.approx(slope, rel=1e-6, abs=rounding)

    def test_json(self, tmp_path: Path) -> None:
        """By hand: 8 cars come to bs0, whose small model serves 6 at 61 ms instead of the repository's 87."""
        allocation = dumped(tmp_path / "allocation.json", {"bs0": ["cars/small"]})
        (tmp_path / "requests.csv").write_text("slot,task,source,requests\n0,cars,bs0,8\n2,people,bs1,2.5\n")
        outcome = process(
            "evaluate", "tiny", "--allocation", allocation, "--requests", tmp_path / "requests.csv", "--json"
        )
        document_ = document(outcome)
        assert outcome.stderr == ""
        assert set(document_) == EVALUATION
        # repositories: cars 5 + 40 + 2 + (100 - 60) = 87 ms, people 45 + 2 + 30 = 77 ms; bs0's small 1 + 60 = 61 ms
        served = {"latency_ms": (6 * 1 + 2 * 47) / 8, "inaccuracy": (6 * 60 + 2 * 40) / 8}
        assert document_["slots"] == [
            {"slot": 0, "requests": 8.0, "gain": 6 * 26.0, "cost": 6 * 61.0 + 2 * 87.0, **served},
            {"slot": 1, "requests": 0.0, "gain": 0.0, "cost": 0.0, "latency_ms": 0.0, "inaccuracy": 0.0},
            {"slot": 2, "requests": 2.5, "gain": 0.0, "cost": 2.5 * 77.0, "latency_ms": 47.0, "inaccuracy": 30.0},
        ]
        assert document_["gain"] == 156.0
        assert document_["cost"] == 366.0 + 174.0 + 192.5
        assert document_["ntag"] == pytest.approx((156 / 8 + 0) / 2, rel=1e-12)  # the slot without requests is left out
        assert document_["latency_ms"] == pytest.approx((100 + 2.5 * 47) / 10.5, rel=1e-12)
        assert document_["inaccuracy"] == pytest.approx((440 + 2.5 * 30) / 10.5, rel=1e-12)

    @pytest.fixture
    def eight_cars(self, tmp_path: Path) -> Callable[..., float]:
        """The gain that allocations make of 8 cars at bs0; the small model there saves 26 ms on each."""
        (tmp_path / "requests.csv").write_text("slot,task,source,requests\n0,cars,bs0,8\n")

        def gained(allocation: Any, *arguments: object) -> float:
            files = ("--allocation", dumped(tmp_path / "a.json", allocation), "--requests", tmp_path / "requests.csv")
            return float(shown("evaluate", "tiny", *files, *arguments)["gain"])

        return gained

    def test_replicas(self, eight_cars: Callable[..., float]) -> None:
        """Each has capacity for 6 of the 8."""
        twice = ("--set", "replicas=2")
        assert eight_cars({"bs0": ["cars/small"]}, *twice) == 6 * 26.0
        assert eight_cars({"bs0": ["cars/small#2"]}, *twice) == 6 * 26.0
        assert eight_cars({"bs0": ["cars/small", "cars/small#2"]}, *twice) == 8 * 26.0
        assert eight_cars({"bs0": {"cars/small": 1, "cars/small#2": 0.25}}, *twice) == pytest.approx(7.5 * 26.0)

    def test_repository_model_changes_nothing(self, eight_cars: Callable[..., float]) -> None:
        assert eight_cars({}) == 0.0
        assert eight_cars({"cloud": ["cars/large", "people/large"]}) == 0.0
        assert eight_cars({"cloud": {"cars/large": 0.5}, "bs0": ["cars/small"]}) == 6 * 26.0
        assert eight_cars({"cloud": ["cars/large", "cars/large#2"]}, "--set", "replicas=2") == 0.0

    def test_lists_and_fractions_say_the_same(self, eight_cars: Callable[..., float]) -> None:
        assert eight_cars({"bs0": ["cars/small"]}) == eight_cars({"bs0": {"cars/small": 1.0, "cars/large": 0}})
        assert eight_cars({"bs0": {"cars/small": 0.5}}) == 3 * 26.0

    def test_capacities(self, eight_cars: Callable[..., float], tmp_path: Path) -> None:
        (tmp_path / "capacities.csv").write_text("slot,node,model,capacity\n0,bs0,cars/small,2\n")
        assert eight_cars({"bs0": ["cars/small"]}, "--capacities", tmp_path / "capacities.csv") == 2 * 26.0

    def test_overrides(self, eight_cars: Callable[..., float]) -> None:
        """Without the accuracy's weight the small model saves 47 - 1 ms; with half of it 10 less."""
        assert eight_cars({"bs0": ["cars/small"]}, "--set", "accuracy_weight=0") == 6 * 46.0
        assert eight_cars({"bs0": ["cars/small"]}, "--set", "accuracy_weight=0.5") == 6 * 36.0

    @pytest.mark.parametrize("weight", [0, 0.5, 1, 1.5])
    def test_weight_is_no_latency(self, tmp_path: Path, weight: float) -> None:
        """What accuracy is worth counts in the cost alone."""
        (tmp_path / "requests.csv").write_text("slot,task,source,requests\n0,cars,bs0,8\n")
        files = (
            "--allocation",
            dumped(tmp_path / "a.json", {"bs0": ["cars/small"]}),
            "--requests",
            tmp_path / "requests.csv",
        )
        found = shown("evaluate", "tiny", *files, "--set", f"accuracy_weight={weight}")
        latency, inaccuracy = (6 * 1 + 2 * 47) / 8, (6 * 60 + 2 * 40) / 8
        assert (found["latency_ms"], found["inaccuracy"]) == pytest.approx((latency, inaccuracy), rel=1e-12)
        assert found["cost"] == pytest.approx(8 * (latency + weight * inaccuracy), rel=1e-12)

    def test_for_people(self, golden: Path) -> None:
        files = ("--allocation", golden / "allocation.json", "--requests", golden / "requests.csv")
        outcome = in_process("evaluate", golden / "scenario.json", *files)
        expected = json.loads((golden / "expected.json").read_text())["allocation"]
        assert outcome.status == 0
        assert f"NTAG {expected['ntag']:.3f} ms" in outcome.stdout
        assert f"{expected['gain']:,.3f}" in outcome.stdout


class TestRun:
    AGENTS = (
        "random",
        "infida:refresh=4,learning_rate=theory",
        "repository-only",
        "static-greedy",
        "last-batch-greedy",
    )

    @classmethod
    def command(cls) -> list[str]:
        """Five agents on five slots of tiny."""
        named = [word for agent in cls.AGENTS for word in ("--agent", agent)]
        return ["run", "tiny", *named, "--slots", "5", "--seed", "3"]

    def test_json(self) -> None:
        outcome = process(*self.command(), "--json")
        ran = document(outcome)
        assert set(ran) == {"scenario", "slots", "seed", "agents"}
        assert (ran["scenario"], ran["slots"], ran["seed"]) == ("tiny", 5, 3)
        assert [row["agent"] for row in ran["agents"]] == list(self.AGENTS)
        assert all(set(row) >= ROW for row in ran["agents"])
        assert all(set(row) <= ROW | {"fractional_ntag", *SHARES} for row in ran["agents"])
        fractional = {row["agent"] for row in ran["agents"] if "fractional_ntag" in row}
        assert fractional == {"infida:refresh=4,learning_rate=theory"}
        # progress is on stderr, and nothing else: no warning either
        lines = [rf"{re.escape(agent)}: 5 slots in \d+\.\d s\n" for agent in self.AGENTS]
        assert re.fullmatch("".join(lines), outcome.stderr)

    def test_figures(self, tiny: Network) -> None:
        """What holds nothing gains nothing; its latency is the repository's. What is static loads once."""
        found = {row["agent"]: row for row in document(process(*self.command(), "--json"))["agents"]}
        cars, people = (draw(tiny, 5, 3).requests.sum(axis=0).reshape(2, 2).sum(axis=1)).tolist()
        nothing = found["repository-only"]
        assert (nothing["gain"], nothing["ntag"], nothing["model_update_mb"]) == (0.0, 0.0, 0.0)
        assert nothing["latency_ms"] == pytest.approx(47.0, rel=1e-12)
        assert nothing["inaccuracy"] == pytest.approx((40 * cars + 30 * people) / (cars + people), rel=1e-12)
        assert found["static-greedy"]["gain"] >= found["random"]["gain"] > 0.0
        assert 0.0 < found["static-greedy"]["model_update_mb"] <= (4 + 3 + 3) / 5

    def test_deterministic(self) -> None:
        first, second = document(process(*self.command(), "--json")), shown(*self.command())
        other = shown(*self.command(), "--seed", 4)
        for result in (first, second, other):
            for row in result["agents"]:
                row.pop("seconds")
        assert first == second
        assert [row["ntag"] for row in other["agents"]] != [row["ntag"] for row in first["agents"]]

    def test_for_people(self) -> None:
        """A table by descending gain, with those in hindsight marked."""
        outcome = in_process(*self.command())
        assert outcome.status == 0
        lines = [line for line in outcome.stdout.splitlines() if any(agent in line for agent in self.AGENTS)]
        gains = {row["agent"]: row["gain"] for row in document(process(*self.command(), "--json"))["agents"]}
        ordered = sorted(self.AGENTS, key=lambda agent: -gains[agent])
        assert [agent for line in lines for agent in self.AGENTS if agent in line] == ordered
        assert [agent for line in lines for agent in self.AGENTS if f"{agent} *" in line] == ["static-greedy"]
        requests = int(draw(Network.compile(load_scenario("tiny")), 5, 3).requests.sum())
        assert f"tiny, 5 slots, seed 3, {requests:,} requests" in outcome.stdout

    def test_slots_of_a_trace(self, tmp_path: Path) -> None:
        """By default all; fewer are its beginning."""
        (tmp_path / "requests.csv").write_text(
            "slot,task,source,requests\n0,cars,bs0,8\n1,cars,bs0,8\n2,people,bs1,1\n"
        )
        command = ("run", "tiny", "--agent", "repository-only", "--trace", tmp_path / "requests.csv")
        inaccuracy = {
            slots: shown(*command, *more) for slots, more in ((3, ()), (2, ("--slots", 2)), (1, ("--slots", 1)))
        }
        assert [inaccuracy[slots]["slots"] for slots in (3, 2, 1)] == [3, 2, 1]
        assert inaccuracy[2]["agents"][0]["inaccuracy"] == pytest.approx(40.0)
        assert inaccuracy[3]["agents"][0]["inaccuracy"] == pytest.approx((16 * 40 + 30) / 17)

    def test_capacities(self, tmp_path: Path, tiny: Network) -> None:
        """Without capacity anywhere, nothing can be gained; from the second slot on there is some again."""
        (tmp_path / "requests.csv").write_text("slot,task,source,requests\n0,cars,bs0,8\n1,cars,bs0,8\n")
        placements = zip(tiny.placement_node, tiny.placement_model, strict=True)
        lines = [f"0,{tiny.node_names[v]},{tiny.model_names[m]},0\n" for v, m in placements]
        (tmp_path / "capacities.csv").write_text("slot,node,model,capacity\n" + "".join(lines))
        files = ("--trace", tmp_path / "requests.csv", "--capacities", tmp_path / "capacities.csv")
        gains = [
            shown("run", "tiny", "--agent", "static-greedy", *files, "--slots", slots)["agents"][0]["gain"]
            for slots in (1, 2)
        ]
        assert gains[0] == 0.0
        assert gains[1] > 0.0

    def test_overrides_reach_agents_and_stream(self) -> None:
        command = ("run", "tiny", "--agent", "static-greedy", "--slots", 5)
        free = shown(*command, "--set", "accuracy_weight=0")["agents"][0]
        dear = shown(*command, "--set", "accuracy_weight=100")["agents"][0]
        assert free["inaccuracy"] > dear["inaccuracy"]
        assert free["latency_ms"] < dear["latency_ms"]
        none = shown(
            *command, "--set", "nodes.bs0.budget=0", "--set", "nodes.bs1.budget=0", "--set", "nodes.co.budget=0"
        )
        assert none["agents"][0]["gain"] == 0.0

    def test_static_gain_is_that_of_evaluate(self, tmp_path: Path) -> None:
        """Two commands, two ways to the same number."""
        requests = tmp_path / "requests.csv"
        in_process("trace", "tiny", "--slots", 9, "--seed", 1, "--output", requests)
        command = ("run", "tiny", "--agent", "static-greedy", "--trace", requests, "--output", tmp_path / "run")
        row = shown(*command)["agents"][0]
        held: dict[str, list[str]] = {}
        for placed in rows((tmp_path / "run" / "static-greedy" / "allocations.csv").read_text()):
            assert placed["slot"] == "0"
            held.setdefault(placed["node"], []).append(placed["model"])
        allocation = dumped(tmp_path / "allocation.json", held)
        evaluated = shown("evaluate", "tiny", "--allocation", allocation, "--requests", requests)
        for key in ("gain", "ntag", "latency_ms", "inaccuracy"):
            assert row[key] == pytest.approx(evaluated[key], rel=1e-12)


@needs_optimum
class TestOptimum:
    KEYS = frozenset({"gain", "bound", "certified_bound", "gap", "status", "seconds", "allocation"})

    def test_golden(self, case: Golden, tmp_path: Path) -> None:
        """Within the default gap of 0.1% and, asked for, at the optimum itself."""
        best = case.expected["optimum"]["gain"]
        command = ("optimum", case.folder / "scenario.json", "--trace", case.folder / "requests.csv")
        for gap, arguments in ((0.001, ()), (0.0, ("--gap", 0))):
            found = shown(*command, *arguments)
            assert set(found) >= self.KEYS
            assert found["gain"] == pytest.approx(best, rel=max(gap, 1e-9))
            assert found["gain"] <= best * (1 + 1e-9)
            assert found["bound"] >= best * (1 - 1e-9)
            assert found["certified_bound"] >= best * (1 - 1e-9)
            assert found["gap"] == pytest.approx((found["bound"] - found["gain"]) / found["bound"], abs=1e-12)
            assert found["gap"] <= gap + 1e-9
            assert found["status"] == "optimal" or found["gap"] > gap
            served = case.evaluate(dumped(tmp_path / "found.json", found["allocation"]))
            assert served["gain"] == pytest.approx(found["gain"], rel=1e-9)

    def test_brute_force(self, tiny: Network) -> None:
        """Every allocation of tiny within the budgets, on three drawn slots."""
        requests = draw(tiny, 3, 2).requests
        per_node = []
        for v in range(tiny.V):
            placements = range(tiny.node_start[v], tiny.node_start[v + 1])
            held = [c for n in range(len(placements) + 1) for c in itertools.combinations(placements, n)]
            fitting = [c for c in held if sum(tiny.sizes[p] for p in c) <= tiny.budgets[v]]
            # more never gains less, so only those that nothing can be added to
            per_node.append([c for c in fitting if not any(set(c) < set(d) for d in fitting)])
        best = 0.0
        for parts in itertools.product(*per_node):
            allocation = np.zeros(tiny.P)
            allocation[list(itertools.chain(*parts))] = 1.0
            total = sum(gain.allocation_gain(tiny, slot, tiny.capacities, allocation) for slot in requests)
            best = max(best, total)
        found = shown("optimum", "tiny", "--slots", 3, "--seed", 2, "--gap", 0)
        assert found["gain"] == pytest.approx(best, rel=1e-9)

    def test_json(self) -> None:
        outcome = process("optimum", "tiny", "--slots", 4, "--json")
        found = document(outcome)
        assert set(found) >= self.KEYS
        assert "Traceback" not in outcome.stderr
        assert all(isinstance(model, str) for models in found["allocation"].values() for model in models)

    def test_time_limit_still_gives_an_allocation(self, tmp_path: Path) -> None:
        found = shown("optimum", "tiny", "--slots", 4, "--time-limit", 0)
        assert set(found) >= self.KEYS
        best = shown("optimum", "tiny", "--slots", 4, "--gap", 0)["gain"]
        assert found["bound"] >= best * (1 - 1e-9)
        assert found["certified_bound"] >= best * (1 - 1e-9)
        assert found["gain"] <= best * (1 + 1e-9)
        allocation = dumped(tmp_path / "allocation.json", found["allocation"])
        assert in_process("check", allocation, "--scenario", "tiny").status == 0

    def test_for_people(self) -> None:
        outcome = in_process("optimum", "tiny", "--slots", 4)
        assert outcome.status == 0
        for word in ("gain", "bound", "certified", "bs0"):
            assert word in outcome.stdout


class TestHelp:
    @pytest.mark.parametrize("command", ["list", "show", "check", "trace", "evaluate", "run", "optimum"])
    def test_command(self, command: str) -> None:
        outcome = in_process(command, "--help")
        assert (outcome.status, outcome.stderr) == (0, "")
        assert f"idn-gym {command}" in outcome.stdout

    def test_program_lists_the_commands(self) -> None:
        outcome = in_process("--help")
        assert outcome.status == 0
        for command in ("list", "show", "check", "trace", "evaluate", "run", "optimum"):
            assert command in outcome.stdout
        assert "..." not in outcome.stdout.partition("Commands:")[2], "a first sentence is too long, and is cut short"


class TestExtras:
    """What an extra brings is asked for in one line that names the extra, before any work is done."""

    def test_plots(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.delitem(sys.modules, "idn_gym.report.run_plots", raising=False)
        outcome = in_process("run", "tiny", "--agent", "random", "--slots", 2, "--output", tmp_path / "run")
        assert (outcome.status, outcome.stdout) == (2, "")
        assert outcome.stderr.count("\n") == 1
        assert 'pip install -e ".[plots]"' in outcome.stderr
        assert not (tmp_path / "run").exists()
        assert in_process("run", "tiny", "--agent", "random", "--slots", 2).status == 0  # no output, no plots

    @needs_optimum
    def test_optimum(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "highspy", None)
        for name in [name for name in sys.modules if name.startswith("idn_agents.")]:
            monkeypatch.delitem(sys.modules, name)
        for command in (
            ["optimum", "tiny"],
            ["saa", "tiny"],
            ["run", "tiny", "--agent", "random", "--agent", "optimum"],
        ):
            outcome = in_process(*command, "--slots", 2)
            assert (outcome.status, outcome.stdout) == (2, "")
            assert outcome.stderr.count("\n") == 1
            assert outcome.stderr.count("optimum: needs") + outcome.stderr.count("saa: needs") == 1
            assert 'pip install -e ".[optimum]"' in outcome.stderr


class TestPlugins:
    """Agents and commands of others, found through entry points alone."""

    SOURCE = """
import numpy as np
from idn_gym.errors import IdnError

class Everywhere:
    \"\"\"Holds what it is told at every node, if the budgets allow.\"\"\"
    def __init__(self, model="cars/small"):
        self.model = model
    def reset(self, network, seed):
        if self.model not in network.model_names:
            raise IdnError(f"model: {self.model!r}; allowed: {', '.join(network.model_names)}")
        held = network.placement_model == network.model_names.index(self.model)
        self.allocation = (held & network.fits).astype(np.int8)
    def act(self, observation):
        return self.allocation
    def info(self):
        return {"model": self.model}

def hello(name: str = "you"):
    \"\"\"Greet.\"\"\"
    print(f"hello {name}")
"""
    POINTS = """
[idn_gym.agents]
everywhere = theirs:Everywhere
forgotten = theirs:Forgotten
[idn_gym.commands]
hello = theirs:hello
broken = nowhere:broken
"""

    @pytest.fixture(scope="class")
    @classmethod
    def plugins(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Where they are installed."""
        return install_agents(tmp_path_factory.mktemp("plugins"), cls.SOURCE, cls.POINTS)

    def test_agent(self, plugins: Path) -> None:
        outcome = idn_gym(
            *(
                "run",
                "tiny",
                "--agent",
                "everywhere:model=people/small",
                "--agent",
                "repository-only",
                "--slots",
                3,
                "--json",
            ),
            plugins=plugins,
        )
        first, second = json.loads(outcome.stdout)["agents"]
        assert first["agent"] == "everywhere:model=people/small"
        assert first["model_update_mb"] == 3.0 / 3  # 1 MB at bs0, bs1 and co, loaded once in 3 slots
        assert first["gain"] > second["gain"] == 0.0
        # a command that cannot be loaded says so, and takes nothing else along
        broken, *progress = outcome.stderr.splitlines()
        assert "broken" in broken
        assert "nowhere:broken" in broken
        assert len(progress) == 2

    def test_command(self, plugins: Path) -> None:
        outcome = idn_gym("hello", "--name", "agent", plugins=plugins)
        assert (outcome.status, outcome.stdout) == (0, "hello agent\n")

    def test_agent_that_cannot_be_loaded(self, plugins: Path) -> None:
        outcome = idn_gym("run", "tiny", "--agent", "forgotten", plugins=plugins)
        assert (outcome.status, outcome.stdout) == (2, "")
        assert "forgotten: cannot be loaded from theirs:Forgotten" in outcome.stderr.splitlines()[-1]
        assert "Traceback" not in outcome.stderr


def test_golden_cases_are_here_or_skipped() -> None:
    """The fixture `golden` skips one by one; here is why."""
    if not GOLDEN.is_dir():
        pytest.skip(f"{GOLDEN} is kept outside the repository")
    assert {path.parent.name for path in GOLDEN.glob("*/expected.json")} >= {"one-station", "two-stations", "city"}
