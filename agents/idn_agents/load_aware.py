"""Online load-aware greedy (OLAG), the rival of the paper, in the library's reading.

Source: docs/model.md#greedy-baselines; the authors' own algorithm is known to us only in outline, so this is a reading
of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_agents.agent import observed
from idn_gym import kernels
from idn_gym.common.parameters import one_of, real
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import borrowed, first_group, room_of, share_of
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray


class LoadAwareGreedy:
    """Each node counts the requests that a model could have served better, and fills its budget by what that saves.

    Savings are net of what holding the model costs; one that does not pay for it is not placed.

    All nodes act at once, on counters of the last slot. For a placement p at node v and a type that lists it, the
    counter is the number of requests that passed v, were served at v or farther, and cost more than p would have;
    requests that v itself served count at the repository's cost, since what served them is up for choice.

    Parameters
    ----------
    decay : weight of the past in the counters, in [0, 1); 0 looks at the last slot alone.
    counting : ``all`` as above, or ``others``: a node does not count what it served itself.
    sharing : ``proportional``: what a model has capacity for is shared between types in proportion to the counters,
        those of higher classes first; or ``none``: each type is credited with the whole of it.

    `docs/load-aware-greedy.md` shows what each reading is worth.
    """

    def __init__(self, *, decay: float = 0.0, counting: str = "all", sharing: str = "proportional") -> None:
        self._decay = real("decay", decay, highest=1.0, below=True)
        self._own = one_of("counting", counting, ("all", "others")) == "all"
        self._shared = one_of("sharing", sharing, ("proportional", "none")) == "proportional"

    def accepts(self, network: Network) -> None:
        """Options that are ranked, along whose paths requests are counted."""
        RankedService.of(network.service, "load-aware-greedy")

    def reset(self, network: Network, seed: int) -> None:
        """Start anew, with counters at 0; an `IdnError` where options are not ranked."""
        self._network, self._service = network, RankedService.of(network.service, "load-aware-greedy")
        at_repository = network.paths == self._service.repository_node[:, None]
        self._positions = self._service.option_positions, at_repository.argmax(axis=1)
        self._counted = np.zeros((2, network.R, self._service.K))  # requests, and ms they would have saved
        self._slots: float | None = None  # in the counters, weighted as they are; None before the first

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        """(P,) int8, filled anew by what the last batch, served as it was, would have saved."""
        network = self._network
        requests, capacities, held = observed(network, observation, "requests", "capacities", "allocation")
        self._counted *= self._decay
        self._slots = 0.0 if self._slots is None else self._decay * self._slots + 1.0
        load = kernels.loads(network, requests)[0]
        tables, listing = self._service.tables, self._service.listing
        _count(tables, requests, capacities, held, load, *self._positions, self._own, *self._counted)
        allocation = np.zeros(network.P, dtype=np.int8)
        holding, counted = network.holding * self._slots, self._counted.copy()
        _fill(network.tables, tables, listing, capacities, held, self._shared, holding, *counted, allocation)
        return allocation

    def info(self) -> dict[str, Any]:
        return {}


@compiled()
def _count(tables, requests, capacities, held, load, position, repository_position, own, counted, saved):
    """Add the last slot to the counters: requests (R, K), and the ms (R, K) that serving them here would have saved."""
    tables, capacities, held, load = borrowed(tables), borrowed(capacities), borrowed(held), borrowed(load)
    options, costs = tables.options, tables.costs
    served = np.empty(options.shape[1] + 1)
    rank = np.empty(options.shape[1] + 1, dtype=np.int64)
    for rho in range(len(requests)):
        if requests[rho] == 0.0:
            continue
        last, groups = tables.option_count[rho] - 1, first_group(tables, rho)
        left = 1.0
        n = 0
        for k in range(last):
            p = options[rho, k]
            w = min(left, share_of(tables, capacities, load, p, groups) * held[p])
            if w > 0.0:
                served[n], rank[n] = w * requests[rho], k
                left -= w
                n += 1
        if left > 0.0:
            served[n], rank[n] = left * requests[rho], last
            n += 1
        for k in range(last):
            here = position[rho, k]
            for i in range(n):
                at = repository_position[rho] if rank[i] == last else position[rho, rank[i]]
                if at < here or (at == here and not own):
                    continue
                cost = costs[rho, last] if at == here else costs[rho, rank[i]]
                if cost > costs[rho, k]:
                    counted[rho, k] += served[i]
                    saved[rho, k] += served[i] * (cost - costs[rho, k])


@compiled()
def _fill(shelf, tables, listing, capacities, held, shared, holding, counted, saved, allocation):
    """At each node take the placement that saves most per MB, subtract what it absorbs, until nothing helps or fits."""
    shelf, tables, listing = borrowed(shelf), borrowed(tables), borrowed(listing)
    capacities, held, holding = borrowed(capacities), borrowed(held), borrowed(holding)
    counted, saved, allocation = borrowed(counted), borrowed(saved), borrowed(allocation)
    start, types, ranks = listing
    absorbed = np.zeros(len(tables.costs))
    cost = np.full(len(tables.costs), np.inf)  # of serving each type at the placement just taken
    value = np.empty(len(allocation))
    passing = np.empty((len(allocation), tables.classes))  # counted, of each class
    one_class = tables.classes == 1
    for v in range(len(shelf.budgets)):
        first, stop = shelf.node_start[v], shelf.node_start[v + 1]
        room = room_of(shelf.budgets[v])
        for p in range(first, stop):
            if one_class:  # in half the time
                value[p], passing[p, 0] = _value_of_one(shelf, listing, capacities, shared, holding, counted, saved, p)
            else:
                value[p] = _value(shelf, tables, listing, capacities, shared, holding, counted, saved, p, passing[p])
        while True:
            best = stop
            for p in range(first, stop):
                usable = allocation[p] == 0 and shelf.sizes[p] <= room and value[p] > 0.0
                if usable and (best == stop or value[p] > value[best]):
                    best = p
            if best == stop:
                break
            allocation[best] = 1
            room -= shelf.sizes[best]
            for entry in range(start[best], start[best + 1]):
                rho, k = types[entry], ranks[entry]
                cost[rho] = tables.costs[rho, k]
                if one_class:
                    absorbed[rho] = _credit(capacities[best], shared, counted[rho, k], passing[best, 0])
                else:
                    absorbed[rho] = _absorbed(tables, capacities[best], shared, counted[rho, k], passing[best], rho)
            for p in range(first, stop):
                if allocation[p] or tables.placement_group[p] != tables.placement_group[best]:
                    continue
                for entry in range(start[p], start[p + 1]):
                    rho, k = types[entry], ranks[entry]
                    if counted[rho, k] > 0.0 and tables.costs[rho, k] >= cost[rho]:
                        left = max(0.0, counted[rho, k] - absorbed[rho])
                        saved[rho, k] *= left / counted[rho, k]
                        counted[rho, k] = left
                if one_class:
                    found = _value_of_one(shelf, listing, capacities, shared, holding, counted, saved, p)
                    value[p], passing[p, 0] = found
                else:
                    value[p] = _value(
                        shelf, tables, listing, capacities, shared, holding, counted, saved, p, passing[p]
                    )
            for entry in range(start[best], start[best + 1]):
                cost[types[entry]], absorbed[types[entry]] = np.inf, 0.0
        for p in range(first, stop):  # what is there already stays where there is room, if keeping it costs nothing
            if held[p] > 0.0 and holding[p] == 0.0 and allocation[p] == 0 and shelf.sizes[p] <= room:
                allocation[p] = 1
                room -= shelf.sizes[p]


@compiled(inline="always")
def _value(shelf, tables, listing, capacities, shared, holding, counted, saved, p, passing):
    """Ms saved per MB by placing p, net of holding it; fills in the requests (classes,) that it could serve better."""
    start, types, ranks = listing
    passing[:] = 0.0
    ms = 0.0
    for entry in range(start[p], start[p + 1]):
        passing[tables.type_class[types[entry]]] += counted[types[entry], ranks[entry]]
    for entry in range(start[p], start[p + 1]):
        rho, k = types[entry], ranks[entry]
        if counted[rho, k] > 0.0:
            credit = _absorbed(tables, capacities[p], shared, counted[rho, k], passing, rho)
            ms += saved[rho, k] / counted[rho, k] * credit
    return (ms - holding[p]) / shelf.sizes[p]


@compiled(inline="always")
def _value_of_one(shelf, listing, capacities, shared, holding, counted, saved, p):
    """`_value` where there is one class, and the requests that placement p could serve better."""
    start, types, ranks = listing
    passing = 0.0
    for entry in range(start[p], start[p + 1]):
        passing += counted[types[entry], ranks[entry]]
    ms = 0.0
    for entry in range(start[p], start[p + 1]):
        rho, k = types[entry], ranks[entry]
        if counted[rho, k] > 0.0:
            ms += saved[rho, k] / counted[rho, k] * _credit(capacities[p], shared, counted[rho, k], passing)
    return (ms - holding[p]) / shelf.sizes[p], passing


@compiled(inline="always")
def _absorbed(tables, capacity, shared, of_type, passing, rho):
    """Requests of a type that a model is credited with; see `LoadAwareGreedy` for the sharing of its capacity."""
    own = tables.type_class[rho]
    if shared:
        for c in range(own):
            capacity -= passing[c]
    return _credit(max(0.0, capacity), shared, of_type, passing[own])


@compiled(inline="always")
def _credit(capacity, shared, of_type, of_all):
    """The same, of what the classes above the type's leave of the capacity, for all of its class together."""
    return of_type * min(1.0, capacity / of_all) if shared and of_all > 0.0 else min(of_type, capacity)
