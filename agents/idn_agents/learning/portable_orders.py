"""The distribution of a learner's actions in PyTorch's own operations, for any device; see `orders`.

`idn_agents.learning.orders_kernel` is the fast twin on the CPU.
"""

from __future__ import annotations

import numpy as np
import torch

from idn_gym.model.network import Network
from idn_gym.model.placements import room

Tensor = torch.Tensor
_LOWEST = -600.0  # score, relative to the largest; see `orders_kernel.order_probability`


class PortableOrders:
    """What `orders_kernel` computes on the CPU, for one network on one device."""

    def __init__(self, network: Network, device: torch.device | str) -> None:
        self.network = network
        self._node = torch.as_tensor(np.array(network.placement_node, dtype=np.int64), device=device)
        self._fits = torch.as_tensor(np.array(network.fits), device=device)
        double = torch.float32 if torch.device(device).type == "mps" else torch.float64
        self._sizes = torch.as_tensor(np.array(network.sizes), dtype=double, device=device)
        self._budgets = torch.as_tensor(room(network.budgets), dtype=double, device=device)
        smallest = np.full(network.V, np.inf)
        np.minimum.at(smallest, network.placement_node[network.fits], network.sizes[network.fits])
        self._most = max(1, int((room(network.budgets) / smallest).max(initial=0.0)))
        widest = max(1, int(np.diff(network.node_start).max(initial=1)))
        columns = network.node_start[:-1, None] + np.arange(widest)
        inside = columns < network.node_start[1:, None]
        self._by_node = torch.as_tensor(np.where(inside, columns, network.P).astype(np.int64), device=device)  # (V, W)
        self._most = min(self._most, widest)

    def turns(self, priority: Tensor, allocation: Tensor) -> Tensor:
        """(B, P) int16; see `orders_kernel.turns`."""
        rows = len(priority)
        none = priority.new_full((rows, 1), -torch.inf)
        placed = torch.cat([priority.masked_fill(allocation == 0, -torch.inf), none], 1)[:, self._by_node]
        ranked = placed.topk(self._most, dim=2)  # (B, V, L), in the order in which they were placed
        there = torch.isfinite(ranked.values)
        at = self._by_node.expand(rows, -1, -1).gather(2, ranked.indices)
        sizes = torch.where(there, torch.cat([self._sizes, self._sizes.new_zeros(1)])[at], 0.0)
        used = sizes.cumsum(2) - sizes
        used = torch.where(there, used, torch.inf)
        # what is left out was there while it fitted; what was placed, up to its own draw
        room = (self._budgets[self._node] - self._sizes).expand(rows, -1)
        padded = torch.cat([room, room.new_full((rows, 1), -torch.inf)], 1)[:, self._by_node]
        waited = torch.searchsorted(used.contiguous(), padded.contiguous(), right=True)
        turns = torch.zeros(rows, self.network.P + 1, dtype=torch.int64, device=priority.device)
        turns.scatter_(1, self._by_node.reshape(1, -1).expand(rows, -1), waited.reshape(rows, -1))
        position = torch.arange(1, self._most + 1, device=priority.device).expand_as(at)
        turns.scatter_(1, torch.where(there, at, self.network.P).reshape(rows, -1), position.reshape(rows, -1))
        return torch.where(self._fits, turns[:, :-1], 0).to(torch.int16)

    def probability(self, scores: Tensor, allocation: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy, both (B,); see `orders_kernel.order_probability`."""
        rows, nodes, dtype = len(scores), self.network.V, scores.dtype
        scores = scores.to(self._sizes.dtype)  # in double a sum of exponentials holds what is far below its largest
        scores = torch.where(self._fits, scores - self._tops(scores).gather(1, self._node.expand_as(scores)), 0.0)
        scores = scores.clamp(min=_LOWEST)
        weight = torch.exp(scores)
        where = self._node * (self._most + 1) + turns.long()
        drawn_from = self._still_there(weight, where).clamp(min=torch.finfo(scores.dtype).tiny)
        placed = scores.new_zeros(rows, nodes).index_add(1, self._node, allocation.to(scores.dtype))
        counts = torch.arange(self._most, device=scores.device) < placed[:, :, None]  # (B, V, L) draws that there were
        logs = torch.where(counts, torch.log(drawn_from), 0.0)
        chosen = (scores * allocation).sum(1)
        expected = torch.where(counts, self._still_there(weight * scores, where) / drawn_from, 0.0)
        return (chosen - logs.sum((1, 2))).to(dtype), (logs - expected).sum((1, 2)).to(dtype)

    def _still_there(self, values: Tensor, where: Tensor) -> Tensor:
        """(B, V, L) sums of values (B, P) over what still fits in each draw."""
        bins = values.new_zeros(len(values), self.network.V * (self._most + 1)).scatter_add(1, where, values)
        by_turns = bins.view(len(values), self.network.V, self._most + 1)[:, :, 1:]
        return by_turns.flip(2).cumsum(2).flip(2)

    def _tops(self, scores: Tensor) -> Tensor:
        """(B, V) largest score of what fits at each node."""
        low = scores.detach().masked_fill(~self._fits, -torch.inf)
        tops = low.new_full((len(scores), self.network.V), -torch.inf)
        tops = tops.scatter_reduce(1, self._node.expand_as(low), low, "amax")
        return torch.where(torch.isfinite(tops), tops, 0.0)
