"""Ranking: what can serve each request type on its path, by ascending cost, up to the cheapest repository model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from idn_gym.model.placements import room
from idn_gym.scenario.schema import Service
from idn_gym.typing import BoolArray, FloatArray, IntArray

_IN_CACHE = 2**16  # placements; what kernels look up of so many stays in a core's cache whatever the order of types
_CHUNK = 2**22  # options ranked at a time, so that compiling stays far below the memory of the result


@dataclass(frozen=True)
class Options:
    """What serves each of n types, by rank; see `idn_gym.model.ranked.RankedService`."""

    placement: IntArray  # (n, K)
    cost: FloatArray  # (n, K)
    count: IntArray  # (n,)
    repository_node: IntArray  # (n,)
    repository_model: IntArray  # (n,)

    @classmethod
    def concatenate(cls, parts: list[Options], order: IntArray, padding: int) -> Options:
        """Parts of differing K as one, padded with the repository model, rows put where `order` says."""
        widest = max(part.cost.shape[1] for part in parts)
        n = len(order)
        whole = cls(
            np.full((n, widest), padding, dtype=np.int32),
            np.empty((n, widest)),
            np.empty(n, dtype=np.int32),
            np.empty(n, dtype=np.int32),
            np.empty(n, dtype=np.int32),
        )
        done = 0
        for part in parts:
            rows, k = order[done : done + len(part.count)], part.cost.shape[1]
            whole.placement[rows, :k] = part.placement
            whole.cost[rows, :k] = part.cost
            whole.cost[rows, k:] = part.cost[:, -1:]
            for field in fields(cls)[2:]:
                getattr(whole, field.name)[rows] = getattr(part, field.name)
            done += len(rows)
        return whole


@dataclass(frozen=True)
class Ranking:
    """What ranking needs to know. Ascending cost; ties go to the nearer node, then to the order in the file."""

    paths: IntArray  # (R, J)
    latencies: FloatArray  # (R, J) ms, transfers included
    node_processor: IntArray  # (V,)
    delays: FloatArray  # (Q, M) ms, nan where a model cannot run
    inaccuracies: FloatArray  # (M,) percentage points
    accuracy_weight: float
    violation_ms: float
    permanent: BoolArray  # (V, M)
    placement_index: IntArray  # (V, M)
    placements: int

    def rank(self, services: Sequence[Service], models_of: Sequence[IntArray], type_service: IntArray) -> Options:
        """The options of every type, a chunk of types of one service at a time.

        Parameters
        ----------
        models_of : of each service, the models of its one stage.
        type_service : (R,) numbers of services.
        """
        parts, order = [], []
        for i in np.unique(type_service):
            for rows in self._chunks(np.flatnonzero(type_service == i), len(models_of[i])):
                parts.append(self._rank_chunk(rows, models_of[i], services[i]))
                order.append(rows)
        return Options.concatenate(parts, np.concatenate(order), self.placements)

    def _chunks(self, rows: IntArray, models: int) -> Iterator[IntArray]:
        step = max(1, _CHUNK // (self.paths.shape[1] * models))
        yield from (rows[i : i + step] for i in range(0, len(rows), step))

    def _rank_chunk(self, rows: IntArray, models: IntArray, service: Service) -> Options:
        path = self.paths[rows]  # (n, J); candidates are (n, J, m), nearer nodes first, then file order
        weight = (service.accuracy_weights or (1.0,))[0]  # of a chain only the first stage is ranked, and not kept
        at_node = self.delays[:, models] + self.accuracy_weight * weight * self.inaccuracies[models]
        way, processor = self.latencies[rows][:, :, None], self.node_processor[path]
        cost = way + at_node[processor]
        if service.deadline_ms is not None:
            cost += self.violation_ms * (way + self.delays[:, models][processor] > latest(service.deadline_ms))
        cost *= service.weight
        cost[(path < 0)[:, :, None] | np.isnan(cost)] = np.inf
        cost = cost.reshape(len(rows), -1)
        order = np.argsort(cost, axis=1, kind="stable")
        node = np.take_along_axis(np.repeat(path, len(models), axis=1), order, axis=1)
        model = models[order % len(models)]
        cost = np.take_along_axis(cost, order, axis=1)
        is_repository = self.permanent[node, model] & np.isfinite(cost)
        last = is_repository.argmax(axis=1)  # rank of the cheapest repository model; behind it nothing is reached
        k = last.max() + 1
        each = np.arange(len(rows))
        beyond = np.arange(k) >= last[:, None]
        placement = np.where(beyond, self.placements, self.placement_index[node, model][:, :k])
        cost = np.where(beyond, cost[each, last][:, None], cost[:, :k])
        return Options(placement, cost, last + 1, node[each, last], model[each, last])


def latest(deadline_ms: float | None) -> float:
    """Ms that keep a deadline, the rounding of a sum included; inf where there is none."""
    return np.inf if deadline_ms is None else room(deadline_ms)


def entry_by_entry(entry: IntArray, task: IntArray, placements: int) -> IntArray:
    """(n,) types in an order in which those of an entry node, which list placements of the same nodes, come together.

    Types of one task, which alone list the same placements, stay in their order: so do the sums of a placement. Where
    that cannot be, and of networks with few placements, (0,).

    Parameters
    ----------
    entry, task : (n,) of each type.
    placements : how many there are.
    """
    n = len(entry)
    by_pair = np.lexsort((entry, task))
    new = (np.diff(task[by_pair], prepend=-1) != 0) | (np.diff(entry[by_pair], prepend=-1) != 0)
    first = np.flatnonzero(new)
    nth = np.empty(n, dtype=np.int64)  # of the types of its task from its entry node
    nth[by_pair] = np.arange(n) - np.repeat(first, np.diff(first, append=n))
    order = np.lexsort((entry, nth)).astype(np.int32)
    by_task = order[np.argsort(task[order], kind="stable")]
    stays = ((np.diff(by_task) > 0) | (np.diff(task[by_task]) > 0)).all()
    order = order if stays and placements > _IN_CACHE else order[:0]
    order.setflags(write=False)
    return order
