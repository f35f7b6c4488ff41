"""The feasible set over batches of tensors: projection, packing, rounding; see `serving` for what arguments share."""

from __future__ import annotations

import numpy as np
import torch

from idn_gym import kernels
from idn_gym.batched import arguments, portable, reference
from idn_gym.batched.arguments import (
    chosen,
    floating,
    per_node,
    refuse_out,
    refuse_values,
    tensor,
    triton_backend,
    wants_check,
)
from idn_gym.batched.tables import shelf_tables_of, tables_of
from idn_gym.errors import IdnError
from idn_gym.model.allocation import Residual, refuse_residual
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements

Tensor = torch.Tensor


def project(
    network: Network,
    log_h: Tensor,
    mass: Tensor | np.ndarray,
    *,
    budgets: Tensor | np.ndarray | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Tensor:
    """(B, P) log of the Bregman projection of h on what spends `mass` at each node; see `allocation.project`."""
    still = torch.zeros_like(floating("log_h", log_h))
    none = torch.zeros(1, network.V, dtype=torch.float64)
    return mirror_step(
        network, log_h, still, none.to(log_h.device), mass, budgets=budgets, backend=backend, check=check, name="log_h"
    )


def mirror_step(
    placements: Placements,
    log_y: Tensor,
    ascent: Tensor,
    rate: Tensor | np.ndarray,
    mass: Tensor | np.ndarray,
    *,
    budgets: Tensor | np.ndarray | None = None,
    out: Tensor | None = None,
    state: Tensor | None = None,
    backend: str | None = None,
    check: bool | None = None,
    name: str = "log_y",
) -> Tensor:
    """(B, P) log of the Bregman projection y' of y exp(rate x ascent); see `kernels.mirror_step`.

    Parameters
    ----------
    log_y, ascent : (B, P) of one dtype.
    rate, mass, budgets : (V,) or (B, V).
    out, state : contiguous (B, P) to fill with log y' and y'.
    name : of the first argument, in errors.
    """
    log_y = tensor(name, floating(name, log_y), log_y, placements.P, lead=True)
    ascent = tensor("ascent", ascent, log_y, placements.P, len(log_y), lead=True)
    per_row = [
        per_node(key, values, placements, log_y)
        for key, values in (("rate", rate), ("mass", mass), ("budgets", budgets))
    ]
    for key, filled in (("out", out), ("state", state)):
        if filled is not None:
            refuse_out(key, filled, log_y, tuple(log_y.shape))
    if wants_check(check, log_y.device):
        if not arguments.extremes(log_y)[1] < np.inf:
            raise IdnError(f"{name}: holds NaN or inf; must be logarithms of finite numbers >= 0")
        refuse_values("ascent", ascent, lowest=-np.inf)
        for key, values in zip(("rate", "mass", "budgets"), per_row, strict=True):
            refuse_values(key, values)
    match chosen(backend, log_y.device):
        case "numba":
            out = torch.empty_like(log_y) if out is None else out
            kernels.mirror_step(
                placements,
                log_y.numpy(),
                ascent.numpy(),
                per_row[0].numpy(),
                per_row[1].numpy(),
                per_row[2].numpy(),
                out=out.numpy(),
                state=None if state is None else state.numpy(),
            )
            return out
        case "triton":
            return triton_backend().mirror_step(shelf_tables_of(placements, log_y), log_y, ascent, *per_row, out, state)
        case "torch":
            found = portable.mirror_step(shelf_tables_of(placements, log_y), log_y, ascent, *per_row)
        case _:
            found = reference.mirror_step(placements, log_y, ascent, *per_row)
    if state is not None:
        torch.exp(found, out=state)
    return found if out is None else out.copy_(found)


def node_maximum(
    placements: Placements,
    values: Tensor,
    *,
    budgets: Tensor | np.ndarray | None = None,
    backend: str | None = None,
) -> Tensor:
    """(B, V) float64: the largest value (B, P) among what fits at each node, at least 0."""
    values = tensor("values", floating("values", values), values, placements.P, lead=True)
    nodes = per_node("budgets", budgets, placements, values)
    if chosen(backend, values.device) in ("numba", "reference"):
        return torch.from_numpy(kernels.node_maximum(placements, values.cpu().numpy(), nodes.cpu().numpy())).to(
            values.device
        )
    return portable.node_maximum(shelf_tables_of(placements, values), values, nodes)


def pack(
    network: Network,
    priority: Tensor,
    *,
    budgets: Tensor | np.ndarray | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Tensor:
    """(B, P) int8, feasible: at each node, in descending order of priority, what still fits; see `allocation.pack`."""
    priority = tensor("priority", floating("priority", priority), priority, network.P, lead=True)
    nodes = per_node("budgets", budgets, network, priority)
    if wants_check(check, priority.device):
        if np.isnan(arguments.extremes(priority)[1]):
            raise IdnError("priority: holds NaN; must be numbers, or -inf to keep a placement out")
        refuse_values("budgets", nodes)
    match chosen(backend, priority.device):
        case "numba":
            packed = torch.empty(priority.shape, dtype=torch.int8)
            kernels.pack(network, priority.numpy(), nodes.numpy(), packed.numpy())
            return packed
        case "triton":
            return triton_backend().pack(tables_of(network, priority), priority, nodes)
        case "torch":
            return portable.pack(tables_of(network, priority), priority, nodes)
        case _:
            return reference.pack(network, priority, nodes)


def round_dependent(
    network: Network,
    allocation: Tensor,
    uniforms: Tensor,
    residual: Residual = "drop",
    *,
    budgets: Tensor | np.ndarray | None = None,
    out: Tensor | None = None,
    backend: str | None = None,
    check: bool | None = None,
) -> Tensor:
    """(B, P) int8 from a fractional allocation within its budget and uniforms; see `allocation.round_dependent`."""
    y = tensor("allocation", floating("allocation", allocation), allocation, network.P, lead=True)
    u = tensor("uniforms", uniforms, y, network.P, len(y), lead=True)
    nodes = per_node("budgets", budgets, network, y)
    refuse_residual(residual)
    if out is not None:
        refuse_out("out", out, y.new_empty(0, dtype=torch.int8), tuple(y.shape))
    if wants_check(check, y.device):
        refuse_values("allocation", y, highest=1.0)
        refuse_values("uniforms", u, highest=float(np.nextafter(1.0, 0.0)), allowed="in [0, 1)")
        refuse_values("budgets", nodes)
        tables = tables_of(network, y)
        arguments.refuse_rows_over_budget(network, "allocation", y, tables.sizes, tables.placement_node, nodes)
    match chosen(backend, y.device):
        case "numba":
            out = torch.empty(y.shape, dtype=torch.int8) if out is None else out
            kernels.round_dependent(network, y.numpy(), u.numpy(), residual, nodes.numpy(), out.numpy())
            return out
        case "triton":
            found = triton_backend().round_dependent(tables_of(network, y), y, u, residual, nodes)
        case "torch":
            found = portable.round_dependent(tables_of(network, y), y, u, residual, nodes)
        case _:
            found = reference.round_dependent(network, y, u, residual, nodes)
    return found if out is None else out.copy_(found)


def memory(
    network: Network, allocation: Tensor, before: Tensor, *, backend: str | None = None
) -> tuple[Tensor, Tensor]:
    """(B, V) MB in use and (B,) MB newly loaded since the allocation before, both (B, P) int8."""
    held = tensor("allocation", allocation, allocation, network.P, lead=True)
    earlier = tensor("before", before, allocation, network.P, len(held), lead=True)
    if chosen(backend, held.device) == "numba":
        in_use, loaded = kernels.memory(network, held.numpy(), earlier.numpy())
        return torch.from_numpy(in_use), torch.from_numpy(loaded)
    return portable.memory(tables_of(network, held), held, earlier)
