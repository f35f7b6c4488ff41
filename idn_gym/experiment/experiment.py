"""One unit of work: a `RunSpec`, played to a `Result`. Lists of them share a stream; records keep them."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from idn_gym import kernels, plugins
from idn_gym.common.files import parse_json
from idn_gym.env.env import observe
from idn_gym.errors import IdnError
from idn_gym.experiment.evaluation import slot_table
from idn_gym.experiment.metrics import SlotTable, Summary, summarise
from idn_gym.model.network import Network
from idn_gym.model.placements import refuse_over_budget, room
from idn_gym.scenario import Scenario, yaml_file
from idn_gym.scenario.schema import Replay
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace, read_trace
from idn_gym.workload.workload import draw, replayed

_CHUNK = 64  # slots served at a time
_QUOTED = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')(?=,|$)""", re.DOTALL)  # a YAML scalar in quotes

Progress = Callable[[str, int, int], None]  # agent, slots played, slots in all


def silent(agent: str, played: int, slots: int) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class AgentSpec:
    """An agent with its parameters; on the command line ``infida:refresh=8,learning_rate=theory``."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> AgentSpec:
        """Read the form of the command line; values are YAML scalars, or JSON, in which a comma may stand.

        `str` gives it back: the text of an agent reads back to an equal one.

        Raises
        ------
        IdnError
            If it is not ``name`` or ``name:key=value,key=value``.
        """
        name, _, rest = text.partition(":")
        parameters: dict[str, Any] = {}
        while rest:
            if rest.startswith(","):
                rest = rest[1:]
                continue
            key, equals, after = rest.partition("=")
            if not (key and equals) or "," in key or key in parameters:
                raise IdnError(f"agent {text!r}: must be name or name:key=value,key=value, each key once")
            parameters[key], rest = _value(after, f"agent {text!r}")
        return cls(name, parameters)

    def make(self) -> Any:
        """The agent itself; see `plugins.make_agent`."""
        return plugins.make_agent(self.name, self.parameters)

    def __str__(self) -> str:
        return self._text(_written)

    @property
    def folder(self) -> str:
        """Name of its record folder: the plain name; with parameters a slug and a short hash."""
        if not self.parameters:
            return self.name
        text = json.dumps([self.name, self.parameters], sort_keys=True)
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self._text(str))[:60].strip("-.")
        return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def _text(self, written: Callable[[Any], str]) -> str:
        pairs = ",".join(f"{key}={written(value)}" for key, value in self.parameters.items())
        return f"{self.name}:{pairs}" if pairs else self.name


@dataclass(frozen=True)
class RunSpec:
    """A resolved scenario, an agent, a seed, and how many slots of which stream.

    Raises
    ------
    IdnError
        If the seed is no whole number >= 0, or `slots` none >= 1.
    """

    scenario: Scenario
    agent: AgentSpec
    _: KW_ONLY
    seed: int = 0
    slots: int | None = None  # None: the trace's, or the scenario's horizon
    trace: Path | None = None  # replaces the workload
    capacities: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", _whole("seed", self.seed, 0))
        if self.slots is not None:
            object.__setattr__(self, "slots", _whole("slots", self.slots, 1))

    def stream(self) -> tuple[Network, Trace]:
        """The network and the stream that this run is about.

        Raises
        ------
        IdnError
            If more slots are asked for than the trace has, or a file is not valid.
        """
        network = Network.compile(self.scenario)
        if self.trace is not None:
            trace = read_trace(network, self.trace, self.capacities)
        elif self.capacities is not None:
            raise IdnError(f"{self.capacities}: a capacity file goes with a trace; give both")
        elif isinstance(self.scenario.workload, Replay):
            trace = replayed(network)
        else:
            return network, draw(network, self.scenario.horizon if self.slots is None else self.slots, self.seed)
        return network, trace if self.slots is None else trace.head(self.slots)


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a run."""

    agent: AgentSpec
    hindsight: bool
    summary: Summary
    seconds: float  # from the agent's reset to its last slot
    info: dict[str, Any]
    table: SlotTable
    changes: list[tuple[int, IntArray]]  # (slot, allocation (P,) int8) wherever it changed
    fractional: FloatArray | None = None  # (P,) average over the slots of the fractional state, where there is one

    def row(self) -> dict[str, Any]:
        """The row of the table of results, as JSON values."""
        return {"agent": str(self.agent), **_present(asdict(self.summary)), "seconds": self.seconds}


def static_bound(results: Sequence[Result]) -> float | None:
    """Certified gain in ms that no static allocation exceeds on the stream of these runs, where an agent proved one."""
    return _least(results, "certified_bound")


def dynamic_bound(results: Sequence[Result]) -> float | None:
    """The same for allocations that change with the phases of the stream."""
    return _least(results, "dynamic_bound")


def bound_shares(result: Result, results: Sequence[Result]) -> dict[str, float]:
    """The part of each proven bound that a run gained; keys `of_bound` and `of_dynamic_bound`, where there is one."""
    bounds = {"of_bound": static_bound(results), "of_dynamic_bound": dynamic_bound(results)}
    return {key: result.summary.gain / bound for key, bound in bounds.items() if bound}


def best_static(results: Sequence[Result]) -> Result | None:
    """The agent in hindsight that gained most with one allocation throughout, if there is one."""
    static = [result for result in results if result.hindsight and len(result.changes) == 1]
    return max(static, key=lambda result: result.summary.gain, default=None)


def _least(results: Sequence[Result], key: str) -> float | None:
    return min((result.info[key] for result in results if key in result.info), default=None)


def play(network: Network, trace: Trace, spec: AgentSpec, seed: int, progress: Progress = silent) -> Result:
    """Let an agent face a stream, slot by slot.

    Raises
    ------
    IdnError
        If the agent submits an allocation that is not integral and feasible.
    """
    agent = spec.make()
    began = time.perf_counter()
    progress(str(spec), 0, trace.slots)
    agent.reset(network, seed)
    hindsight = bool(getattr(agent, "hindsight", False))
    if hindsight:
        agent.fit(trace)
    parts = list(_chunks(network, trace, spec, agent, progress))
    seconds = time.perf_counter() - began
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


def _value(text: str, source: str) -> tuple[Any, str]:
    """The value that a text begins with, up to a comma outside it, and what follows."""
    if text[:1] in ('"', "[", "{"):
        try:
            _, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            end = 0  # YAML may read it, or says what is wrong with it
        if end and text[end : end + 1] in ("", ","):
            return parse_json(text[:end], source), text[end:]
    quoted = _QUOTED.match(text)
    end = quoted.end() if quoted else (text + ",").index(",")
    return yaml_file.parse_yaml(text[:end], source), text[end:]


def _written(value: Any) -> str:
    """The text that `_value` reads back to the value: plain where that does, else JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
    if not isinstance(value, str):
        try:
            return json.dumps(value)
        except TypeError:  # given in Python, where an agent may take more than the command line can say
            return str(value)
    if value[:1] not in ('"', "'", "[", "{") and "," not in value:
        try:
            if yaml_file.parse_yaml(value, "") == value:
                return value
        except IdnError:
            pass
    return json.dumps(value)


def _whole(name: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise IdnError(f"{name}: {value!r}; must be a whole number >= {least}")
    return number


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
