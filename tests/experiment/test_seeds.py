"""Several seeds at once: a record folder per seed, means with intervals, and folders that grow by seeds and agents."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import PATIENCE, comparable, idn_gym, in_process, install_agents, started
from scipy import stats

from idn_gym.cli.options import command_of_seed, seeds_in
from idn_gym.errors import IdnError
from idn_gym.experiment.intervals import compared

pytestmark = pytest.mark.commands

SLOTS = 12
AGENTS = ("infida", "random:refresh=2", "optimum:time_limit=null")
FIGURES = {"ntag", "gain", "latency_ms", "inaccuracy", "model_update_mb", "of_bound", "behind"}


def command(seeds: str, *agents: str, scenario: str = "tiny", slots: int = SLOTS) -> list[str]:
    """A run of several seeds."""
    named = [word for agent in agents or AGENTS for word in ("--agent", agent)]
    return ["run", scenario, *named, "--slots", str(slots), "--seeds", seeds, "--json"]


def timeless(folder: Path) -> dict[str, Any]:
    """Every file of a folder, with what a clock wrote taken out; of ``sweep.json`` and ``table.csv`` the values."""
    with (folder / "table.csv").open(newline="") as file:
        table = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file, strict=True)]
    return {**comparable(folder), "table.csv": table}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a run of three seeds on two processes, and its document."""
    folder = tmp_path_factory.mktemp("ran") / "run"
    outcome = idn_gym(*command("3,0:2"), "--output", folder, "--workers", 2)
    assert outcome.status == 0, outcome.stderr
    assert sorted(line.split(" ", 1)[1] for line in outcome.stderr.splitlines()) == [
        f"tiny, seed {seed}" for seed in (0, 1, 3)
    ]
    return folder, json.loads(outcome.stdout)


@pytest.fixture
def folder(ran: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(ran[0], tmp_path / "run"))


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws nothing, where plots are not the point: they take longer than the rest."""
    monkeypatch.setattr("idn_gym.report.run_plots.plot_run", lambda output, network, trace, results: None)
    monkeypatch.setattr("idn_gym.report.run_plots.draw_seeds", lambda by_seed, folder, **options: [])


class TestRecords:
    def test_a_seed_has_the_record_folder_of_its_own_run(
        self, ran: tuple[Path, dict[str, Any]], tmp_path: Path
    ) -> None:
        """Every byte, plots and command too."""
        agents = [word for agent in AGENTS for word in ("--agent", agent)]
        alone = in_process(
            "run", "tiny", *agents, "--slots", SLOTS, "--seed", 1, "--json", "--output", tmp_path / "run"
        )
        assert alone.status == 0, alone.stderr
        assert comparable(ran[0] / "seed-1") == comparable(tmp_path / "run")

    def test_one_process_gives_the_same(self, ran: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
        again = in_process(*command("3,0:2"), "--output", tmp_path / "run", "--workers", 1)
        assert again.status == 0, again.stderr
        assert timeless(tmp_path / "run") == timeless(ran[0])

    def test_table_has_a_row_per_run(self, ran: tuple[Path, dict[str, Any]]) -> None:
        folder, document = ran
        table = timeless(folder)["table.csv"]
        assert [(row["seed"], row["agent"]) for row in table] == [(s, a) for s in ("3", "0", "1") for a in AGENTS]
        assert [float(row["ntag"]) for row in table] == [row["ntag"] for row in document["runs"]]


class TestDocument:
    def test_keys(self, ran: tuple[Path, dict[str, Any]]) -> None:
        _, document = ran
        assert {key: document[key] for key in ("scenario", "slots", "seed", "seeds")} == {
            "scenario": "tiny",
            "slots": SLOTS,
            "seed": 3,
            "seeds": [3, 0, 1],
        }
        assert [row["agent"] for row in document["agents"]] == list(AGENTS)
        for row in document["agents"]:
            assert set(row["intervals"]) == FIGURES | ({"fractional_ntag"} & set(row))
            assert set(row) == set(row["intervals"]) | {"agent", "seconds", "intervals"}

    def test_runs_are_those_of_the_records(self, ran: tuple[Path, dict[str, Any]]) -> None:
        folder, document = ran
        for row in document["runs"]:
            agent = next((folder / f"seed-{row['seed']}").glob(f"{row['agent'].partition(':')[0]}*/result.json"))
            result = json.loads(agent.read_text())
            assert {key: row[key] for key in set(row) & set(result)} == {k: result[k] for k in set(row) & set(result)}
            assert set(row) - set(result) == {"seed", "static_bound", "of_bound"}
            assert row["of_bound"] == pytest.approx(row["gain"] / row["static_bound"], rel=1e-12)

    def test_means_and_intervals(self, ran: tuple[Path, dict[str, Any]]) -> None:
        """By SciPy's own t test: of three seeds the rule takes Student's t."""
        _, document = ran
        for row in document["agents"]:
            for key, ends in row["intervals"].items():
                values = np.array([run.get(key, 0.0) for run in document["runs"] if run["agent"] == row["agent"]])
                if key == "behind":
                    best = [run["ntag"] for run in document["runs"] if run["agent"] == "optimum:time_limit=null"]
                    values = best - np.array([r["ntag"] for r in document["runs"] if r["agent"] == row["agent"]])
                assert row[key] == pytest.approx(values.mean(), rel=1e-12)
                if np.ptp(values) > 0.0:
                    assert ends == pytest.approx(list(stats.ttest_1samp(values, 0.0).confidence_interval()), rel=1e-9)
                else:
                    assert ends == [values[0], values[0]]

    def test_one_seed_has_no_intervals(self) -> None:
        outcome = in_process(*command("4", "infida", "random"), "--workers", 1)
        document = json.loads(outcome.stdout)
        assert document["seeds"] == [4]
        assert [row["intervals"] for row in document["agents"]] == [{}, {}]
        single = in_process("run", "tiny", "--agent", "infida", "--slots", SLOTS, "--seed", 4, "--json")
        same = {k: v for k, v in document["agents"][0].items() if k not in ("seconds", "intervals", "behind")}
        assert same == {k: v for k, v in json.loads(single.stdout)["agents"][0].items() if k != "seconds"}

    def test_differences_are_paired(self) -> None:
        """What streams have in common, far larger than the difference, does not blur it."""
        shared = [50.0, -30.0, 110.0, 0.0]
        rows = [
            {"agent": agent, "seed": seed, "ntag": ntag + ahead * (1.0 + 0.01 * seed)}
            for seed, ntag in enumerate(shared)
            for agent, ahead in (("low", 0.0), ("high", 1.0))
        ]
        low, high = compared(rows, ["ntag", "gain"])
        assert high["intervals"]["ntag"][0] < low["ntag"] < high["ntag"]
        assert low["behind"] == pytest.approx(1.015)
        assert low["intervals"]["behind"][0] > 0.99
        assert (high["behind"], high["intervals"]["behind"]) == (0.0, [0.0, 0.0])
        assert "gain" not in low

    @pytest.mark.usefixtures("no_plots")
    def test_on_the_terminal(self, ran: tuple[Path, dict[str, Any]], folder: Path) -> None:
        """Mean and half the width; the best first, without a distance to itself."""
        outcome = in_process(*command("3,0:2")[:-1], "--output", folder, "--resume", "--workers", 1)
        assert outcome.status == 0, outcome.stderr
        assert timeless(folder) == timeless(ran[0])
        rows = sorted(ran[1]["agents"], key=lambda row: -row["ntag"])
        lines = [line for line in outcome.stdout.splitlines() if "±" in line][: len(rows)]
        for row, line in zip(rows, lines, strict=True):
            low, high = row["intervals"]["ntag"]
            assert line.startswith(row["agent"])
            assert f"{row['ntag']:.3f} ± {(high - low) / 2:.3f}" in line
        assert "paired by seed" in outcome.stdout


class TestResume:
    def test_seeds_and_agents_are_added(self, folder: Path, tmp_path: Path) -> None:
        """Only what is missing is played, and all ends as if it had been asked for at once."""
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("seed-*/*/*")}
        words = command("0:2,3,5", "infida", "last-batch-greedy", *AGENTS[1:])
        outcome = in_process(*words, "--output", folder, "--workers", 1, "--resume")
        assert outcome.status == 0, outcome.stderr
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        assert len(list(folder.glob("seed-*/*/result.json"))) == 4 * 4
        assert in_process(*words, "--output", tmp_path / "whole", "--workers", 1).status == 0
        assert timeless(folder) == timeless(tmp_path / "whole")

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (command("3,0:2", slots=13), "seed-3: holds a run with other slots"),
            (command("3,0:2", scenario="greedy-trap"), "holds another sweep"),
            ([*command("3,0:2"), "--set", "accuracy_weight=2"], "seed-3: holds a run with other scenario"),
            (command("0:2"), "seed-3 of agents"),
            (command("3,0:2", *AGENTS[:2]), "neither leaves any out"),
            (command("3,0:2", *AGENTS[::-1]), "nor changes the order"),
            (command("3,0:2", "infida:refresh=2", *AGENTS[1:]), "neither leaves any out"),
        ],
        ids=["slots", "scenario", "override", "fewer seeds", "fewer agents", "order", "parameter"],
    )
    def test_another_run_is_refused(self, folder: Path, words: list[str], says: str) -> None:
        before = comparable(folder)
        outcome = in_process(*words, "--output", folder, "--resume")
        assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
        assert says in outcome.stderr
        assert comparable(folder) == before

    @pytest.mark.usefixtures("no_plots")
    def test_another_trace_is_refused(self, tmp_path: Path) -> None:
        """Of the same name and number of slots; told before anything is played."""
        trace = tmp_path / "requests.csv"
        words = ["run", "tiny", "--agent", "random", "--trace", trace, "--output", tmp_path / "run", "--workers", 1]
        trace.write_text("slot,task,source,requests\n0,cars,bs0,8\n1,cars,bs0,8\n")
        assert in_process(*words, "--seeds", "0:2").status == 0
        assert in_process(*words, "--seeds", "0:3", "--resume").status == 0
        before = comparable(tmp_path / "run")
        trace.write_text("slot,task,source,requests\n0,cars,bs0,8\n1,cars,bs0,9\n")
        outcome = in_process(*words, "--seeds", "0:4", "--resume")
        assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
        assert "seed-0: holds a run with other requests.csv" in outcome.stderr
        assert comparable(tmp_path / "run") == before

    @pytest.mark.parametrize(
        ("damage", "named"),
        [
            (lambda folder: (folder / "seed-1" / "requests.csv").unlink(), "seed-1/requests.csv"),
            (lambda folder: (folder / "seed-0" / "infida" / "slots.csv").write_text("slot\n0\n"), "infida/slots.csv"),
            (lambda folder: (folder / "sweep.json").write_text("{}"), "sweep.json"),
            (lambda folder: edit(folder / "sweep.json", streams=[3]), "sweep.json"),
            (lambda folder: edit(folder / "sweep.json", streams=[{"agents": ["infida"]}]), "holds another sweep"),
        ],
    )
    def test_damage_is_named(self, folder: Path, damage: Callable[[Path], Any], named: str) -> None:
        damage(folder)
        before = comparable(folder)
        outcome = in_process(*command("3,0:2,7"), "--output", folder, "--resume")
        assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
        assert named in outcome.stderr
        assert comparable(folder) == before

    def test_runs_of_one_seed_and_of_several_are_kept_apart(self, folder: Path, tmp_path: Path) -> None:
        single = ["run", "tiny", "--agent", "infida", "--slots", SLOTS]
        outcome = in_process(*single, "--output", folder, "--resume")
        assert (outcome.status, outcome.stderr.count("\n")) == (2, 1)
        assert "but no run to resume" in outcome.stderr
        (tmp_path / "single").mkdir()
        (tmp_path / "single" / "run.json").write_text("{}")
        outcome = in_process(*command("0:2"), "--output", tmp_path / "single", "--resume")
        assert (outcome.status, outcome.stderr.count("\n")) == (2, 1)
        assert "nor a run of several seeds" in outcome.stderr


# An agent of somebody else's that waits in slot 5 of seed 1 as long as no gate is there.
PLUGIN = """
import time
from pathlib import Path
import numpy as np

GATE = Path({gate!r})

class Waits:
    def reset(self, network, seed):
        self.network, self.seed, self.slot = network, seed, -1
    def act(self, observation):
        self.slot += 1
        while self.slot == 5 and self.seed == 1 and not GATE.exists():
            GATE.with_name("waiting").touch()
            time.sleep(0.01)
        return np.zeros(self.network.P, dtype=np.int8)
    def info(self):
        return {{}}
"""


@pytest.mark.usefixtures("no_plots")
def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was complete stays; resumed with a seed more, the files are those of a run that nothing disturbed."""
    plugins = install_agents(
        tmp_path / "plugins", PLUGIN.format(gate=str(tmp_path / "gate")), "[idn_gym.agents]\nwaits = theirs:Waits\n"
    )
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    monkeypatch.syspath_prepend(str(plugins))
    agents = ("random", "waits", "infida")
    process = started(*command("0:3", *agents), "--output", tmp_path / "run", "--workers", 2, plugins=plugins)
    until = time.monotonic() + PATIENCE
    others = [f"seed-{seed}/infida/result.json" for seed in (0, 2)]  # which the other worker completes meanwhile
    while not ((tmp_path / "waiting").exists() and all((tmp_path / "run" / path).exists() for path in others)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert not (tmp_path / "run" / "seed-1" / "waits").exists()
    assert not (tmp_path / "run" / "table.csv").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("seed-*/*/result.json")}
    assert len(kept) == 1 + 3 * len(others)
    (tmp_path / "gate").touch()
    for folder, resume in (("run", ("--resume",)), ("whole", ())):
        outcome = in_process(*command("0:4", *agents), "--output", tmp_path / folder, "--workers", 1, *resume)
        assert outcome.status == 0, outcome.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    without_plots = [
        {path: content for path, content in timeless(tmp_path / folder).items() if ".png" not in path}
        for folder in ("run", "whole")
    ]
    assert without_plots[0] == without_plots[1]


class TestOption:
    @pytest.mark.parametrize(
        ("text", "seeds"),
        [("3", [3]), ("0:3", [0, 1, 2]), ("7,0", [7, 0]), ("0:2, 5,9:11", [0, 1, 5, 9, 10]), ("07", [7])],
    )
    def test_read(self, text: str, seeds: list[int]) -> None:
        assert seeds_in(text) == seeds

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "must be A:B"),
            ("-1", "must be A:B"),
            ("1.5", "must be A:B"),
            ("0:", "must be A:B"),
            ("0:6:2", "must be A:B"),
            ("1,,2", "must be A:B"),
            ("\u0663", "must be A:B"),
            ("9" * 20, "at most 19 digits"),
            ("5:5", "holds no seed"),
            ("5:2", "holds no seed"),
            ("0:3,2", "a seed twice"),
            ("0:10001", "too many; at most 10,000"),
            ("0:9999,10000:9000000000", "too many; at most 10,000"),
        ],
    )
    def test_refused(self, text: str, says: str) -> None:
        with pytest.raises(IdnError, match=f"^--seeds: .*{says}"):
            seeds_in(text)

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--seeds", "0:2", "--seed", "0"], "--seed 0: goes not with --seeds"),
            (["--seeds", "0:2", "--verbose"], "--verbose: shows what agents log"),
            (["--workers", "2"], "--workers 2: share out the seeds of --seeds"),
            (["--seeds", "0:2", "--resume"], "--resume: needs --output"),
            (["--seeds", "0:2", "--trace", "nowhere.csv"], "nowhere.csv: cannot be read"),
            (["--seeds", "0:2", "--agent", "random"], "the same agent with the same parameters twice"),
        ],
    )
    def test_what_goes_not_together(self, tmp_path: Path, words: list[str], says: str) -> None:
        output = [] if "--resume" in words else ["--output", tmp_path / "run"]
        outcome = in_process("run", "tiny", "--agent", "random", *words, *output)
        assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
        assert says in outcome.stderr
        assert not (tmp_path / "run").exists()

    def test_command_of_one_seed(self) -> None:
        words = ["idn-gym", "run", "tiny", "--seeds", "0:3", "--agent", "random"]
        assert command_of_seed(words, 2) == ("idn-gym", "run", "tiny", "--seed", "2", "--agent", "random")
        assert command_of_seed(["run", "--seeds=0:3"], 1) == ("run", "--seed=1")


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON object."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
