"""Learnt policies beside INFIDA, greedies and the bound, on streams that no training has seen.

    python benchmarks/learners.py train --folder runs/learners          # 20 trainings of 20 to 90 CPU seconds each
    python benchmarks/learners.py evaluate --folder runs/learners --output benchmarks/results/learners.json
    python benchmarks/learners.py show benchmarks/results/learners.json [--plot docs/learners.png]

One policy per training seed, kind and loading price, trained on topology-2-sliding and topology-2-bursty in turn, on
streams of seeds above a million (SB3's on topology-2-bursty alone). Policy s is evaluated on the stream of seed
2000 + s, as every other agent is; intervals are bootstrapped over the pairs. "best single feature" is the input
feature, and the direction, that ranks placements best on a stream of a training seed, with the same decoder; on
networks not trained on it is carried over, as policies are. Rows `tuned` have the parameters of benchmarks/tuning.py.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from idn_agents.learning.agent import Learnt
from idn_agents.learning.checkpoint import save_policy
from idn_agents.learning.features import NAMES, Features
from idn_agents.learning.folder import TrainingFolder, read_curve
from idn_agents.learning.ppo_torch import FIRST_SEED, PPO, Trainer, make_policy
from idn_agents.learning.sb3_training import SB3, SB3Trainer
from stored import of, read, resumed, store, values
from tuning import tuned

from idn_gym import batched
from idn_gym.experiment.intervals import bootstrap_interval
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec, RunSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network

TRAINED_ON = ("topology-2-sliding", "topology-2-bursty")
ZERO_SHOT = {  # scenario: the one trained on that its workload is like
    "topology-1-sliding": "topology-2-sliding",
    "topology-1-bursty": "topology-2-bursty",
    "abilene-sliding": "topology-2-sliding",
}
LEARNT = {  # kind of policy, and price: ms per request and MB loaded
    "ppo, price 0.001": ("placement", 0.001),
    "ppo, price 0": ("placement", 0.0),
    "ppo, flat": ("flat", 0.0),
}
SB3_PPO = "sb3 ppo, flat"  # on the last scenario alone
FLAT = ("ppo, flat", SB3_PPO)
SEEDS = range(5)
STEPS = 46_080
SLOTS, FAR_SLOTS, FAR_SEEDS = 300, 120, 3
FIRST_STREAM = 2000  # no choice was made on these
AGENTS = ("optimum:gap=0.005,time_limit=20", "infida-coordinated", "last-batch-greedy", "load-aware-greedy", "infida")
FAR_AGENTS = ("infida-coordinated", "last-batch-greedy", "infida")
TUNED = ("last-batch-greedy", "load-aware-greedy")


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


def place(folder: Path, name: str, seed: int) -> Path:
    """Where the training of a policy is kept."""
    return folder / f"{name.removeprefix('ppo, ').replace(' ', '-').replace(',', '')}-seed-{seed}"


def trainer_of(name: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """What is trained, and all that it depends on."""
    scenarios = [load_scenario(scenario) for scenario in TRAINED_ON]
    kept: dict[str, Any] = {"seed": seed, "device": "cpu", "scenarios": [scenario.to_dict() for scenario in scenarios]}
    if name == SB3_PPO:
        options: Any = SB3("ppo", steps=STEPS)
        return SB3Trainer(scenarios[-1], options, seed), kept | {"algo": "ppo", "options": asdict(options)}
    kind, price = LEARNT[name]
    options, policy = PPO(steps=STEPS, update_weight=price), make_policy(kind, scenarios, None, seed)
    kept |= {"algo": "ppo-torch", "policy": policy.config(), "options": asdict(options)}
    return Trainer(scenarios, policy, options, seed), kept


def train(folder: Path) -> None:
    """Train what is not trained yet; interrupted, it goes on."""
    for name in (*LEARNT, SB3_PPO):
        for seed in SEEDS:
            trainer, kept = trainer_of(name, seed)
            at = place(folder, name, seed)
            here = TrainingFolder(at, kept, resume=at.exists(), command=["python", *sys.argv])
            if here.done:
                continue
            if name == next(iter(LEARNT)):
                save_policy_of(trainer, place(folder, "untrained", seed))
            if here.state is not None:
                trainer.restore(here.state)
            for row in trainer.chapters():
                here.append(row, trainer.state())
                print(f"{at.name}: {row['steps']:.0f} {row['gain_per_request']:.3f}", file=sys.stderr, flush=True)
            here.finish(trainer.policy)


def save_policy_of(trainer: Trainer, place: Path) -> None:
    """Keep the network as it is before training."""
    place.mkdir(parents=True, exist_ok=True)
    save_policy(place, trainer.policy, {"untrained": True})


def best_feature(scenario: str) -> tuple[int, float]:
    """Feature and sign that gain most on streams of training seeds."""
    network = Network.compile(load_scenario(scenario))
    _, trace = RunSpec(network.scenario, AgentSpec("none"), seed=FIRST_SEED, slots=120).stream()
    choices = [(i, sign) for i in range(len(NAMES)) for sign in (1.0, -1.0)]
    gains = [
        play(network, trace, Contender("feature", agent=RankByFeature(*choice)), 0).summary.ntag or 0.0
        for choice in choices
    ]
    return choices[int(np.argmax(gains))]


def contenders(folder: Path, seed: int, feature: tuple[int, float], near: bool) -> list[AgentSpec]:
    """The learnt policies of a training seed that fit the network, and what they are made from."""
    names = [name for name in (*LEARNT, SB3_PPO, "untrained") if near or name not in FLAT]
    found: list[AgentSpec] = [Contender(name, agent=Learnt(str(place(folder, name, seed)))) for name in names]
    return [*found, Contender("best single feature", agent=RankByFeature(*feature))]


def rivals(scenario: str) -> list[AgentSpec]:
    """The agents that are no policies, as they come and tuned."""
    plain = AGENTS if scenario in TRAINED_ON else FAR_AGENTS
    return [AgentSpec.parse(agent) for agent in dict.fromkeys([*plain, *tuned(scenario, TUNED).values()])]


def streams(scenario: str) -> list[tuple[int, RunSpec]]:
    """Training seeds, and the stream that the policy of each is evaluated on."""
    near = scenario in TRAINED_ON
    slots = SLOTS if near else FAR_SLOTS
    loaded = load_scenario(scenario)
    return [
        (seed, RunSpec(loaded, AgentSpec("none"), seed=FIRST_STREAM + seed, slots=slots))
        for seed in (SEEDS if near else SEEDS[:FAR_SEEDS])
    ]


def add(here: dict[str, dict[str, Any]], specs: list[AgentSpec], run: RunSpec, training_seed: int) -> None:
    """Play what has no row yet on a stream, and tell each one's share of the bound."""
    network, trace = run.stream()
    for spec in specs:
        if str(spec) not in here:
            result = play(network, trace, spec, run.seed)
            about = {"scenario": run.scenario.name, "stream": run.seed, "training_seed": training_seed}
            here[str(spec)] = about | result.row()
            if "certified_bound" in result.info:
                here[str(spec)]["certified_bound"] = result.info["certified_bound"]
            print(f"{run.scenario.name} {run.seed} {spec}: {result.summary.ntag:.3f}", file=sys.stderr, flush=True)
    bound = min((row["certified_bound"] for row in here.values() if "certified_bound" in row), default=None)
    for setting in tuned(run.scenario.name, TUNED).values():
        if ":" in setting:  # else it is the defaults
            here[str(AgentSpec.parse(setting))]["tuned"] = True
    for row in here.values():
        row |= {"of_bound": row["gain"] / bound} if bound else {}


def evaluate(folder: Path, output: Path | None) -> dict[str, Any]:
    """One row per scenario, seed and agent; goes on with what this commit stored of the same policies."""
    curves = {name: [read_curve(place(folder, name, seed) / "curve.csv") for seed in SEEDS] for name in LEARNT}
    before = resumed(output)
    kept = before["rows"] if before.get("curves") == curves else []
    document: dict[str, Any] = {"steps": STEPS, "rows": [], "curves": curves}
    features = {scenario: best_feature(scenario) for scenario in TRAINED_ON}
    for scenario in (*TRAINED_ON, *ZERO_SHOT):
        feature = features[ZERO_SHOT.get(scenario, scenario)]
        for seed, run in streams(scenario):
            here = {row["agent"]: row for row in of(kept, scenario=scenario, stream=run.seed)}
            add(here, [*contenders(folder, seed, feature, scenario in TRAINED_ON), *rivals(scenario)], run, seed)
            here["best single feature"]["feature"] = ("-" if feature[1] < 0 else "") + NAMES[feature[0]]
            document["rows"] += here.values()
            if output:
                store(output, document, unfinished=True)
    if output:
        store(output, document)
    return document


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by scenario."""
    return {name: table(of(document["rows"], scenario=name)) for name in values(document["rows"], "scenario")}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: mean and 95 % bootstrap interval over streams."""
    scenario, streams = rows[0]["scenario"], values(rows, "stream")
    near = scenario in TRAINED_ON
    about = "trained on" if near else f"never trained on: {len(streams)} policies"
    slots = f"{SLOTS} slots" if near else f"{FAR_SLOTS} slots, no bound computed"
    lines = [
        f"**{scenario}**, {about}, streams {streams[0]} to {streams[-1]}, {slots}",
        "",
        "| agent | NTAG (ms) | total gain, of static bound | GB loaded per slot | NTAG less 1 ms per GB |",
        "|---|---|---|---|---|",
    ]
    agents = values(rows, "agent")
    settings = {row["agent"] for row in rows if row.get("tuned")}

    def column(agent: str, value: Any, digits: int, unit: str = "") -> str:
        each = [value(row) for row in of(rows, agent=agent) if value(row) is not None]
        if not each:
            return ""
        found = bootstrap_interval(each)
        return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]{unit}"

    def ntag(row: dict[str, Any]) -> float:
        return float(row["ntag"])

    for agent in sorted(agents, key=lambda a: -np.mean([row["ntag"] for row in rows if row["agent"] == a])):
        cells = [
            f"`{agent.partition(':')[0]}`" + ", tuned" * (agent in settings),
            column(agent, ntag, 2),
            column(agent, lambda row: 100.0 * row["of_bound"] if "of_bound" in row else None, 1, " %"),
            column(agent, lambda row: row["model_update_mb"] / 1000.0, 2),
            column(agent, lambda row: row["ntag"] - 0.001 * row["model_update_mb"], 2),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(document: dict[str, Any], target: Path) -> None:
    """Learning curves, with what others gain on the held-out streams as lines."""
    from idn_gym.common.figures import new_axes, new_figure, save
    from idn_gym.common.labels import Name, label_ends
    from idn_gym.report.look import looks

    figure = new_figure(1100, 420, 130)
    for i, scenario in enumerate(TRAINED_ON):
        axes = new_axes(
            figure, (0.06 + 0.5 * i, 0.13, 0.295, 0.76), "slots of training, thousands", "NTAG, ms", scenario
        )
        curves = [
            [row for n, row in enumerate(rows) if n % len(TRAINED_ON) == i]
            for rows in document["curves"]["ppo, price 0"]
        ]
        steps = np.array([row["steps"] for row in curves[0]]) / 1000.0
        values = np.array([[row["reward_without_noise"] for row in rows] for rows in curves])
        ppo = looks(["ppo"])["ppo"]
        axes.plot(steps, values.mean(axis=0), color=ppo.colour, linewidth=1.8)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=ppo.colour, alpha=0.2, linewidth=0)
        ends = [Name("ppo, training streams", float(values[:, -1].mean()), ppo.colour, ppo.marker)]
        rows = [row for row in document["rows"] if row["scenario"] == scenario]
        lines: dict[str, float] = {}  # NTAG as well; what is proven of static allocations is about total gain
        for agent in (
            AGENTS[0],
            "infida-coordinated",
            "last-batch-greedy",
            "infida",
            "best single feature",
            "untrained",
        ):
            found = [row["ntag"] for row in rows if row["agent"] == agent]
            if found:
                lines[agent.partition(":")[0]] = float(np.mean(found))
        look = looks(lines)
        for name, value in lines.items():
            axes.axhline(value, color=look[name].colour, linewidth=1.0, linestyle=look[name].line)
            ends.append(Name(name, value, look[name].colour, look[name].marker))
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
    document = read(options.results) if options.what == "show" else evaluate(options.folder, options.output)
    print("\n\n".join(tables(document).values()))
    if options.plot:
        plot(document, options.plot)


if __name__ == "__main__":
    main()
