"""``check --all`` and ``evaluate --allocation`` over what a run wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import in_process

from idn_gym.library.load import load_scenario

SLIPS = {"slot_seconds": 0, "horizn": 3, "replicas": 1.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of an agent that stands still and one that does not; 8 slots."""
    folder = tmp_path_factory.mktemp("record") / "run"
    agents = ("--agent", "random", "--agent", "static-greedy")
    outcome = in_process("run", "tiny", *agents, "--slots", 8, "--output", folder, "--json")
    assert outcome.status == 0
    return folder


def evaluated(run: Path, agent: str, *options: object) -> dict[str, object]:
    """What `evaluate` says of an agent's allocations over the stream of the run."""
    files = ("--allocation", run / agent / "allocations.csv", "--requests", run / "requests.csv")
    outcome = in_process("evaluate", "tiny", *files, *options, "--json")
    assert outcome.status == 0, outcome.stderr
    return json.loads(outcome.stdout)


def test_what_stands_still_gains_what_the_run_says(run: Path) -> None:
    result = json.loads((run / "static-greedy" / "result.json").read_text())
    for options in ((), ("--slot", 0), ("--slot", 7)):
        document = evaluated(run, "static-greedy", *options)
        assert document["ntag"] == pytest.approx(result["ntag"], rel=1e-12)
        assert document["gain"] == pytest.approx(result["gain"], rel=1e-12)


def test_a_slot_is_served_as_it_was(run: Path) -> None:
    """With what was placed in slot t, slot t costs and gains what the run wrote."""
    rows = [line.split(",") for line in (run / "random" / "slots.csv").read_text().splitlines()]
    for t, row in enumerate(rows[1:]):
        slots = evaluated(run, "random", "--slot", t)["slots"]
        assert isinstance(slots, list)
        assert slots[t]["gain"] == pytest.approx(float(row[rows[0].index("gain")]), rel=1e-12)
        assert slots[t]["cost"] == pytest.approx(float(row[rows[0].index("cost")]), rel=1e-12)
    assert evaluated(run, "random") == evaluated(run, "random", "--slot", 7)


def test_the_same_as_an_allocation_file(run: Path, tmp_path: Path) -> None:
    placed: dict[str, list[str]] = {}
    lines = [line.split(",") for line in (run / "random" / "allocations.csv").read_text().splitlines()[1:]]
    for slot, node, model in lines:
        if slot == lines[-1][0]:
            placed.setdefault(node, []).append(model)
    (tmp_path / "a.json").write_text(json.dumps(placed))
    files = ("--allocation", tmp_path / "a.json", "--requests", run / "requests.csv")
    assert json.loads(in_process("evaluate", "tiny", *files, "--json").stdout) == evaluated(run, "random")


def test_slots_that_there_are_not(run: Path, tmp_path: Path) -> None:
    files = ("--allocation", run / "random" / "allocations.csv", "--requests", run / "requests.csv")
    outcome = in_process("evaluate", "tiny", *files, "--slot", 8)
    assert outcome.status == 2
    assert "allocations.csv: slot 8; the run has slots 0 to 7" in outcome.stderr
    (tmp_path / "a.json").write_text("{}")
    outcome = in_process("evaluate", "tiny", "--allocation", tmp_path / "a.json", *files[2:], "--slot", 1)
    assert outcome.status == 2
    assert "--slot: goes with the allocations.csv of a run" in outcome.stderr


# what is in the file -> words of the answer, over tiny
BROKEN = {
    "slot,node,model\n": "no allocation",
    "slot,node,model\n1,bs0,cars/small\n": ":2: slot '1'",
    "slot,node,model\n0,bs9,cars/small\n": ":2: node 'bs9'",
    "slot,node,model\n0,bs0,cars/small\n0,bs0,cars/small\n": ":3: node 'bs0'",
    "slot,node,model\n0,bs0,cars/large\n0,bs0,cars/small\n": "bs0",  # 4 MB in 3
}


@pytest.mark.parametrize("content", BROKEN)
def test_allocations_that_are_none(tmp_path: Path, run: Path, content: str) -> None:
    file = tmp_path / "allocations.csv"
    file.write_text(content)
    files = ("--allocation", file, "--requests", run / "requests.csv")
    outcome = in_process("evaluate", "tiny", *files, "--json")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.count("\n") == 1
    assert f"{file}" in outcome.stderr
    assert BROKEN[content] in outcome.stderr


def test_an_allocation_from_a_copy_alone(run: Path, tmp_path: Path) -> None:
    """Without the rest of the record the last change is what counts, whatever slot is asked for after it."""
    copy = tmp_path / "mine.txt"
    copy.write_bytes((run / "random" / "allocations.csv").read_bytes())
    files = ("--allocation", copy, "--requests", run / "requests.csv", "--json")
    last = json.loads(in_process("evaluate", "tiny", *files).stdout)
    assert last == json.loads(in_process("evaluate", "tiny", *files, "--slot", 10**6).stdout)
    assert last == evaluated(run, "random")


class TestAll:
    @pytest.fixture
    def broken(self, tmp_path: Path) -> Path:
        """A scenario with three faults."""
        values = load_scenario("tiny").to_dict()
        del values["horizon"]
        file = tmp_path / "broken.json"
        file.write_text(json.dumps(values | SLIPS))
        return file

    def test_the_first_alone(self, broken: Path) -> None:
        outcome = in_process("check", broken)
        assert (outcome.status, outcome.stdout) == (2, "")
        assert outcome.stderr.startswith(f"idn-gym: {broken}: horizn: unknown key; did you mean 'horizon'? allowed: ")
        assert outcome.stderr.endswith("(and 2 more)\n")

    def test_all(self, broken: Path) -> None:
        outcome = in_process("check", broken, "--all")
        assert (outcome.status, outcome.stdout) == (2, "")
        lines = outcome.stderr.splitlines()
        assert [line.removeprefix(f"idn-gym: {broken}: ").partition(":")[0] for line in lines] == [
            "horizn",
            "slot_seconds",
            "replicas",
        ]

    def test_as_json(self, broken: Path) -> None:
        outcome = in_process("check", broken, "--all", "--json")
        assert outcome.status == 2
        document = json.loads(outcome.stdout)
        assert document["ok"] is False
        assert [fault.partition(":")[0] for fault in document["faults"]] == ["horizn", "slot_seconds", "replicas"]
        assert in_process("check", broken, "--json").stdout == ""

    def test_a_rule_between_keys(self, tmp_path: Path) -> None:
        values = load_scenario("tiny").to_dict()
        values["links"][0]["source"], values["links"][1]["target"] = "moon", "mars"
        file = tmp_path / "moon.json"
        file.write_text(json.dumps(values))
        faults = json.loads(in_process("check", file, "--all", "--json").stdout)["faults"]
        assert [fault.partition(":")[0] for fault in faults] == ["links.0.source", "links.1.target"]

    def test_a_sweep(self, tmp_path: Path) -> None:
        file = tmp_path / "sweep.yaml"
        file.write_text("format: idn-gym/sweep-1\nscenarios: []\nagents: [random]\nseeds: [-1]\n")
        lines = in_process("check", file, "--all").stderr.splitlines()
        assert [line.removeprefix(f"idn-gym: {file}: ").partition(":")[0] for line in lines] == ["scenarios", "seeds.0"]

    def test_what_stops_at_the_first(self, tmp_path: Path) -> None:
        file = tmp_path / "trace.csv"
        file.write_text("slot,task,source,requests\n0,cars,bs0,-1\n0,cars,bs1,-1\n")
        outcome = in_process("check", file, "--scenario", "tiny", "--all", "--json")
        assert outcome.status == 2
        assert len(json.loads(outcome.stdout)["faults"]) == 1
        assert outcome.stderr.count("\n") == 1

    def test_valid(self) -> None:
        assert json.loads(in_process("check", "tiny", "--all", "--json").stdout)["ok"] is True
