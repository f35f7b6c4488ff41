"""Registers the environments with Gymnasium; their ids and the packaged scenario behind each are the library's."""

from __future__ import annotations

import gymnasium

from idn_gym.library.names import SCENARIO_OF_ID


def register_environments() -> None:
    """Register ``IDN/<Scenario>-v0`` for every packaged scenario, and ``IDN/Scenario-v0`` for any other."""
    for env_id, scenario in SCENARIO_OF_ID.items():
        _register(env_id, {"scenario": scenario})
    _register("IDN/Scenario-v0", {})


def _register(env_id: str, arguments: dict[str, str]) -> None:
    gymnasium.register(
        env_id, entry_point="idn_gym.env:IDNEnv", vector_entry_point="idn_gym.vector:make", kwargs=arguments
    )
