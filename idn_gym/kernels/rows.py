"""Arguments of the kernels: arrays whose leading axis is B, or 1 where one row serves all of B."""

from __future__ import annotations

from typing import Any

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.model.network import Network
from idn_gym.model.placements import Placements
from idn_gym.model.ranked import RankedService
from idn_gym.typing import FloatArray


def ranked(network: Network) -> RankedService:
    """The service that these kernels are compiled for, or an `IdnError` if the network's is of another kind."""
    return RankedService.of(network.service, "kernels")


def slot_rows(
    network: Network, requests: Any, capacities: Any, allocation: Any, dtype: Any = np.float64
) -> tuple[FloatArray, FloatArray, FloatArray, int]:
    """Requests, capacities and allocation as (B or 1, R/P/P) of one dtype, and B.

    Without a dtype they are float64, but an allocation of int8 is left as it is.
    """
    integral = dtype is None and getattr(allocation, "dtype", None) == np.int8
    dtype = np.float64 if dtype is None else dtype
    out = (
        _one_or_more("requests", requests, network.R, dtype),
        _one_or_more("capacities", capacities, network.P, dtype),
        _one_or_more("allocation", allocation, network.P, np.int8 if integral else dtype),
    )
    rows = max(len(array) for array in out)
    for name, array in zip(("requests", "capacities", "allocation"), out, strict=True):
        _refuse_rows(name, array, rows)
    return *out, rows


def placement_rows(placements: Placements, name: str, values: Any, dtype: Any = np.float64) -> FloatArray:
    """(B, P) of a dtype."""
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.ndim != 2 or array.shape[1] != placements.P:
        raise IdnError(f"{name}: shape {array.shape}; must be (B, {placements.P})")
    return array


def node_rows(placements: Placements, name: str, values: Any, rows: int) -> FloatArray:
    """(B or 1, V) float64."""
    array = _one_or_more(name, values, placements.V, np.float64)
    _refuse_rows(name, array, rows)
    return array


def _one_or_more(name: str, values: Any, width: int, dtype: Any) -> FloatArray:
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != width:
        raise IdnError(f"{name}: shape {array.shape}; must be ({width},) or (B, {width})")
    return array


def _refuse_rows(name: str, array: FloatArray, rows: int) -> None:
    if len(array) not in (1, rows):
        raise IdnError(f"{name}: {len(array)} rows; must be {rows}, or 1 to serve all")
