"""The synthetic twin of a public trace that ships with the package; ``python -m idn_gym.workload.twin`` writes it.

One hour of counts per 10 s, drawn from the workload `burst` with the figures that `benchmarks/burstiness.py` finds in
the Azure LLM inference trace of 2023 (service "code"), rounded. No line of that trace is in it.
"""

from __future__ import annotations

from pathlib import Path

from idn_gym.model.network import Network
from idn_gym.scenario import parse
from idn_gym.scenario.schema import FORMAT
from idn_gym.workload.stream import draw
from idn_gym.workload.trace_file import number

SECONDS = 10.0  # that a count is over
SLOTS = 360
MODEL = {"kind": "burst", "rate": 2.6, "shape": 0.4, "persistence": 0.45}
SEED = 0


def twin() -> str:
    """The file: columns second and count."""
    scenario = {
        "format": FORMAT,
        "name": "twin",
        "slot_seconds": SECONDS,
        "tasks": ["any"],
        "models": [{"name": "any", "task": "any", "accuracy": 0.0, "profiles": {"any": _PROFILE}}],
        "nodes": [{"name": "any", "processor": "any", "repository": ["any"], "entry": True}],
        "workload": MODEL,
    }
    counts = draw(Network.compile(parse(scenario, "twin")), SLOTS, SEED).requests.sum(axis=1)
    lines = [f"{number(slot * SECONDS)},{number(count)}" for slot, count in enumerate(counts)]
    return "\n".join(["second,count", *lines]) + "\n"


def main(folder: Path = Path(__file__).parents[1] / "library" / "traces") -> None:
    """Write the file into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "twin.csv").write_text(twin(), "utf-8")


_PROFILE = {"size": 1.0, "delay": 1.0, "throughput": 1.0}

if __name__ == "__main__":
    main()
