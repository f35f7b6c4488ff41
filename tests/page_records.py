"""Record folders for tests of pages: small ones, and one in which every name tries to be more than a name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from idn_gym import load_scenario
from idn_gym.experiment import records, sweep
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.scenario import parse

HOSTILE = "</script><script>window.hacked=1</script>\"'{{7*7}}<img src=x onerror=window.hacked=2>&lt;"
OWN = """
import numpy as np


class Mine:
    def __init__(self, label=""):
        pass

    def reset(self, network, seed):
        self.held = np.zeros(network.P, dtype=np.int8)

    def act(self, observation):
        return self.held

    def info(self):
        return {}
"""


def run(folder: Path, slots: int = 6, agents: tuple[str, ...] = ("random", "infida"), seed: int = 0) -> Path:
    """The record of agents on the packaged scenario tiny."""
    scenario = load_scenario("tiny")
    specs = [RunSpec(scenario, AgentSpec.parse(agent), seed=seed, slots=slots) for agent in agents]
    records.run(specs, folder, command=["idn-gym", "run", "tiny", "--slots", str(slots)])
    return folder


def hostile(folder: Path) -> Path:
    """A run with services, of which scenario, nodes, tasks, services and an agent have hostile names."""
    values: dict[str, Any] = load_scenario("tiny").to_dict()
    renamed = {task: f"{HOSTILE}{n}" for n, task in enumerate(values["tasks"])}
    renamed |= {node["name"]: f"{HOSTILE}{node['name']}" for node in values["nodes"]}
    renamed |= {model["name"]: f"{HOSTILE}{model['name']}" for model in values["models"]}

    def again(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: again(item) for key, item in value.items()}
        if isinstance(value, list):
            return [again(item) for item in value]
        return renamed.get(value, value) if isinstance(value, str) else value

    values = {**again(values), "name": HOSTILE, "provenance": {}}
    values["services"] = [
        {"name": f"{HOSTILE}service{n}", "stages": [task], "deadline_ms": 50.0}
        for n, task in enumerate(values["tasks"])
    ]
    values.pop("requests", None)
    scenario = parse(values, "hostile")
    folder.mkdir()
    module = folder / "mine'\"><svg onload=window.hacked=3>.py"
    module.write_text(OWN)
    here = Path.cwd()
    os.chdir(folder)
    try:
        own = AgentSpec(f"{module.name}:Mine", {"label": HOSTILE})
        specs = [RunSpec(scenario, agent, slots=5) for agent in (own, AgentSpec("random"), AgentSpec("infida"))]
        records.run(specs, folder / "run", command=["idn-gym", "run", HOSTILE])
    finally:
        os.chdir(here)
    return folder / "run"


def swept(folder: Path, command: tuple[str, ...] = ("idn-gym", "sweep", "grid.yaml"), **labels: str) -> Path:
    """A sweep over two alphas and two seeds of tiny."""
    cells = [
        sweep.Cell(
            {"scenario": "tiny", **labels, "accuracy_weight": alpha, "seed": seed},
            tuple(
                RunSpec(load_scenario("tiny", {"accuracy_weight": alpha}), AgentSpec.parse(agent), seed=seed, slots=5)
                for agent in ("random", "infida")
            ),
        )
        for alpha in (1.0, 4.0)
        for seed in (0, 1)
    ]
    sweep.run(cells, folder, command=command)
    return folder
