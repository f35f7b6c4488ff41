"""What a user writes: the scenario file, its sections, its rules, and where requests enter and go."""

from idn_gym.scenario.file import load_scenario
from idn_gym.scenario.schema import Scenario, parse

__all__ = ["Scenario", "load_scenario", "parse"]
