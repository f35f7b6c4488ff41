"""Triton kernels of the batched functions; `triton_backend` launches them.

Sums are in float64 whatever the arrays hold. Tables are rank-major, so that neighbouring types read neighbouring
addresses. The subgradient is gathered by placement, which needs no atomic operation and gives the same bits every time.
"""

import triton
import triton.language as tl

_NO_LOAD = tl.constexpr(1e300)  # stands for 1/0, as in `idn_gym.kernels`
_SLACK = tl.constexpr(1e-9)  # `idn_gym.model.placements.BUDGET_SLACK`


@triton.jit
def slots(
    requests, capacities, allocation, gain, gradient, cost, latency, inaccuracy, missed, by_node, load, star_cost,
    group_types, placement_group, type_class, options, costs, last,
    option_latency, option_inaccuracy, option_late, option_node,
    listing_type, listing_cost, longest,
    rows, r_stride, c_stride, y_stride, tolerance,
    R, P, G, V, K, D,
    CLASSES: tl.constexpr, GRADIENT: tl.constexpr, SERVE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gain of each row, with its subgradient or with what serving costs; a program works through every n-th row.

    `load` (programs, G), of several classes (programs, 2 G) with what those above take, and `star_cost` (programs, R)
    are each program's own scratch, which stays in the cache.
    """
    b = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    covered = 1.0 - (tl.zeros([BLOCK], tl.float64) + tolerance)  # the argument itself comes in float32
    of_class = G // CLASSES
    above_load = load + b * (2 * G) + G
    load += b * (G if CLASSES == 1 else 2 * G)
    star_cost += b * R
    while b < rows:
        r, c, y = requests + b * r_stride, capacities + b * c_stride, allocation + b * y_stride
        for start in range(0, of_class, BLOCK):
            inside = start + lane < of_class
            above = tl.zeros([BLOCK], tl.float64)
            for level in range(CLASSES):
                group = level * of_class + start + lane
                passing = tl.zeros([BLOCK], tl.float64)
                for d in range(D):
                    rho = tl.load(group_types + d * G + group, mask=inside, other=R)
                    passing += tl.load(r + rho, mask=rho < R, other=0.0).to(tl.float64)
                some = passing > 0.0
                reciprocal = tl.where(some, 1.0 / tl.where(some, passing, 1.0), _NO_LOAD)
                tl.store(load + group, reciprocal, mask=inside)
                if CLASSES > 1:
                    tl.store(above_load + group, above, mask=inside)
                    above += passing
        tl.debug_barrier()

        saved_ms = tl.zeros([BLOCK], tl.float64)
        spent_ms = tl.zeros([BLOCK], tl.float64)
        waited = tl.zeros([BLOCK], tl.float64)
        short = tl.zeros([BLOCK], tl.float64)
        late = tl.zeros([BLOCK], tl.float64)
        for start in range(0, R, BLOCK):
            rho = start + lane
            inside = rho < R
            q = tl.load(r + rho, mask=inside, other=0.0).to(tl.float64)
            end = tl.load(last + rho, mask=inside, other=0)
            first = 0 * end
            if CLASSES > 1:
                first = tl.load(type_class + rho, mask=inside, other=0) * of_class
            at_last = tl.load(costs + end * R + rho, mask=inside, other=0.0).to(tl.float64)
            at_star = at_last
            star = end
            sum_w = tl.zeros([BLOCK], tl.float64)
            sum_cost = tl.zeros([BLOCK], tl.float64)
            sum_waited = tl.zeros([BLOCK], tl.float64)
            sum_short = tl.zeros([BLOCK], tl.float64)
            sum_late = tl.zeros([BLOCK], tl.float64)
            going = inside & (q > 0.0)
            k = 0
            left = tl.max(going.to(tl.int32), axis=0)
            while (k < K) & (left > 0):  # until every type of the block is covered
                here = going & (k < end)
                p = tl.load(options + k * R + rho, mask=here, other=0)
                group = tl.load(placement_group + p, mask=here, other=0) + first
                share = _share(c + p, load + group, above_load + group, here, CLASSES)
                w = share * tl.load(y + p, mask=here, other=0).to(tl.float64)
                ms = tl.load(costs + k * R + rho, mask=here, other=0.0).to(tl.float64)
                covers = here & (sum_w + w >= covered)
                at_star = tl.where(covers, ms, at_star)
                star = tl.where(covers, k, star)
                going = here & (sum_w + w < covered)
                taken = tl.where(going, w, 0.0)
                sum_w += taken
                sum_cost += taken * ms
                if SERVE:
                    delay = tl.load(option_latency + k * R + rho, mask=here, other=0.0).to(tl.float64)
                    sum_waited += taken * delay
                    points = tl.load(option_inaccuracy + k * R + rho, mask=here, other=0.0).to(tl.float64)
                    sum_short += taken * points
                    slow = tl.load(option_late + k * R + rho, mask=here, other=0)
                    sum_late += taken * slow.to(tl.float64)
                    node = tl.load(option_node + k * R + rho, mask=going, other=0)
                    tl.atomic_add(by_node + b * V + node, taken * q, mask=going & (taken > 0.0))
                k += 1
                left = tl.max(going.to(tl.int32), axis=0)
            rest = 1.0 - sum_w
            saved_ms += q * (at_last - sum_cost - rest * at_star)
            if SERVE:
                spent_ms += q * (sum_cost + rest * at_star)
                delay = tl.load(option_latency + star * R + rho, mask=inside, other=0.0).to(tl.float64)
                waited += q * (sum_waited + rest * delay)
                points = tl.load(option_inaccuracy + star * R + rho, mask=inside, other=0.0).to(tl.float64)
                short += q * (sum_short + rest * points)
                slow = tl.load(option_late + star * R + rho, mask=inside, other=0)
                late += q * (sum_late + rest * slow.to(tl.float64))
                node = tl.load(option_node + star * R + rho, mask=inside, other=0)
                tl.atomic_add(by_node + b * V + node, rest * q, mask=inside & (q > 0.0))
            if GRADIENT:
                tl.store(star_cost + rho, at_star, mask=inside)
        tl.store(gain + b, tl.sum(saved_ms, axis=0))
        if SERVE:
            tl.store(cost + b, tl.sum(spent_ms, axis=0))
            tl.store(latency + b, tl.sum(waited, axis=0))
            tl.store(inaccuracy + b, tl.sum(short, axis=0))
            tl.store(missed + b, tl.sum(late, axis=0))
        tl.debug_barrier()

        if GRADIENT:
            for start in range(0, P, BLOCK):
                p = start + lane
                inside = p < P
                group = tl.load(placement_group + p, mask=inside, other=0)
                share = _share(c + p, load + group, above_load + group, inside, CLASSES)  # of the highest class
                saved = tl.zeros([BLOCK], tl.float64)
                for entry in range(tl.load(longest + start // BLOCK)):
                    rho = tl.load(listing_type + entry * P + p, mask=inside, other=R)
                    q = tl.load(r + rho, mask=rho < R, other=0.0).to(tl.float64)
                    ms = tl.load(listing_cost + entry * P + p, mask=rho < R, other=0.0).to(tl.float64)
                    at_star = tl.load(star_cost + rho, mask=rho < R, other=0.0)
                    ms = tl.where(rho < R, q * tl.maximum(at_star - ms, 0.0), 0.0)
                    if CLASSES > 1:
                        own = group + tl.load(type_class + rho, mask=rho < R, other=0) * of_class
                        ms *= _share(c + p, load + own, above_load + own, rho < R, CLASSES)
                    saved += ms
                tl.store(gradient + b * P + p, share * saved if CLASSES == 1 else saved, mask=inside)
            tl.debug_barrier()
        b += tl.num_programs(0)


@triton.jit
def _share(capacity, reciprocal, above, mask, CLASSES: tl.constexpr):
    """Of a type's requests, what its class has at a placement; pointers to the capacity and the loads of its group."""
    left = tl.load(capacity, mask=mask, other=0.0).to(tl.float64)
    if CLASSES > 1:
        left = tl.maximum(left - tl.load(above, mask=mask, other=0.0), 0.0)
    return tl.minimum(1.0, left * tl.load(reciprocal, mask=mask, other=0.0))


@triton.jit
def mirror(
    log_y, ascent, rate, mass, budgets, out, state, node_start, sizes,
    P, V, rate_stride, mass_stride, budget_stride, WITH_STATE: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """One node of one row: log h, then clip at 1 what c takes past it, until the clipped set stops growing."""
    b, v = tl.program_id(0).to(tl.int64), tl.program_id(1)
    start, end = tl.load(node_start + v), tl.load(node_start + v + 1)
    p = start + tl.arange(0, WIDTH)
    inside = p < end
    size = tl.load(sizes + p, mask=inside, other=0.0)
    room = tl.load(budgets + b * budget_stride + v) * (1.0 + _SLACK)
    spend = tl.load(mass + b * mass_stride + v)
    fits = inside & (size <= room)
    h = tl.load(log_y + b * P + p, mask=fits, other=float("-inf")).to(tl.float64)
    h += tl.load(rate + b * rate_stride + v) * tl.load(ascent + b * P + p, mask=fits, other=0.0).to(tl.float64)
    everything = tl.sum(tl.where(fits, size, 0.0), axis=0) <= spend
    free = fits & (h > float("-inf"))
    left = spend
    log_c = spend * 0.0
    going = tl.where(everything | (spend <= 0.0), 0, tl.max(free.to(tl.int32), axis=0))
    while going > 0:
        top = tl.max(tl.where(free, h, float("-inf")), axis=0)
        weight = tl.sum(tl.where(free, size * tl.exp(tl.where(free, h - top, 0.0)), 0.0), axis=0)
        log_c = tl.log(tl.maximum(left, 1e-12 * spend) / weight) - top
        clipped = free & (h + log_c > 0.0)
        left -= tl.sum(tl.where(clipped, size, 0.0), axis=0)
        free = free & (h + log_c <= 0.0)
        grew = tl.max(clipped.to(tl.int32), axis=0)
        going = grew * tl.max(free.to(tl.int32), axis=0)
    log_state = tl.where(free, h + log_c, tl.where(h > float("-inf"), 0.0, float("-inf")))
    log_state = tl.where(everything, 0.0, log_state)
    log_state = tl.where(fits, tl.where(spend > 0.0, log_state, float("-inf")), float("-inf"))
    tl.store(out + b * P + p, log_state, mask=inside)
    if WITH_STATE:
        tl.store(state + b * P + p, tl.exp(log_state), mask=inside)


@triton.jit
def fill(priority, packed, budgets, node_start, sizes, P, V, budget_stride, PER_MB: tl.constexpr, WIDTH: tl.constexpr):
    """One node of one row: beside what is packed, place the best of what still fits until nothing does."""
    b, v = tl.program_id(0).to(tl.int64), tl.program_id(1)
    start, end = tl.load(node_start + v), tl.load(node_start + v + 1)
    lane = tl.arange(0, WIDTH)
    p = start + lane
    inside = p < end
    size = tl.load(sizes + p, mask=inside, other=1.0)
    placed = tl.load(packed + b * P + p, mask=inside, other=0) != 0
    value = tl.load(priority + b * P + p, mask=inside, other=float("-inf")).to(tl.float64)
    if PER_MB:
        value = tl.where(inside, value / size, float("-inf"))
    room = tl.load(budgets + b * budget_stride + v) * (1.0 + _SLACK) - tl.sum(tl.where(placed, size, 0.0), axis=0)
    open_ = inside & (placed == 0) & (value > float("-inf")) & (size <= room)
    left = tl.max(open_.to(tl.int32), axis=0)
    while left > 0:
        highest = tl.max(tl.where(open_, value, float("-inf")), axis=0)
        best = tl.min(tl.where(open_ & (value == highest), lane, WIDTH), axis=0)
        placed = placed | (lane == best)
        room -= tl.sum(tl.where(lane == best, size, 0.0), axis=0)
        open_ = open_ & (lane != best) & (size <= room)
        left = tl.max(open_.to(tl.int32), axis=0)
    tl.store(packed + b * P + p, placed.to(tl.int8), mask=inside)


@triton.jit
def move_pairs(
    allocation, uniforms, first, first_mb, first_coin, rounded, waiting, node_start, sizes, rows, P,
    COIN: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One node of many rows, a row per lane: dependent rounding, pair after pair, in the order that is drawn.

    `first`, `first_mb` and `first_coin` (rows, V) are the entry that comes before all others, or -1, its MB and coin.
    `waiting` (P, rows) is scratch: the entries of each node that are still fractional.
    """
    v = tl.program_id(1)
    start, end = tl.load(node_start + v), tl.load(node_start + v + 1)
    b = tl.program_id(0).to(tl.int64) * LANES + tl.arange(0, LANES)
    inside = b < rows
    n = tl.zeros([LANES], tl.int32)
    for entry in range(start, end):
        y = tl.load(allocation + b * P + entry, mask=inside, other=0.0)
        tl.store(rounded + b * P + entry, (y >= 1.0).to(tl.int8), mask=inside)
        fractional = inside & (y > 0.0) & (y < 1.0)
        tl.store(waiting + (start + n).to(tl.int64) * rows + b, tl.zeros([LANES], tl.int32) + entry, mask=fractional)
        n += fractional.to(tl.int32)
    tl.debug_barrier()
    at = b * tl.num_programs(1) + v
    carried = tl.load(first + at, mask=inside, other=-1).to(tl.int32)
    tailed = carried >= 0
    size = tl.load(sizes + carried, mask=tailed, other=0.0)
    held = tl.load(first_mb + at, mask=inside, other=0.0)
    coin_of_last = tl.load(first_coin + at, mask=inside, other=0.0)
    for i in range(tl.max(n, axis=0)):
        k = tl.max(n, axis=0) - 1 - i
        active = k < n
        draw = tl.load(uniforms + b * P + start + k, mask=active, other=0.0).to(tl.float64) * (k + 1)
        drawn = tl.minimum(tl.maximum(draw.to(tl.int32), 0), k)  # whatever it is told, it stays at its node
        coin = draw - drawn
        coin_of_last = tl.where((n == k + 1) & (tailed == 0), coin, coin_of_last)
        p = tl.load(waiting + (start + drawn).to(tl.int64) * rows + b, mask=active, other=0)
        tail = tl.load(waiting + (start + k).to(tl.int64) * rows + b, mask=active, other=0)
        tl.store(waiting + (start + drawn).to(tl.int64) * rows + b, tail, mask=active)
        other_size = tl.load(sizes + p, mask=active, other=1.0)
        other = other_size * tl.load(allocation + b * P + p, mask=active, other=0.0).to(tl.float64)
        starts = active & (carried < 0)
        pairs = active & (carried >= 0)
        up = tl.minimum(size - held, other)
        down = tl.minimum(held, other_size - other)
        rises = coin * (up + down) < down
        fills = pairs & tl.where(rises, up == size - held, down == other_size - other)
        empties = pairs & tl.where(rises, up == other, down == held)
        moved = tl.where(rises, up, -down)
        target = tl.where(rises, carried, p)
        tl.store(rounded + b * P + target, tl.full([LANES], 1, tl.int8), mask=fills)
        replaced = starts | tl.where(rises, fills, empties)
        held = tl.where(starts, other, tl.where(replaced, other - moved, tl.where(pairs, held + moved, held)))
        size = tl.where(replaced, other_size, size)
        carried = tl.where(fills & empties, -1, tl.where(replaced, p, carried))
        tl.debug_barrier()
    if COIN:
        up_ = (carried >= 0) & (coin_of_last * size < held)
        tl.store(rounded + b * P + carried, tl.full([LANES], 1, tl.int8), mask=up_)
