"""Agents on streams: what is asked for, playing it, what came of it and what that proves, records, and many at once.

What judges or keeps a run belongs here; what draws the requests is in `workload`, what people look at in `report`.
"""

from idn_gym.experiment.play import play
from idn_gym.experiment.records import run
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec, RunSpec

__all__ = ["AgentSpec", "Result", "RunSpec", "play", "run"]
