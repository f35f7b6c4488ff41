"""The search for the best static allocation in hindsight, with a proven bound on how much better any other could be.

Relax: cutting planes on the gains of the request types and on the hulls of the nodes' allocations, to the optimum of
the relaxation. Round: dependent rounding of it, and local search. Envelop: cuts that hold for integral allocations
only, and rounding again. Branch: branch and bound over the cuts, cutting again where its solutions promise more than
they gain, until the gap is closed. Certify: envelopes, if there are none yet, and a tree for the proof.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np

from idn_agents.agent import refuse_other
from idn_agents.optimum.certificate import OPEN, Certificate, certified_bound, held_price, relative_gap
from idn_agents.optimum.local_search import TraceSearch
from idn_agents.optimum.options import default_leaves, refuse_options
from idn_agents.optimum.relaxation.columns import Columns
from idn_agents.optimum.relaxation.cutting_planes import SUMMING, Master, Proof
from idn_agents.optimum.relaxation.envelope import Envelopes
from idn_agents.optimum.relaxation.highs import import_highspy
from idn_agents.optimum.relaxation.tree import CertificateTree
from idn_agents.optimum.route_search import RouteSearch
from idn_agents.optimum.solution import Solution
from idn_gym import kernels
from idn_gym.kernels.compiled import clock
from idn_gym.model.network import Network
from idn_gym.model.placements import room
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

ROUNDING = 1e-9  # relative: gains and bounds this close are the same number, to the solver at least
_CONTRADICTION = 1e-6  # relative; a bound that much below a gain proves nothing but an error of the solver
_LOOSE = 0.004  # of the bound: the certified gap above which types' envelopes come before branch and bound
_ROUNDS = 50  # of the relaxation, at most
_PROGRESS = 0.02  # of the gap: below it, rounds of cuts at envelopes come to an end
_UNSETTLED = 1e-3  # share of the relaxation, by which the types' searches may be off that envelopes build on
_TRIALS = 8  # roundings of the relaxed optimum, each with a local search
_STALE_TRIALS = 3  # after so many without a better one there are no more
_ROUGH = 1e-3  # share of a type's ceiling that the master may overestimate it by at a rounded allocation

Progress = Callable[[float, float, str], None]  # net gain and bound in ms, phase in words
_log = logging.getLogger("idn_gym")


def log_step(gain: float, bound: float, phase: str) -> None:
    """A `Progress` that logs each step as a line."""
    left = relative_gap(gain, bound)
    _log.info("%s: gap %.3f%%, gain %.6g ms, bound %.6g ms", phase, 100.0 * left, gain, bound)


def solve(
    network: Network,
    trace: Trace,
    *,
    gap: float = 0.001,
    time_limit: float | None = None,
    progress: Progress | None = None,
    leaves: int | None = None,
) -> Solution:
    """Best static integral allocation for a trace.

    Parameters
    ----------
    gap : relative gap between gain and bound to stop at.
    time_limit : seconds to stop after; however few, there is an allocation.
    progress : told gain and bound in ms, and the phase; the gain never falls, the bound never rises.
    leaves : of the certificate's tree, at most; by default 32, on networks of over 5,000 placements 1: no branching.

    Returns
    -------
    The same for the same input, unless stopped by time. An interrupt returns the best so far.

    Raises
    ------
    IdnError
        If the solver is not installed, or an option is not allowed.
    """
    refuse_options(gap, time_limit, leaves)
    limit = np.inf if time_limit is None else time_limit
    leaves = default_leaves(network) if leaves is None else leaves
    import_highspy()
    refuse_other(network, trace)
    search = _Search(network, trace, gap, time.monotonic() + limit, progress, leaves)
    status = "feasible"
    try:
        search.run()
    except TimeoutError:
        status = "time limit"
    except KeyboardInterrupt:
        status = "interrupted"
    return search.solution("optimal" if search.closed and status != "interrupted" else status)


class _Search:
    """The state of one `solve`: the incumbent, the bounds and the master."""

    def __init__(
        self,
        network: Network,
        trace: Trace,
        gap: float,
        deadline: float,
        progress: Progress | None,
        leaves: int,
    ) -> None:
        self._leaves = leaves
        self._network, self._trace, self._gap, self._deadline = network, trace, gap, deadline
        self._progress, self._begun = progress, clock()
        self._reported = (-1.0, np.inf, "")
        self._phase = "relax"
        self._load = kernels.loads(network, trace.requests)
        fits = network.fits.astype(np.float64)
        self._stream = network, trace.requests, trace.capacities
        self._ceiling = kernels.type_gains(*self._stream, fits, self._load)[0]
        self._price = held_price(network, trace)
        self._allocation = np.zeros(network.P, dtype=np.int8)
        self._gain = 0.0  # net of the price, as all gains and bounds here
        self._bound = self._certified_bound = float(self._ceiling.sum()) * (1.0 + SUMMING)
        self._fractional = (0.0, self._bound)  # gain and bound
        self._root: Proof | None = None
        self._envelopes: Envelopes | None = None
        self._settling = network.service.submodular  # whether what types are left with is found
        self._certificate = Certificate.of(np.zeros((0, network.P)), np.zeros((0, network.R)))

    @property
    def gap(self) -> float:
        """Relative gap between gain and bound."""
        return relative_gap(self._gain, self._bound)

    @property
    def closed(self) -> bool:
        """Whether the gap that was asked for is proven."""
        return self.gap <= self._gap

    def run(self) -> None:
        """Search until the gap is closed or nothing moves any more; a `TimeoutError` when time is up."""
        if self._bound == 0.0:
            return
        self._columns = Columns.of(self._network, self._trace)
        self._master = Master(self._network, self._columns, self._ceiling, self._price)
        self._search: TraceSearch | RouteSearch
        if self._network.service.submodular:
            self._search = TraceSearch(self._network, self._trace, self._load, self._price)
        else:
            self._search = RouteSearch(self._network, self._trace, self._price, ROUNDING * self._bound)
            self._consider(self._search.rounded(np.ones(self._network.P), np.random.default_rng(0)))
        self._round(self._relax())
        if self._settling and relative_gap(self._gain, self._certified_bound) > max(self._gap, _LOOSE) + ROUNDING:
            self._round(self._envelop())
        self._branch()
        if self._settling and self._envelopes is None and not self._proves_enough():
            self._envelop()
        if self._root is not None and not self._proves_enough():
            self._tighten(self._root)

    def solution(self, status: str) -> Solution:
        """What has been found so far, its certificate recomputed by the path that `verify` takes."""
        certified = certified_bound(self._network, self._trace, self._certificate)
        self._lower(certified)
        self._report()
        seconds = clock() - self._begun
        fractional, fractional_bound = self._fractional
        net = self._gain if self._network.priced else None
        gain = self._served(self._allocation) if self._network.priced else self._gain
        proven = (self._bound, certified, max(fractional, self._gain), fractional_bound, self.gap)
        return Solution(gain, net, *proven, status, seconds, self._allocation, self._certificate)

    def _relax(self) -> FloatArray:
        """Cut at relaxed optima until the master is about right there; returns the last one (P,).

        First within the budgets, which ends at the fractional optimum, then within the hulls of the nodes' allocations.
        """
        accuracy = max(0.1 * self._gap, 1e-6)
        point = np.zeros(self._network.P)
        constant, slope = self._cuts(point)
        density = (self._network.service.terms.by_placement(slope) - self._price) / self._network.sizes
        self._consider(kernels.pack(self._network, np.where(density < 0.0, -np.inf, density)[None])[0])
        self._report()
        self._master.cut(point, constant, slope, ROUNDING)
        integral = False
        for _ in range(_ROUNDS):
            self._refuse_late()
            relaxed = self._master.relax(self._deadline)
            if relaxed is None:
                break
            point = relaxed
            self._prove(self._master.certify(np.full(self._network.P, OPEN, dtype=np.int8)))
            constant, slope = self._cuts(point)
            gain, value = self._master.net_at(point, constant, slope), self._master.relaxed_value
            converged = value - gain <= accuracy * value
            if not integral:
                best, bound = self._fractional
                self._fractional = (max(best, gain), min(bound, value))
                integral = converged
            separated = self._master.separate(point) if integral else 0
            self._consider_packed(point)
            self._report()
            if self.closed or (integral and converged and separated == 0):
                break
            cuts = self._master.cut(point, constant, slope, ROUNDING)
            if integral and cuts + separated == 0:
                break
            integral = integral or cuts == 0
        return point

    def _round(self, relaxed: FloatArray) -> None:
        """Round the relaxed optimum at random and improve that, a few times; cut where the master errs widely."""
        self._phase = "round"
        generator = np.random.default_rng(0)
        stale = 0
        for _ in range(0 if self.closed else _TRIALS):
            rounded = self._search.rounded(relaxed, generator)
            improved = self._search.improve(rounded, self._deadline)
            stale = 0 if self._consider(improved) else stale + 1
            self._report()
            for allocation in (rounded, improved):
                point = allocation.astype(np.float64)
                self._master.cut(point, *self._cuts(point), _ROUGH)
            if self.closed or stale == _STALE_TRIALS:
                return
            self._refuse_late()

    def _envelop(self) -> FloatArray:
        """Cut at the envelopes of the types' gains, as long as that proves more; returns the last optimum (P,)."""
        self._phase = "envelopes"
        of = self._network, self._trace, self._load, self._ceiling, self._columns, self._master
        self._envelopes = Envelopes(*of)
        accuracy = max(0.1 * self._gap, 1e-6)

        def cut(point: FloatArray) -> int:
            return self._master.separate(point) + self._master.cut(point, *self._cuts(point), accuracy)

        least = max(_PROGRESS * self._gap, 1e-6)
        for n, (point, proof) in enumerate(self._envelopes.descend(cut, accuracy, least, self._deadline)):
            self._prove(proof)
            self._consider_packed(point)
            self._report()
            if n == 0 and proof.bound > self._master.relaxed_value * (1.0 + _UNSETTLED):
                self._settling, self._envelopes = False, None  # before the first cut
                break
            if self._proves_enough():
                break
        return point

    def _branch(self) -> None:
        """Branch and bound, cutting at its solutions, until they gain what the master promises."""
        self._phase = "branch"
        while not self.closed:
            self._refuse_late()
            before = (self._gain, self._bound)
            start = self._allocation.astype(np.float64)
            cuts = self._master.cut(start, *self._cuts(start), ROUNDING)
            found: list[FloatArray] = []

            def keep(solution: FloatArray, found: list[FloatArray] = found) -> None:
                found.append(solution)
                self._consider(solution.astype(np.int8))

            gap = max(0.5 * self._gap, 0.1 * self.gap) if self._gap > 0.0 else 0.0
            self._lower(self._master.branch(start, gap, self._deadline, keep, self._enough, self._report))
            for solution in found:
                cuts += self._master.cut(solution, *self._cuts(solution), ROUNDING)
            if found and not self.closed and (found[-1] != start).any():
                self._consider(self._search.improve(found[-1].astype(np.int8), self._deadline))
            self._report()
            if cuts == 0 and before == (self._gain, self._bound):
                return

    def _tighten(self, root: Proof) -> None:
        """Branch for the certificate, which is behind branch and bound."""
        self._phase = "certify"
        how = self._consider_packed, self._proves_enough, max(0.1 * self._gap, 1e-6), self._deadline
        tree = CertificateTree(self._master, self._cuts, *how, self._envelopes)
        for proofs in tree.grow(root, self._leaves):
            bound = max(proof.bound for proof in proofs)
            if bound < self._certified_bound:
                self._take(bound, self._master.certificate(proofs))
            behind = relative_gap(self._gain, self._certified_bound)
            self._phase = f"certify, {len(proofs)} leaves, certified gap {behind:.3%}"
            self._report()

    def _cuts(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        return kernels.type_cuts(*self._stream, point, self._load)

    def _consider(self, allocation: IntArray) -> bool:
        """Take an integral allocation for the incumbent if it is feasible and gains more."""
        used = self._network.memory_in_use(allocation)
        if (used > room(self._network.budgets)).any():
            return False
        gain = self._served(allocation)
        if self._network.priced:
            gain -= float(self._price[allocation > 0].sum())
        if gain <= self._gain * (1.0 + ROUNDING):
            return False
        self._allocation, self._gain = allocation, gain
        self._lower(self._bound)
        return True

    def _served(self, allocation: IntArray) -> float:
        """Ms that an integral allocation gains, whatever it costs."""
        return float(kernels.serve(*self._stream, allocation).gain.sum())

    def _consider_packed(self, point: FloatArray) -> None:
        self._consider(kernels.pack(self._network, np.where(point > 0.0, point, -np.inf)[None])[0])

    def _prove(self, proof: Proof) -> None:
        """Take what is proven of all allocations, if it is less than before."""
        if proof.bound < self._certified_bound:
            self._root = proof
            self._take(proof.bound, self._master.certificate([proof]))

    def _take(self, bound: float, certificate: Certificate) -> None:
        """Take a certificate that proves less than the one before."""
        self._certified_bound, self._certificate = bound, certificate
        self._lower(bound)

    def _proves_enough(self, bound: float | None = None) -> bool:
        bound = self._certified_bound if bound is None else bound
        return bound * (1.0 - self._gap) <= self._gain * (1.0 + ROUNDING)

    def _lower(self, bound: float) -> None:
        """Take a bound if it is lower; one within rounding of the gain is the gain."""
        if bound < self._gain * (1.0 - _CONTRADICTION):
            return
        bound = min(bound, self._bound)
        self._bound = self._gain if bound <= self._gain * (1.0 + ROUNDING) else bound

    def _enough(self, bound: float) -> bool:
        self._lower(bound)
        return self.closed

    def _report(self) -> None:
        state = (self._gain, self._bound, self._phase)
        if self._progress is not None and state != self._reported:
            self._reported = state
            self._progress(*state)

    def _refuse_late(self) -> None:
        if time.monotonic() >= self._deadline:
            raise TimeoutError
