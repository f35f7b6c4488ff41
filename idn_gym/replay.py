"""Public traces as request streams: read timestamps or counts, spread them over tasks and entry nodes.

A public trace is a CSV file with a header. One column says when: ``timestamp`` (ISO 8601, or seconds), or ``second``,
``minute`` or ``hour`` (a number). Another says how many: ``count``, requests from then on, or ``rate``, requests/s on
average over that second, minute or hour; with timestamps it may be missing, and each row is one request. Names of
columns are read in any case; other columns and the order of the rows do not matter. The first slot begins at the
earliest row; the last may be cut short by the end of the trace.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import numpy as np

from idn_gym.errors import IdnError
from idn_gym.network import Network
from idn_gym.scenario import Burst, Zipf
from idn_gym.scenario_file import read_text
from idn_gym.trace import MOST_VALUES, Trace
from idn_gym.typing import FloatArray
from idn_gym.workload import popularity

TWIN = "twin"  # the packaged file: synthetic, see `twin`

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}
_MOST_REQUESTS = 1e15  # in a slot: whole numbers up to here are exact
_MAX_BYTES = 2**30


def replay(network: Network, file: Path, seed: int, rate: float | None = None) -> Trace:
    """A stream of the counts in a public trace, each request of a task and entry node drawn by popularity.

    Parameters
    ----------
    file : see the module; ``twin`` is the packaged one.
    seed : of the multinomial draws that spread the counts.
    rate : requests/s that the counts are scaled to on average; default: as they are. Scaling keeps bursts and
        trend, but a count scaled up keeps the Poisson noise of the small one.

    Raises
    ------
    IdnError
        If the file is not as the module says, the scenario's workload has no popularity (it is of another kind than
        ``zipf`` and ``burst``), or the stream would be too large.
    """
    workload = network.scenario.workload
    if not isinstance(workload, Zipf | Burst):
        name = network.scenario.name
        raise IdnError(f"scenario {name}: counts are spread by the popularity of a workload of kind zipf or burst")
    counts = read_counts(file, network.scenario.slot_seconds)
    if len(counts) * network.R > MOST_VALUES:
        raise IdnError(f"{file}: {len(counts)} slots of {network.R} request types; at most {MOST_VALUES} values")
    if rate is not None:
        if not 0.0 <= rate < math.inf:
            raise IdnError(f"rate: {rate}; must be a finite number >= 0, requests/s")
        if counts.sum() == 0.0:
            raise IdnError(f"{file}: no requests; nothing to scale to a rate")
        counts = counts * (rate * network.scenario.slot_seconds / counts.mean())
    if counts.max() > _MOST_REQUESTS:
        raise IdnError(f"{file}: {counts.max():g} requests in a slot; at most {_MOST_REQUESTS:g}")
    share = popularity(network, np.arange(len(counts)))
    drawn = np.random.default_rng(seed).multinomial(np.rint(counts).astype(np.int64), share)
    return Trace(drawn.astype(np.float64), network.capacities[None])


def read_counts(file: Path, slot_seconds: float) -> FloatArray:
    """(T,) requests per slot in a public trace; see the module for what it holds.

    Raises
    ------
    IdnError
        Naming file, line and value of the first fault; or if slots are shorter than what the file counts by.
    """
    if str(file) == TWIN:
        packaged = resources.files("idn_gym") / "traces" / f"{TWIN}.csv"
        rows = list(_rows(TWIN, packaged.read_text("utf-8"), slot_seconds))
    else:
        rows = list(_rows(str(file), read_text(file, _MAX_BYTES), slot_seconds))
    if not rows:
        raise IdnError(f"{file}: no rows; a trace has at least one")
    when, many = np.array(rows).T
    slots = np.floor((when - when.min()) / slot_seconds)
    if slots.max() >= MOST_VALUES:
        raise IdnError(f"{file}: {slots.max() + 1:g} slots of {slot_seconds:g} s; at most {MOST_VALUES}")
    return np.bincount(slots.astype(np.int64), many)


def _rows(source: str, text: str, slot_seconds: float) -> Iterator[tuple[float, float]]:
    """When, in seconds, and how many requests, row by row."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        when, time_of = _time_column(source, columns, slot_seconds)
        many, unit = _count_column(source, columns, columns[when])
        for row in filter(None, reader):
            where = f"{source}:{reader.line_num}"
            if len(row) != len(columns):
                raise IdnError(f"{where}: {len(row)} values; the header has {len(columns)}")
            count = 1.0 if many is None else unit * _number(f"{where}: {columns[many]}", row[many], lowest=0.0)
            yield time_of(f"{where}: {columns[when]}", row[when]), count
    except csv.Error as error:
        raise IdnError(f"{source}:{reader.line_num}: not CSV: {error}") from None


def _time_column(source: str, columns: list[str], slot_seconds: float) -> tuple[int, Callable[[str, str], float]]:
    """Which column says when, and how to read it as seconds."""
    found = _one_of(source, columns, ("timestamp", *_SECONDS))
    if found is None:
        raise IdnError(f"{source}: columns {','.join(columns)!r}; one must be timestamp, second, minute or hour")
    name = columns[found]
    if name == "timestamp":
        return found, _timestamp
    unit = _SECONDS[name]
    if unit > slot_seconds:
        raise IdnError(
            f"{source}: counts by the {name}, slots of {slot_seconds:g} s; set slot_seconds={unit:g} or more"
        )
    return found, lambda where, text: unit * _number(where, text)


def _count_column(source: str, columns: list[str], time: str) -> tuple[int | None, float]:
    """Which column says how many, if any, and what its numbers are to be multiplied by."""
    found = _one_of(source, columns, ("count", "rate"))
    if found is None and time in _SECONDS:
        raise IdnError(f"{source}: columns {','.join(columns)!r}; with {time}, one must be count or rate")
    if found is None or columns[found] == "count":
        return found, 1.0
    if time not in _SECONDS:
        raise IdnError(f"{source}: a rate goes with a column second, minute or hour; with timestamp, give a count")
    return found, _SECONDS[time]


def _one_of(source: str, columns: list[str], names: tuple[str, ...]) -> int | None:
    found = [index for index, name in enumerate(columns) if name in names]
    if len(found) > 1:
        raise IdnError(f"{source}: columns {','.join(columns)!r}; only one of {', '.join(names)} is allowed, once")
    return found[0] if found else None


def _timestamp(where: str, text: str) -> float:
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        return _number(where, text)
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _number(where: str, text: str, lowest: float = -1e15) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not lowest <= value <= 1e15:
        what = "a number" if lowest else "a number >= 0"
        hint = " or a date in ISO 8601" if where.endswith("timestamp") else ""
        raise IdnError(f"{where} {text!r}; must be {what}{hint}")
    return value
