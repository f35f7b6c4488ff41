"""The small compiled functions that kernels share: a row of a batch, a share of capacity, the room at a node."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from idn_gym.kernels.compiled import compiled
from idn_gym.model.placements import room

_jit = compiled(error_model="numpy")
_inlined = compiled(error_model="numpy", inline="always")
# stands for 1/0 where no request comes by: the share is then 1 wherever there is any capacity, and unused
_NO_LOAD = 1e30

room_of = _jit(room)  # MB, of a budget: the one test of room, compiled


def load_width(service: Any) -> int:
    """Columns of `loads`, of a ranked service or its tables: reciprocals by group, the padding, and what is ahead."""
    return service.groups + 1 + (service.groups if service.classes > 1 else 0)


_width = _jit(load_width)


@_inlined
def row_of(array, b):
    """Row b of as many as there are, or the one that serves all."""
    return array[b] if len(array) > 1 else array[0]


@_jit
def empty_load(tables):
    """Room for what `add_load` fills in."""
    return np.empty(_width(tables))


@_jit
def add_load(tables, requests, load):
    """Fill in a row of `loads`: 1/S by group; of several classes, also the requests of those above it."""
    load[:] = 0.0
    for rho in range(len(requests)):
        for group in tables.path_groups[rho]:
            load[group] += requests[rho]
    if tables.classes > 1:
        ahead, of_class = load[tables.groups + 1 :], tables.groups // tables.classes
        for group in range(of_class, tables.groups):
            ahead[group] = ahead[group - of_class] + load[group - of_class]
    for group in range(tables.groups):
        load[group] = reciprocal(load[group])


@_jit
def reciprocal(load):
    """1/S, of requests that come by."""
    return 1.0 / load if load > 0.0 else _NO_LOAD


@intrinsic
def _word_at(typing_context, values, at):
    """Eight bytes of an int8 array, from `at` on, wherever they lie, as one number, the first byte the lowest."""

    def generate(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), ir.IntType(64).as_pointer())
        word = builder.load(pointer)
        word.align = 1
        return builder.bswap(word) if sys.byteorder == "big" else word

    return types.uint64(values, types.intp), generate


@intrinsic
def part(typing_context, array, start, stop):
    """array[start:stop] of a contiguous array, without holding on to it: whoever calls does, for as long as it is used.

    References are counted by atomic instructions, a pair for each array handed to a function, which a loop over short
    pieces spends much of its time on.
    """
    if array.ndim != 1 or array.layout != "C":
        return None  # not to be compiled: its strides are those of the piece

    def generate(context, builder, signature, arguments):
        values, first, last = arguments
        whole = context.make_array(signature.args[0])(context, builder, values)
        piece = context.make_array(signature.return_type)(context, builder)
        populate_array(
            piece,
            data=builder.gep(whole.data, [first]),
            shape=cgutils.pack_array(builder, [builder.sub(last, first)]),
            strides=whole.strides,
            itemsize=whole.itemsize,
            meminfo=None,
        )
        return piece._getvalue()

    return array(array, types.intp, types.intp), generate


@intrinsic
def borrowed(typing_context, value):
    """An array, or a tuple with arrays in it, whose references are not counted; see `part`.

    For arguments, which whoever calls holds. What a function makes itself is freed once its own name is used no more.
    """

    def without(context, builder, of, value):
        if isinstance(of, types.Array):
            array = context.make_array(of)(context, builder, value)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            return array._getvalue()
        if isinstance(of, types.BaseTuple):
            parts = [without(context, builder, each, builder.extract_value(value, i)) for i, each in enumerate(of)]
            return context.make_tuple(builder, of, parts)
        return value

    def generate(context, builder, signature, arguments):
        return without(context, builder, signature.return_type, arguments[0])

    return value(value), generate


@intrinsic
def trailing_zeros(typing_context, value):
    """Number of the lowest bit that is set in a uint64 other than 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@_jit
def placed_in(allocation, found):
    """How many placements of a row (P,) are not 0; their numbers stand at the start of `found`, in order.

    Of int8, zeros are passed over eight at a time.
    """
    n, p = 0, 0
    if allocation.itemsize == 1:
        while p + 8 <= len(allocation):
            word = _word_at(allocation, p)
            while word:  # what is placed is found without asking byte by byte, which processors guess wrong
                byte = trailing_zeros(word) >> np.uint64(3)
                word &= ~(np.uint64(255) << (byte << np.uint64(3)))
                found[n] = np.uint64(p) + byte
                n += 1
            p += 8
    for q in range(p, len(allocation)):
        if allocation[q]:
            found[n] = q
            n += 1
    return n


@_jit
def add_memory(sizes, nodes, held, before, found, count, used):
    """Fill in MB in use by node of what a row holds, as `placed_in` found it; returns MB newly loaded."""
    added = 0.0
    used[:] = 0.0
    for i in range(count):
        p = found[i]
        size = sizes[p] * held[p]
        used[nodes[p]] += size
        added += size * (1 - before[p])
    return added


@_inlined
def ahead_of(tables, load, group):
    """Requests of the classes above a group's, at its node and of its task; only where there are several classes."""
    return load[np.uint64(tables.groups + 1) + np.uint64(group)]


@_inlined
def first_group(tables, rho):
    """Of the groups of a type's class: those of the classes above it come before."""
    c = np.uint64(tables.type_class[rho])
    return c * np.uint64(tables.groups // tables.classes) if c else c


@_inlined
def share_of(tables, capacities, load, p, first):
    """What part of a type's requests placement p has capacity for; `load` as of `loads`, `first` as of `first_group`.

    Classes above the type's have what they need before it.
    """
    if first:
        group = tables.placement_group[p] + first
        return min(1.0, max(0.0, capacities[p] - ahead_of(tables, load, group)) * load[group])
    return min(1.0, capacities[p] * load[tables.placement_group[p]])


@_jit
def largest(values):
    """The largest of float64 values, at least 0, in vector instructions: as integers, which have the same order."""
    bits, highest = values.view(np.int64), np.int64(0)
    for i in range(len(bits)):
        highest = max(highest, bits[i])
    return np.array([highest]).view(np.float64)[0]
