"""A node of INFIDA: what it has, and what it does with the messages it hears, alone.

A node is given its own placements, budget and profiles, and for each request type that passes it the neighbours on
the way and what its own options cost. The rest it hears in messages. Nothing here sees a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from idn_agents.agent import generator
from idn_agents.distributed.messages import Count, Least, Message, Offers, Outgoing, Price
from idn_agents.infida.infida import start
from idn_agents.infida.slack import StateSpace
from idn_gym import kernels
from idn_gym.common.arrays import shaped
from idn_gym.model.placements import Placements
from idn_gym.model.ranked import TOLERANCE
from idn_gym.typing import BoolArray, FloatArray, IntArray

_COVERED = 1.0 - TOLERANCE
_NO_LOAD = 1e300  # stands for 1/0 where no request is known to come by, as in `idn_gym.kernels`


@dataclass(frozen=True, eq=False)
class Route:
    """What a node knows of a request type that passes it."""

    rho: int
    task: int
    priority: int  # class: 0 is the highest
    down: int | None  # neighbour towards the entry node; None: it enters here
    up: int | None  # neighbour towards the repository; None: the path ends here
    options: IntArray  # (n,) placements of the node that serve it, by rank; then P if its repository model is here
    costs: FloatArray  # (n,) ms, ascending


class Uniforms:
    """The places of one node in a stream of draws, which it reads alone by skipping those of the others.

    With one stream for all, nodes draw exactly what a centralised agent draws for all of them.
    """

    def __init__(self, seed: int, before: int, count: int, after: int) -> None:
        self._generator = generator(seed)
        self._bits = cast(Any, self._generator.bit_generator)  # a PCG64, which takes one step per draw
        self._bits.advance(before)
        self._count, self._others = count, before + after

    def draw(self) -> FloatArray:
        """(1, count) from [0, 1)."""
        uniforms = self._generator.random((1, self._count))
        self._bits.advance(self._others)
        return uniforms


@dataclass(eq=False)
class _Batch:
    """What a node keeps of a batch until it has stepped along its gain."""

    slot: int
    capacities: FloatArray  # (P,)
    requests: FloatArray  # (types,); 0 until heard
    prices: FloatArray  # (types,) ms, gamma of K*; -inf until heard
    asked: BoolArray  # (types,) whether an answer is due: an offer was passed on upstream
    shares: FloatArray  # (classes, P+1) of what passes, the part that placements serve; 1 for the repository model
    turned: list[int] = field(default_factory=list)  # types whose batch was covered here


class Node:
    """A node of INFIDA: a state, a learning rate and draws of its own; neighbours known by number.

    The phases of a slot, each over at every node before the next: `begin`, `count`, `ask`, `answer`, `step`; then
    `round` whenever the allocation is due. All but the first, `step` and `round` return messages to send.

    Parameters
    ----------
    shelf : what it can hold.
    mass : (1,) MB that its state sums to.
    tasks : (P,) task of each placement.
    routes : the types that pass it, by ascending rho.
    uniforms : its draws.
    scale : of its scale-free learning rate.
    residual : see `idn_gym.model.allocation.round_dependent`.
    delay : slots after which it answers a type whose batch it found covered.
    unheard : what stands for an answer that never came: the ``last`` price heard of the type, or ``nothing``.
    holding : (P,) ms per slot that holding each placement takes off the net gain, or inf to keep it out; by default 0.
    """

    def __init__(
        self,
        shelf: Placements,
        mass: FloatArray,
        tasks: IntArray,
        routes: Sequence[Route],
        uniforms: Uniforms,
        scale: float = 1.0,
        residual: Any = "drop",
        delay: int = 0,
        unheard: str = "last",
        holding: FloatArray | None = None,
    ) -> None:
        self._shelf, self._mass, self._tasks = shelf, mass, tasks.astype(np.int64)
        self._routes, self._uniforms, self._scale = routes, uniforms, scale
        self._residual, self._delay, self._unheard = residual, delay, unheard
        self._index = {route.rho: i for i, route in enumerate(routes)}
        self._task = np.array([route.task for route in routes], dtype=np.int64)
        self._class = np.array([route.priority for route in routes], dtype=np.int64)
        self._classes = int(self._class.max(initial=0)) + 1
        self._beyond = np.full(len(routes), np.inf)  # ms, the least that an option farther on costs
        self._last = np.full(len(routes), -np.inf)  # ms, the price last heard
        # options of all types, one after the other
        lengths = [len(route.costs) for route in routes]
        self._of = [slice(end - n, end) for n, end in zip(lengths, np.cumsum(lengths, dtype=int).tolist(), strict=True)]
        self._type = np.repeat(np.arange(len(routes)), lengths)
        self._options = np.concatenate([np.zeros(0, dtype=np.int64), *(route.options for route in routes)])
        self._share = self._class[self._type], self._options  # where the share of each option stands
        self._costs = np.concatenate([np.zeros(0), *(route.costs for route in routes)])

        self._space = StateSpace(shelf, np.zeros(shelf.P) if holding is None else holding, mass)
        self._states = kernels.states_of(start(self._space.placements, mass))
        self._state = self._space.held(kernels.fractions_of(self._states))
        self._steps, self._sum = 0, 0.0  # taken, and of the largest ascent in each
        self._batches: dict[int, _Batch] = {}

    def set_up(self) -> Outgoing:
        """Tell down the paths that end here what their cheapest option costs."""
        for i, route in enumerate(self._routes):
            if route.up is None:
                yield from self._tell_least(i)

    def begin(self, slot: int, requests: dict[int, float], capacities: FloatArray) -> None:
        """See a batch: the requests of the types that enter here, and what the placements here can serve."""
        types = len(self._routes)
        batch = _Batch(
            slot,
            capacities=shaped("capacities", capacities, (self._shelf.P,)).copy(),
            requests=np.zeros(types),
            prices=np.full(types, -np.inf),
            asked=np.zeros(types, dtype=np.bool_),
            shares=np.ones((self._classes, self._shelf.P + 1)),
        )
        for rho, count in requests.items():
            batch.requests[self._index[rho]] = count
        self._batch = self._batches[slot] = batch

    def count(self) -> Outgoing:
        """Tell upstream what entered here; a type without requests is passed over in silence."""
        for i in self._entering():
            yield from self._pass_up(i, Count(self._batch.slot, self._routes[i].rho, float(self._batch.requests[i])))

    def ask(self) -> Outgoing:
        """With all counts in: share capacities among the types that pass, and ask for what entered here."""
        batch = self._batch
        tasks = int(max(self._task.max(initial=0), self._tasks.max(initial=0))) + 1
        above = np.zeros(tasks)  # requests of higher classes
        for share, own in zip(batch.shares, np.arange(self._classes)[:, None] == self._class, strict=True):
            load = np.bincount(
                self._task[own], batch.requests[own], minlength=tasks
            )  # adds up in the order of the types
            reciprocal = np.divide(1.0, load, out=np.full(tasks, _NO_LOAD), where=load > 0)
            left = np.maximum(0.0, batch.capacities - above[self._tasks])
            share[:-1] = np.minimum(1.0, left * reciprocal[self._tasks])
            above += load
        self._offered = (batch.shares * np.append(self._state, 1.0))[self._share]
        nothing = np.zeros(0)
        for i in self._entering():
            yield from self._gather(i, Offers(batch.slot, self._routes[i].rho, nothing, nothing))

    def answer(self) -> Outgoing:
        """Hand down the covering costs of the batch that is due."""
        if batch := self._batches.get(self._batch.slot - self._delay):
            for i in batch.turned:
                yield from self._pass_down(i, Price(batch.slot, self._routes[i].rho, float(batch.prices[i])))

    def step(self, eta: float | None = None) -> None:
        """Form the subgradient of the batch that is due, and step along it.

        Parameters
        ----------
        eta : learning rate in MB per ms, where it is the same at all nodes; by default this node's own.

        Source: docs/model.md#supergradient, docs/model.md#mirror-descent. The sum over types goes by ascending rho: a
        fixed order, whichever the messages came in.
        """
        batch, shelf = self._batches.pop(self._batch.slot - self._delay, None), self._shelf
        if batch is None:
            return
        heard = batch.prices > -np.inf
        self._last[heard] = batch.prices[heard]
        known = heard | batch.asked if self._unheard == "last" else heard
        prices = np.where(known, self._last, -np.inf)
        saved = batch.requests[self._type] * np.maximum(prices[self._type] - self._costs, 0.0)
        if self._classes > 1:  # shares before or after the sum, as the kernels of one class and of several do
            saved *= batch.shares[self._share]
        gradient = np.bincount(self._options, saved, minlength=shelf.P + 1)
        gradient = (gradient if self._classes > 1 else batch.shares[0] * gradient)[None, :-1]
        ascent = self._space.ascent(gradient)
        rate = np.full((1, 1), self._scale_free(ascent) if eta is None else eta)
        self._states = kernels.step_states(self._space.placements, self._states, ascent, rate, self._mass)
        self._state = self._space.held(kernels.fractions_of(self._states))

    def round(self) -> IntArray:
        """(P,) int8 what it will hold, drawn from its state."""
        return kernels.round_dependent(self._shelf, self._state, self._uniforms.draw(), self._residual)[0]

    def receive(self, message: Message) -> Outgoing:
        """Take in a message; what is to be passed on comes back."""
        i = self._index[message.rho]
        match message:
            case Least():
                self._beyond[i] = message.cost
                yield from self._tell_least(i)
            case Count():
                self._batch.requests[i] = message.requests
                yield from self._pass_up(i, message)
            case Offers():
                yield from self._gather(i, message)
            case Price():
                self._batches[message.slot].prices[i] = message.cost
                yield from self._pass_down(i, message)

    @property
    def state(self) -> FloatArray:
        """(P,) the fractional state."""
        return self._state[0]

    def _scale_free(self, ascent: FloatArray) -> float:
        self._steps += 1
        space = self._space
        self._sum += float(kernels.node_maximum(space.placements, space.steepness(ascent))[0, 0])
        return self._scale * self._steps / self._sum if self._sum > 0 else 0.0

    def _tell_least(self, i: int) -> Outgoing:
        least = min(float(self._beyond[i]), float(self._costs[self._of[i]].min(initial=np.inf)))
        yield from self._pass_down(i, Least(self._routes[i].rho, least))

    def _entering(self) -> Iterator[int]:
        for i, route in enumerate(self._routes):
            if route.down is None and self._batch.requests[i] > 0:
                yield i

    def _gather(self, i: int, offers: Offers) -> Outgoing:
        """Add what this node offers. Turn round once covered at a cost that nothing farther on can be below."""
        shares = np.concatenate((offers.shares, self._offered[self._of[i]]))
        costs = np.concatenate((offers.costs, self._costs[self._of[i]]))
        order = np.argsort(costs, kind="stable")  # ties: the nearer first, as in the ranking
        order = order[shares[order] > 0.0]
        shares, costs = shares[order], costs[order]
        star = int(np.searchsorted(np.cumsum(shares), _COVERED))  # what ranks behind can never be reached
        if star < len(costs) and costs[star] <= self._beyond[i]:
            self._batch.prices[i] = costs[star]
            self._batch.turned.append(i)
        else:
            self._batch.asked[i] = True
            yield from self._pass_up(i, Offers(offers.slot, offers.rho, costs[: star + 1], shares[: star + 1]))

    def _pass_up(self, i: int, message: Message) -> Outgoing:
        if (up := self._routes[i].up) is not None:
            yield up, message

    def _pass_down(self, i: int, message: Message) -> Outgoing:
        if (down := self._routes[i].down) is not None:
            yield down, message
