"""Iterated local search over integral allocations: one node at a time, the best moves of all its tasks at once.

Types of different tasks meet only in the budgets. So with the other nodes fixed, the gain of what a node holds is a sum
over tasks, and a knapsack over the tasks' moves finds their best combination. What is known of moves is kept until
something on a common path changes. `idn_agents.search.reference` is the plain form of it.

Source: iterated local search, Lourenço, Martin and Stützle, in Handbook of Metaheuristics, 2003.
"""

from __future__ import annotations

import numpy as np

from idn_agents.search.kernel import improve, iterate
from idn_agents.search.moves_kernel import Desk, Ground, Moves, Rows, new_moves, shares_of, values
from idn_gym.common.arrays import shaped
from idn_gym.kernels.rows import window_rows
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

LEAST = 1e-9  # of what repositories alone would cost: what a move gains less is taken for rounding
NO_LIMIT = 2**62  # of work


class LocalSearch:
    """Improves an allocation until no node can be improved alone, and beyond, for the slots it is given.

    Work is counted in options looked at, in four slots at once: results depend on no clock.
    """

    def __init__(self, network: Network) -> None:
        service = RankedService.of(network.service, "local search")
        self._network, self._shelf, self._tables = network, network.tables, service.tables
        self._ground = ground_of(network, service)
        groups, most = network.V * network.N, self._ground.most
        self._desk, self._kept = (
            Desk(
                np.zeros(network.P, dtype=np.int8),
                new_moves(groups, most),
                np.zeros(groups, dtype=np.bool_),
                np.zeros(network.V, dtype=np.bool_),
                np.zeros(network.N),
                np.zeros(1, dtype=np.int64),
            )
            for _ in range(2)
        )
        self._repository_cost = service.repository_cost
        self._rows: Rows | None = None
        self._model = network.model_base[network.placement_model]
        self._failed = 0

    @property
    def allocation(self) -> IntArray:
        """(P,) int8: the best so far, a copy."""
        return self._desk.y.copy()

    @property
    def moves(self) -> Moves:
        """What is known of moves, for the allocation, slots and prices as they stand."""
        return self._desk.moves

    @property
    def work(self) -> int:
        """Options looked at so far."""
        return int(self._desk.work[0])

    @property
    def net_gain(self) -> float:
        """Of the allocation, ms over all slots, price off; as of the last search."""
        return float(self._desk.values.sum())

    def look_at(self, requests: FloatArray, capacities: FloatArray, load: FloatArray, price: FloatArray) -> None:
        """Search on these slots from now on; nothing that was known holds.

        Parameters
        ----------
        requests, capacities, load : (T, R), (T or 1, P), and `loads` of the requests.
        price : (P,) ms that holding each placement takes off the gain of all slots together.
        """
        requests, capacities, load = window_rows(self._network, requests, capacities, load)
        price = np.array(shaped("price", price, (self._network.P,)), dtype=np.float64)
        again = np.zeros(self._network.P, dtype=np.bool_)
        again[1:] = (np.diff(self._network.placement_node) == 0) & (np.diff(self._model) == 0)
        if again.any():
            again[1:] &= (capacities[:, 1:] == capacities[:, :-1]).all(axis=0) & self._network.fits[:-1]
        shares = np.empty((self._tables.classes, self._network.P, len(requests)))
        shares_of(self._tables, requests, capacities, load, shares)
        self._rows = Rows(np.ascontiguousarray(requests.T), shares, price, again)
        self._everything_is_stale()

    def start(self, allocation: IntArray) -> None:
        """Go on from a feasible allocation (P,)."""
        self._desk.y[:] = shaped("allocation", allocation, (self._network.P,))
        self._everything_is_stale()

    def charge(self, price: FloatArray) -> None:
        """Go on with other prices (P,); what is known of moves elsewhere holds."""
        price = shaped("price", price, (self._network.P,))
        rows = self._given()
        changed = np.flatnonzero(rows.price != price)
        if not len(changed):
            return
        rows.price[:] = price
        for p in changed[self._network.fits[changed]].tolist():
            v, task = divmod(int(self._network.placement_group[p]), self._network.N)
            self._desk.stale[v * self._network.N + task] = True
            self._desk.waiting[v] = True
        self._failed = 0

    def improve(self, limit: int = NO_LIMIT) -> None:
        """Until no node can be improved alone, or for so much more work."""
        space = self._shelf, self._tables, self._ground, self._given(), self._desk
        improve(*space, self.work + limit, self._least())
        values(*space)

    @property
    def settled(self) -> bool:
        """Whether no node can be improved alone."""
        return not self._desk.waiting.any()

    def tired(self, patience: int) -> bool:
        """Whether so many trials in a row have failed."""
        return self._failed >= patience

    def improve_from(self, allocation: IntArray) -> None:
        """From another start (P,) as well, all the way; the better of the two stays."""
        before, gained = self.allocation, self.net_gain
        self.start(allocation)
        self.improve()
        if self.net_gain <= gained + self._least():
            self.start(before)
            self.improve()

    def iterate(self, generator: np.random.Generator, limit: int, patience: int) -> None:
        """Perturb, repair and keep what is better, for so much more work or until `patience` trials in a row failed."""
        if self.tired(patience):
            return
        self.improve()
        space = self._shelf, self._tables, self._ground, self._given(), self._desk
        self._failed = iterate(*space, self._kept, self.work + limit, self._least(), self._failed, patience, generator)

    def _given(self) -> Rows:
        if self._rows is None:
            raise RuntimeError("no slots to look at yet")
        return self._rows

    def _least(self) -> float:
        """Ms below which a gain is rounding; not of the gain so far, which is 0 where nothing is placed."""
        return LEAST * float(self._given().requests.sum(axis=1) @ self._repository_cost)

    def _everything_is_stale(self) -> None:
        ground, desk = self._ground, self._desk
        desk.stale[:] = np.diff(ground.group_start) > 0
        desk.waiting[:] = desk.stale.reshape(self._network.V, self._network.N).any(axis=1)
        self._failed = 0


def ground_of(network: Network, service: RankedService) -> Ground:
    """Who passes where: groups of node and task, of every class."""
    groups = network.V * network.N
    fitting = np.flatnonzero(network.fits)
    placements = fitting[np.argsort(network.placement_group[fitting], kind="stable")].astype(np.int64)
    counts = np.bincount(network.placement_group[placements], minlength=groups)
    first, visiting = service.visitors
    of_group = np.repeat(np.arange(len(first) - 1), np.diff(first)) % groups
    order = np.argsort(of_group, kind="stable")
    types = visiting[order]
    type_counts = np.bincount(of_group, minlength=groups)
    group_start, type_start = (np.concatenate(([0], np.cumsum(n))) for n in (counts, type_counts))
    rank = np.full((network.R, network.P + 1), -1, dtype=np.int16 if service.K < 2**15 else np.int64)
    np.put_along_axis(rank, service.options, np.arange(service.K), axis=1)
    rank[:, network.P] = -1
    ranks = [
        rank[np.ix_(types[type_start[g] : type_start[g + 1]], placements[group_start[g] : group_start[g + 1]])].ravel()
        for g in range(groups)
    ]
    rank_start = np.concatenate(([0], np.cumsum([len(each) for each in ranks])))[:-1]
    near = np.eye(network.V, dtype=np.bool_)
    for path in np.unique(network.paths, axis=0):
        nodes = path[path >= 0]
        near[np.ix_(nodes, nodes)] = True
    used = counts.reshape(network.V, network.N).any(axis=1)
    near &= used
    by_task = np.argsort(network.type_task, kind="stable")
    return Ground(
        group_start,
        placements,
        type_start,
        types,
        rank_start,
        np.concatenate(ranks).astype(np.int64),
        np.concatenate(([0], np.cumsum(np.bincount(network.type_task, minlength=network.N)))),
        by_task,
        np.concatenate(([0], np.cumsum(near.sum(axis=1)))),
        np.nonzero(near)[1],
        network.N,
        max(1, int(counts.max(initial=1))),
    )
