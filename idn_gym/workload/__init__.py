"""The request stream: traces and their files, and what requests and capacities are drawn from.

A new kind of workload goes into `stream`, with what it carries from slot to slot in a module of its own.
"""

from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

__all__ = ["Trace", "draw"]
