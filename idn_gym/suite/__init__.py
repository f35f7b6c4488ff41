"""Agents on drawn networks: ``idn-gym suite`` plays the cases of a split as a sweep, ranks agents, draws the ranking.

The cases themselves are `idn_gym.library.cases`; docs/suite.md.
"""

AGENTS = (
    "infida-coordinated",
    "rolling-local-search",
    "infida",
    "last-batch-greedy",
    "last-batch-greedy:keep=0.5,average=0.9",
    "load-aware-greedy",
    "static-greedy",
)
BOUND = "optimum:gap=0.002,time_limit=20"  # proves the bound that shares are of, where no agent asked for does
