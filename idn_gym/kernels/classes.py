"""Gain and subgradient where several classes share capacity: the twin of `idn_gym.kernels.gain` for those services.

A placement has a share for each class that lists it. There may be several times as many such pairs as placements, and
working out their shares is much of the time; so the pairs of a group stand side by side, in runs.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import add_load, ahead_of, empty_load, row_of
from idn_gym.model.placements import unsigned
from idn_gym.model.ranked import RankedService
from idn_gym.typing import IntArray

_jit = compiled(error_model="numpy")


class Pairs(NamedTuple):
    """Pairs of a class and a placement that some type of it lists: whose share it is; in order of both.

    A run is of one group and of placements that are numbered one after the other.
    """

    of_option: IntArray  # (R, K), padded with the number of pairs
    group: IntArray  # (runs,)
    placement: IntArray  # (runs,) of the first pair
    stop: IntArray  # (runs,) one past the last pair


_MADE: WeakKeyDictionary[RankedService, Pairs] = WeakKeyDictionary()


def pairs_of(service: RankedService) -> Pairs:
    """The pairs of a service; the same object every time."""
    if service not in _MADE:
        _MADE[service] = _pairs(service)
    return _MADE[service]


def _pairs(service: RankedService) -> Pairs:
    listed = service.options < service.P
    key = service.type_class[:, None].astype(np.int64) * service.P + service.options
    pairs, numbers = np.unique(key[listed], return_inverse=True)
    of_option = np.full(service.options.shape, len(pairs), dtype=np.int32)
    of_option[listed] = numbers
    of_class, placement = np.divmod(pairs, max(1, service.P))
    group = service.placement_group[placement] + of_class * (service.groups // service.classes)
    first = np.flatnonzero((np.diff(group, prepend=-1) != 0) | (np.diff(placement, prepend=-1) != 1))
    stop = np.append(first[1:], len(pairs))[: len(first)]
    return Pairs(*[unsigned(values.astype(np.int32)) for values in (of_option, group[first], placement[first], stop)])


@_jit
def gain_of_classes(tables, pairs, requests, capacities, allocation, covered, first, stop, gain, gradient):
    """Fill in gains, and subgradients unless they have no rows; `covered` is what a covering sum has to reach."""
    count = pairs.stop[-1] if len(pairs.stop) else 0
    load, share, w = empty_load(tables), np.empty(count), np.empty(count)
    for b in range(first, stop):
        r, capacity, y = row_of(requests, b), row_of(capacities, b), row_of(allocation, b)
        add_load(tables, r, load)
        run, end, p, reciprocal, ahead = np.uint64(0), np.int64(0), np.uint64(0), 0.0, 0.0
        for n in range(count):
            if n == end:
                group, p, end = pairs.group[run], np.uint64(pairs.placement[run]), np.int64(pairs.stop[run])
                reciprocal, ahead = load[group], ahead_of(tables, load, group)
                run += np.uint64(1)
            part = min(1.0, max(0.0, capacity[p] - ahead) * reciprocal)
            share[n] = part
            w[n] = part * y[p]
            p += np.uint64(1)
        if len(gradient):
            gradient[b] = 0.0
        total = 0.0
        for rho in range(len(r)):
            if r[rho] == 0.0:
                continue
            options, own, costs = tables.options[rho], pairs.of_option[rho], tables.costs[rho]
            star = last = tables.option_count[rho] - 1
            sum_w = 0.0
            sum_cost = 0.0
            for k in range(last):
                here = w[own[k]]
                if sum_w + here >= covered:
                    star = k
                    break
                sum_w += here
                sum_cost += here * costs[k]
            at_star = costs[star]
            total += r[rho] * (costs[last] - sum_cost - (1.0 - sum_w) * at_star)
            if len(gradient):
                for k in range(star):
                    gradient[b, options[k]] += share[own[k]] * (r[rho] * (at_star - costs[k]))
        gain[b] = total
