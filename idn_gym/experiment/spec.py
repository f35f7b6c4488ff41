"""What is asked for: an agent with its parameters, and a run of it."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from idn_gym import plugins, sources
from idn_gym.common.files import parse_json
from idn_gym.errors import IdnError
from idn_gym.experiment.folders import folder_name
from idn_gym.model.network import Network
from idn_gym.scenario import Scenario, yaml_file
from idn_gym.scenario.workloads import Own, Replay
from idn_gym.workload.stream import DrawnTrace, replayed
from idn_gym.workload.trace import Trace
from idn_gym.workload.trace_file import read_trace

_QUOTED = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')(?=,|$)""", re.DOTALL)  # a YAML scalar in quotes


@dataclass(frozen=True)
class AgentSpec:
    """An agent with its parameters; on the command line ``infida:refresh=8,learning_rate=theory``.

    One of one's own is named by where its class is: ``mine.py:Always:size=3`` or ``package.module:Always``.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, folder: Path | None = None) -> AgentSpec:
        """Read the form of the command line; values are YAML scalars, or JSON, in which a comma may stand.

        `str` gives it back: the text of an agent reads back to an equal one.

        Parameters
        ----------
        folder : where a file of one's own is looked for before the current directory.

        Raises
        ------
        IdnError
            If it is not ``name``, ``FILE.py:Class`` or ``package.module:Class``, and behind it ``:key=value,key=value``
            or nothing.
        """
        name, rest = sources.split(text)
        source = sources.Source.of(name)
        if source is None:
            if ".py" in name and name not in plugins.names(plugins.AGENTS):  # what is registered takes long to list
                sources.refuse_without_name(name)
        elif source.is_file:
            if folder is not None and (folder / source.module).exists():
                name = f"{folder / source.module}:{source.name}"
        elif source.module in plugins.names(plugins.AGENTS):  # a parameter without a value
            name, _, rest = text.partition(":")
        return cls(name, parameters_of(rest, f"agent {text!r}"))

    def make(self) -> Any:
        """The agent itself; see `plugins.make_agent`."""
        return plugins.make_agent(self.name, self.parameters)

    def __str__(self) -> str:
        return self._text(_written)

    @property
    def folder(self) -> str:
        """Name of its record folder: the plain name; with parameters, or of one's own, a slug and a short hash."""
        source = sources.Source.of(self.name)
        if not (self.parameters or source):
            return self.name
        slug = self._text(str) if source is None else self._text(str).replace(self.name, source.name, 1)
        return folder_name(slug, [self.name, self.parameters])

    def _text(self, written: Callable[[Any], str]) -> str:
        pairs = ",".join(f"{key}={written(value)}" for key, value in self.parameters.items())
        return f"{self.name}:{pairs}" if pairs else self.name


@dataclass(frozen=True)
class GivenAgent(AgentSpec):
    """An agent that was made in Python, under the name of its class."""

    agent: Any = None

    def make(self) -> Any:
        """The agent itself."""
        return self.agent


def spec_of(agent: Any) -> AgentSpec:
    """An agent however it is given: a spec, the text of the command line, or an object with the methods of an agent.

    Raises
    ------
    IdnError
        If the text is of no agent, or the object is none.
    """
    if isinstance(agent, AgentSpec):
        return agent
    if isinstance(agent, str):
        return AgentSpec.parse(agent)
    plugins.refuse_no_agent("agent", agent)
    return GivenAgent(type(agent).__name__, agent=agent)


def parameters_of(text: str, source: str) -> dict[str, Any]:
    """Parameters written as ``key=value,key=value``.

    Parameters
    ----------
    source : what they are of, for error messages.

    Raises
    ------
    IdnError
        If they are not written so, or a key comes twice.
    """
    parameters: dict[str, Any] = {}
    while text:
        if text.startswith(","):
            text = text[1:]
            continue
        key, equals, after = text.partition("=")
        if not (key and equals) or "," in key or key in parameters:
            raise IdnError(f"{source}: must be name or name:key=value,key=value, each key once")
        parameters[key], text = _value(after, source)
    return parameters


def refuse_network(spec: AgentSpec, agent: Any, network: Network) -> None:
    """Raise an `IdnError` that names the agent, where it has a method ``accepts`` and that refuses the network."""
    if hasattr(agent, "accepts"):
        try:
            agent.accepts(network)
        except IdnError as error:
            raise IdnError(f"agent {spec}: {str(error).removeprefix(f'{spec.name}: ')}") from None


@dataclass(frozen=True)
class RunSpec:
    """A resolved scenario, an agent, a seed, and how many slots of which stream.

    The agent may be given in any of the ways of `spec_of`.

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
        object.__setattr__(self, "agent", spec_of(self.agent))
        object.__setattr__(self, "seed", _whole("seed", self.seed, 0))
        if self.slots is not None:
            object.__setattr__(self, "slots", _whole("slots", self.slots, 1))

    @property
    def code(self) -> tuple[str, ...]:
        """Names of the agent, workload and capacities that it runs, as `plugins.versions` takes them."""
        workload = self.scenario.workload if self.trace is None else None
        own = [part.kind for part in (workload, getattr(workload, "capacity", None)) if isinstance(part, Own)]
        return (self.agent.name, *own)

    def stream(self) -> tuple[Network, Trace]:
        """The network and the stream that this run is about; one that is drawn is not in memory before it is asked for.

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
            return network, DrawnTrace(network, self.slots or self.scenario.horizon, self.seed)
        return network, trace if self.slots is None else trace.head(self.slots)


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
