"""The ids that Gymnasium knows, and the packaged scenario behind each."""

from __future__ import annotations

import gymnasium

_SCENARIOS = {
    "Tiny": "tiny",
    "TopologyI-Fixed": "topology-1-fixed",
    "TopologyI-Sliding": "topology-1-sliding",
    "TopologyI-Bursty": "topology-1-bursty",
    "TopologyII-Fixed": "topology-2-fixed",
    "TopologyII-Sliding": "topology-2-sliding",
    "TopologyII-Bursty": "topology-2-bursty",
    "Abilene-Sliding": "abilene-sliding",
    "Geant-Sliding": "geant-sliding",
    "Adversary": "adversary",
    "GreedyTrap": "greedy-trap",
}

SCENARIO_OF_ID = {f"IDN/{name}-v0": scenario for name, scenario in _SCENARIOS.items()}


def register_environments() -> None:
    """Register ``IDN/<Scenario>-v0`` for every packaged scenario, and ``IDN/Scenario-v0`` for any other."""
    for env_id, scenario in SCENARIO_OF_ID.items():
        _register(env_id, {"scenario": scenario})
    _register("IDN/Scenario-v0", {})


def _register(env_id: str, arguments: dict[str, str]) -> None:
    gymnasium.register(
        env_id, entry_point="idn_gym.env:IDNEnv", vector_entry_point="idn_gym.env.vector_env:make", kwargs=arguments
    )
