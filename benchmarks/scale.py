"""How INFIDA's result depends on the scale of its learning rate: why the default is what it is.

    python benchmarks/scale.py

The seed is none of those that results are reported on.
"""

from __future__ import annotations

from idn_gym.experiment.play import play
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.workload.stream import draw

SCALES = (0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
SCENARIOS = (
    "topology-1-fixed",
    "topology-1-sliding",
    "topology-1-bursty",
    "topology-2-sliding",
    "topology-2-bursty",
    "abilene-sliding",
)
SEED = 100


def main() -> None:
    """Print NTAG and fractional NTAG in ms per scenario and scale."""
    print("| scenario | " + " | ".join(f"{scale:g}" for scale in SCALES) + " |")
    print("|---" * (len(SCALES) + 1) + "|")
    for name in SCENARIOS:
        network = Network.compile(load_scenario(name))
        trace = draw(network, 600, SEED)
        cells = []
        for scale in SCALES:
            summary = play(network, trace, AgentSpec("infida", {"scale": scale}), SEED).summary
            cells.append(f"{summary.ntag:.2f} / {summary.fractional_ntag:.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
