"""Agents on streams: what a run is, playing it, records of it, and many of them."""

from idn_gym.experiment.experiment import AgentSpec, Result, RunSpec, play
from idn_gym.experiment.records import run

__all__ = ["AgentSpec", "Result", "RunSpec", "play", "run"]
