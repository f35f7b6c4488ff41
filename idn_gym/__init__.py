"""idn_gym: inference delivery networks as an online allocation problem in Gymnasium."""

from __future__ import annotations

from idn_gym.common import startup  # noqa: F401 - before what takes time

# isort: split
from importlib import import_module
from typing import Any

from idn_gym.registration import register_environments
from idn_gym.version import __version__

# where each public name lives; loaded on first use, so that importing idn_gym stays light
_HOME = {
    "AgentSpec": "experiment",
    "IDNEnv": "env",
    "IdnError": "errors",
    "Network": "model.network",
    "RunSpec": "experiment",
    "Scenario": "scenario",
    "Trace": "workload",
    "draw": "workload",
    "evaluate": "experiment.evaluation",
    "load_scenario": "library.load",
    "pack": "model.allocation",
    "play": "experiment",
    "run": "experiment",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"idn_gym.{_HOME[name]}"), name)
    raise AttributeError(f"module 'idn_gym' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


register_environments()
