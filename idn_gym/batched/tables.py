"""The arrays of a network as tensors on a device, laid out for the backends; made once per network and device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

_MADE: WeakKeyDictionary[Placements, dict[torch.device, Any]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class ShelfTables:
    """What is about memory alone. W models at most at a node; placement P stands for padding."""

    node_start: torch.Tensor  # (V+1,) int32
    placement_node: torch.Tensor  # (P,)
    sizes: torch.Tensor  # (P,) MB
    by_node: torch.Tensor  # (V, W) placements of each node, padded with P
    tail: torch.Tensor  # (V,) fractions below this are a node's tail

    @classmethod
    def of(cls, placements: Any, device: torch.device) -> Any:
        """The tables on a device; the same object every time."""
        made = _MADE.setdefault(placements, {})
        if device not in made:
            made[device] = cls._make(placements, device)
        return made[device]

    @classmethod
    def _make(cls, placements: Placements, device: torch.device) -> ShelfTables:
        return cls(**cls._shelf(placements, device))

    @staticmethod
    def _shelf(placements: Placements, device: torch.device) -> dict[str, torch.Tensor]:
        return {
            "node_start": _whole(placements.node_start, device).int(),
            "placement_node": _whole(placements.placement_node, device),
            "sizes": _real(placements.sizes, device),
            "by_node": _whole(_columns(placements.node_start, np.arange(placements.P)).T, device),
            "tail": _real(placements.tail, device),
        }


@dataclass(frozen=True, eq=False)
class DeviceTables(ShelfTables):
    """What the backends read of a network. C classes, G = C * V * N groups.

    A share belongs to a class and a placement: those of class c are c * P to (c + 1) * P.
    """

    share_group: torch.Tensor  # (C * P,)
    path_groups: torch.Tensor  # (R, J), padded with G
    options: torch.Tensor  # (R, K), padded with P
    option_shares: torch.Tensor  # (R, K), padded with C * P
    type_class: torch.Tensor  # (R,)
    classes: int  # C
    costs: torch.Tensor  # (R, K) ms
    last: torch.Tensor  # (R,) rank of the repository model
    option_node: torch.Tensor  # (R, K) padded with the repository's
    option_latency: torch.Tensor  # (R, K) ms, padded with the repository's
    option_inaccuracy: torch.Tensor  # (R, K) percentage points as the type weighs them, padded with the repository's
    option_late: torch.Tensor  # (R, K) bool: slower than the deadline of the type
    listing_type: torch.Tensor  # (L, P) types that list a placement, padded with R
    listing_cost: torch.Tensor  # (L, P) ms, of that option of the type
    group_types: torch.Tensor  # (D, G) types whose path visits a group, padded with R

    @classmethod
    def _make(cls, network: Any, device: torch.device) -> DeviceTables:
        service = accepted(network)
        start, types, listed_rank = service.listing
        listing = _columns(start, np.arange(len(types)))
        costs_of = np.append(service.costs[types, listed_rank], 0.0)
        visits = np.argsort(service.path_groups, axis=None, kind="stable")
        group_start = np.searchsorted(service.path_groups.ravel()[visits], np.arange(service.groups + 1))
        group_types = _columns(group_start, visits // service.path_groups.shape[1], network.R)
        classes, of_class = service.classes, service.groups // service.classes
        share_group = service.placement_group + np.arange(classes)[:, None] * of_class
        own_shares = service.options + service.type_class[:, None].astype(np.int64) * network.P
        whole, real = partial(_whole, device=device), partial(_real, device=device)

        return cls(
            **cls._shelf(network, device),
            share_group=whole(share_group.ravel()),
            path_groups=whole(service.path_groups),
            options=whole(service.options),
            option_shares=whole(np.where(service.options < network.P, own_shares, classes * network.P)),
            type_class=whole(service.type_class),
            classes=classes,
            costs=real(service.costs),
            last=whole(service.option_count - 1),
            option_node=whole(service.option_nodes),
            option_latency=real(service.option_latencies),
            option_inaccuracy=real(service.option_inaccuracies),
            option_late=torch.as_tensor(service.option_latencies > service.deadlines[:, None], device=device),
            listing_type=whole(np.append(types, network.R)[listing]),
            listing_cost=real(costs_of[listing]),
            group_types=whole(group_types),
        )


def accepts(network: Network) -> None:
    """Raise an `IdnError` unless the backends can serve the network: one whose request types rank their options."""
    accepted(network)


def accepted(network: Network) -> RankedService:
    """The service of a network that the backends can serve."""
    return RankedService.of(network.service, "idn_gym.batched")


def tables_of(network: Network, like: torch.Tensor) -> DeviceTables:
    """The tables of a network where a tensor is."""
    tables: DeviceTables = DeviceTables.of(network, like.device)
    return tables


def shelf_tables_of(placements: Placements, like: torch.Tensor) -> ShelfTables:
    """The tables of placements where a tensor is, which may be a network's."""
    tables: ShelfTables = (DeviceTables if isinstance(placements, Network) else ShelfTables).of(placements, like.device)
    return tables


def _whole(values: IntArray, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(values, dtype=np.int64), device=device)


def _real(values: FloatArray, device: torch.device) -> torch.Tensor:
    double = torch.float32 if device.type == "mps" else torch.float64
    return torch.as_tensor(np.array(values, dtype=np.float64), dtype=double, device=device)


def _columns(start: IntArray, values: IntArray, padding: int | None = None) -> IntArray:
    """(longest, n) values[start[i]:start[i + 1]] as column i, padded with `padding`, by default len(values)."""
    counts = np.diff(start)
    rows = np.arange(max(1, counts.max(initial=0)))[:, None]
    padded = np.append(values, len(values) if padding is None else padding)
    inside = np.minimum(np.asarray(start[:-1], dtype=np.int64) + rows, len(values))
    return padded[np.where(rows < counts, inside, len(values))]
