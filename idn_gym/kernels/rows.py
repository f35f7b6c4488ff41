"""Arguments of the kernels, looked at once before the loops: compiled code reads and writes wherever it is told to.

Arrays have a leading axis B, or 1 where one row serves all of B. What comes back is contiguous and of a type that the
kernels are compiled for; what does not fit the network, or is not made of numbers, is an `IdnError` with its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_gym.common import arrays
from idn_gym.errors import IdnError
from idn_gym.kernels.compiled import compiled
from idn_gym.kernels.shared import load_width
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray, IntArray

FLOAT64 = np.dtype(np.float64)
FLOATS = (FLOAT64, np.dtype(np.float32))
BITS = (np.dtype(np.int8),)
_jit = compiled(error_model="numpy")


def ranked(network: Network) -> RankedService:
    """The service that these kernels are compiled for, or an `IdnError` if the network's is of another kind."""
    if not isinstance(network.service, RankedService):
        raise IdnError(
            f"kernels: are compiled for services that rank their options, not {type(network.service).__name__}"
        )
    return network.service


def slot_rows(
    network: Network, requests: Any, capacities: Any, allocation: Any, dtype: Any = FLOAT64
) -> tuple[FloatArray, FloatArray, FloatArray, int]:
    """Requests, capacities and allocation as (B or 1, R/P/P) of one dtype, and B.

    Without a dtype they are float64, but an allocation of int8 is left as it is.
    """
    as_it_is = BITS if dtype is None else ()
    dtype = FLOAT64 if dtype is None else dtype
    out = (
        _one_or_more("requests", requests, network.R, dtype),
        _one_or_more("capacities", capacities, network.P, dtype),
        _one_or_more("allocation", allocation, network.P, dtype, as_it_is),
    )
    rows = max(len(array) for array in out)
    for name, array in zip(("requests", "capacities", "allocation"), out, strict=True):
        _refuse_rows(name, array, rows)
    return *out, rows


def window_rows(
    network: Network, requests: Any, capacities: Any, load: Any
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Requests (T, R), capacities (T or 1, P) and the `loads` of the requests, float64."""
    requests = _one_or_more("requests", requests, network.R, FLOAT64)
    capacities = _one_or_more("capacities", capacities, network.P, FLOAT64)
    _refuse_rows("capacities", capacities, len(requests))
    load = numbers("load", load, FLOAT64)
    if load.shape != (len(requests), load_width(ranked(network))):
        raise IdnError(f"load: shape {load.shape}; must be that of loads of the {len(requests)} slots of requests")
    return requests, capacities, load


def request_rows(network: Network, requests: Any) -> FloatArray:
    """(T, R) float64, of one slot or many."""
    return _one_or_more("requests", requests, network.R, FLOAT64)


def placement_rows(
    placements: Placements,
    name: str,
    values: Any,
    rows: int | None = None,
    of: str = "",
    dtype: Any = FLOAT64,
    kept: tuple[Any, ...] = (),
) -> FloatArray:
    """(B, P) of a dtype, or of one of those that are kept; with `rows`, as many as there are `of` something."""
    array = numbers(name, values, dtype, kept)
    if array.ndim != 2 or array.shape[1] != placements.P:
        raise IdnError(f"{name}: shape {array.shape}; must be (B, {placements.P})")
    if rows is not None and len(array) != rows:
        raise IdnError(f"{name}: {len(array)} rows; must be {rows}, as {of}")
    return array


def node_rows(placements: Placements, name: str, values: Any, rows: int) -> FloatArray:
    """(B or 1, V) float64."""
    array = _one_or_more(name, values, placements.V, FLOAT64)
    _refuse_rows(name, array, rows)
    return array


def shaped(name: str, values: Any, *shape: int, dtype: Any = FLOAT64, kept: tuple[Any, ...] = ()) -> FloatArray:
    """Values of exactly this shape, of a dtype or one of those that are kept."""
    array = numbers(name, values, dtype, kept)
    if array.shape != shape:
        raise IdnError(f"{name}: shape {array.shape}; must be {shape}")
    return array


def single(name: str, values: Any, width: int, kept: tuple[Any, ...] = ()) -> FloatArray:
    """One row (width,), which may come as (1, width)."""
    array = numbers(name, values, FLOAT64, kept)
    return shaped(name, array[0] if array.ndim == 2 and len(array) == 1 else array, width, kept=kept)


def filled(name: str, out: Any, shape: tuple[int, ...], dtypes: tuple[Any, ...] = FLOATS) -> Any:
    """An array to write to, if it has this shape and one of these dtypes, and lies so that a kernel can fill it."""
    fits = isinstance(out, np.ndarray) and out.shape == shape and out.dtype in dtypes
    if not (fits and out.flags.c_contiguous and out.flags.writeable):
        found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise IdnError(f"{name}: {found}; must be {' or '.join(map(str, dtypes))} {shape}, contiguous and writable")
    return out


def dtype_of(out: Any) -> Any:
    """The dtype that inputs are read in: that of the array to fill, or float64."""
    return out.dtype if isinstance(out, np.ndarray) and out.dtype in FLOATS else FLOAT64


def indices(name: str, values: Any, below: int, what: str) -> IntArray:
    """(n,) int64 whole numbers from 0 to before `below`, which count `what`."""
    array = arrays.numbers(name, values)
    if array.shape == (0,):
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise IdnError(f"{name}: {array.dtype} of shape {array.shape}; must be whole numbers (n,) of {what}")
    array = np.ascontiguousarray(array, dtype=np.int64)
    if (n := _first_outside(array, below)) >= 0:
        raise IdnError(f"{name}[{n}]: {array[n]}; must be a number of {what}, from 0 to {below - 1}")
    return array


def numbers(name: str, values: Any, dtype: Any, kept: tuple[Any, ...] = ()) -> FloatArray:
    """Contiguous values of a dtype, or of one of those that are kept."""
    good = type(values) is np.ndarray and values.ndim > 0 and (values.dtype == dtype or values.dtype in kept)
    if good and values.flags.c_contiguous:  # as most are
        return values
    array = arrays.numbers(name, values)
    if array.ndim == 0:
        raise IdnError(f"{name}: a single number; must be an array")
    if array.dtype in kept:
        return np.ascontiguousarray(array)
    converted = np.ascontiguousarray(array, dtype=dtype)
    if converted.dtype.kind == "i" and converted.dtype != array.dtype and (converted != array).any():
        raise IdnError(f"{name}: {array.dtype} with values that are no {converted.dtype}")
    return converted


def _one_or_more(name: str, values: Any, width: int, dtype: Any, kept: tuple[Any, ...] = ()) -> FloatArray:
    array = numbers(name, values, dtype, kept)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != width:
        raise IdnError(f"{name}: shape {array.shape}; must be ({width},) or (B, {width})")
    return array


def _refuse_rows(name: str, array: FloatArray, rows: int) -> None:
    if len(array) not in (1, rows):
        raise IdnError(f"{name}: {len(array)} rows; must be {rows}, or 1 to serve all")


@_jit
def _first_outside(values, below):
    """Where the first value outside 0:below is; -1 if there is none."""
    for n in range(len(values)):
        if values[n] < 0 or values[n] >= below:
            return n
    return -1
