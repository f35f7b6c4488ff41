"""Sweeps: the file, the records and the table, and that a killed worker or driver loses only what was in flight."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import PATIENCE, comparable, idn_gym, in_process, install_agents, started

from idn_gym.errors import IdnError
from idn_gym.experiment import sweep
from idn_gym.experiment.folders import locked
from idn_gym.experiment.intervals import mean_interval
from idn_gym.experiment.sweep_file import read_sweep

pytestmark = pytest.mark.commands

GRID: dict[str, Any] = {
    "format": "idn-gym/sweep-1",
    "scenarios": ["tiny", "greedy-trap"],
    "agents": ["infida", "random:refresh=2", "optimum:time_limit=null"],
    "seeds": [3, 1],
    "slots": 12,
    "overrides": [{}, {"accuracy_weight": 2.5, "slot_seconds": 2.0}],
}


def write(folder: Path, **changes: Any) -> Path:
    """A sweep file, `GRID` with changes; a key of None is left out."""
    folder.mkdir(exist_ok=True)
    values = {key: value for key, value in {**GRID, **changes}.items() if value is not None}
    path = folder / "grid.json"
    path.write_text(json.dumps(values))
    return path


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON object."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def timeless(folder: Path) -> dict[str, Any]:
    """Every file of a sweep, with what a clock wrote taken out."""
    table = [{key: value for key, value in row.items() if key != "seconds"} for row in rows(folder)]
    return {**comparable(folder), "table.csv": table}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed sweep on two processes."""
    folder = tmp_path_factory.mktemp("swept")
    outcome = idn_gym("sweep", write(folder), "--output", folder / "out", "--workers", 2)
    assert outcome.status == 0, outcome.stderr
    assert [line.split()[0] for line in outcome.stderr.splitlines()] == [f"{n}/8" for n in range(1, 9)]
    return folder / "out"


class TestRecords:
    def test_streams_are_record_folders_of_run(self, swept: Path, tmp_path: Path) -> None:
        """No second record layout: the files that `idn-gym run` writes, plots and its own command aside."""
        labels = {"scenario": "tiny", "accuracy_weight": 2.5, "slot_seconds": 2.0, "seed": 3}
        listed = json.loads((swept / "sweep.json").read_text())["streams"]
        [folder] = [one["folder"] for one in listed if {key: one.get(key) for key in labels} == labels]
        agents = [word for agent in GRID["agents"] for word in ("--agent", agent)]
        overrides = ("--set", "accuracy_weight=2.5", "--set", "slot_seconds=2.0")
        command = ("run", "tiny", *agents, *overrides, "--slots", 12, "--seed", 3, "--output", tmp_path / "run")
        assert in_process(*command).status == 0
        theirs, ours = comparable(tmp_path / "run"), comparable(swept / folder)
        abouts = [json.loads(files.pop("run.json")) for files in (theirs, ours)]
        assert abouts[1]["command"][:2] == ["idn-gym", "sweep"]
        assert {**abouts[0], "command": None} == {**abouts[1], "command": None}
        assert {path: text for path, text in theirs.items() if not path.endswith(".png")} == ours
        assert [path.name for path in swept.glob("*.png")] == ["ntag.png"]  # one of all cells

    def test_table(self, swept: Path) -> None:
        """A row per run, in the order of the file, with the figures of its result."""
        table = rows(swept)
        order = [
            (name, str(over.get("accuracy_weight", "")), str(over.get("slot_seconds", "")), str(seed), agent)
            for name in GRID["scenarios"]
            for over in GRID["overrides"]
            for seed in GRID["seeds"]
            for agent in ("infida", "random:refresh=2", "optimum:time_limit=null")
        ]
        columns = ("scenario", "accuracy_weight", "slot_seconds", "seed", "agent")
        assert [tuple(row[column] for column in columns) for row in table] == order
        folders = {json.dumps(one["folder"]): one for one in json.loads((swept / "sweep.json").read_text())["streams"]}
        assert len(folders) == 8
        results = [
            json.loads((swept / one["folder"] / agent / "result.json").read_text())
            for one in folders.values()
            for agent in sorted(os.listdir(swept / one["folder"]))
            if (swept / one["folder"] / agent).is_dir()
        ]
        for key in ("ntag", "gain", "latency_ms", "inaccuracy", "model_update_mb"):
            assert sorted(float(row[key]) for row in table) == sorted(result[key] for result in results)
        for row in table:
            assert row["slots"] == "12"
            assert float(row["static_bound"]) >= (1 - 1e-9) * float(row["gain"]) or row["agent"] == "infida"
            assert float(row["of_bound"]) == pytest.approx(float(row["gain"]) / float(row["static_bound"]), rel=1e-12)
            assert (row["fractional_ntag"] != "") == (row["agent"] == "infida")

    def test_one_process_gives_the_same(self, swept: Path, tmp_path: Path) -> None:
        again = in_process("sweep", swept.parent / "grid.json", "--output", tmp_path / "out", "--workers", 1)
        assert again.status == 0, again.stderr
        assert timeless(tmp_path / "out") == timeless(swept)

    @pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
    def test_ray_gives_the_same(self, swept: Path, tmp_path: Path) -> None:
        grid = swept.parent / "grid.json"
        outcome = idn_gym("sweep", grid, "--output", tmp_path / "out", "--address", "local", "--workers", 2)
        assert outcome.status == 0, outcome.stderr
        assert timeless(tmp_path / "out") == timeless(swept)

    def test_table_on_the_terminal(self, swept: Path) -> None:
        """Nothing is kept without --output; means and intervals over seeds are shown."""
        outcome = in_process("sweep", swept.parent / "grid.json", "--workers", 1)
        assert outcome.status == 0, outcome.stderr
        ntag = [float(row["ntag"]) for row in rows(swept)[:6] if row["agent"] == "infida"]
        interval = mean_interval(ntag)
        assert f"{interval.mean:.2f} ± {interval.half:.2f}" in outcome.stdout
        ours = [float(row["of_bound"]) for row in rows(swept)[:6] if row["agent"] == "infida"]
        assert f"{mean_interval(ours).mean:.2%} ± {mean_interval(ours).half:.2%}" in outcome.stdout

    def test_without_matplotlib(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A sweep needs none: it says that it draws nothing, and runs."""
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        grid = write(tmp_path, scenarios=["tiny"], overrides=None, agents=["random"])
        outcome = in_process("sweep", grid, "--output", tmp_path / "out", "--workers", 1)
        assert outcome.status == 0, outcome.stderr
        assert 'pip install -e ".[plots]"' in outcome.stderr.splitlines()[0]
        assert (tmp_path / "out" / "table.csv").exists()
        assert not list(tmp_path.glob("out/*.png"))


class TestFile:
    def test_relative_scenarios(self, tmp_path: Path) -> None:
        """A scenario file stands beside the sweep file, wherever that is read from."""
        text = in_process("show", "tiny", "--yaml").stdout
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "mine.yaml").write_text(text)
        streams = read_sweep(write(tmp_path / "deep", scenarios=["mine.yaml", "IDN/Tiny-v0"], overrides=None))
        assert [stream.labels["scenario"] for stream in streams] == ["mine.yaml"] * 2 + ["IDN/Tiny-v0"] * 2
        assert streams[0].runs[0].scenario == streams[2].runs[0].scenario

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"seeds": [0, -1]}, "seeds.1: -1; must be greater than or equal to 0"),
            ({"seeds": []}, "seeds: []"),
            ({"agents": None}, "agents: missing"),
            ({"workers": 2}, "workers: unknown key; allowed: format, scenarios, agents, seeds, slots, overrides"),
            ({"format": "idn-gym/scenario-1"}, "this is a scenario file, not a sweep file; it goes to: idn-gym run"),
            ({"format": "idn-gym/sweep-9"}, "format: 'idn-gym/sweep-9'; did you mean 'idn-gym/sweep-1'? allowed: "),
            ({"slots": 0}, "slots: 0"),
            ({"slots": 1.5}, "slots: 1.5"),
            ({"scenarios": ["tinny"]}, "no scenario 'tinny'"),
            ({"scenarios": ["tinny.yaml"]}, "tinny.yaml: cannot be read"),
            ({"overrides": [{"rate": 3}]}, "rate: unknown key"),
            ({"agents": ["infidel"]}, "no agent 'infidel'"),
            ({"agents": ["infida:scale=-1"]}, "agent infida: scale: -1; must be a number >= 0"),
            ({"agents": ["infida", "infida"]}, "the same agent with the same parameters twice"),
            ({"seeds": [1, 1]}, "scenario tiny, seed 1 twice".replace("scenario ", "")),
        ],
    )
    def test_faults_are_named_before_anything_is_played(
        self, tmp_path: Path, changes: dict[str, Any], says: str
    ) -> None:
        outcome = in_process("sweep", write(tmp_path, **changes), "--output", tmp_path / "out", "--workers", 1)
        assert outcome.status == 2
        assert outcome.stdout == ""
        assert len(outcome.stderr.splitlines()) == 1
        assert says in outcome.stderr
        assert not (tmp_path / "out").exists()

    def test_not_a_mapping(self, tmp_path: Path) -> None:
        (tmp_path / "grid.json").write_text("[1]")
        with pytest.raises(IdnError, match=r"a sweep is a mapping of keys, not '\[1\]'"):
            read_sweep(tmp_path / "grid.json")


class TestSize:
    """A file of a few bytes may ask for days of work: how much it is, is said first, or refused."""

    @staticmethod
    def grid(folder: Path, overrides: int, seeds: int, scenario: str = "tiny") -> Path:
        settings = [{"accuracy_weight": 1.0 + n} for n in range(overrides)]
        return write(
            folder, scenarios=[scenario], overrides=settings, seeds=list(range(seeds)), agents=["infida", "random"]
        )

    def test_too_many_are_refused_before_any_is_resolved(self, tmp_path: Path) -> None:
        """The scenario is none, which nobody finds out."""
        outcome = in_process("sweep", self.grid(tmp_path, 100, 51, "nowhere"), "--output", tmp_path / "out")
        assert (outcome.status, outcome.stdout) == (2, "")
        assert outcome.stderr.endswith(
            "10,200 runs: 1 scenarios x 100 overrides x 51 seeds x 2 agents; at most 10,000 are run unless --max-runs "
            "allows more\n"
        )
        assert outcome.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_an_option_sets_the_limit(self, tmp_path: Path) -> None:
        grid = self.grid(tmp_path, 100, 51, "nowhere")
        lifted = in_process("sweep", grid, "--output", tmp_path / "out", "--max-runs", 10_200)
        said, refused = lifted.stderr.splitlines()
        assert said == f"idn-gym: {grid}: 10,200 runs: 1 scenarios x 100 overrides x 51 seeds x 2 agents"
        assert "no scenario 'nowhere'" in refused
        lowered = in_process("sweep", write(tmp_path), "--output", tmp_path / "out", "--max-runs", 23)
        assert "24 runs: 2 scenarios x 2 overrides x 2 seeds x 3 agents; at most 23" in lowered.stderr
        assert (lowered.status, (tmp_path / "out").exists()) == (2, False)


class TestFolder:
    def test_not_empty(self, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes").touch()
        streams = read_sweep(write(tmp_path))
        with pytest.raises(IdnError, match="not empty; give --resume"):
            sweep.run(streams, tmp_path / "out")
        with pytest.raises(IdnError, match="holds files but no sweep to resume"):
            sweep.run(streams, tmp_path / "out", resume=True)

    def test_another_sweep(self, swept: Path, tmp_path: Path) -> None:
        """One that lacks a cell or an agent, or is of other slots."""
        for changes in ({"seeds": [3]}, {"slots": 13}, {"agents": ["infida"]}, {"agents": GRID["agents"][::-1]}):
            with pytest.raises(IdnError, match="holds another sweep"):
                sweep.run(read_sweep(write(tmp_path, **changes)), swept, resume=True)

    def test_cells_and_agents_are_added(self, tmp_path: Path) -> None:
        """In any place of the lists; what is there is not played again, and all ends as if it was asked for at once."""
        few = {"scenarios": ["tiny"], "overrides": None, "seeds": [1], "agents": ["infida", "random"]}
        more = {**few, "seeds": [0, 1], "agents": ["infida", "last-batch-greedy", "random"]}
        sweep.run(read_sweep(write(tmp_path, **few)), tmp_path / "out", command=["idn-gym", "sweep"])
        kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/*/*/*")}
        for folder, resume in (("out", True), ("whole", False)):
            sweep.run(
                read_sweep(write(tmp_path, **more)), tmp_path / folder, resume=resume, command=["idn-gym", "sweep"]
            )
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        assert len(kept) == 3 + 4
        assert timeless(tmp_path / "out") == timeless(tmp_path / "whole")

    def test_damage_is_named_before_anything_is_played(self, swept: Path, tmp_path: Path) -> None:
        """Also in a stream that is complete, which nobody would play again."""
        changes: dict[str, Callable[[Path], Any]] = {
            "sweep.json": lambda path: edit(path, format="idn-gym/sweep-0"),
            "*/run.json": lambda path: edit(path, versions={"python": "2.7"}),
            "*/requests.csv": lambda path: path.write_text(path.read_text().replace("0,cars", "0,people", 1)),
            "*/infida/slots.csv": lambda path: path.write_text("slot\n0\n"),
            "*/infida/fractional.json": Path.unlink,
            "*/infida/result.json": lambda path: edit(path, ntag=99.0),
        }
        before = {path: path.read_bytes() for path in swept.rglob("*") if path.is_file()}
        for pattern, change in changes.items():
            path = max(swept.glob(pattern))
            change(path)
            outcome = in_process("sweep", swept.parent / "grid.json", "--output", swept, "--resume")
            path.write_bytes(before[path])
            assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1), pattern
            assert str(path) in outcome.stderr, pattern
        assert {path: path.read_bytes() for path in swept.rglob("*") if path.is_file()} == before

    def test_a_second_process_is_refused(self, swept: Path) -> None:
        before = comparable(swept)
        with locked(swept):
            for resume in ((), ("--resume",)):
                outcome = in_process("sweep", swept.parent / "grid.json", "--output", swept, *resume)
                assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
                assert f"{swept}: another process is at work there" in outcome.stderr
        assert comparable(swept) == before

    def test_resuming_what_is_complete_plays_nothing(self, swept: Path) -> None:
        once = [path for path in swept.rglob("*") if path not in (swept / "table.csv", swept / "ntag.png")]
        before, content = {path: path.stat().st_mtime_ns for path in once}, comparable(swept)
        outcome = in_process("sweep", swept.parent / "grid.json", "--output", swept, "--resume", "--json")
        assert outcome.status == 0
        assert outcome.stderr == ""
        assert len(json.loads(outcome.stdout)["rows"]) == 24
        assert {path: path.stat().st_mtime_ns for path in before} == before
        assert comparable(swept) == content

    def test_resume_needs_a_folder(self, tmp_path: Path) -> None:
        outcome = in_process("sweep", write(tmp_path), "--resume")
        assert (outcome.status, outcome.stdout) == (2, "")
        assert "--resume: needs --output" in outcome.stderr

    def test_no_cluster(self, tmp_path: Path) -> None:
        pytest.importorskip("ray", reason="Ray is not installed")
        outcome = idn_gym("sweep", write(tmp_path), "--output", tmp_path / "out", "--address", "auto")
        assert outcome.status == 2
        assert "no Ray cluster there" in outcome.stderr.splitlines()[-1]


# An agent of somebody else's that, with seed 1 and as long as no gate is there, does what its name says.
AGENTS = """
import os, signal, time
import numpy as np
from pathlib import Path
from idn_gym.errors import IdnError

GATE = Path({gate!r})

class Agent:
    def reset(self, network, seed):
        self.network, self.seed, self.slot = network, seed, -1
    def act(self, observation):
        self.slot += 1
        if self.slot == 5 and self.seed == 1 and not GATE.exists():
            self.fail()
        return np.zeros(self.network.P, dtype=np.int8)
    def info(self):
        return {{}}

class Killed(Agent):
    def fail(self):
        os.kill(os.getpid(), signal.SIGKILL)

class Refuses(Agent):
    def fail(self):
        raise IdnError("cannot go on")

class Raises(Agent):
    def fail(self):
        raise RuntimeError("a fault of its own")

class Waits(Agent):
    def fail(self):
        GATE.with_name("begun").write_text(str(os.getpid()))
        GATE.with_name("begun").replace(GATE.with_name("waiting"))  # never seen half written
        while not GATE.exists():
            time.sleep(0.01)
"""
POINTS = "[idn_gym.agents]\n" + "\n".join(
    f"{name.lower()} = theirs:{name}" for name in ("Killed", "Refuses", "Raises", "Waits")
)


class TestDisturbed:
    """Runs that fail, workers and drivers that are killed; then the same sweep resumed."""

    @staticmethod
    def grid(tmp_path: Path, agent: str) -> Path:
        return write(
            tmp_path, scenarios=["tiny"], overrides=None, seeds=[0, 1, 2, 3], agents=["random", agent, "infida"]
        )

    @staticmethod
    def plugins(tmp_path: Path) -> Path:
        return install_agents(tmp_path / "plugins", AGENTS.format(gate=str(tmp_path / "gate")), POINTS)

    @staticmethod
    def complete(folder: Path) -> list[Path]:
        """Files of runs that have a result, and the streams of record folders that have been begun."""
        marks = {
            "result.json": ("slots.csv", "allocations.csv", "result.json"),
            "run.json": ("requests.csv", "run.json"),
        }
        return [path.with_name(name) for mark, names in marks.items() for path in folder.rglob(mark) for name in names]

    def resumed(self, tmp_path: Path, grid: Path, plugins: Path) -> None:
        """Resume it, and compare it with one that nothing disturbed."""
        (tmp_path / "gate").touch()
        kept = {path: path.stat().st_mtime_ns for path in self.complete(tmp_path / "out")}
        outcome = idn_gym("sweep", grid, "--output", tmp_path / "out", "--workers", 2, "--resume", plugins=plugins)
        assert outcome.status == 0, outcome.stderr
        assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was complete is not written again"
        outcome = idn_gym("sweep", grid, "--output", tmp_path / "whole", "--workers", 1, plugins=plugins)
        assert outcome.status == 0, outcome.stderr
        assert timeless(tmp_path / "out") == timeless(tmp_path / "whole")

    @pytest.mark.parametrize(
        ("agent", "says"),
        [
            ("killed", "its worker ended early: SIGKILL"),
            ("refuses", "cannot go on"),
            ("raises", r"agent raises, slot \d: act failed: RuntimeError: a fault of its own \(.*theirs.py:\d+\)"),
        ],
    )
    def test_a_worker_or_run_that_fails(self, tmp_path: Path, agent: str, says: str) -> None:
        """Everything but the rest of its own stream is completed all the same."""
        grid, plugins = self.grid(tmp_path, agent), self.plugins(tmp_path)
        outcome = idn_gym("sweep", grid, "--output", tmp_path / "out", "--workers", 2, plugins=plugins)
        assert outcome.status == 1
        assert outcome.stdout == ""
        assert re.fullmatch(
            f"idn-gym: 1 of 4 cells are not complete; the first: tiny, seed 1: {says}; --resume goes on with them",
            outcome.stderr.splitlines()[-1],
        )
        assert not (tmp_path / "out" / "table.csv").exists()
        done = sorted(
            path.parent.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("result.json")
        )
        assert len(done) == 3 * 3 + 1
        assert [path.split("/")[1] for path in done if "seed-1" in path] == ["random"]
        self.resumed(tmp_path, grid, plugins)

    def test_a_killed_driver(self, tmp_path: Path) -> None:
        """Its workers end with it, so that none writes into the folder that is resumed."""
        grid, plugins = self.grid(tmp_path, "waits"), self.plugins(tmp_path)
        process = started("sweep", grid, "--output", tmp_path / "out", "--workers", 2, plugins=plugins)
        until = time.monotonic() + PATIENCE
        # the other worker completes the other streams meanwhile
        while len(list((tmp_path / "out").glob("*/infida/result.json"))) < 3 or not (tmp_path / "waiting").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        worker = int((tmp_path / "waiting").read_text())
        assert worker != process.pid
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        while alive(worker):
            assert time.monotonic() < until, "the worker outlives its driver"
            time.sleep(0.02)
        assert not (tmp_path / "out" / "table.csv").exists()
        self.resumed(tmp_path, grid, plugins)

    def test_an_interrupt(self, tmp_path: Path) -> None:
        """Ctrl-C goes to the whole group of processes; workers leave no traceback and do not stay."""
        grid, plugins = self.grid(tmp_path, "waits"), self.plugins(tmp_path)
        options = {"plugins": plugins, "start_new_session": True}
        process = started("sweep", grid, "--output", tmp_path / "out", "--workers", 2, **options)
        until = time.monotonic() + PATIENCE
        while not (tmp_path / "waiting").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode != 0
        assert "Process SpawnProcess" not in stderr
        assert not alive(int((tmp_path / "waiting").read_text()))
        self.resumed(tmp_path, grid, plugins)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
