"""Launches the Triton kernels: each function is a fixed number of launches, and none waits for the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch

from idn_gym.batched import portable, triton_kernels
from idn_gym.batched.tables import DeviceTables, ShelfTables
from idn_gym.model.placements import room
from idn_gym.model.service import Served

Tensor = torch.Tensor
_BLOCK = 256  # request types, groups or placements at a time in `slots`
_WARPS = 8
_LANES = 32  # rows at a time in `move_pairs`
_PROGRAMS_PER_PROCESSOR = 4  # enough to hide the latency of the tables' cache
_MADE: WeakKeyDictionary[DeviceTables, dict[torch.dtype, Layout]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Layout:
    """Rank-major tables of one dtype, with 32-bit indices."""

    group_types: Tensor  # (D, G)
    placement_group: Tensor  # (P,) of class 0
    type_class: Tensor  # (R,)
    options: Tensor  # (K, R)
    costs: Tensor  # (K, R)
    last: Tensor  # (R,)
    option_latency: Tensor  # (K, R)
    option_inaccuracy: Tensor  # (K, R)
    option_late: Tensor  # (K, R) int8
    option_node: Tensor  # (K, R)
    listing_type: Tensor  # (L, P)
    listing_cost: Tensor  # (L, P)
    longest: Tensor  # (blocks,) entries of the listing that any placement of the block has

    @classmethod
    def of(cls, tables: DeviceTables, dtype: torch.dtype) -> Layout:
        """The layout for a dtype; the same object every time."""
        made = _MADE.setdefault(tables, {})
        if dtype not in made:
            listed = (tables.listing_type < len(tables.last)).sum(0)
            blocks = torch.nn.functional.pad(listed, (0, -len(listed) % _BLOCK)).reshape(-1, _BLOCK)
            made[dtype] = cls(
                group_types=tables.group_types.int().contiguous(),
                placement_group=tables.share_group[: len(tables.sizes)].int(),
                type_class=tables.type_class.int(),
                options=tables.options.T.int().contiguous(),
                costs=tables.costs.T.to(dtype).contiguous(),
                last=tables.last.int(),
                option_latency=tables.option_latency.T.to(dtype).contiguous(),
                option_inaccuracy=tables.option_inaccuracy.T.to(dtype).contiguous(),
                option_late=tables.option_late.T.to(torch.int8).contiguous(),
                option_node=tables.option_node.T.int().contiguous(),
                listing_type=tables.listing_type.int().contiguous(),
                listing_cost=tables.listing_cost.to(dtype).contiguous(),
                longest=blocks.amax(1).int() if blocks.numel() else torch.zeros(1, dtype=torch.int32),
            )
        return made[dtype]


def gain_and_subgradient(
    tables: DeviceTables,
    requests: Tensor,
    capacities: Tensor,
    allocation: Tensor,
    tolerance: float,
    rows: int,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Gain (B,) and subgradient (B, P)."""
    gain, gradient = out or (requests.new_empty(rows), requests.new_empty(rows, len(tables.sizes)))
    _slots(tables, requests, capacities, allocation, rows, tolerance, gain, gradient=gradient)
    return gain, gradient


def gain(tables: DeviceTables, requests: Tensor, capacities: Tensor, allocation: Tensor, rows: int) -> Tensor:
    """Gain (B,)."""
    found = requests.new_empty(rows)
    _slots(tables, requests, capacities, allocation, rows, 0.0, found)
    return found


def serve(tables: DeviceTables, requests: Tensor, capacities: Tensor, allocation: Tensor, rows: int) -> Served:
    """What serving comes to, in float64."""
    gain, cost, latency, inaccuracy, missed = requests.new_empty(5, rows, dtype=torch.float64)
    by_node = torch.zeros(rows, len(tables.node_start) - 1, dtype=torch.float64, device=requests.device)
    served = (cost, latency, inaccuracy, missed, by_node)
    _slots(tables, requests, capacities, allocation, rows, 0.0, gain, served=served)
    return Served(gain=gain, cost=cost, latency=latency, inaccuracy=inaccuracy, missed=missed, by_node=by_node)


def mirror_step(
    tables: ShelfTables,
    log_y: Tensor,
    ascent: Tensor,
    rate: Tensor,
    mass: Tensor,
    budgets: Tensor,
    out: Tensor | None = None,
    state: Tensor | None = None,
) -> Tensor:
    """(B, P) log of the projection, and the projection itself into `state`."""
    out = torch.empty_like(log_y) if out is None else out
    grid, width = _per_node(tables, log_y)
    triton_kernels.mirror[grid](
        log_y, ascent, rate, mass, budgets, out, out if state is None else state, tables.node_start, tables.sizes,
        log_y.shape[1], grid[1], _stride(rate), _stride(mass), _stride(budgets),
        WITH_STATE=state is not None, WIDTH=width, num_warps=_warps(width),
    )  # fmt: skip
    return out


def pack(tables: DeviceTables, priority: Tensor, budgets: Tensor) -> Tensor:
    """(B, P) int8."""
    packed = torch.zeros(priority.shape, dtype=torch.int8, device=priority.device)
    _fill(tables, priority, packed, budgets, per_mb=False)
    return packed


def round_dependent(
    tables: DeviceTables, allocation: Tensor, uniforms: Tensor, residual: str, budgets: Tensor
) -> Tensor:
    """(B, P) int8."""
    rounded = _pairs_moved(tables, allocation, uniforms, coin=residual != "drop")
    if residual == "drop":
        _fill(tables, allocation, rounded, budgets, per_mb=True)
    elif residual == "fit":
        in_use = portable.memory(tables, rounded, rounded)[0]
        fits = (in_use <= room(budgets))[:, tables.placement_node]
        rounded = torch.where(fits, rounded, _pairs_moved(tables, allocation, uniforms, coin=False))
    return rounded


def _pairs_moved(tables: DeviceTables, allocation: Tensor, uniforms: Tensor, coin: bool) -> Tensor:
    """(B, P) int8: the last fractional entry of a node by its coin, or 0."""
    rows, placements = allocation.shape
    rounded = torch.empty(allocation.shape, dtype=torch.int8, device=allocation.device)
    waiting = torch.empty(placements, rows, dtype=torch.int32, device=allocation.device)
    above, *first = portable.gathered(tables, allocation, uniforms)
    triton_kernels.move_pairs[-(-rows // _LANES), len(tables.node_start) - 1](
        above, uniforms, *first, rounded, waiting, tables.node_start, tables.sizes, rows, placements,
        COIN=coin, LANES=_LANES, num_warps=1,
    )  # fmt: skip
    return rounded


def _slots(
    tables: DeviceTables,
    requests: Tensor,
    capacities: Tensor,
    allocation: Tensor,
    rows: int,
    tolerance: float,
    gain: Tensor,
    gradient: Tensor | None = None,
    served: tuple[Tensor, ...] | None = None,
) -> None:
    layout, device = Layout.of(tables, requests.dtype), requests.device
    groups, types = layout.group_types.shape[1], len(layout.last)
    programs = rows
    if device.type == "cuda":
        processors = torch.cuda.get_device_properties(device).multi_processor_count
        programs = min(rows, _PROGRAMS_PER_PROCESSOR * processors)
    per_group = 1 if tables.classes == 1 else 2
    load = torch.empty(programs, per_group * groups, dtype=torch.float64, device=device)
    star_cost = torch.empty(programs, types, dtype=torch.float64, device=device)
    triton_kernels.slots[programs,](
        requests, capacities, allocation, gain, gain if gradient is None else gradient,
        *((gain,) * 5 if served is None else served), load, star_cost,
        layout.group_types, layout.placement_group, layout.type_class, layout.options, layout.costs, layout.last,
        layout.option_latency, layout.option_inaccuracy, layout.option_late, layout.option_node,
        layout.listing_type, layout.listing_cost, layout.longest,
        rows, _stride(requests), _stride(capacities), _stride(allocation), tolerance,
        types, len(tables.sizes), groups, len(tables.node_start) - 1, len(layout.options), len(layout.group_types),
        CLASSES=tables.classes, GRADIENT=gradient is not None, SERVE=served is not None, BLOCK=_BLOCK, num_warps=_WARPS,
    )  # fmt: skip


def _fill(tables: DeviceTables, priority: Tensor, packed: Tensor, budgets: Tensor, per_mb: bool) -> None:
    grid, width = _per_node(tables, priority)
    triton_kernels.fill[grid](
        priority, packed, budgets, tables.node_start, tables.sizes, priority.shape[1], grid[1], _stride(budgets),
        PER_MB=per_mb, WIDTH=width, num_warps=_warps(width),
    )  # fmt: skip


def _per_node(tables: ShelfTables, values: Tensor) -> tuple[tuple[int, int], int]:
    """Grid of rows x nodes, and the power of two that holds any node's placements."""
    return (len(values), len(tables.node_start) - 1), max(16, 1 << (tables.by_node.shape[1] - 1).bit_length())


def _warps(width: int) -> Any:
    return max(1, min(8, width // 64))


def _stride(values: Tensor) -> int:
    """From row to row; 0 where one row serves all."""
    return values.shape[1] if len(values) > 1 else 0
