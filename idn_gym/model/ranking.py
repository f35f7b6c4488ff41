"""Ranking: what can serve each request type on its path, by ascending cost, up to the cheapest repository model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from idn_gym.typing import BoolArray, FloatArray, IntArray

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
    latencies: FloatArray  # (R, J)
    node_processor: IntArray  # (V,)
    cost_at_node: FloatArray  # (Q, M), nan where a model cannot run
    permanent: BoolArray  # (V, M)
    placement_index: IntArray  # (V, M)
    placements: int

    def rank(self, type_task: IntArray, model_task: IntArray) -> Options:
        """The options of every type, a chunk of types of one task at a time."""
        parts, order = [], []
        for task in np.unique(type_task):
            models = np.flatnonzero(model_task == task)
            for rows in self._chunks(np.flatnonzero(type_task == task), len(models)):
                parts.append(self._rank_chunk(rows, models))
                order.append(rows)
        return Options.concatenate(parts, np.concatenate(order), self.placements)

    def _chunks(self, rows: IntArray, models: int) -> Iterator[IntArray]:
        step = max(1, _CHUNK // (self.paths.shape[1] * models))
        yield from (rows[i : i + step] for i in range(0, len(rows), step))

    def _rank_chunk(self, rows: IntArray, models: IntArray) -> Options:
        path = self.paths[rows]  # (n, J); candidates are (n, J, m), nearer nodes first, then file order
        cost = self.latencies[rows][:, :, None] + self.cost_at_node[self.node_processor[path][:, :, None], models]
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
