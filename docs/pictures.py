"""The pictures of the README: ``python docs/pictures.py`` writes them beside this file."""

from __future__ import annotations

from pathlib import Path

import gymnasium
from idn_agents.greedy import LastBatchGreedy
from PIL import Image

import idn_gym  # noqa: F401 - registers the ids


def main() -> None:
    """Render Topology I after ten slots of last-batch greedy."""
    env = gymnasium.make("IDN/TopologyI-Sliding-v0", render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    agent = LastBatchGreedy()
    agent.reset(env.unwrapped.network, seed=0)
    for _ in range(10):
        observation, *_ = env.step(agent.act(observation))
    Image.fromarray(env.render()).quantize(128).save(Path(__file__).with_name("topology-1.png"), optimize=True)


if __name__ == "__main__":
    main()
