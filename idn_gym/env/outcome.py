"""What serving slots came to, computed once: for every environment, its information and rewards, and for evaluation.

On arrays and on tensors alike, with a leading axis B; of one slot, without it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from idn_gym.model.network import Network
from idn_gym.model.service import Served
from idn_gym.typing import BoolArray, FloatArray, IntArray

Information = dict[str, Any]  # of one slot: NumPy scalars and arrays


class Outcome(NamedTuple):
    """What B slots came to: its fields are what environments inform of, in this order, and what rewards are made of."""

    slot: Any  # (B,) number of the slot, from 0; -1 where none was served
    gain: Any  # (B,) ms saved against repositories alone, summed over requests
    cost: Any  # (B,) ms, summed over requests
    latency_ms: Any  # (B,) per request; 0 if there were none
    inaccuracy: Any  # (B,) percentage points per request; 0 if there were none
    missed: Any  # (B,) share of late requests among those of services with a deadline; 0 if there were none
    model_update_mb: Any  # (B,) MB newly loaded
    price_per_slot: Any  # (B,) currency, of what was placed
    request_count: Any  # (B,)
    repaired: Any  # (B,) placements asked for and not granted
    tier_shares: Any  # (B, tiers) share of the requests served by each tier, 0 first

    @classmethod
    def of(
        cls,
        served: Served,
        requests: Any,
        by_tier: Any,
        *,
        slot: Any,
        loaded: Any,
        repaired: Any,
        price: Any = None,
        timed: Any = None,
    ) -> Outcome:
        """The outcome of serving requests (B, R), where tiers served `by_tier` (B, tiers) of them.

        `price` (B,) is that of what was placed and `timed` (B,) counts the requests of services with a deadline; None
        where nothing has a price, or no service a deadline. `weighted` gives both.
        """
        gain, cost, latency, inaccuracy, missed, _ = served
        total = np.add.reduce(requests) if requests.ndim == 1 else requests.sum(-1, dtype=gain.dtype)
        each = per_request(total)
        shares = by_tier * (each[:, None] if each.ndim else each)
        if timed is not None:
            missed = missed * per_request(timed)
        price = 0.0 * gain if price is None else price
        return cls(slot, gain, cost, latency * each, inaccuracy * each, missed, loaded, price, total, repaired, shares)

    @property
    def per_request(self) -> Any:
        """(B,) what turns a sum over requests into a mean."""
        return per_request(self.request_count)

    def row(self, b: int) -> Outcome:
        """That of one slot."""
        return Outcome(*[values[b] for values in self])

    def rows(self) -> Outcome:
        """That of one slot with a leading axis of 1."""
        return Outcome(*[values[None] for values in self])


def per_request(total: Any) -> Any:
    """What turns sums over requests into means: 1 / their number; where there were none, sums are 0 and stay so."""
    return 1.0 / (total + (total == 0))


def weighted(weights: Any, values: Any) -> Any:
    """(B,) weighted sums of values (B, n); None without weights (n,), as `weights_of` has it where all are 0."""
    return None if weights is None else (values * weights).sum(-1)


def weights_of(values: FloatArray | BoolArray) -> FloatArray | None:
    """Values (n,) as weights of sums; None where all are 0."""
    return values.astype(np.float64) if values.any() else None


def unserved(network: Network, rows: int) -> Outcome:
    """The outcome where no slot has been served, as after a reset: the same types, in arrays of its own."""
    shares = np.zeros((rows, tier_count(network)))
    numbers = {field: np.zeros(rows) for field in Outcome._fields}
    whole = {"slot": np.full(rows, -1, dtype=np.int64), "repaired": np.zeros(rows, dtype=np.int64)}
    return Outcome(**numbers | whole | {"tier_shares": shares})


def tier_count(network: Network) -> int:
    """Number of tiers, those without a node included."""
    return int(network.tiers.max()) + 1


def by_tier(network: Network, by_node: FloatArray, where: IntArray | None = None) -> FloatArray:
    """(B, tiers) sums of (B, V), in the order of the nodes; `where` is what `tier_places` gives for B rows."""
    if by_node.ndim == 1:
        return np.bincount(network.tiers, by_node)
    rows, count = len(by_node), tier_count(network)
    where = tier_places(network, rows) if where is None else where
    return np.bincount(where, by_node.ravel(), minlength=rows * count).reshape(rows, count)


def tier_places(network: Network, rows: int) -> IntArray:
    """(B V,) where each node of each row is among the tiers of all rows."""
    return (np.arange(rows)[:, None] * tier_count(network) + network.tiers).ravel()
