"""JellyBean: workflows of operators over tiers of workers, with the exact optimum beside its beam search."""

from idn_agents.systems.jellybean.system import JellyBean

__all__ = ["JellyBean"]
