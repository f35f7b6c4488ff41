"""Record folders: what a run leaves behind, and that a kill, a full disk or a broken agent loses nothing complete."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from command_line import ENTRY, PATIENCE, Outcome, comparable, environment, idn_gym, in_process, install_agents, started
from idn_agents.infida.infida import Infida

from idn_gym.common.files import write_text
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.experiment import record_files, records
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model import gain
from idn_gym.model.allocation_file import read_allocation
from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.workload.stream import draw

SLOTS, SEED = 30, 5
OUTAGES = "workload.capacity={kind: outages, probability: 0.3, duration: 2, remaining: 0.25}"
COLUMNS = ["slot", "requests", "gain", "cost", "latency_ms", "inaccuracy", "model_update_mb"]
SUMMARY = {"ntag", "gain", "latency_ms", "inaccuracy", "model_update_mb"}
PLOTS = {"ntag.png", "regret.png", "latency-inaccuracy.png", "allocation.png"}
PNG = b"\x89PNG\r\n\x1a\n"


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of ``slots.csv``."""
    table = rows(path)
    return {name: np.array([float(row[name]) for row in table]) for name in table[0]}


def files(folder: Path) -> list[str]:
    """Every file in a folder, by its path there."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def without_plots(content: dict[str, bytes]) -> dict[str, bytes]:
    """What `comparable` gave, but the plots."""
    return {path: text for path, text in content.items() if path not in PLOTS}


def completed(folder: Path) -> set[str]:
    """Agents that have a result."""
    return {path.parent.name for path in folder.glob("*/result.json")}


class Record:
    """A record folder, read by the files alone, and the run that it should be of."""

    AGENTS = ("random:refresh=3", "infida", "repository-only", "static-greedy")

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.folder, self.overrides = folder, overrides
        named = [word for agent in self.AGENTS for word in ("--agent", agent)]
        changed = [word for override in overrides for word in ("--set", override)]
        self.command = ["run", "tiny", *named, *changed, "--slots", str(SLOTS), "--seed", str(SEED), "--json"]
        self.network = Network.compile(load_scenario("tiny", overrides))
        self.trace = draw(self.network, SLOTS, SEED)

    @property
    def agents(self) -> dict[str, Path]:
        """Folder of each agent."""
        folders = {path.name: path for path in self.folder.iterdir() if path.is_dir()}
        return {agent: folders[self.named(agent, folders)] for agent in self.AGENTS}

    @staticmethod
    def named(agent: str, folders: Any) -> str:
        """The plain name; with parameters, a slug and a short hash."""
        if ":" not in agent:
            return agent
        slug = re.escape(re.sub("[:=]", "-", agent))
        (found,) = [name for name in folders if re.fullmatch(rf"{slug}-[0-9a-f]{{8}}", name)]
        return str(found)

    def requests(self) -> np.ndarray:
        """(T, R) of ``requests.csv``."""
        requests = np.zeros((SLOTS, self.network.R))
        for row in rows(self.folder / "requests.csv"):
            rho = self.network.type_index()[row["task"], row["source"]]
            requests[int(row["slot"]), rho] = float(row["requests"])
        return requests

    def capacities(self) -> np.ndarray:
        """(T, P) of ``capacities.csv``; nominal without it."""
        capacities = np.tile(self.network.capacities, (SLOTS, 1))
        if (self.folder / "capacities.csv").exists():
            for row in rows(self.folder / "capacities.csv"):
                capacities[int(row["slot"]), self.placement(row)] = float(row["capacity"])
        return capacities

    def placement(self, row: dict[str, str]) -> int:
        """The placement that a row's node and model name."""
        v, m = self.network.node_names.index(row["node"]), self.network.model_names.index(row["model"])
        p = int(self.network.placement_index[v, m])
        assert p >= 0
        return p

    def allocations(self, agent: str) -> tuple[np.ndarray, list[int]]:
        """(T, P) of an agent's ``allocations.csv``, each kept until the next, and the slots that it lists."""
        allocations = np.zeros((SLOTS, self.network.P))
        listed: list[int] = []
        for row in rows(self.agents[agent] / "allocations.csv"):
            slot = int(row["slot"])
            if slot not in listed:
                listed.append(slot)
                allocations[slot:] = 0.0
            if row["node"] or row["model"]:
                allocations[slot:, self.placement(row)] = 1.0
        return allocations, listed


@pytest.fixture(scope="module")
def nominal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Outcome]:
    """A run in a process of its own."""
    record = Record(tmp_path_factory.mktemp("nominal") / "deep" / "run")
    return record, idn_gym(*record.command, "--output", record.folder)


@pytest.fixture(scope="module")
def outages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Outcome]:
    """The same with capacities that vary and accuracy that weighs otherwise, in this process."""
    record = Record(tmp_path_factory.mktemp("outages") / "run", OUTAGES, "accuracy_weight=2")
    return record, in_process(*record.command, f"--output={record.folder}")


@pytest.fixture(params=["nominal", "outages"])
def ran(request: pytest.FixtureRequest) -> tuple[Record, Outcome]:
    """Either of the two."""
    found: tuple[Record, Outcome] = request.getfixturevalue(request.param)
    assert found[1].status == 0, found[1].stderr
    return found


@pytest.fixture
def record(ran: tuple[Record, Outcome]) -> Record:
    """The folder of either."""
    return ran[0]


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws nothing, where plots are not the point: they take longer than the rest."""
    monkeypatch.setattr("idn_gym.report.run_plots.plot_run", lambda output, network, trace, results: None)


class TestLayout:
    def test_files(self, record: Record) -> None:
        shared = {"run.json", "requests.csv", *PLOTS} | ({"capacities.csv"} if record.overrides else set())
        own = {
            f"{folder.name}/{file}"
            for folder in record.agents.values()
            for file in ("slots.csv", "allocations.csv", "result.json")
        } | {"infida/fractional.json"}
        assert set(files(record.folder)) == shared | own
        for name in PLOTS:
            assert (record.folder / name).read_bytes().startswith(PNG)

    def test_run_json(self, record: Record) -> None:
        about = json.loads((record.folder / "run.json").read_text())
        assert about["command"] == ["idn-gym", *record.command]  # without --output
        assert (about["seed"], about["slots"]) == (SEED, SLOTS)
        assert about["agents"] == list(record.AGENTS)
        assert parse(about["scenario"], "run.json") == load_scenario("tiny", record.overrides)
        assert about["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
        for package in ("idn-gym", "numpy", "gymnasium", "numba", "llvmlite"):
            assert about["versions"][package] == version(package)
        assert str(record.folder) not in (record.folder / "run.json").read_text()

    def test_stream(self, record: Record, tmp_path: Path) -> None:
        """As served: what is drawn from the seed, and the bytes that `idn-gym trace` writes."""
        np.testing.assert_array_equal(record.requests(), record.trace.requests)
        np.testing.assert_array_equal(record.capacities(), np.broadcast_to(record.trace.capacities, (SLOTS, 18)))
        changed = [word for override in record.overrides for word in ("--set", override)]
        written = tmp_path / "requests.csv", tmp_path / "capacities.csv"
        in_process(
            *("trace", "tiny", *changed, "--slots", SLOTS, "--seed", SEED),
            *("--output", written[0], "--capacities", written[1]),
        )
        assert (record.folder / "requests.csv").read_bytes() == written[0].read_bytes()
        if record.overrides:
            assert (record.folder / "capacities.csv").read_bytes() == written[1].read_bytes()

    def test_columns(self, record: Record) -> None:
        for agent, folder in record.agents.items():
            expected = [*COLUMNS, "fractional_gain"] if agent == "infida" else COLUMNS
            assert (folder / "slots.csv").read_text().splitlines()[0] == ",".join(expected)
            assert [row["slot"] for row in rows(folder / "slots.csv")] == [str(t) for t in range(SLOTS)]
            assert (folder / "allocations.csv").read_text().splitlines()[0] == "slot,node,model"

    def test_results(self, ran: tuple[Record, Outcome]) -> None:
        """The rows of the table, in the order asked for."""
        record, outcome = ran
        printed = {row["agent"]: row for row in json.loads(outcome.stdout)["agents"]}
        assert list(printed) == list(record.AGENTS)
        for agent, folder in record.agents.items():
            result = json.loads((folder / "result.json").read_text())
            assert result["hindsight"] is (agent == "static-greedy")
            assert isinstance(result["info"], dict)
            assert {key: result[key] for key in printed[agent]} == printed[agent]
            assert set(result) == set(printed[agent]) | {"hindsight", "info", "digests"}
            assert result["seconds"] >= 0.0


class TestContents:
    def test_allocations(self, record: Record) -> None:
        """Whole, at slot 0 and wherever it changed, within the budgets."""
        network = record.network
        for agent in record.AGENTS:
            allocations, listed = record.allocations(agent)
            changes = [t for t in range(SLOTS) if t == 0 or (allocations[t] != allocations[t - 1]).any()]
            assert listed == changes
            in_use = np.zeros((SLOTS, network.V))
            np.add.at(in_use, (slice(None), network.placement_node), allocations * network.sizes)
            assert (in_use <= network.budgets * (1 + 1e-9)).all()
        changes_of = {agent: record.allocations(agent)[1] for agent in record.AGENTS}
        assert changes_of["static-greedy"] == changes_of["repository-only"] == [0]
        assert set(changes_of["random:refresh=3"]) <= set(range(0, SLOTS, 3))
        assert len(changes_of["random:refresh=3"]) > 1
        empty = record.agents["repository-only"] / "allocations.csv"
        assert empty.read_text() == "slot,node,model\n0,,\n"

    def test_average_state(self, record: Record) -> None:
        """That of the agent, slot by slot; an allocation file that `evaluate` takes."""
        agent = Infida()
        agent.reset(record.network, SEED)
        states = []
        held = np.zeros(record.network.P, dtype=np.int8)
        observation = observe(record.network, np.zeros(record.network.R), record.network.capacities, held)
        for requests, capacities in zip(record.requests(), record.capacities(), strict=True):
            held = agent.act(observation)
            states.append(agent.fractional.copy())
            observation = observe(record.network, requests, capacities, held)
        path = record.agents["infida"] / "fractional.json"
        np.testing.assert_allclose(read_allocation(record.network, path), np.mean(states, axis=0), rtol=1e-12)

    def test_slots_follow_from_requests_and_allocations(self, record: Record) -> None:
        """Every figure by the slow reference, from the files of the record alone."""
        network, requests, capacities = record.network, record.requests(), record.capacities()
        inaccuracy = np.append(network.inaccuracies, 0.0)[network.service.options]
        inaccuracy = np.where(
            network.service.options == network.P, network.service.repository_inaccuracy[:, None], inaccuracy
        )
        for agent, folder in record.agents.items():
            allocations, _ = record.allocations(agent)
            expected: dict[str, list[float]] = {name: [] for name in COLUMNS[1:]}
            before = np.zeros(network.P)
            for r, c, x in zip(requests, capacities, allocations, strict=True):
                total = r.sum()
                cost = gain.cost(network, r, c, x)
                served = network.service.requests_served(r, x, network.service.potential_capacities(r, c))
                points = (served * inaccuracy).sum()
                expected["requests"].append(total)
                expected["gain"].append(gain.allocation_gain(network, r, c, x))
                expected["cost"].append(cost)
                expected["latency_ms"].append((cost - network.accuracy_weight * points) / total if total else 0.0)
                expected["inaccuracy"].append(points / total if total else 0.0)
                expected["model_update_mb"].append((network.sizes * np.maximum(0.0, x - before)).sum())
                before = x
            recorded = columns(folder / "slots.csv")
            for name, values in expected.items():
                # latency is a difference of sums; everything else a sum of numbers of one sign
                np.testing.assert_allclose(recorded[name], values, rtol=1e-9, atol=1e-9, err_msg=f"{agent} {name}")

    def test_summaries_follow_from_slots(self, record: Record) -> None:
        """NTAG over slots with requests, totals, averages per request and MB per slot, from ``slots.csv`` alone."""
        for agent, folder in record.agents.items():
            table = columns(folder / "slots.csv")
            result = json.loads((folder / "result.json").read_text())
            busy = table["requests"] > 0
            expected = {
                "ntag": np.mean(table["gain"][busy] / table["requests"][busy]),
                "gain": table["gain"].sum(),
                "latency_ms": np.average(table["latency_ms"], weights=table["requests"]),
                "inaccuracy": np.average(table["inaccuracy"], weights=table["requests"]),
                "model_update_mb": table["model_update_mb"].mean(),
            }
            if "fractional_gain" in table:
                expected["fractional_ntag"] = np.mean(table["fractional_gain"][busy] / table["requests"][busy])
            assert set(expected) - {"fractional_ntag"} == SUMMARY
            assert ("fractional_ntag" in result) == ("fractional_gain" in table) == (agent == "infida")
            assert {name: result[name] for name in expected} == pytest.approx(expected, rel=1e-12)

    def test_numbers_read_back_exactly(self, record: Record) -> None:
        """The text of a float is the shortest that gives the same float, so that nothing is lost on the way."""
        for folder in record.agents.values():
            for row in rows(folder / "slots.csv"):
                for text in row.values():
                    value = float(text)
                    assert text in (repr(value), str(int(value)))


class TestChanges:
    """An agent that is told what to hold, so that the file can be written out by hand."""

    PLAN = ((), ("bs0", "cars/small"), ("bs0", "cars/small"), (), ("bs1", "people/large"))

    @pytest.fixture
    def told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Registers the agent."""
        plan = self.PLAN

        class Told:
            def reset(self, network: Network, seed: int) -> None:
                self.network, self.slot = network, -1

            def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
                self.slot += 1
                allocation = np.zeros(self.network.P, dtype=bool)
                if plan[self.slot]:
                    node, model = plan[self.slot]
                    v, m = self.network.node_names.index(node), self.network.model_names.index(model)
                    allocation[self.network.placement_index[v, m]] = True
                return allocation

            def info(self) -> dict[str, Any]:
                return {"slots": self.slot + 1}

        monkeypatch.setattr("idn_gym.plugins.make_agent", lambda name, parameters: Told())

    @pytest.mark.usefixtures("told")
    def test_files(self, tmp_path: Path) -> None:
        spec = RunSpec(load_scenario("tiny"), AgentSpec("told"), slots=len(self.PLAN))
        _, _, (result,) = records.run([spec], tmp_path / "run")
        folder = tmp_path / "run" / "told"
        assert (folder / "allocations.csv").read_text() == (
            "slot,node,model\n0,,\n1,bs0,cars/small\n3,,\n4,bs1,people/large\n"
        )
        assert columns(folder / "slots.csv")["model_update_mb"].tolist() == [0.0, 1.0, 0.0, 0.0, 2.0]
        assert json.loads((folder / "result.json").read_text())["info"] == {"slots": 5}
        assert result.summary.model_update_mb == 3.0 / 5

    @pytest.mark.usefixtures("told")
    def test_read_back(self, tmp_path: Path) -> None:
        """A completed agent is read from its files, to the same result."""
        spec = RunSpec(load_scenario("tiny"), AgentSpec("told"), slots=len(self.PLAN))
        network, _, (result,) = records.run([spec], tmp_path / "run")
        read = record_files.read_result(network, tmp_path / "run" / "told", AgentSpec("told"))
        assert (read.summary, read.seconds, read.info) == (result.summary, result.seconds, result.info)
        assert [slot for slot, _ in read.changes] == [slot for slot, _ in result.changes] == [0, 1, 3, 4]
        for (_, left), (_, right) in zip(read.changes, result.changes, strict=True):
            np.testing.assert_array_equal(left, right)
        for name, column in result.table.columns().items():
            np.testing.assert_array_equal(read.table.columns()[name], column)
        assert read.fractional is None

    def test_fractional_state_is_read_back(self, tmp_path: Path) -> None:
        spec = RunSpec(load_scenario("tiny"), AgentSpec("infida"), slots=3)
        network, _, (result,) = records.run([spec], tmp_path / "run")
        read = record_files.read_result(network, tmp_path / "run" / "infida", AgentSpec("infida"))
        assert result.fractional is not None
        np.testing.assert_array_equal(read.fractional, result.fractional)


class TestReproduction:
    def test_same_command_same_bytes(self, ran: tuple[Record, Outcome], tmp_path: Path) -> None:
        """Seconds aside; plots included, whichever process and folder."""
        record, _ = ran
        assert in_process(*record.command, "--output", tmp_path / "again").status == 0
        assert comparable(tmp_path / "again") == comparable(record.folder)

    @pytest.mark.usefixtures("no_plots")
    def test_agents_do_not_depend_on_their_company(self, record: Record, tmp_path: Path) -> None:
        """Alone, an agent leaves what it left beside others."""
        command = list(record.command)
        for agent in record.AGENTS:
            if agent != "infida":
                at = command.index(agent)
                del command[at - 1 : at + 1]
        assert in_process(*command, "--output", tmp_path / "alone").status == 0
        alone, together = comparable(tmp_path / "alone"), comparable(record.folder)
        assert {path: alone[path] for path in alone if path.startswith("infida/")} == {
            path: together[path] for path in together if path.startswith("infida/")
        }
        assert alone["requests.csv"] == together["requests.csv"]


# Two agents of somebody else's: one waits in slot 3 until a file is there; the others do what none may do.
AGENTS = """
import time
from pathlib import Path
import numpy as np
from idn_gym.errors import IdnError

GATE = Path({gate!r})

class Holds:
    def reset(self, network, seed):
        self.network, self.slot = network, -1
        self.allocation = (network.sizes <= 1.0) & network.fits & (network.placement_node == 2)
        self.allocation[np.flatnonzero(self.allocation)[1:]] = False
    def act(self, observation):
        self.slot += 1
        return self.broken(self.allocation.astype(float)) if self.slot == 3 else self.allocation.astype(np.int8)
    def broken(self, allocation):
        return allocation
    def info(self):
        return {{}}

class Waits(Holds):
    def broken(self, allocation):
        while not GATE.exists():
            GATE.with_name("waiting").touch()
            time.sleep(0.01)
        return allocation

class Overfull(Holds):
    def broken(self, allocation):
        return np.ones_like(allocation)

class Fractional(Holds):
    def broken(self, allocation):
        return allocation / 2

class Nan(Holds):
    def broken(self, allocation):
        return allocation * np.nan

class Negative(Holds):
    def broken(self, allocation):
        return -allocation

class Double(Holds):
    def broken(self, allocation):
        return allocation * 257  # which is 1 in 8 bits

class Short(Holds):
    def broken(self, allocation):
        return allocation[:-1]

class Refuses(Holds):
    def broken(self, allocation):
        raise IdnError("cannot go on")

class Raises(Holds):
    def broken(self, allocation):
        raise RuntimeError("a fault of its own")
"""
POINTS = """
[idn_gym.agents]
waits = theirs:Waits
overfull = theirs:Overfull
fractional = theirs:Fractional
nan = theirs:Nan
negative = theirs:Negative
double = theirs:Double
short = theirs:Short
refuses = theirs:Refuses
raises = theirs:Raises
"""


class TestKilled:
    """A process is killed while an agent plays, and resumed."""

    ORDERS = (("waits", "infida", "random"), ("random", "infida", "waits"))

    @staticmethod
    def command(agents: Sequence[str], output: Path) -> list[str]:
        """The run of these agents."""
        named = [word for agent in agents for word in ("--agent", agent)]
        return ["run", "tiny", *named, "--slots", "200", "--seed", "2", "--output", str(output)]

    @pytest.mark.parametrize("agents", ORDERS, ids=["first agent", "last agent"])
    def test_resume(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agents: tuple[str, ...]) -> None:
        gate, output = tmp_path / "gate", tmp_path / "run"
        plugins = install_agents(tmp_path / "plugins", AGENTS.format(gate=str(gate)), POINTS)
        monkeypatch.delitem(sys.modules, "theirs", raising=False)
        monkeypatch.syspath_prepend(str(plugins))
        process = started(*self.command(agents, output), plugins=plugins)
        until = time.monotonic() + PATIENCE
        while not (tmp_path / "waiting").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, "the agent never got to slot 3"
            time.sleep(0.02)
        begun = files(output)
        for options in ((), ("--resume",)):  # somebody else, while it is at work
            refused = in_process(*self.command(agents, output), *options)
            assert (refused.status, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
            assert f"{output}: another process is at work there" in refused.stderr
        assert files(output) == begun
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL
        assert completed(output) == set(agents[: agents.index("waits")])
        assert not (output / "waits").exists()
        gate.touch()
        kept = {path: (output / path).stat().st_mtime_ns for path in files(output)}

        resumed = idn_gym(*self.command(agents, output), "--resume", "--json", plugins=plugins)
        assert resumed.status == 0, resumed.stderr
        assert [row["agent"] for row in json.loads(resumed.stdout)["agents"]] == list(agents)
        # those that were complete have not played again
        assert [line.split(":")[0] for line in resumed.stderr.splitlines()] == list(agents[agents.index("waits") :])
        assert {path: (output / path).stat().st_mtime_ns for path in kept} == kept

        undisturbed = in_process(*self.command(agents, tmp_path / "undisturbed"))
        assert undisturbed.status == 0, undisturbed.stderr
        assert comparable(output) == comparable(tmp_path / "undisturbed")

    def test_no_space(self, tmp_path: Path) -> None:
        """No file may grow beyond the size just short of INFIDA's table: the agents before it stay, nothing half."""
        pytest.importorskip("resource", reason="no limits on the size of files here")
        agents, full, output = ("random", "repository-only", "infida"), tmp_path / "undisturbed", tmp_path / "run"
        assert in_process(*self.command(agents, full)).status == 0
        limit = (full / "infida" / "slots.csv").stat().st_size - 1
        before = ["run.json", "requests.csv"]
        before += [path for path in files(full) if path.startswith(("random/", "repository-only/"))]
        assert all((full / path).stat().st_size < limit for path in before), "INFIDA's table is the first too large"
        limited = "import os, resource, sys; n = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)); "
        limited += "os.execv(sys.argv[2], sys.argv[2:])"
        outcome = subprocess.run(
            [sys.executable, "-c", limited, str(limit), str(ENTRY), *self.command(agents, output)],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
        assert outcome.returncode == 1
        assert outcome.stdout == ""
        *progress, error = outcome.stderr.splitlines()
        assert error == f"idn-gym: {output / 'infida' / 'slots.csv'}: {os.strerror(errno.EFBIG)}"
        assert [line.split(":")[0] for line in progress] == list(agents)
        assert files(output) == sorted(before)
        assert completed(output) == {"random", "repository-only"}

        assert in_process(*self.command(agents, output), "--resume").status == 0
        assert comparable(output) == comparable(full)


class TestEveryMoment:
    """The files of a run come one after the other; whatever the last one is, the run can be resumed."""

    SPECS = tuple(
        RunSpec(load_scenario("tiny", [OUTAGES]), AgentSpec.parse(agent), seed=1, slots=8)
        for agent in ("random", "infida")
    )
    ORDER = (
        *("requests.csv", "capacities.csv", "run.json"),
        *("random/slots.csv", "random/allocations.csv", "random/result.json"),
        *("infida/slots.csv", "infida/allocations.csv", "infida/fractional.json", "infida/result.json"),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The folder of an undisturbed run, without plots."""
        folder = tmp_path_factory.mktemp("whole") / "run"
        records.run(cls.SPECS, folder, command=["idn-gym", "run"])
        return folder

    def test_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each file appears under its name at once; an agent's result is the last of its files."""
        appeared: list[str] = []
        replace = Path.replace

        def noted(part: Path, target: Path) -> Path:
            assert not target.exists()
            appeared.append(str(target.relative_to(tmp_path / "run")))
            return replace(part, target)

        monkeypatch.setattr(Path, "replace", noted)
        records.run(self.SPECS, tmp_path / "run")
        assert tuple(appeared) == self.ORDER
        assert files(tmp_path / "run") == sorted(self.ORDER)

    @pytest.mark.parametrize("written", range(len(ORDER) + 1))
    def test_resume(self, whole: Path, tmp_path: Path, written: int) -> None:
        """So many files are there, of the next one the first half under its temporary name."""
        folder = tmp_path / "run"
        folder.mkdir()
        for path in self.ORDER[:written]:
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes((whole / path).read_bytes())
        for path in self.ORDER[written : written + 1]:
            content = (whole / path).read_bytes()
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / f"{path}.part").write_bytes(content[: len(content) // 2])
        played: list[str] = []
        records.run(
            self.SPECS,
            folder,
            resume=True,
            command=["idn-gym", "run"],
            progress=lambda agent, done, slots: played.append(agent) if done == slots else None,
        )
        assert comparable(folder) == comparable(whole)
        assert played == [agent for agent in ("random", "infida") if f"{agent}/result.json" not in self.ORDER[:written]]

    @pytest.mark.parametrize("full", range(len(ORDER)))
    def test_full_disk(self, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: int) -> None:
        """The disk is full when that file is to be kept: what was complete stays, nothing half, one line, status 1."""
        folder, calls, synced = tmp_path / "run", [0], os.fsync

        def fsync(descriptor: int) -> None:
            calls[0] += 1
            if calls[0] > full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            synced(descriptor)

        command = ("run", "tiny", "--set", OUTAGES, "--agent", "random", "--agent", "infida", "--seed", 1, "--slots", 8)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            outcome = in_process(*command, "--output", folder)
        assert (outcome.status, outcome.stdout) == (1, "")
        assert outcome.stderr.splitlines()[-1] == (f"idn-gym: {folder / self.ORDER[full]}: {os.strerror(errno.ENOSPC)}")
        assert "Traceback" not in outcome.stderr
        assert files(folder) == sorted(self.ORDER[:full])
        records.run(self.SPECS, folder, resume=True, command=["idn-gym", *map(str, command)])
        assert {path: text for path, text in comparable(folder).items() if path != "run.json"} == {
            path: text for path, text in comparable(whole).items() if path != "run.json"
        }


class TestResume:
    """What may be resumed: the same runs on the same stream, and more agents on it."""

    COMMAND = ("run", "tiny", "--agent", "random", "--agent", "repository-only", "--slots", "6", "--seed", "3")
    AGENTS = ("random", "repository-only")

    @pytest.fixture(scope="class")
    @classmethod
    def complete(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The record folder of the command."""
        folder = tmp_path_factory.mktemp("complete") / "run"
        assert in_process(*cls.COMMAND, "--output", folder).status == 0
        return folder

    @pytest.fixture
    def folder(self, complete: Path, tmp_path: Path) -> Path:
        """A copy of it."""
        return Path(shutil.copytree(complete, tmp_path / "run"))

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda command: [*command, "--seed", "4"], "seed"),
            (lambda command: [*command, "--slots", "5"], "slots"),
            (lambda command: [*command[:2], *command[4:]], "agents"),
            (lambda command: [*command[:2], *command[4:6], *command[2:4], *command[6:]], "agents"),
            (lambda command: [word.replace("random", "random:refresh=2") for word in command], "agents"),
            (lambda command: [*command, "--set", "workload.rate=23"], "scenario"),
            (lambda command: [*command, "--set", OUTAGES], "scenario"),
            (lambda command: [word.replace("tiny", "topology-2-fixed") for word in command], "scenario"),
        ],
        ids=["seed", "slots", "fewer agents", "order", "parameter", "rate", "outages", "scenario"],
    )
    def test_another_run_is_refused(
        self, folder: Path, change: Callable[[Sequence[str]], list[str]], says: str
    ) -> None:
        before = comparable(folder)
        outcome = in_process(*change(self.COMMAND), "--output", folder, "--resume")
        assert (outcome.status, outcome.stdout) == (2, "")
        assert outcome.stderr.count("\n") == 1
        assert str(folder) in outcome.stderr
        assert says in outcome.stderr
        assert comparable(folder) == before

    @pytest.mark.parametrize("at", [2, 4, 6], ids=["first", "between", "last"])
    def test_agents_are_added(self, folder: Path, tmp_path: Path, at: int) -> None:
        """Nobody plays twice, and the folder ends as that of one run of them all: command, order, plots, everything."""
        command = [*self.COMMAND[:at], "--agent", "infida", *self.COMMAND[at:]]
        kept = {path: path.stat().st_mtime_ns for agent in self.AGENTS for path in (folder / agent).iterdir()}
        added = in_process(*command, "--output", folder, "--resume", "--json")
        assert added.status == 0, added.stderr
        assert [text.split(":")[0] for text in added.stderr.splitlines()] == ["infida"]
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        whole = in_process(*command, "--output", tmp_path / "whole", "--json")
        assert comparable(folder) == comparable(tmp_path / "whole")
        asked = [command[i + 1] for i, word in enumerate(command) if word == "--agent"]
        for outcome in (added, whole):
            assert [row["agent"] for row in json.loads(outcome.stdout)["agents"]] == asked

    def test_nothing_is_added_to_what_is_damaged(self, folder: Path) -> None:
        (folder / "random" / "slots.csv").write_text("slot\n0\n")
        before = comparable(folder)
        outcome = in_process(*self.COMMAND, "--agent", "infida", "--output", folder, "--resume")
        assert (outcome.status, outcome.stderr.count("\n")) == (2, 1)
        assert str(folder / "random" / "slots.csv") in outcome.stderr
        assert comparable(folder) == before

    @pytest.mark.usefixtures("no_plots")
    def test_another_trace_is_refused(self, tmp_path: Path) -> None:
        """Files of the same names and number of slots, but other numbers in them."""
        requests, capacities = tmp_path / "requests.csv", tmp_path / "capacities.csv"
        command = ("run", "tiny", "--agent", "random", "--output", tmp_path / "run", "--trace", requests)
        requests.write_text("slot,task,source,requests\n0,cars,bs0,8\n1,cars,bs0,8\n")
        assert in_process(*command).status == 0
        assert in_process(*command, "--resume").status == 0
        capacities.write_text("slot,node,model,capacity\n0,bs0,cars/small,2\n")
        outcome = in_process(*command, "--resume", "--capacities", capacities)
        assert (outcome.status, outcome.stderr.count("\n")) == (2, 1)
        assert "capacities.csv" in outcome.stderr
        requests.write_text("slot,task,source,requests\n0,cars,bs0,8\n1,cars,bs0,9\n")
        outcome = in_process(*command, "--resume")
        assert (outcome.status, outcome.stderr.count("\n")) == (2, 1)
        assert "requests.csv" in outcome.stderr

    def test_complete_run_is_only_read(self, folder: Path) -> None:
        before = comparable(folder)
        again = in_process(*self.COMMAND, "--output", folder, "--resume", "--json")
        assert again.status == 0
        assert again.stderr == ""  # nobody played
        kept = [json.loads((folder / agent / "result.json").read_text()) for agent in ("random", "repository-only")]
        for row, result in zip(json.loads(again.stdout)["agents"], kept, strict=True):
            assert row == {key: result[key] for key in row}  # seconds too
        assert comparable(folder) == before

    @pytest.mark.usefixtures("no_plots")
    def test_resume_of_nothing_is_a_run(self, folder: Path, tmp_path: Path) -> None:
        """So that a script may always pass it."""
        assert in_process(*self.COMMAND, "--output", tmp_path / "new", "--resume").status == 0
        assert comparable(tmp_path / "new") == without_plots(comparable(folder))

    def test_without_resume_a_run_is_not_touched(self, folder: Path) -> None:
        before = comparable(folder)
        outcome = in_process(*self.COMMAND, "--output", folder)
        assert outcome.status == 2
        assert "--resume" in outcome.stderr
        assert comparable(folder) == before

    @pytest.mark.parametrize("name", ["run.json", "random/result.json"])
    @pytest.mark.parametrize("content", ["", "{", "[]", "\x00"], ids=["empty", "cut", "list", "zero"])
    def test_damaged_record_is_named(self, folder: Path, name: str, content: str) -> None:
        (folder / name).write_text(content)
        outcome = in_process(*self.COMMAND, "--output", folder, "--resume")
        assert (outcome.status, outcome.stderr.count("\n")) == (2, 1)
        assert str(folder / name) in outcome.stderr


class TestBrokenAgents:
    """The second of three agents does in slot 3 what none may do: one clear error, and the first agent stays."""

    FAULTS: ClassVar = {
        "overfull": "slot 3 node its budget MB",
        "fractional": "slot 3 allocation other than 0 and 1",
        "nan": "slot 3 allocation other than 0 and 1",
        "negative": "slot 3 allocation other than 0 and 1",
        "double": "slot 3 allocation other than 0 and 1",
        "short": "slot 3 allocation shape (17,) (18,)",
        "refuses": "cannot go on",
    }

    @pytest.fixture(autouse=True)
    def plugins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Registers the agents."""
        monkeypatch.delitem(sys.modules, "theirs", raising=False)
        monkeypatch.syspath_prepend(str(install_agents(tmp_path / "plugins", AGENTS.format(gate="gate"), POINTS)))

    @staticmethod
    def command(agent: str, output: Path) -> list[str]:
        """The run of three agents."""
        agents = ("--agent", "random", "--agent", agent, "--agent", "repository-only")
        return ["run", "tiny", *agents, "--slots", "8", "--output", str(output)]

    @pytest.mark.parametrize("agent", FAULTS)
    def test_refused(self, tmp_path: Path, agent: str) -> None:
        outcome = in_process(*self.command(agent, tmp_path / "run"))
        assert (outcome.status, outcome.stdout) == (2, "")
        assert "Traceback" not in outcome.stderr
        error = outcome.stderr.splitlines()[-1]
        missing = [word for word in self.FAULTS[agent].split(" ") if word not in error]
        assert not missing, f"{missing} not in: {error}"
        self.first_agent_stays(tmp_path / "run")

    def test_exception(self, tmp_path: Path) -> None:
        """A fault in an agent's code is a line that says where it is."""
        outcome = in_process(*self.command("raises", tmp_path / "run"))
        assert (outcome.status, outcome.stdout) == (2, "")
        found = re.search(
            r"agent raises, slot \d: act failed: RuntimeError: a fault of its own \((.*):(\d+)\)$", outcome.stderr
        )
        assert found, outcome.stderr
        assert Path(found[1]).read_text().splitlines()[int(found[2]) - 1].strip().startswith("raise RuntimeError(")
        self.first_agent_stays(tmp_path / "run")

    @staticmethod
    def first_agent_stays(folder: Path) -> None:
        """And nothing of the second."""
        assert completed(folder) == {"random"}
        first = [f"random/{file}" for file in ("allocations.csv", "result.json", "slots.csv")]
        assert files(folder) == sorted([*first, "requests.csv", "run.json"])


def test_a_wrong_parameter_costs_nobody_a_run(tmp_path: Path) -> None:
    """It is found before the first agent plays."""
    specs = [
        RunSpec(load_scenario("tiny"), AgentSpec.parse(agent), slots=3) for agent in ("random", "infida:refresh=0")
    ]
    with pytest.raises(IdnError, match="refresh"):
        records.run(specs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_text_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before stays if the new text cannot be kept."""
    write_text(tmp_path / "file", "before")

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file", "after")
    assert files(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "before"
