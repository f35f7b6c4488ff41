"""A bound on the net gain of all static allocations, recomputed without a solver, with an allowance for rounding.

A cut point gives, per request type, a linear function above the type's gain. Any weights that are nonnegative and sum
to at least 1 per type make of several such functions one more, const + slope.y, and its maximum over the feasible
allocations, an integral knapsack per node, bounds the gain whatever the points and weights are; the price of a
placement is taken off its slope. Leaves of a tree that branches on placements have weights of their own: the largest of
their bounds holds for all allocations.

Types that share no placement meet in the nodes' budgets alone. So they may have trees of their own: where each part of
the types pays a charge for what it places, its gain less the charges is bounded by its tree, and what all parts pay by
a knapsack per node, whatever the charges are. Ten parts with two leaves each are worth one tree of 1,024.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from idn_agents.optimum.charges import most_left
from idn_agents.optimum.knapsack import Knapsack, knapsacks
from idn_agents.optimum.rounding import UNDERFLOW, UNIT, operations, rounding
from idn_gym import kernels
from idn_gym.errors import IdnError
from idn_gym.model import allocation as feasible
from idn_gym.model import gain
from idn_gym.model.network import Network
from idn_gym.model.routed import RoutedService
from idn_gym.typing import BoolArray, FloatArray, IntArray
from idn_gym.workload.trace import Trace

OPEN = -1  # neither placed nor left out
MOST_LEAVES = 10_000  # of a certificate


@dataclass(frozen=True, eq=False)
class Leaf:
    """The allocations in which some placements are fixed, and the weights that bound their gain."""

    fixed: IntArray  # (P,) int8: 1 placed, 0 left out, OPEN
    cuts: IntArray  # (k,) of the certificate's points
    weights: FloatArray  # (k, R) >= 0; what a type's miss to 1 is put on what the type can save at all
    types: BoolArray | None = None  # (R,) of the part that it bounds, with the other leaves of these types; None: all
    charges: FloatArray | None = None  # (n,) ms per term, of each type for its placements: in place of weights


@dataclass(frozen=True, eq=False)
class Certificate:
    """What it takes to recompute a bound for a network and a trace."""

    points: FloatArray  # (n, P) allocations in [0, 1] at which the gain was cut
    leaves: tuple[Leaf, ...]  # those of a part together hold every allocation
    charges: FloatArray | None = None  # (P,) ms >= 0 that a part pays for what it places; None: nothing

    def compact(self) -> Certificate:
        """Without rows of weights that are 0 throughout, and without points that then have none."""
        leaves = []
        for leaf in self.leaves:
            kept = leaf.weights.any(axis=1)
            leaves.append(replace(leaf, cuts=leaf.cuts[kept], weights=leaf.weights[kept]))
        used = np.unique(np.concatenate([leaf.cuts for leaf in leaves]))
        numbered = (replace(leaf, cuts=np.searchsorted(used, leaf.cuts)) for leaf in leaves)
        return Certificate(self.points[used], tuple(numbered), self.charges)

    def parts(self, types: int) -> list[tuple[BoolArray, list[int]]]:
        """Each part's types (R,) and the numbers of its leaves."""
        found: dict[bytes, tuple[BoolArray, list[int]]] = {}
        for n, leaf in enumerate(self.leaves):
            mask = np.ones(types, dtype=np.bool_) if leaf.types is None else leaf.types
            found.setdefault(mask.tobytes(), (mask, []))[1].append(n)
        return list(found.values())

    @classmethod
    def of(cls, points: FloatArray, weights: FloatArray) -> Certificate:
        """One leaf, with nothing fixed, and weights (n, R) for all points (n, P)."""
        open_ = np.full(points.shape[1], OPEN, dtype=np.int8)
        return cls(points, (Leaf(open_, np.arange(len(points)), weights),))


def certified_bound(network: Network, trace: Trace, certificate: Certificate) -> float:
    """Upper bound in ms on the net gain over the trace of every feasible integral allocation.

    It holds for any certificate. The net gain meant, the gain less `Network.holding` of what is placed in every slot,
    is that of the compiled network's float64 figures and the trace's, in exact arithmetic.

    Raises
    ------
    IdnError
        If an allocation may be in no leaf of a part, a type in no part, or a placement may serve types of two.

    Notes
    -----
    Rounding. A type's functions are those of `kernels.type_cuts`, the knapsacks those of `Knapsack.maximum`. Sums have
    no negative term and no difference is taken but of two given costs, so with u = 2^-53 the relative error of the
    result is within gamma_N = N u / (1 - N u) for N operations on the way from an input to the result (Higham,
    Accuracy and Stability of Numerical Algorithms, 2nd ed., lemmas 3.1 and 3.3). `operations` counts them generously.
    Where there are prices, a slope is rounded up and the price of the placement down before they are subtracted, which
    errs by u relative to the difference; what is above 0 and what is below are summed apart, and these sums rounded up
    and down. Charges are added to the prices first; that sum of two numbers, and the sum over parts, of which there are
    no more than types, are counted by `operations` many times over. Where there are classes, what a class finds of a
    capacity is a difference of sums: capacities are raised by more than the sum's error, since no gain falls with a
    capacity.
    Costs of a chain are multiples of a power of two, at most 2^44 of it, so that distances, potentials and prices of
    its routing are exact: whatever rounding does to its flow, the prices prove what they say. A term's slope is then
    a product of three numbers and a sum over slots, as that of an option is.
    The knapsack compares rounded sums, and rounded sums of the same terms keep their order when a term is added, so
    what it drops is never better than what it keeps; sizes have twice the slack that feasibility has, relative 2e-9,
    which is above their own gamma, and above the rounding of what a leaf's placements leave of a node's room. A type's
    weights need not sum to 1 exactly: its gain is not negative, so a sum above 1 is as good, and the weight on its
    ceiling is rounded up. Cut points need not be feasible: any will do.
    """
    parts = certificate.parts(network.R)
    owned = _owned(network, parts)
    for _, members in parts:
        fixed = np.array([certificate.leaves[n].fixed for n in members])
        refuse_uncovered(fixed.reshape(len(members), network.P))
    if not (trace.requests.any() and network.fits.any()):
        return 0.0
    widest = max(len(leaf.weights) for leaf in certificate.leaves)
    error = rounding(operations(network, trace, widest))
    constants, slopes = _mixed(network, trace, certificate, parts, error)
    nodes = knapsacks(network)
    charges = np.zeros(network.P)
    if certificate.charges is not None:
        charges = np.maximum(np.nan_to_num(certificate.charges), 0.0)
    costs = held_price(network, trace) + charges
    if costs.any():
        slopes = slopes * (1.0 + error) - costs * (1.0 - error)
    open_ = np.full(network.P, OPEN, dtype=np.int8)
    total = linear_maximum(nodes, 0.0, charges, open_)[0] * (1.0 + error)
    for own, (_, members) in zip(owned, parts, strict=True):
        known: dict[bytes, tuple[float, float]] = {}
        bounds = []
        for n in members:
            values = np.where(own, slopes[n], 0.0)
            won, lost = linear_maximum(nodes, max(constants[n], 0.0), values, certificate.leaves[n].fixed, known)
            lost += max(-constants[n], 0.0)
            bounds.append(won * (1.0 + error) - lost * (1.0 - error))
        total += float(np.max(bounds))
    return total + UNDERFLOW


def _owned(network: Network, parts: list[tuple[BoolArray, list[int]]]) -> list[BoolArray]:
    """(P,) each part's placements, those that may serve its types; all placements where there is one part."""
    bounded = np.zeros(network.R, dtype=np.bool_)
    for types, _ in parts:
        bounded |= types
    if not (parts and bounded.all()):
        service, entry = network.type_names[int(bounded.argmin())] if network.R else ("", "")
        raise IdnError(f"leaves: none is about {service!r} from {entry!r}")
    if len(parts) == 1:
        return [np.ones(network.P, dtype=np.bool_)]
    owned = [serving(network, types) for types, _ in parts]
    shared = np.flatnonzero(np.sum(owned, axis=0) > 1)
    if len(shared):
        node, model = network.names(int(shared[0]))
        raise IdnError(f"leaves: {model!r} at {node!r} may serve requests of two parts, which bounds neither")
    return owned


def serving(network: Network, types: BoolArray) -> BoolArray:
    """(P,) the placements that may serve any of some types (R,)."""
    terms = network.service.terms
    return np.bincount(terms.placement, types[terms.type], minlength=network.P) > 0.0


def _mixed(
    network: Network, trace: Trace, certificate: Certificate, parts: list[tuple[BoolArray, list[int]]], error: float
) -> tuple[list[float], FloatArray]:
    """Of each of n leaves the constant, and the slopes (n, P), of the function that its weights mix, rounded up."""
    capacities = _moved(network, trace, 1.0 + error)
    terms, load = network.service.terms, kernels.loads(network, trace.requests)
    fits = network.fits.astype(np.float64)
    ceiling, _ = kernels.type_gains(network, trace.requests, capacities, fits, load)
    constants, slopes = [0.0] * len(certificate.leaves), np.zeros((len(certificate.leaves), network.P))
    users: list[list[tuple[int, FloatArray]]] = [[] for _ in certificate.points]
    charged = sum(leaf.charges is not None for leaf in certificate.leaves)
    for types, members in parts:
        for n in members:
            leaf = certificate.leaves[n]
            if leaf.charges is not None:
                of_slots = trace.requests, capacities, load, leaf.charges
                left, charges = most_left(network, *of_slots, leaf.fixed, charged)
                constants[n], slopes[n] = float(left[types].sum()), terms.by_placement(charges * types[terms.type])
                continue
            weights = np.clip(np.nan_to_num(leaf.weights), 0.0, 1.0) * types
            constants[n] = float(_rest(weights)[types] @ ceiling[types])
            for cut, row in zip(leaf.cuts.tolist(), weights, strict=True):
                users[cut].append((n, row))
    for point, using in zip(certificate.points, users, strict=True):
        if not using:
            continue
        constant, slope = kernels.type_cuts(network, trace.requests, capacities, point, load)
        summed: dict[bytes, tuple[FloatArray, float]] = {}  # many leaves of a tree share their weights
        for n, row in using:
            key = row.tobytes()
            if key not in summed:
                summed[key] = terms.by_placement(row[terms.type] * slope), float(row @ constant)
            slopes[n] += summed[key][0]
            constants[n] += summed[key][1]
    return constants, slopes


def held_price(network: Network, trace: Trace) -> FloatArray:
    """(P,) ms of net gain that holding each placement over the trace takes."""
    return trace.slots * network.holding


def refuse_uncovered(fixed: IntArray) -> None:
    """Refuse leaves (n, P) of which it is not plain that they hold every allocation.

    It is where there is a leaf with nothing fixed, or a placement that all of them fix, and the leaves where it is
    placed hold all of these allocations, and those where it is left out all the others: as after branching.

    Raises
    ------
    IdnError
        If it is not.
    """
    known = fixed != OPEN
    depth = known.sum(axis=1)
    # leaves by ascending depth, how many of them fix each placement, and how many placements were split on before
    waiting = [(np.argsort(depth, kind="stable"), known.sum(axis=0), 0)]
    while waiting:
        leaves, fixing, splits = waiting.pop()
        if len(leaves) and depth[leaves[0]] == splits:
            continue
        common = np.flatnonzero(known[leaves[0]] & (fixing == len(leaves))) if len(leaves) else leaves
        if len(common) == 0:
            raise IdnError("leaves: do not hold every allocation, or not as a tree does that branches on placements")
        placed = fixed[leaves, common[0]] == 1
        fewer = placed if 2 * placed.sum() < len(leaves) else ~placed
        fixing[common[0]] = -1  # split on
        of_fewer = np.where(fixing < 0, -1, known[leaves[fewer]].sum(axis=0))  # those of the others are what is left
        of_others = np.where(fixing < 0, -1, fixing - of_fewer)
        waiting += [(leaves[~fewer], of_others, splits + 1), (leaves[fewer], of_fewer, splits + 1)]


def certified_gain(network: Network, trace: Trace, allocation: IntArray) -> float:
    """Lower bound in ms on the gain over the trace of an allocation (P,), a rounding error below what it is.

    The gain, whatever has a price; see `certified_net`. From the readable reference, whose sums have no negative term
    either; where there are chains from the kernels, since the reference's linear programs are solved to a tolerance.
    A chain's flow is summed from pushes along paths, and may exceed what a placement carries, or fall below 0, by the
    rounding of that sum, which then saves no more than as much of the route through repositories costs.

    Raises
    ------
    IdnError
        If the allocation is not integral and feasible.
    """
    feasible.check(network, allocation, integral=True)
    held = allocation.astype(np.float64)
    error = rounding(operations(network, trace, 0))
    capacities = _moved(network, trace, 1.0 - error)
    service, lost = network.service, UNDERFLOW
    if isinstance(service, RoutedService):
        gained = float(kernels.gain(network, trace.requests, capacities, held[None]).sum())
        chains = service.chains
        error = rounding(operations(network, trace, 0) + int(np.diff(service.terms.start).max(initial=0)) ** 2)
        lost += 2.0 * error * float((trace.requests[:, chains.types] @ chains.repository_cost).sum())
    else:
        gained = sum(
            gain.allocation_gain(network, r, capacities[t if len(capacities) > 1 else 0], held)
            for t, r in enumerate(trace.requests)
        )
    return max(0.0, gained * (1.0 - error) - lost)


def certified_net(network: Network, trace: Trace, allocation: IntArray) -> float:
    """Lower bound in ms on the net gain over the trace of an allocation (P,), a rounding error below what it is.

    Raises
    ------
    IdnError
        If the allocation is not integral and feasible.
    """
    error = rounding(operations(network, trace, 0))
    gained = certified_gain(network, trace, allocation)
    paid = float(held_price(network, trace)[allocation > 0].sum()) * (1.0 + error)
    return gained - paid * (1.0 + UNIT) if paid else gained


def relative_gap(gain: float, bound: float) -> float:
    """Share of the bound that the gain misses; 0 if the bound is 0."""
    return (bound - gain) / bound if bound > 0.0 else 0.0


def linear_maximum(
    nodes: list[Knapsack],
    constant: float,
    slope: FloatArray,
    fixed: IntArray,
    known: dict[bytes, tuple[float, float]] | None = None,
) -> tuple[float, float]:
    """Maximum of constant + slope.y over the feasible allocations y of a leaf, as in `Knapsack.maximum`.

    That is, the terms above 0 and those below, of which the maximum is the difference; -inf if the leaf has none.

    Parameters
    ----------
    known : maxima of nodes, kept from leaf to leaf: most leaves of a tree differ at few nodes.
    """
    known = {} if known is None else known

    def at(node: Knapsack) -> tuple[float, float]:
        values, here = slope[node.placements], fixed[node.placements]
        key = node.node.to_bytes(8) + sha256(values.tobytes() + here.tobytes()).digest()
        if key not in known:
            known[key] = node.maximum(values, here)
        return known[key]

    found = [at(node) for node in nodes]
    return constant + sum(won for won, _ in found), sum(lost for _, lost in found)


def _moved(network: Network, trace: Trace, factor: float) -> FloatArray:
    """Capacities of the trace; times a factor where shares come of differences, which rounding may then not turn."""
    return trace.capacities * factor if network.service.classes > 1 else trace.capacities


def _rest(weights: FloatArray) -> FloatArray:
    """(R,) what the weights (k, R) miss to 1, rounded up."""
    slack = rounding(len(weights) + 2)
    return np.maximum(0.0, 1.0 + slack - weights.sum(axis=0) * (1.0 - slack))
