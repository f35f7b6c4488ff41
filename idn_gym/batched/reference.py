"""The batched functions as loops over the NumPy reference, float64: slow, and what the others are compared with."""

from __future__ import annotations

import numpy as np
import torch

from idn_gym.errors import IdnError
from idn_gym.model import allocation as feasible
from idn_gym.model import gain as single
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.model.service import Served
from idn_gym.typing import FloatArray

Tensor = torch.Tensor


def gain_and_subgradient(
    network: Network, requests: Tensor, capacities: Tensor, allocation: Tensor, tolerance: float, rows: int
) -> tuple[Tensor, Tensor]:
    """Gain (B,) and subgradient (B, P)."""
    slots = _slots(requests, capacities, allocation, rows)
    gradient = [single.subgradient(network, *slot, tolerance=tolerance) for slot in slots]
    return gain(network, requests, capacities, allocation, rows), _like(np.stack(gradient), requests)


def gain(network: Network, requests: Tensor, capacities: Tensor, allocation: Tensor, rows: int) -> Tensor:
    """Gain (B,)."""
    slots = _slots(requests, capacities, allocation, rows)
    return _like(np.array([single.allocation_gain(network, *slot) for slot in slots]), requests)


def serve(network: Network, requests: Tensor, capacities: Tensor, allocation: Tensor, rows: int) -> Served:
    """What serving comes to, row by row."""
    served = [network.service.serve(*slot) for slot in _slots(requests, capacities, allocation, rows)]
    return Served(*(torch.tensor(np.array(values)) for values in zip(*served, strict=True)))


def mirror_step(
    placements: Placements, log_y: Tensor, ascent: Tensor, rate: Tensor, mass: Tensor, budgets: Tensor
) -> Tensor:
    """(B, P) log of the projection of y exp(rate x ascent); `budgets` must be their own."""
    _refuse_budgets(placements, budgets)
    eta, masses = (_numpy(values.expand(len(log_y), -1)) for values in (rate, mass))
    log_h = _numpy(log_y) + eta[:, placements.placement_node] * _numpy(ascent)
    return _like(np.stack([feasible.project(placements, h, m) for h, m in zip(log_h, masses, strict=True)]), log_y)


def pack(network: Network, priority: Tensor, budgets: Tensor) -> Tensor:
    """(B, P) int8; `budgets` must be the network's."""
    _refuse_budgets(network, budgets)
    return torch.from_numpy(np.stack([feasible.pack(network, row) for row in _numpy(priority)])).to(priority.device)


def round_dependent(network: Network, allocation: Tensor, uniforms: Tensor, residual: str, budgets: Tensor) -> Tensor:
    """(B, P) int8; `budgets` must be the network's."""
    _refuse_budgets(network, budgets)
    pairs = zip(_numpy(allocation), _numpy(uniforms), strict=True)
    rows = [feasible.round_dependent(network, y, u, residual) for y, u in pairs]  # type: ignore[arg-type]
    return torch.from_numpy(np.stack(rows)).to(allocation.device)


def _slots(
    requests: Tensor, capacities: Tensor, allocation: Tensor, rows: int
) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    r, c, y = (_numpy(values.expand(rows, -1)) for values in (requests, capacities, allocation))
    return list(zip(r, c, y, strict=True))


def _numpy(values: Tensor) -> FloatArray:
    return values.to("cpu", torch.float64).numpy()


def _like(values: FloatArray, like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.device, like.dtype)


def _refuse_budgets(placements: Placements, budgets: Tensor) -> None:
    if not bool((budgets.cpu() == torch.from_numpy(placements.budgets.copy())).all()):
        raise IdnError("budgets: backend 'reference' knows those of the placements alone")
