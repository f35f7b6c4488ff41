"""Influence and conformity: who should lead, in a network of influence, so that most follow (arXiv 2208.13161)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from idn_agents.systems.frame import Check, Claim, Decision, Formula, Measure, Measures, System, Tag, by_policy
from idn_gym.common.files import read_text
from idn_gym.common.text import shown
from idn_gym.errors import IdnError
from idn_gym.scenario.section import Section
from idn_gym.typing import FloatArray, IntArray

_GOLDEN = "[C] computed independently"
_STEPS = 100  # of DeGroot's model
_SETTLED = 0.1  # change of the sum of opinions at which the authors' model stops
_MOST_NODES = 5000

_Share = Annotated[float, Field(gt=0.0, le=1.0)]
_Leaders = Annotated[int, Field(ge=1, le=_MOST_NODES)]


class State(Section):
    """Edges [u, v, weight], u influencing v with a weight of 1 where there is none, and how many leaders to choose."""

    edges: Annotated[
        list[Annotated[list[Any], Field(min_length=2, max_length=3)]], Field(min_length=1, max_length=10**6)
    ]
    leaders: _Leaders
    a: _Share = 0.5


class Settings(Section):
    """The synthetic graphs: scale-free, edges reversed, as in the independent computation."""

    nodes: Annotated[int, Field(ge=3, le=1000)] = 150
    graphs: Annotated[int, Field(ge=1, le=100)] = 8
    leaders: _Leaders = 8
    a: _Share = 0.5
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


@dataclass(frozen=True)
class Problem:
    """A graph of influence (V, V), u -> v; sets of leaders are its configurations, influence its objective."""

    weights: FloatArray
    a: float = 0.5

    @property
    def difference(self) -> FloatArray:
        """(V,) weight of arcs out less weight of arcs in."""
        return self.weights.sum(axis=1) - self.weights.sum(axis=0)

    @property
    def normalised(self) -> FloatArray:
        """(V, V) rows that sum to 1, or to 0 where a node has no arc out."""
        sums = self.weights.sum(axis=1, keepdims=True)
        return np.divide(self.weights, sums, out=np.zeros_like(self.weights), where=sums > 0.0)

    def centrality(self) -> FloatArray:
        """(V,) the fixed point a (I - (1 - a) A^T)^-1 d, which exists as rows of A sum to 1 at most."""
        count = len(self.weights)
        return self.a * np.linalg.solve(np.eye(count) - (1.0 - self.a) * self.normalised.T, self.difference)

    def top(self, leaders: int) -> IntArray:
        """(k,) nodes of the highest influence, the first of equals first."""
        return ranked(self.centrality())[:leaders]

    def eliminated(self, leaders: int) -> IntArray:
        """(k,) the same by the authors' iteration, which drops nodes that cannot be among them any more.

        I_t = a d + (1 - a) A^T I_{t-1}, I_0 = d; v is dropped when I_(k) - I_t(v) > 2 (1 - a)^t (max I - min I).
        Maximum and minimum are those of I_0: with those of I_t it can drop the best, for small a.
        """
        now, arcs, d = self.difference, self.normalised.T, self.difference
        left, shrunk, spread = np.arange(len(d)), 1.0, d.max() - d.min()
        while len(left) > leaders and shrunk > 1e-16:
            now, shrunk = self.a * d + (1.0 - self.a) * arcs @ now, shrunk * (1.0 - self.a)
            kth = np.sort(now[left])[-leaders]
            left = left[kth - now[left] <= 2.0 * shrunk * spread + 1e-12]
        return left[ranked(now[left])][:leaders]

    def adoption(self, leaders: IntArray, pinned: bool) -> float:
        """Sum of opinions after 100 steps of DeGroot's model, v listening to those that influence it, else to itself.

        Parameters
        ----------
        pinned : leaders keep their opinion of 1.
        """
        arcs = _listening(self.weights)
        opinions = np.zeros(len(arcs))
        opinions[leaders] = 1.0
        for _ in range(_STEPS):
            opinions = arcs @ opinions
            if pinned:
                opinions[leaders] = 1.0
        return float(opinions.sum())

    def conformity(self, leaders: IntArray) -> float:
        """Sum of opinions of the authors' model, x(t+1) = W x(t) + D x(0), once it changes by less than 0.1.

        D_ii = c_i / (c_i + sum_in c), W_ij = c_j / (c_i + sum_in c), c the influence. A centrality below 0 has no
        meaning as a weight: its least value is taken off, which is this library's choice.
        """
        centrality = self.centrality()
        weight = centrality - centrality.min() + 1e-9
        heard = np.where(self.weights.T > 0.0, weight[None, :], 0.0)
        own = weight / (weight + heard.sum(axis=1))
        arcs = heard / (weight + heard.sum(axis=1))[:, None]
        first = np.zeros(len(own))
        first[leaders] = 1.0
        now, before = first, math.inf
        while abs(now.sum() - before) >= _SETTLED:
            before, now = float(now.sum()), arcs @ now + own * first
        return float(now.sum())


def ranked(values: FloatArray) -> IntArray:
    """(V,) nodes from the highest value down, the first of equals first."""
    return np.argsort(-values, kind="stable")


def _listening(weights: FloatArray) -> FloatArray:
    heard = weights.T.copy()
    alone = np.flatnonzero(heard.sum(axis=1) == 0.0)
    heard[alone, alone] = 1.0
    return heard / heard.sum(axis=1, keepdims=True)


class Centrality(System[Settings, State, Sequence[FloatArray]]):
    """Leaders of graphs; the stream is their matrices of weights."""

    name = "influence"
    title = "leaders by influence and conformity"
    paper = "Influence and conformity centrality, arXiv 2208.13161"
    settings_kind = Settings
    state_kind = State
    formulas = (
        Formula(
            "influence", "I_t(v) = a d_v + (1-a) sum_u A_uv I_{t-1}(u), I_0 = d, d = out - in, a = 0.5", Tag.VERIFIED
        ),
        Formula("fixed point", "a (I - (1-a) A^T)^-1 d, as rows of A are normalised", Tag.DERIVED),
        Formula("top k", "drop v when I_(k) - I_t(v) > 2 (1-a)^t (max I - min I)", Tag.VERIFIED),
        Formula("DeGroot", "x(t+1) = W x(t), 100 steps, leaders pinned or free", Tag.OWN),
        Formula(
            "authors' opinions", "x(t+1) = W x(t) + D x(0), stop when the sum changes by less than 0.1", Tag.VERIFIED
        ),
        Formula("its weights", "centralities less the least of them, as some are below 0", Tag.OWN),
        Formula("pinned, 8 graphs of 150", "129.5; out-degree 128.7, reversed PageRank 128.3, random 37", Tag.COMPUTED),
        Formula("free", "reversed PageRank 90.2, influence 77.5", Tag.COMPUTED),
    )
    measures = (
        Measure("pinned", "adoption, pinned", ".1f"),
        Measure("free", "adoption, free", ".1f"),
        Measure("conformity", "authors' model", ".1f"),
    )
    trade_off = ("free", "pinned")
    over_time = ("pinned", "adoption, pinned")
    stream_format = (
        "one graph, an edge per row: columns source, target and perhaps weight; without a file, scale-free graphs"
    )
    network = (
        "the centrality of the service graph, A_uv the requests of v that u serves, which the agent central-stations "
        "goes by; opinions that spread are the workload social, as in abilene-social"
    )

    def decide(self, state: State) -> Decision:
        """The leaders, and every node's centrality."""
        nodes, weights = _matrix(state.edges, "edges")
        if state.leaders > len(nodes):
            raise IdnError(f"leaders: {state.leaders}; the graph has {len(nodes)} nodes")
        problem = Problem(weights, state.a)
        values = problem.centrality()
        leaders = [nodes[node] for node in problem.top(state.leaders)]
        return Decision({"leaders": leaders, "centrality": dict(zip(nodes, values.tolist(), strict=True))})

    def stream(self, path: Path | None = None) -> Sequence[FloatArray]:
        """(V, V) weights of each graph."""
        given = self.settings
        if path is not None:
            graphs = [_matrix(_edges(path), str(path))[1]]
        else:
            import networkx as nx

            seeds = range(given.seed, given.seed + given.graphs)
            drawn = [nx.to_numpy_array(nx.DiGraph(nx.scale_free_graph(given.nodes, seed=seed))) for seed in seeds]
            graphs = [(each * (1.0 - np.eye(len(each))) > 0.0).T.astype(np.float64) for each in drawn]
        if given.leaders > min(map(len, graphs)):
            raise IdnError(f"leaders: {given.leaders}; a graph has {min(map(len, graphs))} nodes")
        return graphs

    def policies(self) -> Sequence[str]:
        """The centrality, and those that it is compared with."""
        return ("influence", "out-degree", "reversed PageRank", "betweenness", "PageRank", "closeness", "random")

    def evaluate(self, policy: str, stream: Sequence[FloatArray]) -> Measures:
        """Mean adoption over the graphs."""
        rows = []
        for n, weights in enumerate(stream):
            problem = Problem(weights, self.settings.a)
            values = _centrality(policy, problem, self.settings.seed + n)
            leaders = ranked(values)[: self.settings.leaders]
            rows.append(
                (problem.adoption(leaders, True), problem.adoption(leaders, False), problem.conformity(leaders))
            )
        keys = ("pinned", "free", "conformity")
        series = {key: np.array(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)}
        return Measures(policy, {key: float(column.mean()) for key, column in series.items()}, series)

    def claims(self, results: Sequence[Measures]) -> list[Claim]:
        """Whether the centrality's leaders are followed most; the abstract's figures are not at hand."""
        values = by_policy(results)
        found = []
        for key, how in (
            ("pinned", "that keep their opinion"),
            ("free", "that listen as well"),
            ("conformity", "of the authors' model"),
        ):
            adoption = {policy: float(each[key] or 0.0) for policy, each in values.items()}
            best = max(adoption, key=lambda policy: adoption[policy])
            text = f"influence chooses the leaders {how} whom most follow"
            reason = f"influence {adoption['influence']:.1f}, best {best} {adoption[best]:.1f}"
            holds = adoption["influence"] >= adoption[best] - 1e-9
            found.append(Claim.decided(text, "this library's comparison", Tag.COMPUTED, holds, reason))
        return found

    def checks(self, data: Path | None = None) -> Iterator[Check]:
        """Levels and order of adoption on eight graphs, and that iteration, elimination and fixed point agree."""
        made = Centrality()
        stream = made.stream()
        found = by_policy([made.evaluate(policy, stream) for policy in made.policies()])
        pinned = {policy: float(values["pinned"] or 0.0) for policy, values in found.items()}
        golden = (129.5, 128.7, 128.3, 105.7, 86.0, 84.0, 37.0)
        for policy, level in zip(made.policies(), golden, strict=True):
            yield Check.within(f"adoption of {policy}, pinned", 0.95 * level, 1.05 * level, pinned[policy], _GOLDEN)
        order = sorted(pinned, key=lambda policy: -pinned[policy])
        yield Check.equal("order of adoption, pinned", list(made.policies()), order, _GOLDEN)
        for policy, level in (("reversed PageRank", 90.2), ("influence", 77.5)):
            free = float(found[policy]["free"] or 0.0)
            yield Check.within(f"adoption of {policy}, free", 0.95 * level, 1.05 * level, free, _GOLDEN)
        problems = [Problem(weights) for weights in stream]
        same = [sorted(problem.top(8)) == sorted(problem.eliminated(8)) for problem in problems]
        yield Check.equal("graphs on which elimination finds the fixed point's top 8", 8, sum(same), "[D]")


def _centrality(policy: str, problem: Problem, seed: int) -> FloatArray:
    """(V,) a centrality of networkx's, or the system's own."""
    import networkx as nx

    graph = nx.from_numpy_array(problem.weights, create_using=nx.DiGraph)
    match policy:
        case "influence":
            return problem.centrality()
        case "out-degree":
            return problem.weights.sum(axis=1)
        case "random":
            return np.random.default_rng(seed).random(len(problem.weights))
        case "betweenness":
            values = nx.betweenness_centrality(graph)
        case "closeness":
            values = nx.closeness_centrality(graph)
        case "PageRank":
            values = nx.pagerank(graph)
        case _:
            values = nx.pagerank(graph.reverse())
    return np.array([values[node] for node in range(len(problem.weights))])


def _edges(path: Path) -> list[list[Any]]:
    """Edges of a CSV file with columns source, target and perhaps weight."""
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if not rows:
        raise IdnError(f"{path}: empty; must have a header and an edge per row")
    if missing := [name for name in ("source", "target") if name not in rows[0]]:
        raise IdnError(f"{path}: no column {missing[0]}; must have source, target and perhaps weight")
    found: list[list[Any]] = []
    for n, row in enumerate(rows, 1):
        try:
            weight = float(row.get("weight") or 1.0)
        except ValueError:
            raise IdnError(f"{path}: row {n}: weight: {shown(row['weight'])}; must be a number above 0") from None
        found.append([row["source"], row["target"], weight])
    return found


def _matrix(edges: Sequence[Sequence[Any]], source: str) -> tuple[list[str], FloatArray]:
    """Names of the nodes, in the order in which edges have them, and (V, V) weights; of an edge given twice the sum."""
    for n, edge in enumerate(edges):
        named = all(isinstance(end, str | int) and not isinstance(end, bool) for end in edge[:2])
        weight = edge[2] if len(edge) == 3 else 1.0
        number = isinstance(weight, int | float) and not isinstance(weight, bool) and 0.0 < weight <= 1e9
        if not (named and number):
            raise IdnError(f"{source}.{n}: {shown(list(edge))}; must be [node, node, weight], the weight above 0")
    nodes = list(dict.fromkeys(str(end) for edge in edges for end in edge[:2]))
    if len(nodes) > _MOST_NODES:
        raise IdnError(f"{source}: {len(nodes):,} nodes; at most {_MOST_NODES:,}")
    at = {node: n for n, node in enumerate(nodes)}
    weights = np.zeros((len(nodes), len(nodes)))
    for edge in edges:
        weights[at[str(edge[0])], at[str(edge[1])]] += edge[2] if len(edge) == 3 else 1.0
    return nodes, weights
