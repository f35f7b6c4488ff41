"""What is packaged, by name: scenarios, and the ids that Gymnasium knows them by. Light: `import idn_gym` loads it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

NAMESPACE = "IDN"  # of the ids
_SCENARIOS = {
    "Tiny": "tiny",
    "TopologyI-Fixed": "topology-1-fixed",
    "TopologyI-Sliding": "topology-1-sliding",
    "TopologyI-Bursty": "topology-1-bursty",
    "TopologyI-Persistent": "topology-1-persistent",
    "TopologyI-Fixed-Alpha2": "topology-1-fixed-alpha2",
    "TopologyI-Fixed-Alpha4": "topology-1-fixed-alpha4",
    "TopologyII-Fixed": "topology-2-fixed",
    "TopologyII-Sliding": "topology-2-sliding",
    "TopologyII-Bursty": "topology-2-bursty",
    "TopologyII-Persistent": "topology-2-persistent",
    "TopologyII-Fixed-Alpha2": "topology-2-fixed-alpha2",
    "TopologyII-Fixed-Alpha4": "topology-2-fixed-alpha4",
    "Abilene-Sliding": "abilene-sliding",
    "Geant-Sliding": "geant-sliding",
    "Abilene-Social": "abilene-social",
    "Adversary": "adversary",
    "GreedyTrap": "greedy-trap",
    "Sla-Sliding": "sla-sliding",
    "Autoscale-Burst": "autoscale-burst",
    "Access-4G": "access-4g",
    "Pipeline-Video": "pipeline-video",
    "Partition-ResNet": "partition-resnet",
    "Draft-And-Verify": "draft-and-verify",
    "Quantised-Split": "quantised-split",
    "Variants-Cores": "variants-cores",
    "Pipeline-Cores": "pipeline-cores",
    "Uploads-4G": "uploads-4g",
    "Partition-Priority": "partition-priority",
}

SCENARIO_OF_ID = {f"{NAMESPACE}/{name}-v0": scenario for name, scenario in _SCENARIOS.items()}


def packaged_names() -> list[str]:
    """Names of the scenarios that ship with the package, sorted."""
    folder = resources.files("idn_gym.library") / "scenarios"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def packaged_name(text: str) -> str | None:
    """The name of the packaged scenario that a name or an id stands for; None if it stands for none."""
    name = SCENARIO_OF_ID.get(text, text)
    return name if name in packaged_names() else None
