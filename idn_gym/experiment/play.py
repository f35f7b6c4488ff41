"""An agent faces a stream, slot by slot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from idn_gym import kernels, sources
from idn_gym.env.env import observe, shown_capacities
from idn_gym.errors import IdnError
from idn_gym.experiment.evaluation import slot_table
from idn_gym.experiment.metrics import SlotTable, summarise
from idn_gym.experiment.result import Result
from idn_gym.experiment.spec import AgentSpec, refuse_network, spec_of
from idn_gym.kernels.compiled import clock
from idn_gym.model.network import Network
from idn_gym.model.placements import refuse_over_budget, room
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

_CHUNK = 64  # slots served at a time
_VALUES = 2**23  # values (T, P) of a chunk at most: of large networks fewer slots are served at a time

Progress = Callable[[str, int, int], None]  # agent, slots played, slots in all
Changed = Callable[[int, IntArray], None]  # slot, and what is placed from it on (P,) int8


def silent(agent: str, played: int, slots: int) -> None:
    """No progress shown."""


def play(
    network: Network,
    trace: Trace,
    agent: AgentSpec | str | Any,
    seed: int,
    progress: Progress = silent,
    changed: Changed | None = None,
) -> Result:
    """Let an agent face a stream, slot by slot.

    Of each slot a row of the table is kept, and what is placed where that changed; an agent in hindsight gets the whole
    stream.

    Parameters
    ----------
    agent : a spec, the text of the command line, or the agent itself, an object with `reset`, `act` and `info`.
    changed : is told of each change of what is placed, which is not kept then.

    Raises
    ------
    IdnError
        If the agent does not take the network, submits an allocation that is not integral and feasible, or fails.
    """
    spec = spec_of(agent)
    player = spec.make()
    refuse_network(spec, player, network)
    began = clock()
    progress(str(spec), 0, trace.slots)
    with named(spec, "reset"):
        player.reset(network, seed)
    hindsight = bool(getattr(player, "hindsight", False))
    if hindsight:
        with named(spec, "fit"):
            player.fit(trace)
    seconds = clock() - began
    columns: list[dict[str, FloatArray]] = []
    changes: list[tuple[int, IntArray]] = []
    held, total, updates = np.zeros(network.P, dtype=np.int32), None, 0
    for chunk in _chunks(network, trace, spec, player, progress):
        seconds += chunk.seconds
        columns.append(chunk.table.columns())
        updates += len(chunk.changes)
        if changed is None:
            changes += chunk.changes
        else:
            for change in chunk.changes:
                changed(*change)
        held += chunk.held
        if chunk.states is not None:
            total = chunk.states if total is None else total + chunk.states
    table = SlotTable(**{name: np.concatenate([column[name] for column in columns]) for name in columns[0]})
    fractional = None if total is None else np.minimum(total / trace.slots, 1.0)
    with named(spec, "info"):
        info = player.info()
    summary = summarise(table)
    return Result(spec, hindsight, summary, seconds, info, table, changes, updates, held / trace.slots, fractional)


class _Chunk(NamedTuple):
    """Slots that were played."""

    table: SlotTable
    changes: list[tuple[int, IntArray]]
    held: IntArray  # (P,) slots during which each placement was held
    states: FloatArray | None  # (P,) sum of the fractional states
    seconds: float  # without those of reading the trace


def _chunks(network: Network, trace: Trace, spec: AgentSpec, agent: Any, progress: Progress) -> Iterator[_Chunk]:
    """Play and serve the trace a chunk at a time, so that memory does not grow with its length."""
    placed = np.zeros((1, network.P), dtype=np.int8)
    observation = observe(network, np.zeros(network.R), network.capacities, placed[0])
    shown: FloatArray | None = None
    kept: FloatArray | None = None  # where the states of a chunk are
    first, chunk = 0, min(_CHUNK, max(1, _VALUES // max(1, network.P)))
    for served in trace.parts(chunk):
        began = clock()
        if shown is None and not trace.varying:
            shown = shown_capacities(served.capacities[0])
        slots = range(first, first + served.slots)
        submitted = np.empty((len(slots), network.P), dtype=np.int8)
        states: FloatArray | None = None
        for b, t in enumerate(slots):
            try:  # what `named` does, without its cost in each slot
                chosen = agent.act(observation)
            except Exception as error:
                with named(spec, "act", t):
                    raise error
            submitted[b] = integral(network, spec, t, chosen)
            if (state := getattr(agent, "fractional", None)) is not None:
                kept = np.empty((chunk, network.P)) if kept is None else kept
                states = kept[: len(slots)]
                states[b] = state
            own = None if shown is None else shown.copy()  # an agent may write to what it is given
            observation = observe(network, served.requests[b], served.capacities_at(b), submitted[b], own)
        before = np.concatenate([placed, submitted[:-1]])
        in_use, loaded = kernels.memory(network, submitted, before)
        _refuse_infeasible(network, spec, first, in_use)
        changed = (submitted != before).any(axis=1)
        yield _Chunk(
            slot_table(network, served.requests, served.capacities, submitted, loaded, fractional=states),
            [(t, submitted[b]) for b, t in enumerate(slots) if t == 0 or changed[b]],
            np.add.reduce(submitted, axis=0, dtype=np.int8),  # of too few slots to overflow
            None if states is None else states.sum(axis=0),
            clock() - began,
        )
        placed = submitted[-1:]
        first = slots.stop
        del served  # before the next slots are drawn
        progress(str(spec), first, trace.slots)


@contextmanager
def named(spec: AgentSpec, method: str, slot: int | None = None) -> Iterator[None]:
    """Whatever goes wrong inside, as a line that says with which agent and where in its code; see the cause for all."""
    try:
        yield
    except (IdnError, MemoryError):
        raise
    except Exception as error:
        at = "" if slot is None else f", slot {slot}"
        raise IdnError(f"agent {spec}{at}: {method} failed: {sources.fault(error)}") from error


def integral(network: Network, spec: AgentSpec, slot: int, allocation: Any) -> IntArray:
    """What an agent submitted, as (P,) int8, or an error that names the agent and the slot."""
    try:
        array = np.asarray(allocation)
    except ValueError:  # rows of different lengths
        raise IdnError(f"agent {spec}, slot {slot}: allocation of no shape; must be ({network.P},)") from None
    if array.shape != (network.P,):
        raise IdnError(f"agent {spec}, slot {slot}: allocation of shape {array.shape}; must be ({network.P},)")
    whole = array.dtype == np.int8  # its bytes say it all; of others, nan is neither
    if not (np.maximum.reduce(array.view(np.uint8), initial=0) <= 1 if whole else ((array == 0) | (array == 1)).all()):
        raise IdnError(f"agent {spec}, slot {slot}: allocation with values other than 0 and 1")
    return array if array.dtype == np.int8 else array.astype(np.int8)


def _refuse_infeasible(network: Network, spec: AgentSpec, first: int, in_use: FloatArray) -> None:
    over = (in_use > room(network.budgets)).any(axis=1)
    if over.any():
        b = int(over.argmax())
        refuse_over_budget(network, in_use[b], f"agent {spec}, slot {first + b}", "holds")
