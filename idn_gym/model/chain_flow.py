"""What serving a chain costs: the linear program of a unit of flow through its states; the reference of the kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from idn_gym.model.chains import Chains
from idn_gym.typing import FloatArray


class Route(NamedTuple):
    """How a reference flow sends a share of a type's requests."""

    share: float
    cost: float
    latency: float
    inaccuracy: float
    nodes: tuple[int, ...]  # where each stage is served


class Flow(NamedTuple):
    """A unit of a chain, routed at least cost."""

    saved: float  # ms per request, weighted, against repositories alone
    prices: FloatArray  # (terms,) ms that a share more of each placement would save, of all stages together
    end: float  # ms: what the prices prove is repository cost - end + prices . w
    routes: list[Route]  # that make the flow up


def least_cost_flow(chains: Chains, c: int, w: FloatArray) -> Flow:
    """The linear program of a chain: least cost, where a placement carries at most w (terms,) per stage.

    Latencies are those of one optimal flow; where there are several, it is the solver's choice.
    """
    edges = np.arange(chains.edge_start[c], chains.edge_start[c + 1])
    states = int(chains.state_start[c + 1] - chains.state_start[c])
    tail, head, cost, latency, inaccuracy, node, term = [], [], [], [], [], [], []
    for e in edges:
        members = range(int(chains.member_start[e]), int(chains.member_start[e + 1]))
        for k in members or [-1]:
            tail.append(chains.edge_tail[e])
            head.append(chains.edge_head[e])
            cost.append(chains.member_cost[k] if members else chains.edge_cost[e])
            latency.append(chains.member_latency[k] if members else chains.edge_latency[e])
            inaccuracy.append(chains.member_inaccuracy[k] if members else 0.0)
            node.append(chains.member_node[k] if members else -1)
            term.append(chains.member_term[k] if members else len(w))
    n = len(tail)
    columns = np.arange(n)
    balance = csr_array(
        (np.repeat([-1.0, 1.0], n), (np.concatenate([tail, head]), np.tile(columns, 2))), shape=(states, n)
    ).toarray()
    supply = np.zeros(states)
    supply[0], supply[-1] = -1.0, 1.0
    limits = np.append(w, np.inf)[term]
    solved = linprog(cost, A_eq=balance, b_eq=supply, bounds=np.stack([np.zeros(n), limits], axis=1))
    marginal = np.where(np.isfinite(limits), np.maximum(0.0, -solved.upper.marginals), 0.0)
    prices = np.bincount(np.array(term), marginal, minlength=len(w) + 1)[: len(w)]
    saved = float(chains.repository_cost[c] - solved.fun)
    end = float(chains.repository_cost[c] - saved + prices @ w)
    return Flow(saved, prices, end, _routes(np.array(solved.x), tail, head, cost, latency, inaccuracy, node))


def _routes(flow: FloatArray, tail: Any, head: Any, cost: Any, latency: Any, inaccuracy: Any, node: Any) -> list[Route]:
    """A flow taken apart, route by route."""
    found = []
    end = max(head)
    while flow[np.array(tail) == 0].sum() > 1e-9:
        state, used = 0, []
        while state != end:
            used.append(max((i for i in range(len(flow)) if tail[i] == state), key=lambda i: flow[i]))
            state = head[used[-1]]
        share = float(flow[used].min())
        flow[used] -= share
        ms, slow, wrong = (sum(float(values[i]) for i in used) for values in (cost, latency, inaccuracy))
        found.append(Route(share, ms, slow, wrong, tuple(int(node[i]) for i in used if node[i] >= 0)))
    return found
