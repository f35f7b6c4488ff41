"""A sweep of INFIDA's learning rate on Topology I in one batched run: rates x seeds, side by side on the device.

    python benchmarks/learning_rates.py [--device cpu] [--slots 600] [--seeds 4] [--plot docs/learning-rates.png]

Prints and plots NTAG against the scale of the scale-free rate, with the range over seeds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import gymnasium
import numpy as np
from idn_agents.infida.batch import InfidaBatch

import idn_gym  # noqa: F401 - registers the ids
from idn_gym.common.figures import PALETTE, new_axes, new_figure, save

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


def swept(env_id: str, slots: int, seeds: int, device: str) -> np.ndarray:
    """(scales, seeds) NTAG in ms."""
    runs = [{"scale": scale} for scale in SCALES for _ in range(seeds)]
    of_run = [100 + seed for _ in SCALES for seed in range(seeds)]
    env = gymnasium.make_vec(env_id, num_envs=len(runs), device=device, horizon=slots)
    agents = InfidaBatch(runs, device)
    agents.reset(env.unwrapped.network, of_run)
    observation, _ = env.reset(seed=of_run)
    total = 0.0
    for _ in range(slots):
        observation, _, _, _, infos = env.step(agents.act(observation))
        total = total + infos["gain"] / infos["request_count"]
    return (total / slots).cpu().numpy().reshape(len(SCALES), seeds)  # type: ignore[attr-defined]


def main() -> None:
    """Sweep, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--slots", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--plot", type=Path, default=Path("docs/learning-rates.png"))
    options = parser.parse_args()
    figure = new_figure(900, 520, 160)
    axes = new_axes(figure, (0.1, 0.12, 0.86, 0.78), "scale of the learning rate", "NTAG (ms)", "INFIDA on Topology I")
    for colour, name in zip(PALETTE, ("Fixed", "Sliding"), strict=False):
        began = time.perf_counter()
        ntag = swept(f"IDN/TopologyI-{name}-v0", options.slots, options.seeds, options.device)
        rate = ntag.size * options.slots / (time.perf_counter() - began)
        print(f"{name}: {rate:,.0f} slots/s, environment included")
        for scale, row in zip(SCALES, ntag, strict=True):
            print(f"  {scale:5g}: {row.mean():.3f} [{row.min():.3f}, {row.max():.3f}]")
        axes.fill_between(SCALES, ntag.min(axis=1), ntag.max(axis=1), color=colour, alpha=0.2, linewidth=0)
        axes.plot(SCALES, ntag.mean(axis=1), color=colour, marker="o", label=name)
    axes.set_xscale("log")
    axes.legend(frameon=False)
    save(figure, options.plot)


if __name__ == "__main__":
    main()
