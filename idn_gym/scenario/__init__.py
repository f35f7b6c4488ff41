"""What a user writes: the scenario file, its sections, its rules, and where requests enter and go.

A new key of the file goes to `schema`, a rule over several keys to `rules`; what a scenario compiles to is the model's.
"""

from idn_gym.scenario.scenario import Scenario, parse

__all__ = ["Scenario", "parse"]
