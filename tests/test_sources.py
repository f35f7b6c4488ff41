"""Agents of one's own in one file: ``FILE.py:Class`` and ``package.module:Class``, wherever an agent is taken."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import pytest
from command_line import Outcome, comparable, idn_gym, in_process

from idn_gym import IdnError, Network, draw, load_scenario, play, plugins
from idn_gym.experiment.records import run
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.sources import Source, split

MINE = """
import dataclasses
import numpy as np
from idn_gym import pack
from helper import ORDER

@dataclasses.dataclass
class Always:
    size: float = 1.0

    def reset(self, network, seed):
        self.allocation = pack(network, ORDER * network.sizes * self.size)

    def act(self, observation):
        return self.allocation

    def info(self):
        return {"size": self.size}

class Outer:
    class Inner(Always):
        pass

class Fails(Always):
    def act(self, observation):
        return 1 / 0

class Late(Always):
    hindsight = True

class NoInfo:
    def reset(self, network, seed): ...
    def act(self, observation): ...

class Refuses(Always):
    def __init__(self):
        raise ValueError("no luck")

class Leaves(Always):
    def act(self, observation):
        return [[1], [1, 2]]

def make(size):
    return Always(size)
"""
GAIN = ("ntag", "gain", "latency_ms", "inaccuracy", "model_update_mb")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a file of one's own; what it imports lies beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("helper", "mine", "parts", "parts.mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for folder in (tmp_path, tmp_path / "a b", tmp_path / "parts"):
        folder.mkdir(exist_ok=True)
        (folder / "mine.py").write_text(MINE)
        (folder / "helper.py").write_text("ORDER = -1.0\n")
    (tmp_path / "parts" / "__init__.py").write_text("")
    return tmp_path


def rows(outcome: Outcome) -> list[dict[str, float]]:
    assert outcome.status == 0, outcome.stderr
    return [{key: row[key] for key in GAIN} for row in json.loads(outcome.stdout)["agents"]]


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("infida", "infida", ""),
        ("infida:refresh=8,scale=2", "infida", "refresh=8,scale=2"),
        ("mine.py:Always", "mine.py:Always", ""),
        ("mine.py:Always:size=3", "mine.py:Always", "size=3"),
        ("../a b/mine.py:Outer.Inner:size=3", "../a b/mine.py:Outer.Inner", "size=3"),
        (r"C:\agents\mine.py:Always", r"C:\agents\mine.py:Always", ""),
        ("C:/agents/mine.py:Always:size=3,b=4", "C:/agents/mine.py:Always", "size=3,b=4"),
        ("parts.mine:Always:size=3", "parts.mine:Always", "size=3"),
        ("mine:Always", "mine:Always", ""),
        ("ppo:path=there.py:Always", "ppo", "path=there.py:Always"),  # a value is no class
        ("ppo:path=/x/y.py:z", "ppo", "path=/x/y.py:z"),
        ("mine.py:size=3", "mine.py", "size=3"),
        ("élan.py:Été", "élan.py:Été", ""),
    ],
)
def test_what_a_text_names(text: str, name: str, parameters: str) -> None:
    assert split(text) == (name, parameters)
    assert (Source.of(name) is None) == (name in ("infida", "ppo", "mine.py"))


@pytest.mark.parametrize(
    "agent", ["mine.py:Always", "./mine.py:Always", "a b/mine.py:Always", "mine:Always", "parts.mine:Outer.Inner"]
)
def test_a_class_is_run(agent: str, here: Path) -> None:
    """From a file or a module, relative or not, as the class itself by Python."""
    typed = (agent, agent.replace("a b", str(here / "a b")), f"{agent}:size=2")
    asked = [word for text in dict.fromkeys(typed) for word in ("--agent", text)]
    found = rows(in_process("run", "tiny", *asked, "--slots", 3, "--json"))
    network = Network.compile(load_scenario("tiny"))
    always = Source("mine.py", "Always").load()
    expected = play(network, draw(network, 3, 0), always(), 0)
    assert found == [{key: expected.row()[key] for key in GAIN}] * len(found)
    assert str(expected.agent) == "Always"
    assert expected.info == {"size": 1.0}


def test_a_function_makes_one() -> None:
    assert AgentSpec.parse("mine.py:make:size=4").make().size == 4


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("mine.py:Alway", "agent mine.py:Alway: mine.py: no 'Alway' in it; did you mean 'Always'?"),
        ("mine.py:Zzz", "no 'Zzz' in it; there: Always, Outer, Fails, Late, NoInfo, Refuses, Leaves, make"),
        ("mine.py", "'mine.py': a file; must be FILE.py:Class; there: Always"),
        ("mine.py:size=3", "'mine.py': a file; must be FILE.py:Class"),
        ("nowhere.py:Always", "agent nowhere.py:Always: nowhere.py: cannot be read: No such file or directory"),
        ("parts.py:Always", "parts.py: cannot be read: No such file"),
        ("syntax.py:Always", "agent syntax.py:Always: SyntaxError: invalid syntax (syntax.py:2)"),
        ("raises.py:Always", "agent raises.py:Always: RuntimeError: not today (raises.py:3)"),
        ("exits.py:Always", "agent exits.py:Always: SystemExit: 3 (exits.py:1)"),
        ("bytes.py:Always", "bytes.py: not UTF-8 text (byte 0)"),
        ("needs.py:Always", "ModuleNotFoundError: No module named 'nowhere_to_be_found' (needs.py:1)"),
        ("nowhere.mine:Always", "no module 'nowhere', neither installed nor in "),
        ("parts.nowhere:Always", "no module 'parts.nowhere', neither installed nor in "),
        ("mine.py:NoInfo", "agent mine.py:NoInfo: NoInfo has no method info; needed: reset, act, info"),
        ("mine.py:Late", "Late has no method fit; needed: reset, act, info, fit"),
        ("mine.py:np", "agent mine.py:np: module is nothing that can be called"),
        ("mine.py:Refuses", "agent mine.py:Refuses: cannot be made: ValueError: no luck (mine.py:37)"),
        ("mine.py:Always:sise=3", "agent mine.py:Always: unknown parameter 'sise'; allowed: size"),
        ("mine.py:make", "agent mine.py:make: missing a required argument: 'size'; parameters: size"),
        ("mine.py:Always:size", "must be name or name:key=value"),
        ("mine.py:Fails", "agent mine.py:Fails, slot 0: act failed: ZeroDivisionError: division by zero (mine.py:26)"),
        ("mine.py:Leaves", "agent mine.py:Leaves, slot 0: allocation of no shape; must be (18,)"),
        ("mine.py:Always:size=x", "agent mine.py:Always:size=x: reset failed: "),
    ],
)
def test_what_goes_wrong_is_a_line(agent: str, words: str, here: Path) -> None:
    """It says in which file and line; nothing is written."""
    (here / "syntax.py").write_text("a = 1\ndef broken(:\n")
    (here / "raises.py").write_text("def inner():\n    # why\n    raise RuntimeError('not\\ntoday')\ninner()\n")
    (here / "exits.py").write_text("raise SystemExit(3)\n")
    (here / "bytes.py").write_bytes(b"\xff\xfe")
    (here / "needs.py").write_text("import nowhere_to_be_found\n")
    before = sorted(here.iterdir())
    outcome = in_process("run", "tiny", "--agent", "random", "--agent", agent, "--slots", 2)
    assert (outcome.status, outcome.stdout) == (2, "")
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith("idn-gym: "), last
    assert words in last
    assert [path for path in sorted(here.iterdir()) if path.name != "__pycache__"] == before


def test_a_class_is_no_agent() -> None:
    network = Network.compile(load_scenario("tiny"))
    with pytest.raises(IdnError, match=r"agent: is a class; give an agent, Always\(\)"):
        play(network, draw(network, 2, 0), Source("mine.py", "Always").load(), 0)
    with pytest.raises(IdnError, match="agent: int has no method reset; needed: reset, act, info"):
        play(network, draw(network, 2, 0), 3, 0)


def test_agents_given_as_objects_and_text_leave_records(here: Path) -> None:
    always = Source("mine.py", "Always").load()
    specs = [RunSpec(load_scenario("tiny"), agent, slots=3) for agent in ("random", always(), "mine.py:Always:size=2")]
    _, _, results = run(specs, here / "run")
    assert [str(result.agent) for result in results] == ["random", "Always", "mine.py:Always:size=2"]
    assert results[1].summary.gain == results[2].summary.gain
    assert (here / "run" / "Always" / "result.json").exists()
    assert pickle.loads(pickle.dumps(specs))[1].agent.agent == always()


def test_edited_it_is_loaded_anew() -> None:
    before = Source("mine.py", "Always").load()
    assert Source("mine.py", "Always").load() is before
    assert pickle.loads(pickle.dumps(before(3.0))) == before(3.0)
    Path("mine.py").write_text(MINE.replace("size: float = 1.0", "size: float = 5.0"))
    assert AgentSpec.parse("mine.py:Always").make().size == 5.0


class TestRecords:
    def run(self, *options: object) -> Outcome:
        agents = ("--agent", "random", "--agent", "mine.py:Always", "--agent", "parts.mine:Always:size=2")
        return in_process("run", "tiny", *agents, "--slots", 3, "--output", "run", "--json", *options)

    def test_folders_are_named_by_the_class(self) -> None:
        assert self.run().status == 0
        assert json.loads(Path("run/run.json").read_text())["agents"] == [
            "random",
            "mine.py:Always",
            "parts.mine:Always:size=2",
        ]
        folders = sorted(path.name for path in Path("run").iterdir() if path.is_dir())
        assert [name.rpartition("-")[0] for name in folders] == ["Always", "Always-size-2", ""]

    @pytest.mark.parametrize("file", ["mine.py", "parts/mine.py"])
    def test_a_run_is_resumed_by_the_same_code_alone(self, file: str) -> None:
        assert self.run().status == 0
        before = comparable(Path("run"))
        for path in Path("run").glob("Always-*/result.json"):
            path.unlink()
        assert self.run("--resume").status == 0
        assert comparable(Path("run")) == before
        Path(file).write_text(Path(file).read_text() + "# a change\n")
        outcome = self.run("--resume")
        assert (outcome.status, outcome.stdout) == (2, "")
        name = file.removesuffix(".py").replace("/", ".") if "/" in file else file
        assert f"run.json: written by other versions, which are not mixed: {name} sha256 " in outcome.stderr
        assert comparable(Path("run")) == before


def test_a_sweep_on_processes_takes_files_beside_it(here: Path) -> None:
    """Its workers load the file themselves; what lies in the current directory is found too."""
    (here / "a b" / "theirs.py").write_text(MINE)
    agents = ["theirs.py:Always:size=2", f"{here}/mine.py:Always", "parts.mine:Always", "mine:Outer.Inner"]
    grid = {"format": "idn-gym/sweep-1", "scenarios": ["tiny"], "agents": agents, "seeds": [0, 1], "slots": 3}
    (here / "a b" / "grid.json").write_text(json.dumps(grid))
    outcome = idn_gym("sweep", os.path.join("a b", "grid.json"), "--workers", 2, "--json", cwd=here)
    assert outcome.status == 0, outcome.stderr
    found = json.loads(outcome.stdout)["rows"]
    assert len(found) == 8
    assert len({(row["seed"], row["gain"]) for row in found}) == 2


@pytest.mark.parametrize("group", [plugins.AGENTS, plugins.WORKLOADS, plugins.CAPACITIES])
def test_reading_a_name_runs_nothing(group: str, here: Path) -> None:
    (here / "loud.py").write_text("raise SystemExit('run')\n")
    AgentSpec.parse("loud.py:Always")
    assert plugins.versions(["loud.py:Always", "loud:Always"]).keys() == {"loud.py", "loud"}
    with pytest.raises(IdnError, match="SystemExit: run"):
        plugins.make(group, "loud.py:Always", {})
