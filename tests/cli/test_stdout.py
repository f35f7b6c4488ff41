"""With --json, stdout is one document, whatever an agent, a solver or a child process prints, and whenever."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import Outcome, idn_gym, in_process, install_agents
from idn_agents.optimum.relaxation.highs import new_model

SOURCE = """
import atexit, ctypes, os, subprocess, sys
import numpy as np

print("import")
EARLY = sys.stdout
LIBC = ctypes.CDLL(None)


def say(where):
    print(f"print {where}")
    EARLY.write(f"kept stream {where}\\n")
    os.write(1, f"descriptor {where}\\n".encode())
    subprocess.run(["echo", f"child {where}"], check=True)
    LIBC.printf(f"C {where}\\n".encode())  # waits in C's buffer until the process ends


class Chatty:
    def reset(self, network, seed):
        self.allocation = np.zeros(network.P, dtype=np.int8)
        say("reset")
        atexit.register(say, "exit")

    def act(self, observation):
        say("act")
        return self.allocation

    def info(self):
        say("info")
        return {}


def refuse():
    '''Not a command to be called: what is loaded with every command.'''
"""
POINTS = "[idn_gym.agents]\nchatty = theirs:Chatty\n[idn_gym.commands]\nrefuse = theirs:refuse\n"
WHERE = ("reset", "act", "info", "exit")
MEANS = ("print", "kept stream", "descriptor", "child", "C")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_agents(tmp_path_factory.mktemp("plugins"), SOURCE, POINTS)


def said(outcome: Outcome) -> set[str]:
    return {line for line in outcome.stderr.splitlines() if line.startswith(MEANS)}


def test_of_a_run(plugins: Path) -> None:
    outcome = idn_gym("run", "tiny", "--agent", "chatty", "--slots", 2, "--json", plugins=plugins)
    assert outcome.status == 0, outcome.stderr
    [line] = outcome.stdout.splitlines()
    assert json.loads(line)["agents"][0]["agent"] == "chatty"
    assert said(outcome) == {f"{means} {place}" for means in MEANS for place in WHERE}
    assert "import" in outcome.stderr.splitlines()


def test_of_a_sweep(plugins: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("format: idn-gym/sweep-1\nscenarios: [tiny]\nagents: [chatty]\nseeds: [0, 1]\nslots: 1\n")
    outcome = idn_gym("sweep", grid, "--workers", 2, "--json", plugins=plugins)
    assert outcome.status == 0, outcome.stderr
    [line] = outcome.stdout.splitlines()
    assert len(json.loads(line)["rows"]) == 2


def test_a_bad_command_leaves_nothing_on_stdout(plugins: Path) -> None:
    outcome = idn_gym("run", "tiny", "--agent", "chatty", "--set", "horizon=0", "--json", plugins=plugins)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr.count("idn-gym: ") == 1


@pytest.mark.parametrize(
    "command", [["show", "tiny", "--json"], ["list", "--json", "--none"], ["check", "nowhere", "--json"]]
)
def test_afterwards_stdout_is_what_it_was(command: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    in_process(*command)
    assert sys.stdout is before
    os.write(1, b"heard")
    assert capfd.readouterr().out == "heard"


def test_a_solver_that_greets_when_it_is_made_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    class Highs:
        """As that of highspy 1.16: the constructor prints, unless output is off by then."""

        output = True

        def __init__(self) -> None:
            self.enableCallbacks()

        def silent(self) -> None:
            self.output = False

        def enableCallbacks(self) -> None:
            if self.output:
                os.write(1, b"Running HiGHS")

        def setOptionValue(self, name: str, value: object) -> None: ...

        def changeObjectiveSense(self, sense: object) -> None: ...

    new_model(SimpleNamespace(Highs=Highs, ObjSense=SimpleNamespace(kMaximize=-1)))
    assert capfd.readouterr().out == ""
