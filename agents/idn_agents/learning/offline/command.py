"""``idn-gym train-offline``: learn a policy from a dataset; found in the entry-point group ``idn_gym.commands``."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from idn_gym.cli.options import AsJson, print_json
from idn_gym.common.extras import require
from idn_gym.common.parameters import as_options
from idn_gym.common.text import printable
from idn_gym.experiment.folders import locked

_OPTIONS = ("algo", "epochs", "batch", "learning_rate", "temperature", "policy", "hidden", "seed")


def train_offline(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="name of a Minari dataset, namespace/name-vN")],
    store: Annotated[Path, typer.Option(help="Minari's store: the --output of `idn-gym dataset`")],
    output: Annotated[Path, typer.Option(help="folder for the checkpoint, the curve and the configuration")],
    algo: Annotated[str, typer.Option(help="bc: behaviour cloning; awr: advantage-weighted regression")] = "bc",
    epochs: Annotated[int, typer.Option(help="passes over the dataset")] = 10,
    seed: Annotated[int, typer.Option(help="of weights and order")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the interrupted training in --output")] = False,
    policy: Annotated[str, typer.Option(help="placement (any network) or flat (this one)")] = "placement",
    hidden: Annotated[int | None, typer.Option(help="width of the hidden layers, up to 4096")] = None,
    batch: Annotated[int, typer.Option(help="slots of a step of the optimiser")] = 64,
    learning_rate: Annotated[float, typer.Option(help="of the optimiser, 0 to 1")] = 3e-3,
    temperature: Annotated[float, typer.Option(help="awr: in standard deviations; the lower, the choosier")] = 0.3,
    held: Annotated[
        bool | None, typer.Option("--held/--no-held", help="see what is held or not; default: where loading costs")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn a policy from a dataset. `idn-gym run SCENARIO --agent ppo:path=OUTPUT` evaluates it."""
    require("torch", "train-offline")
    from idn_agents.learning.callbacks import Callbacks
    from idn_agents.learning.command import run_training
    from idn_agents.learning.offline.learners import Offline, OfflineTrainer
    from idn_agents.learning.ppo_torch import make_policy
    from idn_gym import datasets

    how: dict[str, Any] = {"algo": algo, "epochs": epochs, "batch": batch}
    with as_options(*_OPTIONS):
        options = Offline(**how, learning_rate=learning_rate, temperature=temperature, held=held)
        episodes = datasets.read(store, dataset)
        network = make_policy(policy, [episodes.scenario], hidden, seed)
        trainer = OfflineTrainer(episodes, network, options, seed)
    about = {
        "algo": algo,
        "seed": seed,
        "dataset": dataset,
        "rewards": hashlib.sha256(b"".join(rewards.tobytes() for rewards in episodes.rewards)).hexdigest(),
        "policy": network.config(),
        "options": asdict(options),
        "scenarios": [episodes.scenario.to_dict()],
    }
    with locked(output):
        rows = run_training(trainer, about, output, resume, False, Callbacks((), sb3=False))
    if as_json:
        print_json({"output": str(output), "algo": algo, "steps": rows[-1]["steps"], "curve": rows})
        return
    print(f"agrees on {100.0 * rows[-1]['agreement']:.1f} % of what was placed, in the last pass over the dataset")
    name = episodes.scenario.name
    print(printable(f"checkpoint, curve and configuration in {output}; idn-gym run {name} --agent ppo:path={output}"))
