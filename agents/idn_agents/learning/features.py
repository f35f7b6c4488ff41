"""What a learnt policy looks at: figures per placement that mean the same on every network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from idn_gym import batched, kernels
from idn_gym.model.network import Network
from idn_gym.model.ranked import RankedService

Tensor = torch.Tensor
Observation = dict[str, Tensor]

MEMORY = (1.0, 4.0, 16.0, 64.0)  # slots that each forecast looks back on
STEPS = 4  # of mirror descent in a slot
SHRINK = 0.1  # part of the state mixed into a point, so that what stands behind the covering option counts too
_RATE = 0.5  # of mirror descent: largest step of a node's log state
_FORGET = 1.0 - 1.0 / 64.0  # of the errors of forecasts

NAMES = (
    "gain_at_state",  # marginal gain per MB where everything is placed in part, of the largest at the node
    "gain_at_held",  # the same, at what is placed
    "gain_at_plan",  # the same, at what the state would place
    "group_gain_at_state",  # the same three, of the largest in the group
    "group_gain_at_held",
    "group_gain_at_plan",
    "state",  # fractional allocation of mirror descent on the forecast
    "group_state",  # of the largest in the group
    "plan",  # 1 if the state would place it
    "held",  # 1 if it is placed
    "size",  # of the budget
    "coverage",  # part of the requests that pass its group that it has capacity for
    "load",  # part of all requests that pass its group
    "saving",  # part of the repository's cost that it saves
    "inaccuracy",  # of 100 percentage points
    "stakes",  # largest gain of a full node at the marginal gain per MB, of the cost at repositories
    "steadiness",  # E[r]^2 / E[r^2]: 1 where all batches are alike
    "staleness",  # error of the best forecast, of that of the last batch
)


class Features:
    """Features (B, P, F) of a batch of environments, and the memory of past batches that they are made of.

    A forecast of the requests is the mean of the batches, with weights that fall off over 1, 4, 16 or 64 slots: the one
    that forecast the past batches best. It is raised to the batch that a request finds itself in on average,
    E[r^2] / E[r], since it is in large batches that capacity runs out. On it a fractional state climbs by mirror
    descent, as INFIDA's does, four steps a slot; marginal gains are taken there, at what is placed, and at what the
    state would place.

    Nothing here depends on the order of nodes, models or types. Nor does it on units: requests scaled together with
    capacities, sizes with budgets, or costs, leave the features as they are.

    Parameters
    ----------
    rows : B.
    """

    def __init__(self, network: Network, rows: int, device: torch.device | str = "cpu") -> None:
        self.network, self.device = network, torch.device(device)
        service = RankedService.of(network.service, "a learnt policy")
        self._sizes = self._tensor(network.sizes)
        self._node = torch.as_tensor(np.array(network.placement_node, dtype=np.int64), device=self.device)
        self._group = torch.as_tensor(np.array(network.placement_group, dtype=np.int64), device=self.device)
        self._grouped = service.groups // service.classes  # a node and a task, whatever the class
        groups = np.where(service.path_groups < service.groups, service.path_groups % self._grouped, self._grouped)
        self._groups = torch.as_tensor(groups.astype(np.int64), device=self.device)
        fits = np.array(network.fits)
        self._fits = self._tensor(fits)
        self._budget = self._tensor(network.spendable)
        self._budget_of = self._budget[self._node]
        self._saving = self._tensor(_saving(service))
        self._inaccuracy = self._tensor(network.inaccuracies / 100.0)
        self._size = (self._sizes / self._tensor(network.budgets)[self._node].clamp(min=1e-9)).clamp(max=1.0)
        self._repository_cost = self._tensor(service.costs[:, -1])
        even = kernels.project(network, np.zeros((1, network.P)), network.spendable)
        self._start = self._tensor(even).expand(rows, -1)
        self._decays = self._tensor(np.array([1.0 - 1.0 / slots for slots in MEMORY]))[:, None, None]
        self._log_state = self._start.clone()
        self._sums = torch.zeros(len(MEMORY), rows, network.R, device=self.device)
        self._squares = torch.zeros_like(self._sums)
        self._weights = torch.zeros(len(MEMORY), rows, 1, device=self.device)
        self._errors = torch.zeros(len(MEMORY), rows, device=self.device)
        self._slots = torch.zeros(rows, device=self.device)

    def forget(self, rows: Tensor) -> None:
        """Start anew where `rows` (B,) bool is True."""
        keep = (~rows).float()
        self._sums *= keep[None, :, None]
        self._squares *= keep[None, :, None]
        self._weights *= keep[None, :, None]
        self._errors *= keep
        self._slots *= keep
        self._log_state = torch.where(rows[:, None], self._start, self._log_state)

    def see(self, observation: Observation) -> Tensor:
        """Features (B, P, F) float32 for the coming slot, once the memory has taken in the last one."""
        requests, capacities = observation["requests"].float(), observation["capacities"].float()
        held = observation["allocation"].float()
        staleness = self._remember(requests)
        forecast, surge = self.forecast()
        forecast = forecast * surge[:, None]
        self._climb(forecast, capacities)
        state = torch.exp(self._log_state) * self._fits
        plan = batched.pack(self.network, self._log_state, check=False).float()
        gains = [self._gain_per_mb(forecast, capacities, state)]
        for point in (held, plan):
            gains.append(self._gain_per_mb(forecast, capacities, (1.0 - SHRINK) * point + SHRINK * state))
        total = forecast.sum(1, keepdim=True)
        cost = (forecast * self._repository_cost).sum(1, keepdim=True)
        load = torch.zeros(len(held), self._grouped + 1, device=self.device)
        load.index_add_(1, self._groups.reshape(-1), forecast.repeat_interleave(self._groups.shape[1], dim=1))
        load = load[:, self._group]
        tops = [self._top(gain, self._node, self.network.V) for gain in gains]
        columns = [_part(gain, top[:, self._node]) for gain, top in zip(gains, tops, strict=True)]
        columns += [_part(gain, self._top(gain, self._group, self._grouped)[:, self._group]) for gain in gains]
        columns += [state, _part(state, self._top(state, self._group, self._grouped)[:, self._group]), plan, held]
        columns += [self._size.expand_as(held), torch.clamp(_part(capacities, load), max=1.0), _part(load, total)]
        columns += [self._saving.expand_as(held), self._inaccuracy.expand_as(held)]
        columns += [_part(tops[0] * self._budget, cost)[:, self._node]]
        columns += [(1.0 / surge)[:, None].expand_as(held), staleness[:, None].expand_as(held)]
        return torch.stack(columns, dim=2)

    def forecast(self) -> tuple[Tensor, Tensor]:
        """Requests (B, R) expected in the coming slot, 0 before any were seen; E[r^2] / E[r]^2 over all types (B,)."""
        best = self._errors.argmin(0)
        every = torch.arange(len(best), device=self.device)
        weights = self._weights[best, every].clamp(min=1e-9)
        mean, square = self._sums[best, every] / weights, self._squares[best, every] / weights
        surge = _part(square.sum(1), (mean**2).sum(1)).clamp(min=1.0)
        return mean, surge

    def _remember(self, requests: Tensor) -> Tensor:
        """Take in a batch; the error of the best forecast, as a part of that of the last batch (B,)."""
        some = (requests.sum(1) > 0).float()
        means = self._sums / self._weights.clamp(min=1e-9)
        known = some * (self._weights[0, :, 0] > 0)
        error = ((means - requests) ** 2).sum(2)
        size = (requests**2).sum(1).clamp(min=1e-9)
        self._errors = torch.where(known > 0, self._errors * _FORGET + error / size, self._errors)
        self._slots = torch.where(known > 0, self._slots * _FORGET + 1.0, self._slots)
        decay = torch.where(some[:, None] > 0, self._decays, 1.0)
        self._sums = self._sums * decay + requests
        self._squares = self._squares * decay + requests**2
        self._weights = self._weights * decay + some[:, None]
        least = self._errors.min(0).values
        return torch.where(self._slots > 0, _part(least, self._errors[0]), 1.0)

    def _climb(self, forecast: Tensor, capacities: Tensor) -> None:
        for _ in range(STEPS):
            ascent = self._gain_per_mb(forecast, capacities, torch.exp(self._log_state) * self._fits)
            top = self._top(ascent, self._node, self.network.V)
            rate = torch.where(top > 0, _RATE / top.clamp(min=1e-30), 0.0)
            self._log_state = batched.mirror_step(
                self.network, self._log_state, ascent, rate, self._budget, check=False
            )

    def _gain_per_mb(self, requests: Tensor, capacities: Tensor, point: Tensor) -> Tensor:
        point = point.clamp(0.0, 1.0)
        _, gradient = batched.gain_and_subgradient(self.network, requests, capacities, point, check=False)
        return gradient / self._sizes * self._fits

    def _top(self, values: Tensor, index: Tensor, count: int) -> Tensor:
        """(B, count) largest of the values (B, P), all >= 0, with each index."""
        return values.new_zeros(len(values), count).scatter_reduce(1, index.expand_as(values), values, "amax")

    def _tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(np.array(values), dtype=torch.float32, device=self.device)


def _part(values: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, values / whole.clamp(min=1e-30), 0.0)


def _saving(service: RankedService) -> Any:
    """(P,) part of the repository's cost that serving at a placement saves, on average over the types that list it."""
    start, types, ranks = service.listing
    saving = 1.0 - service.costs[types, ranks] / np.maximum(service.costs[types, -1], 1e-30)
    placement = np.repeat(np.arange(service.P), np.diff(start))
    total = np.bincount(placement, saving, minlength=service.P)
    return total / np.maximum(np.diff(start), 1)
