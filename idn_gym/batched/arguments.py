"""What a caller may pass to the batched functions: one clear error for anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from idn_gym.common.arrays import numbers
from idn_gym.common.extras import missing
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.placements import BUDGET_SLACK, Placements, refuse_over_budget, room

BACKENDS = ("numba", "torch", "triton", "reference")


def chosen(backend: str | None, device: torch.device) -> str:
    """The backend asked for, or the one of the device: numba on the CPU, Triton on CUDA, portable PyTorch elsewhere."""
    if backend is None:
        return {"cpu": "numba", "cuda": "triton"}.get(device.type, "torch")
    if backend not in BACKENDS:
        raise IdnError(f"backend: {backend!r}; allowed: {', '.join(BACKENDS)}")
    if backend == "numba" and device.type != "cpu":
        raise IdnError(f"backend: 'numba' works on the CPU; the tensors are on {device}")
    return backend


def tensor(
    name: str, values: torch.Tensor, like: torch.Tensor, width: int, rows: int | None = None, lead: bool = False
) -> torch.Tensor:
    """Values as contiguous (B or 1, width) of the dtype and device of `like`, which is a checked tensor.

    With `rows`, that many rows, or 1 unless `lead`.
    """
    if not isinstance(values, torch.Tensor):
        raise IdnError(f"{name}: {type(values).__name__}; must be a torch.Tensor")
    if values.device != like.device:
        raise IdnError(f"{name}: on {values.device}; must be on {like.device}, as the others")
    if values.dtype != like.dtype:
        raise IdnError(f"{name}: dtype {values.dtype}; must be {like.dtype}, as the others")
    if values.ndim == 1 and not lead:
        values = values[None]
    allowed = "(B, {0})" if lead else "({0},) or (B, {0})"
    if values.ndim != 2 or values.shape[1] != width:
        raise IdnError(f"{name}: shape {tuple(values.shape)}; must be {allowed.format(width)}")
    if rows is not None and values.shape[0] not in ((rows,) if lead else (1, rows)):
        raise IdnError(f"{name}: {values.shape[0]} rows; must be {rows}" + ("" if lead else ", or 1 to serve all"))
    return values.detach().contiguous()


def floating(name: str, values: torch.Tensor) -> torch.Tensor:
    """The tensor that sets dtype and device: float32 or float64."""
    if not isinstance(values, torch.Tensor):
        raise IdnError(f"{name}: {type(values).__name__}; must be a torch.Tensor")
    if values.dtype not in (torch.float32, torch.float64):
        raise IdnError(f"{name}: dtype {values.dtype}; must be torch.float32 or torch.float64")
    return values


def per_node(
    name: str, values: torch.Tensor | np.ndarray | None, placements: Placements, like: torch.Tensor
) -> torch.Tensor:
    """(B or 1, V) float64 on the device of `like`; None stands for the placements' budgets."""
    if values is None:
        values = placements.budgets
    double = torch.float32 if like.device.type == "mps" else torch.float64
    if isinstance(values, torch.Tensor) and values.device != like.device:
        raise IdnError(f"{name}: on {values.device}; must be on {like.device}, as the others")
    if not isinstance(values, torch.Tensor):
        values = torch.from_numpy(np.array(numbers(name, values), dtype=np.float64))
    nodes = values.to(like.device, double, non_blocking=True)
    nodes = nodes[None] if nodes.ndim == 1 else nodes
    if nodes.ndim != 2 or nodes.shape[1] != placements.V or nodes.shape[0] not in (1, like.shape[0]):
        raise IdnError(
            f"{name}: shape {tuple(values.shape)}; must be ({placements.V},) or ({like.shape[0]}, {placements.V})"
        )
    return nodes.contiguous()


def wants_check(check: bool | None, device: torch.device) -> bool:
    """Whether values are looked at: by default on the CPU alone, since elsewhere it would wait for the device."""
    return device.type == "cpu" if check is None else check


def refuse_values(
    name: str, values: torch.Tensor, lowest: float = 0.0, highest: float = np.inf, allowed: str | None = None
) -> None:
    """Raise, naming the first entry, unless all are finite and within bounds."""
    if values.numel() == 0:
        return
    low, high = extremes(values)
    if low >= lowest and high <= highest and high < np.inf and low > -np.inf:
        return
    bad = ~((values >= lowest) & (values <= highest) & torch.isfinite(values))
    where = [int(i) for i in torch.nonzero(bad)[0]]
    if allowed is None:
        allowed = f"in [{lowest:g}, {highest:g}]" if highest < np.inf else "finite"
        allowed += f" and >= {lowest:g}" if highest == np.inf and lowest > -np.inf else ""
    raise IdnError(f"{name}{where}: {float(values[tuple(where)])}; must be {allowed}")


def extremes(values: torch.Tensor) -> tuple[float, float]:
    """Smallest and largest value; NaN if there is one."""
    if values.device.type == "cpu":  # in this thread: PyTorch's would wait for one another where cores are shared
        array = values.numpy()
        return float(array.min()), float(array.max())
    low, high = torch.aminmax(values)
    return float(low), float(high)


def refuse_rows_over_budget(
    network: Network,
    name: str,
    allocation: torch.Tensor,
    sizes: torch.Tensor,
    nodes: torch.Tensor,
    budgets: torch.Tensor,
) -> None:
    """Raise, naming row and node, where an allocation (B, P) weighs more than a budget (B or 1, V)."""
    used = torch.zeros(allocation.shape[0], network.V, dtype=budgets.dtype, device=budgets.device)
    used.index_add_(1, nodes, allocation.to(budgets.dtype) * sizes)
    slack = BUDGET_SLACK if allocation.dtype in (torch.float64, torch.int8) else 1e-6  # the rounding of its dtype
    over = used > room(budgets, slack)
    if bool(over.any()):
        b = int(torch.nonzero(over)[0, 0])
        of_row, limits = used[b].cpu().numpy(), budgets.expand_as(used)[b].cpu().numpy()
        refuse_over_budget(network, of_row, f"{name}[{b}]", "holds", limits, slack)


def refuse_out(name: str, out: torch.Tensor, like: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless `out` can be filled: contiguous, of this shape, and of the dtype and device of `like`."""
    if not isinstance(out, torch.Tensor):
        raise IdnError(f"{name}: {type(out).__name__}; must be a torch.Tensor")
    if tuple(out.shape) != shape or out.dtype != like.dtype or out.device != like.device or not out.is_contiguous():
        raise IdnError(
            f"{name}: {out.dtype} of shape {tuple(out.shape)} on {out.device}; "
            f"must be contiguous {like.dtype} of shape {shape} on {like.device}"
        )


def triton_backend() -> Any:
    """The module of the Triton kernels, which an extra installs."""
    try:
        import idn_gym.batched.triton_backend as module
    except ImportError as error:
        raise missing("gpu", "backend 'triton'", "triton", error) from None
    return module
