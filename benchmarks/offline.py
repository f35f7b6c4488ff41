"""Policies learnt from datasets alone: how much of the teacher's gain they recover on streams that no data has.

    python benchmarks/offline.py run --output benchmarks/results/offline.json     # some CPU minutes
    python benchmarks/offline.py run --scenario tiny --output benchmarks/results/offline.json
    python benchmarks/offline.py show benchmarks/results/offline.json

Datasets: 8 episodes of 100 slots of `infida-coordinated`, streams of seeds 0 to 7; the same with as many of `random`.
Evaluation: streams of seeds 4000 to 4004, 150 slots, on which nothing was chosen: that what is held is hidden was
decided on those of 2000 to 2004. Recovered: the gain per request above that of `random`, of the teacher's above it.
"sees held": what a node holds is not hidden from the learner.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import by_scenario
import numpy as np
from idn_agents.learning.checkpoint import save_policy
from idn_agents.learning.offline.learners import Offline, OfflineTrainer
from idn_agents.learning.ppo_torch import make_policy

from idn_gym import datasets
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.scenario import Scenario

SCENARIOS = ("tiny", "topology-2-sliding")
SEEDS = range(3)  # of training
TEACHER, NOISE = "infida-coordinated", "random"
MIXTURES = {"teacher": [TEACHER], "mixture": [TEACHER, NOISE]}
LEARNERS: dict[str, dict[str, Any]] = {
    "bc": {"algo": "bc"},
    "awr": {"algo": "awr"},
    "bc, sees held": {"algo": "bc", "held": True},
    "awr, sees held": {"algo": "awr", "held": True},
}
EPISODES, TRAINED_SLOTS, EPOCHS = 8, 100, 10
STREAMS, SLOTS = range(4000, 4005), 150  # no choice was made on these; some were on 2000 to 2004


def gains(scenario: Scenario, agent: str) -> list[float]:
    """NTAG of an agent on each stream."""
    found = []
    for seed in STREAMS:
        network, trace = RunSpec(scenario, AgentSpec("none"), seed=seed, slots=SLOTS).stream()
        found.append(float(play(network, trace, agent, seed).summary.ntag or 0.0))
    return found


def study(name: str) -> list[dict[str, Any]]:
    """One row per agent, dataset, learner and training seed."""
    with TemporaryDirectory() as folder:
        return _study(load_scenario(name), Path(folder))


def _study(scenario: Scenario, folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(**row: Any) -> None:
        rows.append({"scenario": scenario.name, **row})
        print({key: value for key, value in rows[-1].items() if key != "ntag"}, file=sys.stderr, flush=True)

    for agent in (TEACHER, NOISE):
        add(learner=agent, ntag=gains(scenario, agent))
    for seed in SEEDS:
        save_policy(folder, make_policy("placement", [scenario], None, seed), {})
        add(learner="untrained", seed=seed, ntag=gains(scenario, f"ppo:path={folder}"))
    for mixture, agents in MIXTURES.items():
        name = f"idn/{scenario.name}-{mixture}-v0"
        datasets.write(scenario, agents, folder, name, episodes=EPISODES, slots=TRAINED_SLOTS)
        episodes = datasets.read(folder, name)
        for learner, how in LEARNERS.items():
            for seed in SEEDS:
                policy = make_policy("placement", [scenario], None, seed)
                curve = list(OfflineTrainer(episodes, policy, Offline(epochs=EPOCHS, **how), seed).chapters())
                save_policy(folder, policy, {})
                found = gains(scenario, f"ppo:path={folder}")
                add(dataset=mixture, learner=learner, seed=seed, ntag=found, **curve[-1])
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: mean over training seeds and streams, lowest to highest over training seeds."""
    teacher, noise = (np.mean(next(row["ntag"] for row in rows if row["learner"] == name)) for name in (TEACHER, NOISE))
    lines = [
        "| learner | dataset | gain per request (ms) | recovered | over training seeds | agreement |",
        "|---|---|---|---|---|---|",
    ]
    for learner, dataset in dict.fromkeys((row["learner"], row.get("dataset", "")) for row in rows):
        here = [row for row in rows if (row["learner"], row.get("dataset", "")) == (learner, dataset)]
        each = np.array([np.mean(row["ntag"]) for row in here])
        part = 100.0 * (each - noise) / (teacher - noise)
        span = f"{part.min():.0f} to {part.max():.0f} %" if len(here) > 1 else ""
        agreed = f"{100.0 * np.mean([row['agreement'] for row in here]):.0f} %" if dataset else ""
        lines.append(f"| `{learner}` | {dataset} | {each.mean():.2f} | {part.mean():.0f} % | {span} | {agreed} |")
    return "\n".join(lines)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by scenario."""
    return by_scenario.tables(document, table)


if __name__ == "__main__":
    by_scenario.main(__doc__, SCENARIOS, study, table)
