"""Chains: request types that need several models in turn, as routing through states; compiled, and the reference.

A request of a chain starts at its entry node with no stage done. It moves along its path, towards the repository, and
at any node the next stage may be served, by a placement or a repository model there. So a route is a path through
*states*: stages done, position, and the kind of the model that served last, since what moves on, and what may follow,
is that model's. A unit of flow through the states, of least cost, where each placement carries no more than its share
allows, is what serving a request costs. Source: docs/model.md#chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from idn_gym.model.placements import Compiled
from idn_gym.typing import FloatArray, IntArray

GRID = 2.0**-44  # of the largest route of a type: costs are multiples, so that their sums are exact
SINK = -1  # head of what serves the last stage, while states are being numbered


class ChainTables(NamedTuple):
    """What the kernels of chains read; see `Chains`."""

    types: IntArray
    stages: IntArray
    state_start: IntArray
    edge_start: IntArray
    edge_tail: IntArray
    edge_head: IntArray
    edge_cost: FloatArray
    edge_latency: FloatArray
    member_start: IntArray
    member_placement: IntArray
    member_cost: FloatArray
    member_latency: FloatArray
    member_inaccuracy: FloatArray
    member_node: IntArray
    member_term: IntArray
    term_start: IntArray
    term_placement: IntArray
    repository_cost: FloatArray
    type_class: IntArray
    deadlines: FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class Chains(Compiled):
    """The chains among the request types. Axes: C chains, E edges, n members of edges.

    States of a chain are numbered in the order in which requests come by, 0 the entry and the last one the end; so an
    edge leads to a higher number. An edge without members is a move, or no more than a change of view, and carries
    all; one with members serves a stage, the cheapest member first, each up to its share.
    """

    types: IntArray  # (C,) request type of each chain
    stages: IntArray  # (C,)
    state_start: IntArray  # (C+1,)
    edge_start: IntArray  # (C+1,) edges of a chain, in the order of their tails
    edge_tail: IntArray  # (E,) state, counted from the chain's first
    edge_head: IntArray  # (E,)
    edge_cost: FloatArray  # (E,) ms of a move, weighted
    edge_latency: FloatArray  # (E,) ms of a move
    member_start: IntArray  # (E+1,)
    member_placement: IntArray  # (n,) by ascending cost; P: a repository model, which carries all
    member_cost: FloatArray  # (n,) ms, weighted
    member_latency: FloatArray  # (n,) ms, its delay
    member_inaccuracy: FloatArray  # (n,) percentage points, times the stage's accuracy weight
    member_node: IntArray  # (n,)
    member_term: IntArray  # (n,) which of the chain's distinct placements it is; their number: a repository model
    term_start: IntArray  # (C+1,)
    term_placement: IntArray  # (terms,) distinct placements of each chain, ascending
    repository_cost: FloatArray  # (C,) ms, weighted, of the cheapest route through repository models alone
    cheapest: FloatArray  # (C,) ms, weighted, of the cheapest route where all that fits is placed
    routes: IntArray  # (C,) how many there are
    type_class: IntArray  # (C,) class of priority
    deadlines: FloatArray  # (C,) ms; requests of higher latency count as missed; inf where there is none

    @property
    def tables(self) -> ChainTables:
        """What the kernels read."""
        return ChainTables(*[getattr(self, name) for name in ChainTables._fields])


class Member(NamedTuple):
    """What may serve a stage at an edge."""

    placement: int  # P: a repository model
    cost: float
    latency: float
    inaccuracy: float
    node: int


class Asked(NamedTuple):
    """What a chain's requests ask for, and where they come by."""

    stages: Sequence[int]  # task of each
    weight: float
    accuracy_weights: Sequence[float]  # of each stage
    input_mb: float
    path: IntArray  # (J,) nodes, padded with -1
    hops: FloatArray  # (J,) ms of latency of the link that leads to each node of the path
    per_mb: FloatArray  # (J,) ms per MB of that link


@dataclass(frozen=True)
class ChainCatalog:
    """What chains are compiled from: the models, and how each runs at each node."""

    names: Sequence[str]  # (M,) of the scenario's model behind each, replicas share one
    after: Sequence[frozenset[str] | None]  # (M,) names of those that may precede it; None: any
    trips: FloatArray  # (M,)
    output_mb: FloatArray  # (M,)
    task: IntArray  # (M,)
    inaccuracy: FloatArray  # (M,)
    delay: FloatArray  # (V, M) ms, nan where a model cannot run
    permanent: FloatArray  # (V, M)
    placement: IntArray  # (V, M) number, -1 where there is none
    placements: int  # P
    alpha: float

    def build(self, types: IntArray, asked: Sequence[Asked], classes: IntArray, deadlines: FloatArray) -> Chains:
        """The chains among request types: the number (C,), what is asked for, class and deadline (C,) of each."""
        found = [_Chain.of(self, each) for each in asked]
        edges = [edge for chain in found for edge in chain.edges]
        members = [member for edge in edges for member in edge.members]
        terms, term_start = [], [0]
        term_of: list[int] = []
        for chain in found:
            own = sorted({m.placement for edge in chain.edges for m in edge.members if m.placement < self.placements})
            number = {p: n for n, p in enumerate(own)}
            term_of += [number.get(m.placement, len(own)) for edge in chain.edges for m in edge.members]
            terms += own
            term_start.append(len(terms))

        def whole(values: Any) -> IntArray:
            return np.array(list(values), dtype=np.int32)

        def starts(lengths: Any) -> IntArray:
            return np.concatenate(([0], np.cumsum(list(lengths), dtype=np.int64))).astype(np.int64)

        def real(values: Any) -> FloatArray:
            return np.array(list(values), dtype=np.float64)

        return Chains(
            types=whole(types),
            stages=whole(len(each.stages) for each in asked),
            state_start=starts(chain.states for chain in found),
            edge_start=starts(len(chain.edges) for chain in found),
            edge_tail=whole(edge.tail for edge in edges),
            edge_head=whole(edge.head for edge in edges),
            edge_cost=real(edge.cost for edge in edges),
            edge_latency=real(edge.latency for edge in edges),
            member_start=starts(len(edge.members) for edge in edges),
            member_placement=whole(member.placement for member in members),
            member_cost=real(member.cost for member in members),
            member_latency=real(member.latency for member in members),
            member_inaccuracy=real(member.inaccuracy for member in members),
            member_node=whole(member.node for member in members),
            member_term=whole(term_of),
            term_start=np.array(term_start, dtype=np.int64),
            term_placement=whole(terms),
            repository_cost=real(chain.repository_cost for chain in found),
            cheapest=real(chain.cheapest for chain in found),
            routes=np.array([chain.routes for chain in found], dtype=np.int64),
            type_class=whole(classes),
            deadlines=real(deadlines),
        )


@dataclass
class _Edge:
    tail: Any
    head: Any
    cost: float
    latency: float
    members: list[Member]
    serves: bool


@dataclass
class _Chain:
    """One chain's states and edges; costs on the grid, nothing left that no route below the repositories' cost uses."""

    states: int
    edges: list[_Edge]
    repository_cost: float
    cheapest: float
    routes: int

    @classmethod
    def of(cls, catalog: ChainCatalog, asked: Asked) -> _Chain:
        """All edges, in the order of their tails; costs on the grid; then without those that no route needs."""
        edges = list(_edges(catalog, asked))
        order = sorted({state for edge in edges for state in (edge.tail, edge.head) if state != SINK})
        number = {state: n for n, state in enumerate(order)} | {SINK: len(order)}
        for edge in edges:
            edge.tail, edge.head = number[edge.tail], number[edge.head]
        edges.sort(key=lambda edge: (edge.tail, edge.head))
        end = len(order)
        at_repositories = _distances(edges, end, catalog.placements)[0][end]
        unit = 2.0 ** np.ceil(np.log2(at_repositories)) * GRID if 0.0 < at_repositories < np.inf else 1.0
        for edge in edges:
            edge.cost = float(np.rint(edge.cost / unit) * unit)
            edge.members = [m._replace(cost=float(np.rint(m.cost / unit) * unit)) for m in edge.members]
            edge.members.sort(key=lambda member: member.cost)  # ties stay in the order of the file
        repository = _distances(edges, end, catalog.placements)[0][end]
        there, onward = _distances(edges, end, -1)
        kept = []
        for edge in edges:
            here = there[edge.tail] + onward[edge.head]
            if edge.serves:
                members = []
                for member in edge.members:
                    total = here + member.cost
                    if member.placement == catalog.placements:
                        members += [member] if total <= repository else []
                        break  # what is dearer than a repository model is never reached
                    members += [member] if total < repository else []
                edge.members = members
                kept += [edge] if members else []
            elif here + edge.cost <= repository:
                kept.append(edge)
        used = sorted({0, end} | {state for edge in kept for state in (edge.tail, edge.head)})
        renumbered = {state: n for n, state in enumerate(used)}
        for edge in kept:
            edge.tail, edge.head = renumbered[edge.tail], renumbered[edge.head]
        ways = [0] * len(used)
        ways[0] = 1
        for edge in kept:
            ways[edge.head] += ways[edge.tail] * (len(edge.members) if edge.serves else 1)
        return cls(len(used), kept, float(repository), float(there[end]), ways[-1])


def _edges(catalog: ChainCatalog, asked: Asked) -> Iterator[_Edge]:
    """All edges of a chain; states are (position, stages done, 0 or 1, kind), in the order of the tuples.

    Where models of a stage differ in what may precede them, they are reached by states of their own, with a 1, in
    which the kinds that may meet.
    """
    weight, hops, per_mb, path = asked.weight, asked.hops, asked.per_mb, asked.path[asked.path >= 0]
    of_stage = [np.flatnonzero(catalog.task == task).tolist() for task in asked.stages]
    last = len(asked.stages) - 1
    # kinds of models by stage: what moves on from them, and which models may follow
    kind_of: list[dict[int, int]] = []
    moving: list[list[tuple[float, float]]] = [
        [(1.0, asked.input_mb)]
    ]  # per number of stages done: trips, MB of each kind
    for s, models in enumerate(of_stage[:-1]):
        kinds: dict[Any, int] = {}
        of_model = {}
        for m in models:
            followers = frozenset(n for n in of_stage[s + 1] if _may_follow(catalog, m, n))
            key = (float(catalog.trips[m]), float(catalog.output_mb[m]), followers)
            of_model[m] = kinds.setdefault(key, len(kinds))
        kind_of.append(of_model)
        moving.append([(trips, mb) for trips, mb, _ in kinds])
    for j, node in enumerate(path.tolist()):
        for done in range(last + 1):
            for kind, (trips, mb) in enumerate(moving[done]):
                if j + 1 < len(path):
                    ms = trips * hops[j + 1] + mb * per_mb[j + 1]
                    yield _Edge((j, done, 0, kind), (j + 1, done, 0, kind), weight * ms, ms, [], serves=False)
            views: dict[Any, Any] = {}  # kinds that may precede -> state
            served: dict[Any, list[Member]] = {}
            for m in of_stage[done]:
                if np.isnan(catalog.delay[node, m]):
                    continue
                before: tuple[int, ...] = (0,)
                if done:
                    before = tuple(sorted({k for n, k in kind_of[done - 1].items() if _may_follow(catalog, n, m)}))
                if not before:
                    continue
                if before not in views:
                    views[before] = (j, done, 0, before[0]) if len(before) == 1 else (j, done, 1, len(views))
                head = SINK if done == last else (j, done + 1, 0, kind_of[done][m])
                inaccuracy = asked.accuracy_weights[done] * float(catalog.inaccuracy[m])
                ms = float(catalog.delay[node, m])
                placement = catalog.placements if catalog.permanent[node, m] else int(catalog.placement[node, m])
                member = Member(placement, weight * (ms + catalog.alpha * inaccuracy), ms, inaccuracy, node)
                served.setdefault((views[before], head), []).append(member)
            for before, view in views.items():
                if len(before) > 1:
                    for kind in before:
                        yield _Edge((j, done, 0, kind), view, 0.0, 0.0, [], serves=False)
            for (tail, head), members in served.items():
                yield _Edge(tail, head, 0.0, 0.0, members, serves=True)


def _may_follow(catalog: ChainCatalog, before: int, model: int) -> bool:
    allowed = catalog.after[model]
    return allowed is None or catalog.names[before] in allowed


def _distances(edges: list[_Edge], end: int, only: int) -> tuple[FloatArray, FloatArray]:
    """(states,) ms from the entry to each state, and from each to the end; through `only` that member, or any (-1)."""
    costs = []
    for edge in edges:
        own = [m.cost for m in edge.members if only in (-1, m.placement)]
        costs.append(min(own, default=np.inf) if edge.serves else edge.cost)
    there, onward = np.full((2, end + 1), np.inf)
    there[0] = onward[end] = 0.0
    for edge, cost in zip(edges, costs, strict=True):
        there[edge.head] = min(there[edge.head], there[edge.tail] + cost)
    for edge, cost in zip(reversed(edges), reversed(costs), strict=True):
        onward[edge.tail] = min(onward[edge.tail], cost + onward[edge.head])
    return there, onward
