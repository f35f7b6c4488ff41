"""Gain, subgradient and serving over batches of tensors: arguments checked, then handed to the device's backend.

Arguments all batched functions share: `backend` chooses one explicitly; `check` says whether values are looked at
(shapes, devices and dtypes always are), by default on the CPU alone, since elsewhere it would wait for the device.
"""

from __future__ import annotations

from typing import Any

import torch

from idn_gym import kernels
from idn_gym.batched import portable, reference
from idn_gym.batched.arguments import chosen, floating, refuse_out, refuse_values, tensor, triton_backend, wants_check
from idn_gym.batched.tables import tables_of
from idn_gym.model.network import Network
from idn_gym.model.service import Served

Tensor = torch.Tensor


TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-9}  # relative, of the covering test


def gain_and_subgradient(
    network: Network,
    requests: Tensor,
    capacities: Tensor,
    allocation: Tensor,
    *,
    tolerance: float | None = None,
    out: tuple[Tensor, Tensor] | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Gain (B,) and a supergradient (B, P) of it in the allocation, both in ms.

    Parameters
    ----------
    requests, capacities, allocation : (B, R), (B, P), (B, P) of one dtype, float32 or float64; or one row for all.
    tolerance : relative, of the covering test; 1e-5 in float32, 1e-9 in float64.
    out : contiguous tensors to fill; without, they are new.

    Raises
    ------
    IdnError
        Naming the argument of a wrong type, shape, dtype, device or value.

    Source: `idn_gym.model.gain.allocation_gain` and `subgradient`, row by row.
    """
    r, c, y, rows = _slots(network, requests, capacities, allocation, check)
    tolerance = TOLERANCES[y.dtype] if tolerance is None else tolerance
    if out is not None:
        refuse_out("out[0]", out[0], y, (rows,))
        refuse_out("out[1]", out[1], y, (rows, network.P))
    match chosen(backend, y.device):
        case "numba":
            gain, gradient = out or (y.new_empty(rows), y.new_empty(rows, network.P))
            views = gain.numpy(), gradient.numpy()
            kernels.gain_and_subgradient(network, r.numpy(), c.numpy(), y.numpy(), tolerance, views)
            return gain, gradient
        case "triton":
            found = triton_backend().gain_and_subgradient(tables_of(network, y), r, c, y, tolerance, rows, out)
        case "torch":
            found = portable.gain_and_subgradient(tables_of(network, y), r, c, y, tolerance, rows)
        case _:
            found = reference.gain_and_subgradient(network, r, c, y, tolerance, rows)
    return found if out is None else (out[0].copy_(found[0]), out[1].copy_(found[1]))


def gain(
    network: Network,
    requests: Tensor,
    capacities: Tensor,
    allocation: Tensor,
    *,
    backend: str | None = None,
    check: bool | None = None,
) -> Tensor:
    """Gain (B,) in ms, differentiable in the allocation; arguments as in `gain_and_subgradient`.

    The gain is concave and piecewise linear; where it has a kink, the backward pass takes one of its supergradients.
    """
    if torch.is_grad_enabled() and isinstance(allocation, Tensor) and allocation.requires_grad:
        found: Tensor = _Gain.apply(allocation, network, requests, capacities, backend, check)  # type: ignore[no-untyped-call]
        return found
    r, c, y, rows = _slots(network, requests, capacities, allocation, check)
    match chosen(backend, y.device):
        case "numba":
            found = y.new_empty(rows)
            kernels.gain(network, r.numpy(), c.numpy(), y.numpy(), found.numpy())
            return found
        case "triton":
            return triton_backend().gain(tables_of(network, y), r, c, y, rows)
        case "torch":
            return portable.gain(tables_of(network, y), r, c, y, rows)
        case _:
            return reference.gain(network, r, c, y, rows)


class _Gain(torch.autograd.Function):
    """The gain with its supergradient as the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        allocation: Tensor,
        network: Network,
        requests: Tensor,
        capacities: Tensor,
        backend: str | None,
        check: bool | None,
    ) -> Tensor:
        """Gain (B,); the supergradient is kept for the backward pass."""
        found, gradient = gain_and_subgradient(network, requests, capacities, allocation, backend=backend, check=check)
        ctx.save_for_backward(gradient)
        ctx.shape = allocation.shape
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        """Of the allocation alone, in its shape: summed over rows where one allocation served all."""
        (gradient,) = ctx.saved_tensors
        by_row = slope[:, None] * gradient
        whole = by_row if by_row.shape == ctx.shape else by_row.sum(0).reshape(ctx.shape)
        return whole, None, None, None, None, None


def serve(
    network: Network,
    requests: Tensor,
    capacities: Tensor,
    allocation: Tensor,
    *,
    backend: str | None = None,
    check: bool | None = None,
) -> Served:
    """What serving comes to, in float64; the allocation may also be int8."""
    floating("requests", requests)
    if isinstance(allocation, Tensor) and allocation.dtype == torch.int8:
        r = tensor("requests", requests, requests, network.R)
        c = tensor("capacities", capacities, requests, network.P)
        y = tensor("allocation", allocation, requests.new_empty(0, dtype=torch.int8), network.P)
        rows = _rows(network, r, c, y)
    else:
        r, c, y, rows = _slots(network, requests, capacities, allocation, check)
    match chosen(backend, r.device):
        case "numba":
            found = kernels.serve(network, r.numpy(), c.numpy(), y.numpy())
            return Served(*(torch.from_numpy(array) for array in found))
        case "triton":
            return triton_backend().serve(tables_of(network, r), r, c, y, rows)
        case "torch":
            return portable.serve(tables_of(network, r), r, c, y, rows)
        case _:
            return reference.serve(network, r, c, y, rows)


def _rows(network: Network, requests: Tensor, capacities: Tensor, allocation: Tensor) -> int:
    """B of checked rows, where each is B or 1."""
    rows = max(len(requests), len(capacities), len(allocation))
    for name, values, width in (
        ("requests", requests, network.R),
        ("capacities", capacities, network.P),
        ("allocation", allocation, network.P),
    ):
        tensor(name, values, values, width, rows)
    return rows


def _slots(
    network: Network, requests: Tensor, capacities: Tensor, allocation: Tensor, check: bool | None
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Requests, capacities, allocation as checked (B or 1, R/P/P), and B."""
    r = tensor("requests", floating("requests", requests), requests, network.R)
    c = tensor("capacities", capacities, requests, network.P)
    y = tensor("allocation", allocation, requests, network.P)
    rows = _rows(network, r, c, y)
    if wants_check(check, requests.device):
        refuse_values("requests", r)
        refuse_values("capacities", c)
        refuse_values("allocation", y, highest=1.0)
    return r, c, y, rows
