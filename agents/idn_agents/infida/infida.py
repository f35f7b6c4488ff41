"""INFIDA: distributed online mirror descent with dependent rounding, and its offline form.

Source: docs/model.md#mirror-descent (Si Salem et al., IEEE/ACM ToN 32(1), 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from idn_agents.agent import generator, refuse_other
from idn_agents.infida.bounds import theory_rate
from idn_agents.infida.fused import FusedUpdate, suits
from idn_agents.infida.mirror_descent import LARGEST_SCALE, MirrorDescent, default_scale
from idn_agents.infida.mixture_kernel import mix, node_products
from idn_agents.infida.slack import StateSpace, charges
from idn_agents.rounding.hedge import AdaHedge
from idn_agents.rounding.rounding import ROUNDINGS, Coordination, Dependent, residual_of, rounding_of
from idn_agents.rounding.whole_routes import draw_routes, routed
from idn_gym import kernels
from idn_gym.common.parameters import one_of, real, whole
from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.typing import FloatArray, IntArray
from idn_gym.workload.trace import Trace

_ADAPTIVE = (("theory", 0.0), ("scale-free", 0.5), ("scale-free", 1.0), ("scale-free", 2.0))  # rates and scales


@dataclass(kw_only=True, eq=False)
class Infida(MirrorDescent):
    """Keep a fractional state per node, step along the subgradient of the last slot's gain, round the state.

    Parameters
    ----------
    learning_rate, scale, refresh, target, residual : as for `MirrorDescent`.
    rounding : ``dependent`` (default): each node by itself, at random. ``routes`` (default where requests need several
        models): whole routes, at random. ``coordinated``: a search over all nodes on a forecast.
        ``guarded``: the best of them in the long run; see `idn_agents.rounding`. What follows is about coordination.
    window : last batches to look at, or ``adaptive`` (default): as many as forecast the next one best, up to 256.
    bonus : slots' worth of service per MB that a load must earn back within the horizon, so that noise moves nothing;
        by default a quarter.
    update_weight : ms per MB loaded that a load must earn back too, as in the environment's reward; by default 0.
    horizon : slots within which a load must pay; by default 64.
    """

    rounding: str | None = None
    window: str | int | None = None
    bonus: float | None = None
    update_weight: float | None = None
    horizon: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounding is not None:
            one_of("rounding", self.rounding, ROUNDINGS)
        names = ("window", "bonus", "update_weight", "horizon")
        given: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        if given and self.rounding not in ("coordinated", "guarded"):
            raise IdnError(f"{', '.join(given)}: only with rounding=coordinated or guarded")
        self.coordination = Coordination(**given)

    def accepts(self, network: Network) -> None:
        """Any; ``rounding=routes`` only where requests need several models."""
        if self.rounding == "routes":
            routed(network)

    def reset(self, network: Network, seed: int) -> None:
        """Start anew, with the same fraction of everything that fits."""
        super().reset(network, seed)
        mass = state_mass(network, self.residual)
        rates, scales = zip(
            *(_ADAPTIVE if self.rate == "adaptive" else ((self.rate, self.scale_on(network)),)), strict=True
        )
        self._steps = StepSizes(network, rates, scales, mass)
        self._space = self._steps.space
        self._rounding = rounding_of(self.rounding, network, seed, self.residual, self.coordination)
        log_state = start(self._space.placements, mass)
        self._fused: FusedUpdate | None = None
        if self.rate != "adaptive" and suits(network):
            residual = residual_of(network, self.residual)
            self._fused = FusedUpdate(network, log_state, mass, [generator(seed)], residual)
            return
        self._states = np.repeat(kernels.states_of(log_state), len(rates), axis=0)
        self._hedge = AdaHedge(len(rates), network.V)
        self._state = self._fractions(self._states[:1])

    @property
    def fractional(self) -> FloatArray:
        """(P,) the state that the last act was drawn from."""
        return (self._fused.fractional if self._fused else self._state)[0]

    def info(self) -> dict[str, Any]:
        """What the rounding has to say."""
        return self._rounding.info()

    def _advance(self, batch: list[FloatArray] | None, due: bool) -> None:
        if not (self._fused and isinstance(self._rounding, Dependent)):
            super()._advance(batch, due)
            return
        self._fused.advance(None if batch is None else (batch[0][None], batch[1][None]), self._steps, due)
        if due:
            self._allocation = self._fused.allocation[0].copy()

    def _see(self, requests: FloatArray, capacities: FloatArray) -> None:
        self._rounding.see(requests, capacities)
        if self._fused:
            self._fused.advance((requests[None], capacities[None]), self._steps, False)
            return
        _, gradient = kernels.gain_and_subgradient(self._network, requests, capacities, self._state)
        if self.rate != "adaptive":
            self._states = update(self._states, gradient, self._steps)
            self._state = self._fractions(self._states)
            return
        network, net = self._network, self._space.net(gradient[0])
        self._hedge.see(node_products(network, self._fractions(self._states), net))
        self._states = update(self._states, np.repeat(gradient, len(self._states), axis=0), self._steps)
        self._state = mix(network, self._fractions(self._states), self._hedge.weights)

    def _fractions(self, states: FloatArray) -> FloatArray:
        """(B, P) y of states over the space."""
        return self._space.held(kernels.fractions_of(states))

    def _round(self) -> IntArray:
        return self._rounding.round(self._fused.fractional if self._fused else self._state)


class InfidaOffline:
    """Mirror descent on the time-averaged gain of the whole trace; the average state, rounded once.

    Where requests need several models it is rounded by whole routes.

    Parameters
    ----------
    iterations : steps of mirror descent.
    scale : of the scale-free learning rate, by default as for `MirrorDescent`.
    """

    hindsight = True

    def __init__(self, *, iterations: int = 200, scale: float | None = None) -> None:
        self._iterations = whole("iterations", iterations, highest=100_000)
        self._scale = None if scale is None else real("scale", scale, highest=LARGEST_SCALE)

    def reset(self, network: Network, seed: int) -> None:
        self._network, self._generator = network, generator(seed)

    def fit(self, trace: Trace) -> None:
        """All iterations, then the one rounding."""
        network = self._network
        refuse_other(network, trace)
        load = kernels.loads(network, trace.requests)
        scale = default_scale(network) if self._scale is None else self._scale
        steps = StepSizes(network, "scale-free", scale, network.spendable, slots=trace.slots)
        states = kernels.states_of(start(steps.space.placements, network.spendable))
        total = np.zeros(network.P)
        for _ in range(self._iterations):
            state = steps.space.held(kernels.fractions_of(states))[0]
            total += state
            _, slopes = kernels.type_gains(network, trace.requests, trace.capacities, state, load)
            gradient = network.service.terms.by_placement(slopes)[None]
            states = update(states, gradient, steps)
        self.fractional = total / self._iterations
        if not network.service.submodular:
            slot = trace.requests.mean(axis=0), trace.capacities.mean(axis=0)
            self._allocation = draw_routes(network, *slot, self.fractional[None], self._generator)
            return
        uniforms = self._generator.random((1, network.P))
        residual = residual_of(network, "drop")
        self._allocation = kernels.round_dependent(network, self.fractional[None], uniforms, residual)[0]

    def act(self, observation: dict[str, FloatArray]) -> IntArray:
        return self._allocation

    def info(self) -> dict[str, Any]:
        return {"iterations": self._iterations}


def state_mass(network: Network, residual: str = "drop") -> FloatArray:
    """(V,) MB a state spends at each node, its slack included: min(b, ||s||_1), less the largest under ``reserve``."""
    if residual != "reserve":
        return network.spendable
    largest = kernels.node_maximum(network, network.sizes[None])[0]
    total = network.fitting_mb
    return np.where(total <= network.budgets, total, np.maximum(0.0, network.budgets - largest))


def start(placements: Placements, mass: FloatArray) -> FloatArray:
    """(1, P) log y_1 = argmin Phi: the same fraction of everything that fits. Source: docs/model.md#mirror-descent."""
    return kernels.project(placements, np.zeros((1, placements.P)), mass)


def update(states: Any, gradient: Any, steps: StepSizes, **filled: Any) -> Any:
    """(B, entries) the states of slot t + 1, the one step of INFIDA, for a batch of independent states.

    h = y exp(eta g / s), then the Bregman projection on each node's budget. With prices, g is less what holding costs,
    and 0 for the slack of each node. `fused` is the same in one pass.

    Parameters
    ----------
    states : (B, entries) of slot t, over `steps.space`: arrays as of `kernels.step_states`, or tensors of log y.
    gradient : (B, P) g_t in ms.
    steps : what eta is, and the mass that the state of each node sums to.
    filled : of tensors, `out` and `state`, as in `kernels.mirror_step`.

    Source: docs/model.md#mirror-descent.
    """
    ascent = steps.ascent(gradient)
    placements, rate = steps.space.placements, steps.next(ascent)
    return steps.operations.step_states(placements, states, ascent, rate, steps.mass, **filled)


class StepSizes:
    """What states are over, and the learning rate of each node over time, in MB per ms; see `Infida`.

    Parameters
    ----------
    rate, scale : of all states, or a sequence with those of each.
    mass : (V,) MB.
    operations : `idn_gym.kernels` or `idn_gym.batched`, whichever goes with the states.
    array : makes what `operations` work on from an array.
    slots : that gradients are sums over.
    """

    def __init__(
        self,
        network: Network,
        rate: str | float | Sequence[str | float],
        scale: float | Sequence[float],
        mass: FloatArray,
        operations: Any = kernels,
        array: Callable[[FloatArray], Any] = np.asarray,
        slots: int = 1,
    ) -> None:
        self.mass: Any = mass
        self.operations, self.space = operations, StateSpace(network, charges(network) * slots, mass, array)
        rates = [rate] if isinstance(rate, str | int | float) else list(rate)
        horizon = {"theory": network.scenario.horizon, "anytime": 1}
        etas = [theory_rate(network, horizon[of]) if of in horizon else of for of in rates]

        def column(values: list[float]) -> Any:
            return array(np.array(values, dtype=np.float64)[:, None])

        # eta of a state is the sum of these three parts, of which two are 0
        free = np.array([of == "scale-free" for of in rates])
        self._scale = array(np.reshape(np.where(free, scale, 0.0), (-1, 1)).astype(np.float64))
        pairs = list(zip(etas, rates, strict=True))
        self._constant = column([0.0 if of in ("scale-free", "anytime") else float(eta) for eta, of in pairs])
        self._anytime = column([float(eta) if of == "anytime" else 0.0 for eta, of in pairs])
        self._scale_free, self._falls = bool(free.any()), "anytime" in rates
        self._sum = array(np.zeros((1, network.V)))
        self._count = 0

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"operations": self.operations.__name__}  # modules do not pickle

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, operations=import_module(state["operations"]))

    def ascent(self, gradient: Any) -> Any:
        """(B, entries) g / s."""
        return self.space.ascent(gradient)

    def parts(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What the eta of the next step is made of, for `fused_kernel.step`, which adds to the last; of arrays."""
        self._count += 1
        constant = (self._constant + self._anytime / math.sqrt(self._count) if self._falls else self._constant)[:, 0]
        if self._sum.shape[0] != len(self._scale):
            self._sum = np.repeat(self._sum, len(self._scale), axis=0)
        return constant, self._scale[:, 0] * self._count, self._sum

    def next(self, ascent: Any) -> Any:
        """(B, V) eta for the step along ascent = g / s (B, entries)."""
        self._count += 1
        eta = self._constant + self._anytime / math.sqrt(self._count)
        if not self._scale_free:
            return eta + self._sum
        self._sum = self._sum + self.operations.node_maximum(self.space.placements, self.space.steepness(ascent))
        reached = self._sum > 0
        return eta + self._scale * self._count / (self._sum + ~reached) * reached
