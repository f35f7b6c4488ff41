"""Checks for agents: ``check_agent(Always)``, or with pytest a test for each of `agent_checks`; see `checks`."""

from idn_gym.testing.checks import agent_checks, check_agent
from idn_gym.testing.rehearsal import BrokenRule

__all__ = ["BrokenRule", "agent_checks", "check_agent"]
