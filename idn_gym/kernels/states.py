"""Fast steps of mirror descent over (B, P) without a logarithm; the reference is `idn_gym.model.allocation.project`.

A state is one array: s >= 0 is y, s < 0 is log y of what is too small for that, and -inf is what does not fit.
"""

from __future__ import annotations

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.mirror import exponential, scale_to
from idn_gym.kernels.rows import FLOATS, node_rows, placement_rows, single
from idn_gym.kernels.shared import largest, part
from idn_gym.kernels.threads import over_rows
from idn_gym.model.placements import Placements
from idn_gym.typing import FloatArray

LEAST = {np.dtype(np.float64): 1e-260, np.dtype(np.float32): 1e-30}  # y that is kept as it is
_STEEPEST = 300.0  # |eta g / s| up to which h = y e^(eta g / s) is formed as it stands
_FREE = 1e-100  # MB of h below which sums would lose what is kept in logarithms
_TRACE = 1e-12  # of its mass, what is left to the others where those at 1 fill a node, as in `kernels.mirror_step`
_jit = compiled(error_model="numpy")
# sums and maxima in any order, so that they become vector instructions; nothing here is NaN
_vector = compiled(error_model="numpy", fastmath={"reassoc", "nsz", "nnan", "contract"})


def states_of(log_y: FloatArray, dtype: type[np.floating] = np.float64) -> FloatArray:
    """States of a dtype from log y, of any shape."""
    return np.where(log_y >= np.log(LEAST[np.dtype(dtype)]), np.exp(log_y), log_y).astype(dtype)


def fractions_of(states: FloatArray) -> FloatArray:
    """The y of states, of any shape; 0 where it is too small to be kept as it is."""
    fractions = np.empty(states.shape, dtype=states.dtype)
    _fractions(np.ascontiguousarray(states).reshape(-1), fractions.reshape(-1))
    return fractions


def step_states(
    placements: Placements, states: FloatArray, ascent: FloatArray, rate: FloatArray, mass: FloatArray
) -> FloatArray:
    """(B, P) states of the Bregman projection of h = y exp(rate x ascent), in the dtype of the states.

    Parameters
    ----------
    states, ascent : (B, P).
    rate : (B, V) per node.
    mass : (V,) MB each node's state sums to; see `allocation.project`.
    """
    states = placement_rows(placements, "states", states, kept=FLOATS)
    ascent = placement_rows(placements, "ascent", ascent, len(states), "states")
    rate, mass = node_rows(placements, "rate", rate, len(states)), single("mass", mass, placements.V)
    out, tables, least = np.empty_like(states), placements.tables, LEAST[states.dtype]
    everything = placements.fitting_mb <= mass
    widest = int(np.diff(placements.node_start).max(initial=1))

    def work(first: int, stop: int) -> None:
        _step_states(tables, states, ascent, rate, (mass, everything, least), np.empty((4, widest)), first, stop, out)

    over_rows(len(states), placements.P, work)
    return out


@_jit
def _fractions(states, fractions):  # in half the time of NumPy's maximum
    for i in range(len(states)):
        fractions[i] = max(states[i], 0.0)


@_jit
def _step_states(tables, states, ascent, rate, nodes, buffers, first, stop, out):
    mass, everything, least = nodes
    factors, xs, hs, es = buffers[0], buffers[1], buffers[2], buffers[3]
    bits = factors.view(np.int64)
    for b in range(first, stop):
        etas = rate[b] if len(rate) > 1 else rate[0]
        for v in range(len(mass)):
            start, end = np.int64(tables.node_start[v]), np.int64(tables.node_start[v + 1])
            if mass[v] <= 0.0 or start == end:
                out[b, start:end] = -np.inf
                continue
            s, along, size = states[b, start:end], ascent[b, start:end], tables.sizes[start:end]
            n, far = end - start, 0.0
            for i in range(end - start):
                far = max(far, abs(etas[v] * along[i]) if s[i] > -np.inf else 0.0)
            work = part(factors, 0, n), part(bits, 0, n), part(xs, 0, n), part(hs, 0, n), part(es, 0, n)
            step_node(s, along, far, size, etas[v], mass[v], everything[v], least, work, out[b, start:end])


@_jit
def step_node(s, along, far, size, eta, mass, everything, least, work, out):
    """The step of a node of mass > 0, in `out`, which may be `s`.

    Parameters
    ----------
    along : g / s; of what does not fit, any number.
    far : the largest |eta g / s| of what fits.
    everything : whether all that fits is to be placed.
    least : y below this are kept as their logarithms.
    work : scratch, of n each: an array, the same seen as integers, and three more.
    """
    if everything:
        for i in range(len(s)):
            out[i] = 1.0 if s[i] > -np.inf else -np.inf
        return
    if far <= _STEEPEST and _step_plainly(s, along, size, eta, mass, least, work, out):
        return
    _step_in_logarithms(s, along, size, eta, mass, least, work[3], work[4], out)


@_vector
def _step_plainly(s, along, size, eta, mass, least, work, out):
    """With h = y e^(eta g / s), y' = min(1, h / level); whether that was possible without logarithms of all.

    Both forms of an entry are computed and one is selected: loads inside branches do not become vector instructions.
    """
    n, (factor, bits, x, h, e) = len(s), work
    for i in range(n):
        x[i] = eta * along[i] if s[i] > -np.inf else 0.0
    exponential(x, factor, bits, e)
    for i in range(n):
        h[i] = max(np.float64(s[i]), 0.0) * e[i]
    free, top, left, cut = _product(size, h), largest(h), mass, np.inf
    while True:  # what is above the level is clipped at 1, until the level stops falling
        if free < _FREE:
            return False
        level = free / max(left, _TRACE * mass)
        if top <= level:
            break
        cut, left = level, mass
        for i in range(n):
            e[i] = h[i] if h[i] <= cut else 0.0
        for i in range(n):
            left -= size[i] if h[i] > cut else 0.0
        free, top = _product(size, e), largest(e)
    factor_of, log_of, log_least = 1.0 / level, -np.log(level), np.log(least)
    moved = 0
    for i in range(n):
        y = min(1.0, h[i] * factor_of)
        log_y = s[i] + x[i] + log_of
        moved += ((s[i] >= 0.0) & (y < least)) | ((s[i] < 0.0) & (log_y > log_least))
        e[i] = y if s[i] >= 0.0 else log_y
    if moved:  # from one form to the other
        for i in range(n):
            if s[i] >= 0.0 and e[i] < least:
                e[i] = np.log(s[i]) + x[i] + log_of if s[i] > 0.0 else -np.inf
            elif s[i] < 0.0 and e[i] > log_least:
                e[i] = np.exp(e[i])
    for i in range(n):
        out[i] = e[i]
    return True


@_vector
def _product(size, h):
    """MB. A sum that is reordered stands in a loop that writes nothing: else its order would depend on where arrays
    lie, which decides whether the loop may be one of vector instructions.
    """
    total = 0.0
    for i in range(len(h)):
        total += size[i] * h[i]
    return total


@_jit
def _step_in_logarithms(s, along, size, eta, mass, least, h, weight, out):
    """The same where h or its sum leaves the range of numbers."""
    highest = -1e308
    for i in range(len(s)):
        log_y = np.log(np.float64(s[i])) if s[i] > 0.0 else np.float64(s[i])
        h[i] = log_y + eta * along[i] if s[i] > -np.inf else -np.inf
        highest = max(highest, h[i])
    for i in range(len(s)):
        h[i] -= highest
        weight[i] = np.exp(h[i])
    log_c, log_least = scale_to(size, h, weight, mass), np.log(least)
    for i in range(len(s)):
        log_y = 0.0 if h[i] == np.inf else h[i] + log_c
        out[i] = np.exp(log_y) if log_y >= log_least else log_y
