"""Other packages' agents and commands: what goes wrong with one is a line that names it, and harms nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import Outcome, in_process, install_agents

from idn_gym import plugins
from idn_gym.errors import IdnError
from idn_gym.experiment import folders

RAISES = {
    "SystemExit": "raise SystemExit(0)",
    "BaseException": "raise BaseException('not even an exception')",
    "GeneratorExit": "raise GeneratorExit",
    "ZeroDivisionError": "1 / 0",
    "SyntaxError": "def",
    "ModuleNotFoundError": "import nowhere_to_be_found",
    "RecursionError": "def deeper(): deeper()\ndeeper()",
}
AGENT = """
import numpy as np
class Agent:
    def __init__(self, size=1): pass
    def reset(self, network, seed): self.P = network.P
    def act(self, observation): return np.zeros(self.P, dtype=np.int8)
    def info(self): return {}
class Needs(Agent):
    def __init__(self, model): pass
def odd(size: int | str): pass
def fine(): print("fine")
thing = 3
"""


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a package of somebody else's is found."""
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "theirs"))
    return tmp_path / "theirs"


def run(agent: str, *options: object) -> Outcome:
    return in_process("run", "tiny", "--agent", agent, "--slots", 2, *options)


def is_a_line(outcome: Outcome, *words: str) -> None:
    """Nothing on stdout, status 2, and a last line with these words."""
    assert (outcome.status, outcome.stdout) == (2, "")
    last = outcome.stderr.splitlines()[-1]
    assert not [word for word in words if word not in last], last


@pytest.mark.parametrize("name", RAISES)
def test_a_module_that_raises_anything(theirs: Path, name: str) -> None:
    points = "[idn_gym.agents]\nbroken = theirs:Agent\n[idn_gym.commands]\nalso = theirs:fine\n"
    install_agents(theirs, RAISES[name], points)
    outcome = run("broken")
    is_a_line(outcome, "broken: cannot be loaded from theirs:Agent of package theirs", name)
    assert outcome.stderr.startswith(f"idn-gym: also: cannot be loaded from theirs:fine of package theirs: {name}")
    assert outcome.stderr.count("\n") == 2
    assert run("random").status == 0


def test_an_interrupt_is_one(theirs: Path) -> None:
    install_agents(theirs, "raise KeyboardInterrupt", "[idn_gym.agents]\nbroken = theirs:Agent\n")
    with pytest.raises(KeyboardInterrupt):
        plugins.load(plugins.AGENTS, "broken")


@pytest.mark.parametrize("name", ["infida", "load-aware-greedy"])
def test_an_agent_registered_twice_names_both_packages(theirs: Path, name: str, tmp_path: Path) -> None:
    install_agents(theirs, AGENT, f"[idn_gym.agents]\n{name} = theirs:Agent\nmine = theirs:Agent\n")
    is_a_line(run(name, "--output", tmp_path / "run"), repr(name), "registered twice", "theirs", "idn-gym")
    assert not (tmp_path / "run").exists()
    assert run("mine").status == run("random").status == 0


@pytest.mark.parametrize("name", ["run", "list", "sweep", "train", "optimum"])
def test_a_command_that_there_is(theirs: Path, name: str) -> None:
    """Neither the command line's own nor another package's is replaced."""
    install_agents(theirs, AGENT, f"[idn_gym.commands]\n{name} = theirs:fine\nmine = theirs:fine\n")
    outcome = in_process("mine")
    assert (outcome.status, outcome.stdout) == (0, "fine\n")
    assert repr(name) in outcome.stderr
    assert "theirs" in outcome.stderr
    assert in_process(name, "--help").stdout != "fine\n"


@pytest.mark.parametrize("target", ["theirs:odd", "theirs:thing", "theirs:__doc__"])
def test_what_is_no_command(theirs: Path, target: str) -> None:
    """Nor does it keep the others from being built."""
    install_agents(theirs, AGENT, f"[idn_gym.commands]\nwrong = {target}\n")
    outcome = in_process("check", "nowhere.yaml")
    assert outcome.status == 2
    wrong, missing = outcome.stderr.splitlines()
    assert "command 'wrong' of package theirs: cannot be a command" in wrong
    assert "nowhere.yaml" in missing


@pytest.mark.parametrize("name", ["../../x", "a/b", "/tmp/x", "..", ".", "a\\b", "a\x1b[31m", "\u202ea", "a" * 201])
def test_a_name_that_names_no_folder(theirs: Path, tmp_path: Path, name: str) -> None:
    install_agents(
        theirs, AGENT, f"[idn_gym.agents]\n{name} = theirs:Agent\n[idn_gym.commands]\n{name} = theirs:fine\n"
    )
    assert name not in plugins.names(plugins.AGENTS)
    before = sorted(tmp_path.rglob("*"))
    outcome = run(name, "--output", tmp_path / "deep" / "run")
    is_a_line(outcome, "of package theirs: it names a folder")
    assert outcome.stderr.splitlines()[0].startswith("idn-gym: command ")
    assert sorted(tmp_path.rglob("*")) == before


def test_names_that_may_be(theirs: Path, tmp_path: Path) -> None:
    """Letters of any alphabet, spaces and signs."""
    install_agents(theirs, AGENT, "[idn_gym.agents]\nmein-agent Ä+1.5 (größer) = theirs:Agent\n")
    assert run("mein-agent Ä+1.5 (größer)", "--output", tmp_path / "run").status == 0
    assert (tmp_path / "run" / "mein-agent Ä+1.5 (größer)" / "result.json").exists()


def test_what_an_agent_needs_is_said(theirs: Path) -> None:
    install_agents(theirs, AGENT, "[idn_gym.agents]\nneeds = theirs:Needs\nthing = theirs:thing\n")
    is_a_line(run("needs"), "agent needs", "'model'")
    is_a_line(run("needs:size=1"), "unknown parameter 'size'; allowed: model")
    is_a_line(run("thing"), "agent thing", "int")


def test_records_name_the_version_of_an_agents_package(theirs: Path) -> None:
    """And of all that may decide a result, where it is installed."""
    install_agents(theirs, AGENT, "[idn_gym.agents]\nmine = theirs:Agent\nother = theirs:Agent\n")
    assert plugins.versions(["mine", "infida", "nobody"]).items() >= {("theirs", "1.0")}
    assert "theirs" not in folders.versions(["infida"])
    assert "theirs" not in folders.versions()
    assert folders.versions(["mine"])["theirs"] == "1.0"


def test_an_agent_that_is_not_registered() -> None:
    with pytest.raises(IdnError, match=r"no agent 'infidel'; did you mean 'infida'\? registered: .*infida"):
        plugins.load(plugins.AGENTS, "infidel")
