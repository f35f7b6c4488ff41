"""Policies that learnt on drawn networks, on networks that no training has seen.

    python benchmarks/zero_shot.py train                      # three policies of some 100 CPU seconds each
    python benchmarks/zero_shot.py choose                     # what is chosen without learning, on training cases
    python benchmarks/zero_shot.py evaluate [--jobs 2] [--held-out 24]
    python benchmarks/zero_shot.py show

All goes to `--output`, benchmarks/results/zero_shot.json; what this commit stored is not played again. Policies learn
on 48 cases of the suite's training split in turn, on streams of seeds above a million. `choose` finds, on the first 12
of these cases, the input that ranks placements best, the inputs that do so together (`chosen_inputs`), and a setting of
last-batch greedy. Policy s is evaluated on stream 2000 + s of four packaged networks, as every other agent is; a
held-out case is played on one stream, by one of the policies in turn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from idn_agents.learning.agent import Learnt
from idn_agents.learning.checkpoint import save_policy
from idn_agents.learning.features import NAMES
from idn_agents.learning.folder import TrainingFolder
from idn_agents.learning.policy import View
from idn_agents.learning.ppo_torch import FIRST_SEED, PPO, Trainer, make_policy
from idn_agents.search.local_search import LocalSearch
from learners import FIRST_STREAM, Contender
from stored import RESULTS as FOLDER
from stored import of, read, resumed, store, values
from tuning import best, settings, tried, tuned

from idn_gym import batched, kernels
from idn_gym.experiment.intervals import mean_interval
from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.cases import Case, cases
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

RESULTS = FOLDER / "zero_shot.json"
CHOSEN, PLAYED = "chosen", "played"  # parts of it
SEEDS = range(3)  # of training; policy s faces stream FIRST_STREAM + s
CASES, OPTIONS = 48, PPO(steps=98_304, envs=16, slots=64)  # each case twice
NETWORKS = ("topology-1-sliding", "topology-2-sliding", "abilene-sliding", "geant-sliding")
SLOTS, CASE_SLOTS = 300, 240
CHOSEN_ON, CHOICE_SLOTS, MOST_INPUTS = 12, 48, 4
LEADER, GREEDY = "infida-coordinated", "last-batch-greedy"

Inputs = list[tuple[int, float]]  # feature and sign


class RankByFeatures:
    """Fills nodes in the order of an equal-weighted sum of features, each brought to one deviation at every node."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs

    def reset(self, network: Network, seed: int) -> None:
        self._network, self._view = network, View(network, 1)

    def act(self, observation: dict[str, Any]) -> Any:
        seen = self._view.see(tensors(observation))
        return batched.pack(self._network, summed(seen, self._view, [self._inputs]))[0].numpy()

    def info(self) -> dict[str, Any]:
        return {}


class Searched:
    """Local search on the forecast that a policy's features are made from, up to where no node gains alone.

    Parameters
    ----------
    first : agent whose allocation is where each search begins; without, it begins with what is held.
    """

    def __init__(self, first: Any = None) -> None:
        self._first = first

    def reset(self, network: Network, seed: int) -> None:
        self._network, self._search, self._view = network, LocalSearch(network), View(network, 1)
        if self._first is not None:
            self._first.reset(network, seed)

    def act(self, observation: dict[str, Any]) -> Any:
        begin = observation["allocation"] if self._first is None else self._first.act(observation)
        self._view.see(tensors(observation))
        forecast = self._view.forecast()[0].numpy().astype(np.float64)[:1]
        if not forecast.any():
            return begin.astype(np.int8)
        load = kernels.loads(self._network, forecast)
        self._search.look_at(forecast, observation["capacities"][None], load, self._network.holding)
        self._search.start(begin)
        self._search.improve()
        return self._search.allocation

    def info(self) -> dict[str, Any]:
        return {}


def tensors(observation: dict[str, Any]) -> dict[str, torch.Tensor]:
    """An observation as a batch of one."""
    return {key: torch.from_numpy(np.asarray(value))[None] for key, value in observation.items()}


def summed(seen: torch.Tensor, view: View, rows: Sequence[Inputs]) -> torch.Tensor:
    """Scores (B, P) from features (B, P, F): row b sums its own inputs, or every row the only ones."""
    weights = torch.zeros(len(rows), len(NAMES))
    for row, inputs in zip(weights, rows, strict=True):
        for feature, sign in inputs:
            row[feature] = sign
    used = weights.any(0).nonzero()[:, 0].tolist()
    scores = torch.zeros(seen.shape[:2])
    for feature in used:
        scores += weights[:, feature, None] * view.standardised(seen[:, :, feature].t()).t()
    return scores.contiguous()


def earned(case: Case, rows: Sequence[Inputs]) -> np.ndarray[Any, Any]:
    """(B,) ms per request that each choice of inputs gains on the case's stream of training, side by side."""
    network = Network.compile(case.scenario)
    trace, view = draw(network, CHOICE_SLOTS, FIRST_SEED), View(network, len(rows))
    held, gains = torch.zeros(len(rows), network.P), torch.zeros(len(rows))
    last = torch.zeros(len(rows), network.R)
    capacities = torch.from_numpy(trace.capacities[:1].astype(np.float32)).repeat(len(rows), 1)  # constant in all cases
    for requests in trace.requests:
        seen = view.see({"requests": last, "capacities": capacities, "allocation": held})
        held = batched.pack(network, summed(seen, view, rows)).float()
        last = torch.from_numpy(requests.astype(np.float32)).repeat(len(rows), 1)
        gains += batched.gain(network, last, capacities, held, check=False)
    return (gains / float(trace.requests.sum())).numpy()


def chosen_inputs() -> list[dict[str, Any]]:
    """Best single input, then what is added to it while that helps: forward selection, `MOST_INPUTS` at most.

    What is largest is the mean over cases of the gain, as a share of that of the best single input of all.
    """
    every = [(feature, sign) for feature in range(len(NAMES)) for sign in (1.0, -1.0)]
    steps: list[dict[str, Any]] = []
    inputs: Inputs = []
    scale: Any = None
    while len(inputs) < MOST_INPUTS:
        rows = [[*inputs, one] for one in every if one[0] not in [feature for feature, _ in inputs]]
        gains = np.array([earned(case, rows) for case in cases("training", CHOSEN_ON)])
        if scale is None:
            scale = gains[:, gains.mean(0).argmax()][:, None]
        shares = (gains / scale).mean(0)
        first = int(shares.argmax())
        if steps and shares[first] <= steps[-1]["share"]:
            break
        inputs = rows[first]
        steps.append({"inputs": [[NAMES[f], sign] for f, sign in inputs], "share": float(shares[first])})
        print(steps[-1], file=sys.stderr, flush=True)
    return steps


def chosen_setting() -> dict[str, float]:
    """Setting of last-batch greedy -> net gain per request, the mean over cases of its share of the defaults'."""
    shares = []
    for case in cases("training", CHOSEN_ON):
        network = Network.compile(case.scenario)
        gains = tried(network, {FIRST_SEED: draw(network, CHOICE_SLOTS, FIRST_SEED)}, settings(GREEDY))
        shares.append([gain / max(gains[GREEDY], 1e-9) for gain in gains.values()])
    return dict(zip(map(str, settings(GREEDY)), np.mean(shares, axis=0).tolist(), strict=True))


def train(folder: Path, seeds: Iterable[int]) -> None:
    """Train what is not trained yet; interrupted, it goes on."""
    scenarios = [case.scenario for case in cases("training", CASES)]
    for seed in seeds:
        policy = make_policy("placement", scenarios, None, seed)
        trainer = Trainer(scenarios, policy, OPTIONS, seed)
        kept = {"algo": "ppo-torch", "seed": seed, "device": "cpu", "policy": policy.config()}
        kept |= {"options": asdict(OPTIONS), "scenarios": [scenario.to_dict() for scenario in scenarios]}
        at = folder / f"seed-{seed}"
        here = TrainingFolder(at, kept, resume=at.exists(), command=["python", *sys.argv])
        if here.done:
            continue
        if here.state is not None:
            trainer.restore(here.state)
        for row in trainer.chapters():
            here.append(row, trainer.state())
            print(f"{at.name}: {row['steps']:.0f} {row['gain_per_request']:.3f}", file=sys.stderr, flush=True)
        here.finish(trainer.policy)


def agents(scenario: str, seed: int, folder: Path, chosen: dict[str, Any]) -> list[tuple[str, AgentSpec]]:
    """What is compared, and under what names."""
    path = str(folder / f"seed-{seed}")
    inputs = [[(NAMES.index(name), sign) for name, sign in step["inputs"]] for step in chosen["inputs"]]
    greedy = best(chosen[GREEDY]) if scenario.startswith("held-out") else tuned(scenario, (GREEDY,))[GREEDY]
    made = {
        "ppo, drawn networks": Learnt(path),
        "untrained": Learnt(str(untrained(folder, seed))),
        "best single input": RankByFeatures(inputs[0]),
        "inputs combined": RankByFeatures(inputs[-1]),
        "ppo, then local search": Searched(Learnt(path)),
        "best single input, then local search": Searched(RankByFeatures(inputs[0])),
        "local search on its forecast": Searched(),
    }
    named = {LEADER: LEADER, f"{GREEDY}, tuned": greedy, "infida": "infida", "ppo, shipped": "ppo"}
    return [
        *((name, AgentSpec.parse(text)) for name, text in named.items()),
        *((name, Contender(name, agent=agent)) for name, agent in made.items()),
    ]


def untrained(folder: Path, seed: int) -> Path:
    """Where the network with its first weights is kept, once it is."""
    place = folder / f"untrained-{seed}"
    if not (place / "policy.pt").exists():
        place.mkdir(parents=True, exist_ok=True)
        save_policy(place, make_policy("placement", [], None, seed), {"untrained": True})
    return place


def runs(held_out: int) -> list[tuple[str, int]]:
    """Scenarios, and the training seed of the policy that plays there."""
    far = [(name, seed) for seed in SEEDS for name in NETWORKS]
    near = [(case.name, (case.number + case.number // 6) % len(SEEDS)) for case in cases("held-out", held_out)]
    return [*near[:12], *far, *near[12:]]


def played(scenario: str, seed: int, folder: Path, chosen: dict[str, Any], known: set[str]) -> list[dict[str, Any]]:
    """Rows of the agents that have none yet."""
    torch.set_num_threads(1)
    drawn = scenario.startswith("held-out")
    network = Network.compile(Case("held-out", int(scenario[9:])).scenario if drawn else load_scenario(scenario))
    stream = FIRST_STREAM + seed
    trace, rows = draw(network, CASE_SLOTS if drawn else SLOTS, stream), []
    for name, spec in agents(scenario, seed, folder, chosen):
        if name not in known:
            result = play(network, trace, spec, stream)
            rows.append(result.row() | {"scenario": scenario, "stream": stream, "name": name, "agent": str(spec)})
            print(f"{scenario} {stream} {name}: {result.summary.ntag:.3f}", file=sys.stderr, flush=True)
    return rows


def evaluate(folder: Path, held_out: int, jobs: int, output: Path) -> None:
    """Play what this commit has not stored yet, and store it run by run."""
    chosen, rows = read(output)[CHOSEN], resumed(output, PLAYED).get("rows", [])
    with ProcessPoolExecutor(jobs) as pool:
        pending = []
        for scenario, seed in runs(held_out):
            known = {row["name"] for row in of(rows, scenario=scenario, stream=FIRST_STREAM + seed)}
            pending.append(pool.submit(played, scenario, seed, folder, chosen, known))
        for done, job in enumerate(as_completed(pending), 1):
            rows += job.result()
            rows.sort(key=lambda row: (row["scenario"], row["stream"]))
            store(output, {"training": asdict(OPTIONS), "rows": rows}, PLAYED, unfinished=done < len(pending))


def cell(values: Sequence[float], unit: str = "") -> str:
    """Mean and interval."""
    found = mean_interval(values)
    if len(values) == 1:
        return f"{found.mean:.2f}{unit}"
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]{unit}"


def against(rows: Sequence[dict[str, Any]]) -> dict[str, dict[tuple[str, int], float]]:
    """Name -> (scenario, stream) -> total gain over the leader's there, less one, in percent."""
    leader = {(row["scenario"], row["stream"]): row["gain"] for row in rows if row["name"] == LEADER}
    found: dict[str, dict[tuple[str, int], float]] = {}
    for row in rows:
        at = row["scenario"], row["stream"]
        if at in leader:
            found.setdefault(row["name"], {})[at] = 100.0 * (row["gain"] / leader[at] - 1.0)
    return found


def show(document: dict[str, Any]) -> None:
    """What was chosen, and the tables."""
    for step in document[CHOSEN]["inputs"]:
        print(f"{step['share']:.4f}", *(f"{'-' if sign < 0 else '+'}{name}" for name, sign in step["inputs"]))
    print("setting:", best(document[CHOSEN][GREEDY]))
    print("", *tables(document).values(), sep="\n\n")


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Markdown by network, and of the held-out cases."""
    rows = document[PLAYED]["rows"]
    found = {name: _network(of(rows, scenario=name)) for name in NETWORKS}
    return found | {"held-out": _held_out(against([row for row in rows if "held-out" in row["scenario"]]))}


def _network(rows: list[dict[str, Any]]) -> str:
    gaps = against(rows)
    lines = [
        f"**{rows[0]['scenario']}**, {len(values(rows, 'stream'))} streams",
        "",
        f"| agent | NTAG (ms) | total gain, against `{LEADER}` | GB loaded per slot |\n|---|---|---|---|",
    ]
    ntag = {name: [row["ntag"] for row in of(rows, name=name)] for name in gaps}
    for name in sorted(gaps, key=lambda name: -np.mean(ntag[name])):
        loaded = np.mean([row["model_update_mb"] for row in of(rows, name=name)]) / 1000.0
        cells = (shown(name), cell(ntag[name]), cell(list(gaps[name].values()), " %"), f"{loaded:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _held_out(gaps: dict[str, dict[tuple[str, int], float]]) -> str:
    lines = [
        f"**held-out cases**, {len(gaps[LEADER])}",
        "",
        f"| agent | total gain, against `{LEADER}` | median | within 0.5 % or above | above | worst |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted(gaps, key=lambda name: -np.mean(list(gaps[name].values()))):
        each = np.array(list(gaps[name].values()))
        counts = f"{(each >= -0.5).sum()} of {len(each)} | {(each > 0.0).sum()}"
        lines.append(
            f"| {shown(name)} | {cell(each, ' %')} | {np.median(each):.2f} % | {counts} | {each.min():.1f} % |"
        )
    return "\n".join(lines)


def shown(name: str) -> str:
    """The name of an agent as code, what is said of it as words."""
    agent, comma, about = name.partition(", ")
    return f"`{agent}`{comma}{about}"


def main() -> None:
    """Train, choose, evaluate, or show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("train", "choose", "evaluate", "show"))
    parser.add_argument("--folder", type=Path, default=Path("runs/zero-shot"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--held-out", type=int, default=24, help="cases")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    match options.what:
        case "train":
            train(options.folder, options.seeds)
            return
        case "choose":
            store(options.output, {"inputs": chosen_inputs(), GREEDY: chosen_setting()}, CHOSEN)
            return
        case "evaluate":
            evaluate(options.folder, options.held_out, options.jobs, options.output)
    show(read(options.output))


if __name__ == "__main__":
    main()
