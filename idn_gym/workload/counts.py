"""Poisson counts as NumPy's generators draw them, to the bit, in compiled code that knows which rates come again.

NumPy's method for rates of 10 and more is PTRS (Hormann, The transformed rejection method for generating Poisson random
variables, Insurance: Mathematics and Economics 12, 1993), of lower ones multiplication (Knuth). Constants of
a rate are worked out anew only where it is another than that of the slot before.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from idn_gym.kernels.compiled import compiled
from idn_gym.typing import FloatArray
from idn_gym.workload.pcg64 import moved, number_of, state_of, uniform

_jit = compiled(error_model="numpy")
_FACTORIALS = (
    8.333333333333333e-02, -2.777777777777778e-03, 7.936507936507937e-04, -5.952380952380952e-04,
    8.417508417508418e-04, -1.917526917526918e-03, 6.410256410256410e-03, -2.955065359477124e-02,
    1.796443723688307e-01, -1.39243221690590e00,
)  # fmt: skip
_HALF_LOG_2PI = 0.5 * 1.8378770664093453e00
_MOST = 1e15  # higher rates, and what is no rate, are NumPy's business
_TABULATED = 8192  # counts below this have the logarithm of their factorial looked up


def poisson(generator: np.random.Generator, mean: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Counts (T, R) of these means, as float64: what `generator.poisson` returns, and leaving it in the same state.

    Parameters
    ----------
    mean : (T, R) float64; rows that are alike save time.
    out : (T, R) float64 to fill.
    """
    counts = np.empty(mean.shape) if out is None else out
    if not (type(generator.bit_generator) is np.random.PCG64 and _numpys_way() and _drawn(generator, mean, counts)):
        counts[:] = generator.poisson(mean)
    return counts


def _drawn(generator: np.random.Generator, mean: FloatArray, counts: FloatArray) -> bool:
    """Fill in the counts, unless a rate is none, or too high."""
    bits = generator.bit_generator
    with bits.lock:
        words, state = state_of(generator), bits.state
        if not _fill(words, _log_factorials(), mean, counts):
            return False
        state["state"]["state"] = number_of(words[:2])
        bits.state = state
    return True


@cache
def _numpys_way() -> bool:
    """Whether this NumPy, on this machine, draws as is done here: it may round, or one day draw, otherwise.

    Rates next to each other are sought at which the first count differs: were a single rounding another on the way
    there, they would be others. Beside that, counts of rates of every size are compared.
    """
    rates = np.geomspace(1e-3, 1e12, 4096).reshape(8, -1)
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    counts = np.empty(rates.shape)
    _drawn(ours, rates, counts)
    alike = np.array_equal(counts, theirs.poisson(rates)) and ours.bit_generator.state == theirs.bit_generator.state
    for seed in range(64):
        words, rate = state_of(np.random.default_rng(seed)), 10.0 ** (1 + seed / 8)
        for near in _edge(words, _log_factorials(), rate, 2.0 * rate):
            alike &= np.random.default_rng(seed).poisson(near) == _first(words, _log_factorials(), near)
    return bool(alike)


@cache
def _log_factorials() -> FloatArray:
    """(_TABULATED,) of 0, 1, 2 and so on."""
    return _log_factorials_to(_TABULATED)


@_jit
def _log_factorials_to(end):
    found = np.empty(end)
    for k in range(end):
        found[k] = _log_factorial(np.float64(k))
    return found


@_jit
def _log_factorial(k):
    """Of k >= 0, with the roundings of NumPy's `random_loggam`."""
    x = k + 1.0
    if x == 1.0 or x == 2.0:
        return 0.0
    steps = int(7.0 - x) if x < 7.0 else 0
    x0 = x + steps
    x2 = (1.0 / x0) * (1.0 / x0)
    series = _FACTORIALS[9] * x2 + _FACTORIALS[8]
    series = series * x2 + _FACTORIALS[7]
    series = series * x2 + _FACTORIALS[6]
    series = series * x2 + _FACTORIALS[5]
    series = series * x2 + _FACTORIALS[4]
    series = series * x2 + _FACTORIALS[3]
    series = series * x2 + _FACTORIALS[2]
    series = series * x2 + _FACTORIALS[1]
    series = series * x2 + _FACTORIALS[0]
    total = series / x0 + _HALF_LOG_2PI + (x0 - 0.5) * math.log(x0) - x0
    for _ in range(steps):
        total -= math.log(x0 - 1.0)
        x0 -= 1.0
    return total


@_jit
def _constants(rate):
    """Of PTRS, by its letters: b, a, v_r, log of the rate, log of 1/alpha."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    return b, a, 0.9277 - 3.6224 / (b - 2), math.log(rate), math.log(1.1239 + 1.1328 / (b - 3.4))


@_jit
def _multiplied(state, at_least):
    """A count by multiplication, and the state after it."""
    high, low, step_high, step_low = state
    count, product = -1.0, 1.0
    while count < 0.0 or product > at_least:
        high, low = moved(high, low, step_high, step_low)
        product *= uniform(high, low)
        count += 1.0
    return count, high, low


@_jit
def _fill(words, tabulated, mean, counts):
    """Draw all counts, row by row; False, and nothing drawn, if a mean is not from 0 to `_MOST`.

    `tabulated` are the first logarithms of factorials: worked out, they are a fifth of the time. PTRS stands in the
    loop itself: in a function of its own a draw takes 27 ns for 19.
    """
    slots, width = mean.shape
    for t in range(slots):
        for rho in range(width):
            if not 0.0 <= mean[t, rho] <= _MOST:
                return False
    known, of_rate = np.full(width, -1.0), np.empty((width, 5))
    high, low, step_high, step_low = words[0], words[1], words[2], words[3]
    for t in range(slots):
        for rho in range(width):
            rate = mean[t, rho]
            if rate < 10.0:
                count = 0.0
                if rate > 0.0:
                    count, high, low = _multiplied((high, low, step_high, step_low), math.exp(-rate))
                counts[t, rho] = count
                continue
            if rate != known[rho]:
                known[rho] = rate
                for i, value in enumerate(_constants(rate)):
                    of_rate[rho, i] = value
            b, a, enough = of_rate[rho, 0], of_rate[rho, 1], of_rate[rho, 2]
            while True:
                high, low = moved(high, low, step_high, step_low)
                u = uniform(high, low) - 0.5
                high, low = moved(high, low, step_high, step_low)
                v = uniform(high, low)
                us = 0.5 - abs(u)
                count = np.floor((2.0 * a / us + b) * u + rate + 0.43)
                if us >= 0.07 and v <= enough:
                    break
                if count < 0.0 or (us < 0.013 and v > us):
                    continue
                left = math.log(v) + of_rate[rho, 4] - math.log(a / (us * us) + b)
                log_factorial = tabulated[np.uint64(count)] if count < len(tabulated) else _log_factorial(count)
                if left <= -rate + count * of_rate[rho, 3] - log_factorial:
                    break
            counts[t, rho] = count
    words[0], words[1] = high, low
    return True


@_jit
def _first(words, tabulated, rate):
    """The first count of a generator."""
    count = np.empty((1, 1))
    _fill(words.copy(), tabulated, np.full((1, 1), rate), count)
    return count[0, 0]


@_jit
def _edge(words, tabulated, low, high):
    """Two rates next to each other, between these, of which the first counts of a generator differ."""
    at_low = _first(words, tabulated, low)
    while True:
        middle = 0.5 * (low + high)
        if middle <= low or middle >= high:
            return low, high
        if _first(words, tabulated, middle) == at_low:
            low = middle
        else:
            high = middle
