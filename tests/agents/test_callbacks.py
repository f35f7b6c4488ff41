"""Code of one's own that training calls: with each row of the curve, by either trainer, and by SB3 at each step."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from command_line import Outcome, in_process
from idn_agents.learning.folder import read_curve

MINE = """
import json
from pathlib import Path
from stable_baselines3.common.callbacks import BaseCallback

class Watch:
    def __init__(self, stop=0):
        self.stop, self.rows = stop, []

    def __call__(self, row, policy):
        self.rows.append(row)
        Path("rows.json").write_text(json.dumps(self.rows))
        assert sum(p.numel() for p in policy.parameters()) > 0
        return len(self.rows) != self.stop

class Fails:
    def __call__(self, row, policy):
        raise ValueError("no")

class Nothing:
    pass

class Steps(BaseCallback):
    def __init__(self, stop=10**9):
        super().__init__()
        self.stop, self.seen = stop, []

    def _on_step(self):
        self.seen.append(self.num_timesteps)
        Path("steps.json").write_text(json.dumps(self.seen))
        return self.num_timesteps < self.stop

class Stumbles(BaseCallback):
    def _on_step(self):
        raise ValueError("no")
"""
ALGORITHMS = ("ppo-torch", "ppo", "maskable-ppo", "a2c", "sac")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def train(algo: str, *options: object) -> Outcome:
    typed = ("train", "tiny", "--algo", algo, "--steps", 120, "--envs", 2, "--slots", 20, "--hidden", 4, "--json")
    return in_process(*typed, "--output", "out", *options)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_it_is_called_with_every_row(algo: str) -> None:
    """And leaves the training what it is without; the curve is written as CSV and for TensorBoard."""
    outcome = train(algo, "--callback", "mine.py:Watch", "--tensorboard")
    assert outcome.status == 0, outcome.stderr
    rows = json.loads(Path("rows.json").read_text())
    assert rows == read_curve(Path("out/curve.csv")) == json.loads(outcome.stdout)["curve"]
    assert len(rows) > 2
    assert list(Path("out/tensorboard").glob("events.out.tfevents.*"))
    assert Path("out/policy.json").exists()


def test_it_changes_nothing() -> None:
    with_it = json.loads(train("ppo-torch", "--callback", "mine.py:Watch").stdout)["curve"]
    without = json.loads(train("ppo-torch", "--output", "other").stdout)["curve"]
    assert [row["gain_per_request"] for row in with_it] == [row["gain_per_request"] for row in without]


@pytest.mark.parametrize("algo", ["ppo-torch", "a2c"])
def test_false_ends_the_training(algo: str) -> None:
    assert train(algo, "--callback", "mine.py:Watch:stop=2").status == 0
    assert len(read_curve(Path("out/curve.csv"))) == 2
    assert Path("out/policy.json").exists()


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_those_of_stable_baselines3_see_every_step(algo: str) -> None:
    outcome = train(algo, "--callback", "mine.py:Steps", "--callback", "mine.py:Watch")
    assert outcome.status == 0, outcome.stderr
    seen = json.loads(Path("steps.json").read_text())
    assert seen == list(range(2, seen[-1] + 1, 2))
    assert seen[-1] == json.loads(outcome.stdout)["steps"] >= 120


def test_one_of_theirs_ends_the_training() -> None:
    outcome = train("a2c", "--callback", "mine.py:Steps:stop=30")
    assert (outcome.status, json.loads(outcome.stdout)["steps"]) == (0, 30.0)


@pytest.mark.parametrize(
    ("algo", "callback", "words"),
    [
        ("ppo-torch", "mine.py:Fails", "callback mine.py:Fails: ValueError: no (mine.py:18)"),
        ("ppo", "mine.py:Stumbles", "callback of Stable-Baselines3: ValueError: no (mine.py:35)"),
        ("ppo-torch", "mine.py:Steps", "callback mine.py:Steps: Steps; must be called with a row and the policy"),
        ("ppo", "mine.py:Nothing", "Nothing; must be called with a row and the policy, or a BaseCallback of Stable-"),
        ("ppo", "mine.py:Watch:stp=3", "callback mine.py:Watch: unknown parameter 'stp'; allowed: stop"),
        ("ppo", "mine.py:Watch:stop", "must be name or name:key=value,key=value"),
        ("ppo", "mine.py:Wach", "mine.py: no 'Wach' in it; did you mean 'Watch'?"),
        ("ppo", "mine.py", "'mine.py': a file; must be FILE.py:Class; there: Watch, Fails"),
        ("ppo", "watch", "no callback 'watch'; registered: none"),
    ],
)
def test_what_goes_wrong_is_a_line(algo: str, callback: str, words: str) -> None:
    outcome = train(algo, "--callback", callback)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert words in outcome.stderr.splitlines()[-1]
    assert Path("out").exists() == ("no (" in words), "what has begun can be resumed; nothing else is left"
