"""INFIDA as nodes that see only control messages; see `messages` and `node`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from idn_agents.agent import generator
from idn_agents.distributed.messages import Channel
from idn_agents.distributed.node import Node, Route, Uniforms
from idn_agents.infida.bounds import theory_rate
from idn_agents.infida.infida import state_mass
from idn_agents.infida.mirror_descent import MirrorDescent
from idn_agents.infida.slack import charges
from idn_agents.rounding.rounding import residual_of
from idn_gym.common.parameters import one_of, real, whole
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

KINDS = ("count", "offers", "price")


@dataclass(kw_only=True, eq=False)
class DistributedInfida(MirrorDescent):
    """INFIDA as one object per node, which exchange control messages along the paths of the request types.

    Without loss and delay it takes exactly the steps of `Infida`, bit for bit: the same states and allocations. This
    class is the world around the nodes: it hands each what it can see for itself, carries messages and counts them.

    Parameters
    ----------
    learning_rate, scale, refresh, target, residual : as for `MirrorDescent`, but no rate ``adaptive``, since a node
        keeps one state.
    loss : probability that a message is lost on a link. A node shares its capacities among the types whose count it
        heard, and steps with the types that it knows both a count and a price of.
    delay : slots by which prices are handed down late. Every node keeps a batch for so long and then steps along its
        subgradient; the first step comes so many slots later.
    unheard : what stands for the price of a type that a node passed offers of upstream and heard no answer to: the
        ``last`` one it heard, of whatever slot (default), or ``nothing``, so that the type does not contribute.
    """

    loss: float = 0.0
    delay: int = 0
    unheard: str = "last"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate == "adaptive":
            raise IdnError("learning_rate: 'adaptive'; nodes keep one state each: not in the distributed form")
        self.loss = real("loss", self.loss, highest=1.0)
        self.delay = whole("delay", self.delay, lowest=0, highest=100_000)
        one_of("unheard", self.unheard, ("last", "nothing"))

    def accepts(self, network: Network) -> None:
        """Options that are ranked: it is their costs that messages carry."""
        RankedService.of(network.service, "infida-distributed")

    def reset(self, network: Network, seed: int) -> None:
        """Start anew; the messages by which nodes set themselves up are all delivered, and counted apart."""
        super().reset(network, seed)
        routes = node_routes(network)
        self._nodes = []
        mass, costs = state_mass(network, self.residual), charges(network)
        for v in range(network.V):
            shelf, first = network.shelf(v), int(network.node_start[v])
            uniforms = Uniforms(seed, first, shelf.P, network.P - first - shelf.P)
            tasks = network.model_task[network.placement_model[first : first + shelf.P]]
            holding = costs[first : first + shelf.P].copy()
            residual = residual_of(network, self.residual)
            parameters = (self.scale_on(network), residual, self.delay, self.unheard, holding)
            self._nodes.append(Node(shelf, mass[v : v + 1].copy(), tasks, routes[v], uniforms, *parameters))
        draws = generator(seed, 2)
        receivers = [node.receive for node in self._nodes]
        set_up = Channel(receivers, 0.0, draws)
        set_up.carry(chain.from_iterable(node.set_up() for node in self._nodes))
        self._set_up = {"messages": set_up.messages.total(), "bytes": set_up.bytes.total()}
        self._channel = Channel(receivers, self.loss, draws)

    @property
    def fractional(self) -> FloatArray:
        """(P,) the states of all nodes, that the last act was drawn from."""
        return np.concatenate([node.state for node in self._nodes])

    def info(self) -> dict[str, Any]:
        """Messages and bytes sent per slot, in all and by kind, messages lost per slot, and what set-up took, once."""
        slots = max(1, self._slot - 1)
        sent = self._channel
        return {
            "messages_per_slot": sent.messages.total() / slots,
            "bytes_per_slot": sent.bytes.total() / slots,
            "by_kind": {
                kind: {"messages_per_slot": sent.messages[kind] / slots, "bytes_per_slot": sent.bytes[kind] / slots}
                for kind in KINDS
            },
            "lost_per_slot": sent.lost / slots,
            "set_up": self._set_up,
        }

    def _see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """One round of messages about the batch of the last slot, and the step of every node."""
        slot = self._slot - 1
        entering: list[dict[int, float]] = [{} for _ in self._nodes]
        for rho, (v, count) in enumerate(zip(self._network.type_entry.tolist(), requests.tolist(), strict=True)):
            entering[v][rho] = count
        own = np.split(capacities, self._network.node_start[1:-1])
        for node, entered, capacity in zip(self._nodes, entering, own, strict=True):
            node.begin(slot, entered, capacity)
        self._channel.carry(chain.from_iterable(node.count() for node in self._nodes))
        self._channel.carry(chain.from_iterable(node.ask() for node in self._nodes))
        self._channel.carry(chain.from_iterable(node.answer() for node in self._nodes))
        eta = self._common_rate(slot + 1 - self.delay)
        for node in self._nodes:
            node.step(eta)

    def _round(self) -> IntArray:
        return np.concatenate([node.round() for node in self._nodes])

    def _common_rate(self, step: int) -> float | None:
        """Eta of a step counted from 1, where it is no node's own: from constants that all are told at set-up."""
        if not isinstance(self.rate, str):
            return self.rate
        if self.rate == "scale-free" or step < 1:
            return None
        if self.rate == "anytime":
            return theory_rate(self._network, 1) / math.sqrt(step)  # as `StepSizes` has it, to the last bit
        return theory_rate(self._network, self._network.scenario.horizon)


def node_routes(network: Network) -> list[list[Route]]:
    """The request types that pass each node, cut out of a network as copies; options that do not fit are left out."""
    service = RankedService.of(network.service, "infida-distributed")
    routes: list[list[Route]] = [[] for _ in range(network.V)]
    holder = np.append(network.placement_node, -1)
    fits = np.append(network.fits, True)
    for rho in range(network.R):
        task, priority = int(network.type_task[rho]), int(service.type_class[rho])
        path = network.paths[rho][network.paths[rho] >= 0].tolist()
        options = service.options[rho, : service.option_count[rho]]
        at = np.where(options < network.P, holder[options], service.repository_node[rho])
        for v, down, up in zip(path, [None, *path[:-1]], [*path[1:], None], strict=True):
            ranks = np.flatnonzero((at == v) & fits[options])
            placed = int(network.node_start[v + 1] - network.node_start[v])
            own = np.minimum(options[ranks] - network.node_start[v], placed).astype(np.int64)
            routes[v].append(Route(rho, task, priority, down, up, own, service.costs[rho, ranks]))
    return routes
