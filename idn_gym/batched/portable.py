"""The batched functions in plain PyTorch, for any device: vectorised over chunks of rows, sums in float64."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from idn_gym.batched.tables import DeviceTables, ShelfTables
from idn_gym.model.placements import room
from idn_gym.model.service import Served

_CHUNK = 64  # rows at a time: temporaries of (64, R, K) stay in cached memory
Tensor = torch.Tensor


def gain_and_subgradient(
    tables: DeviceTables, requests: Tensor, capacities: Tensor, allocation: Tensor, tolerance: float, rows: int
) -> tuple[Tensor, Tensor]:
    """Gain (B,) and subgradient (B, P); see `idn_gym.model.gain`."""
    gain = requests.new_empty(rows)
    gradient = requests.new_empty(rows, len(tables.sizes))
    for chunk in _chunks(rows):
        r, share, total = _covered(tables, *(_of(x, chunk) for x in (requests, capacities, allocation)))
        gain[chunk] = (r * (total.clamp(max=1.0) * _steps(tables)).sum(2)).sum(1).to(gain.dtype)
        star = torch.minimum((total < 1.0 - tolerance).sum(2), tables.last)
        at_star = tables.costs.expand(len(r), -1, -1).gather(2, star[:, :, None])
        saved = (at_star - tables.costs).clamp(min=0.0) * r[:, :, None]
        summed = torch.zeros(len(r), share.shape[1] + 1, dtype=share.dtype, device=share.device)
        summed.index_add_(1, tables.option_shares.ravel(), saved.flatten(1))
        by_class = (summed[:, :-1] * share).reshape(len(r), tables.classes, -1)
        gradient[chunk] = by_class.sum(1).to(gradient.dtype)
    return gain, gradient


def gain(tables: DeviceTables, requests: Tensor, capacities: Tensor, allocation: Tensor, rows: int) -> Tensor:
    """Gain (B,)."""
    found = requests.new_empty(rows)
    for chunk in _chunks(rows):
        r, _, total = _covered(tables, *(_of(x, chunk) for x in (requests, capacities, allocation)))
        found[chunk] = (r * (total.clamp(max=1.0) * _steps(tables)).sum(2)).sum(1).to(found.dtype)
    return found


def serve(tables: DeviceTables, requests: Tensor, capacities: Tensor, allocation: Tensor, rows: int) -> Served:
    """What serving comes to."""
    double, nodes = tables.sizes.dtype, len(tables.node_start) - 1
    gain, cost, latency, inaccuracy, missed = (requests.new_empty(rows, dtype=double) for _ in range(5))
    by_node = torch.zeros(rows, nodes, dtype=double, device=requests.device)
    for chunk in _chunks(rows):
        r, _, total = _covered(tables, *(_of(x, chunk) for x in (requests, capacities, allocation)))
        covered = total.clamp(max=1.0)
        served = torch.diff(covered, dim=2, prepend=torch.zeros_like(covered[:, :, :1])) * r[:, :, None]
        cost[chunk] = (served * tables.costs).sum((1, 2))
        gain[chunk] = (r * (covered * _steps(tables)).sum(2)).sum(1)
        latency[chunk] = (served * tables.option_latency).sum((1, 2))
        inaccuracy[chunk] = (served * tables.option_inaccuracy).sum((1, 2))
        missed[chunk] = (served * tables.option_late).sum((1, 2))
        by_node[chunk] = by_node[chunk].index_add(1, tables.option_node.ravel(), served.flatten(1))
    return Served(gain=gain, cost=cost, latency=latency, inaccuracy=inaccuracy, missed=missed, by_node=by_node)


def memory(tables: ShelfTables, allocation: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """(B, V) MB in use and (B,) MB newly loaded."""
    held = allocation * tables.sizes
    in_use = torch.zeros(len(held), len(tables.node_start) - 1, dtype=held.dtype, device=held.device)
    in_use.index_add_(1, tables.placement_node, held)
    return in_use, (held * (before == 0)).sum(1)


def node_maximum(tables: ShelfTables, values: Tensor, budgets: Tensor) -> Tensor:
    """(B, V) largest value among what fits, at least 0."""
    fits = tables.sizes <= _room(tables, budgets)
    padded = _padded(torch.where(fits, values, 0.0), 0.0)[:, tables.by_node]
    return padded.amax(2).clamp(min=0.0).to(tables.sizes.dtype)


def mirror_step(
    tables: ShelfTables, log_y: Tensor, ascent: Tensor, rate: Tensor, mass: Tensor, budgets: Tensor
) -> Tensor:
    """(B, P) log of the projection of y exp(rate x ascent); by sorting, as `allocation.project`."""
    fits = tables.sizes <= _room(tables, budgets)
    double = tables.sizes.dtype
    log_h = log_y.to(double) + rate[:, tables.placement_node] * ascent.to(double)
    log_h = _padded(torch.where(fits, log_h, -torch.inf), -torch.inf)[:, tables.by_node]  # (B, V, W)
    sizes = _padded(torch.where(fits, tables.sizes, 0.0).expand(len(log_h), -1), 0.0)[:, tables.by_node]
    total = sizes.sum(2)
    ranked, order = log_h.sort(dim=2, descending=True, stable=True)
    size = sizes.gather(2, order)
    left = mass[:, :, None] - (size.cumsum(2) - size)  # once those ranked before are at 1
    left = torch.maximum(left, 1e-12 * mass[:, :, None])
    log_mass = (torch.log(size) + ranked).flip(2).logcumsumexp(2).flip(2)  # of an entry and those ranked after
    log_c = torch.log(left) - log_mass
    settled = (ranked + log_c <= 0.0) & (size > 0)
    first = settled.to(torch.int8).argmax(2, keepdim=True)
    found = settled.any(2, keepdim=True)
    log_c = torch.where(found, log_c.gather(2, first), 0.0)
    clipped = (torch.arange(size.shape[2], device=size.device) < first) | ~found
    log_state = torch.where(clipped & (size > 0), 0.0, ranked + log_c)
    everything = (total <= mass)[:, :, None] & (size > 0)
    log_state = torch.where(everything, 0.0, log_state)
    log_state = torch.where((mass <= 0.0)[:, :, None] | (size <= 0), -torch.inf, log_state)
    return _from_nodes(tables, torch.empty_like(log_state).scatter_(2, order, log_state)).to(log_y.dtype)


def pack(tables: ShelfTables, priority: Tensor, budgets: Tensor) -> Tensor:
    """(B, P) int8: at each node, in descending order of priority, what still fits."""
    by_node = _padded(priority, -torch.inf)[:, tables.by_node]
    sizes = _padded(tables.sizes[None], 0.0)[:, tables.by_node].expand_as(by_node)
    ranked, order = by_node.sort(dim=2, descending=True, stable=True)
    size = sizes.gather(2, order)
    left = room(budgets).expand(len(by_node), -1).clone()
    packed = torch.zeros_like(ranked, dtype=torch.int8)
    for k in range(ranked.shape[2]):
        placed = (ranked[:, :, k] > -torch.inf) & (size[:, :, k] <= left)
        left -= torch.where(placed, size[:, :, k], 0.0)
        packed[:, :, k] = placed
    return _from_nodes(tables, torch.empty_like(packed).scatter_(2, order, packed))


def round_dependent(
    tables: ShelfTables, allocation: Tensor, uniforms: Tensor, residual: str, budgets: Tensor
) -> Tensor:
    """(B, P) int8; the same moves in the same order as `allocation.round_dependent`."""
    double = tables.sizes.dtype
    above, first, held, coin_of_last = (values[:, :, None] for values in gathered(tables, allocation, uniforms))
    y = _padded(above[:, :, 0], 0.0)[:, tables.by_node]  # (B, V, W)
    full_mb = _padded(tables.sizes[None], 1.0)[:, tables.by_node].expand_as(y)
    mb, uniform = full_mb * y, _padded(uniforms.to(double), 0.0)[:, tables.by_node]
    rounded = y >= 1.0
    fractional = (y > 0.0) & (y < 1.0)
    waiting = fractional.to(torch.int8).argsort(dim=2, descending=True, stable=True)
    n = fractional.sum(2, keepdim=True)
    at_node = first - tables.node_start[:-1, None]
    carried = torch.where(first < 0, first, at_node)
    size = torch.where(first < 0, 1.0, tables.sizes[first.clamp(min=0)])
    for k in range(y.shape[2] - 1, -1, -1):
        active = n > k
        draw = uniform[:, :, k : k + 1] * (k + 1)
        drawn = draw.to(torch.int64).clamp(0, k)  # whatever it is told, it stays at its node
        coin = draw - drawn
        p = waiting.gather(2, drawn)
        waiting.scatter_(2, drawn, torch.where(active, waiting[:, :, k : k + 1], p))
        coin_of_last = torch.where((n == k + 1) & (first < 0), coin, coin_of_last)
        other_size, other = full_mb.gather(2, p), mb.gather(2, p)
        starts, pairs = active & (carried < 0), active & (carried >= 0)
        up, down = torch.minimum(size - held, other), torch.minimum(held, other_size - other)
        rises = coin * (up + down) < down
        fills = torch.where(rises, up == size - held, down == other_size - other)
        empties = torch.where(rises, up == other, down == held)
        moved = torch.where(rises, up, -down)
        target = torch.where(rises, carried, p).clamp(min=0)
        rounded.scatter_(2, target, rounded.gather(2, target) | (pairs & fills))
        replaced = starts | (pairs & torch.where(rises, fills, empties))
        held = torch.where(pairs, held + moved, held)
        held = torch.where(replaced, torch.where(starts, other, other - moved), held)
        size = torch.where(replaced, other_size, size)
        carried = torch.where(replaced, p, carried)
        carried = torch.where(pairs & fills & empties, -1, carried)
    if residual != "drop":
        target = carried.clamp(min=0)
        wins = (carried >= 0) & (coin_of_last * size < held)
        if residual == "fit":
            wins &= size <= room(budgets)[:, :, None] - (full_mb * rounded).sum(2, keepdim=True)
        rounded.scatter_(2, target, rounded.gather(2, target) | wins)
        return _from_nodes(tables, rounded.to(torch.int8))
    kept = _from_nodes(tables, rounded)
    return pack(tables, torch.where(kept, torch.inf, allocation.to(double) / tables.sizes), budgets)


def gathered(tables: ShelfTables, allocation: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The allocation (B, P) less the tail of each node, and of it (B, V): the entry with its MB, these, and its coin.

    The entry is -1 where a node has no tail.
    """
    double, last = tables.sizes.dtype, len(tables.sizes)
    y, uniform = allocation.to(double), _padded(uniforms.to(double), 0.0)
    tail = (y > 0.0) & (y < tables.tail[tables.placement_node])
    up_to = _padded(torch.where(tail, tables.sizes * y, 0.0), 0.0)[:, tables.by_node].cumsum(2)
    mass = up_to[:, :, -1]
    counts = [_padded(each.to(double), 0.0)[:, tables.by_node].sum(2).long() for each in (tail, (y < 1.0) & (y > 0.0))]
    draws = tables.node_start[:-1] + counts[1] - counts[0]
    coin = uniform.gather(1, draws.clamp(max=last))
    drawn = torch.where(counts[0] > 1, uniform.gather(1, (draws + 1).clamp(max=last)), 0.0)
    rank = torch.minimum((up_to <= (drawn * mass)[:, :, None]).sum(2), (up_to < mass[:, :, None]).sum(2))
    entry = tables.by_node.expand(len(y), -1, -1).gather(2, rank[:, :, None])[:, :, 0]
    some = mass > 0.0
    return torch.where(tail, 0.0, y), torch.where(some, entry, -1), mass, torch.where(some, coin, 0.0)


def _covered(tables: DeviceTables, requests: Tensor, capacities: Tensor, allocation: Tensor) -> tuple[Tensor, ...]:
    """Requests (n, R), shares (n, C * P), and per option the share of a batch covered up to it (n, R, K)."""
    double = tables.sizes.dtype
    r, y = requests.to(double), allocation.to(double)
    rows = max(len(r), len(capacities), len(y))
    load = torch.zeros(len(r), tables.group_types.shape[1] + 1, dtype=double, device=r.device)
    for groups in tables.path_groups.T:
        load.index_add_(1, groups, r)
    passing, left = load[:, tables.share_group], capacities.to(double)
    if tables.classes > 1:
        by_class = load[:, :-1].reshape(len(load), tables.classes, -1)
        above = torch.cat([torch.zeros_like(by_class[:, :1]), by_class[:, :-1].cumsum(1)], 1).flatten(1)
        left = (left.repeat(1, tables.classes) - above[:, tables.share_group]).clamp(min=0.0)
    share = torch.where(passing > 0, left / passing, 1.0).clamp(max=1.0).expand(rows, -1)
    w = _padded(share * y.repeat(1, tables.classes), 1.0)  # a repository model serves whatever is left
    return r.expand(rows, -1), share, w[:, tables.option_shares].cumsum(2)


def _steps(tables: DeviceTables) -> Tensor:
    """(R, K) what serving one rank earlier saves; 0 from the repository model on."""
    return torch.diff(tables.costs, dim=1, append=tables.costs[:, -1:])


def _room(tables: ShelfTables, budgets: Tensor) -> Tensor:
    return room(budgets)[:, tables.placement_node]


def _padded(values: Tensor, fill: float) -> Tensor:
    return torch.cat([values, values.new_full((len(values), 1), fill)], dim=1)


def _from_nodes(tables: ShelfTables, values: Tensor) -> Tensor:
    """(B, V, W) values by node as (B, P)."""
    flat = values.new_zeros(len(values), len(tables.sizes) + 1)
    flat.scatter_(1, tables.by_node.ravel().expand(len(values), -1), values.flatten(1))
    return flat[:, :-1].contiguous()


def _of(values: Tensor, chunk: slice) -> Tensor:
    return values if len(values) == 1 else values[chunk]


def _chunks(rows: int) -> Iterator[slice]:
    return (slice(first, min(first + _CHUNK, rows)) for first in range(0, rows, _CHUNK))
