"""Influence and conformity: who leads the opinion of a network, and what comes of it (arXiv 2208.13161).

An arc u -> v of a directed, weighted graph says that v listens to u. A node's influence is its balance of weights, out
less in, and the influence of those it is listened to by, to a share 1 - a.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import networkx as nx
import numpy as np
from pydantic import Field
from scipy.sparse import csc_array
from scipy.sparse.linalg import spsolve

from idn_agents.systems.frame import (
    Check,
    Claim,
    Decision,
    Formula,
    Infeasible,
    Measure,
    Measures,
    System,
    Tag,
    by_policy,
)
from idn_agents.systems.opinions import normalised, spread, spread_conforming
from idn_agents.systems.running.traces import read_column
from idn_gym.errors import IdnError
from idn_gym.scenario.schema import AsTuple, Name, Section
from idn_gym.typing import FloatArray, IntArray

_GOLDEN = "[C] computed independently"
_MOST_NODES = 2000
_LEVELS = {  # mean adoption of 150 with pinned leaders, where the study has it
    "influence": 129.5,
    "out-degree": 128.7,
    "reversed PageRank": 128.3,
    "betweenness": 105.7,
    "PageRank": 86.0,
    "closeness": 84.0,
    "random": 37.0,
}

_Share = Annotated[float, Field(gt=0.0, le=1.0)]
_Weight = Annotated[float, Field(ge=0.0, le=1e9)]


class State(Section):
    """Arcs (u, v, weight), of which the weights of parallel ones add up, and how many leaders."""

    edges: list[Annotated[tuple[Name, Name, _Weight], AsTuple]] = Field(min_length=1, max_length=100_000)
    leaders: Annotated[int, Field(ge=1, le=_MOST_NODES)]
    a: _Share = 0.5


class Settings(Section):
    """The study: graphs, leaders, the share of a node's own balance, and how long opinions spread."""

    nodes: Annotated[int, Field(ge=3, le=_MOST_NODES)] = 150
    graphs: Annotated[int, Field(ge=1, le=1000)] = 8  # with seeds from `seed` on
    leaders: Annotated[int, Field(ge=1, le=_MOST_NODES)] = 8
    a: _Share = 0.5
    steps: Annotated[int, Field(ge=1, le=100_000)] = 100
    segment: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


@dataclass(frozen=True)
class Problem:
    """The k nodes of most influence: the k first of an order, exactly, and by the authors' elimination.

    Parameters
    ----------
    weights : (n, n) A, of arcs u -> v.
    leaders : k, at most n.
    a : share of a node's own balance.
    """

    weights: FloatArray
    leaders: int
    a: float = 0.5

    def __post_init__(self) -> None:
        if self.leaders > len(self.weights):
            raise Infeasible(f"leaders: {self.leaders}; the graph has {len(self.weights)} nodes")

    @cached_property
    def balance(self) -> FloatArray:
        """(n,) d: weights out less weights in."""
        found: FloatArray = self.weights.sum(axis=1) - self.weights.sum(axis=0)
        return found

    def after(self, steps: int) -> FloatArray:
        """(n,) I_t = a d + (1 - a) A^T I_{t-1}, I_0 = d, after so many steps."""
        found = self.balance
        for _ in range(steps):
            found = self._next(found)
        return found

    @cached_property
    def influence(self) -> FloatArray:
        """(n,) the fixed point, a (I - (1 - a) A^T)^-1 d; there is one, for rows of A sum to 1 or 0."""
        system = np.eye(len(self.weights)) - (1.0 - self.a) * normalised(self.weights).T
        found: FloatArray = spsolve(csc_array(system), self.a * self.balance)  # arcs are few, as a rule
        return found

    def best(self) -> IntArray:
        """(k,) the nodes of most influence, the first of equal ones first."""
        return first(self.influence, self.leaders)

    def eliminated(self, most: int = 1000) -> IntArray:
        """(k,) leaders by the authors' elimination, and by I_t where it leaves more after so many steps.

        A node goes when I_(k) - I_t(v) > 2 (1 - a)^t (max I_t - min I_t), the k-th of those that are left.
        """
        left, found = np.arange(len(self.weights)), self.balance
        for step in range(1, most + 1):
            found = self._next(found)
            kth = np.sort(found[left])[-self.leaders]
            margin = 2.0 * (1.0 - self.a) ** step * np.ptp(found)
            left = left[kth - found[left] <= margin]
            if left.size == self.leaders or margin == 0.0:
                break
        chosen: IntArray = left[first(found[left], self.leaders)]
        return chosen

    def _next(self, found: FloatArray) -> FloatArray:
        return self.a * self.balance + (1.0 - self.a) * (self._listeners @ found)

    @cached_property
    def _listeners(self) -> FloatArray:
        return normalised(self.weights).T


def first(scores: FloatArray, count: int) -> IntArray:
    """(count,) indices of the highest scores, the first of equal ones first."""
    return np.argsort(-scores, kind="stable")[:count]


class Influence(System[Settings, State, list[FloatArray]]):
    """Leaders of a graph; the stream is graphs, and what is counted is how far the leaders' opinion spreads."""

    name = "influence"
    title = "leaders of opinion in a graph"
    paper = "influence and conformity centrality, arXiv 2208.13161"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula("influence", "I_t(v) = a d_v + (1 - a) sum_u A_uv I_{t-1}(u), I_0 = d = out - in", Tag.STATED),
        Formula("rows of A", "normalised in the recursion; without arcs 0", Tag.DERIVED),
        Formula("fixed point", "a (I - (1 - a) A^T)^-1 d", Tag.DERIVED),
        Formula("elimination", "v goes when I_(k) - I_t(v) > 2 (1 - a)^t (max I - min I)", Tag.VERIFIED),
        Formula("DeGroot", "x(t+1) = W x(t)", Tag.STATED),
        Formula("conformity", "x(t+1) = W x(t) + D x(0), D_ii = c_i / (c_i + sum_in c), until below 0.1", Tag.VERIFIED),
        Formula("c in the study", "influence less the least of it, plus 1", Tag.OWN),
        Formula("graphs", "scale-free, 150 nodes, 8 seeds, 8 leaders, 100 steps", Tag.OWN),
    )
    measures = (
        Measure("pinned", "adoption, pinned", ".1f"),
        Measure("free", "adoption, free", ".1f"),
        Measure("conforming", "adoption, conformity", ".1f"),
    )
    trade_off = ("free", "pinned")
    stream_format = (
        "arcs: columns u, v, weight, nodes as numbers; without a file, networkx's scale_free_graph per seed, arcs "
        "reversed and without weights"
    )
    network = (
        "requests of v served at u are weights of arcs u -> v between nodes; what does not fit is an opinion, which a "
        "stream of requests may follow but no placement serves"
    )

    def decide(self, state: State) -> Decision:
        """The leaders, most influence first, and the influence of every node."""
        names = list(dict.fromkeys(name for edge in state.edges for name in edge[:2]))
        if len(names) > _MOST_NODES:
            raise IdnError(f"edges: {len(names)} nodes; at most {_MOST_NODES}")
        at = {name: n for n, name in enumerate(names)}
        weights = np.zeros((len(names), len(names)))
        for tail, head, weight in state.edges:
            weights[at[tail], at[head]] += weight
        problem = Problem(weights, state.leaders, state.a)
        leaders = [names[n] for n in problem.best()]
        return Decision({"leaders": leaders, "centrality": dict(zip(names, problem.influence.tolist(), strict=True))})

    def stream(self, path: Path | None = None) -> list[FloatArray]:
        """Graphs as their weights, (n, n) each."""
        if path is not None:
            return [self._read(path)]
        given = self.settings
        return [scale_free(given.nodes, given.seed + n) for n in range(given.graphs)]

    def policies(self) -> Sequence[str]:
        """Influence, exact and by elimination, and the other measures of centrality."""
        return ("influence", "elimination", *list(_LEVELS)[1:])

    def evaluate(self, policy: str, stream: list[FloatArray]) -> Measures:
        """Mean adoption over the graphs."""
        given = self.settings
        pinned, free, conforming_ = [], [], []
        for n, weights in enumerate(stream):
            problem = Problem(weights, given.leaders, given.a)
            leaders = self._leaders(policy, problem, given.seed + n)
            pinned.append(spread(weights, leaders, True, given.steps))
            free.append(spread(weights, leaders, False, given.steps))
            standing = problem.influence - problem.influence.min() + 1.0
            conforming_.append(spread_conforming(weights, standing, leaders))
        columns = {"pinned": pinned, "free": free, "conforming": conforming_}
        steps = {key: np.array(column) for key, column in columns.items()}
        return Measures(policy, {key: float(column.mean()) for key, column in steps.items()}, steps)

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """Who comes first, and whether elimination finds the same leaders."""
        values = by_policy(results)
        others = [policy for policy in values if policy not in ("influence", "elimination")]
        found = []
        for key, text in (
            ("pinned", "leaders that keep their opinion"),
            ("free", "leaders that listen as others do"),
            ("conforming", "opinions that conform"),
        ):
            means = {policy: float(values[policy][key] or 0.0) for policy in values}
            rival = max(others, key=means.__getitem__)
            found.append(
                Claim.decided(
                    f"influence spreads furthest: {text}",
                    "this library's study",
                    Tag.OWN,
                    means["influence"] >= means[rival],
                    f"{means['influence']:.1f}, {rival} {means[rival]:.1f}",
                )
            )
        same = values["influence"] == values["elimination"]
        reason = "the same adoption" if same else "its margin bounds the error of I_t only where columns of A are small"
        text = "elimination finds the leaders of the fixed point"
        found.append(Claim.decided(text, "this library's study", Tag.OWN, same, reason))
        return found

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Order and levels of the study, the fixed point, and the graph where leaders are free."""
        made = Influence()
        graphs = made.stream()
        means = {policy: made.evaluate(policy, graphs).values for policy in _LEVELS}
        pinned = {policy: float(each["pinned"] or 0.0) for policy, each in means.items()}
        order = sorted(pinned, key=pinned.__getitem__, reverse=True)
        yield Check.equal("order of adoption, pinned", list(_LEVELS), order, _GOLDEN)
        for policy, level in _LEVELS.items():
            share = 0.3 if policy == "random" else 0.05
            name = f"{policy}: adoption of 150, pinned, near {level:g}"
            yield Check.within(name, (1.0 - share) * level, (1.0 + share) * level, pinned[policy], _GOLDEN)
        for policy, level in (("reversed PageRank", 90.2), ("influence", 77.5)):
            got = float(means[policy]["free"] or 0.0)
            yield Check.within(f"{policy}: adoption, free, near {level:g}", 0.95 * level, 1.05 * level, got, _GOLDEN)
        free = {policy: float(each["free"] or 0.0) for policy, each in means.items()}
        yield Check.equal("first in adoption, free", "reversed PageRank", max(free, key=free.__getitem__), _GOLDEN)
        problem = Problem(graphs[0], 8)
        gap = float(np.abs(problem.after(200) - problem.influence).max())
        yield Check.within("recursion less fixed point", None, 1e-9, gap, "[D] the spectral radius is below 1")

    def _leaders(self, policy: str, problem: Problem, seed: int) -> IntArray:
        if policy == "influence":
            return problem.best()
        if policy == "elimination":
            return problem.eliminated()
        return first(_centrality(policy, problem.weights, seed), problem.leaders)

    def _read(self, path: Path) -> FloatArray:
        tails, heads, values = (read_column(path, (name,), self.settings.segment) for name in ("u", "v", "weight"))
        nodes, at = np.unique(np.concatenate([tails, heads]), return_inverse=True)
        if nodes.size > _MOST_NODES:
            raise IdnError(f"{path}: {nodes.size} nodes; at most {_MOST_NODES}")
        weights = np.zeros((nodes.size, nodes.size))
        np.add.at(weights, (at[: tails.size], at[tails.size :]), values)
        return weights


def scale_free(nodes: int, seed: int) -> FloatArray:
    """(n, n) weights of 0 and 1: a directed scale-free graph, arcs from those that are linked to."""
    graph: nx.DiGraph[int] = nx.DiGraph(nx.scale_free_graph(nodes, seed=seed))
    weights = (nx.to_numpy_array(graph, nodelist=range(nodes)) > 0.0).astype(float).T
    np.fill_diagonal(weights, 0.0)
    return weights


def _centrality(policy: str, weights: FloatArray, seed: int) -> FloatArray:
    """(n,) a measure that is compared with influence."""
    if policy == "out-degree":
        found: FloatArray = weights.sum(axis=1)
        return found
    if policy == "random":
        return np.random.default_rng(seed).random(len(weights))
    graph: nx.DiGraph[int] = nx.from_numpy_array(weights, create_using=nx.DiGraph)
    measures: dict[str, Callable[[Any], dict[int, float]]] = {
        "betweenness": nx.betweenness_centrality,
        "closeness": nx.closeness_centrality,
        "PageRank": nx.pagerank,
        "reversed PageRank": lambda each: nx.pagerank(each.reverse()),
    }
    scores = measures[policy](graph)
    return np.array([scores[n] for n in range(len(weights))])
