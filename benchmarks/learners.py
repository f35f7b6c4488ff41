"""Learnt policies beside INFIDA, greedies and the bound, on streams that no training has seen.

    python benchmarks/learners.py train --folder runs/learners          # 10 trainings of about 90 CPU seconds each
    python benchmarks/learners.py evaluate --folder runs/learners --output benchmarks/results/learners.json
    python benchmarks/learners.py show benchmarks/results/learners.json [--plot docs/learners.png]

One policy per training seed and loading price, trained on topology-2-sliding and topology-2-bursty in turn, on streams
of seeds above a million. Policy s is evaluated on the stream of seed 1000 + s, as every other agent is; intervals are
bootstrapped over the pairs. "best single feature" is the input feature, and the direction, that ranks placements best
on a stream of a training seed, with the same decoder; on networks not trained on it is carried over, as policies are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from idn_agents.learning.agent import Learnt
from idn_agents.learning.checkpoint import save_policy
from idn_agents.learning.features import NAMES, Features
from idn_agents.learning.folder import TrainingFolder, read_curve
from idn_agents.ppo import FIRST_SEED, PPO, Trainer, make_policy

from idn_gym import batched
from idn_gym.experiment import AgentSpec, RunSpec, play, static_bound
from idn_gym.intervals import bootstrap_interval
from idn_gym.network import Network
from idn_gym.records import versions
from idn_gym.scenario_file import load_scenario

TRAINED_ON = ("topology-2-sliding", "topology-2-bursty")
ZERO_SHOT = {  # scenario: the one trained on that its workload is like
    "topology-1-sliding": "topology-2-sliding",
    "topology-1-bursty": "topology-2-bursty",
    "abilene-sliding": "topology-2-sliding",
}
PRICES = (0.001, 0.0)  # ms per request and MB loaded
SEEDS = range(5)
STEPS = 46_080
SLOTS, FAR_SLOTS, FAR_SEEDS = 300, 120, 3
AGENTS = ("optimum:gap=0.005,time_limit=20", "infida-coordinated", "last-batch-greedy", "load-aware-greedy", "infida")
FAR_AGENTS = ("infida-coordinated", "last-batch-greedy", "infida")


@dataclass(frozen=True)
class Contender(AgentSpec):
    """An agent that is not registered, under a name of its own."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    agent: Any = None

    def make(self) -> Any:
        """The agent itself."""
        return self.agent


class RankByFeature:
    """Fills nodes in the order of one of the features that policies see."""

    def __init__(self, feature: int, sign: float) -> None:
        self._feature, self._sign = feature, sign

    def reset(self, network: Network, seed: int) -> None:
        self._network, self._features = network, Features(network, 1)

    def act(self, observation: dict[str, Any]) -> Any:
        seen = self._features.see(
            {key: torch.from_numpy(np.asarray(value))[None] for key, value in observation.items()}
        )
        return batched.pack(self._network, (self._sign * seen[:, :, self._feature]).contiguous())[0].numpy()

    def info(self) -> dict[str, Any]:
        return {}


def about(price: float, seed: int) -> tuple[Trainer, dict[str, Any]]:
    """What is trained, and all that it depends on."""
    scenarios = [load_scenario(name) for name in TRAINED_ON]
    options = PPO(steps=STEPS, update_weight=price)
    policy = make_policy("placement", scenarios, None, seed)
    kept = {"algo": "ppo-torch", "seed": seed, "device": "cpu", "policy": policy.config()}
    kept |= {"options": vars(options), "scenarios": [scenario.to_dict() for scenario in scenarios]}
    return Trainer(scenarios, policy, options, seed), kept


def train(folder: Path) -> None:
    """Train what is not trained yet; interrupted, it goes on."""
    for price in PRICES:
        for seed in SEEDS:
            trainer, kept = about(price, seed)
            place = folder / f"price-{price:g}-seed-{seed}"
            here = TrainingFolder(place, kept, resume=place.exists(), command=["python", *sys.argv])
            if here.done:
                continue
            save_policy_of(trainer, folder / f"untrained-seed-{seed}")
            if here.state is not None:
                trainer.restore(here.state)
            for row in trainer.chapters():
                here.append(row, trainer.state())
                print(f"{place.name}: {row['steps']:.0f} {row['reward']:.3f}", file=sys.stderr)
            here.finish(trainer.policy)


def save_policy_of(trainer: Trainer, place: Path) -> None:
    """Keep the network as it is before training."""
    place.mkdir(parents=True, exist_ok=True)
    save_policy(place, trainer.policy, {"untrained": True})


def best_feature(scenario: str) -> tuple[int, float]:
    """Feature and sign that gain most on streams of training seeds."""
    network = Network.compile(load_scenario(scenario))
    _, trace = RunSpec(network.scenario, AgentSpec("none"), FIRST_SEED, 120).stream()
    choices = [(i, sign) for i in range(len(NAMES)) for sign in (1.0, -1.0)]
    gains = [
        play(network, trace, Contender("feature", agent=RankByFeature(*choice)), 0).summary.ntag or 0.0
        for choice in choices
    ]
    return choices[int(np.argmax(gains))]


def contenders(folder: Path, seed: int, feature: tuple[int, float]) -> list[AgentSpec]:
    """The learnt policies of a training seed, and what they are made from."""
    found: list[AgentSpec] = [
        Contender(f"ppo, price {price:g}", agent=Learnt(str(folder / f"price-{price:g}-seed-{seed}")))
        for price in PRICES
    ]
    found.append(Contender("untrained", agent=Learnt(str(folder / f"untrained-seed-{seed}"))))
    return [*found, Contender("best single feature", agent=RankByFeature(*feature))]


def evaluate(folder: Path) -> dict[str, Any]:
    """One row per scenario, seed and agent."""
    rows = []
    features = {scenario: best_feature(scenario) for scenario in TRAINED_ON}
    for scenario in (*TRAINED_ON, *ZERO_SHOT):
        near = scenario in TRAINED_ON
        feature = features[ZERO_SHOT.get(scenario, scenario)]
        for seed in SEEDS if near else SEEDS[:FAR_SEEDS]:
            stream = 1000 + seed
            network, trace = RunSpec(
                load_scenario(scenario), AgentSpec("none"), stream, SLOTS if near else FAR_SLOTS
            ).stream()
            specs = [*contenders(folder, seed, feature), *map(AgentSpec.parse, AGENTS if near else FAR_AGENTS)]
            results = [play(network, trace, spec, stream) for spec in specs]
            bound = static_bound(results)
            for result in results:
                row = {"scenario": scenario, "stream": stream, "training_seed": seed, **result.row()}
                row["of_bound"] = result.summary.gain / bound if bound else None
                row["feature"] = ["", "-"][feature[1] < 0] + NAMES[feature[0]] if "feature" in row["agent"] else None
                rows.append({key: value for key, value in row.items() if value is not None})
                print(f"{scenario} {stream} {result.agent}: {result.summary.ntag:.3f}", file=sys.stderr, flush=True)
    curves = {
        f"{price:g}": [read_curve(folder / f"price-{price:g}-seed-{seed}" / "curve.csv") for seed in SEEDS]
        for price in PRICES
    }
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit.strip(),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {**versions(), "torch": torch.__version__},
        "steps": STEPS,
        "rows": rows,
        "curves": curves,
    }


def table(document: dict[str, Any], scenario: str) -> str:
    """Markdown: mean and 95 % bootstrap interval over streams."""
    rows = [row for row in document["rows"] if row["scenario"] == scenario]
    lines = [
        "| agent | NTAG (ms) | of static bound | GB loaded per slot | NTAG less 1 ms per GB |",
        "|---|---|---|---|---|",
    ]
    agents = list(dict.fromkeys(row["agent"] for row in rows))

    def column(agent: str, value: Any, digits: int, unit: str = "") -> str:
        values = [value(row) for row in rows if row["agent"] == agent and value(row) is not None]
        if not values:
            return ""
        found = bootstrap_interval(values)
        return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]{unit}"

    def ntag(row: dict[str, Any]) -> float:
        return float(row["ntag"])

    for agent in sorted(agents, key=lambda a: -np.mean([row["ntag"] for row in rows if row["agent"] == a])):
        cells = [
            f"`{agent.partition(':')[0]}`",
            column(agent, ntag, 2),
            column(agent, lambda row: 100.0 * row["of_bound"] if "of_bound" in row else None, 1, " %"),
            column(agent, lambda row: row["model_update_mb"] / 1000.0, 2),
            column(agent, lambda row: row["ntag"] - 0.001 * row["model_update_mb"], 2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(document: dict[str, Any], target: Path) -> None:
    """Learning curves, with what others gain on the held-out streams as lines."""
    from idn_gym.figures import PALETTE, label_ends, new_axes, new_figure, save

    figure = new_figure(1100, 420, 130)
    for i, scenario in enumerate(TRAINED_ON):
        axes = new_axes(
            figure, (0.06 + 0.5 * i, 0.13, 0.31, 0.76), "slots of training, thousands", "NTAG, ms", scenario
        )
        curves = [
            [row for n, row in enumerate(rows) if n % len(TRAINED_ON) == i]
            for rows in document["curves"][f"{PRICES[0]:g}"]
        ]
        steps = np.array([row["steps"] for row in curves[0]]) / 1000.0
        values = np.array([[row["reward_without_noise"] for row in rows] for rows in curves])
        axes.plot(steps, values.mean(axis=0), color=PALETTE[0], linewidth=1.8)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=PALETTE[0], alpha=0.2, linewidth=0)
        ends = [("ppo, while it learns", float(values[:, -1].mean()), PALETTE[0])]
        rows = [row for row in document["rows"] if row["scenario"] == scenario]
        bounds = [
            row["ntag"] / row["of_bound"] for row in rows if "of_bound" in row and row["agent"].startswith("optimum")
        ]
        lines = {"static bound": float(np.mean(bounds))} if bounds else {}
        for agent in ("infida-coordinated", "last-batch-greedy", "infida", "best single feature", "untrained"):
            found = [row["ntag"] for row in rows if row["agent"] == agent]
            if found:
                lines[agent] = float(np.mean(found))
        for colour, (name, value) in zip(PALETTE[1:], lines.items(), strict=False):
            axes.axhline(value, color=colour, linewidth=1.0, linestyle="--")
            ends.append((name, value, colour))
        axes.set_xlim(0.0, steps[-1])
        label_ends(axes, ends)
    with target.open("wb") as file:
        save(figure, file)


def main() -> None:
    """Train, evaluate, or show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("train", "evaluate", "show"))
    parser.add_argument("results", nargs="?", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/learners"))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "train":
        train(options.folder)
        return
    document = json.loads(options.results.read_text()) if options.what == "show" else evaluate(options.folder)
    if options.output:
        options.output.write_text(json.dumps(document, indent=1) + "\n")
    for scenario in dict.fromkeys(row["scenario"] for row in document["rows"]):
        print(f"\n**{scenario}**\n\n{table(document, scenario)}")
    if options.plot:
        plot(document, options.plot)


if __name__ == "__main__":
    main()
