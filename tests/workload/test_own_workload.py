"""Workloads and capacities of one's own: found by path, module or name, drawn everywhere alike, checked in a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from command_line import in_process, install_agents

from idn_gym import IdnError, Network, draw, load_scenario
from idn_gym.scenario import parse
from idn_gym.scenario.file import read_scenario, to_yaml
from idn_gym.workload.stream import DrawnTrace

MINE = """
import pathlib
import numpy as np
pathlib.Path("loaded").write_text("it ran")

class Waves:
    def __init__(self, rate=10.0, period=24):
        self.rate, self.period, self.slot = rate, period, 0

    def draw(self, network, slots, generator):
        slot = self.slot + np.arange(slots)
        self.slot += slots
        mean = self.rate * (1.0 + np.sin(2.0 * np.pi * slot / self.period))
        return generator.poisson(mean[:, None], (slots, network.R))

class Fades:
    def __init__(self, least=0.5):
        self.least = least

    def draw(self, network, slots, generator):
        return network.capacities * generator.uniform(self.least, 1.0, (slots, 1))

class Columns:
    def draw(self, network, slots, generator):
        return np.asfortranarray(np.arange(slots * network.R).reshape(slots, network.R))

class Undrawn:
    pass

class Fails:
    def draw(self, network, slots, generator):
        return {}["rate"]

class Returns:
    def __init__(self, value, of="all"):
        self.value, self.of = value, of

    def draw(self, network, slots, generator):
        shape = {"all": (slots, network.R), "row": (network.R,), "one": ()}[self.of]
        return np.full(shape, self.value)

class Text:
    def draw(self, network, slots, generator):
        return "many"
"""
WAVES = {"kind": "mine.py:Waves", "rate": 6.0, "period": 10, "capacity": {"kind": "mine.py:Fades", "least": 0.25}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with code of one's own, from which nothing is run; the current one is another."""
    folder, elsewhere = tmp_path / "a b", tmp_path / "elsewhere"
    for path in (folder, elsewhere):
        path.mkdir()
    (folder / "mine.py").write_text(MINE)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def scenario_file(folder: Path, workload: Any) -> Path:
    """Tiny with another workload."""
    data = load_scenario("tiny").to_dict() | {"workload": workload}
    (folder / "own.json").write_text(json.dumps(data))
    return folder / "own.json"


def tiny(folder: Path, workload: Any) -> Network:
    return Network.compile(read_scenario(scenario_file(folder, workload)))


def test_the_stream_is_what_the_class_draws(here: Path) -> None:
    """In blocks of 64 from one generator, capacities after requests."""
    network = tiny(here, WAVES)
    stream = draw(network, 100, 3)
    generator = np.random.default_rng(3)
    requests, capacities = [], []
    for first in (0, 64):
        mean = 6.0 * (1.0 + np.sin(2.0 * np.pi * np.arange(first, first + 64) / 10))
        requests.append(generator.poisson(mean[:, None], (64, network.R)))
        capacities.append(network.capacities * generator.uniform(0.25, 1.0, (64, 1)))
    assert np.array_equal(stream.requests, np.concatenate(requests)[:100])
    assert np.array_equal(stream.capacities, np.concatenate(capacities)[:100])
    assert np.array_equal(draw(network, 100, 3).requests, stream.requests), "every stream has an object of its own"


def test_arrays_may_be_of_any_order(here: Path) -> None:
    """Memory that goes by columns is drawn, and gone through in parts, as rows are."""
    network = tiny(here, {"kind": "mine.py:Columns"})
    parts = list(DrawnTrace(network, 100, 0).parts(48))
    expected = np.concatenate([np.arange(64.0 * network.R).reshape(64, network.R)] * 2)[:100]
    assert np.array_equal(np.concatenate([part.requests for part in parts]), expected)


def test_environments_draw_it_too(here: Path) -> None:
    scenario = read_scenario(scenario_file(here, WAVES))
    network = Network.compile(scenario)
    env = gymnasium.make("IDN/Scenario-v0", scenario=str(here / "own.json"))
    copy = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    envs = gymnasium.make_vec("IDN/Scenario-v0", num_envs=3, scenario=scenario, horizon=70)
    expected = [draw(network, 70, seed) for seed in (5, 6, 7)]
    many, _ = envs.reset(seed=5)
    for each in (env, copy):
        each.reset(seed=5)
        for slot in range(3):
            seen, *_ = each.step(np.zeros(network.P, dtype=np.int8))
            assert seen["requests"].tolist() == expected[0].requests[slot].tolist()
    for slot in range(70):
        many, *_ = envs.step(np.zeros((3, network.P), dtype=np.int8))
        if slot < 69:  # then they begin anew
            assert many["requests"].tolist() == [stream.requests[slot].tolist() for stream in expected]
            shown = np.stack([stream.capacities[slot] for stream in expected]).astype(np.float32)
            assert np.array_equal(many["capacities"], shown)


@pytest.mark.parametrize("workload", [WAVES, {"kind": "zipf", "rate": 5.0, "capacity": {"kind": "mine.py:Fades"}}])
def test_streams_on_a_device_are_copied_or_refused(here: Path, workload: Any) -> None:
    torch = pytest.importorskip("torch")
    scenario = read_scenario(scenario_file(here, workload))
    how = {"num_envs": 2, "scenario": scenario, "device": "cpu", "horizon": 5}
    envs = gymnasium.make_vec("IDN/Scenario-v0", **how, streams="numpy")
    envs.reset(seed=1)
    seen, *_ = envs.step(torch.zeros(2, 18, dtype=torch.int8))
    assert seen["requests"][1].tolist() == draw(Network.compile(scenario), 1, 2).requests[0].tolist()
    with pytest.raises(IdnError, match=r"streams: 'device' draws .*, not .*mine.py:\w+; use streams='numpy'"):
        gymnasium.make_vec("IDN/Scenario-v0", **how, streams="device")


def test_checking_and_showing_run_nothing(here: Path) -> None:
    file = scenario_file(here, WAVES)
    for words in (["check", file], ["show", file], ["show", file, "--yaml"], ["show", file, "--json"]):
        assert in_process(*words).status == 0
    assert not Path("loaded").exists()
    assert in_process("trace", file, "--slots", 2, "--seed", 0).status == 0
    assert Path("loaded").exists()


def test_files_are_relative_to_the_scenario_file(here: Path) -> None:
    scenario = read_scenario(scenario_file(here, WAVES))
    assert scenario.workload is not None
    assert scenario.workload.kind == f"{here}/mine.py:Waves"
    assert scenario.workload.capacity.kind == f"{here}/mine.py:Fades"
    assert scenario.to_dict()["workload"] == {
        "kind": f"{here}/mine.py:Waves",
        "rate": 6.0,
        "period": 10,
        "capacity": {"kind": f"{here}/mine.py:Fades", "least": 0.25},
    }
    assert parse(scenario.to_dict(), "again") == scenario
    Path("copy.yaml").write_text(to_yaml(scenario))
    assert read_scenario(Path("copy.yaml")) == scenario
    assert load_scenario("tiny", {"workload": {"kind": "mine:Waves"}}).workload.kind == "mine:Waves"  # type: ignore[union-attr]


def test_a_package_may_register_them(here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    points = (
        "[idn_gym.workloads]\nwaves = theirs:Waves\nzipf = theirs:Waves\n[idn_gym.capacities]\nfades = theirs:Fades\n"
    )
    monkeypatch.syspath_prepend(str(install_agents(tmp_path / "theirs", MINE, points)))
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    workload = WAVES | {"kind": "waves", "capacity": {"kind": "fades", "least": 0.25}}
    found = draw(tiny(here, workload), 10, 3)
    assert np.array_equal(found.capacities, draw(tiny(here, WAVES), 10, 3).capacities)
    assert load_scenario("tiny").workload.kind == "zipf"  # type: ignore[union-attr]
    assert draw(Network.compile(load_scenario("tiny")), 10, 0).requests.sum() > 0


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        ({"kind": "mine.py:Wave"}, "mine.py: no 'Wave' in it; did you mean 'Waves'?"),
        ({"kind": "nowhere.py:Waves"}, "nowhere.py: cannot be read: No such file or directory"),
        ({"kind": "nowhere.mine:Waves"}, "workload nowhere.mine:Waves: no module 'nowhere'"),
        ({"kind": "mine.py:Waves", "rat": 3}, "mine.py:Waves: unknown parameter 'rat'; allowed: rate, period"),
        ({"kind": "mine.py:Undrawn"}, "mine.py:Undrawn: Undrawn has no method draw; needed: draw"),
        ({"kind": "mine.py:Fails"}, "mine.py:Fails: draw failed: KeyError: 'rate' ("),
        ({"kind": "mine.py:Waves", "rate": "x"}, "mine.py:Waves: draw failed: "),
        ({"kind": "mine.py:Waves", "rate": -1.0}, "draw failed: ValueError: lam < 0"),
        ({"kind": "mine.py:Text"}, "mine.py:Text: draw returned str, not an array of numbers"),
        (
            {"kind": "mine.py:Returns", "value": 1, "of": "row"},
            "draw returned shape (4,); must be (64, 4): slots, request",
        ),
        ({"kind": "mine.py:Returns", "value": 1, "of": "one"}, "draw returned shape (); must be (64, 4)"),
        ({"kind": "mine.py:Returns", "value": -2}, "draw returned -2; must be finite numbers >= 0, at most 1e+18"),
        ({"kind": "mine.py:Returns", "value": 1e19}, "draw returned 1e+19; must be finite numbers >= 0"),
        ({"kind": "mine.py:Returns"}, "missing a required argument: 'value'; parameters: value, of"),
        (
            {"kind": "zipf", "rate": 1.0, "capacity": {"kind": "mine.py:Returns", "value": 1}},
            "mine.py:Returns: draw returned shape (64, 4); must be (64, 18): slots, placements",
        ),
    ],
)
def test_what_goes_wrong_is_a_line(here: Path, workload: Any, words: str) -> None:
    file = scenario_file(here, workload)
    assert in_process("check", file).status == 0
    outcome = in_process("run", file, "--agent", "random", "--slots", 2, "--output", "run")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert words in outcome.stderr.splitlines()[-1]
    assert not Path("run").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(here: Path, value: float) -> None:
    (here / "mine.py").write_text(MINE.replace("np.full(shape, self.value)", f"np.full(shape, float('{value}'))"))
    with pytest.raises(IdnError, match=f"draw returned {value}; must be finite numbers"):
        draw(tiny(here, {"kind": "mine.py:Returns", "value": 1}), 2, 0)


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        (
            {"kind": "waves"},
            "workload.kind: 'waves'; allowed: 'zipf', 'burst', 'adversary', 'trace', 'social', 'FILE.py:Class'",
        ),
        ({"kind": ["zipf"]}, "workload.kind: ['zipf']; did you mean 'zipf'? allowed: 'zipf', 'burst', 'adver"),
        ({"rate": 1.0}, "workload.kind: missing"),
        (3, "workload: 3; must be a mapping of keys"),
        (
            {"kind": "a:B", "capacity": {"kind": "outage"}},
            "workload.capacity.kind: 'outage'; did you mean 'outages'? allowed: 'constant', 'outages'",
        ),
        (
            {"kind": "a:B", "capacity": {"kind": "outages", "probability": 2}},
            "workload.capacity.probability: 2; must be",
        ),
        ({"kind": "a:B", "capacity": {"kind": "constant", "x": 2}}, "workload.capacity.x: unknown key; allowed: kind"),
        ({"kind": "zipf", "rate": 1.0, "x": 1}, "workload.x: unknown key; allowed: kind, rate, exponent"),
    ],
)
def test_a_scenario_with_another_fault_is_no_scenario(here: Path, workload: Any, words: str) -> None:
    with pytest.raises(IdnError, match=r"own\.json: ") as caught:
        read_scenario(scenario_file(here, workload))
    assert words in str(caught.value)


def test_a_record_is_resumed_by_the_same_code_alone(here: Path) -> None:
    typed = ["run", scenario_file(here, WAVES), "--agent", "random", "--slots", 3, "--output", "run"]
    assert in_process(*typed).status == 0
    assert in_process(*typed, "--resume").status == 0
    (here / "mine.py").write_text(MINE + "# a change\n")
    outcome = in_process(*typed, "--resume")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert f"written by other versions, which are not mixed: {here}/mine.py sha256 " in outcome.stderr
