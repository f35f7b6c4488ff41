"""``idn-gym train``: learn a policy for a scenario; found through the entry-point group ``idn_gym.commands``."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from idn_agents.learning.callbacks import Callbacks
from idn_gym.cli.options import AsJson, Overrides, ScenarioName, print_json, typed_command
from idn_gym.common.extras import require
from idn_gym.common.parameters import as_options, shown
from idn_gym.common.text import printable
from idn_gym.errors import IdnError
from idn_gym.experiment.folders import locked

ALGORITHMS = ("ppo-torch", "ppo", "a2c", "sac", "maskable-ppo")
_OPTIONS = ("steps", "seed", "rates", "envs", "slots", "hidden", "learning_rate", "discount", "update_weight")
_TORCH_ALONE = ("policy", "also", "rates")


def train(
    scenario: ScenarioName,
    output: Annotated[Path, typer.Option(help="folder for the checkpoint, the curve and the configuration")],
    algo: Annotated[str, typer.Option(help=f"one of {', '.join(ALGORITHMS)}")] = "ppo-torch",
    steps: Annotated[
        int, typer.Option(help="slots in all, over all environments; ppo-torch: rounded up to whole episodes")
    ] = 100_000,
    seed: Annotated[int, typer.Option(help="seed of weights, streams and exploration")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the interrupted training in --output")] = False,
    policy: Annotated[str | None, typer.Option(help="placement (any network) or flat (this one); ppo-torch")] = None,
    also: Annotated[list[str] | None, typer.Option(metavar="SCENARIO", help="train on this one too; ppo-torch")] = None,
    rates: Annotated[float | None, typer.Option(help="curriculum: up to rate x/÷ this, 1 or more; ppo-torch")] = None,
    envs: Annotated[int | None, typer.Option(help="environments side by side")] = None,
    slots: Annotated[int | None, typer.Option(help="slots of an episode")] = None,
    hidden: Annotated[int | None, typer.Option(help="width of the hidden layers, up to 4096")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="of the optimiser, 0 to 1")] = None,
    discount: Annotated[float | None, typer.Option(help="of later rewards, 0 to 1; default: by price")] = None,
    update_weight: Annotated[float, typer.Option(help="ms per request lost per MB loaded")] = 0.0,
    device: Annotated[str, typer.Option(help="PyTorch device")] = "cpu",
    callback: Annotated[
        list[str] | None, typer.Option(metavar="FILE.py:Class", help="code of your own, told of each row of the curve")
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="write the curve for TensorBoard too")] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Learn a policy. `idn-gym run SCENARIO --agent ppo:path=OUTPUT` evaluates it."""
    if algo not in ALGORITHMS:
        raise IdnError(f"--algo: {algo!r}; allowed: {', '.join(ALGORITHMS)}")
    given: dict[str, Any] = {"envs": envs, "slots": slots, "learning_rate": learning_rate, "discount": discount}
    given = {key: value for key, value in given.items() if value is not None}
    given |= {"steps": steps, "update_weight": update_weight}
    alone = {"policy": policy, "also": also, "rates": rates}
    if algo != "ppo-torch":
        for key in _TORCH_ALONE:
            if alone[key] not in (None, []):
                raise IdnError(f"--{key}: goes with --algo ppo-torch, not {algo}")
    names = [scenario, *(also or ())]
    callbacks = Callbacks(callback or (), sb3=algo != "ppo-torch")
    with as_options(*_OPTIONS):
        trainer, about = _trainer(algo, names, overrides or (), seed, device, policy, hidden, rates, given)
    if callbacks.of_sb3:
        trainer.callbacks = callbacks.of_sb3
    with locked(output):
        rows = run_training(trainer, about, output, resume, tensorboard, callbacks)
    if as_json:
        print_json({"output": str(output), "algo": algo, "steps": rows[-1]["steps"], "curve": rows})
        return
    print(f"{rows[-1]['gain_per_request']:.3f} ms saved per request in the last part of training")
    text = f"checkpoint, curve and configuration in {output}; idn-gym run {scenario} --agent ppo:path={output}"
    print(printable(text))


def _trainer(
    algo: str,
    names: list[str],
    overrides: Any,
    seed: int,
    device: str,
    policy: str | None,
    hidden: int | None,
    rates: float | None,
    given: dict[str, Any],
) -> tuple[Any, dict[str, Any]]:
    """What trains, and all that its result depends on."""
    from idn_gym.library.load import load_scenario

    scenarios = [load_scenario(name, overrides) for name in names]
    about: dict[str, Any] = {"algo": algo, "seed": seed, "device": device}
    require("torch", "train")
    import torch

    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError, AttributeError, ValueError) as error:
        says = str(error).splitlines() or [type(error).__name__]
        raise IdnError(f"--device: {shown(device)}: {says[0][:160]}") from None
    if algo == "ppo-torch":
        from idn_agents.learning.ppo_torch import PPO, Trainer, make_policy

        options = PPO(**(given if rates is None else given | {"rates": rates}))
        network = make_policy("placement" if policy is None else policy, scenarios, hidden, seed)
        about |= {"policy": network.config(), "options": asdict(options)}
        trainer: Any = Trainer(scenarios, network, options, seed, device)
    else:
        require("rl", f"--algo {algo}", "stable_baselines3")
        from idn_agents.learning.sb3_training import SB3, SB3Trainer

        sb3 = SB3(algo, **given, **({} if hidden is None else {"hidden": hidden}))
        about |= {"options": asdict(sb3)}
        trainer = SB3Trainer(scenarios[0], sb3, seed, device)
    return trainer, about | {"scenarios": [loaded.to_dict() for loaded in scenarios]}


def run_training(
    trainer: Any, about: dict[str, Any], output: Path, resume: bool, tensorboard: bool, callbacks: Callbacks
) -> list[dict[str, float]]:
    """Train to the end, and leave the folder complete; the curve."""
    from idn_agents.learning.folder import TrainingFolder
    from idn_gym.report.progress import PlayProgress

    weights = sum(parameter.numel() for parameter in trainer.policy.parameters())
    folder = TrainingFolder(output, about, resume, typed_command(), tensorboard, weights)
    steps, algo = trainer.steps, about["algo"]
    if folder.state is not None:
        _restore(trainer, folder.state, output / "state.pt")
    if folder.done:
        return folder.rows
    with PlayProgress() as progress:
        progress(algo, min(int(folder.rows[-1]["steps"]), steps - 1) if folder.rows else 0, steps)
        for row in trainer.chapters():
            _refuse_diverged(trainer, row)
            folder.append(row, trainer.state())
            progress(algo, min(int(row["steps"]), steps), steps)
            if not callbacks(row, trainer.policy):
                break
    folder.finish(trainer.policy)
    return folder.rows


def _restore(trainer: Any, state: Any, path: Path) -> None:
    """Go on from a state, whatever a file makes of it."""
    try:
        trainer.restore(state)
    except Exception as error:  # whatever code meets that builds on what it wrote itself
        says = str(error).splitlines() or [type(error).__name__]
        raise IdnError(f"{path}: not what this training wrote: {says[0][:120]}") from None
    fault = _not_finite(trainer)
    if fault is not None:
        raise IdnError(f"{path}: not what this training wrote: {fault} is not finite")


def _refuse_diverged(trainer: Any, row: dict[str, float]) -> None:
    """What is not a number is not kept: no agent could play it, and training cannot go on from it."""
    fault = next((key for key, value in row.items() if not math.isfinite(value)), None) or _not_finite(trainer)
    if fault is not None:
        raise IdnError(f"training: diverged by step {row['steps']:.0f}, {fault} is not finite; lower --learning-rate")


def _not_finite(trainer: Any) -> str | None:
    from idn_agents.learning.checkpoint import not_finite

    return not_finite(trainer.policy.state_dict())
