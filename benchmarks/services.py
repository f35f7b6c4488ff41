"""What classes of priority cost: four classes beside one on the same requests.

    python benchmarks/services.py [--repeats 15] [--output FILE.json]

Topology I, sliding, with four services per task asked for at every entry node (1,920 request types), of one priority
and of four. What is compared takes turns, as in `against.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from against import ROOT, Worker, compared
from stored import stamp, write

PLAIN, ONE, FOUR = "as packaged", "services, one class", "services, four classes"
ROWS = (1, 1024)


def scenario(form: str) -> Any:
    """The packaged scenario, or that with four services per task."""
    from idn_gym.library.load import load_scenario
    from idn_gym.scenario import parse

    plain = load_scenario("topology-1-sliding")
    if form == PLAIN:
        return plain
    values = plain.to_dict()
    values["services"] = [
        {"name": f"{task}/{c}", "stages": [task], "priority": c if form == FOUR else 0}
        for task in values["tasks"]
        for c in range(4)
    ]
    return parse(values, form)


def cases(form: str) -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    import numpy as np

    from idn_gym import kernels
    from idn_gym.env.env import IDNEnv
    from idn_gym.env.vector_env import IDNVectorEnv
    from idn_gym.experiment.play import play
    from idn_gym.experiment.spec import AgentSpec
    from idn_gym.model.network import Network
    from idn_gym.workload.stream import draw

    made = scenario(form)
    network, generator = Network.compile(made), np.random.default_rng(0)
    capacities, most = network.capacities, max(ROWS)
    requests = draw(network, 64, 0).requests[np.arange(most) % 64]
    loose = generator.random((most, network.P))
    tight = np.exp(kernels.project(network, generator.normal(size=loose.shape), network.spendable))
    packed = kernels.pack(network, loose)
    trace = draw(network, 20, 0)
    found: dict[str, Callable[[], object]] = {}

    def per_row(name: str, kernel: Any, allocation: Any) -> None:
        found[f"{name}, B=1"] = lambda: [
            kernel(network, requests[b : b + 1], capacities, allocation[b : b + 1]) for b in range(32)
        ]
        found[f"{name}, B={most}"] = lambda: kernel(network, requests, capacities, allocation)

    per_row("gain + subgradient, loose", kernels.gain_and_subgradient, loose)
    per_row("gain + subgradient, tight", kernels.gain_and_subgradient, tight)
    per_row("gain, tight", kernels.gain, tight)
    per_row("serve", kernels.serve, packed)
    env, many = IDNEnv(made), IDNVectorEnv(made, num_envs=256)
    env.reset(seed=0)
    many.reset(seed=0)
    found["environment step"] = lambda: [env.step(packed[b]) for b in range(32)]
    found["environment step, B=256"] = lambda: many.step(packed[:256])
    found["INFIDA slot"] = lambda: play(network, trace, AgentSpec("infida"), 0)
    return found


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    here = Worker(ROOT)
    print(f"{ONE}, then {FOUR}")
    classes = compared((here, ONE), (here, FOUR), options.repeats)
    if options.output:
        write(options.output, {**stamp(), "repeats": options.repeats, "classes": classes})


if __name__ == "__main__":
    main()
