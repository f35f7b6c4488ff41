"""NumPy's generator PCG64 in compiled code, from any of its numbers on: what a kernel does not need is not drawn.

Source: O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
Generation", 2014; Brown, "Random Number Generation with Arbitrary Strides", 1994.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from idn_gym.errors import IdnError
from idn_gym.kernels.compiled import compiled
from idn_gym.typing import IntArray

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_HIGH, _LOW = np.uint64(_MULTIPLIER >> 64), np.uint64(_MULTIPLIER & (2**64 - 1))
_ALL = 2**128
_jit = compiled(error_model="numpy")


def state_of(generator: np.random.Generator) -> IntArray:
    """(4,) uint64: where a generator stands, and its increment, in words, the higher ones first.

    Raises
    ------
    IdnError
        If it is no PCG64, as those of `numpy.random.default_rng` are.
    """
    state: Any = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise IdnError(f"generator: {state['bit_generator']}; must be a PCG64")
    return np.concatenate([_words(state["state"][name]) for name in ("state", "inc")])


def number_of(words: IntArray) -> int:
    """What two words, the higher one first, stand for."""
    high, low = words.tolist()
    return int(high << 64 | low)


def strides(steps: IntArray) -> IntArray:
    """(n, 4) uint64: what takes a generator so many numbers on (n,).

    n steps of x -> a x + c are a^n x + (a^(n-1) + ... + 1) c.
    """
    found = {}
    for count in set(steps.tolist()):
        power, total, a, plus, left = 1, 0, _MULTIPLIER, 1, count
        while left:
            if left & 1:
                power, total = power * a % _ALL, (total * a + plus) % _ALL
            a, plus, left = a * a % _ALL, plus * (a + 1) % _ALL, left >> 1
        found[count] = np.concatenate([_words(power), _words(total)])
    return np.array([found[count] for count in steps.tolist()], dtype=np.uint64).reshape(-1, 4)


def _words(number: int) -> IntArray:
    return np.array([number >> 64, number & (2**64 - 1)], dtype=np.uint64)


@intrinsic
def _multiply_add(typing_context, a_high, a_low, b_high, b_low, c_high, c_low):
    """Words of a b + c modulo 2^128."""
    pair = types.UniTuple(types.uint64, 2)

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(128)
        shift = ir.Constant(wide, 64)

        def joined(high, low):
            return builder.or_(builder.shl(builder.zext(high, wide), shift), builder.zext(low, wide))

        a, b, c = (joined(*arguments[i : i + 2]) for i in (0, 2, 4))
        result = builder.add(builder.mul(a, b), c)
        words = [builder.trunc(each, ir.IntType(64)) for each in (builder.lshr(result, shift), result)]
        return context.make_tuple(builder, pair, words)

    return pair(*[types.uint64] * 6), generate


@_jit
def moved(high, low, step_high, step_low):
    """The next state of a generator, as its words, from those of the state and of the increment."""
    return _multiply_add(_HIGH, _LOW, high, low, step_high, step_low)


@_jit
def uniform(high, low):
    """The number in [0, 1) that a state stands for."""
    mixed, turn = high ^ low, high >> np.uint64(58)
    mixed = (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))
    return np.float64(mixed >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@_jit
def _skipped(state, stride):
    high, low = _multiply_add(stride[2], stride[3], state[2], state[3], np.uint64(0), np.uint64(0))
    return _multiply_add(stride[0], stride[1], state[0], state[1], high, low)


@_jit
def skip(state, stride):
    """Take a generator (4,) a stride (4,) on."""
    state[0], state[1] = _skipped(state, stride)


@_jit
def fill_uniforms(state, stride, uniforms):
    """Fill with what `numpy.random.Generator.random` draws once a stride is skipped; the generator stays."""
    high, low = _skipped(state, stride)
    for i in range(len(uniforms)):
        high, low = moved(high, low, state[2], state[3])
        uniforms[i] = uniform(high, low)
