"""From a fractional state to what the nodes hold: each by itself, all together, or the better of the two.

A rounding sees every batch (`see`), and says what the nodes hold in the coming slot (`round`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from idn_agents.agent import generator
from idn_agents.rounding.hedge import AdaHedge
from idn_agents.rounding.route_search import search_by_routes
from idn_agents.rounding.whole_routes import WholeRoutes, draw_routes
from idn_agents.search.forecast import LONGEST, Forecast
from idn_agents.search.online import OnlineSearch
from idn_gym import kernels
from idn_gym.common.parameters import real, whole
from idn_gym.model.allocation import Residual
from idn_gym.model.network import Network
from idn_gym.typing import FloatArray, IntArray

ROUNDINGS = ("dependent", "routes", "coordinated", "guarded")
_PATIENCE = 64  # slots between searches by routes at most, while they find nothing and the forecast holds
_UNEVEN = 0.1  # how much more popular one type may be than another, before any batch: else all nodes hold the same
_TRUST = 0.98  # prior weight of coordination in the guard; the others share the rest


class Rounding(Protocol):
    """What `Infida` asks of a rounding."""

    def see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """See the batch (R,) of the slot and the capacities (P,) in force."""

    def round(self, state: FloatArray) -> IntArray:
        """(P,) int8, feasible, from the state (1, P)."""

    def info(self) -> dict[str, Any]:
        """What is worth keeping, as JSON values."""


@dataclass(frozen=True, kw_only=True)
class Coordination:
    """How nodes coordinate; parameters as of `idn_agents.infida.Infida`, checked."""

    window: str | int = "adaptive"
    bonus: float = 0.25
    update_weight: float = 0.0
    horizon: int = 64

    def __post_init__(self) -> None:
        whole("window", self.window, highest=LONGEST, words=("adaptive",))
        real("bonus", self.bonus, highest=1e9)
        real("update_weight", self.update_weight)
        whole("horizon", self.horizon)


def residual_of(network: Network, residual: Residual) -> Residual:
    """What `round_dependent` is asked for: where holding has a price, ``fit`` for ``drop``, which fills to the brim."""
    return "fit" if residual == "drop" and network.priced else residual


def rounding_of(kind: str | None, network: Network, seed: int, residual: Any, options: Coordination) -> Rounding:
    """The rounding of that kind, for one run; without one ``dependent``, or ``routes`` on a network with chains."""
    chains = not network.service.submodular
    if kind is None:
        kind = "routes" if chains and residual == "drop" else "dependent"
    if kind == "routes":
        return WholeRoutes(network, seed)
    dependent = Dependent(network, seed, residual)
    if kind == "dependent":
        return dependent
    coordinated = Coordinated(network, seed, residual, options)
    if kind == "coordinated":
        return coordinated
    return Guarded(coordinated, dependent, network, seed, WholeRoutes(network, seed) if chains else None)


class Dependent:
    """Each node by itself, at random, so that it holds on average what its state says.

    Source: docs/model.md#dependent-rounding; `idn_gym.model.allocation.round_dependent`.
    """

    def __init__(self, network: Network, seed: int, residual: Any) -> None:
        self._network, self._generator = network, generator(seed)
        self.residual: Any = residual_of(network, residual)

    def see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """Nothing: it looks at the state alone."""

    def round(self, state: FloatArray) -> IntArray:
        """(P,) int8."""
        return self.both(state)[0]

    def both(self, state: FloatArray, keep: bool = False) -> list[IntArray]:
        """The allocation (P,); with `keep`, and from the same draws, also the one that `kept` makes of it."""
        uniforms = self._generator.random((1, self._network.P))
        rounded = kernels.round_dependent(self._network, state, uniforms, self.residual)[0]
        if not keep:
            return [rounded]
        exact = kernels.round_dependent(self._network, state, uniforms, "coin")[0]
        return [rounded, kept(self._network, state[0], rounded, exact)]

    def info(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def kept(network: Network, state: FloatArray, dropped: IntArray, exact: IntArray) -> IntArray:
    """(P,) int8, feasible: what dropping left out comes first, then what it kept, then what else fits.

    With `exact` the rounding that keeps E[x] = y but may exceed budgets, by one placement a node, and `dropped` what
    ``drop`` or ``fit`` makes of it: what is left out is one placement a node at most, and fits alone. Between them the
    two hold all of `exact`, so their gains add up to its gain at least. Where holding has a price, nothing else is
    added.
    """
    density = state / network.sizes
    priority = density + 2.0 * density.max(initial=1.0) * dropped
    if network.priced:
        priority[dropped == 0] = -np.inf
    priority[(exact == 1) & (dropped == 0)] = np.inf
    return kernels.pack(network, priority[None])[0]


class Coordinated:
    """All nodes together, on a forecast of the next batch; loads what pays, and otherwise leaves it.

    A search by `OnlineSearch` goes on from what is held on a new forecast, and in the slots between tries to improve on
    what it came to; the first, and one after a batch far off the forecast, goes on from nothing as well. Each load is
    charged what it has to earn. The forecast is new once half of what it is made of is, half of what the last search
    looked at is, and after a batch far off it.

    Where requests need several models, searches are by whole routes: one from what is held, one from nothing, and one
    from routes drawn from the state. They come later while they find nothing.
    """

    def __init__(self, network: Network, seed: int, residual: Any, options: Coordination) -> None:
        self._network, self.options = network, options
        self._first, self._generator = Dependent(network, seed, residual), generator(seed, 4)
        self._order = np.argsort(network.tiers, kind="stable")
        self._forecast = Forecast(network, seed, None if isinstance(options.window, str) else options.window)
        self._search = OnlineSearch(network, seed) if network.service.submodular else None
        self._allocation: IntArray | None = None
        self._waited, self._patience = 0, 1
        self._length = 0  # batches that the last search looked at
        self.searches, self._batches = 0, 0

    def see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """Take the batch into the forecast."""
        self._forecast.see(requests, capacities)
        self._waited += 1
        if self._forecast.surprised:
            self._patience = 1

    def round(self, state: FloatArray) -> IntArray:
        """(P,) int8."""
        if self._allocation is None:
            self._allocation = self._unseen(state)
        if self._forecast.length == 0:
            return self._allocation
        length = min(self._forecast.length, self._length)
        if self._forecast.surprised or self._waited >= max(self._patience, length // 2):
            self._look_at_the_forecast(state, self._allocation)
            self._waited = 0
        if self._search:
            self._allocation = self._search.go_on()
        return self._allocation

    def info(self) -> dict[str, Any]:
        """Searches, and batches that each looked at on average."""
        return {"searches": self.searches, "mean_window": self._batches / max(1, self.searches)}

    def _unseen(self, state: FloatArray) -> IntArray:
        """(P,) int8 before any batch: as if all types were about as popular, or nothing where holding has a price."""
        network, nothing = self._network, np.zeros(self._network.P, dtype=np.int8)
        if network.priced:
            return nothing
        if not self._search:
            return self._first.round(state)
        requests = 1.0 + _UNEVEN * self._generator.random((1, network.R))  # few: no capacity is short
        self._search.look_at(requests, network.capacities[None], nothing, 0.0, anew=False)
        return self._search.go_on()

    def _look_at_the_forecast(self, state: FloatArray, held: IntArray) -> None:
        network, options = self._network, self.options
        self._length = self._forecast.length
        self.searches, self._batches = self.searches + 1, self._batches + self._forecast.length
        requests, capacities = self._forecast.rows()
        gained = float(kernels.serve(network, requests, capacities, held[None]).gain.mean())
        service = gained / max(float(network.spendable.sum()), 1e-300)  # ms per MB held and slot
        charge = (options.update_weight + options.bonus * service) / options.horizon
        if self._search:
            anew = self.searches == 1 or self._forecast.surprised
            self._search.look_at(requests, capacities, held, charge, anew)
            return
        found = self._by_routes(state, held, requests, capacities, charge)
        self._patience = 1 if found is not None else min(2 * self._patience, _PATIENCE)
        self._allocation = held if found is None else found

    def _by_routes(
        self, state: FloatArray, held: IntArray, requests: FloatArray, capacities: FloatArray, charge: float
    ) -> IntArray | None:
        """The best that the search by whole routes comes to on the mean batch, if over the rows it is worth loading."""
        network = self._network
        costs = network.holding + charge * network.sizes * (held == 0)
        mean = requests.mean(axis=0), capacities.mean(axis=0)
        starts = [held, np.zeros_like(held), draw_routes(network, *mean, state, self._generator)]

        def net(allocation: IntArray) -> float:
            gain = float(kernels.serve(network, requests, capacities, allocation[None]).gain.mean())
            return gain - float(costs @ allocation)

        at_held = net(held)
        best, least = None, at_held + 1e-9 * abs(at_held)
        for start in starts:
            found = search_by_routes(network, mean[0][None], mean[1][None], self._order, start, costs).astype(np.int8)
            if net(found) > least:
                best, least = found, net(found)
        return best


class Guarded:
    """The better of coordinated and dependent rounding, in the long run, whatever the requests.

    Coordination has most of the weight to begin with: it is better but on streams made against it. Where requests
    need several models, drawing whole routes is a proposal too.

    Once a slot is served, what each of them would have gained is known: `AdaHedge` weighs them, and one coin, thrown
    at the start, picks by the weights. So the expected gain is that of the weights in each slot, and what is held
    changes hands only as the weights move. Each of them goes on as if it were alone. Gains are net of what holding
    costs and, with an update weight, of what each loads.
    """

    def __init__(
        self,
        coordinated: Coordinated,
        dependent: Dependent,
        network: Network,
        seed: int,
        routes: WholeRoutes | None = None,
    ) -> None:
        self._coordinated, self._dependent, self._network = coordinated, dependent, network
        self._keep = dependent.residual != "reserve"
        self._routes = routes
        names = ["coordinated", *(["routes"] if routes else []), dependent.residual, *(["keep"] if self._keep else [])]
        self._names = names
        others = (1.0 - _TRUST) / (len(names) - 1)
        self._hedge = AdaHedge(len(names), prior=[_TRUST, *[others] * (len(names) - 1)])
        self._coin = generator(seed, 3).random()
        self._update_weight = coordinated.options.update_weight
        self._loaded = np.zeros(len(self._names))  # MB, for the proposals of this slot
        self._proposals = np.zeros((len(self._names), network.P), dtype=np.int8)
        self._weight, self._slots = np.zeros(len(self._names)), 0

    def see(self, requests: FloatArray, capacities: FloatArray) -> None:
        """Learn what each proposal gained."""
        gains = kernels.serve(self._network, requests, capacities, self._proposals).gain
        paid = self._proposals @ self._network.holding
        self._hedge.see((gains - paid - self._update_weight * self._loaded)[:, None])
        self._loaded[:] = 0.0
        self._coordinated.see(requests, capacities)
        if self._routes:
            self._routes.see(requests, capacities)

    def round(self, state: FloatArray) -> IntArray:
        """(P,) int8."""
        whole = [self._routes.round(state)] if self._routes else []
        proposals = np.stack([self._coordinated.round(state), *whole, *self._dependent.both(state, self._keep)])
        if self._update_weight > 0.0:
            self._loaded = kernels.memory(self._network, proposals, self._proposals)[1]
        self._proposals = proposals
        weights = self._hedge.weights[:, 0]
        self._weight, self._slots = self._weight + weights, self._slots + 1
        picked = min(int(np.searchsorted(np.cumsum(weights), self._coin, side="right")), len(weights) - 1)
        if self._slots == 1 and self._network.priced:
            picked = 0  # nothing is known to pay yet, so nothing is placed
        return self._proposals[picked].copy()

    def info(self) -> dict[str, Any]:
        """That of coordination, and the mean weight of each proposal."""
        weights: Mapping[str, float] = dict(
            zip(self._names, (self._weight / max(1, self._slots)).tolist(), strict=True)
        )
        return {**self._coordinated.info(), "weights": weights}
