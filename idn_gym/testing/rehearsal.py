"""What an agent is put through when it is checked: small networks, short streams, and one method called at a time."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from idn_gym import sources
from idn_gym.env.env import Observation, observe
from idn_gym.errors import IdnError
from idn_gym.experiment.spec import AgentSpec
from idn_gym.library.load import load_scenario
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.scenario import Scenario, parse
from idn_gym.scenario.workloads import Replay
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.stream import draw
from idn_gym.workload.trace import Trace

Make = Callable[..., Any]  # of an agent
Networks = Sequence[Network | Scenario | str]  # compiled, or as `load_scenario` takes them

SLOTS, SEED = 8, 7
_EMPTY = 3  # a slot without requests
_ONE_NODE = {
    "format": "idn-gym/scenario-1",
    "name": "one-node",
    "slot_seconds": 1.0,
    "tasks": ["cars"],
    "models": [
        {"name": name, "task": "cars", "accuracy": accuracy, "profiles": {"edge": figures}}
        for name, accuracy, figures in (
            ("small", 60.0, {"size": 1.0, "delay": 1.0, "throughput": 3.0}),
            ("large", 90.0, {"size": 2.0, "delay": 9.0, "throughput": 0.0}),
            ("far", 50.0, {"size": 5.0, "delay": 50.0, "throughput": 1.0}),
        )
    ],
    "nodes": [{"name": "alone", "processor": "edge", "budget": 2.0, "entry": True, "repository": ["far"]}],
    "workload": {"kind": "zipf", "rate": 5.0},
}
_TOO_SMALL = {f"nodes.{node}.budget": 0.5 for node in ("co", "bs0", "bs1")}
_FAILING = {"workload.capacity": {"kind": "outages", "probability": 0.3, "duration": 2.0}}


class BrokenRule(IdnError, AssertionError):
    """An agent does not do what every agent does.

    Parameters
    ----------
    agent, rule, seen, mend : who, what it does not keep to, how that showed, and what to do.
    """

    def __init__(self, agent: str, rule: str, seen: str, mend: str) -> None:
        super().__init__(f"{agent} is not {rule}: {seen}. To mend it: {mend}")
        self.agent, self.rule, self.seen, self.mend = agent, rule, seen, mend

    def __reduce__(self) -> Any:
        return type(self), (self.agent, self.rule, self.seen, self.mend)


def name_of(agent: Make | AgentSpec | str) -> str:
    """What messages call it."""
    return str(agent) if isinstance(agent, str | AgentSpec) else getattr(agent, "__name__", type(agent).__name__)


def made(agent: Make | AgentSpec | str) -> Any:
    """An agent, new."""
    if isinstance(agent, str):
        agent = AgentSpec.parse(agent)
    return agent.make() if isinstance(agent, AgentSpec) else sources.constructed(name_of(agent), agent, {})


def accepted(agent: Make | AgentSpec | str, networks: Networks | None) -> list[Network]:
    """The networks that an agent accepts, of those given or of the small ones.

    Raises
    ------
    BrokenRule
        If it refuses one by anything but an `IdnError`.
    IdnError
        If it accepts none.
    """
    player, kept, refusal = made(agent), [], ""
    for network in small_networks() if networks is None else map(_compiled, networks):
        if hasattr(player, "accepts"):
            try:
                player.accepts(network)
            except IdnError as error:
                refusal = str(error)
                continue
            except Exception as error:
                seen = f"accepts, on {network.scenario.name}, raised {sources.fault(error)}"
                mend = "raise idn_gym.IdnError, with a line that says what the network lacks"
                raise BrokenRule(name_of(agent), "accepting or refusing", seen, mend) from error
        kept.append(network)
    if not kept:
        raise IdnError(f"{name_of(agent)}: accepts none of the networks; give networks=[...] that it does: {refusal}")
    return kept


@cache
def small_networks() -> tuple[Network, ...]:
    """An ordinary one, one of a single node, one where nothing fits anywhere, and one whose capacities vary."""
    scenarios = [
        load_scenario("tiny"),
        parse(_ONE_NODE, "one-node"),
        load_scenario("tiny", {"name": "nothing-fits"} | _TOO_SMALL),
        load_scenario("tiny", {"name": "outages"} | _FAILING),
    ]
    return tuple(map(Network.compile, scenarios))


def stream_of(network: Network, seed: int = SEED) -> Trace:
    """A short stream of the network's workload, or of Poisson counts where that is no law; one slot is empty."""
    workload = network.scenario.workload
    if workload is None or isinstance(workload, Replay):
        counts = np.random.default_rng(seed).poisson(5.0, (SLOTS, network.R)).astype(np.float64)
        stream = Trace(counts, network.capacities[None])
    else:
        stream = draw(network, SLOTS, seed)
    requests = stream.requests.copy()
    requests[_EMPTY] = 0.0
    return Trace(requests, stream.capacities, varying=stream.varying)


def played(
    name: str,
    agent: Any,
    network: Network,
    trace: Trace,
    seed: int = SEED,
    *,
    stop: int = SLOTS,
    begun: Sequence[IntArray] = (),
    given: list[tuple[Observation, Observation]] | None = None,
) -> Iterator[Any]:
    """What an agent's `act` returns, slot by slot.

    Parameters
    ----------
    stop : the slot before which it ends.
    begun : allocations of the slots that it has played; it is not reset then.
    given : where each observation is kept, as it was before `act` and as it is after.
    """
    if not begun:
        called(name, network, "reset", agent.reset, network, seed)
        if getattr(agent, "hindsight", False):
            called(name, network, "fit", agent.fit, trace)
    held = np.asarray(begun[-1] if begun else np.zeros(network.P), dtype=np.int8)
    for slot in range(len(begun), stop):
        requests = trace.requests[slot - 1] if slot else np.zeros(network.R)
        capacities = trace.capacities_at(slot - 1) if slot else network.capacities
        observation = observe(network, requests, capacities, held)
        if given is not None:
            given.append((copy.deepcopy(observation), observation))
        chosen = called(name, network, f"slot {slot}: act", agent.act, observation)
        yield chosen
        try:
            held = np.array(chosen, dtype=np.int8).reshape(network.P)
        except (TypeError, ValueError):
            raise _shapeless(name, network, slot, chosen) from None


def called(name: str, network: Network, what: str, method: Callable[..., Any], *arguments: Any) -> Any:
    """What a method of an agent returns; a `BrokenRule` where it fails, since it accepted the network."""
    try:
        return method(*arguments)
    except Exception as error:
        seen = f"on {network.scenario.name}, {what} raised {sources.fault(error)}"
        raise BrokenRule(name, "running on every network that it accepts", seen, "or refuse it in accepts") from error


def copied(chosen: Iterable[Any]) -> list[IntArray]:
    """Allocations as they are now: an agent may return one array again and again."""
    return [np.array(allocation) for allocation in chosen]


def unpickled(name: str, agent: Any, mend: str) -> Any:
    """A copy by pickle, or a `BrokenRule`."""
    try:
        return pickle.loads(pickle.dumps(agent))
    except Exception as error:  # of any kind, by what it holds
        raise BrokenRule(name, "picklable", f"pickle raised {sources.fault(error)}", mend) from error


def refuse_other(
    name: str,
    network: Network,
    rule: str,
    expected: Sequence[IntArray],
    found: Sequence[IntArray],
    how: str,
    mend: str,
) -> None:
    """Raise a `BrokenRule` unless allocations are the same in every slot."""
    for slot, (one, other) in enumerate(zip(expected, found, strict=True)):
        if not np.array_equal(one, other):
            raise BrokenRule(name, rule, f"on {network.scenario.name}, {how} slot {slot} is another", mend)


def refuse_infeasible(name: str, network: Network, slot: int, chosen: Any) -> None:
    """Raise a `BrokenRule` unless what `act` returned is integral and within every budget."""
    where = f"on {network.scenario.name}, slot {slot}:"
    try:
        array = np.asarray(chosen)
    except ValueError:  # rows of different lengths
        raise _shapeless(name, network, slot, chosen) from None
    if array.shape != (network.P,) or array.dtype.kind not in "biuf":
        raise _shapeless(name, network, slot, chosen)
    if (other := array[(array != 0) & (array != 1)]).size:
        mend = "place whole models, 1, or none, 0; idn_gym.pack makes an allocation of priorities"
        raise BrokenRule(name, "feasible", f"{where} the allocation holds {other[0]}", mend)
    refuse_over_budget(name, network, f"{where} the allocation", array.astype(np.float64))


def refuse_over_budget(name: str, network: Network, what: str, held: FloatArray, slack: float = 0.0) -> None:
    """Raise a `BrokenRule` about the first node that holds more than its budget."""
    in_use = network.memory_in_use(held)
    if (over := in_use > room(network.budgets) * (1.0 + slack)).any():
        v = int(over.argmax())
        seen = (
            f"{what} puts {in_use[v]:g} MB on node {network.node_names[v]}, whose budget is {network.budgets[v]:g} MB"
        )
        raise BrokenRule(name, "feasible", seen, "return idn_gym.pack(network, priority): what fits, by priority")


def _compiled(network: Network | Scenario | str) -> Network:
    if isinstance(network, Network):
        return network
    return Network.compile(network if isinstance(network, Scenario) else load_scenario(network))


def _shapeless(name: str, network: Network, slot: int, chosen: Any) -> BrokenRule:
    of = f" of shape {chosen.shape} and type {chosen.dtype}" if isinstance(chosen, np.ndarray) else ""
    seen = f"on {network.scenario.name}, slot {slot}: act returned {type(chosen).__name__}{of}"
    return BrokenRule(name, "feasible", seen, f"return an array of shape ({network.P},) of 0 and 1")
