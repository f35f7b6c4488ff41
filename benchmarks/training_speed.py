"""Environment steps per second of training, learning included: PPO on the batched environment, and SB3's.

    python benchmarks/training_speed.py [--output benchmarks/results/training_speed.json]

The same network (a multilayer perceptron of 64 and 64 on the flat observation, for the actor and for the critic),
scenario and rollout of 2,048 steps, and two passes over it; one thread, each in a process of its own, in turn. SB3 is
measured as its documentation has it (scalar environments in a ``DummyVecEnv``, minibatches of 64), there also with its
default of ten passes, then on this library's vector environment, and there with the large minibatches of the other. CPU
seconds, since wall-clock time depends on who else is working.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stored import markdown, stamp, write

STEPS, ENVS, EPOCHS, LARGE = 2048, 128, 2, 512
DEFAULTS = "sb3, DummyVecEnv, its defaults: 10 passes"
KINDS = (
    "ppo-torch",
    DEFAULTS,
    "sb3, DummyVecEnv",
    "sb3, vector environment",
    "sb3, vector environment, large minibatches",
)


def ours(scenario: str, rounds: int) -> float:
    """CPU seconds per step."""
    from idn_agents.learning.ppo_torch import PPO, Trainer, make_policy

    from idn_gym.library.load import load_scenario

    rollout = STEPS // ENVS
    loaded = load_scenario(scenario)

    def seconds(rounds: int) -> float:
        sizes = {"envs": ENVS, "slots": rounds * rollout, "rollout": rollout, "minibatches": STEPS // LARGE}
        options = PPO(steps=STEPS * rounds, epochs=EPOCHS, **sizes)
        trainer = Trainer([loaded], make_policy("flat", [loaded], 64, 0), options)
        began = time.process_time()
        list(trainer.chapters())
        return time.process_time() - began

    seconds(1)  # compiles
    return seconds(rounds) / (STEPS * rounds)


def theirs(scenario: str, rounds: int, kind: str) -> float:
    """CPU seconds per step of SB3."""
    import gymnasium
    from idn_agents.learning.policy import FlatView
    from idn_agents.learning.sb3_training import LearnerVecEnv
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from idn_gym.sb3 import SB3VecEnv
    from idn_gym.wrappers import ScoreAction

    arguments: dict[str, Any] = {"scenario": scenario, "horizon": STEPS // ENVS, "reward": "gain_per_request"}
    env: Any
    if "Dummy" in kind:

        def make() -> Any:
            inner = ScoreAction(gymnasium.make("IDN/Scenario-v0", disable_env_checker=True, **arguments))
            return gymnasium.wrappers.FlattenObservation(inner)

        env = DummyVecEnv([make] * 8)
    else:
        env = LearnerVecEnv(
            SB3VecEnv(gymnasium.make_vec("IDN/Scenario-v0", num_envs=ENVS, autoreset_mode="SameStep", **arguments))
        )
        assert env.observation_space.shape == (FlatView.width(env.venv.env.network),)
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=STEPS // env.num_envs,
        batch_size=LARGE if "large" in kind else 64,
        n_epochs=10 if kind == DEFAULTS else EPOCHS,
        policy_kwargs={"net_arch": [64, 64]},
        seed=0,
        device="cpu",
    )
    model.learn(STEPS)  # compiles
    began = time.process_time()
    model.learn(STEPS * rounds)
    return (time.process_time() - began) / (STEPS * rounds)


def measure(scenario: str, kind: str, rounds: int) -> float:
    """Steps per CPU second, in a process of its own."""
    command = [sys.executable, __file__, "--one", kind, "--scenario", scenario, "--rounds", str(rounds)]
    threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    import os

    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=True)
    return 1.0 / float(done.stdout)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", choices=KINDS)
    parser.add_argument("--scenario")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.one:
        import torch

        torch.set_num_threads(1)
        found = ours(options.scenario, options.rounds) if options.one == KINDS[0] else None
        print(found or theirs(options.scenario, options.rounds, options.one))
        return
    rows = []
    for scenario in ("tiny", "topology-2-sliding"):
        turns = [[measure(scenario, kind, options.rounds) for kind in KINDS] for _ in range(options.repeats)]
        for kind, speeds in zip(KINDS, zip(*turns, strict=True), strict=True):
            ratios = [turn[0] / speed for turn, speed in zip(turns, speeds, strict=True)]  # of one turn: hosts drift
            rows.append({"scenario": scenario, "trainer": kind, "steps_per_cpu_second": speeds, "ratios": ratios})
    document = {**stamp(), "rows": rows}
    print(tables(document)["training"])
    if options.output:
        write(options.output, document)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """The one table of what is stored."""
    lines = []
    for row in document["rows"]:
        speeds, ratios = row["steps_per_cpu_second"], row["ratios"]
        cells = [f"{statistics.median(speeds):,.0f}", f"{min(speeds):,.0f} to {max(speeds):,.0f}"]
        cells += [f"{statistics.median(ratios):.1f}", f"{min(ratios):.1f} to {max(ratios):.1f}"]
        lines.append([row["scenario"], row["trainer"], *cells])
    header = ("steps per CPU second, median", "lowest to highest", "ours by theirs, median", "spread")
    return {"training": markdown(("scenario", "trainer", *header), lines)}


if __name__ == "__main__":
    main()
