"""The request stream: traces and their files, and the processes that requests and capacities are drawn from."""

from idn_gym.workload.trace import Trace
from idn_gym.workload.workload import draw

__all__ = ["Trace", "draw"]
