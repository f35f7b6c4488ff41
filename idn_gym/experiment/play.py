"""An agent faces a stream, slot by slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from idn_gym import kernels
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.experiment.evaluation import slot_table
from idn_gym.experiment.metrics import SlotTable, summarise
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec, refuse_network
from idn_gym.kernels.compiled import clock
from idn_gym.model.network import Network
from idn_gym.model.placements import refuse_over_budget, room
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

_CHUNK = 64  # slots served at a time

Progress = Callable[[str, int, int], None]  # agent, slots played, slots in all


def silent(agent: str, played: int, slots: int) -> None:
    """No progress shown."""


def play(network: Network, trace: Trace, spec: AgentSpec, seed: int, progress: Progress = silent) -> Result:
    """Let an agent face a stream, slot by slot.

    Raises
    ------
    IdnError
        If the agent does not take the network, or submits an allocation that is not integral and feasible.
    """
    agent = spec.make()
    refuse_network(spec, agent, network)
    began = clock()
    progress(str(spec), 0, trace.slots)
    agent.reset(network, seed)
    hindsight = bool(getattr(agent, "hindsight", False))
    if hindsight:
        agent.fit(trace)
    parts = list(_chunks(network, trace, spec, agent, progress))
    seconds = clock() - began
    columns = [part.columns() for part, _, _ in parts]
    table = SlotTable(**{name: np.concatenate([column[name] for column in columns]) for name in columns[0]})
    changes = [change for _, changed, _ in parts for change in changed]
    states = [state for _, _, state in parts if state is not None]
    fractional = np.minimum(sum(states) / trace.slots, 1.0) if states else None
    return Result(spec, hindsight, summarise(table), seconds, agent.info(), table, changes, fractional)


def _chunks(
    network: Network, trace: Trace, spec: AgentSpec, agent: Any, progress: Progress
) -> Iterator[tuple[SlotTable, list[tuple[int, IntArray]], FloatArray | None]]:
    """Play and serve the trace a chunk at a time, so that memory does not grow with its length.

    Yields the slots, the allocations that changed, and the sum (P,) of the fractional states.
    """
    placed = np.zeros((1, network.P), dtype=np.int8)
    observation = observe(network, np.zeros(network.R), network.capacities, placed[0])
    for first in range(0, trace.slots, _CHUNK):
        slots = range(first, min(first + _CHUNK, trace.slots))
        submitted = np.empty((len(slots), network.P), dtype=np.int8)
        fractional = []
        for b, t in enumerate(slots):
            submitted[b] = _integral(network, spec, t, agent.act(observation))
            if (state := getattr(agent, "fractional", None)) is not None:
                fractional.append(np.array(state))
            observation = observe(network, trace.requests[t], trace.capacities_at(t), submitted[b])
        before = np.concatenate([placed, submitted[:-1]])
        in_use, loaded = kernels.memory(network, submitted, before)
        _refuse_infeasible(network, spec, first, in_use)
        served = trace.part(slots.start, slots.stop)
        states = np.stack(fractional) if fractional else None
        yield (
            slot_table(network, served.requests, served.capacities, submitted, loaded, fractional=states),
            [(t, submitted[b]) for b, t in enumerate(slots) if t == 0 or (submitted[b] != before[b]).any()],
            None if states is None else states.sum(axis=0),
        )
        placed = submitted[-1:]
        progress(str(spec), slots[-1] + 1, trace.slots)


def _integral(network: Network, spec: AgentSpec, slot: int, allocation: Any) -> IntArray:
    array = np.asarray(allocation)
    if array.shape != (network.P,):
        raise IdnError(f"agent {spec}, slot {slot}: allocation of shape {array.shape}; must be ({network.P},)")
    if not ((array == 0) | (array == 1)).all():  # nan is neither
        raise IdnError(f"agent {spec}, slot {slot}: allocation with values other than 0 and 1")
    return array.astype(np.int8)


def _refuse_infeasible(network: Network, spec: AgentSpec, first: int, in_use: FloatArray) -> None:
    over = (in_use > room(network.budgets)).any(axis=1)
    if over.any():
        b = int(over.argmax())
        refuse_over_budget(network, in_use[b], f"agent {spec}, slot {first + b}", "holds")
